//! The zip that becomes the three functions: the one this binary carries, or one built beside it, with the
//! user's certificate authorities put in.

use crate::code::{Code, Coded};
use crate::resources::artifact::Zip;
use std::path::{Path, PathBuf};

/// Built by `build.rs` for a release; absent in a development build.
#[cfg(embedded_function)]
const EMBEDDED: Option<&[u8]> = Some(include_bytes!(concat!(env!("OUT_DIR"), "/function.zip")));
#[cfg(not(embedded_function))]
const EMBEDDED: Option<&[u8]> = None;

/// Why there is no zip.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    #[error("this build of pgrotate carries no rotation function, and none was built beside it")]
    NotBuilt,
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{} holds no certificate (a line `-----BEGIN CERTIFICATE-----`)", path.display())]
    NoCertificate { path: PathBuf },
    #[error("{what} is not usable as the functions' zip")]
    Unusable { what: String, source: function_artifact::PackError },
}

impl Coded for ZipError {
    fn code(&self) -> Code {
        match self {
            Self::NotBuilt => Code::ZipMissing,
            Self::Unreadable { .. } => Code::FileUnreadable,
            Self::NoCertificate { .. } => Code::NoCertificate,
            Self::Unusable { .. } => Code::ZipUnusable,
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NotBuilt => "make function, or name a zip by --function-zip",
            Self::Unreadable { .. } => "check the path, and that you may read it",
            Self::NoCertificate { .. } => "name a PEM file of certificate authorities by --ca-bundle, or leave it out",
            Self::Unusable { .. } => "name a zip that make function has built by --function-zip, or leave it out",
        }
        .to_owned()
    }
}

/// `zip` names a zip to take instead of our own; `ca_bundle` a PEM file whose authorities the functions
/// shall trust beside the RDS roots.
pub fn load(zip: Option<&Path>, ca_bundle: Option<&Path>) -> Result<Zip, ZipError> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|source| ZipError::Unreadable { path: path.to_owned(), source });
    let mut bytes = match (zip, EMBEDDED) {
        (Some(path), _) => checked(path, read(path)?)?,
        (None, Some(embedded)) => embedded.to_vec(),
        (None, None) => {
            let path = built_beside().ok_or(ZipError::NotBuilt)?;
            checked(&path, read(&path)?)?
        }
    };
    if let Some(path) = ca_bundle {
        let pem = read(path)?;
        if !pem.windows(CERTIFICATE.len()).any(|window| window == CERTIFICATE) {
            return Err(ZipError::NoCertificate { path: path.to_owned() });
        }
        bytes = function_artifact::add_ca_bundle(&bytes, &pem).map_err(|source| ZipError::Unusable {
            what: zip.map_or_else(|| "pgrotate's own".to_owned(), |zip| zip.display().to_string()),
            source,
        })?;
    }
    Ok(Zip::new(bytes))
}

/// A zip that somebody named or that stands beside us may be anything.
fn checked(path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, ZipError> {
    match function_artifact::check(&bytes) {
        Ok(()) => Ok(bytes),
        Err(source) => Err(ZipError::Unusable { what: path.display().to_string(), source }),
    }
}

const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// What `make function` left in the target directory that this binary runs from.
fn built_beside() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program
        .ancestors()
        .map(|folder| folder.join("function").join(function_artifact::ZIP_NAME))
        .find(|zip| zip.is_file())
}

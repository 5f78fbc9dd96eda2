//! The zip itself: fixed times, fixed modes, fixed order.

use function_contract::CA_BUNDLE_FILE;
use std::io::{Cursor, Write};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

/// The name Lambda's `provided.*` runtimes start.
const BOOTSTRAP: &str = "bootstrap";

/// Why a zip could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("the function's zip cannot be written or read")]
    Zip(#[from] ZipError),
    #[error("the function's zip cannot be written or read")]
    Io(#[from] std::io::Error),
    #[error("the zip holds no {BOOTSTRAP}: it is not the rotation function")]
    NotTheFunction,
    #[error("the CA bundle holds no PEM certificate")]
    NoCertificate,
}

/// The zip Lambda takes: `bootstrap`, executable.
pub fn pack(bootstrap: &[u8]) -> Result<Vec<u8>, PackError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(BOOTSTRAP, options(0o755))?;
    zip.write_all(bootstrap)?;
    Ok(zip.finish()?.into_inner())
}

/// Refuses what is no zip of the function: told here, it costs no half-made deployment.
pub fn check(zip: &[u8]) -> Result<(), PackError> {
    let archive = ZipArchive::new(Cursor::new(zip))?;
    archive.index_for_name(BOOTSTRAP).map(|_| ()).ok_or(PackError::NotTheFunction)
}

/// The same zip with the user's certificate authorities beside the function, at [`CA_BUNDLE_FILE`]. One
/// that it already holds is replaced. The same two inputs give the same bytes.
pub fn add_ca_bundle(zip: &[u8], pem: &[u8]) -> Result<Vec<u8>, PackError> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    if !pem.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return Err(PackError::NoCertificate);
    }
    let mut archive = ZipArchive::new(Cursor::new(zip))?;
    let Some(bootstrap) = archive.index_for_name(BOOTSTRAP) else { return Err(PackError::NotTheFunction) };
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    // Copied as it stands: compressing again could give other bytes under another version of the
    // compressor than the one the zip was built with.
    out.raw_copy_file(archive.by_index_raw(bootstrap)?)?;
    out.start_file(CA_BUNDLE_FILE, options(0o644))?;
    out.write_all(pem)?;
    Ok(out.finish()?.into_inner())
}

fn options(mode: u32) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(mode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    fn entries(zip: &[u8]) -> Vec<(String, Option<u32>, Vec<u8>)> {
        let mut archive = ZipArchive::new(Cursor::new(zip)).unwrap();
        (0..archive.len())
            .map(|index| {
                let mut file = archive.by_index(index).unwrap();
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).unwrap();
                (file.name().unwrap().into_owned(), file.unix_mode().map(|mode| mode & 0o7777), bytes)
            })
            .collect()
    }

    #[test]
    fn bootstrap_is_executable_and_the_bytes_do_not_depend_on_the_clock() {
        let zip = pack(b"\x7fELF").unwrap();
        assert_eq!(entries(&zip), [("bootstrap".to_owned(), Some(0o755), b"\x7fELF".to_vec())]);
        let mut archive = ZipArchive::new(Cursor::new(&zip)).unwrap();
        let modified = archive.by_index(0).unwrap().last_modified().unwrap();
        assert_eq!((modified.year(), modified.month(), modified.day()), (1980, 1, 1));
        assert_eq!(zip, pack(b"\x7fELF").unwrap());
    }

    #[test]
    fn a_bundle_is_added_once_and_replaced() {
        let zip = pack(b"\x7fELF").unwrap();
        let with = add_ca_bundle(&zip, PEM).unwrap();
        assert_eq!(
            entries(&with),
            [
                ("bootstrap".to_owned(), Some(0o755), b"\x7fELF".to_vec()),
                (CA_BUNDLE_FILE.to_owned(), Some(0o644), PEM.to_vec())
            ]
        );
        assert_eq!(add_ca_bundle(&with, PEM).unwrap(), with);
    }

    #[test]
    fn what_is_no_bundle_or_no_function_is_refused() {
        let zip = pack(b"\x7fELF").unwrap();
        assert!(matches!(add_ca_bundle(&zip, b"").unwrap_err(), PackError::NoCertificate));
        assert!(matches!(add_ca_bundle(b"PK", PEM).unwrap_err(), PackError::Zip(_)));
        let empty = ZipWriter::new(Cursor::new(Vec::new())).finish().unwrap().into_inner();
        assert!(matches!(add_ca_bundle(&empty, PEM).unwrap_err(), PackError::NotTheFunction));
        assert!(matches!(check(&empty).unwrap_err(), PackError::NotTheFunction));
        assert!(matches!(check(b"PK").unwrap_err(), PackError::Zip(_)));
        check(&zip).unwrap();
    }
}

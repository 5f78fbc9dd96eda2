//! One advisory lock per login, in the database all functions agree on.

use crate::database::Session;
use crate::error::FunctionError;
use aws_lc_rs::digest;
use std::time::Duration;

/// How long to wait for another run. Such a run takes tens of milliseconds, or it is stuck; Secrets Manager
/// tries a failed step again by itself.
pub(crate) const WAIT: Duration = Duration::from_secs(10);

/// Takes the lock of `login` in this session, which must be in the lock database. It is held until the
/// session ends, so everything it guards is to be done in this session: when the connection breaks, lock
/// and work end together.
pub async fn take(session: &impl Session, login: &str) -> Result<(), FunctionError> {
    // The statement's own limit must not come first, or "busy" would look like a slow server.
    let sql = format!(
        "SET lock_timeout = '{}s'; SET statement_timeout = '15s'; SELECT pg_advisory_lock({}); \
         RESET lock_timeout; RESET statement_timeout",
        WAIT.as_secs(),
        key(login)
    );
    session.change("the login's lock", &sql).await.map_err(|error| {
        if error.is_lock_timeout() { FunctionError::Busy { login: login.to_owned() } } else { error.into() }
    })
}

/// The lock's key. It depends on the login alone: two deployments that wrongly manage the same role must
/// still not do it at once.
fn key(login: &str) -> i64 {
    let digest = digest::digest(&digest::SHA256, format!("pgrotate login\0{login}").as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.as_ref()[..8]);
    i64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_never_changes() {
        // Functions of two releases may run side by side during a deployment.
        assert_eq!(key("test_user1"), -7_333_603_978_964_920_246);
        assert_ne!(key("test_user1"), key("test_user1_clone"));
    }
}

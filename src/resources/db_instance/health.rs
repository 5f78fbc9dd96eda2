//! What becomes of an instance by time alone, and no apply mends: its server's certificate ends, and RDS withdraws the
//! version that it runs.

use super::{Desired, Observed};
use crate::drift::DriftCode;
use crate::resource::Diff;

/// The server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// RDS's name of the authority that has signed it.
    pub authority: String,
    /// The day on which it ends, as `2026-03-01`.
    pub until: String,
    pub age: Age,
}

/// How a certificate stood when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    Good,
    /// It ends within [`ENDING_SECONDS`].
    Ending,
    Ended,
}

/// Clients that verify the server must know the next authority before the certificate changes, and a change waits for a
/// maintenance window: two months leave time for both. Where RDS renews by itself, it does so long before.
pub(super) const ENDING_SECONDS: i64 = 60 * 24 * 60 * 60;

impl Certificate {
    /// `until` and `now` in Unix seconds.
    pub(super) fn of(authority: &str, until: i64, now: i64) -> Self {
        let age = match until - now {
            left if left <= 0 => Age::Ended,
            left if left <= ENDING_SECONDS => Age::Ending,
            _ => Age::Good,
        };
        let day = jiff::Timestamp::from_second(until).map(|at| at.strftime("%Y-%m-%d").to_string());
        Self { authority: authority.to_owned(), until: day.unwrap_or_else(|_| until.to_string()), age }
    }
}

/// Authorities of RDS, one set a region (docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html): the one
/// that new instances get first.
const AUTHORITIES: [&str; 2] = ["rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1"];

/// The AWS CLI's command that changes an instance.
pub(in crate::resources) fn change_of(identifier: &str) -> String {
    format!("modify-db-instance --db-instance-identifier {identifier}")
}

/// Notes what time has made of a server's certificate; `change` is the AWS CLI's command that changes what it is of.
pub(in crate::resources) fn tell_certificate(cx: &mut Diff<'_>, certificate: Option<&Certificate>, change: &str) {
    let Some(Certificate { authority, until, age }) = certificate else { return };
    let (code, ends) = match age {
        Age::Good => return,
        Age::Ending => (DriftCode::CertificateEnding, "ends on"),
        Age::Ended => (DriftCode::CertificateEnded, "has ended on"),
    };
    let next = AUTHORITIES.iter().find(|next| *next != authority).unwrap_or(&AUTHORITIES[0]);
    cx.drift(
        code.found(format!("its server's certificate (of {authority}) {ends} {until}")),
        format!(
            "once every client trusts {next}: aws rds {change} \
             --ca-certificate-identifier {next} --apply-immediately"
        ),
    );
}

/// Notes what time has made of it.
pub(super) fn tell(cx: &mut Diff<'_>, want: &Desired, live: &Observed) {
    tell_certificate(cx, live.certificate.as_ref(), &change_of(&want.identifier));
    let Some(spec) = &want.spec else { return };
    // RDS lists only versions that are available; of another major than declared the instance is refused.
    let of_major = |version: &&super::Version| version.major == live.version.major;
    // An upgrade that is planned anyway needs no other.
    if !spec.offered.contains(&live.version)
        && spec.version.minor <= live.version.minor
        && let Some(latest) = spec.offered.iter().filter(of_major).max()
        && live.version < *latest
    {
        cx.drift(
            DriftCode::EngineDeprecated
                .found(format!("RDS offers PostgreSQL {} no more, and will upgrade it by force", live.version)),
            format!("set `engine_version = \"{latest}\"` in [database], and apply"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_good_then_ending_then_ended() {
        let until = 1_800_000_000;
        for (before, age) in [
            (ENDING_SECONDS + 1, Age::Good),
            (ENDING_SECONDS, Age::Ending),
            (1, Age::Ending),
            (0, Age::Ended),
            (-1, Age::Ended),
        ] {
            let certificate = Certificate::of("rds-ca-rsa2048-g1", until, until - before);
            assert_eq!((certificate.age, certificate.until.as_str()), (age, "2027-01-15"), "{before} s before");
        }
    }
}

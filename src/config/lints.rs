//! `[lint]`: what of the findings of [`crate::lint`] is meant, and why; and the codes that they go by.

use super::check::{choice, wrong};
use super::error::is_unprintable;
use super::read::{Problems, Table};
use super::{Located, error::quoted};
use crate::code::Code;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// A quarter: what rules that still ask for regular changes of passwords ask for.
const SLOW_AFTER_DAYS: u32 = 90;

const EXAMPLE: &str = "allow = [{ code = \"public\", reason = \"partners without a VPN\" }]";

/// Writes the enum, its list and its texts, so that no lint lacks one of them.
macro_rules! lints {
    ($($(#[doc = $doc:literal])+ $lint:ident = $text:literal, $why:literal;)+) => {
        /// What AWS takes, and users regret. The codes are stable: configs name them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum LintCode { $($(#[doc = $doc])+ $lint),+ }

        impl LintCode {
            /// All of them, in the order of the list below.
            pub const ALL: &[Self] = &[$(Self::$lint),+];

            /// As it is written: in the config, in JSON and in `docs/lint.md`.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$lint => $text),+ }
            }

            /// Why it matters.
            pub const fn why(self) -> &'static str {
                match self { $(Self::$lint => $why),+ }
            }
        }

        const CODES: &[(&str, LintCode)] = &[$(($text, LintCode::$lint)),+];
    };
}

lints! {
    /// `allow` lets in every address there is.
    OpenToTheWorld = "open-to-the-world", "The password is then all that stands between the data and everybody.";
    /// The instance has a public address.
    Public = "public", "Whoever a rule lets in by mistake, or a flaw of PostgreSQL lets in at all, reaches it from anywhere.";
    /// The storage is not encrypted.
    Unencrypted = "unencrypted", "Its snapshots are readable to whoever is given them, and RDS cannot encrypt an instance later.";
    /// No automated backups.
    NoBackup = "no-backup", "Rows that were deleted or overwritten by mistake cannot be brought back.";
    /// No deletion protection.
    Unprotected = "unprotected", "One wrong call, or `destroy` of the wrong file, deletes the database.";
    /// `destroy` leaves no snapshot.
    NoFinalSnapshot = "no-final-snapshot", "The automated backups go with the instance, so that nothing of it is left to restore.";
    /// A deleted secret can be restored for a few days only.
    ShortRecoveryWindow = "short-recovery-window", "A secret that was deleted by mistake is often missed only when somebody is back from a holiday.";
    /// Passwords get old.
    SlowRotation = "slow-rotation", "A password that has leaked works until it is changed, and nobody has seen for so long that rotation still works.";
    /// Clients have hardly time to notice.
    FastRotation = "fast-rotation", "Clients keep a secret for an hour and more, and are refused with a password that has been replaced meanwhile.";
    /// A day of the month that some months lack.
    SkippedMonths = "skipped-months", "AWS takes the expression and does not rotate at all in those months.";
    /// Steps that begin anew with each day, month, week or year.
    UnevenSteps = "uneven-steps", "The time between two rotations is not what the step says: it may be far shorter or longer.";
    /// A weekday as a number.
    NumberedWeekday = "numbered-weekday", "In AWS's expressions 1 is Sunday, in those of Unix it is Monday: it rotates a day earlier than many would read it.";
    /// The window of a cron expression is open for the rest of the day.
    NoWindow = "no-window", "AWS may begin at any time while the window is open, and without a length it is open until midnight UTC.";
    /// A window and a period in days.
    MidnightWindow = "midnight-window", "A period in days opens its window at midnight UTC, on a day that moves with every rotation by hand and every value that is put.";
    /// An RDS Proxy knows the one of two users only that AWSCURRENT names.
    ProxyWithOneSecret = "proxy-with-one-secret", "The proxy knows only the user that AWSCURRENT names: after a rotation it refuses clients that still hold the other's password, which the database would let in.";
    /// Whether there is such a proxy could not be seen.
    ProxiesUnseen = "proxies-unseen", "A proxy that refuses clients after every rotation would not be told.";
    /// An entry of `allow` in `[lint]` that allows nothing.
    UnusedAllow = "unused-allow", "It would hide the same finding, and say a reason of before, should it come back.";
}

impl LintCode {
    /// Whether it is found by asking AWS.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::ProxyWithOneSecret | Self::ProxiesUnseen)
    }
}

impl fmt::Display for LintCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for LintCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl JsonSchema for LintCode {
    fn schema_name() -> Cow<'static, str> {
        "LintCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let all: Vec<_> = Self::ALL.iter().map(|code| code.text()).collect();
        json_schema!({ "description": "Which lint it is: docs/lint.md.", "type": "string", "enum": all })
    }
}

/// What is meant, and where it begins to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Lints {
    /// In the file's order.
    pub allow: Vec<Allowed>,
    /// Days between two rotations that are too many.
    pub slow_after_days: u32,
}

/// A finding that is meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Allowed {
    pub code: Located<LintCode>,
    /// Whose: a login, a CIDR, a proxy; None: anybody's.
    pub of: Option<String>,
    /// Never empty.
    pub reason: String,
}

/// Reads the table; None: something in it is wrong, which was told.
pub(super) fn read(problems: &Problems<'_>, mut table: Table<'_, '_>) -> Option<Lints> {
    let slow_after_days = table.integer("slow_after_days", 1..=1000, " days", Some(SLOW_AFTER_DAYS));
    let mut allow: Vec<Allowed> = Vec::new();
    for mut entry in table.tables("allow", EXAMPLE) {
        let code = entry.string("code", "\"public\"");
        let of = entry.optional_string("of", "\"app\"");
        let reason = entry.string("reason", "\"why it is meant\"");
        entry.finish();
        let (Some(written), Some(reason)) = (code, reason) else { continue };
        let code = choice(problems, "code", &written, CODES);
        let is_plain = of.iter().all(|of| is_plain(problems, of));
        let has_reason = has_reason(problems, &reason);
        let Some(code) = code.filter(|_| is_plain && has_reason) else { continue };
        let allowed = Allowed {
            code: Located { value: code, span: written.span.clone() },
            of: of.map(|of| of.value),
            reason: reason.value,
        };
        if code == LintCode::UnusedAllow {
            let message = "`unused-allow` cannot be allowed";
            wrong(problems, Code::BadValue, &written, message, "remove the entry that allows nothing instead");
        } else if allow.iter().any(|other| other.code == allowed.code && other.of == allowed.of) {
            let of = allowed.of.as_deref().map(|of| format!(" of {}", quoted(of))).unwrap_or_default();
            let message = format!("`{code}`{of} is allowed twice");
            wrong(problems, Code::Duplicate, &written, message, "keep one entry, and one reason");
        }
        allow.push(allowed);
    }
    table.finish();
    Some(Lints { allow, slow_after_days: slow_after_days? })
}

/// Both are shown, on one line of a terminal.
fn is_plain(problems: &Problems<'_>, text: &Located<String>) -> bool {
    let plain = !text.value.contains(is_unprintable);
    if !plain {
        let message = "it holds a character that cannot be seen";
        wrong(problems, Code::BadValue, text, message, "write it on one line, without control characters");
    }
    plain
}

fn has_reason(problems: &Problems<'_>, reason: &Located<String>) -> bool {
    let empty = reason.value.trim().is_empty();
    if empty {
        let message = "the reason is empty: whoever reads it is to know why this is meant";
        let hint = "write for example: reason = \"a test database, made anew every night\"";
        wrong(problems, Code::BadValue, reason, message, hint);
    }
    !empty && is_plain(problems, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_code_is_short_and_its_own() {
        let texts: BTreeSet<_> = LintCode::ALL.iter().map(|code| code.text()).collect();
        assert_eq!(texts.len(), LintCode::ALL.len());
        for text in texts {
            assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && text.len() <= 24, "{text}");
        }
    }

    #[test]
    fn each_says_why_in_one_sentence() {
        for code in LintCode::ALL {
            assert_eq!(code.why().matches(". ").count(), 0, "{code}");
            assert!(code.why().ends_with('.') && code.why().len() > 40, "{code}");
        }
    }
}

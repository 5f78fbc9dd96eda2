//! The kinds of drift: the codes by which every finding can be looked up in `docs/drift.md`, and how much each of
//! them matters. They are stable: scripts match on them, and on nothing else of a finding's text.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// How much a finding matters, most of all first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Clients cannot log in or soon will not, passwords are no longer rotated, or somebody may do what nobody should.
    Critical,
    /// It works, and not as declared.
    Warning,
    /// To be known; it passes, or a person has decided it.
    Info,
}

impl Severity {
    /// As it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Writes the enum, its list and its texts, so that no code lacks one of them.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $code:ident = $text:literal, $severity:ident, $words:literal;)+) => {
        /// Which kind of drift it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DriftCode { $($(#[doc = $doc])+ $code),+ }

        impl DriftCode {
            /// All of them, in the order of the list below.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// As it is written: for people, in JSON and in the documentation.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$code => $text),+ }
            }

            /// How much it matters.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$code => Severity::$severity),+ }
            }

            /// What is wrong, in a few words, where nothing more is known of it.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$code => $words),+ }
            }
        }
    };
}

codes! {
    /// It is declared and not there.
    Missing = "missing", Critical, "it is missing";
    /// An attribute is not as declared.
    Changed = "changed", Warning, "it is not as declared";
    /// It is there and no longer declared.
    NoLongerDeclared = "no-longer-declared", Warning, "it is no longer declared";
    /// Nobody could look at it.
    Unobservable = "unobservable", Warning, "it cannot be looked at";
    /// Somebody's change of it is not finished.
    UnderWay = "under-way", Info, "it is being changed";
    /// It lacks the tags by which it is known as this deployment's.
    TagsMissing = "tags-missing", Warning, "it lacks tags by which it is known as this deployment's";
    /// It lacks tags that the config declares.
    TagsChanged = "tags-changed", Info, "its declared tags are not as declared";

    /// A bucket's public access is not blocked.
    Exposed = "exposed", Critical, "its public access is not blocked";
    /// A security group of ours has rules of nobody we know.
    UnmanagedRule = "unmanaged-rule", Warning, "it has rules that pgrotate did not make";
    /// A security group of ours lets everything out.
    EgressOpen = "egress-open", Warning, "it lets everything out: AWS's own rule is back";

    /// A secret is in its recovery window.
    SecretDeleted = "secret-deleted", Critical, "it was deleted, and can still be restored";
    /// A secret's AWSCURRENT holds nothing that one could log in with.
    SecretUnusable = "secret-unusable", Critical, "its secret holds no usable value";
    /// A secret's JSON lacks a key that AWS's tools need.
    SecretKeyMissing = "secret-key-missing", Warning, "its secret lacks keys";
    /// A secret's JSON names another host, database, instance or strategy than declared.
    SecretNamesAnother = "secret-names-another", Warning, "its secret says otherwise than declared";

    /// AWSCURRENT does not log in.
    CredentialDrift = "credential-drift", Critical, "AWSCURRENT does not log in";
    /// AWSPREVIOUS should log in, and does not.
    PreviousRefused = "previous-refused", Warning, "AWSPREVIOUS does not log in any more";
    /// No answer from the server that AWSCURRENT names.
    DatabaseUnreachable = "database-unreachable", Critical, "the database cannot be reached";
    /// A role or its clone may not log in.
    RoleLocked = "role-locked", Critical, "the role may not log in";
    /// A role's attributes are not as declared.
    RoleAttributes = "role-attributes", Warning, "the role's attributes are not as declared";
    /// A role's settings are not as declared.
    RoleSettings = "role-settings", Warning, "the role's settings are not as declared";
    /// A role is not a member of what it should be, or is not reached by the admin login.
    RoleMemberships = "role-memberships", Warning, "the role's memberships are not as declared";
    /// A role that is to be taken over has not been.
    NotAdopted = "not-adopted", Info, "it is to be taken over, and is not yet";

    /// A secret does not rotate.
    RotationCancelled = "rotation-cancelled", Critical, "it does not rotate";
    /// A secret rotates by another schedule.
    RotationRescheduled = "rotation-rescheduled", Warning, "it does not rotate as declared";
    /// A secret is rotated by another function.
    RotationByAnother = "rotation-by-another", Critical, "another function rotates it";
    /// A rotation should have happened, and has not even begun.
    RotationOverdue = "rotation-overdue", Critical, "the next rotation is overdue";
    /// A rotation was begun long ago and has not ended.
    RotationStuck = "rotation-stuck", Critical, "a rotation was begun over an hour ago and has not finished";
    /// A rotation that is not an hour old has failed.
    RotationFailed = "rotation-failed", Critical, "its rotation has failed";
    /// No rotation has ever ended.
    NeverRotated = "never-rotated", Warning, "no rotation has ever finished";

    /// The certificate of an instance's server ends soon.
    CertificateEnding = "certificate-ending", Warning, "its server's certificate ends soon";
    /// The certificate of an instance's server has ended.
    CertificateEnded = "certificate-ended", Critical, "its server's certificate has ended";
    /// RDS has withdrawn the version that an instance runs.
    EngineDeprecated = "engine-deprecated", Warning, "RDS offers its version no more";

    /// CloudFormation's stack is in a state in which it can only be deleted.
    StackUnusable = "stack-unusable", Critical, "the stack can only be deleted";
    /// The stack was updated by somebody: template, parameters.
    TemplateChanged = "template-changed", Warning, "it is not as declared";
    /// The functions are told other servers than those of the database.
    HostsChanged = "hosts-changed", Warning, "its functions talk to other servers than the database's";
    /// A function was deleted behind its stack.
    FunctionDeleted = "function-deleted", Critical, "a function was deleted behind the stack";
    /// A function runs other code than the artifact's.
    FunctionCode = "function-code", Critical, "a function runs other code than declared";
    /// A function's environment or limits were changed behind its stack.
    FunctionConfiguration = "function-configuration", Critical, "a function was changed behind the stack";
    /// A function's role was changed or deleted behind the stack: its policies, or who may assume it.
    PolicyChanged = "policy-changed", Critical, "a role was changed behind the stack";
    /// Whether Secrets Manager may call the rotation function was changed behind the stack.
    PermissionChanged = "permission-changed", Critical, "the function's permission was changed behind the stack";
    /// An alarm or the rule for rotation events was changed or deleted behind the stack.
    AlertChanged = "alert-changed", Warning, "an alarm or a rule was changed behind the stack";
    /// A function's log group was changed or deleted behind the stack.
    LogGroupChanged = "log-group-changed", Warning, "a log group was changed behind the stack";
}

/// What `drift --fail-on` names: a code, or a severity and whatever is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailOn {
    Code(DriftCode),
    Severity(Severity),
}

impl FailOn {
    /// All of them, the severities first.
    pub const ALL: &[Self] = &{
        const SEVERITIES: [Severity; 3] = [Severity::Critical, Severity::Warning, Severity::Info];
        let mut all = [Self::Severity(Severity::Info); SEVERITIES.len() + DriftCode::ALL.len()];
        let mut place = 0;
        while place < all.len() {
            all[place] = if place < SEVERITIES.len() {
                Self::Severity(SEVERITIES[place])
            } else {
                Self::Code(DriftCode::ALL[place - SEVERITIES.len()])
            };
            place += 1;
        }
        all
    };

    /// As it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Code(code) => code.text(),
            Self::Severity(severity) => severity.text(),
        }
    }

    /// Whether a finding of that code is meant. A severity means what is worse as well: who wants to hear of warnings does
    /// not want to miss what is critical.
    pub fn means(self, found: DriftCode) -> bool {
        match self {
            Self::Code(code) => code == found,
            Self::Severity(severity) => found.severity() <= severity,
        }
    }
}

impl DriftCode {
    /// With what was found, in the place of its own words.
    pub fn found(self, what: impl Into<String>) -> Drift {
        Drift { code: self, found: Some(what.into()), since: None }
    }
}

impl fmt::Display for DriftCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for DriftCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl JsonSchema for DriftCode {
    fn schema_name() -> Cow<'static, str> {
        "DriftCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let all: Vec<_> = Self::ALL.iter().map(|code| code.text()).collect();
        json_schema!({ "description": "Which kind of drift it is: docs/drift.md.", "type": "string", "enum": all })
    }
}

/// Which drift it is, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    pub code: DriftCode,
    /// None: the code's own words and the attributes that have moved say it. Otherwise this says all.
    pub found: Option<String>,
    /// Unix seconds; None where AWS does not tell.
    pub since: Option<i64>,
}

impl From<DriftCode> for Drift {
    fn from(code: DriftCode) -> Self {
        Self { code, found: None, since: None }
    }
}

impl Drift {
    /// Since when, in Unix seconds, where AWS tells.
    pub fn since(mut self, moment: Option<i64>) -> Self {
        self.since = moment;
        self
    }

    /// Since when, as it is written: RFC 3339, UTC.
    pub fn since_text(&self) -> Option<String> {
        jiff::Timestamp::from_second(self.since?).ok().map(|at| at.to_string())
    }

    /// What is wrong, in a few words.
    pub fn what(&self) -> &str {
        self.found.as_deref().unwrap_or(self.code.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_code_is_short_and_its_own() {
        let texts: BTreeSet<_> = DriftCode::ALL.iter().map(|code| code.text()).collect();
        assert_eq!(texts.len(), DriftCode::ALL.len());
        for text in texts {
            let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            assert!(plain && text.len() <= 24, "{text}");
        }
    }

    /// Each word of `--fail-on` means one thing.
    #[test]
    fn no_code_is_called_as_a_severity_is() {
        let texts: BTreeSet<_> = FailOn::ALL.iter().map(|on| on.text()).collect();
        assert_eq!(texts.len(), DriftCode::ALL.len() + 3);
    }

    #[test]
    fn a_severity_means_what_is_worse_as_well() {
        for (severity, means) in [
            (Severity::Critical, [true, false, false]),
            (Severity::Warning, [true, true, false]),
            (Severity::Info, [true, true, true]),
        ] {
            let found = [DriftCode::Missing, DriftCode::Changed, DriftCode::UnderWay];
            assert_eq!(found.map(|code| FailOn::Severity(severity).means(code)), means);
        }
        assert!(FailOn::Code(DriftCode::Changed).means(DriftCode::Changed));
        assert!(!FailOn::Code(DriftCode::Changed).means(DriftCode::Missing));
    }

    /// Findings are sorted by it.
    #[test]
    fn what_matters_most_comes_first() {
        assert!(Severity::Critical < Severity::Warning && Severity::Warning < Severity::Info);
    }
}

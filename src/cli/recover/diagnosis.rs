//! What is wrong with a login, and what puts it right: pure, from what was seen.
//!
//! One rule stands above the others: a password that logs in is never taken away. So a version that logs in is made
//! current rather than its password replaced, and a stored password is set again only where no other version of the
//! same role gets in.

use crate::aws::SecretLook;
use crate::command::FILE;
use crate::resources::login::Desired;
use crate::resources::recovery::Sight;
use function_contract::{
    Duty, Fact, LoginAttempt, LoginFacts, Obstacle, Strategy, VersionFacts, alternate, clone_of, obstacles, told,
};
use std::fmt;

/// Of a login: what was found, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Diagnosis {
    /// One line each.
    pub found: Vec<String>,
    pub verdict: Verdict,
    /// What a person should know beside the steps.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Healthy,
    /// Never empty.
    Steps(Vec<Step>),
    /// Something that is not for pgrotate to change.
    Refused {
        cause: String,
        hint: String,
    },
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// `function_contract::Recovery::SetAgain`, and why.
    SetAgain { role: String, why: String },
    /// `function_contract::Recovery::MakeCurrent`.
    MakeCurrent { version: String, role: String, ends_rotation: bool },
    /// AWSPENDING off a version with which nothing will come of it.
    EndPending { version: String, why: &'static str },
    /// RotateSecret, followed to its end.
    Rotate,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetAgain { role, why } => write!(
                f,
                "make the database agree with the secret again ({role}: {why}): the stored passwords are set where they \
                 do not log in, and NOLOGIN, a CONNECTION LIMIT of 0 or a VALID UNTIL in the past is taken back. A \
                 password that somebody has set by hand is lost"
            ),
            Self::MakeCurrent { version, role, ends_rotation: true } => write!(
                f,
                "end the rotation: version {version} logs in as {role} and becomes AWSCURRENT, which is all that it lacked"
            ),
            Self::MakeCurrent { version, role, ends_rotation: false } => write!(
                f,
                "make version {version} AWSCURRENT again: it logs in as {role}, and what AWSCURRENT holds now does not"
            ),
            Self::EndPending { version, why } => {
                write!(f, "take AWSPENDING from version {version}, {why}: the rotation that stands in the way ends")
            }
            Self::Rotate => f.write_str("rotate, and follow it to its end: the password changes"),
        }
    }
}

/// `now`: the time of observation; `comment` and all that is declared come from `want`.
pub(super) fn diagnose(want: &Desired, sight: &Sight, now: jiff::Timestamp) -> Diagnosis {
    let Sight { secret, facts, admin_logs_in, said } = sight;
    let mut diagnosis = Diagnosis { found: found(want, sight), verdict: Verdict::Healthy, notes: Vec::new() };
    if let Some(said) = said {
        diagnosis.found.push(format!("the rotation function said last: {said}"));
    }
    let Some(current) = labelled(facts, secret, "AWSCURRENT") else {
        return diagnosis
            .refused("its secret has no value yet", format!("pgrotate apply {FILE} provisions {}", want.login));
    };
    if let Some((cause, hint)) = not_ours(want, facts) {
        return diagnosis.refused(cause, hint);
    }
    let mut steps = Vec::new();
    match &current.login {
        LoginAttempt::Succeeded => {}
        LoginAttempt::NoValue => match facts.versions.iter().find(|version| version.login == LoginAttempt::Succeeded) {
            Some(other) => steps.push(make_current(other, secret)),
            None => {
                let hint = "put a value with AWS's keys there by hand (aws secretsmanager put-secret-value), with any \
                            password, and recover again";
                return diagnosis.refused("AWSCURRENT holds no usable value, and no other version logs in", hint);
            }
        },
        LoginAttempt::Unreachable { message } => {
            let cause = format!("AWSCURRENT cannot be tried: {message}");
            // Where another version of the same secret is tried, it is the value that is in the way, and not the network.
            let other = facts.versions.iter().find(|version| version.login == LoginAttempt::Succeeded);
            let Some(other) = other else {
                let hint =
                    format!("pgrotate drift {FILE} tells what stands in the way; pgrotate apply {FILE} mends it");
                return diagnosis.refused(cause, hint);
            };
            let hint = format!(
                "version {} logs in: aws secretsmanager update-secret-version-stage --secret-id {} --version-stage \
                 AWSCURRENT --move-to-version-id {} --remove-from-version-id {} puts it back",
                other.version, want.secret_name, other.version, current.version
            );
            return diagnosis.refused(cause, hint);
        }
        LoginAttempt::Refused { sqlstate, message } => match of_refused(want, facts, secret, current, now) {
            Ok(step) => steps.push(step),
            Err(Refused(cause, hint)) => {
                let cause = cause.unwrap_or_else(|| format!("{message} (SQLSTATE {sqlstate})"));
                return diagnosis.refused(format!("AWSCURRENT does not log in: {cause}"), hint);
            }
        },
    }
    of_pending(want, sight, current, &mut steps);
    if *admin_logs_in == Some(false) {
        steps.retain(|step| *step != Step::Rotate);
        diagnosis.notes.push(
            "the admin login does not get in, so no rotation can work: recover it first, then rotate this one"
                .to_owned(),
        );
    }
    if !secret.rotation_enabled {
        steps.retain(|step| *step != Step::Rotate);
        diagnosis.notes.push(format!("rotation is switched off for it: pgrotate apply {FILE} switches it on"));
    }
    // Where a rotation follows, or is to end first, that is about the same role.
    if current.login == LoginAttempt::Succeeded
        && let Some((role, obstacles)) = facts.previous_kept_out(want.strategy)
        && let Some(why) = told(&obstacles)
    {
        steps.push(Step::SetAgain { role: role.to_owned(), why });
    }
    if !steps.is_empty() {
        diagnosis.verdict = Verdict::Steps(steps);
    }
    diagnosis
}

impl Diagnosis {
    fn refused(mut self, cause: impl Into<String>, hint: impl Into<String>) -> Self {
        self.verdict = Verdict::Refused { cause: cause.into(), hint: hint.into() };
        self
    }
}

/// A rotation that has not ended.
fn of_pending(want: &Desired, sight: &Sight, current: &VersionFacts, steps: &mut Vec<Step>) {
    let secret = &sight.secret;
    let Some(token) = secret.pending() else { return };
    if steps.iter().any(|step| matches!(step, Step::MakeCurrent { version, .. } if version == token)) {
        return;
    }
    let pending = sight.facts.versions.iter().find(|version| version.version == token);
    let user = current.username.as_deref().unwrap_or_default();
    let in_turn = match want.strategy {
        Strategy::AlternatingUsers => alternate(&want.login, user),
        Strategy::SingleUser => Some(user.to_owned()),
    };
    let why = match pending {
        Some(pending)
            if pending.login == LoginAttempt::Succeeded
                && pending.username == in_turn
                && pending.host == current.host
                && pending.alternating == current.alternating =>
        {
            steps.push(make_current(pending, secret));
            return;
        }
        Some(VersionFacts { login: LoginAttempt::Succeeded, .. }) => "which is not what AWSCURRENT would turn into",
        Some(VersionFacts { username: Some(_), .. }) => "which does not log in",
        _ => "which holds no value",
    };
    steps.extend([Step::EndPending { version: token.to_owned(), why }, Step::Rotate]);
}

fn make_current(version: &VersionFacts, secret: &SecretLook) -> Step {
    Step::MakeCurrent {
        version: version.version.clone(),
        role: version.username.clone().unwrap_or_default(),
        ends_rotation: secret.pending() == Some(version.version.as_str()),
    }
}

/// A cause, or the server's own words, and a hint.
struct Refused(Option<String>, String);

/// What puts an AWSCURRENT right that the server refuses.
fn of_refused(
    want: &Desired,
    facts: &LoginFacts,
    secret: &SecretLook,
    current: &VersionFacts,
    now: jiff::Timestamp,
) -> Result<Step, Refused> {
    let name = current.username.clone().unwrap_or_default();
    // Somebody has a password of the same role that logs in, and has it from the secret.
    let same_role = |other: &&VersionFacts| {
        other.login == LoginAttempt::Succeeded && other.username == current.username && other.host == current.host
    };
    if let Some(other) = facts.versions.iter().find(same_role) {
        return Ok(make_current(other, secret));
    }
    let LoginAttempt::Refused { sqlstate, .. } = &current.login else {
        unreachable!("the caller has seen that it was refused")
    };
    let Fact::Known(role) = facts.role_named(&name) else {
        let why = "nobody got in to look at the role: it is found out by the master user".to_owned();
        return Ok(Step::SetAgain { role: name, why });
    };
    let found = obstacles(role.as_ref(), sqlstate);
    let Some(why) = told(&found) else {
        return Err(Refused(None, "do in the database what the server says, and recover again".to_owned()));
    };
    if let Some(stays) = found.iter().find(|obstacle| !obstacle.is_removable()) {
        let hint = match stays {
            Obstacle::LimitReached(_) => format!(
                "its sessions are in pg_stat_activity (usename = '{name}'): end some, or raise connection_limit of \
                 `{}` and apply",
                want.login
            ),
            _ => {
                "end sessions (pg_stat_activity), or raise max_connections; nothing is wrong with the login".to_owned()
            }
        };
        return Err(Refused(Some(why), hint));
    }
    for obstacle in &found {
        let declared = match obstacle {
            Obstacle::NoConnections if want.attributes.connection_limit == Some(0) => "connection_limit = 0",
            Obstacle::Expired(_) if declared_expired(want, now) => "valid_until in the past",
            _ => continue,
        };
        let hint = format!("change that in the config, and apply: pgrotate apply {FILE} makes `{}` so", want.login);
        return Err(Refused(Some(format!("{declared} is declared of it")), hint));
    }
    Ok(Step::SetAgain { role: name, why })
}

fn declared_expired(want: &Desired, now: jiff::Timestamp) -> bool {
    let declared = want.attributes.valid_until.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    declared.is_some_and(|until| until < now)
}

fn labelled<'a>(facts: &'a LoginFacts, secret: &SecretLook, label: &str) -> Option<&'a VersionFacts> {
    let version = secret.labelled(label)?;
    facts.versions.iter().find(|facts| facts.version == version)
}

fn not_ours(want: &Desired, facts: &LoginFacts) -> Option<(String, String)> {
    let (mark, clone) = (want.comment(), clone_of(&want.login));
    let mut roles = vec![(&want.login, &facts.role)];
    if want.strategy == Strategy::AlternatingUsers && want.duty == Duty::User {
        roles.push((&clone, &facts.clone));
    }
    roles.into_iter().find_map(|(name, role)| match role {
        Fact::Known(Some(role)) if !mark.marks(role.comment.as_deref()) => Some((
            format!("the role `{name}` is not this deployment's"),
            format!(
                "if it may be taken over, say so on it: COMMENT ON ROLE \"{}\" IS '{}'",
                name.replace('"', "\"\""),
                mark.text().replace('\'', "''")
            ),
        )),
        _ => None,
    })
}

/// How everything stands, for a person.
fn found(want: &Desired, sight: &Sight) -> Vec<String> {
    let Sight { secret, facts, .. } = sight;
    let mut lines = Vec::new();
    for version in &facts.versions {
        let user = version.username.as_deref().unwrap_or("nobody");
        let how = match &version.login {
            LoginAttempt::Succeeded => "logs in".to_owned(),
            LoginAttempt::NoValue => "holds no usable value".to_owned(),
            LoginAttempt::Unreachable { message } => format!("cannot be tried: {message}"),
            LoginAttempt::Refused { sqlstate, message } => {
                let why = told(&facts.obstacles_of(version)).unwrap_or_else(|| message.clone());
                format!("does not log in: {why} (SQLSTATE {sqlstate})")
            }
        };
        lines.push(format!("{} (version {}) is for {user} and {how}", version.labels.join(", "), version.version));
    }
    for (what, name, role) in
        [("the role", want.login.clone(), &facts.role), ("its clone", clone_of(&want.login), &facts.clone)]
    {
        match role {
            Fact::Unknown(why) => lines.push(format!("{what} {name} could not be looked at: {why}")),
            Fact::Known(None) if want.strategy == Strategy::AlternatingUsers || name == want.login => {
                lines.push(format!("{what} {name} does not exist"));
            }
            Fact::Known(_) => {}
        }
    }
    let current = labelled(facts, secret, "AWSCURRENT").and_then(|version| version.username.as_deref());
    if want.strategy == Strategy::AlternatingUsers
        && let Some(next) = current.and_then(|current| alternate(&want.login, current))
    {
        lines.push(format!("the next turn is {next}'s"));
    }
    match secret.pending() {
        Some(version) => lines.push(format!(
            "a rotation (version {version}) has not ended; the secret last changed {}",
            secret
                .changed
                .and_then(|at| jiff::Timestamp::from_second(at).ok())
                .map_or("never".to_owned(), |at| at.to_string())
        )),
        None => lines.push("no rotation is under way or stuck".to_owned()),
    }
    lines
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

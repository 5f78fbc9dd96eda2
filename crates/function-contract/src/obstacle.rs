//! What stands between a stored password and a session, told apart by SQLSTATE and catalogue.

use crate::{Fact, LoginAttempt, LoginFacts, RoleFacts, Strategy, VersionFacts, clone_of};
use std::fmt;

/// PostgreSQL's code for a wrong password, an unknown role, and one whose VALID UNTIL has passed: it answers all
/// three alike, so as to tell nothing to whoever guesses (`auth_failed` in its `src/backend/libpq/auth.c`).
const INVALID_PASSWORD: &str = "28P01";

/// Its code for a limit on connections that is reached: the role's own, the database's or the server's.
const TOO_MANY_CONNECTIONS: &str = "53300";

/// One reason why a role is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The role does not exist.
    NoRole,
    /// NOLOGIN.
    NoLogin,
    /// VALID UNTIL has passed; as PostgreSQL prints it in UTC.
    Expired(String),
    /// CONNECTION LIMIT 0.
    NoConnections,
    /// As many sessions as the role's CONNECTION LIMIT allows.
    LimitReached(i32),
    /// The server, or the database, takes no more sessions.
    ServerFull,
    /// The password is another one.
    WrongPassword,
}

impl Obstacle {
    /// Whether provisioning can take it away: what is left is for a person.
    pub fn is_removable(&self) -> bool {
        !matches!(self, Self::LimitReached(_) | Self::ServerFull)
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRole => f.write_str("the role does not exist"),
            Self::NoLogin => f.write_str("the role may not log in (NOLOGIN)"),
            Self::Expired(until) => write!(f, "its VALID UNTIL has passed ({until})"),
            Self::NoConnections => f.write_str("its CONNECTION LIMIT is 0"),
            Self::LimitReached(limit) => write!(f, "its CONNECTION LIMIT of {limit} is reached"),
            Self::ServerFull => f.write_str("the server or the database takes no more connections"),
            Self::WrongPassword => f.write_str("its password is another one"),
        }
    }
}

/// Why a role was refused with `sqlstate`: all that the catalogue shows to be in the way, and the password where
/// nothing else explains the answer. Empty where the reason is none of these (no line in pg_hba.conf, no such
/// database, no CONNECT on it): then the server's own message says more. `role`: None where it does not exist.
///
/// PostgreSQL looks at VALID UNTIL together with the password, and at LOGIN and the limits only after it
/// (`InitializeSessionUserId` in its `src/backend/utils/init/miscinit.c`): a role that is refused for either of
/// those has had the right one.
pub fn obstacles(role: Option<&RoleFacts>, sqlstate: &str) -> Vec<Obstacle> {
    let Some(role) = role else { return vec![Obstacle::NoRole] };
    let mut found = Vec::new();
    if !role.can_login {
        found.push(Obstacle::NoLogin);
    }
    if role.expired {
        found.push(Obstacle::Expired(role.valid_until.clone().unwrap_or_default()));
    }
    if role.connection_limit == 0 {
        found.push(Obstacle::NoConnections);
    }
    match sqlstate {
        // Behind an expiry nobody can tell whether the password is right as well.
        INVALID_PASSWORD if !role.expired => found.push(Obstacle::WrongPassword),
        TOO_MANY_CONNECTIONS if role.connection_limit > 0 => found.push(Obstacle::LimitReached(role.connection_limit)),
        TOO_MANY_CONNECTIONS if role.connection_limit < 0 => found.push(Obstacle::ServerFull),
        _ => {}
    }
    found
}

/// The same as one text; None where none of them is the reason.
pub fn told(obstacles: &[Obstacle]) -> Option<String> {
    let all: Vec<_> = obstacles.iter().map(Obstacle::to_string).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

impl LoginFacts {
    /// The version that carries `label`.
    pub fn labelled(&self, label: &str) -> Option<&VersionFacts> {
        self.versions.iter().find(|version| version.labels.iter().any(|has| has == label))
    }

    /// The role of that name, the login's own or its clone.
    pub fn role_named(&self, name: &str) -> &Fact<Option<RoleFacts>> {
        if name == clone_of(&self.login) { &self.clone } else { &self.role }
    }

    /// Why `version` was refused, as the catalogue explains it; empty where it was not, or where nobody could look.
    pub fn obstacles_of(&self, version: &VersionFacts) -> Vec<Obstacle> {
        let (LoginAttempt::Refused { sqlstate, .. }, Some(name)) = (&version.login, &version.username) else {
            return Vec::new();
        };
        match self.role_named(name) {
            Fact::Known(role) => obstacles(role.as_ref(), sqlstate),
            Fact::Unknown(_) => Vec::new(),
        }
    }

    /// Role and obstacles of an AWSPREVIOUS that the other of two users should log in with, and does not, where
    /// provisioning can take all of them away. A version for the same role, or for a server of the past, is not
    /// expected to log in; and while a rotation is under way, its role is being given another password.
    pub fn previous_kept_out(&self, strategy: Strategy) -> Option<(&str, Vec<Obstacle>)> {
        let current = self.labelled("AWSCURRENT")?;
        let idle = self.labelled("AWSPENDING").is_none_or(|pending| pending.version == current.version);
        let previous = self.labelled("AWSPREVIOUS").filter(|previous| {
            strategy == Strategy::AlternatingUsers
                && idle
                && previous.username != current.username
                && previous.host == current.host
        })?;
        let found = self.obstacles_of(previous);
        let name = previous.username.as_deref()?;
        (!found.is_empty() && found.iter().all(Obstacle::is_removable)).then_some((name, found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(change: impl FnOnce(&mut RoleFacts)) -> RoleFacts {
        let mut role = RoleFacts { can_login: true, connection_limit: -1, ..RoleFacts::default() };
        change(&mut role);
        role
    }

    #[test]
    fn one_answer_of_the_server_has_several_reasons() {
        let sound = role(|_| ());
        let expired = role(|role| (role.expired, role.valid_until) = (true, Some("2000-01-01".to_owned())));
        let limited = |limit| role(|role| role.connection_limit = limit);
        let barred = role(|role| role.can_login = false);
        for (role, sqlstate, found) in [
            (Some(&sound), "28P01", vec![Obstacle::WrongPassword]),
            (Some(&expired), "28P01", vec![Obstacle::Expired("2000-01-01".to_owned())]),
            (None, "28P01", vec![Obstacle::NoRole]),
            (Some(&barred), "28000", vec![Obstacle::NoLogin]),
            (Some(&barred), "28P01", vec![Obstacle::NoLogin, Obstacle::WrongPassword]),
            (Some(&sound), "28000", Vec::new()),
            (Some(&limited(0)), "53300", vec![Obstacle::NoConnections]),
            (Some(&limited(3)), "53300", vec![Obstacle::LimitReached(3)]),
            (Some(&sound), "53300", vec![Obstacle::ServerFull]),
            (Some(&sound), "3D000", Vec::new()),
        ] {
            assert_eq!(obstacles(role, sqlstate), found, "{role:?} {sqlstate}");
        }
    }
}

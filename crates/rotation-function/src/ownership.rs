//! What a function may touch: secrets with our tags, roles with our mark, hosts on the list.

use crate::config::Config;
use crate::error::FunctionError;
use crate::roles::Role;
use crate::secret::SecretValue;
use crate::store::SecretInfo;
use function_contract::{IDENTIFIER_BYTES, PasswordPolicy, RoleComment, clone_of, decode_tag, tag};

/// The base login that a secret of this deployment is for; its tags say both.
pub fn login_of(config: &Config, info: &SecretInfo) -> Result<String, FunctionError> {
    let refuse = |because: String| Err(FunctionError::refused(&info.arn, because));
    match info.tags.get(tag::DEPLOYMENT) {
        Some(deployment) if *deployment == config.deployment => {}
        other => {
            let (key, ours, found) = (tag::DEPLOYMENT, &config.deployment, other.map_or("nothing", String::as_str));
            return refuse(format!("its tag {key} says {found} and this function serves {ours}"));
        }
    }
    let Some(login) = info.tags.get(tag::LOGIN).and_then(|text| decode_tag(text)) else {
        return refuse(format!("its tag {} is missing or unreadable: apply the deployment again", tag::LOGIN));
    };
    refuse_reserved(&login)?;
    Ok(login)
}

/// How the secret's passwords are made, by its tag. A secret without one was made before there was a choice.
pub fn passwords_of(info: &SecretInfo) -> Result<PasswordPolicy, FunctionError> {
    let Some(text) = info.tags.get(tag::PASSWORDS) else { return Ok(PasswordPolicy::default()) };
    PasswordPolicy::read_tag(text).map_err(|error| {
        // Making them otherwise than declared would be found out by the application that cannot take them.
        FunctionError::refused(&info.arn, format!("its tag {}: {error}: apply the deployment again", tag::PASSWORDS))
    })
}

/// Refuses names that belong to PostgreSQL or to RDS, and those PostgreSQL cannot hold.
pub fn refuse_reserved(login: &str) -> Result<(), FunctionError> {
    let refuse = |because: &str| Err(FunctionError::BadEvent(format!("login {login:?} is refused: {because}")));
    // Case counts in a role's name, and a role called RDS_x is nobody's but the user's; refusing it too costs
    // nothing and leaves no name that a person could mistake.
    let folded = login.to_ascii_lowercase();
    if login.is_empty() || login.contains('\0') {
        refuse("it is empty or holds a NUL")
    } else if folded == "postgres" || folded.starts_with("pg_") || folded.starts_with("rds") {
        refuse("names of PostgreSQL and of RDS (postgres, pg_…, rds…) are never touched")
    } else if login.len() > IDENTIFIER_BYTES {
        refuse("PostgreSQL holds 63 bytes of a name and cuts the rest")
    } else {
        Ok(())
    }
}

/// Refuses a login whose clone's name PostgreSQL would cut to that of another role.
pub fn refuse_long_clone(login: &str) -> Result<(), FunctionError> {
    let clone = clone_of(login);
    if clone.len() <= IDENTIFIER_BYTES {
        return Ok(());
    }
    Err(FunctionError::BadEvent(format!(
        "login {login:?} is refused: {clone:?} has {} bytes and PostgreSQL holds {IDENTIFIER_BYTES}: choose a shorter login, \
         or the single-user strategy",
        clone.len()
    )))
}

/// Refuses a secret that says it is the admin login's and is not the one that the environment names: with the admin login's
/// help, whoever can tag a secret would have its password set to one of theirs.
pub fn refuse_second_admin(secret: &str, login: &str, admin: &str) -> Result<(), FunctionError> {
    if login != admin {
        return Ok(());
    }
    Err(FunctionError::refused(secret, format!("it is for the admin login {admin:?}, which has another secret")))
}

/// Refuses a value that names another server or another role than the secret is for.
pub fn check_value(config: &Config, secret: &str, login: &str, value: &SecretValue) -> Result<(), FunctionError> {
    if !config.hosts.allow(&value.host, value.port) {
        let because = format!("it names {}, which is not a server of this deployment", value.address());
        return Err(FunctionError::refused(secret, because));
    }
    check_user(secret, login, value)
}

/// Refuses a value that names another role than the secret is for.
pub fn check_user(secret: &str, login: &str, value: &SecretValue) -> Result<(), FunctionError> {
    if value.username != login && value.username != clone_of(login) {
        let because = format!("it names user {:?} and is for login {login:?}", value.username);
        return Err(FunctionError::refused(secret, because));
    }
    Ok(())
}

/// The mark on the base login's role, which its clone must carry too.
pub fn mark_of_base(config: &Config, base: &str, role: Option<&Role>) -> Result<RoleComment, FunctionError> {
    let mark = RoleComment::read(role.and_then(|role| role.facts.comment.as_deref()));
    mark.filter(|mark| mark.deployment == config.deployment).ok_or_else(|| {
        // Its address is not known here; that of a login which is declared under its own name is this.
        let mark = RoleComment { deployment: config.deployment.clone(), address: format!("login.{base}") };
        not_ours(base, &mark, None)
    })
}

/// Refuses a role that does not carry `mark`. `admin`: who would need ADMIN OPTION to take it over.
pub fn check_mark(role: &Role, mark: &RoleComment, admin: Option<&str>) -> Result<(), FunctionError> {
    if mark.marks(role.facts.comment.as_deref()) { Ok(()) } else { Err(not_ours(&role.name, mark, admin)) }
}

/// Whether a role that a deployment may take over is one to take over: marked by no deployment, no administrator of
/// others, and, where it is a clone, a member of its base, as AWS's function makes it. A role that only happens to be
/// called so is somebody's own.
pub fn adoptable(role: &Role, mark: &RoleComment, base: &str) -> bool {
    let comment = role.facts.comment.as_deref();
    let marked = mark.marks(comment) || comment.is_some_and(|comment| comment.starts_with("pgrotate:"));
    let administers = role.facts.create_role || role.rds_superuser;
    let is_its_clone = role.name == base || role.facts.member_of.iter().any(|group| group == base);
    !marked && !administers && is_its_clone
}

/// A comment with the mark before what it said.
pub fn marked(mark: &RoleComment, comment: Option<&str>) -> String {
    match comment.filter(|comment| !comment.is_empty()) {
        Some(comment) => format!("{} {comment}", mark.text()),
        None => mark.text(),
    }
}

fn not_ours(role: &str, mark: &RoleComment, admin: Option<&str>) -> FunctionError {
    FunctionError::RoleNotOurs {
        role: role.to_owned(),
        quoted: crate::database::identifier(role),
        mark: mark.text(),
        grant: admin.map(|admin| crate::roles::admin_grant(role, admin)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_postgresql_and_rds_are_never_touched() {
        let long = "é".repeat(32);
        for name in ["", "postgres", "Postgres", "pg_monitor", "rdsadmin", "rds_superuser", "RDS_x", "a\0b", &long] {
            assert!(matches!(refuse_reserved(name), Err(FunctionError::BadEvent(_))), "{name:?}");
        }
        for name in ["test_user1", "postgres_app", "pgrotate", "x_clone", &"é".repeat(31)] {
            assert!(refuse_reserved(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn a_clones_name_counts_in_bytes() {
        assert!(refuse_long_clone(&"a".repeat(57)).is_ok());
        assert!(refuse_long_clone(&"a".repeat(58)).is_err());
        assert!(refuse_long_clone(&"é".repeat(29)).is_err());
    }
}

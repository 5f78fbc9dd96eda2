//! What can be wrong with a login: its role, its secret's value, and whether the two agree.

use crate::command::FILE;
use super::adoption::{adopts, not_ours};
use super::{Desired, Observed, Says};
use crate::drift::{Drift, DriftCode};
use crate::resource::Refusal;
use crate::resources::database::Servers;
use function_contract::{
    DatabaseId, Duty, LoginAttempt, Obstacle, RoleAttributes, RoleFacts, Strategy, clone_of, same_setting, setting, told,
};

/// What is wrong with a login that was seen; None where it is as it should be. `servers` are those that its secret may
/// name, where they are known.
pub(super) fn lacks(
    want: &Desired,
    live: &Observed,
    servers: Option<&Servers>,
) -> Result<Option<Drift>, Refusal> {
    let (login, role) = (&want.login, &live.role);
    if !want.comment().marks(role.comment.as_deref()) {
        if adopts(want, live) {
            let what = "the role exists, was not made by this deployment, and is taken over (adopt)";
            return Ok(Some(DriftCode::NotAdopted.found(what)));
        }
        return Err(not_ours(want, role));
    }
    if !role.can_login {
        let what = format!("the role may not log in (NOLOGIN); pgrotate recover {FILE} {login} puts it right");
        return Ok(Some(DriftCode::RoleLocked.found(what)));
    }
    if live.clone_kept_out && want.strategy == Strategy::AlternatingUsers {
        let what = format!("its clone may not log in (NOLOGIN); pgrotate recover {FILE} {login} puts it right");
        return Ok(Some(DriftCode::RoleLocked.found(what)));
    }
    match want.duty {
        Duty::Admin if !role.create_role => {
            return Ok(Some(DriftCode::RoleAttributes.found("the role lacks CREATEROLE")));
        }
        Duty::User => {
            if let Some((_, admin)) = &want.admin
                && want.strategy == Strategy::AlternatingUsers
                && !role.administered_by.contains(admin)
            {
                let what = format!("`{admin}` has no ADMIN OPTION on the role");
                return Ok(Some(DriftCode::RoleMemberships.found(what)));
            }
        }
        Duty::Admin => {}
    }
    if let Some(drift) = lacks_attributes(&want.attributes, role) {
        return Ok(Some(drift));
    }
    // The functions log in as nobody else, and put nothing in the place of what names somebody else.
    if let Some(user) = live.current_user.as_deref().filter(|user| *user != login && *user != clone_of(login)) {
        let what = format!("its secret says username {user}; pgrotate recover {FILE} {login} tells more");
        return Ok(Some(DriftCode::SecretNamesAnother.found(what)));
    }
    if let Some(Says { host, database, instance, cluster, strategy }) = &live.says {
        // A replica is as good as the writer: the value's owner may have chosen it.
        if let (Some(host), Some(servers)) = (host, servers)
            && !servers.has(host)
        {
            let what = format!("its secret says host {host}, and the database is at {servers}");
            return Ok(Some(DriftCode::SecretNamesAnother.found(what)));
        }
        let named = match want.database_id {
            DatabaseId::Instance(_) => instance,
            DatabaseId::Cluster(_) => cluster,
        };
        for (what, is, should) in [
            ("dbname", database.as_deref(), want.database.as_str()),
            (want.database_id.key(), named.as_deref(), want.database_id.name()),
            ("strategy", Some(strategy.as_str()), want.strategy.as_str()),
        ] {
            if is != Some(should) {
                let is = is.unwrap_or("nothing");
                let what = format!("its secret says {what} {is}, and {should} is declared");
                return Ok(Some(DriftCode::SecretNamesAnother.found(what)));
            }
        }
    }
    if let Some(Says { instance: Some(instance), cluster: Some(cluster), .. }) = &live.says {
        let what = format!("its secret says dbInstanceIdentifier {instance} and dbClusterIdentifier {cluster}: only one can be");
        return Ok(Some(DriftCode::SecretNamesAnother.found(what)));
    }
    if !live.missing_keys.is_empty() {
        let what = format!("AWSCURRENT lacks {}", live.missing_keys.join(", "));
        return Ok(Some(DriftCode::SecretKeyMissing.found(what)));
    }
    Ok(match &live.current {
        None => Some(DriftCode::SecretUnusable.found("its secret holds no value yet")),
        Some(LoginAttempt::Succeeded) => None,
        Some(LoginAttempt::Refused { sqlstate, message }) => {
            let found = &live.current_kept_out;
            let why = told(found).unwrap_or_else(|| message.clone());
            // What else is in the way, a person takes away: `recover` says how.
            let way = if !found.is_empty() && found.iter().all(Obstacle::is_removable) {
                "puts it right"
            } else {
                "tells more"
            };
            let what = format!("AWSCURRENT does not log in: {why} ({sqlstate}); pgrotate recover {FILE} {login} {way}");
            Some(DriftCode::CredentialDrift.found(what))
        }
        Some(LoginAttempt::Unreachable { message }) => {
            Some(DriftCode::DatabaseUnreachable.found(format!("the database cannot be reached: {message}")))
        }
        Some(LoginAttempt::NoValue) => {
            let what = format!("AWSCURRENT holds no usable value; pgrotate recover {FILE} {login} tells more");
            Some(DriftCode::SecretUnusable.found(what))
        }
    })
}

/// What is declared of a role and not so; None where all is.
fn lacks_attributes(want: &RoleAttributes, role: &RoleFacts) -> Option<Drift> {
    let RoleAttributes { member_of, settings, connection_limit, valid_until } = want;
    if let Some(group) = member_of.iter().find(|group| !role.member_of.contains(group)) {
        return Some(DriftCode::RoleMemberships.found(format!("the role is not a member of `{group}`")));
    }
    for (name, value) in settings {
        let what = match setting(&role.settings, name) {
            Some(is) if same_setting(name, is, value) => continue,
            Some(is) => format!("the role's setting {name} is {is}, and {value} is declared"),
            None => format!("the role lacks the setting {name} = {value}"),
        };
        return Some(DriftCode::RoleSettings.found(what));
    }
    if let Some(limit) = connection_limit.filter(|limit| *limit != role.connection_limit) {
        let what = format!("the role's connection limit is {}, and {limit} is declared", role.connection_limit);
        return Some(DriftCode::RoleAttributes.found(what));
    }
    // PostgreSQL writes a moment its own way: compared as moments, not as texts.
    let moment = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let until = valid_until.as_deref()?;
    let is = role.valid_until.as_deref().unwrap_or("infinity");
    (moment(is) != moment(until)).then(|| {
        DriftCode::RoleAttributes.found(format!("the role is valid until {is}, and {until} is declared"))
    })
}

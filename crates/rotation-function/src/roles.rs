//! Roles: what the catalogue says of them, and the statements that change them.

use crate::database::{DatabaseError, Session, column, identifier, literal};
use crate::scram::{DEFAULT_ITERATIONS, Verifier};
use function_contract::{
    Obstacle, RoleAttributes, RoleComment, RoleFacts, name_list, obstacles, same_setting, setting, told,
};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use tokio_postgres::types::Type;

/// `server_version_num` from which CREATEROLE reaches only roles held WITH ADMIN OPTION, and GRANT knows
/// INHERIT and SET.
const ADMIN_OPTION_COUNTS: i32 = 160_000;

/// What the server is like.
#[derive(Debug, Clone, Copy)]
pub struct ServerFacts {
    /// `server_version_num`.
    pub version: i32,
    /// What it would take for a new verifier; its own setting from 16, 4096 before.
    pub iterations: NonZeroU32,
    /// RDS's `rds.restrict_password_commands`: only members of rds_password may set passwords, their own
    /// included.
    pub restricts_passwords: bool,
    /// Whether the session's login is a member of rds_password, directly or not.
    pub in_rds_password: bool,
    /// A standby, or an instance that restores: it takes no change, and its advisory locks are its own.
    pub is_replica: bool,
}

impl ServerFacts {
    /// Asks the server.
    pub async fn read(session: &impl Session) -> Result<Self, DatabaseError> {
        const SQL: &str = "SELECT current_setting('server_version_num')::int4, \
             current_setting('scram_iterations', true)::int4, \
             COALESCE(current_setting('rds.restrict_password_commands', true), 'off'), pg_is_in_recovery(), \
             COALESCE((SELECT pg_has_role(session_user, r.oid, 'MEMBER') FROM pg_roles r WHERE r.rolname = 'rds_password'), false)";
        let rows = session.query("the server's settings", SQL, &[]).await?;
        let Some(row) = rows.first() else {
            let (server, what) = ("the server".to_owned(), "a query of its settings");
            return Err(DatabaseError::Unexpected { server, what, because: "no row".to_owned() });
        };
        let iterations: Option<i32> = column(row, 1)?;
        let restricts: String = column(row, 2)?;
        Ok(Self {
            version: column(row, 0)?,
            iterations: iterations
                .and_then(|number| u32::try_from(number).ok())
                .and_then(NonZeroU32::new)
                .unwrap_or(DEFAULT_ITERATIONS),
            restricts_passwords: matches!(restricts.as_str(), "on" | "1" | "true" | "yes"),
            in_rds_password: column(row, 4)?,
            is_replica: column(row, 3)?,
        })
    }

    /// Whether ADMIN OPTION decides what a CREATEROLE login may do.
    pub fn admin_option_counts(self) -> bool {
        self.version >= ADMIN_OPTION_COUNTS
    }
}

/// A role in the catalogue.
#[derive(Debug, Clone)]
pub struct Role {
    pub name: String,
    pub facts: RoleFacts,
    /// Member of rds_iam, directly or not: it logs in with IAM tokens, and RDS then refuses passwords.
    pub uses_iam: bool,
    /// Member of rds_superuser, directly or not.
    pub rds_superuser: bool,
    /// Every setting, those for one database included.
    pub settings: BTreeMap<SettingKey, String>,
    /// Those of [`FLAGS`] that it has.
    pub flags: BTreeSet<&'static str>,
    /// Roles of which it is a member and neither uses all privileges without asking nor may become it. Always all of
    /// them before PostgreSQL 16, where every membership gives the latter and the role's INHERIT decides on the former.
    pub weak_memberships: BTreeSet<String>,
}

/// Attributes that a clone is to share with its base, beside those of [`RoleFacts`]. It works as its base, but
/// REPLICATION counts for who logs in (`src/backend/utils/init/postinit.c`), and all of them once a pool resets the
/// session. CREATEROLE is not among them: what a login administers, its clone administers as its base.
const FLAGS: [&str; 4] = ["INHERIT", "CREATEDB", "REPLICATION", "BYPASSRLS"];

/// What a setting of a role applies to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SettingKey {
    /// None: all databases.
    pub database: Option<String>,
    pub name: String,
}

/// Looks up those of `names` that exist. Every login may: the catalogues read here are public.
pub async fn read(session: &impl Session, names: &[&str]) -> Result<BTreeMap<String, Role>, DatabaseError> {
    const ROLES: &str = "SELECT r.rolname::text, shobj_description(r.oid, 'pg_authid'), r.rolcanlogin, r.rolcreaterole, \
           r.rolsuper, r.rolconnlimit, r.rolvaliduntil::text, \
           ARRAY(SELECT DISTINCT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid \
                 WHERE m.member = r.oid ORDER BY 1), \
           ARRAY(SELECT DISTINCT a.rolname::text FROM pg_auth_members m JOIN pg_roles a ON a.oid = m.member \
                 WHERE m.roleid = r.oid AND m.admin_option ORDER BY 1), \
           COALESCE((SELECT pg_has_role(r.oid, i.oid, 'MEMBER') FROM pg_roles i WHERE i.rolname = 'rds_iam'), false), \
           ARRAY(SELECT COALESCE(d.datname::text, '') FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase, \
                 unnest(s.setconfig) WITH ORDINALITY AS c(entry, at) WHERE s.setrole = r.oid ORDER BY s.setdatabase, c.at), \
           ARRAY(SELECT c.entry FROM pg_db_role_setting s, unnest(s.setconfig) WITH ORDINALITY AS c(entry, at) \
                 WHERE s.setrole = r.oid ORDER BY s.setdatabase, c.at), \
           COALESCE(r.rolvaliduntil < clock_timestamp(), false), \
           ARRAY[r.rolinherit, r.rolcreatedb, r.rolreplication, r.rolbypassrls], \
           ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid \
                 GROUP BY 1 HAVING NOT bool_or(COALESCE((to_jsonb(m) ->> 'inherit_option')::bool, r.rolinherit) \
                   AND COALESCE((to_jsonb(m) ->> 'set_option')::bool, true)) ORDER BY 1), \
           COALESCE((SELECT pg_has_role(r.oid, i.oid, 'MEMBER') FROM pg_roles i WHERE i.rolname = 'rds_superuser'), false) \
         FROM pg_roles r WHERE r.rolname::text = ANY($1)";
    let rows = session.query("a look at roles", ROLES, &[(&names, Type::TEXT_ARRAY)]).await?;
    let mut roles = BTreeMap::new();
    for row in &rows {
        let databases: Vec<String> = column(row, 10)?;
        let entries: Vec<String> = column(row, 11)?;
        let settings: BTreeMap<SettingKey, String> = databases
            .into_iter()
            .zip(&entries)
            .filter_map(|(database, entry)| {
                let (name, value) = entry.split_once('=')?;
                let database = Some(database).filter(|name| !name.is_empty());
                Some((SettingKey { database, name: name.to_owned() }, value.to_owned()))
            })
            .collect();
        let everywhere = settings.iter().filter(|(key, _)| key.database.is_none());
        let facts = RoleFacts {
            comment: column(row, 1)?,
            can_login: column(row, 2)?,
            create_role: column(row, 3)?,
            superuser: column(row, 4)?,
            connection_limit: column(row, 5)?,
            valid_until: column(row, 6)?,
            expired: column(row, 12)?,
            member_of: column(row, 7)?,
            administered_by: column(row, 8)?,
            settings: everywhere.map(|(key, value)| (key.name.clone(), value.clone())).collect(),
        };
        let has: Vec<bool> = column(row, 13)?;
        let weak: Vec<String> = column(row, 14)?;
        let role = Role {
            name: column(row, 0)?,
            facts,
            uses_iam: column(row, 9)?,
            rds_superuser: column(row, 15)?,
            settings,
            flags: FLAGS.into_iter().zip(has).filter_map(|(flag, has)| has.then_some(flag)).collect(),
            weak_memberships: weak.into_iter().collect(),
        };
        roles.insert(role.name.clone(), role);
    }
    Ok(roles)
}

/// What keeps a role's sessions out whatever its password is: NOLOGIN, an expiry, a limit of none.
pub fn barred(role: &Role) -> Vec<Obstacle> {
    obstacles(Some(&role.facts), "")
}

/// What lets `admin` rotate `role` on PostgreSQL 16 and later, and no more than that: it neither inherits
/// the role's privileges nor may become it.
pub fn admin_grant(role: &str, admin: &str) -> String {
    format!("GRANT {} TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE", identifier(role), identifier(admin))
}

/// What lets `role` into `database`.
pub fn connect_grant(database: &str, role: &str) -> String {
    format!("GRANT CONNECT ON DATABASE {} TO {}", identifier(database), identifier(role))
}

/// Sets a role's password to a verifier. `SET ROLE NONE` because a session that a role setting has made
/// another role may not change its own login's password.
pub async fn set_password(session: &impl Session, role: &str, verifier: &Verifier) -> Result<(), DatabaseError> {
    let sql = zeroize::Zeroizing::new(format!(
        "SET ROLE NONE; ALTER ROLE {} PASSWORD {}",
        identifier(role),
        literal(verifier.expose())
    ));
    session.change("a new password", &sql).await
}

/// Makes the clone of `base`, without LOGIN: what it lacks, [`mirror`] adds.
pub async fn create_clone(
    session: &impl Session,
    clone: &str,
    base: &str,
    mark: &RoleComment,
) -> Result<(), DatabaseError> {
    // One transaction: a clone without its mark would be refused ever after.
    let (quoted, base_quoted) = (identifier(clone), identifier(base));
    let mark = literal(&mark.text());
    let sql = format!(
        "CREATE ROLE {quoted} NOLOGIN; COMMENT ON ROLE {quoted} IS {mark}; GRANT {base_quoted} TO {quoted}; \
         ALTER ROLE {quoted} SET \"role\" = {}",
        literal(base)
    );
    session.change("the making of the clone", &sql).await
}

/// Makes the clone equal to its base: member of it, working as it, same LOGIN, limit, expiry, attributes and
/// settings.
///
/// But for what shuts the base out, NOLOGIN, a limit of none, an expiry that has passed: the clone may be the role in use,
/// and is not shut out by way of its base. Nor does it get libraries that are loaded at login, one of which may be missing.
///
/// Base's own memberships need no copy: the clone has them through base, at once and not only from the next rotation
/// on, whether it works as base or, in a session that a pool has reset, as itself. For that it must inherit from
/// base and be able to become it.
///
/// What the admin login may not do (some settings and attributes are for superusers) is returned as one note: the
/// rotation of a password must not fail for the want of `log_statement`. So is what the clone has beyond its
/// base, which is somebody's to give to base instead. Membership and LOGIN must succeed: a clone without them is no
/// alternate.
pub async fn mirror(session: &impl Session, base: &Role, clone: &Role) -> Result<Vec<String>, DatabaseError> {
    const WHAT: &str = "mirroring the login's attributes";
    let quoted = identifier(&clone.name);
    if !clone.facts.member_of.contains(&base.name) || clone.weak_memberships.contains(&base.name) {
        let strong =
            if ServerFacts::read(session).await?.admin_option_counts() { " WITH INHERIT TRUE, SET TRUE" } else { "" };
        session.change(WHAT, &format!("GRANT {} TO {quoted}{strong}", identifier(&base.name))).await?;
    }
    if base.facts.can_login && !clone.facts.can_login {
        session.change(WHAT, &format!("ALTER ROLE {quoted} LOGIN")).await?;
    }
    let mut wanted = Vec::new();
    let plain = |sql: String| Mirrored { told: sql.clone(), sql };
    if clone.facts.connection_limit != base.facts.connection_limit && base.facts.connection_limit != 0 {
        wanted.push(plain(format!("ALTER ROLE {quoted} CONNECTION LIMIT {}", base.facts.connection_limit)));
    }
    let expiry = |role: &Role| role.facts.valid_until.clone().unwrap_or_else(|| "infinity".to_owned());
    if expiry(clone) != expiry(base) && !base.facts.expired {
        wanted.push(plain(format!("ALTER ROLE {quoted} VALID UNTIL {}", literal(&expiry(base)))));
    }
    for flag in FLAGS {
        // A base without INHERIT has to become its groups, and so has its clone, once it is its base; to its base
        // it must not have to.
        let wants = flag == "INHERIT" || base.flags.contains(flag);
        if wants != clone.flags.contains(flag) {
            wanted.push(plain(format!("ALTER ROLE {quoted} {}{flag}", if wants { "" } else { "NO" })));
        }
    }
    let mut left = Vec::new();
    for (name, change) in setting_changes(base, clone) {
        if LOADED_AT_LOGIN.iter().any(|loaded| loaded.eq_ignore_ascii_case(&name)) {
            left.push(format!("{} (a library that is missing keeps its role out)", change.told));
        } else {
            wanted.push(change);
        }
    }
    for Mirrored { sql, told } in wanted {
        match session.change(WHAT, &sql).await {
            Ok(()) => {}
            Err(error) if error.sqlstate().is_some() && !error.is_passing() => {
                left.push(format!("{told} ({})", error.sqlstate().unwrap_or_default()));
            }
            Err(error) => return Err(error),
        }
    }
    let mut notes = Vec::new();
    let bars: Vec<_> = barred(base).into_iter().filter(|bar| !barred(clone).contains(bar)).collect();
    if let Some(why) = told(&bars) {
        notes.push(format!("{} is shut out, and {quoted} was not shut out with it: {why}", identifier(&base.name)));
    }
    if !left.is_empty() {
        notes.push(format!("not mirrored, left to a superuser or the next provisioning: {}", left.join("; ")));
    }
    let beyond: Vec<_> = clone
        .facts
        .member_of
        .iter()
        .filter(|group| **group != base.name && !base.facts.member_of.contains(group) && *group != "rds_password")
        .map(|group| format!("GRANT {} TO {}", identifier(group), identifier(&base.name)))
        .collect();
    if !beyond.is_empty() {
        notes.push(format!(
            "{quoted} is a member of what {} is not: whoever logs in as that has less. Where it is meant: {}",
            identifier(&base.name),
            beyond.join("; ")
        ));
    }
    Ok(notes)
}

/// A statement of [`mirror`], and what may be told of it: a setting can be a secret of the application's, and a note goes
/// into a log.
struct Mirrored {
    sql: String,
    told: String,
}

/// Settings by which a session loads libraries as it begins. Where one is not to be had, PostgreSQL ends the session
/// (`process_session_preload_libraries` in its `src/backend/utils/init/miscinit.c`).
const LOADED_AT_LOGIN: [&str; 2] = ["local_preload_libraries", "session_preload_libraries"];

/// ALTER ROLE statements that bring the clone's settings to those of its base, each with the setting's name.
fn setting_changes(base: &Role, clone: &Role) -> Vec<(String, Mirrored)> {
    let mut wanted = base.settings.clone();
    // What the clone makes is to belong to its base, or the two could not read each other's tables. A base
    // that itself works as another role says so in its own setting, which is then mirrored instead.
    let role = SettingKey { database: None, name: "role".to_owned() };
    wanted.entry(role).or_insert_with(|| base.name.clone());
    let keys: BTreeSet<&SettingKey> = wanted.keys().chain(clone.settings.keys()).collect();
    let changes = keys.into_iter().filter_map(|key| {
        let (want, have) = (wanted.get(key), clone.settings.get(key));
        if want == have {
            return None;
        }
        let scope =
            key.database.as_deref().map(|name| format!(" IN DATABASE {}", identifier(name))).unwrap_or_default();
        let (name, role) = (identifier(&key.name), identifier(&clone.name));
        let (told, value) = match want {
            Some(value) => ("SET", format!(" TO {}", setting_value(&key.name, value))),
            None => ("RESET", String::new()),
        };
        let told = format!("ALTER ROLE {role}{scope} {told} {name}");
        Some((key.name.clone(), Mirrored { sql: format!("{told}{value}"), told }))
    });
    changes.collect()
}

/// One statement towards what a deployment declares of a role.
pub struct Declared<'a> {
    pub sql: String,
    pub gives: Gives<'a>,
}

/// What a statement gives a role, as far as a refusal of it needs words of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives<'a> {
    /// The setting of this name.
    Setting(&'a str),
    /// VALID UNTIL, which `rds.restrict_password_commands` restricts as it does passwords.
    Expiry,
    Other,
}

/// Statements that give `role` what a deployment declares of it and it lacks.
pub fn declared_changes<'a>(role: &str, have: Option<&RoleFacts>, want: &'a RoleAttributes) -> Vec<Declared<'a>> {
    let quoted = identifier(role);
    let mut changes = Vec::new();
    let plain = |sql| Declared { sql, gives: Gives::Other };
    for group in &want.member_of {
        if have.is_none_or(|have| !have.member_of.contains(group)) {
            changes.push(plain(format!("GRANT {} TO {quoted}", identifier(group))));
        }
    }
    for (name, value) in &want.settings {
        let is = have.and_then(|have| setting(&have.settings, name));
        if is.is_none_or(|is| !same_setting(name, is, value)) {
            let sql = format!("ALTER ROLE {quoted} SET {} TO {}", identifier(name), setting_value(name, value));
            changes.push(Declared { sql, gives: Gives::Setting(name) });
        }
    }
    if let Some(limit) = want.connection_limit.filter(|limit| have.is_none_or(|have| have.connection_limit != *limit)) {
        changes.push(plain(format!("ALTER ROLE {quoted} CONNECTION LIMIT {limit}")));
    }
    if let Some(until) = &want.valid_until {
        // Which moment a text means only the server can say; setting it again to the same changes nothing.
        let sql = format!("ALTER ROLE {quoted} VALID UNTIL {}", literal(until));
        changes.push(Declared { sql, gives: Gives::Expiry });
    }
    changes
}

/// A stored value as a statement gives it back: a list of names that were given as one string would be taken for one
/// odd name.
fn setting_value(name: &str, stored: &str) -> String {
    match name_list(name, stored) {
        Some(names) if !names.is_empty() => names.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", "),
        Some(_) => literal(""),
        None => literal(stored),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_names_are_given_back_as_lists() {
        assert_eq!(setting_value("search_path", "\"$user\", public"), "'$user', 'public'");
        assert_eq!(setting_value("search_path", "\"a,\"\"b\", \"it's\""), "'a,\"b', 'it''s'");
        assert_eq!(setting_value("search_path", "\"\""), "''");
        assert_eq!(setting_value("search_path", ""), "''");
        assert_eq!(setting_value("application_name", "a, b"), "'a, b'");
    }

    #[test]
    fn a_broken_list_ends() {
        for text in ["\"", "\"a", "a\"b", ",", ",,a", "é, \"é"] {
            assert!(!setting_value("search_path", text).is_empty(), "{text}");
        }
    }
}

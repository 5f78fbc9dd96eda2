//! The logins of a config: `[admin]`, each `[[user]]`, and `[[users]]`, which declares many of one kind; and `[rotation]`, what
//! holds for each that says nothing else.

use super::attributes;
use super::check;
use super::error::{ConfigError, quoted};
use super::logins::Draft;
use super::overlay::LOGIN_PLACE;
use super::passwords;
use super::read::{Problems, Table, advice};
use super::schedule::{self, Timing};
use super::tables::{ON_REMOVE, RECOVERY, RECOVERY_DAYS, STRATEGIES};
use super::{Declared, Located, Login, OnRemove, Rule};
use crate::code::Code;
use function_contract::{PasswordPolicy, RoleAttributes, Strategy};

/// The admin's password leaves Secrets Manager only for the functions; a single user cannot log in while it
/// rotates, so not more often than the usual month.
const ADMIN_EVERY: Rule = Rule::Days(30);

pub(super) const USER_EXAMPLE: &str = "[[user]]\nlogin = \"app\"\nsecret = \"app_secret\"";
const USERS_EXAMPLE: &str = "[[users]]\nlogins = [\"app\", \"report\"]\nsecret = \"{login}_secret\"";

/// The users of a file, each by itself and each of a group, in the file's order.
pub(super) fn users(problems: &Problems<'_>, root: &mut Table<'_, '_>, defaults: &Defaults) -> Vec<Read> {
    let had = root.has("user") || root.has("users");
    let single = root.tables("user", USER_EXAMPLE);
    let groups = root.tables("users", USERS_EXAMPLE);
    if single.is_empty() && groups.is_empty() {
        // One of another shape was told already; an empty array was not, but is the same mistake.
        if !had || root.is_empty_array("user") || root.is_empty_array("users") {
            let error = ConfigError::of_file(Code::MissingKey, "no [[user]] is declared: there is nothing to rotate");
            problems.add(error.hint(advice("add", USER_EXAMPLE)));
        }
    }
    let single = single.into_iter().enumerate();
    let mut all: Vec<_> =
        single.map(|(place, table)| login(problems, table, defaults, Declared::User(place))).collect();
    for (place, table) in groups.into_iter().enumerate() {
        all.extend(group(problems, table, defaults, place));
    }
    all
}

/// Defaults of `[rotation]`.
pub(super) struct Defaults {
    strategy: Option<Strategy>,
    timing: Timing,
    recovery_days: Option<Located<u32>>,
    passwords: Option<PasswordPolicy>,
    pub on_remove: Option<OnRemove>,
}

/// Reads `[rotation]`.
pub(super) fn rotation(problems: &Problems<'_>, mut table: Table<'_, '_>) -> Defaults {
    let strategy = strategy(problems, &mut table, Some(Strategy::AlternatingUsers));
    let timing = Timing::read(problems, &mut table);
    let default = table.located("recovery_days", RECOVERY_DAYS);
    let recovery_days = recovery_days(&mut table, Some(default));
    let passwords = passwords::read(problems, &mut table, Some(&PasswordPolicy::default()));
    let on_remove = match table.optional_string("on_remove", "\"keep\"") {
        Some(found) => check::choice(problems, "on_remove", &found, &ON_REMOVE),
        None if table.has("on_remove") => None,
        None => Some(OnRemove::Keep),
    };
    table.finish();
    Defaults { strategy, timing, recovery_days, passwords, on_remove }
}

fn strategy(problems: &Problems<'_>, table: &mut Table<'_, '_>, default: Option<Strategy>) -> Option<Strategy> {
    match table.optional_string("strategy", "\"alternating-users\"") {
        Some(strategy) => check::choice(problems, "strategy", &strategy, &STRATEGIES),
        None if table.has("strategy") => None,
        None => default,
    }
}

fn recovery_days(table: &mut Table<'_, '_>, default: Option<Located<u32>>) -> Option<Located<u32>> {
    // An unusable default was told where it stands.
    let found = table.integer("recovery_days", RECOVERY, " days", Some(RECOVERY_DAYS));
    if table.has("recovery_days") { found.map(|days| table.located("recovery_days", days)) } else { default }
}

/// A login as read, before it is known to be whole.
#[derive(Clone)]
pub(super) struct Read {
    login: Option<Located<String>>,
    secret: Option<Located<String>>,
    database: Option<Located<String>>,
    strategy: Option<Strategy>,
    schedule: Option<Located<super::Schedule>>,
    recovery_days: Option<Located<u32>>,
    passwords: Option<PasswordPolicy>,
    adopt: bool,
    attributes: RoleAttributes,
    /// The roles it is to be a member of, and where the file says so.
    groups: Vec<Located<String>>,
    declared: Declared,
}

impl Read {
    pub fn draft(&self) -> Draft<'_> {
        let Self { login, secret, strategy, groups, declared, .. } = self;
        let (login, secret) = (login.as_ref(), secret.as_ref());
        Draft { login, secret, strategy: *strategy, groups, declared: *declared }
    }

    pub fn finish(self) -> Option<Login> {
        let Self {
            login,
            secret,
            database,
            strategy,
            schedule,
            recovery_days,
            passwords,
            adopt,
            attributes,
            groups: _,
            declared,
        } = self;
        Some(Login {
            login: login?,
            secret: secret?,
            database: database?.value,
            strategy: strategy?,
            schedule: schedule?,
            recovery_days: recovery_days?,
            passwords: passwords?,
            adopt,
            attributes,
            declared,
        })
    }
}

/// Reads `[admin]`, or a `[[user]]`.
pub(super) fn login(
    problems: &Problems<'_>,
    mut table: Table<'_, '_>,
    defaults: &Defaults,
    declared: Declared,
) -> Read {
    let is_admin = declared == Declared::Admin;
    let (example, secret_example) =
        if is_admin { ("\"rotator_admin\"", "\"rotator_admin_secret\"") } else { ("\"app\"", "\"app_secret\"") };
    let login = table.string("login", example);
    let secret = table.string("secret", secret_example);
    check::secret_name(problems, &secret);
    let what = login.as_ref().map_or_else(|| "this login".into(), |l| format!("login {}", quoted(&l.value)));
    let place = login.as_ref().map_or(table.span(), |login| &login.span).clone();
    let shared = shared(problems, table, defaults, declared, &schedule::Login { what: &what, span: &place });
    Read { login, secret, ..shared }
}

/// Reads a `[[users]]`: each of its logins is a user like one that is written out.
fn group(problems: &Problems<'_>, mut table: Table<'_, '_>, defaults: &Defaults, place: usize) -> Vec<Read> {
    let logins = table.strings("logins", "[\"app\", \"report\"]");
    let secret = table.string("secret", "\"{login}_secret\"");
    let span = logins.as_ref().map_or(table.span(), |logins| &logins.span).clone();
    if let Some(logins) = &logins
        && logins.value.is_empty()
    {
        let error = ConfigError::at(Code::BadValue, &logins.span, "`logins` is empty: a group has one login at least");
        problems.add(error.hint("list logins, or remove the [[users]] table"));
    }
    let secret = secret.filter(|secret| fits_each(problems, secret));
    let whose = schedule::Login { what: "this group of logins", span: &span };
    let shared = shared(problems, table, defaults, Declared::Group(place), &whose);
    let each = |login: Located<String>| {
        // Where it does not fit one of them, it is that one's name that does not.
        let secret = secret.as_ref().map(|secret| secret.value.replace(LOGIN_PLACE, &login.value));
        let secret = secret.map(|value| Located { value, span: login.span.clone() });
        check::secret_name(problems, &secret);
        Read { login: Some(login), secret, ..shared.clone() }
    };
    logins.into_iter().flat_map(|logins| logins.value).map(each).collect()
}

/// Whether the name of a group's secrets is one for each login, and can be one for any.
fn fits_each(problems: &Problems<'_>, secret: &Located<String>) -> bool {
    if !secret.value.contains(LOGIN_PLACE) {
        let message = format!("{} names one secret for all logins of the group", quoted(&secret.value));
        let hint = format!("write {LOGIN_PLACE} where the login's name is to stand: secret = \"{LOGIN_PLACE}_secret\"");
        problems.add(ConfigError::at(Code::BadValue, &secret.span, message).hint(hint));
        return false;
    }
    let one = Located { value: secret.value.replace(LOGIN_PLACE, "a"), span: secret.span.clone() };
    let before = problems.count();
    check::secret_name(problems, &Some(one));
    problems.count() == before
}

/// All keys but those that name the login and its secret.
fn shared(
    problems: &Problems<'_>,
    mut table: Table<'_, '_>,
    defaults: &Defaults,
    declared: Declared,
    whose: &schedule::Login<'_>,
) -> Read {
    let is_admin = declared == Declared::Admin;
    let database = match table.optional_string("database", "\"postgres\"") {
        None if table.has("database") => None,
        None => Some(Located { value: "postgres".into(), span: table.span().clone() }),
        given => given,
    };
    check::database_name(problems, &database);

    let strategy = if is_admin {
        // The rotator of the others has nobody to alternate with.
        table.refuse("strategy", "the admin login always rotates as a single user");
        Some(Strategy::SingleUser)
    } else {
        strategy(problems, &mut table, defaults.strategy)
    };
    let timing = Timing::read(problems, &mut table);
    let schedule = if is_admin {
        // The defaults of [rotation] are the users': a short period of theirs is not meant for it.
        timing.schedule(problems, &Timing::default(), Some(ADMIN_EVERY), whose)
    } else {
        timing.schedule(problems, &defaults.timing, None, whose)
    };
    let recovery_days = recovery_days(&mut table, defaults.recovery_days.clone());
    let passwords = passwords::read(problems, &mut table, defaults.passwords.as_ref());
    let adopt = table.optional_bool("adopt", false);
    // The admin login has what rotating takes and nothing else.
    let (attributes, groups) = if is_admin { Default::default() } else { attributes::read(problems, &mut table) };
    table.finish();
    let (login, secret) = (None, None);
    Read { login, secret, database, strategy, schedule, recovery_days, passwords, adopt, attributes, groups, declared }
}

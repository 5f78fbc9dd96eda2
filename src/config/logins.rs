//! Roles and secrets of the logins: each on its own, and all of them together.

use super::check::wrong;
use super::error::{is_unprintable, quoted};
use super::read::Problems;
use super::{Declared, Located};
use crate::code::Code;
use function_contract::{IDENTIFIER_BYTES, Strategy, clone_of};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// A login as read so far; what is None was told already.
pub(super) struct Draft<'a> {
    pub login: Option<&'a Located<String>>,
    pub secret: Option<&'a Located<String>>,
    pub strategy: Option<Strategy>,
    /// Roles it is to be a member of.
    pub groups: &'a [Located<String>],
    pub declared: Declared,
}

impl Draft<'_> {
    fn clone_name(&self) -> Option<String> {
        let login = self.login.filter(|_| self.strategy == Some(Strategy::AlternatingUsers))?;
        Some(clone_of(&login.value))
    }
}

/// Each login on its own, and all of them together: roles and secrets are shared by nobody.
pub(super) fn check(problems: &Problems<'_>, drafts: &[Draft<'_>], master: Option<&str>) {
    let mut clones = BTreeMap::<String, Vec<&str>>::new();
    for draft in drafts {
        if let Some(clone) = draft.clone_name() {
            clones.entry(clone).or_default().push(draft.login.map_or("", |base| &base.value));
        }
    }
    let (mut logins, mut secrets) = (BTreeMap::new(), BTreeSet::new());
    for draft in drafts {
        if let Some(login) = draft.login {
            let text = login.value.as_str();
            login_name(problems, login, draft, master);
            match logins.entry(text) {
                Entry::Vacant(entry) => {
                    entry.insert(draft);
                }
                Entry::Occupied(first) => one_role_each(problems, login, draft, first.get()),
            }
            // The clone may be declared before or after the login it collides with.
            for base in clones.get(text).into_iter().flatten() {
                let message = format!("login {} is also the clone of login {}", quoted(text), quoted(base));
                let hint = format!("rename it, or give {} strategy = \"single-user\"", quoted(base));
                wrong(problems, Code::Duplicate, login, message, hint);
            }
        }
        if let Some(secret) = draft.secret
            && !secrets.insert(secret.value.as_str())
        {
            let message = format!("the secret {} belongs to another login already", quoted(&secret.value));
            wrong(problems, Code::Duplicate, secret, message, "give each login a secret of its own");
        }
    }
    let admin = drafts.iter().find(|draft| draft.declared == Declared::Admin).and_then(|draft| draft.login);
    for group in drafts.iter().flat_map(|draft| draft.groups) {
        reaches_too_far(problems, group, admin.map(|admin| admin.value.as_str()), master);
    }
}

/// Whoever may change a config in a pull request must not gain the server by it. What a role is that the file says nothing
/// else of, the function looks up.
fn reaches_too_far(problems: &Problems<'_>, group: &Located<String>, admin: Option<&str>, master: Option<&str>) {
    let name = Some(group.value.as_str());
    let because = if name == admin {
        "the admin login sets every user's password"
    } else if name == master {
        "the master user is its server's own"
    } else {
        return;
    };
    let message = format!("membership in {} is not for a deployment to give: {because}", quoted(&group.value));
    wrong(problems, Code::ReservedName, group, message, "make a role of your own that has what the login needs");
}

fn one_role_each(problems: &Problems<'_>, login: &Located<String>, draft: &Draft<'_>, other: &Draft<'_>) {
    let name = quoted(&login.value);
    let is_admin = |draft: &Draft<'_>| draft.declared == Declared::Admin;
    if is_admin(other) != is_admin(draft) {
        let message = format!("{name} is the admin login and a user");
        wrong(
            problems,
            Code::Duplicate,
            login,
            message,
            "give the admin a role of its own: it rotates itself, and is used by nobody else",
        );
        return;
    }
    let message = format!("login {name} is declared twice");
    let groups = [other, draft].iter().filter(|draft| matches!(draft.declared, Declared::Group(_))).count();
    let hint = match groups {
        0 => "remove one of the two [[user]] tables",
        // A group does not say which of its logins is meant otherwise: both places are told.
        1 => "take it out of the `logins` of [[users]], or remove its [[user]] table",
        _ => "list each login once",
    };
    if groups > 0
        && let Some(first) = other.login
    {
        wrong(problems, Code::Duplicate, first, message.as_str(), hint);
    }
    wrong(problems, Code::Duplicate, login, message, hint);
}

fn login_name(problems: &Problems<'_>, login: &Located<String>, draft: &Draft<'_>, master: Option<&str>) {
    let text = login.value.as_str();
    let name = quoted(text);
    let bytes = text.len();
    let clone = draft.clone_name();
    let longest = IDENTIFIER_BYTES - clone.as_ref().map_or(0, |clone| clone.len() - bytes);
    if text.is_empty() {
        wrong(
            problems,
            Code::BadName,
            login,
            "a login cannot have an empty name",
            "write the role's name, such as login = \"app\"",
        );
    } else if text.contains(is_unprintable) {
        let message = format!("{name} cannot name a login: it holds a character that cannot be seen");
        wrong(problems, Code::BadName, login, message, "write it without control characters");
    } else if let Some(why) = reserved(text, master) {
        wrong(
            problems,
            Code::ReservedName,
            login,
            format!("{name} cannot rotate: {why}"),
            "declare a login of your own, such as login = \"app\"",
        );
    } else if bytes > longest {
        // PostgreSQL cuts longer names silently: two logins could become one role.
        let message = match &clone {
            Some(_) if bytes <= IDENTIFIER_BYTES => {
                format!(
                    "the clone of {name} would have {} bytes; PostgreSQL takes {IDENTIFIER_BYTES}",
                    bytes + IDENTIFIER_BYTES - longest
                )
            }
            _ => format!("{name} has {bytes} bytes; PostgreSQL takes {IDENTIFIER_BYTES}"),
        };
        let or =
            if clone.is_some() && bytes <= IDENTIFIER_BYTES { ", or write strategy = \"single-user\"" } else { "" };
        wrong(problems, Code::BadName, login, message, format!("shorten it to {longest} bytes{or}"));
    } else if let Some(why) = clone.as_deref().and_then(|clone| reserved(clone, master)) {
        let message = format!("the clone of {name} cannot rotate: {why}");
        wrong(
            problems,
            Code::ReservedName,
            login,
            message,
            "choose another login, or write strategy = \"single-user\"",
        );
    }
}

/// Why a role is never touched.
fn reserved(name: &str, master: Option<&str>) -> Option<&'static str> {
    match name {
        _ if Some(name) == master => Some("it is the master user, whose password RDS keeps"),
        "postgres" => Some("postgres is the server's own role"),
        "public" | "none" => Some("PostgreSQL reserves this word"),
        _ if name.starts_with("rds") => Some("names that start with rds are those of RDS"),
        _ if name.starts_with("pg_") => Some("names that start with pg_ are those of PostgreSQL"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_login(login: &str, strategy: Strategy) -> Vec<String> {
        let problems = Problems::new("");
        let login = Located { value: login.to_owned(), span: 0..0 };
        let draft = Draft {
            login: Some(&login),
            secret: None,
            strategy: Some(strategy),
            groups: &[],
            declared: Declared::User(0),
        };
        check(&problems, &[draft], Some("boss_clone"));
        problems.finish().into_iter().map(|error| error.message).collect()
    }

    #[test]
    fn a_login_and_its_clone_fit_in_63_bytes() {
        use Strategy::{AlternatingUsers, SingleUser};
        assert!(of_login(&"a".repeat(57), AlternatingUsers).is_empty());
        assert!(of_login(&"a".repeat(63), SingleUser).is_empty());
        assert_eq!(of_login(&"a".repeat(64), SingleUser).len(), 1);
        // 29 characters, 58 bytes: AWS's own function counts characters and lets it through.
        let [message] = of_login(&"ü".repeat(29), AlternatingUsers).try_into().unwrap();
        assert!(message.contains("would have 64 bytes"), "{message}");
    }

    #[test]
    fn roles_of_others_are_never_touched() {
        use Strategy::{AlternatingUsers, SingleUser};
        for name in
            ["", "a\0b", "a\nb", "postgres", "public", "rdsadmin", "rds_superuser", "pg_monitor", "boss_clone", "boss"]
        {
            assert_eq!(of_login(name, AlternatingUsers).len(), 1, "{name:?}");
        }
        // Without a clone nothing of it is in the way.
        assert!(of_login("boss", SingleUser).is_empty());
        assert!(of_login("100% \"quoted\"", AlternatingUsers).is_empty());
    }
}

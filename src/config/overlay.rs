//! Files that extend each other, as one: the base first, and what the file that extends it says over it.

use super::error::ConfigError;
use super::files::{EXTENDS, syntax_errors};
use super::source::Source;
use crate::code::Code;
use std::borrow::Cow;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

type Key<'t> = Spanned<DeString<'t>>;
type Value<'t> = Spanned<DeValue<'t>>;

/// Keys of one table of which one is given: where the file that extends gives one, the base's other one gives way.
const ALTERNATIVES: [&[&str]; 3] = [&["every", "cron"], &["identifier", "cluster"], &["preset", "exclude"]];

/// Tables whose keys are the user's own: no two of them are alternatives of each other.
const OF_USERS_OWN: [&str; 2] = ["settings", "tags"];

/// Users, each by itself, and those that are declared together.
const USER: &str = "user";
const USERS: &str = "users";
const LOGIN: &str = "login";
const LOGINS: &str = "logins";
const SECRET: &str = "secret";

/// What stands in a group's `secret` for each of its logins.
pub(super) const LOGIN_PLACE: &str = "{login}";

/// All files of `source` in one table, whose spans are places in the whole of its texts.
pub(super) fn merged(source: &Source) -> Result<DeTable<'_>, Vec<ConfigError>> {
    let (mut errors, mut documents) = (Vec::new(), Vec::new());
    for file in source.each() {
        let (document, syntax) = DeTable::parse_recoverable(file.text);
        errors.extend(syntax_errors(file.text, file.start, &syntax));
        documents.push(moved(document.into_inner(), file.start));
    }
    // Only a source that was put together by hand lacks a file: whoever loads one is told why it cannot be read.
    if let Some(extends) = documents.last().and_then(|last: &DeTable<'_>| last.get(EXTENDS)) {
        let message = "the file that is extended here is not there";
        let error = ConfigError::at(Code::ConfigUnreadable, &extends.span(), message);
        errors.push(error.hint("load the config again with all of its files"));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let whole = documents.into_iter().rev().reduce(|base, over| merge(base, over, ""));
    Ok(whole.unwrap_or_default())
}

/// The same, standing further behind.
fn moved(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    if by == 0 {
        return table;
    }
    table
        .into_iter()
        .map(|(key, value)| (Spanned::new(behind(&key.span(), by), key.into_inner()), moved_value(value, by)))
        .collect()
}

fn moved_value(value: Value<'_>, by: usize) -> Value<'_> {
    let span = behind(&value.span(), by);
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(moved(table, by)),
        DeValue::Array(items) => DeValue::Array(items.into_iter().map(|item| moved_value(item, by)).collect()),
        plain => plain,
    };
    Spanned::new(span, value)
}

fn behind(span: &Range<usize>, by: usize) -> Range<usize> {
    span.start + by..span.end + by
}

/// `over` over `base`, the tables of the name `name`: key by key, and within tables again. Everything else takes the
/// place of what it stands over, whole.
fn merge<'t>(mut base: DeTable<'t>, mut over: DeTable<'t>, name: &str) -> DeTable<'t> {
    let is_root = name.is_empty();
    if is_root {
        users(&mut base, &mut over);
    }
    if !OF_USERS_OWN.contains(&name) {
        for keys in ALTERNATIVES.iter().filter(|keys| keys.iter().any(|key| over.contains_key(*key))) {
            keys.iter().for_each(|key| _ = base.remove(*key));
        }
    }
    for (key, value) in over {
        // Taken out with its key: the key too is now where it is said last.
        let before = base.remove_entry(key.get_ref().as_ref()).map(|(_, before)| before.into_inner());
        let span = value.span();
        let value = match (before, value.into_inner()) {
            (Some(DeValue::Table(before)), DeValue::Table(over)) => {
                DeValue::Table(merge(before, over, key.get_ref().as_ref()))
            }
            (_, value) => value,
        };
        base.insert(key, Spanned::new(span, value));
    }
    base
}

/// Puts the users of both into `over`: those of one login together, the base's first. Groups are added to each other.
fn users<'t>(base: &mut DeTable<'t>, over: &mut DeTable<'t>) {
    let mut groups = taken(base, USERS);
    if let Some((key, more)) = taken(over, USER) {
        let (key, mut all) = taken(base, USER).unwrap_or((key, DeArray::new()));
        let mut met: Vec<String> = Vec::new();
        for user in more {
            let login = text_of(&user, LOGIN).filter(|login| !met.contains(login));
            let Some(login) = login else {
                // Of no login that can be told, or of one that the same file has twice: read as it is, and told then.
                all.push(user);
                continue;
            };
            if let Some(mine) = all.iter_mut().find(|other| text_of(other, LOGIN).as_ref() == Some(&login)) {
                let before = std::mem::replace(mine, Spanned::new(0..0, DeValue::Boolean(false)));
                *mine = over_user(before, user);
            } else if let Some(before) = groups.as_mut().and_then(|(_, groups)| out_of_group(groups, &login)) {
                all.push(over_user(before, user));
            } else {
                all.push(user);
            }
            met.push(login);
        }
        over.insert(key, Spanned::new(0..0, DeValue::Array(all)));
    }
    let Some((key, mut groups)) = groups else { return };
    let more = taken(over, USERS).map(|(_, more)| more);
    if over.contains_key(USERS) {
        // No array: told once it is read.
        return;
    }
    more.into_iter().flatten().for_each(|group| groups.push(group));
    if !groups.is_empty() {
        over.insert(key, Spanned::new(0..0, DeValue::Array(groups)));
    }
}

/// An array of tables, taken out of the table it is in. What is no array stays.
fn taken<'t>(table: &mut DeTable<'t>, key: &str) -> Option<(Key<'t>, DeArray<'t>)> {
    table.get(key)?.get_ref().as_array()?;
    let (key, value) = table.remove_entry(key)?;
    match value.into_inner() {
        DeValue::Array(items) => Some((key, items)),
        _ => None,
    }
}

fn text_of(value: &Value<'_>, key: &str) -> Option<String> {
    value.get_ref().as_table()?.get(key)?.get_ref().as_str().map(str::to_owned)
}

fn over_user<'t>(base: Value<'t>, over: Value<'t>) -> Value<'t> {
    let span = over.span();
    match (base.into_inner(), over.into_inner()) {
        (DeValue::Table(base), DeValue::Table(over)) => Spanned::new(span, DeValue::Table(merge(base, over, USER))),
        (_, over) => Spanned::new(span, over),
    }
}

/// A login of a group as a user of its own, no longer in the group.
fn out_of_group<'t>(groups: &mut DeArray<'t>, login: &str) -> Option<Value<'t>> {
    let has = |group: &Value<'_>| {
        logins(group).is_some_and(|logins| logins.iter().any(|one| one.get_ref().as_str() == Some(login)))
    };
    let at = groups.iter().position(has)?;
    let group = groups.get_mut(at)?;
    let span = group.span();
    let DeValue::Table(table) = group.get_mut() else { return None };
    let mut user = table.clone();
    user.remove(LOGINS);
    if let Some((key, secret)) = user.remove_entry(SECRET) {
        let span = secret.span();
        let secret = match secret.into_inner() {
            DeValue::String(name) => DeValue::String(Cow::Owned(name.replace(LOGIN_PLACE, login))),
            other => other,
        };
        user.insert(key, Spanned::new(span, secret));
    }
    let Some(DeValue::Array(all)) = table.get_mut(LOGINS).map(Spanned::get_mut) else { return None };
    *all = std::mem::replace(all, DeArray::new())
        .into_iter()
        .filter(|one| one.get_ref().as_str() != Some(login))
        .collect();
    // A group all of whose logins were taken out of it is no group any more.
    if all.is_empty() {
        let others = std::mem::replace(groups, DeArray::new()).into_iter().enumerate();
        *groups = others.filter(|(place, _)| *place != at).map(|(_, one)| one).collect();
    }
    Some(Spanned::new(span, DeValue::Table(user)))
}

fn logins<'v, 't>(group: &'v Value<'t>) -> Option<&'v DeArray<'t>> {
    group.get_ref().as_table()?.get(LOGINS)?.get_ref().as_array()
}

//! How passwords are made: `passwords` in `[rotation]`, `[admin]` and `[[user]]`.

use super::check;
use super::error::{ConfigError, quoted};
use super::read::{Problems, Table};
use crate::code::Code;
use function_contract::{PasswordPolicy, PolicyError};
use std::ops::Range;

const EXAMPLE: &str = "{ length = 40 }";

/// What may stand in the place of a table, or in one as `preset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preset {
    Default,
    UrlSafe,
}

pub(super) const PRESETS: [(&str, Preset); 2] = [("default", Preset::Default), ("url-safe", Preset::UrlSafe)];

impl Preset {
    fn policy(self, length: usize) -> Result<PasswordPolicy, PolicyError> {
        match self {
            Self::Default => PasswordPolicy::without_default_exclusions(length),
            Self::UrlSafe => PasswordPolicy::url_safe(length),
        }
    }
}

/// Reads `passwords`: a preset's name or a table of `length` with `preset` or `exclude`. It stands in the place of
/// `default` whole; None: it is wrong, which was told.
pub(super) fn read(
    problems: &Problems<'_>,
    table: &mut Table<'_, '_>,
    default: Option<&PasswordPolicy>,
) -> Option<PasswordPolicy> {
    if table.has("passwords") && !table.is_string("passwords") {
        let inner = table.optional_table("passwords", EXAMPLE);
        return if inner.is_unread() { None } else { from_table(problems, inner) };
    }
    let Some(name) = table.optional_string("passwords", "\"url-safe\"") else { return default.cloned() };
    let preset = check::choice(problems, "passwords", &name, &PRESETS)?;
    told(problems, &name.span, preset.policy(PasswordPolicy::DEFAULT_LENGTH))
}

fn from_table(problems: &Problems<'_>, mut table: Table<'_, '_>) -> Option<PasswordPolicy> {
    let bound = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let length = table.integer(
        "length",
        bound(PasswordPolicy::SHORTEST)..=bound(PasswordPolicy::LONGEST),
        " characters",
        Some(bound(PasswordPolicy::DEFAULT_LENGTH)),
    );
    let has_preset = table.has("preset");
    let preset = match table.optional_string("preset", "\"url-safe\"") {
        Some(name) => check::choice(problems, "preset", &name, &PRESETS),
        None if has_preset => None,
        None => Some(Preset::Default),
    };
    let place = table.span().clone();
    let exclude = if has_preset {
        table.refuse("exclude", "a preset says what is excluded, and this table names one");
        Some(None)
    } else if table.has("exclude") {
        table.optional_string("exclude", "\":/@\"").map(Some)
    } else {
        // Asked for, so that it is known here.
        table.optional_string("exclude", "\":/@\"");
        Some(None)
    };
    table.finish();
    let length = usize::try_from(length?).ok()?;
    match exclude? {
        Some(exclude) => told(problems, &exclude.span, PasswordPolicy::new(length, &exclude.value)),
        None => told(problems, &place, preset?.policy(length)),
    }
}

/// Tells what is wrong with a policy, at its place in the file.
fn told(
    problems: &Problems<'_>,
    place: &Range<usize>,
    policy: Result<PasswordPolicy, PolicyError>,
) -> Option<PasswordPolicy> {
    let error = match policy {
        Ok(policy) => return Some(policy),
        Err(error) => error,
    };
    let hint = match &error {
        PolicyError::NotPrintable(other) => format!("leave {} out", quoted(&other.to_string())),
        PolicyError::Weak { least: Some(least), .. } => format!("write: length = {least}, or more"),
        PolicyError::Weak { least: None, .. } => "exclude fewer characters: no length makes up for these".to_owned(),
        PolicyError::Length(_) | PolicyError::Unreadable => format!("write for example: passwords = {EXAMPLE}"),
    };
    problems.add(ConfigError::at(Code::BadValue, place, error.to_string()).hint(hint));
    None
}

//! `[tags]`: what everything is tagged with that is made here.

use super::Located;
use super::check::wrong;
use super::error::quoted;
use super::read::{Problems, Table};
use crate::code::Code;
use std::collections::BTreeMap;

/// AWS takes 50 of most things (docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html). The others
/// are pgrotate's own, and of whoever tags beside it.
const MOST: usize = 40;

/// Longest key and value of every service that is tagged here (the same).
const KEY: usize = 128;
const VALUE: usize = 256;

/// What they all take beside letters and digits. Some take other letters than those of ASCII, S3 and EC2 more signs.
const SIGNS: &str = " +-=._:/@";

const EXAMPLE: &str = "{ team = \"payments\" }";

/// Reads the table; None: something in it is wrong, which was told.
pub(super) fn read(problems: &Problems<'_>, root: &mut Table<'_, '_>) -> Option<BTreeMap<String, String>> {
    let before = problems.count();
    let mut tags: BTreeMap<String, String> = BTreeMap::new();
    let mut count = 0;
    for (key, value) in root.named_strings("tags", EXAMPLE) {
        count += 1;
        if count == MOST + 1 {
            let message = format!("there are more than {MOST} tags");
            let hint = "AWS takes 50 of a thing, some of which are pgrotate's own: remove those that nobody reads";
            wrong(problems, Code::BadValue, &key, message, hint);
        }
        self::key(problems, &key, &tags);
        self::value(problems, &value);
        tags.insert(key.value, value.value);
    }
    (problems.count() == before).then_some(tags)
}

fn key(problems: &Problems<'_>, key: &Located<String>, others: &BTreeMap<String, String>) {
    let text = key.value.as_str();
    let lower = text.to_ascii_lowercase();
    // The console shows what is called so; each thing has a name of its own (or none).
    if text == "Name" {
        let message = "the tag `Name` is each thing's own";
        wrong(problems, Code::ReservedName, key, message, "choose another key, such as Deployment");
    } else if let Some(prefix) = ["aws:", "rds:", "pgrotate:"].into_iter().find(|prefix| lower.starts_with(prefix)) {
        let whose = if prefix == "pgrotate:" { "pgrotate" } else { "AWS" };
        let message = format!("tags that begin with {prefix} are those of {whose}");
        wrong(problems, Code::ReservedName, key, message, "choose another key");
    } else if let Some(why) = unfit(text, KEY) {
        let message = format!("{} cannot be a tag's key: {why}", quoted(text));
        wrong(problems, Code::BadName, key, message, hint(KEY));
    } else if let Some(other) = others.keys().find(|other| other.eq_ignore_ascii_case(text)) {
        // The functions' roles are tagged too (docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html).
        let message =
            format!("{} and {} are one key to IAM, which does not tell capitals apart", quoted(other), quoted(text));
        wrong(problems, Code::Duplicate, key, message, "keep one of the two");
    }
}

/// CloudFormation takes no empty value (its API reference, Tag), and RDS none that begins as those of AWS do.
fn value(problems: &Problems<'_>, value: &Located<String>) {
    let text = value.value.as_str();
    let reserved = ["aws:", "rds:"].into_iter().find(|prefix| text.to_ascii_lowercase().starts_with(prefix));
    let why = reserved.map(|prefix| format!("values that begin with {prefix} are those of AWS"));
    if let Some(why) = why.or_else(|| unfit(text, VALUE)) {
        let message = format!("{} cannot be a tag's value: {why}", quoted(text));
        wrong(problems, Code::BadValue, value, message, hint(VALUE));
    }
}

fn hint(longest: usize) -> String {
    format!("write 1-{longest} of a-z, A-Z, 0-9, space, {}, without spaces at its ends", SIGNS.trim())
}

fn unfit(text: &str, longest: usize) -> Option<String> {
    let bad = text.chars().find(|c| !c.is_ascii_alphanumeric() && !SIGNS.contains(*c));
    match bad {
        Some(bad) => Some(format!("{bad:?} stands in it")),
        None if text.is_empty() => Some("it is empty".to_owned()),
        None if text.len() > longest => Some(format!("it has {} characters", text.len())),
        None if text.trim() != text => Some("a space stands at one of its ends".to_owned()),
        None => None,
    }
}

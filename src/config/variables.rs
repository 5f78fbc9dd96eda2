//! `${env.NAME}` in the strings of a config: the value of a variable of the environment. Nothing secret comes in by it: what a
//! config says is shown in plans, and kept in saved ones.

use super::error::{ConfigError, quoted};
use super::read::Problems;
use crate::code::Code;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

const OPEN: &str = "${";
const ENV: &str = "env.";
/// Stands for [`OPEN`] itself.
const ESCAPED: &str = "$${";

/// Words of a name, between underscores, that are said of secrets.
const SECRET_WORDS: [&str; 17] = [
    "APIKEY",
    "AUTH",
    "CREDENTIAL",
    "CREDENTIALS",
    "CREDS",
    "DSN",
    "JWT",
    "KEY",
    "KEYS",
    "PASS",
    "PASSPHRASE",
    "PASSWD",
    "PAT",
    "SECRET",
    "SECRETS",
    "TOKEN",
    "TOKENS",
];

/// Why a string cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    code: Code,
    message: String,
    hint: String,
}

impl Fault {
    pub fn at(self, span: &Range<usize>) -> ConfigError {
        ConfigError::at(self.code, span, self.message).hint(self.hint)
    }
}

/// A piece of a string.
enum Piece<'t> {
    Text(&'t str),
    /// The name of a variable.
    Variable(&'t str),
    /// What follows [`OPEN`] and names none.
    Broken(&'t str),
}

/// Its pieces, in their order.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(OPEN) {
        // `$${`: the dollar before belongs to it.
        if rest[..at].ends_with('$') {
            pieces.push(Piece::Text(&rest[..at - 1]));
            pieces.push(Piece::Text(OPEN));
            rest = &rest[at + OPEN.len()..];
            continue;
        }
        pieces.push(Piece::Text(&rest[..at]));
        let inner = &rest[at + OPEN.len()..];
        let (reference, after) = inner.split_once('}').unwrap_or((inner, ""));
        let closed = inner.len() > reference.len();
        pieces.push(match reference.strip_prefix(ENV) {
            Some(name) if closed && is_name(name) => Piece::Variable(name),
            _ => Piece::Broken(reference),
        });
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// As POSIX has names of variables.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    // Written together with other words, as in PGPASSWORD.
    name.contains("PASSWORD") || name.split('_').any(|word| SECRET_WORDS.contains(&word))
}

/// Adds the names of the variables that a string uses and may use.
pub(super) fn names(text: &str, all: &mut Vec<String>) {
    for piece in pieces(text) {
        if let Piece::Variable(name) = piece
            && !is_secret(name)
            && !all.iter().any(|known| known == name)
        {
            all.push(name.to_owned());
        }
    }
}

/// The same of all strings of a document.
pub(super) fn used(table: &DeTable<'_>, all: &mut Vec<String>) {
    table.values().for_each(|value| used_in(value.get_ref(), all));
}

fn used_in(value: &DeValue<'_>, all: &mut Vec<String>) {
    match value {
        DeValue::String(text) => names(text, all),
        DeValue::Array(items) => items.iter().for_each(|item| used_in(item.get_ref(), all)),
        DeValue::Table(table) => used(table, all),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

/// The string with values in the place of variables.
pub(super) fn replaced(text: &str, values: &BTreeMap<String, String>) -> Result<String, Fault> {
    let mut whole = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => whole.push_str(text),
            Piece::Variable(name) if is_secret(name) => {
                return Err(Fault {
                    code: Code::BadValue,
                    message: format!("the variable {name} is named like a secret, and none belongs into a config"),
                    hint:
                        "a config's values are shown in plans and kept in saved ones; passwords are made and kept in \
                           Secrets Manager. Give another name to what is no secret"
                            .to_owned(),
                });
            }
            Piece::Variable(name) => match values.get(name) {
                Some(value) => whole.push_str(value),
                None => {
                    return Err(Fault {
                        code: Code::MissingVariable,
                        message: format!("the environment has no variable {name}, or what it holds is no text"),
                        hint: format!("set it: export {name}=…"),
                    });
                }
            },
            Piece::Broken(inner) => {
                return Err(Fault {
                    code: Code::BadValue,
                    message: format!("{} is no reference to a variable", quoted(&format!("{OPEN}{inner}"))),
                    hint: format!(
                        "write ${{env.NAME}} for a variable of the environment, or {ESCAPED} for {OPEN} itself"
                    ),
                });
            }
        }
    }
    Ok(whole)
}

/// Puts values into all strings of a document. What cannot be read is told, and stays as it is.
pub(super) fn replace(problems: &Problems<'_>, table: &mut DeTable<'_>, values: &BTreeMap<String, String>) {
    for (_, value) in table.iter_mut() {
        replace_in(problems, value, values);
    }
}

fn replace_in(problems: &Problems<'_>, value: &mut toml::Spanned<DeValue<'_>>, values: &BTreeMap<String, String>) {
    let span = value.span();
    match value.get_mut() {
        DeValue::String(text) if text.contains(OPEN) => match replaced(text, values) {
            Ok(whole) => *text = Cow::Owned(whole),
            Err(fault) => problems.unreadable(fault.at(&span)),
        },
        DeValue::Array(items) => items.iter_mut().for_each(|item| replace_in(problems, item, values)),
        DeValue::Table(table) => replace(problems, table, values),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> BTreeMap<String, String> {
        BTreeMap::from([("STAGE".to_owned(), "prod".to_owned()), ("_n1".to_owned(), "${env.STAGE}".to_owned())])
    }

    #[test]
    fn strings_get_values_whole_or_in_part() {
        for (text, whole) in [
            ("", ""),
            ("plain $ and { and }", "plain $ and { and }"),
            ("${env.STAGE}", "prod"),
            ("a-${env.STAGE}-${env.STAGE}.b", "a-prod-prod.b"),
            ("$${env.STAGE}", "${env.STAGE}"),
            ("$$${env.STAGE}", "$${env.STAGE}"),
            ("$$$", "$$$"),
            ("$${", "${"),
            ("ü$${}ü${env.STAGE}ü", "ü${}üprodü"),
            // A value is not looked into.
            ("${env._n1}", "${env.STAGE}"),
        ] {
            assert_eq!(replaced(text, &values()).as_deref(), Ok(whole), "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_is_told() {
        for text in ["${STAGE}", "${env.}", "${env.1}", "${env.A-B}", "${env.STAGE", "${", "a${env.${env.STAGE}}"] {
            assert_eq!(replaced(text, &values()).unwrap_err().code, Code::BadValue, "{text}");
        }
        assert_eq!(replaced("${env.STAGES}", &values()).unwrap_err().code, Code::MissingVariable);
    }

    #[test]
    fn names_of_secrets() {
        for name in [
            "PASSWORD",
            "DB_PASSWORD",
            "aws_secret_access_key",
            "TOKEN",
            "GITHUB_TOKEN",
            "MY_KEYS",
            "PGPASSWORD",
            "dbpassword_prod",
            "DATABASE_DSN",
        ] {
            assert!(is_secret(name), "{name}");
            assert_eq!(replaced(&format!("${{env.{name}}}"), &values()).unwrap_err().code, Code::BadValue);
            let mut used = Vec::new();
            names(&format!("${{env.{name}}}"), &mut used);
            assert!(used.is_empty(), "{name} is looked up");
        }
        for name in ["STAGE", "MONKEY", "KEYSTONE_REGION", "TOKENS1", "_"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}

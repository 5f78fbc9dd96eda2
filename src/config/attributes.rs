//! What is declared of a role beside its name: memberships, settings, limits.

use super::Located;
use super::check::wrong;
use super::error::quoted;
use super::read::{Problems, Table};
use crate::code::Code;
use function_contract::{IDENTIFIER_BYTES, RoleAttributes};

/// Reads the keys of `[[user]]` that become attributes of its role, and where its groups are named: which roles are not
/// for it, only the whole file tells.
pub(super) fn read(problems: &Problems<'_>, table: &mut Table<'_, '_>) -> (RoleAttributes, Vec<Located<String>>) {
    let mut attributes = RoleAttributes::default();
    let mut groups = Vec::new();
    for group in table.optional_strings("member_of", "[\"app_rw\"]").into_iter().flat_map(|groups| groups.value) {
        let name = group.value.as_str();
        let reserved = name == "postgres" || name.starts_with("pg_") || name.to_ascii_lowercase().starts_with("rds");
        if name.is_empty() || name.len() > IDENTIFIER_BYTES || name.contains('\0') {
            wrong(problems, Code::BadName, &group, format!("{} cannot name a role", quoted(name)), "write 1-63 bytes");
        } else if reserved {
            // Whoever may change a config in a pull request must not gain the server by it.
            let message = format!("membership in {} is not for a deployment to give", quoted(name));
            wrong(
                problems,
                Code::ReservedName,
                &group,
                message,
                "make a role of your own that has what the login needs",
            );
        } else if !attributes.member_of.insert(group.value.clone()) {
            wrong(
                problems,
                Code::Duplicate,
                &group,
                format!("{} is listed twice", quoted(name)),
                "list each role once",
            );
        } else {
            groups.push(group);
        }
    }
    let example = "{ search_path = \"app\", statement_timeout = \"30s\" }";
    for (name, value) in table.named_values("settings", example) {
        let text = name.value.as_str();
        if matches!(text.to_ascii_lowercase().as_str(), "role" | "session_authorization") {
            let message =
                format!("the setting {} is pgrotate's own: it makes the clone work as its login", quoted(text));
            wrong(problems, Code::ReservedName, &name, message, "remove it");
        } else if !is_setting_name(text) {
            let message = format!("{} cannot name a setting", quoted(text));
            wrong(
                problems,
                Code::BadName,
                &name,
                message,
                "write letters, digits and _, such as search_path or \"app.tenant\"",
            );
        } else if attributes.settings.keys().any(|other| other.eq_ignore_ascii_case(text)) {
            wrong(
                problems,
                Code::Duplicate,
                &name,
                format!("the setting {} is there twice", quoted(text)),
                "set it once",
            );
        } else {
            attributes.settings.insert(name.value, value);
        }
    }
    // 262143 is PostgreSQL's own limit of connections (MAX_BACKENDS).
    if table.has("connection_limit") {
        let limit = table.integer("connection_limit", 1..=262_143, " connections", Some(100));
        attributes.connection_limit = limit.and_then(|limit| i32::try_from(limit).ok());
    } else {
        // Asked for, so that it is known.
        let _ = table.integer("connection_limit", 1..=262_143, " connections", Some(100));
    }
    if let Some(until) = table.optional_moment("valid_until", "2027-01-01T00:00:00Z") {
        match until.value.parse::<jiff::Timestamp>() {
            Ok(moment) => attributes.valid_until = Some(moment.to_string()),
            Err(_) => {
                wrong(
                    problems,
                    Code::BadValue,
                    &until,
                    format!("{} is no moment", quoted(&until.value)),
                    "write: valid_until = 2027-01-01T00:00:00Z",
                );
            }
        }
    }
    (attributes, groups)
}

/// Names as PostgreSQL's own settings have them, or two and more with dots between for an extension's.
fn is_setting_name(name: &str) -> bool {
    name.len() <= 2 * IDENTIFIER_BYTES
        && name.split('.').all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        })
}

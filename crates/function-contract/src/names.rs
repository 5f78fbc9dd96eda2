//! Names and marks derived from a login: its clone, its tag value, its role comment.

use std::collections::BTreeMap;

/// Suffix of a login's clone under alternating users; the one AWS's own function uses, so that a
/// clone it made is recognised.
pub const CLONE_SUFFIX: &str = "_clone";

/// PostgreSQL cuts longer identifiers silently (`NAMEDATALEN` 64, less the terminator). Bytes, not
/// characters.
pub const IDENTIFIER_BYTES: usize = 63;

/// The name of `login`'s clone.
pub fn clone_of(login: &str) -> String {
    format!("{login}{CLONE_SUFFIX}")
}

/// The role that takes over from `current`, where `base` is the declared login; None when `current` is
/// neither of the two.
pub fn alternate(base: &str, current: &str) -> Option<String> {
    let clone = clone_of(base);
    if current == base {
        Some(clone)
    } else if current == clone {
        Some(base.to_owned())
    } else {
        None
    }
}

/// Writes any text with the characters that every AWS service allows in a tag value: bytes other than
/// ASCII letters, digits, `_`, `.` and `-` become `=XX`. A 63-byte name takes at most 189 of the 256
/// characters.
pub fn encode_tag(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("={byte:02X}"));
        }
    }
    out
}

/// Reads what [`encode_tag`] wrote; None where it cannot have written it.
pub fn decode_tag(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'=' {
            let (high, low) = (rest.next()?, rest.next()?);
            let digit = |d: u8| char::from(d).to_digit(16);
            bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Settings whose stored value is a list of quoted names (GUC_LIST_QUOTE). The same list stands in pg_dump
/// (`variable_is_guc_list_quote`).
const NAME_LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// The names in the value of a setting that is a list of names; None for every other setting. A quoted name is what
/// the quotes hold, a doubled quote in it being one; a list that is broken is read as far as it goes. Letters keep
/// their case: a setting that is given as text is not folded either.
pub fn name_list(setting: &str, value: &str) -> Option<Vec<String>> {
    if !NAME_LISTS.iter().any(|known| known.eq_ignore_ascii_case(setting)) {
        return None;
    }
    let mut names = Vec::new();
    let mut rest = value.trim_start();
    while !rest.is_empty() {
        let mut name = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut chars = quoted.char_indices().peekable();
            let mut end = quoted.len();
            while let Some((at, c)) = chars.next() {
                if c != '"' {
                    name.push(c);
                } else if chars.next_if(|(_, next)| *next == '"').is_some() {
                    name.push('"');
                } else {
                    end = at + 1;
                    break;
                }
            }
            rest = &quoted[end..];
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            name.push_str(rest[..end].trim_end());
            rest = &rest[end..];
        }
        names.push(name);
        rest = rest.trim_start().trim_start_matches(',').trim_start();
    }
    Some(names)
}

/// Whether two texts mean the same to a setting. PostgreSQL stores a list of names (`search_path`) with its
/// own quotes and spaces; everything else stands as it was written.
pub fn same_setting(name: &str, one: &str, other: &str) -> bool {
    one == other || name_list(name, one).is_some_and(|names| name_list(name, other) == Some(names))
}

/// A setting by name. PostgreSQL stores some under a spelling of its own (`TimeZone`).
pub fn setting<'a>(settings: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    settings.iter().find(|(stored, _)| stored.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The comment that marks a role as a deployment's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleComment {
    pub deployment: String,
    pub address: String,
}

impl RoleComment {
    /// The mark itself. What follows it in a comment is the user's own.
    pub fn text(&self) -> String {
        format!("pgrotate:deployment={} pgrotate:address={}", encode_tag(&self.deployment), encode_tag(&self.address))
    }

    /// The mark that `comment` begins with, if any.
    pub fn read(comment: Option<&str>) -> Option<Self> {
        let rest = comment?.strip_prefix("pgrotate:deployment=")?;
        let (deployment, rest) = rest.split_once(" pgrotate:address=")?;
        let address = rest.split([' ', '\n']).next()?;
        let mark = Self { deployment: decode_tag(deployment)?, address: decode_tag(address)? };
        // Only what `text` writes is a mark, so that reading and `marks` cannot disagree.
        mark.marks(comment).then_some(mark)
    }

    /// Whether `comment` carries this mark.
    pub fn marks(&self, comment: Option<&str>) -> bool {
        comment.is_some_and(|comment| {
            comment
                .strip_prefix(&self.text())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' ') || rest.starts_with('\n'))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_alternate_around_the_declared_login() {
        assert_eq!(alternate("app", "app").as_deref(), Some("app_clone"));
        assert_eq!(alternate("app", "app_clone").as_deref(), Some("app"));
        // A login that is really called so has a clone of its own.
        assert_eq!(alternate("x_clone", "x_clone").as_deref(), Some("x_clone_clone"));
        assert_eq!(alternate("app", "other"), None);
    }

    #[test]
    fn settings_are_compared_by_what_they_mean() {
        assert!(same_setting("search_path", "\"$user\", app", "$user,app"));
        assert!(!same_setting("search_path", "app", "app, public"));
        // One name that holds a comma is not two.
        assert!(!same_setting("search_path", "\"a,b\"", "\"a\", b\""));
        assert!(same_setting("Search_Path", "\"a,\"\"b\"", " \"a,\"\"b\" "));
        assert!(!same_setting("application_name", "a, b", "a,b"));
        let settings = BTreeMap::from([("TimeZone".to_owned(), "UTC".to_owned())]);
        assert_eq!(setting(&settings, "timezone"), Some("UTC"));
        assert_eq!(setting(&settings, "zone"), None);
    }

    #[test]
    fn tag_values_survive_any_name() {
        for name in ["test_user1", "Über \"quoted\"", "a=b", "%", ""] {
            let tag = encode_tag(name);
            assert!(tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-=".contains(&b)), "{tag}");
            assert_eq!(decode_tag(&tag).as_deref(), Some(name));
        }
        assert_eq!(decode_tag("=4"), None);
        assert_eq!(decode_tag("=FF"), None);
    }

    #[test]
    fn a_longer_address_is_not_our_mark() {
        let mark = RoleComment { deployment: "article".into(), address: "login.test_user1".into() };
        assert!(mark.marks(Some(&mark.text())));
        assert!(mark.marks(Some(&format!("{} owned by team db", mark.text()))));
        assert!(!mark.marks(Some(&format!("{}0", mark.text()))));
        assert!(!mark.marks(None));
    }

    #[test]
    fn a_mark_is_read_back_from_a_comment() {
        let mark = RoleComment { deployment: "a b".into(), address: "login.x".into() };
        for tail in ["", " the team's own words", "\nmore"] {
            assert_eq!(RoleComment::read(Some(&format!("{}{tail}", mark.text()))), Some(mark.clone()));
        }
        for none in [None, Some(""), Some("x pgrotate:deployment=a pgrotate:address=b"), Some("pgrotate:deployment=a")]
        {
            assert_eq!(RoleComment::read(none), None);
        }
        assert_eq!(RoleComment::read(Some("pgrotate:deployment=%41 pgrotate:address=b")), None, "not our spelling");
    }
}

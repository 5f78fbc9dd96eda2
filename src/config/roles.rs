//! `assume_role`: the IAM role as which everything is done.

use super::Located;
use super::check::wrong;
use super::error::quoted;
use super::read::Problems;
use crate::code::Code;

pub(super) const EXAMPLE: &str = "\"arn:aws:iam::123456789012:role/pgrotate\"";

/// Longest name of a role, and longest path (IAM API reference, Role).
const NAME: usize = 64;
const PATH: usize = 512;

/// `account` is the guard that the role must go with.
pub(super) fn check(problems: &Problems<'_>, role: &Option<Located<String>>, account: &Option<Located<String>>) {
    let Some(role) = role else { return };
    let text = role.value.as_str();
    let refuse = |message: String, hint: String| wrong(problems, Code::BadValue, role, message, hint);
    let example = || format!("write the role's ARN, such as assume_role = {EXAMPLE}");
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let &["arn", partition, service, "", of, resource] = parts.as_slice() else {
        return refuse(format!("{} is no ARN of an IAM role", quoted(text)), example());
    };
    if service == "sts" {
        let hint =
            "a session cannot be assumed: name its role, arn:…:iam::…:role/…, with the role's path if it has one";
        return refuse(format!("{} is the ARN of a session, not of a role", quoted(text)), hint.to_owned());
    }
    let named = resource.strip_prefix("role/");
    if service != "iam" || !is_partition(partition) || named.is_none() {
        return refuse(format!("{} is no ARN of an IAM role", quoted(text)), example());
    }
    if of.len() != 12 || !of.bytes().all(|b| b.is_ascii_digit()) {
        let message = format!("{} is no ARN of an IAM role: {} is no account id", quoted(text), quoted(of));
        return refuse(message, example());
    }
    if !named.is_some_and(is_role) {
        let hint = format!("write its path and name, of at most {NAME} letters, digits and _+=,.@-, as IAM shows them");
        return refuse(format!("{} cannot name an IAM role", quoted(named.unwrap_or_default())), hint);
    }
    if let Some(account) = account
        && account.value != of
    {
        let message = format!("the role is of account {of}, and `account` allows only {}", quoted(&account.value));
        let hint =
            "name a role of that account, or leave `account` out: the role's own is the only one that is reached";
        wrong(problems, Code::ConflictingKeys, role, message, hint);
    }
}

/// `aws`, `aws-cn`, `aws-us-gov` and those that come.
fn is_partition(text: &str) -> bool {
    text.starts_with("aws") && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

/// A name, after a path where it has one.
fn is_role(text: &str) -> bool {
    let (path, name) = text.rsplit_once('/').unwrap_or(("", text));
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    // A path begins and ends with a slash, both of which stand outside of it here.
    (1..=NAME).contains(&name.len())
        && name.bytes().all(fits)
        && path.len() + 2 <= PATH
        && path.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(role: &str, account: Option<&str>) -> Vec<String> {
        let located = |text: &str| Some(Located { value: text.to_owned(), span: 0..0 });
        let problems = Problems::new("");
        check(&problems, &located(role), &account.and_then(located));
        problems.finish().iter().map(|error| format!("{}: {}", error.code, error.message)).collect()
    }

    #[test]
    fn roles() {
        for role in [
            "arn:aws:iam::123456789012:role/pgrotate",
            "arn:aws-us-gov:iam::123456789012:role/ci/teams/pg_rotate+=,.@-1",
            "arn:aws-cn:iam::123456789012:role/p",
        ] {
            assert_eq!(said(role, None), [""; 0], "{role}");
            assert_eq!(said(role, Some("123456789012")), [""; 0], "{role}");
        }
        assert_eq!(
            said("arn:aws:iam::123456789012:role/pgrotate", Some("210987654321")),
            ["conflicting-keys: the role is of account 123456789012, and `account` allows only \"210987654321\""]
        );
    }

    #[test]
    fn what_is_no_role() {
        let long = format!("arn:aws:iam::123456789012:role/{}", "a".repeat(65));
        for (role, why) in [
            ("", "is no ARN"),
            ("pgrotate", "is no ARN"),
            ("arn:aws:iam::123456789012:user/pgrotate", "is no ARN"),
            ("arn:aws:iam:eu-north-1:123456789012:role/pgrotate", "is no ARN"),
            ("arn:gcp:iam::123456789012:role/pgrotate", "is no ARN"),
            ("arn:aws:sts::123456789012:assumed-role/pgrotate/me", "is the ARN of a session"),
            ("arn:aws:iam::12345678901:role/pgrotate", "no account id"),
            ("arn:aws:iam::123456789012:role/", "cannot name"),
            ("arn:aws:iam::123456789012:role/ci/", "cannot name"),
            ("arn:aws:iam::123456789012:role/a b", "cannot name"),
            ("arn:aws:iam::123456789012:role/a:b", "cannot name"),
            (&long, "cannot name"),
        ] {
            let said = said(role, None);
            assert!(said.len() == 1 && said[0].starts_with("bad-value") && said[0].contains(why), "{role}: {said:?}");
        }
    }
}

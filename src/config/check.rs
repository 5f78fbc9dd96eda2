//! What values may be, as far as it can be told without asking AWS.

use super::error::{ConfigError, is_unprintable, quoted};
use super::read::{Problems, nearest};
use super::{Allow, Client, Located};
use crate::code::Code;
use function_contract::IDENTIFIER_BYTES;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest name of a Lambda function (AWS), less the longest suffix that the sibling functions add.
pub(super) const FUNCTION_NAME: usize = 64 - "-provisioning".len();

/// Major versions this release is tested against.
const MAJORS: std::ops::RangeInclusive<u32> = 15..=18;

/// Longest description of a security group rule, and its characters beside letters and digits (AWS).
const DESCRIPTION: usize = 255;
const DESCRIPTION_SIGNS: &str = " ._-:/()#,@[]+=&;{}!$*";

type Text = Option<Located<String>>;

pub(super) fn wrong<T>(
    problems: &Problems<'_>,
    code: Code,
    of: &Located<T>,
    message: impl Into<String>,
    hint: impl Into<String>,
) {
    problems.add(ConfigError::at(code, &of.span, message).hint(hint));
}

fn is_lower_or_digit(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

pub(super) fn deployment(problems: &Problems<'_>, name: &Text) {
    let Some(name) = name else { return };
    let text = name.value.as_str();
    let fits = text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| is_lower_or_digit(b) || b == b'-');
    if !fits {
        let message = format!("{} cannot name a deployment", quoted(text));
        let hint =
            "write 1-40 of a-z, 0-9 and -, starting with a letter: it becomes part of bucket, stack and group names";
        wrong(problems, Code::BadName, name, message, hint);
    }
}

pub(super) fn region(problems: &Problems<'_>, region: &Text) {
    let Some(region) = region else { return };
    let is_region = |text: &str| {
        let parts: Vec<&str> = text.split('-').collect();
        match parts.as_slice() {
            [first, middle @ .., last] => {
                (2..=4).contains(&first.len())
                    && !middle.is_empty()
                    && [first]
                        .into_iter()
                        .chain(middle)
                        .all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase()))
                    && last.len() <= 2
                    && is_digits(last)
            }
            _ => false,
        }
    };
    let text = region.value.as_str();
    if is_region(text) {
        return;
    }
    let without_zone = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    if is_region(without_zone) {
        let message = format!("{} is an availability zone, not a region", quoted(text));
        wrong(problems, Code::BadValue, region, message, format!("write: region = \"{without_zone}\""));
    } else {
        let message = format!("{} does not look like a region", quoted(text));
        wrong(problems, Code::BadValue, region, message, "write its code, such as region = \"eu-north-1\"");
    }
}

pub(super) fn account(problems: &Problems<'_>, account: &Text) {
    let Some(account) = account else { return };
    let text = account.value.as_str();
    if text.len() == 12 && is_digits(text) {
        return;
    }
    let digits: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
    let hint = if digits.len() == 12 && is_digits(&digits) {
        format!("write: account = \"{digits}\"")
    } else {
        "write twelve digits, such as account = \"123456789012\"".into()
    };
    wrong(problems, Code::BadValue, account, format!("{} is no account id", quoted(text)), hint);
}

/// An id of EC2: `vpc-` or `subnet-` and 17 hexadecimal digits, or 8 as of old.
pub(super) fn ec2_id(problems: &Problems<'_>, id: &Located<String>, prefix: &str) {
    let digits = id.value.strip_prefix(prefix).unwrap_or("");
    if !matches!(digits.len(), 8 | 17) || !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        let message = format!("{} is no id of the form {prefix}…", quoted(&id.value));
        wrong(
            problems,
            Code::BadValue,
            id,
            message,
            format!("write {prefix} and 17 (or 8) of 0-9 and a-f, such as \"{prefix}0123456789abcdef0\""),
        );
    }
}

pub(super) fn subnets(problems: &Problems<'_>, subnets: &Option<Located<Vec<Located<String>>>>) {
    let Some(subnets) = subnets else { return };
    for (index, subnet) in subnets.value.iter().enumerate() {
        ec2_id(problems, subnet, "subnet-");
        if subnets.value[..index].contains(subnet) {
            wrong(
                problems,
                Code::Duplicate,
                subnet,
                format!("{} is listed twice", quoted(&subnet.value)),
                "list each subnet once",
            );
        }
    }
    if subnets.value.len() < 2 {
        let message = format!("`subnets` lists {}: RDS needs two or more", subnets.value.len());
        wrong(problems, Code::BadValue, subnets, message, "add a subnet of another availability zone");
    }
}

/// The CIDR as AWS spells it, so that it compares equal to what AWS returns.
pub(super) fn cidr(problems: &Problems<'_>, cidr: &Located<String>) -> Option<String> {
    match parse_cidr(&cidr.value) {
        Ok(text) => Some(text),
        Err((why, instead)) => {
            wrong(
                problems,
                Code::BadValue,
                cidr,
                format!("{} is no CIDR: {why}", quoted(&cidr.value)),
                format!("write {instead}"),
            );
            None
        }
    }
}

fn parse_cidr(text: &str) -> Result<String, (String, String)> {
    const EXAMPLE: &str = "an address and the length of its network, such as \"203.0.113.7/32\"";
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return Err((format!("{} is no IPv4 or IPv6 address", quoted(address)), EXAMPLE.into()));
    };
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let Some(length) = length else {
        return Err((
            "the length of the network is missing".into(),
            format!("\"{address}/{bits}\" for this one address"),
        ));
    };
    let plain = is_digits(length) && length.len() <= 3 && (length.len() == 1 || !length.starts_with('0'));
    let Some(length) = length.parse::<u32>().ok().filter(|length| plain && *length <= bits) else {
        return Err((
            format!("the length of the network must be 0 to {bits}"),
            format!("\"{address}/{bits}\" for this one address"),
        ));
    };
    let network = network(address, length);
    if network == address {
        Ok(format!("{network}/{length}"))
    } else {
        let why = format!("{address} has bits set beyond its first {length}");
        Err((why, format!("\"{network}/{length}\" for the network, or \"{address}/{bits}\" for this one address")))
    }
}

/// The address with all but its first `length` bits zero.
fn network(address: IpAddr, length: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

pub(super) fn description(problems: &Problems<'_>, description: &Text) {
    let Some(description) = description else { return };
    let text = description.value.as_str();
    if let Some(bad) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !DESCRIPTION_SIGNS.contains(*c)) {
        let message = format!("{bad:?} cannot stand in the description of a rule");
        wrong(
            problems,
            Code::BadValue,
            description,
            message,
            format!("AWS takes letters a-z, digits, spaces and {}", DESCRIPTION_SIGNS.trim()),
        );
    } else if text.trim().is_empty() || text.len() > DESCRIPTION {
        let message = format!("the description of a rule has {} characters", text.len());
        wrong(
            problems,
            Code::BadValue,
            description,
            message,
            format!("write 1-{DESCRIPTION} characters that tell who is let in"),
        );
    }
}

/// Equal clients would become two rules with the same key, which EC2 refuses.
pub(super) fn distinct_clients(problems: &Problems<'_>, allow: &[(Allow, std::ops::Range<usize>)]) {
    for (index, (rule, span)) in allow.iter().enumerate() {
        if allow[..index].iter().any(|(other, _)| other.from == rule.from) {
            let (client, what) = match &rule.from {
                Client::Cidr(cidr) => (&cidr.value, "CIDR"),
                Client::Group(group) => (&group.value, "group"),
            };
            let message = format!("{} is allowed twice", quoted(client));
            problems
                .add(ConfigError::at(Code::Duplicate, span, message).hint(format!("keep one entry for each {what}")));
        }
    }
}

/// The identifier of a DB instance or, under the key `cluster`, of a DB cluster: RDS takes the same for both.
pub(super) fn database_identifier(problems: &Problems<'_>, id: &Text, key: &str) {
    let Some(id) = id else { return };
    let text = id.value.as_str();
    let fits = text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.ends_with('-')
        && !text.contains("--");
    if !fits {
        let hint = "write 1-63 of a-z, 0-9 and -, starting with a letter, without -- and no - at the end";
        let what = if key == "cluster" { "cluster" } else { "instance" };
        wrong(problems, Code::BadName, id, format!("{} cannot name a database {what}", quoted(text)), hint);
    } else {
        lower_case(problems, id, key);
    }
}

pub(super) fn subnet_group(problems: &Problems<'_>, name: &Text, manage: bool) {
    let Some(name) = name else { return };
    let text = name.value.as_str();
    let fits = text.len() <= 255
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._ -".contains(&b));
    if !fits {
        let hint = "write 1-255 of a-z, 0-9, period, underscore, space and -, starting with a letter";
        wrong(problems, Code::BadName, name, format!("{} cannot name a subnet group", quoted(text)), hint);
    } else if manage && text.eq_ignore_ascii_case("default") {
        wrong(
            problems,
            Code::ReservedName,
            name,
            "the subnet group `default` is AWS's own",
            "choose another name: this deployment makes the group",
        );
    } else {
        lower_case(problems, name, "subnet_group");
    }
}

/// RDS stores these names in lower case: spelled otherwise, one would never be found again as declared.
fn lower_case(problems: &Problems<'_>, name: &Located<String>, key: &str) {
    let lower = name.value.to_ascii_lowercase();
    if lower != name.value {
        let message = format!("{} has capitals, which RDS does not keep", quoted(&name.value));
        wrong(problems, Code::BadName, name, message, format!("write: {key} = \"{lower}\""));
    }
}

pub(super) fn engine_version(problems: &Problems<'_>, version: &Text) {
    let Some(version) = version else { return };
    let text = version.value.as_str();
    let plain = |part: &str| is_digits(part) && part.len() <= 3 && (part.len() == 1 || !part.starts_with('0'));
    let parts: Vec<&str> = text.split('.').collect();
    let major = parts.first().filter(|part| plain(part)).and_then(|part| part.parse::<u32>().ok());
    let (Some(major), 1..=2, true) = (major, parts.len(), parts.iter().all(|part| plain(part))) else {
        let message = format!("{} is no version of PostgreSQL on RDS", quoted(text));
        wrong(
            problems,
            Code::BadValue,
            version,
            message,
            "write a major version (\"16\") or the least minor one (\"16.8\")",
        );
        return;
    };
    if !MAJORS.contains(&major) {
        let (low, high) = (MAJORS.start(), MAJORS.end());
        let message = format!("PostgreSQL {major} is not supported");
        wrong(
            problems,
            Code::NotSupported,
            version,
            message,
            format!("write a version from {low} to {high}, such as engine_version = \"{high}\""),
        );
    }
}

pub(super) fn class(problems: &Problems<'_>, class: &Text) {
    let Some(class) = class else { return };
    let text = class.value.as_str();
    let is_size = |text: &str| {
        let parts: Vec<&str> = text.split('.').collect();
        parts.len() >= 2 && parts.iter().all(|p| !p.is_empty() && p.bytes().all(|b| is_lower_or_digit(b) || b == b'-'))
    };
    match text.strip_prefix("db.") {
        Some(rest) if is_size(rest) => {}
        None if is_size(text) => {
            let message = format!("{} is a class of EC2; those of RDS start with db.", quoted(text));
            wrong(problems, Code::BadValue, class, message, format!("write: class = \"db.{text}\""));
        }
        _ => {
            let message = format!("{} is no instance class", quoted(text));
            wrong(
                problems,
                Code::BadValue,
                class,
                message,
                "write db., a family and a size, such as class = \"db.t3.micro\"",
            );
        }
    }
}

/// One of several words; None is told, with the nearest of them.
pub(super) fn choice<T: Copy>(
    problems: &Problems<'_>,
    key: &str,
    found: &Located<String>,
    words: &[(&str, T)],
) -> Option<T> {
    let text = found.value.as_str();
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Some(*value);
    }
    let all: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let near = nearest(&text.replace('_', "-"), &known);
    let hint = match near {
        Some(word) => format!("did you mean \"{word}\"? `{key}` is one of {}", all.join(", ")),
        None => format!("write one of {}", all.join(", ")),
    };
    wrong(problems, Code::BadValue, found, format!("`{key}` cannot be {}", quoted(text)), hint);
    None
}

pub(super) fn bucket(problems: &Problems<'_>, bucket: &Text) {
    let Some(bucket) = bucket else { return };
    let text = bucket.value.as_str();
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = (3..=63).contains(&text.len())
        && text.starts_with(edge)
        && text.ends_with(edge)
        && text.bytes().all(|b| is_lower_or_digit(b) || b == b'-' || b == b'.')
        && !text.contains("..")
        && text.parse::<Ipv4Addr>().is_err();
    if !fits {
        let hint =
            "write the bucket's bare name (3-63 of a-z, 0-9, - and period), or leave the line out to have one made";
        wrong(problems, Code::BadName, bucket, format!("{} is no name of a bucket", quoted(text)), hint);
    }
}

pub(super) fn function_name(problems: &Problems<'_>, name: &Text) {
    let Some(name) = name else { return };
    let text = name.value.as_str();
    let fits = (1..=FUNCTION_NAME).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !fits {
        let hint = format!(
            "write 1-{FUNCTION_NAME} letters, digits, - and _: the other functions append to it, and AWS takes 64"
        );
        wrong(problems, Code::BadName, name, format!("{} cannot name the function", quoted(text)), hint);
    }
}

pub(super) fn master(problems: &Problems<'_>, master: &Text) {
    let Some(master) = master else { return };
    let text = master.value.as_str();
    // AWS's documents say 16 characters in one place and 63 in another; RDS itself decides between them.
    let fits = text.len() <= IDENTIFIER_BYTES
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !fits {
        let hint = "write 1-63 letters, digits and underscores, starting with a letter";
        wrong(problems, Code::BadName, master, format!("{} cannot name the master user", quoted(text)), hint);
    } else if text == "rdsadmin" || text.starts_with("pg_") {
        let message = format!("{} is reserved and cannot name the master user", quoted(text));
        wrong(problems, Code::ReservedName, master, message, "choose another name, such as master = \"postgres\"");
    }
}

pub(super) fn database_name(problems: &Problems<'_>, name: &Text) {
    let Some(name) = name else { return };
    let text = name.value.as_str();
    if text.is_empty() || text.len() > IDENTIFIER_BYTES || text.contains(is_unprintable) {
        let message = format!("{} cannot name a database", quoted(text));
        wrong(
            problems,
            Code::BadName,
            name,
            message,
            format!("write 1-{IDENTIFIER_BYTES} bytes without control characters"),
        );
    } else if matches!(text, "rdsadmin" | "template0") {
        let message = format!("no login of yours can connect to the database {}", quoted(text));
        wrong(
            problems,
            Code::ReservedName,
            name,
            message,
            "write the application's database, such as database = \"postgres\"",
        );
    }
}

pub(super) fn secret_name(problems: &Problems<'_>, name: &Text) {
    let Some(name) = name else { return };
    let text = name.value.as_str();
    if text.is_empty()
        || text.len() > 512
        || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+=.@-".contains(&b))
    {
        let hint = "write 1-512 letters, digits and / _ + = . @ -";
        wrong(problems, Code::BadName, name, format!("{} cannot name a secret", quoted(text)), hint);
        return;
    }
    // AWS appends a hyphen and six characters to the name to make the ARN. A name that already ends so
    // can be taken for such an ARN where one is looked up without its end; AWS warns against it.
    let looks_like_arn =
        text.rsplit_once('-').is_some_and(|(_, end)| end.len() == 6 && end.bytes().all(|b| b.is_ascii_alphanumeric()));
    if looks_like_arn {
        let message = format!("{} ends with a hyphen and six characters, as the ARN of a secret does", quoted(text));
        let (start, end) = text.rsplit_once('-').unwrap_or_default();
        wrong(
            problems,
            Code::BadName,
            name,
            message,
            format!("AWS warns against such names. Write for example: secret = \"{start}_{end}\""),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cidrs_become_what_aws_returns() {
        for (text, canonical) in [
            ("203.0.113.7/32", "203.0.113.7/32"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8:0:0::/64", "2001:db8::/64"),
            ("::/0", "::/0"),
            ("2001:db8::1/128", "2001:db8::1/128"),
        ] {
            assert_eq!(parse_cidr(text).as_deref(), Ok(canonical));
        }
    }

    #[test]
    fn cidrs_that_are_none_name_the_network_meant() {
        let instead = |text: &str| parse_cidr(text).unwrap_err().1;
        assert_eq!(instead("10.1.2.3/8"), "\"10.0.0.0/8\" for the network, or \"10.1.2.3/32\" for this one address");
        assert_eq!(instead("1.2.3.4/0"), "\"0.0.0.0/0\" for the network, or \"1.2.3.4/32\" for this one address");
        assert_eq!(
            instead("2001:db8::1/64"),
            "\"2001:db8::/64\" for the network, or \"2001:db8::1/128\" for this one address"
        );
        assert_eq!(instead("203.0.113.7"), "\"203.0.113.7/32\" for this one address");
        for bad in [
            "",
            "/",
            "/8",
            "10.0.0/8",
            "010.0.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "::/129",
            "a/8",
            "10.0.0.0/8/8",
        ] {
            assert!(parse_cidr(bad).is_err(), "{bad}");
        }
    }

    fn messages(check: impl Fn(&Problems<'_>, &Text), values: &[&str]) -> Vec<String> {
        let problems = Problems::new("");
        for value in values {
            check(&problems, &Some(Located { value: (*value).to_owned(), span: 0..0 }));
        }
        problems.finish().into_iter().map(|error| error.message).collect()
    }

    fn passes(check: impl Fn(&Problems<'_>, &Text), values: &[&str]) {
        assert_eq!(messages(check, values), Vec::<String>::new());
    }

    fn fails(check: impl Fn(&Problems<'_>, &Text), values: &[&str]) {
        let found = messages(check, values);
        assert_eq!(found.len(), values.len(), "{found:#?}");
    }

    #[test]
    fn names_of_aws() {
        let long = "a".repeat(64);
        passes(deployment, &["a", "article", "a-1", &"a".repeat(40)]);
        fails(deployment, &["", "1a", "-a", "A", "a_b", "ä", &"a".repeat(41)]);
        passes(region, &["eu-north-1", "us-gov-west-1", "us-isob-east-1", "eusc-de-east-1", "cn-northwest-1"]);
        fails(region, &["", "eu-north-1a", "Stockholm", "eu-north", "eu--1", "EU-NORTH-1", "eu-1", "-north-1"]);
        passes(account, &["123456789012", "000000000000"]);
        fails(account, &["", "12345678901", "1234567890123", "1234-5678-9012", "12345678901a"]);
        let instance_identifier = |problems: &Problems<'_>, id: &Text| database_identifier(problems, id, "identifier");
        passes(instance_identifier, &["my-postgres-instance", "a", &"a".repeat(63)]);
        fails(instance_identifier, &["", "1a", "a-", "a--b", "a_b", "My-Instance", &long]);
        let group = |p: &Problems<'_>, name: &Text| subnet_group(p, name, true);
        passes(group, &["my-db-subnet-group", "a b.c_d"]);
        fails(group, &["", "default", "Group", "1a", "a/b"]);
        passes(|p, name| subnet_group(p, name, false), &["default"]);
        passes(class, &["db.t3.micro", "db.r6g.16xlarge", "db.r5b.large.tpc1.mem2x"]);
        fails(class, &["", "t3.micro", "db.", "db.t3", "db..micro", "DB.T3.MICRO"]);
        passes(function_name, &["pgpasslambda", "A_b-1", &"a".repeat(51)]);
        fails(function_name, &["", "a.b", &"a".repeat(52)]);
        passes(bucket, &["my-bucket", "a.b.c", "123"]);
        fails(bucket, &["", "ab", "Bucket", "a..b", "s3://my-bucket", "192.0.2.1", "-ab", &long]);
        passes(secret_name, &["test_user1_secret", "prod/app@1.2+x=y", "app-passwords", "a-b_c_d"]);
        fails(secret_name, &["", "a b", "a!", "app-secret", &"a".repeat(513)]);
    }

    #[test]
    fn names_of_postgresql() {
        passes(engine_version, &["15", "16", "16.4", "18.10"]);
        fails(engine_version, &["", "14", "19", "16.", ".4", "16.4.1", "016", "16.x", "v16", "9999999999"]);
        passes(master, &["postgres", "Master_1"]);
        fails(master, &["", "1a", "a-b", "rdsadmin", "pg_me", &"a".repeat(64)]);
        passes(database_name, &["postgres", "my db", "ü"]);
        fails(database_name, &["", "a\0b", "rdsadmin", "template0", &"ü".repeat(32)]);
    }
}

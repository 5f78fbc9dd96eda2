use super::answer::good;
use super::text::{literal, plain};
use super::*;
use crate::aws::{GroupFound, ServiceEndpoint, SubnetFound, WayOut};
use crate::config::{self, Client as Allowed};
use expect_test::{expect, expect_file};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

fn place() -> Place {
    Place { name: "pgrotate.toml".to_owned(), has_schema: false }
}

fn written(answers: &Answers) -> String {
    render(answers, &place(), &[])
}

fn existing(is_cluster: bool) -> Answers {
    let security_group = Because { value: "my-rds-sg".to_owned(), why: Some("It is the only one.".to_owned()) };
    let database = Database::Existing { identifier: "legacy-db".to_owned(), is_cluster, port: 5433, security_group };
    Answers { deployment: "legacy".to_owned(), database, ..good() }
}

/// As a person reads it.
#[test]
fn a_new_instance() {
    let mut answers = good();
    answers.allow.push(Client { from: "203.0.113.7/32".to_owned(), description: "office".to_owned() });
    let further = Login { login: "reporting".to_owned(), secret: "reporting_secret".to_owned(), is_taken: true };
    answers.users.push(further);
    expect_file!["golden/new-instance.toml"].assert_eq(&written(&answers));
}

#[test]
fn an_existing_instance() {
    let obstacle = Obstacle {
        cause: "db_instance.legacy-db: RDS does not keep the master password of `legacy-db`, and nothing else may make logins in it".to_owned(),
        hint: "aws rds modify-db-instance --db-instance-identifier legacy-db --manage-master-user-password --apply-immediately".to_owned(),
    };
    let place = Place { has_schema: true, ..place() };
    expect_file!["golden/existing-instance.toml"].assert_eq(&render(&existing(false), &place, &[obstacle]));
}

/// Every key of the schema stands in a first config. What describes an instance that is made has no place in one that
/// refers to another's, nor has one of the two names of a database in a file that has the other.
#[test]
fn every_key_is_there() {
    let schema = config::schema();
    let mut keys = Vec::new();
    let tables = schema["$defs"].as_object().unwrap().iter().map(|(name, table)| (name.as_str(), table));
    for (table, of) in tables.chain([("", &schema)]) {
        keys.extend(of["properties"].as_object().into_iter().flatten().map(|(key, _)| (table.to_owned(), key.clone())));
    }
    assert!(keys.len() > 70, "{keys:?}");
    for (answers, exempt) in [
        (good(), &[][..]),
        (existing(false), &["cluster", "gib", "type"]),
        (existing(true), &["identifier", "manage", "gib", "type"]),
    ] {
        let text = written(&answers);
        let words: BTreeSet<_> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        for (table, key) in &keys {
            let is_exempt = exempt.contains(&key.as_str())
                || (!exempt.is_empty() && table == "Database" && OF_MANAGED.contains(&key.as_str()));
            assert!(is_exempt || words.contains(key.as_str()), "{table}.{key} is not in\n{text}");
        }
    }
}

/// Whoever takes a `#` away gets a config. A table that has one itself is taken whole: keys in it may need each other.
#[test]
fn what_stands_behind_a_hash_is_a_config_too() {
    for answers in [good(), existing(false), existing(true)] {
        let text = written(&answers);
        let lines: Vec<_> = text.lines().collect();
        let mut tried = 0;
        for (number, line) in lines.iter().enumerate() {
            let Some(key) = key_behind(line) else { continue };
            // A database has the one name or the other; and another file is not there.
            if ["cluster", "extends"].contains(&key) {
                continue;
            }
            let mut lines = lines.clone();
            let is_heading = |line: &&str| line.trim_start_matches("# ").starts_with('[');
            let heading = lines[..number].iter().rposition(is_heading);
            let end = lines[number..].iter().position(is_heading).map_or(lines.len(), |end| number + end);
            match heading {
                Some(heading) if lines[heading].starts_with('#') => {
                    lines[heading] = &lines[heading][2..];
                    // Of two ways to say when, a table has one.
                    let other = if key == "cron" { "every" } else { "cron" };
                    for line in &mut lines[heading..end] {
                        if key_behind(line).is_some_and(|key| key != other) {
                            *line = &line[2..];
                        }
                    }
                }
                heading => {
                    lines[number] = &lines[number][2..];
                    if key == "cron" && heading.is_some_and(|heading| lines[heading] == "[rotation]") {
                        lines.retain(|line| !line.starts_with("every = "));
                    }
                }
            }
            config::parse("a.toml", &lines.join("\n")).unwrap_or_else(|errors| panic!("{line}\n{errors}"));
            tried += 1;
        }
        assert!(tried > 25, "{tried}");
    }
}

/// The key of a line that would be one without its `#`.
fn key_behind(line: &str) -> Option<&str> {
    let (key, _) = line.strip_prefix("# ")?.split_once(" = ")?;
    is_key(key).then_some(key)
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// A config says what was answered.
#[test]
fn what_was_answered_is_declared() {
    let mut answers = good();
    answers.allow = vec![
        Client { from: "203.0.113.7/32".to_owned(), description: "office, 2nd floor".to_owned() },
        Client { from: "sg-0123456789abcdef0".to_owned(), description: "application".to_owned() },
    ];
    answers.every = "12 hours".to_owned();
    answers.secrets_manager.value = SecretsManagerPath::Nat;
    let read = config::parse("a.toml", &written(&answers)).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(read.network.secrets_manager.value, SecretsManagerPath::Nat);
    let allowed: Vec<_> = read
        .network
        .allow
        .iter()
        .map(|allow| match &allow.from {
            Allowed::Cidr(from) | Allowed::Group(from) => (from.value.as_str(), allow.description.as_str()),
        })
        .collect();
    assert_eq!(allowed, [("203.0.113.7/32", "office, 2nd floor"), ("sg-0123456789abcdef0", "application")]);
    assert_eq!(read.users[0].schedule.value.rule, config::Rule::Hours(12));
    assert!(read.database.instance.is_some());
    for is_cluster in [false, true] {
        let read = config::parse("a.toml", &written(&existing(is_cluster))).unwrap_or_else(|errors| panic!("{errors}"));
        let database = &read.database;
        assert_eq!((database.is_cluster, database.port, database.instance.is_none()), (is_cluster, 5433, true));
        assert_eq!(database.security_group.as_ref().map(|group| group.value.as_str()), Some("my-rds-sg"));
    }
}

/// Names that TOML, or a comment in it, could mistake for something else.
fn odd() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\"".to_owned()),
        Just("'''".to_owned()),
        Just("\\".to_owned()),
        Just("\n[aws]\nregion = ".to_owned()),
        Just("\r".to_owned()),
        Just("\u{7f}\u{0}".to_owned()),
        Just("# ".to_owned()),
        Just("\u{202e}é𝄞".to_owned()),
        "[ -~]{0,6}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// As it stands in a config, where `${` begins a variable.
fn written_as(name: &str) -> String {
    name.replace("${", "$${")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is answered and found: the text is TOML, and each value is what it was.
    #[test]
    fn no_name_gets_out_of_its_place(names in prop::collection::vec(odd(), 10)) {
        let mut names = names.into_iter();
        let mut next = || names.next().unwrap_or_default();
        let answers = Answers {
            deployment: next(),
            region: next(),
            vpc: next(),
            subnets: vec![next(), next()],
            secrets_manager: Because { value: SecretsManagerPath::Endpoint, why: Some(next()) },
            allow: vec![Client { from: "10.0.0.0/8".to_owned(), description: next() }],
            database: Database::Existing {
                identifier: next(), is_cluster: false, port: 5432, security_group: Because { value: next(), why: Some("x\n[y]".to_owned()) },
            },
            users: vec![Login { login: next(), secret: String::new(), is_taken: true }],
            ..good()
        };
        let obstacle = Obstacle { cause: answers.deployment.clone(), hint: answers.region.clone() };
        let name = answers.vpc.clone();
        let text = render(&answers, &Place { name, has_schema: false }, &[obstacle]);
        let read: toml::Table = toml::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(read["deployment"].as_str(), Some(&*written_as(&answers.deployment)));
        prop_assert_eq!(read["aws"]["region"].as_str(), Some(&*written_as(&answers.region)));
        prop_assert_eq!(read["network"]["vpc"].as_str(), Some(&*written_as(&answers.vpc)));
        for (read, answer) in read["network"]["subnets"].as_array().into_iter().flatten().zip(&answers.subnets) {
            prop_assert_eq!(read.as_str(), Some(&*written_as(answer)));
        }
        prop_assert_eq!(read["network"]["allow"][0]["description"].as_str(), Some(&*written_as(&answers.allow[0].description)));
        prop_assert_eq!(read["database"]["identifier"].as_str(), Some(&*written_as(answers.database.identifier())));
        prop_assert_eq!(read["user"][0]["login"].as_str(), Some(&*written_as(&answers.users[0].login)));
        prop_assert_eq!(read.len(), 7, "{}", text);
    }
}

#[test]
fn a_login_that_postgresql_takes_is_declared_as_it_is() {
    for login in ["app", "my \"app\"", "back\\slash", "it's", "Ünïcødé", "trailing#hash", "a${b", "${env.HOME}"] {
        let secret = secret_name(login);
        let users = vec![Login { login: login.to_owned(), secret: secret.clone(), is_taken: false }];
        let text = written(&Answers { users, ..good() });
        match config::parse("a.toml", &text) {
            Ok(read) => assert_eq!((read.users[0].login.value.as_str(), &read.users[0].secret.value), (login, &secret)),
            // A name that no deployment takes; it is told of, at its line.
            Err(errors) => assert!(errors.to_string().contains("login"), "{errors}"),
        }
    }
}

#[test]
fn an_answer_is_asked_of_the_config() {
    use Question as Q;
    let told: String = [
        (Q::Region, "eu-north-1"),
        (Q::Region, "nowhere"),
        (Q::Deployment, "Shop"),
        (Q::Identifier, "a--b"),
        (Q::EngineVersion, "sixteen"),
        (Q::Class, "t4g.micro"),
        (Q::Every, "3 hours"),
        (Q::Every, "1 week"),
        (Q::Client, "203.0.113.7/33"),
        (Q::Client, "sg-1"),
        (Q::User { master: "postgres" }, "app"),
        (Q::User { master: "root" }, "root"),
        (Q::User { master: "root" }, "pg_reader"),
        (Q::User { master: "root" }, "rotator_admin"),
    ]
    .into_iter()
    .map(|(question, answer)| {
        format!("{answer}: {}\n", check(question, answer).err().unwrap_or_else(|| "good".to_owned()))
    })
    .collect();
    expect![[r#"
        eu-north-1: good
        nowhere: "nowhere" does not look like a region: write its code, such as region = "eu-north-1"
        Shop: "Shop" cannot name a deployment: write 1-40 of a-z, 0-9 and -, starting with a letter: it becomes part of bucket, stack and group names
        a--b: "a--b" cannot name a database instance: write 1-63 of a-z, 0-9 and -, starting with a letter, without -- and no - at the end
        sixteen: "sixteen" is no version of PostgreSQL on RDS: write a major version ("16") or the least minor one ("16.8")
        t4g.micro: "t4g.micro" is a class of EC2; those of RDS start with db.: write: class = "db.t4g.micro"
        3 hours: "3 hours" is too often: AWS rotates at most every 4 hours: write: every = "4 hours", or longer
        1 week: a period in weeks is not known: "1 week": write: every = "7 days"
        203.0.113.7/33: "203.0.113.7/33" is no CIDR: the length of the network must be 0 to 32: write "203.0.113.7/32" for this one address
        sg-1: "sg-1" is no id of the form sg-…: write sg- and 17 (or 8) of 0-9 and a-f, such as "sg-0123456789abcdef0"
        app: good
        root: "root" cannot rotate: it is the master user, whose password RDS keeps: declare a login of your own, such as login = "app"
        pg_reader: "pg_reader" cannot rotate: names that start with pg_ are those of PostgreSQL: declare a login of your own, such as login = "app"
        rotator_admin: "rotator_admin" is the admin login and a user: give the admin a role of its own: it rotates itself, and is used by nobody else
    "#]].assert_eq(&told);
}

fn subnet(id: &str, zone: &str) -> SubnetFound {
    SubnetFound { id: id.to_owned(), name: None, zone: zone.to_owned(), cidr: String::new(), tags: Default::default() }
}

fn ways(ways: &[(&str, &str)]) -> BTreeMap<String, WayOut> {
    let way = |target: &str| WayOut { table: None, target: (!target.is_empty()).then(|| target.to_owned()) };
    ways.iter().map(|(subnet, target)| ((*subnet).to_owned(), way(target))).collect()
}

#[test]
fn subnets_of_two_zones_the_private_ones_first() {
    let all = [subnet("a1", "a"), subnet("a2", "a"), subnet("b1", "b"), subnet("c1", "c")];
    let chosen = |found: &[SubnetFound], targets: &[(&str, &str)]| choose_subnets(found, &ways(targets)).join(" ");
    assert_eq!(chosen(&all, &[]), "a1 b1");
    assert_eq!(chosen(&all, &[("a1", "igw-1"), ("a2", ""), ("b1", "igw-1"), ("c1", "nat-1")]), "a2 c1");
    assert_eq!(chosen(&all, &[("a1", "igw-1"), ("a2", "nat-1"), ("b1", "nat-2"), ("c1", "")]), "a2 b1");
    // One zone is all that there is: functions do with it.
    assert_eq!(chosen(&all[..2], &[]), "a1 a2");
    assert_eq!(chosen(&all[..1], &[]), "a1");
}

#[test]
fn the_way_to_secrets_manager() {
    let endpoint = |private_dns: bool, state: &str| ServiceEndpoint {
        id: "vpce-1".to_owned(),
        private_dns,
        state: state.to_owned(),
        groups: BTreeSet::new(),
        admits: BTreeSet::new(),
    };
    let subnets = ["a".to_owned(), "b".to_owned()];
    let nat = [("a", "nat-1"), ("b", "nat-2")];
    let chosen = |endpoints: &[ServiceEndpoint], own: bool, targets: &[(&str, &str)]| {
        let Because { value, why } = choose_path(endpoints, own, &subnets, &ways(targets));
        format!("{}: {}\n", value.text(), why.unwrap_or_default())
    };
    let told = [
        chosen(&[endpoint(true, "available")], false, &nat),
        chosen(&[endpoint(true, "available")], true, &nat),
        chosen(&[endpoint(false, "available"), endpoint(true, "deleting")], false, &nat),
        chosen(&[], false, &[("a", "nat-1"), ("b", "igw-1")]),
        chosen(&[], false, &[("a", "tgw-1"), ("b", "tgw-1")]),
        chosen(&[], false, &[]),
    ];
    expect![[r#"
        existing-endpoint: Chosen: the VPC has vpce-1, with private DNS.
        endpoint: Chosen: this deployment has made one already.
        nat: Chosen: the subnets lead out through nat-1 and nat-2.
        endpoint: Chosen: the VPC has none with private DNS, and the subnets do not all lead out through a NAT gateway.
        endpoint: Chosen: the VPC has none with private DNS. Should tgw-1, to which its subnets lead, bring functions out to the internet, "nat" makes none.
        endpoint: Chosen: the VPC has none with private DNS, and the subnets do not all lead out through a NAT gateway.
    "#]].assert_eq(&told.concat());
}

#[test]
fn the_group_that_lets_the_functions_in() {
    let chosen = |groups: &[(&str, bool)]| {
        let groups: Vec<_> =
            groups.iter().map(|(name, admits)| GroupFound { name: (*name).to_owned(), admits: *admits }).collect();
        match choose_group(&groups) {
            Some(Because { value, why }) => format!("{value}: {}\n", why.unwrap_or_default()),
            None => "none\n".to_owned(),
        }
    };
    let told = [
        chosen(&[]),
        chosen(&[("only", false)]),
        chosen(&[("default", true)]),
        chosen(&[("default", true), ("egress", false)]),
        chosen(&[("a", false), ("database", true), ("default", true)]),
    ];
    expect![[r#"
        none
        only: 
        default: The database is in the VPC's default group alone: whatever else is in it is opened to the functions at that port too.
        egress: One of the database's groups, any of which would do; the others: default.
        database: Of the database's groups this one lets clients in at its port already; the others: a, default.
    "#]].assert_eq(&told.concat());
}

#[test]
fn names_that_are_made_of_others() {
    assert_eq!(deployment_name("legacy-db"), "legacy-db");
    assert_eq!(deployment_name(&"a".repeat(63)), "a".repeat(40));
    assert_eq!(deployment_name("x-".repeat(31).as_str()), "x-".repeat(20).trim_end_matches('-'));
    assert_eq!(secret_name("it's"), "it-s_secret");
    let versions = ["15.14", "17.6", "18.1", "9.6.1", "odd"].map(str::to_owned);
    assert_eq!(latest_major(&versions), Some(18));
    assert_eq!(latest_major(&[]), None);
}

#[test]
fn what_is_shown_has_no_control_characters() {
    assert_eq!(plain("a\nb\u{0}\u{7f}\u{85}"), "a b   ");
    assert_eq!(literal("it's \"so\"\n"), r#""it's \"so\"\n""#);
    let schema: Value = config::schema();
    assert!(schema["properties"]["deployment"]["description"].is_string());
}

//! Files that extend each other, and variables of the environment.

use super::super::{Client, Config, Errors, Key, Outside, Rule, Source, keys, load_text, read};
use super::LEAST;
use crate::code::Code;
use expect_test::{Expect, expect};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Files and variables that no machine has.
#[derive(Default)]
struct Memory {
    files: BTreeMap<PathBuf, Vec<u8>>,
    variables: BTreeMap<String, String>,
}

impl Memory {
    fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect();
        Self { files, ..Self::default() }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn load(&self, text: &str) -> Result<(Config, Source), Errors> {
        load_text(Path::new("prod.toml"), text, self)
    }

    fn config(&self, text: &str) -> Config {
        self.load(text).unwrap_or_else(|errors| panic!("{errors}")).0
    }

    fn bad(&self, text: &str, expect: Expect) {
        let errors = self.load(text).expect_err("a bad file");
        assert!(errors.iter().all(|error| error.hint.is_some()), "an error without advice: {errors}");
        expect.assert_eq(&errors.to_string());
    }
}

impl Outside for Memory {
    fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.get(path).cloned().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }

    fn same(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

fn based(base: &str) -> Memory {
    Memory::of(&[("base.toml", base)])
}

#[test]
fn an_overlay_says_what_is_otherwise() {
    let overlay = r#"
extends = "base.toml"
deployment = "prod"
aws.account = "123456789012"
network = { subnets = ["subnet-0cf57825fcf0c3cbd", "subnet-05a8a2c78756260ed"] }
[database]
class = "db.r6g.large"
storage.gib = 200
[rotation]
cron = "cron(0 4 ? * SUN *)"
[[user]]
login = "new"
secret = "new_secret"
[[user]]
login = "app"
settings = { search_path = "shop" }
every = "12 hours"
"#;
    let base = format!(
        "{LEAST}settings = {{ statement_timeout = \"5s\" }}\ncron = \"cron(0 5 ? * SUN *)\"\n[[user]]\nlogin = \"other\"\nsecret = \"other_secret\"\n"
    );
    let config = based(&base).config(overlay);
    assert_eq!(config.deployment, "prod");
    assert_eq!((config.aws.region.as_str(), config.aws.account.as_deref()), ("eu-north-1", Some("123456789012")));
    let subnets: Vec<_> = config.network.subnet_ids().unwrap().iter().map(|subnet| subnet.value.as_str()).collect();
    assert_eq!(subnets, ["subnet-0cf57825fcf0c3cbd", "subnet-05a8a2c78756260ed"]);
    let instance = config.database.instance.as_ref().unwrap();
    assert_eq!(
        (instance.class.as_str(), instance.storage.gib, instance.storage.kind.as_str()),
        ("db.r6g.large", 200, "gp3")
    );
    let logins: Vec<_> = config.users.iter().map(|user| user.login.value.as_str()).collect();
    assert_eq!(logins, ["app", "other", "new"], "the base's first, in its order");
    let [app, other, new] = &config.users[..] else { panic!("three users") };
    assert_eq!(app.secret.value, "app_secret");
    let settings: Vec<_> = app.attributes.settings.iter().collect();
    assert_eq!(settings.len(), 2, "{settings:?}");
    assert_eq!(app.schedule.value.rule, Rule::Hours(12), "in the place of the base's cron");
    // `every` of the base has given way.
    assert_eq!(other.schedule.value.rule, Rule::Cron("cron(0 4 ? * SUN *)".to_owned()));
    assert_eq!(new.schedule.value.rule, Rule::Cron("cron(0 4 ? * SUN *)".to_owned()));
}

#[test]
fn what_is_required_may_stand_in_either() {
    let (base, rest) = LEAST.split_at(LEAST.find("[rotation]").unwrap());
    let config = based(base).config(&format!("extends = \"base.toml\"\n{rest}"));
    assert_eq!(config, super::parse("demo.toml", LEAST).unwrap_or_else(|errors| panic!("{errors}")));
    // And what is in neither is missing.
    based(base).bad(
        "extends = \"base.toml\"\n[admin]\nlogin = \"rotator\"\n",
        expect![[r#"
            error[missing-key]: `secret` is missing in [admin]
             --> prod.toml:2:1
              |
            2 | [admin]
              | ^^^^^^^
            hint: add: secret = "rotator_admin_secret"

            error[missing-key]: no [[user]] is declared: there is nothing to rotate
             --> prod.toml
            hint: add:
              [[user]]
              login = "app"
              secret = "app_secret"
        "#]],
    );
}

#[test]
fn alternatives_give_way() {
    let base =
        LEAST.replace("every = \"10 days\"", "every = \"10 days\"\npasswords = { length = 50, preset = \"url-safe\" }");
    let referred = "extends = \"base.toml\"\n[rotation]\npasswords = { exclude = \"@\" }\n";
    based(&base).config(referred);
    let base = include_str!("../../../configs/scenarios/aurora-cluster.toml");
    let one = "extends = \"base.toml\"\n[database]\nidentifier = \"db\"\nmanage = false\n";
    let config = based(base).config(one);
    assert!(!config.database.is_cluster && config.database.identifier.value == "db");
}

#[test]
fn arrays_are_replaced_whole() {
    let base = LEAST.replace("[database]", "allow = [{ cidr = \"10.0.0.0/8\", description = \"a\" }, { cidr = \"10.1.0.0/16\", description = \"b\" }]\n[database]");
    let overlay = "extends = \"base.toml\"\n[[network.allow]]\ncidr = \"203.0.113.7/32\"\ndescription = \"c\"\n";
    let config = based(&base).config(overlay);
    let [allow] = &config.network.allow[..] else { panic!("{:?}", config.network.allow) };
    assert!(matches!(&allow.from, Client::Cidr(cidr) if cidr.value == "203.0.113.7/32"));
    assert!(based(&base).config("extends = \"base.toml\"\nnetwork.allow = []\n").network.allow.is_empty());
}

#[test]
fn chains_and_folders() {
    let memory = Memory::of(&[
        (
            "shared/base.toml",
            "extends = \"../least.toml\"\naws.region = \"eu-west-1\"\n[database]\nclass = \"db.m7g.large\"\n",
        ),
        ("shared/../least.toml", LEAST),
    ]);
    let (config, source) = memory
        .load("extends = \"shared/base.toml\"\naws.region = \"eu-west-2\"\n")
        .unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.aws.region, "eu-west-2");
    assert_eq!(config.database.instance.as_ref().unwrap().class, "db.m7g.large");
    let names: Vec<_> = source.files().map(|(name, _)| name).collect();
    assert_eq!(names, ["prod.toml", "shared/base.toml", "shared/../least.toml"]);
    // What was loaded is read again without any of it, and is the same.
    assert_eq!(read(&source).unwrap_or_else(|errors| panic!("{errors}")), config);
    let [region, class]: [Key; 2] = ["aws.region", "database.class"].map(|path| {
        let mut found = keys(&source).into_iter().filter(|key| key.path == path);
        let key = found.next().expect("the key");
        assert_eq!(found.next(), None, "{path} stands where it is said last, and nowhere else");
        key
    });
    assert_eq!((region.file, region.line), (None, 2));
    assert_eq!(
        (class.file.as_deref(), class.line, class.text.as_str()),
        (Some("shared/base.toml"), 4, "class = \"db.m7g.large\"")
    );
    // A source that was cut is told as such.
    let (name, text) = source.files().next().unwrap();
    expect![[r#"
        error[config-unreadable]: the file that is extended here is not there
         --> prod.toml:1:11
          |
        1 | extends = "shared/base.toml"
          |           ^^^^^^^^^^^^^^^^^^
        hint: load the config again with all of its files
    "#]]
    .assert_eq(&read(&Source::new(name, text)).unwrap_err().to_string());
}

/// One login of a group that is otherwise in one place: for that one alone.
#[test]
fn a_user_over_one_of_a_group() {
    let (before, _) = LEAST.split_once("[[user]]").unwrap();
    let base = format!(
        "{before}[[users]]\nlogins = [\"a\", \"b\", \"c\"]\nsecret = \"x/{{login}}\"\nsettings = {{ search_path = \"app\" }}\n"
    );
    let overlay = "extends = \"base.toml\"\n[[user]]\nlogin = \"b\"\nevery = \"5 days\"\n[[user]]\nlogin = \"d\"\nsecret = \"d\"\n[[users]]\nlogins = [\"e\"]\nsecret = \"{login}\"\n";
    let (config, source) = based(&base).load(overlay).unwrap_or_else(|errors| panic!("{errors}"));
    let told: Vec<_> = config
        .users
        .iter()
        .map(|user| {
            (user.login.value.as_str(), user.secret.value.as_str(), user.declared.path(), &user.schedule.value.rule)
        })
        .collect();
    let (five, ten) = (Rule::Days(5), Rule::Days(10));
    let told: Vec<_> = told.iter().map(|(login, secret, path, rule)| (*login, *secret, path.as_str(), *rule)).collect();
    assert_eq!(
        told,
        [
            ("b", "x/b", "user[0]", &five),
            ("d", "d", "user[1]", &ten),
            ("a", "x/a", "users[0]", &ten),
            ("c", "x/c", "users[0]", &ten),
            ("e", "e", "users[1]", &ten),
        ]
    );
    assert_eq!(config.users[0].attributes.settings.len(), 1, "of the group");
    let places: Vec<_> = keys(&source)
        .into_iter()
        .filter(|key| key.path.starts_with("user[0].") || key.path == "users[0].logins")
        .map(|key| format!("{} {}:{}", key.path, key.file.unwrap_or_default(), key.line))
        .collect();
    assert_eq!(
        places,
        [
            "user[0].login :3",
            "user[0].every :4",
            "users[0].logins base.toml:19",
            "user[0].secret base.toml:20",
            "user[0].settings base.toml:21"
        ]
    );
    // All of it.
    let all = "extends = \"base.toml\"\n[[user]]\nlogin = \"a\"\n[[user]]\nlogin = \"b\"\n[[user]]\nlogin = \"c\"\n";
    let logins: Vec<_> = based(&base).config(all).users.into_iter().map(|user| user.declared.path()).collect();
    assert_eq!(logins, ["user[0]", "user[1]", "user[2]"]);
    // Of no group, and of one whose `users` is none.
    based(&base).bad(
        "extends = \"base.toml\"\nusers = 7\n",
        expect![[r#"
        error[wrong-type]: `users` must be an array of tables, not an integer
         --> prod.toml:2:9
          |
        2 | users = 7
          |         ^
        hint: write:
          [[users]]
          logins = ["app", "report"]
          secret = "{login}_secret"
    "#]],
    );
    based(&base).bad(
        "extends = \"base.toml\"\n[[users]]\nlogins = [\"a\"]\nsecret = \"{login}\"\n",
        expect![[r#"
        error[duplicate]: login "a" is declared twice
         --> prod.toml:3:11
          |
        3 | logins = ["a"]
          |           ^^^
        hint: list each login once

        error[duplicate]: login "a" is declared twice
          --> base.toml:19:11
           |
        19 | logins = ["a", "b", "c"]
           |           ^^^
        hint: list each login once
    "#]],
    );
}

#[test]
fn all_errors_of_all_files_each_in_its_own() {
    let base = LEAST.replace("region = \"eu-north-1\"", "regoin = \"eu-north-1\"").replace("gib = 20", "gib = 2")
        + "[[user]]\nlogin = \"app\"\nsecret = \"b\"\n";
    let overlay = "extends = \"base.toml\"\n[databse]\nclass = \"db.t3.large\"\n[[user]]\nlogin = \"more\"\n[[user]]\nlogin = \"more\"\nsecret = \"more_secret\"\n";
    based(&base).bad(overlay, expect![[r#"
        error[unknown-key]: unknown key `databse` at the top level
         --> prod.toml:2:2
          |
        2 | [databse]
          |  ^^^^^^^
        hint: did you mean `database`? Known here: extends, deployment, aws, network, database, function, alerts, limits, lint, tags, rotation, admin, user, users

        error[missing-key]: `secret` is missing in [[user]]
         --> prod.toml:4:1
          |
        4 | [[user]]
          | ^^^^^^^^
        hint: add: secret = "app_secret"

        error[duplicate]: login "more" is declared twice
         --> prod.toml:7:9
          |
        7 | login = "more"
          |         ^^^^^^
        hint: remove one of the two [[user]] tables

        error[unknown-key]: unknown key `regoin` in [aws]
         --> base.toml:3:1
          |
        3 | regoin = "eu-north-1"
          | ^^^^^^
        hint: did you mean `region`? Known here: region, account, assume_role

        error[bad-value]: `gib` is 2, outside 20 to 65536 GiB
          --> base.toml:12:19
           |
        12 | storage = { gib = 2 }
           |                   ^
        hint: write for example: gib = 20

        error[duplicate]: login "app" is declared twice
          --> base.toml:22:9
           |
        22 | login = "app"
           |         ^^^^^
        hint: remove one of the two [[user]] tables
    "#]]);
}

#[test]
fn syntax_is_told_of_all_files() {
    based("region = \n[aws\n").bad(
        "extends = \"base.toml\"\ndeployment = demo",
        expect![[r#"
        error[toml-syntax]: this is not TOML: string values must be quoted, expected literal string
         --> prod.toml:2:14
          |
        2 | deployment = demo
          |              ^^^^
        hint: a line is key = value, strings stand in double quotes, a table starts with [name]

        error[toml-syntax]: this is not TOML: string values must be quoted, expected literal string
         --> base.toml:1:10
          |
        1 | region =
          |          ^
        hint: a line is key = value, strings stand in double quotes, a table starts with [name]

        error[toml-syntax]: this is not TOML: unclosed table, expected `]`
         --> base.toml:2:5
          |
        2 | [aws
          |     ^
        hint: a line is key = value, strings stand in double quotes, a table starts with [name]
    "#]],
    );
}

#[test]
fn a_base_nested_without_end_is_refused() {
    for text in [format!("{}x = 1", "a.".repeat(200_000)), format!("a = {}", "[".repeat(200_000))] {
        let errors = based(&text).load("extends = \"base.toml\"\n").expect_err("a bad file");
        assert!(errors.iter().all(|error| error.code == Code::TomlSyntax), "{errors}");
    }
}

#[test]
fn files_that_cannot_be_extended() {
    based(LEAST).bad(
        "deployment = \"a\"\nextends = \"bsae.toml\"\n",
        expect![[r#"
        error[config-unreadable]: "bsae.toml" cannot be read: no such file
         --> prod.toml:2:11
          |
        2 | extends = "bsae.toml"
          |           ^^^^^^^^^^^
        hint: check the path: it begins at the folder of the file that it stands in
    "#]],
    );
    based(LEAST).bad(
        "extends = 7\n",
        expect![[r#"
        error[wrong-type]: `extends` must be a string, not an integer
         --> prod.toml:1:11
          |
        1 | extends = 7
          |           ^
        hint: write: extends = "base.toml"
    "#]],
    );
    based(LEAST).bad(
        "extends = \"/etc/passwd\"\n",
        expect![[r#"
        error[bad-value]: "/etc/passwd" does not end with .toml, and only such files are extended
         --> prod.toml:1:11
          |
        1 | extends = "/etc/passwd"
          |           ^^^^^^^^^^^^^
        hint: write: extends = "base.toml"
    "#]],
    );
    let circle = Memory::of(&[("a.toml", "extends = \"b.toml\""), ("b.toml", "# on\nextends = \"a.toml\"")]);
    circle.bad(
        "extends = \"a.toml\"\n",
        expect![[r#"
        error[bad-value]: "a.toml" is extended in a circle
         --> b.toml:2:11
          |
        2 | extends = "a.toml"
          |           ^^^^^^^^
        hint: let one of the files extend nothing: it is what the others change
    "#]],
    );
    based("extends = \"prod.toml\"").bad(
        "extends = \"base.toml\"\n",
        expect![[r#"
        error[bad-value]: "prod.toml" is extended in a circle
         --> base.toml:1:11
          |
        1 | extends = "prod.toml"
          |           ^^^^^^^^^^^
        hint: let one of the files extend nothing: it is what the others change
    "#]],
    );
    let mut latin = Memory::default();
    latin.files.insert("base.toml".into(), b"# b\xfcro\n".to_vec());
    latin.bad(
        "extends = \"base.toml\"\n",
        expect![[r#"
        error[not-utf-8]: this byte is not UTF-8
         --> base.toml:1:4
          |
        1 | # b�ro
          |    ^
        hint: save the file as UTF-8
    "#]],
    );
}

#[test]
fn variables_are_read_from_the_environment() {
    let text = LEAST
        .replace("deployment = \"demo\"", "deployment = \"shop-${env.STAGE}\"")
        .replace("\"eu-north-1\"", "\"${env.REGION}\"")
        .replace("\"app_secret\"", "\"${env.STAGE}/app\"\npasswords = { exclude = \"$${\" }");
    let memory = Memory::default().with("STAGE", "prod").with("REGION", "eu-west-1").with("OTHER", "x");
    let (config, source) = memory.load(&text).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((config.deployment.as_str(), config.aws.region.as_str()), ("shop-prod", "eu-west-1"));
    assert_eq!(config.users[0].secret.value, "prod/app");
    assert_eq!(config.function.name.value, "shop-prod-rotation");
    // What is used is kept, and nothing else; with it the same is read without an environment.
    let used: Vec<_> = source.variables().iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(used, [("REGION", "eu-west-1"), ("STAGE", "prod")]);
    assert_eq!(read(&source).unwrap_or_else(|errors| panic!("{errors}")), config);
}

#[test]
fn a_variable_may_choose_the_base_and_what_is_replaced_needs_none() {
    let memory =
        Memory::of(&[("prod-base.toml", &LEAST.replace("\"eu-north-1\"", "\"${env.NOT_SET}\""))]).with("STAGE", "prod");
    let config = memory.config("extends = \"${env.STAGE}-base.toml\"\naws.region = \"eu-west-1\"\n");
    assert_eq!(config.aws.region, "eu-west-1");
}

/// The one beside the others, as its folder has it.
#[test]
fn the_scenario_of_an_overlay() {
    let text = include_str!("../../../configs/scenarios/overlay.toml");
    let memory = Memory::of(&[("private.toml", include_str!("../../../configs/scenarios/private.toml"))]);
    let config = memory.with("STAGE", "prod").config(text);
    assert_eq!(config.deployment, "private-prod");
    let secrets: Vec<_> = config.users.iter().map(|user| user.secret.value.as_str()).collect();
    assert_eq!(secrets, ["prod/app", "prod/tenant_a", "prod/tenant_b", "prod/tenant_c"]);
    assert_eq!(config.tags["stage"], "prod");
}

#[test]
fn variables_that_are_refused() {
    let text = LEAST
        .replace("\"eu-north-1\"", "\"${env.AWS_REGION}\"")
        .replace("\"app_secret\"", "\"${env.DB_PASSWORD}\"")
        .replace("\"rotator_secret\"", "\"${STAGE}/rotator\"")
        .replace("class = ", "\"${env.KIND}\" = 1\nclass = ");
    Memory::default().with("DB_PASSWORD", "never shown").bad(&text, expect![[r#"
        error[missing-variable]: the environment has no variable AWS_REGION, or what it holds is no text
         --> prod.toml:3:10
          |
        3 | region = "${env.AWS_REGION}"
          |          ^^^^^^^^^^^^^^^^^^^
        hint: set it: export AWS_REGION=…

        error[unknown-key]: unknown key "${env.KIND}" in [database]
          --> prod.toml:11:1
           |
        11 | "${env.KIND}" = 1
           | ^^^^^^^^^^^^^
        hint: remove it. Known here: cluster, identifier, manage, port, security_group, subnet_group, engine_version, class, storage, backup_days, public, master, deletion_protection, final_snapshot, encrypted, adopt

        error[bad-value]: "${STAGE" is no reference to a variable
          --> prod.toml:18:10
           |
        18 | secret = "${STAGE}/rotator"
           |          ^^^^^^^^^^^^^^^^^^
        hint: write ${env.NAME} for a variable of the environment, or $${ for ${ itself

        error[bad-value]: the variable DB_PASSWORD is named like a secret, and none belongs into a config
          --> prod.toml:21:10
           |
        21 | secret = "${env.DB_PASSWORD}"
           |          ^^^^^^^^^^^^^^^^^^^^
        hint: a config's values are shown in plans and kept in saved ones; passwords are made and kept in Secrets Manager. Give another name to what is no secret
    "#]]);
    Memory::default().bad(
        "extends = \"${env.BASE}\"\n",
        expect![[r#"
        error[missing-variable]: the environment has no variable BASE, or what it holds is no text
         --> prod.toml:1:11
          |
        1 | extends = "${env.BASE}"
          |           ^^^^^^^^^^^^^
        hint: set it: export BASE=…
    "#]],
    );
}

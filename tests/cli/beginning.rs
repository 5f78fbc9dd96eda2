//! `init` that finds nobody to ask, or what is in its way; and the questions themselves, on a terminal.

use crate::snapshot::{bare, check};
use crate::support::{Account, group_id, path, until};
use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const FLAGS: [&str; 6] = ["--identifier", "shop", "--vpc", "vpc-02294c945121da772", "--user", "app"];

fn init(account: &Account, flags: &[&str]) -> Command {
    account.command(&[&["init"], flags].concat())
}

fn told(account: &Account, done: &Output, name: &str) {
    check(done, &[(&account.number, "[ACCOUNT]")], name);
}

/// All that is missing is told at once, before AWS is asked: there are no credentials.
#[test]
fn nobody_to_ask_anything() {
    let folder = tempfile::tempdir().unwrap();
    check(&bare(folder.path(), &["init"]).output().unwrap(), &[], "init-nobody-to-ask");
    let done =
        bare(folder.path(), &["init", "--from-instance", "legacy-db", "--region", "eu-north-1"]).output().unwrap();
    check(&done, &[], "init-no-user");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn flags_that_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["init", "--from-instance", "a", "--from-cluster", "b", "--user", "c"];
    check(&bare(folder.path(), &arguments).output().unwrap(), &[], "init-two-databases");
}

/// Whatever stands there stays, a dangling link too, unless it is said to go.
#[test]
fn a_file_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgrotate.toml");
    fs::write(&file, "mine").unwrap();
    check(&bare(folder.path(), &["init"]).output().unwrap(), &[], "init-a-file-that-is-there");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("nowhere", &file).unwrap();
    check(&bare(folder.path(), &["init"]).output().unwrap(), &[], "init-a-file-that-is-there");
    check(&bare(folder.path(), &["init", "--out", "no/such/x.toml"]).output().unwrap(), &[], "init-no-such-folder");
    check(&bare(folder.path(), &["init", "--force", "--out", "/"]).output().unwrap(), &[], "init-a-folder");
}

/// What is written, where, and what comes next; the path is one word of the shell's.
#[test]
fn a_new_instance() {
    let account = Account::new();
    let flags = [&FLAGS[..], &["--out", "my file.toml", "--engine-version", "16"]].concat();
    told(&account, &init(&account, &flags).output().unwrap(), "init-a-new-instance");
    let folder = account.config("").parent().unwrap().to_owned();
    fs::write(folder.join("pgrotate.schema.json"), "{}").unwrap();
    let forced = [&flags[..], &["--force"]].concat();
    told(&account, &init(&account, &forced).output().unwrap(), "init-a-new-instance");
    let text = fs::read_to_string(folder.join("my file.toml")).unwrap();
    assert!(text.starts_with("#:schema ./pgrotate.schema.json\n"), "{text}");
    // Printed, it is the file and nothing else, and a config.
    let done = init(&account, &[&FLAGS[..], &["--out", "-"]].concat()).output().unwrap();
    assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(0), ""));
    fs::write(folder.join("printed.toml"), &done.stdout).unwrap();
    account.pgrotate(&["validate", "--deny-lints", "printed.toml"]).exits(0);
    // A lint is what an answer has called for.
    let open = [&FLAGS[..], &["--out", "open.toml", "--allow", "0.0.0.0/0=everybody", "--yes"]].concat();
    assert!(init(&account, &open).status().unwrap().success());
    let linted = account.pgrotate(&["validate", "open.toml"]);
    assert_eq!(linted.exits(0).stdout.matches("lint[").count(), 1, "{}", linted.stdout);
    assert!(linted.stdout.contains("lint[open-to-the-world]"), "{}", linted.stdout);
    assert!(account.changes_since(0).is_empty(), "nothing is changed");
}

#[test]
fn what_is_not_there() {
    let account = Account::new();
    for (flags, name) in [
        (&["--from-instance", "legacy-db", "--user", "app"][..], "init-no-such-instance"),
        (&["--from-cluster", "my-cluster", "--user", "app"], "init-no-such-cluster"),
        (&["--identifier", "shop", "--vpc", "vpc-0123456789abcdef0", "--user", "app"], "init-no-such-vpc"),
        (
            &[&FLAGS[..], &["--subnet", "subnet-0123456789abcdef0,subnet-05a8a2c78756260ed"]].concat(),
            "init-no-such-subnet",
        ),
    ] {
        told(&account, &init(&account, flags).output().unwrap(), name);
    }
}

/// A bad answer is told as the config's mistake that it would be, and no file is left.
#[test]
fn a_bad_answer() {
    let account = Account::new();
    let flags =
        ["--identifier", "shop", "--vpc", "vpc-02294c945121da772", "--user", "pg_app", "--every", "fortnightly"];
    told(
        &account,
        &init(&account, &[&flags[..], &["--out", "x.toml"]].concat()).output().unwrap(),
        "init-a-bad-answer",
    );
    assert!(!account.config("").with_file_name("x.toml").exists());
}

/// A secret of others is not taken over by itself.
#[test]
fn a_secret_that_is_there() {
    let account = Account::new();
    for name in ["app_secret", "rotator_admin_secret"] {
        account.call("secretsmanager", "create_secret", json!({ "Name": name, "SecretString": "x" }));
    }
    let done = init(&account, &[&FLAGS[..], &["--engine-version", "16", "--out", "x.toml"]].concat()).output().unwrap();
    assert_eq!(done.status.code(), Some(4));
    let text = fs::read_to_string(account.config("").with_file_name("x.toml")).unwrap();
    assert!(text.contains("\n# adopt = true\n") && text.contains("secret = \"shop/rotator_admin_secret\""), "{text}");
    account.config(&text.replace("\n# adopt = true\n", "\nadopt = true\n"));
    account.pgrotate(&["plan", "deployment.toml"]).exits(0);
}

/// Above what any question takes to be asked, also on a machine that compiles beside it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the terminal showed in the end, and the exit code. Each of `typed` is typed once its text is to be read.
fn answered(account: &Account, flags: &[&str], typed: &[(&str, &str)]) -> (String, Option<i32>) {
    let mut command = account.in_terminal(&[&["init"], flags].concat(), (50, 120));
    let mut process = command.env("TERM", "xterm").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut keys, mut shown) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
    let (sent, received) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = shown.read(&mut bytes) {
            // Nobody listens any more once the test has failed.
            let _ = sent.send(bytes[..read].to_vec());
        }
    });
    let mut parser = vt100::Parser::new(50, 120, 0);
    let mut typed = typed.iter();
    let mut next = typed.next();
    loop {
        match received.recv_timeout(PATIENCE) {
            Ok(bytes) => parser.process(&bytes),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                process.kill().unwrap();
                panic!("waited in vain for {next:?}:\n{}", parser.screen().contents());
            }
        }
        while let Some((question, answer)) = next
            && parser.screen().contents().contains(question)
        {
            keys.write_all(answer.as_bytes()).unwrap();
            next = typed.next();
        }
    }
    let screen = parser.screen().contents();
    assert_eq!(next, None, "it never came to that:\n{screen}");
    assert!(!parser.screen().hide_cursor(), "the cursor is left hidden");
    (screen, process.wait().unwrap().code())
}

const DOWN: &str = "\x1b[B";

#[test]
fn a_new_instance_by_questions() {
    let account = Account::new();
    let (screen, code) = answered(
        &account,
        &["--out", "x.toml"],
        &[
            ("? Region", "\r"),
            ("? What for", "\r"),
            ("? Identifier of the new DB instance", "Shop\r"),
            ("has capitals", "shop\r"),
            ("? VPC", "\r"),
            ("? Subnets", "\r"),
            ("? PostgreSQL version", "16\r"),
            ("? Instance class", "\r"),
            ("? Name of the deployment", "\r"),
            ("? Logins whose passwords are to rotate", "app, reporting\r"),
            ("? How often passwords rotate", "30 days\r"),
            ("? Who else may reach the database", "203.0.113.7/32=office\r"),
        ],
    );
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("pgrotate plan x.toml"), "{screen}");
    let text = fs::read_to_string(account.config("").with_file_name("x.toml")).unwrap();
    for line in [
        "deployment = \"shop\"",
        "region = \"eu-north-1\" ",
        "subnets = [\"subnet-05a8a2c78756260ed\", \"subnet-0cf57825fcf0c3cbd\"]",
        "engine_version = \"16\"",
        "login = \"reporting\" ",
        "every = \"30 days\"",
        "allow = [{ cidr = \"203.0.113.7/32\", description = \"office\" }]",
    ] {
        assert!(text.lines().any(|written| written.starts_with(line)), "{line}\n{text}");
    }
    assert!(account.changes_since(0).is_empty(), "nothing is changed");
}

/// Of what is there, the one that is chosen; what a flag says is not asked.
#[test]
fn an_existing_instance_by_questions() {
    let account = Account::new();
    account.delays("none");
    let group = json!({ "GroupName": "my-rds-sg", "Description": "by hand", "VpcId": "vpc-02294c945121da772" });
    account.call("ec2", "create_security_group", group);
    let further = json!({ "GroupName": "monitoring", "Description": "by hand", "VpcId": "vpc-02294c945121da772" });
    account.call("ec2", "create_security_group", further);
    account.shell(
        "aws rds create-db-subnet-group --db-subnet-group-name by-hand --db-subnet-group-description x \
         --subnet-ids subnet-05a8a2c78756260ed subnet-0cf57825fcf0c3cbd",
    );
    account.shell(&format!(
        "aws rds create-db-instance --db-instance-identifier legacy-db --db-instance-class db.t4g.micro --engine postgres \
         --allocated-storage 20 --master-username root --manage-master-user-password --db-subnet-group-name by-hand \
         --vpc-security-group-ids {} {}",
        group_id(&account, "my-rds-sg"),
        group_id(&account, "monitoring"),
    ));
    until("the instance is available", || {
        let instance = &account.call("rds", "describe_db_instances", json!({}))["DBInstances"][0];
        let secret = &instance["MasterUserSecret"]["SecretStatus"];
        (instance["DBInstanceStatus"] == "available" && secret == "active").then_some(())
    });
    let (screen, code) = answered(
        &account,
        &["--out", "x.toml", "--region", "eu-north-1", "--every", "20 days"],
        &[
            ("? What for", DOWN),
            ("❯ the DB instance legacy-db (postgres ", "\r"),
            ("? The security group that lets the functions in", DOWN),
            ("❯ my-rds-sg", "\r"),
            ("? Name of the deployment (legacy-db)", "legacy\r"),
            ("? Logins whose passwords are to rotate", "root\r"),
            ("it is the master user", "app\r"),
        ],
    );
    assert_eq!(code, Some(0), "{screen}");
    assert!(!screen.contains("? Region") && !screen.contains("VPC"), "{screen}");
    let planned = account.pgrotate(&["plan", "x.toml"]).exits(0).planned();
    assert!(planned.contains(&"create security_group_rule.my-rds-sg-from-function".to_owned()), "{planned:?}");
}

/// Ctrl-C at any question: nothing is written, and the terminal is as it was.
#[test]
fn stopped_at_a_question() {
    let account = Account::new();
    let config = account.config("").with_file_name("x.toml");
    let at = [
        &[("? Region", "\x03")][..],
        &[("? Region", "\r"), ("? What for", "\x03")],
        &[("? Region", "\r"), ("? What for", "\r"), ("? Identifier", "shop\r"), ("? VPC", "\r"), ("? Subnets", "\x03")],
        // Typed before there is anything to answer.
        &[("? Region", "\r"), ("? What for", "\r"), ("? Identifier", "shop\r\x03")],
    ];
    for typed in at {
        let (screen, code) = answered(&account, &["--out", path(&config)], typed);
        assert_eq!(code, Some(4), "{screen}");
        assert!(screen.contains("refused[not-confirmed]: stopped before the last answer"), "{screen}");
        assert!(!config.exists());
    }
}

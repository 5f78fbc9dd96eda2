//! The command line itself.

use crate::snapshot::{bare, check};
use crate::support::{ARTICLE, Account, path};
use expect_test::expect_file;
use std::process::Stdio;

fn run(arguments: &[&str], name: &str) {
    let folder = tempfile::tempdir().unwrap();
    check(&bare(folder.path(), arguments).output().unwrap(), &[], name);
}

#[test]
fn help_of_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = String::new();
    let commands = [
        "init",
        "plan",
        "apply",
        "adopt",
        "destroy",
        "rotate",
        "recover",
        "status",
        "drift",
        "report",
        "explain",
        "logs",
        "graph",
        "validate",
        "targets",
        "schema",
        "completions",
    ];
    let all_arguments = std::iter::once(vec!["--help"]).chain(commands.map(|command| vec![command, "--help"]));
    for arguments in all_arguments {
        let done = bare(folder.path(), &arguments).output().unwrap();
        assert_eq!(done.status.code(), Some(0));
        assert!(done.stderr.is_empty());
        all.push_str(&format!("$ pgrotate {}\n{}\n", arguments.join(" "), String::from_utf8(done.stdout).unwrap()));
    }
    expect_file!["golden/help.txt"].assert_eq(&all);
}

/// The files under `schema/`, to the byte.
#[test]
fn schemas() {
    let folder = tempfile::tempdir().unwrap();
    for of in pgrotate::schema::Subject::ALL.map(|of| of.text()) {
        let done = bare(folder.path(), &["schema", of]).output().unwrap();
        assert_eq!(done.status.code(), Some(0));
        let file = std::fs::read(format!("{}/schema/{of}.json", env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(done.stdout == file, "schema/{of}.json is not what is printed");
    }
}

/// Those of a shell that is here are taken by it.
#[test]
fn completions() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = bare(folder.path(), &["completions", shell]).output().unwrap();
        assert_eq!(done.status.code(), Some(0));
        let script = String::from_utf8(done.stdout).unwrap();
        assert!(script.contains("allow-deletes") && script.contains("recover"), "{shell}: {script}");
        if shell == "bash" {
            let asked = format!(
                "{script}\nCOMP_WORDS=(pgrotate pl); COMP_CWORD=1; _pgrotate pgrotate pl pgrotate; echo \"${{COMPREPLY[@]}}\""
            );
            let done = std::process::Command::new("bash").args(["-c", &asked]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&done.stdout), "plan\n", "{}", String::from_utf8_lossy(&done.stderr));
        }
    }
}

#[test]
fn an_unknown_command() {
    run(&["plann", "x.toml"], "an-unknown-command");
}

#[test]
fn an_unknown_flag() {
    run(&["apply", "--force", "x.toml"], "an-unknown-flag");
}

/// A word that means nothing would never fail, and nobody would hear of it.
#[test]
fn an_unknown_drift_code() {
    run(&["drift", "x.toml", "--fail-on", "critical,rotation-cancled"], "an-unknown-drift-code");
}

#[test]
fn no_drift_code() {
    run(&["drift", "x.toml", "--fail-on", ""], "no-drift-code");
}

#[test]
fn no_file() {
    run(&["plan"], "no-file");
}

#[test]
fn no_login() {
    run(&["rotate", "x.toml"], "no-login");
}

#[test]
fn no_such_login() {
    let account = Account::new();
    let config = account.config(ARTICLE);
    let done = account.command(&["rotate", path(&config), "test_user2", "--wait"]).output().unwrap();
    check(&done, &[], "no-such-login");
}

/// A login that is declared but not applied yet.
#[test]
fn a_login_that_is_not_there_yet() {
    let account = Account::new();
    let config = account.config(ARTICLE);
    let done = account.command(&["rotate", path(&config), "test_user1", "--wait"]).output().unwrap();
    check(&done, &[], "a-login-that-is-not-there-yet");
}

/// Nobody is there to say yes: nothing is done, whatever stands on standard input.
#[test]
fn nobody_to_ask() {
    let account = Account::new();
    let config = account.config(ARTICLE);
    let before = account.requests().len();
    let mut apply = account.command(&["apply", path(&config)]);
    let done = apply.stdin(Stdio::null()).output().unwrap();
    assert!(String::from_utf8_lossy(&done.stdout).contains("21 to create"), "the plan is shown");
    check(&std::process::Output { stdout: Vec::new(), ..done }, &[], "nobody-to-ask");
    assert!(account.changes_since(before).is_empty());
}

#[test]
fn a_reader_that_has_seen_enough() {
    let account = Account::new();
    let config = account.config(ARTICLE);
    for format in ["human", "json"] {
        let mut plan = account.command(&["plan", "--format", format, path(&config)]);
        let mut plan = plan.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(plan.stdout.take());
        let done = plan.wait_with_output().unwrap();
        assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(0), ""), "{format}");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut help = bare(folder.path(), &["--help"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(help.stdout.take());
    let done = help.wait_with_output().unwrap();
    assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn exit_codes_of_a_plan() {
    let account = Account::new();
    let config = account.config(ARTICLE);
    account.pgrotate(&["plan", path(&config)]).exits(0);
    account.pgrotate(&["plan", "--detailed-exitcode", path(&config)]).exits(2);
    account.pgrotate(&["plan", "--destroy", "--detailed-exitcode", path(&config)]).exits(0);
}

/// The JSON format is one document, and nothing else is on standard output.
#[test]
fn json_is_json() {
    let account = Account::new();
    let config = account.config(ARTICLE);
    let plan = account.pgrotate(&["plan", "--format", "json", path(&config)]);
    let document: serde_json::Value = serde_json::from_str(&plan.exits(0).stdout).unwrap();
    assert_eq!(document["account"], account.number.as_str());
    assert_eq!(document["actions"].as_array().unwrap().len(), 22);
}

#[test]
fn a_config_that_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("article.toml"), ARTICLE).unwrap();
    check(&bare(folder.path(), &["validate", "article.toml"]).output().unwrap(), &[], "a-config-that-is-valid");
}

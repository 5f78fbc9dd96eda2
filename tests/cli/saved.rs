//! Files that are no saved plan, or not one for here: nothing is done, and it is said why.

use crate::snapshot::{bare, check};
use crate::support::{ARTICLE, Account, path};
use std::fs;
use std::io::Write;
use std::process::Stdio;

/// Asked of nobody: no credentials are needed.
fn of_file(text: &[u8], name: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plan.json"), text).unwrap();
    for command in [&["apply", "plan.json"][..], &["apply", "--yes", "plan.json"], &["destroy", "--yes", "plan.json"]] {
        check(&bare(folder.path(), command).output().unwrap(), &[], name);
    }
}

#[test]
fn cut_short() {
    of_file(b"{\n  \"pgrotate_plan\": 1,\n  \"version\": \"0.1", "a-saved-plan-cut-short");
}

#[test]
fn other_json() {
    of_file(b"{ \"Version\": \"2012-10-17\", \"Statement\": [] }", "a-saved-plan-that-is-other-json");
}

#[test]
fn of_a_later_form() {
    of_file(b"{ \"pgrotate_plan\": 99 }", "a-saved-plan-of-a-later-form");
}

#[test]
fn not_utf_8() {
    of_file(b"{ \"pgrotate_plan\": \"caf\xe9\" }", "a-saved-plan-that-is-not-utf-8");
}

/// A pipe can be read only once: what comes through it is a config, whole.
#[test]
fn a_config_through_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["plan", "apply", "destroy"] {
        let mut command = bare(folder.path(), &[command, "/dev/stdin"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let text = ARTICLE.replace("identifier = ", "identifer = ");
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        check(&child.wait_with_output().unwrap(), &[("/dev/stdin", "bad.toml")], "an-unknown-key");
    }
}

/// The config would be lost.
#[test]
fn written_over_the_config() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("article.toml");
    fs::write(&config, ARTICLE).unwrap();
    fs::create_dir(folder.path().join("plans")).unwrap();
    for out in ["article.toml", "./article.toml", "plans/../article.toml"] {
        let done = bare(folder.path(), &["plan", "article.toml", "--out", out]).output().unwrap();
        check(&done, &[(out, "article.toml")], "a-plan-over-the-config");
        for command in ["apply", "destroy"] {
            let done = bare(folder.path(), &[command, "article.toml", "--journal", out]).output().unwrap();
            check(&done, &[(out, "article.toml")], "a-journal-over-the-config");
        }
        let done = bare(folder.path(), &["report", "article.toml", "--html", out]).output().unwrap();
        check(&done, &[(out, "article.toml")], "a-page-over-the-config");
    }
    assert_eq!(fs::read_to_string(&config).unwrap(), ARTICLE);
}

/// So would what it extends, which is read as well.
#[test]
fn written_over_what_the_config_extends() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("base.toml"), ARTICLE).unwrap();
    fs::write(folder.path().join("prod.toml"), "extends = \"base.toml\"\n").unwrap();
    let done = bare(folder.path(), &["plan", "prod.toml", "--out", "base.toml"]).output().unwrap();
    check(&done, &[("base.toml", "article.toml")], "a-plan-over-the-config");
    assert_eq!(fs::read_to_string(folder.path().join("base.toml")).unwrap(), ARTICLE);
}

/// One file, everywhere where it may not be applied.
#[test]
fn made_for_somewhere_else() {
    let account = Account::new();
    let config = account.config(ARTICLE);
    let file = config.with_file_name("plan.json");
    let run = |arguments: &[&str]| account.command(arguments).output().unwrap();
    let same = [(path(&file), "plan.json")];

    let missing = config.with_file_name("nowhere").join("plan.json");
    let done = run(&["plan", path(&config), "--out", path(&missing)]);
    check(&done, &[(path(&missing), "nowhere/plan.json")], "a-plan-that-cannot-be-written");
    assert!(run(&["plan", path(&config), "--out", path(&file)]).status.success());
    let before = account.requests().len();

    // Before anything is looked for in a place where nothing of it can be.
    let elsewhere = Account::new();
    let done = elsewhere.command(&["apply", path(&file)]).output().unwrap();
    let told = String::from_utf8(done.stderr.clone()).unwrap();
    let number = |before: &str| {
        let rest = told.split_once(before).map_or("", |(_, rest)| rest);
        rest.chars().take_while(char::is_ascii_digit).collect::<String>()
    };
    let (mine, theirs) = (number("made for account "), number("and this is "));
    check(&done, &[(&mine, "111122223333"), (&theirs, "999999999999")], "a-saved-plan-of-another-account");
    let asked: Vec<_> = elsewhere.requests().into_iter().map(|(_, what)| what).collect();
    assert_eq!(asked, ["sts.GetCallerIdentity"]);

    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("db.t3.micro", "db.t3.large", 1)).unwrap();
    check(&run(&["apply", path(&file)]), &same, "a-saved-plan-that-was-changed");
    assert_eq!(account.changes_since(before), Vec::<String>::new());
}

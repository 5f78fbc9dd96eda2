//! Files that are no config. Nothing of AWS is asked, so no credentials are needed.

use crate::snapshot::{bare, check};
use crate::support::ARTICLE;

/// Every command says the same of a bad file.
fn of_file(text: &str, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.toml"), text).unwrap();
    check(&bare(folder.path(), &["plan", "bad.toml"]).output().unwrap(), &[], name);
    for command in
        [&["apply", "--yes", "bad.toml"][..], &["destroy", "--yes", "bad.toml"], &["rotate", "bad.toml", "x"]]
    {
        check(&bare(folder.path(), command).output().unwrap(), &[], name);
    }
}

fn article_with(old: &str, new: &str) -> String {
    assert_eq!(ARTICLE.matches(old).count(), 1, "{old}");
    ARTICLE.replace(old, new)
}

#[test]
fn not_toml() {
    of_file(&article_with("deployment = \"article\"", "deployment = \"article"), "not-toml");
}

#[test]
fn an_unknown_key() {
    of_file(&article_with("identifier = ", "identifer = "), "an-unknown-key");
}

#[test]
fn a_wrong_type() {
    of_file(&article_with("backup_days = 7 ", "backup_days = \"seven\" "), "a-wrong-type");
}

#[test]
fn several_things_at_once() {
    let text = article_with("every = \"10 days\"", "every = \"10 fortnights\"")
        .replace("203.0.113.7/32", "203.0.113.7/33")
        .replace("login = \"test_user1\"", "login = \"pg_user1\"");
    of_file(&text, "several-things-at-once");
}

/// A cluster is referred to and never made: what describes an instance that is made has no place beside it.
#[test]
fn a_cluster_to_be_made() {
    let text = article_with(
        "identifier = \"my-postgres-instance\"",
        "cluster = \"my-cluster\"\nidentifier = \"my-cluster-1\"",
    );
    of_file(&text, "a-cluster-to-be-made");
}

#[test]
fn a_cluster_without_a_group() {
    let aurora = include_str!("../../configs/scenarios/aurora-cluster.toml");
    let text =
        aurora.replace("security_group = { existing = \"my-rds-sg\" }", "").replace("\"my-cluster\"", "\"My_Cluster\"");
    of_file(&text, "a-cluster-without-a-group");
}

/// Each file's errors in their own, all of them at once.
#[test]
fn an_overlay_and_its_base() {
    let folder = tempfile::tempdir().unwrap();
    let base = article_with("backup_days = 7 ", "backup_days = 70 ");
    std::fs::write(folder.path().join("base.toml"), base).unwrap();
    let overlay =
        "extends = \"base.toml\"\ndeployment = \"prod\"\n[database]\nclass = \"t3.large\"\n[[user]]\nlogin = \"new\"\n";
    std::fs::write(folder.path().join("bad.toml"), overlay).unwrap();
    for command in ["plan", "validate"] {
        check(&bare(folder.path(), &[command, "bad.toml"]).output().unwrap(), &[], "an-overlay-and-its-base");
    }
}

#[test]
fn a_base_that_is_not_there() {
    of_file("extends = \"../base.toml\"\n", "a-base-that-is-not-there");
}

/// Nobody's environment may put a secret into a plan.
#[test]
fn variables_of_the_environment() {
    let text = article_with("deployment = \"article\"", "deployment = \"${env.STAGE}\"")
        .replace("\"test_user1_secret\"", "\"${env.DB_PASSWORD}\"");
    of_file(&text, "a-missing-variable");
    let folder = tempfile::tempdir().unwrap();
    let text = article_with("deployment = \"article\"", "deployment = \"${env.STAGE}-db\"");
    std::fs::write(folder.path().join("good.toml"), text).unwrap();
    let done = bare(folder.path(), &["validate", "good.toml"]).env("STAGE", "prod").output().unwrap();
    let told = String::from_utf8(done.stdout).unwrap();
    assert!(told.starts_with("good.toml: valid (deployment prod-db, 2 logins)\n"), "{told}");
}

#[test]
fn an_empty_file() {
    of_file("", "an-empty-file");
}

#[test]
fn not_utf_8() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.toml"), b"deployment = \"caf\xe9\"\n").unwrap();
    let done = bare(folder.path(), &["plan", "bad.toml"]).output().unwrap();
    check(&done, &[], "not-utf-8");
}

#[test]
fn a_missing_file() {
    let folder = tempfile::tempdir().unwrap();
    check(&bare(folder.path(), &["plan", "missing.toml"]).output().unwrap(), &[], "a-missing-file");
}

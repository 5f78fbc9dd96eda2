//! Who asks, and whom.

use crate::snapshot::{bare, check};
use crate::support::{ARTICLE, Account, path};
use std::net::TcpListener;

fn folder_with_article() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("article.toml"), ARTICLE).unwrap();
    folder
}

#[test]
fn none() {
    let folder = folder_with_article();
    let done = bare(folder.path(), &["plan", "article.toml"]).output().unwrap();
    check(&done, &[], "no-credentials");
}

#[test]
fn a_profile_that_does_not_exist() {
    let folder = folder_with_article();
    let done = bare(folder.path(), &["plan", "article.toml"]).env("AWS_PROFILE", "production").output().unwrap();
    check(&done, &[], "a-profile-that-does-not-exist");
}

#[test]
fn nobody_listens() {
    let folder = folder_with_article();
    // Bound and let go: nobody listens there, for the moment that this takes.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let began = std::time::Instant::now();
    let done = bare(folder.path(), &["plan", "article.toml"])
        .env("AWS_ENDPOINT_URL", &url)
        .env("AWS_ACCESS_KEY_ID", "111122223333")
        .env("AWS_SECRET_ACCESS_KEY", "no-credentials")
        .output()
        .unwrap();
    check(&done, &[(&url, "[URL]"), (&port.to_string(), "[PORT]")], "nobody-listens");
    // Asked again as often as what is throttled, it took 13 s.
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}

#[test]
fn another_account_than_declared() {
    let account = Account::new();
    let config = account.config(&ARTICLE.replace("# account = \"123456789012\" ", "account = \"123456789012\" "));
    let before = account.requests().len();
    for command in
        [&["plan", path(&config)][..], &["apply", "--yes", path(&config)], &["destroy", "--yes", path(&config)]]
    {
        let done = account.command(command).output().unwrap();
        check(&done, &[(&account.number, "[ACCOUNT]")], "another-account-than-declared");
    }
    let asked: Vec<_> = account.requests().split_off(before).into_iter().map(|(_, what)| what).collect();
    assert_eq!(asked, ["sts.GetCallerIdentity"; 3], "nothing else was asked");
}

/// Whether there is such a role at all is not disclosed.
#[test]
fn a_role_that_does_not_trust() {
    let account = Account::new();
    let role = "arn:aws:iam::999999999999:role/ci/pgrotate";
    let config = account.config(&ARTICLE.replace("[aws]\n", &format!("[aws]\nassume_role = \"{role}\"\n")));
    let before = account.requests().len();
    let done = account.command(&["plan", path(&config)]).output().unwrap();
    check(&done, &[(&account.number, "[ACCOUNT]")], "a-role-that-does-not-trust");
    let asked: Vec<_> = account.requests().split_off(before).into_iter().map(|(_, what)| what).collect();
    assert_eq!(asked, ["sts.GetCallerIdentity", "sts.AssumeRole"], "nothing else was asked");
}

#[test]
fn a_role_of_another_account_than_declared() {
    let folder = tempfile::tempdir().unwrap();
    let role = "account = \"123456789012\"\nassume_role = \"arn:aws:iam::999999999999:role/pgrotate\"\n";
    std::fs::write(folder.path().join("article.toml"), ARTICLE.replace("[aws]\n", &format!("[aws]\n{role}"))).unwrap();
    let done = bare(folder.path(), &["validate", "article.toml"]).output().unwrap();
    check(&done, &[], "a-role-of-another-account-than-declared");
}

#[test]
fn a_function_zip_that_is_not_there() {
    let folder = folder_with_article();
    let done = bare(folder.path(), &["plan", "article.toml", "--function-zip", "missing.zip"]).output().unwrap();
    check(&done, &[], "a-function-zip-that-is-not-there");
}

#[test]
fn a_ca_bundle_without_certificates() {
    let folder = folder_with_article();
    std::fs::write(folder.path().join("ca.pem"), "-----BEGIN PUBLIC KEY-----\n").unwrap();
    let zip = crate::support::function_zip();
    let done = bare(folder.path(), &["plan", "article.toml", "--ca-bundle", "ca.pem", "--function-zip", path(&zip)])
        .output()
        .unwrap();
    check(&done, &[], "a-ca-bundle-without-certificates");
}

#[test]
fn a_function_zip_that_is_none() {
    let folder = folder_with_article();
    std::fs::write(folder.path().join("function.zip"), "not a zip").unwrap();
    let done = bare(folder.path(), &["plan", "article.toml", "--function-zip", "function.zip"]).output().unwrap();
    check(&done, &[], "a-function-zip-that-is-none");
}

/// A development build that stands where no function was built.
#[test]
fn no_function_zip() {
    let folder = folder_with_article();
    let program = folder.path().join("pgrotate");
    // A copy where the test's folder is on another disk.
    let from = env!("CARGO_BIN_EXE_pgrotate");
    std::fs::hard_link(from, &program).or_else(|_| std::fs::copy(from, &program).map(|_| ())).unwrap();
    let mut elsewhere = std::process::Command::new(&program);
    elsewhere.args(["plan", "article.toml"]).env_clear().env("HOME", folder.path()).current_dir(folder.path());
    check(&elsewhere.output().unwrap(), &[], "no-function-zip");
}

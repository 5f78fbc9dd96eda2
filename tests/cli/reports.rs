//! `report`: what it writes, and what it does not read.

use crate::snapshot::{bare, check};
use crate::support::{ARTICLE, Account, path};
use std::fs;

/// Told before AWS is asked: no credentials are needed.
#[test]
fn a_journal_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("article.toml"), ARTICLE).unwrap();
    let report = |journal: &str| {
        bare(folder.path(), &["report", "article.toml", "--html", "page.html", "--journal", journal]).output().unwrap()
    };
    check(&report("nowhere.jsonl"), &[], "a-journal-that-is-not-there");
    check(&report("article.toml"), &[], "a-journal-that-is-none");
    fs::write(
        folder.path().join("later.jsonl"),
        "{\"schema\":2,\"run\":\"a\",\"time\":\"2026-03-01T00:00:00Z\",\"event\":\"x\"}",
    )
    .unwrap();
    check(&report("later.jsonl"), &[], "a-journal-of-a-later-schema");
    // What would be written over.
    fs::copy(folder.path().join("later.jsonl"), folder.path().join("page.html")).unwrap();
    check(&report("page.html"), &[], "a-page-over-the-journal");
    assert!(fs::read_to_string(folder.path().join("page.html")).unwrap().starts_with('{'));
}

#[test]
fn a_page_of_what_is_not_there_yet() {
    let account = Account::new();
    let config = account.config(ARTICLE);
    let out = config.with_file_name("page.html");
    // What stood there before is replaced whole.
    fs::write(&out, "x".repeat(1 << 20)).unwrap();
    let before = account.requests().len();
    let run = account.pgrotate(&["report", path(&config), "--html", path(&out)]);
    run.exits(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", format!("written to {}\n", out.display()).as_str()));
    let page = fs::read_to_string(&out).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    for told in [account.number.as_str(), "<code>db_instance.my-postgres-instance</code>", "22 changes", "missing"] {
        assert!(page.contains(told), "{told}");
    }
    assert_eq!(account.changes_since(before), Vec::<String>::new());
    let entries: Vec<_> =
        fs::read_dir(out.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(entries.iter().all(|name| !name.to_string_lossy().starts_with(".tmp")), "{entries:?}");

    let missing = config.with_file_name("nowhere").join("page.html");
    let done = account.command(&["report", path(&config), "--html", path(&missing)]).output().unwrap();
    check(&done, &[(path(&missing), "nowhere/page.html")], "a-page-that-cannot-be-written");

    let place = "\"account\":\"999999999999\",\"region\":\"eu-north-1\",\"version\":\"0.1.0\",\"actions\":1";
    let line = format!(
        "{{\"schema\":1,\"run\":\"a\",\"time\":\"2026-03-01T00:00:00.000Z\",\"event\":\"begin\",\"command\":\"apply\",\"deployment\":\"article\",{place}}}\n"
    );
    let journal = config.with_file_name("journal.jsonl");
    fs::write(&journal, line).unwrap();
    let done = account
        .command(&["report", path(&config), "--html", path(&out), "--journal", path(&journal)])
        .output()
        .unwrap();
    let same =
        [(path(&journal), "journal.jsonl"), (path(&config), "article.toml"), (account.number.as_str(), "111122223333")];
    check(&done, &same, "a-journal-of-another-account");
}

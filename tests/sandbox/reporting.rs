//! The page of a deployment that lives holds what is true of it.

use crate::support::{ARTICLE, Account, path};
use serde_json::{Value, json};

/// The text of a page's section.
fn section<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("<section id=\"{id}\"")).unwrap_or_else(|| panic!("no section {id}"));
    rest.split_once("</section>").expect("its end").0
}

#[test]
fn applied_and_then_tampered_with() {
    let account = Account::new();
    account.delays("none");
    let config = account.config(ARTICLE);
    let (journal, out) = (config.with_file_name("journal.jsonl"), config.with_file_name("page.html"));
    account.pgrotate(&["apply", "--yes", "--journal", path(&journal), path(&config)]).exits(0);
    let report = || {
        account.pgrotate(&["report", path(&config), "--html", path(&out), "--journal", path(&journal)]).exits(0);
        std::fs::read_to_string(&out).expect("the page")
    };
    let page = report();
    account.no_value_was_read();
    let passwords = account.passwords();

    assert!(section(&page, "drift").contains("None."), "{}", section(&page, "drift"));
    assert!(section(&page, "plan").contains("Nothing is left to do."), "{}", section(&page, "plan"));
    let status: Value =
        serde_json::from_str(&account.pgrotate(&["status", "--format", "json", path(&config)]).stdout).expect("JSON");
    for login in status["logins"].as_array().expect("logins") {
        for told in ["login", "current_user", "last_rotated", "next_rotation"] {
            let told = login[told].as_str().expect("a text");
            assert!(section(&page, "logins").contains(told), "{told}");
        }
    }
    assert_eq!(section(&page, "logins").matches(">well<").count(), 2);
    let run = section(&page, "run");
    let lines: Vec<Value> = std::fs::read_to_string(&journal)
        .expect("the journal")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let done = lines.iter().filter(|line| line["event"] == "done").count();
    assert!(run.contains(&format!("{done} of {done} done")) && run.contains("exit code 0"), "{run}");
    // What ended last is the end of the critical path, and what it waited for is before it.
    let last = lines.iter().rfind(|line| line["event"] == "done").expect("one is done")["address"].clone();
    let path_told = run.split_once("Critical path</strong>").expect("a path").1.split_once("</p>").expect("its end").0;
    assert!(path_told.ends_with(&format!("<code>{}</code>", last.as_str().expect("an address"))), "{path_told} {last}");
    let started = |address: &Value| {
        lines.iter().find(|line| line["event"] == "started" && line["address"] == *address).expect("it was started")
    };
    let waited_for = started(&last)["waited_for"].as_array().expect("what it waited for");
    assert!(waited_for.iter().any(|first| path_told.contains(first.as_str().expect("a label"))), "{path_told}");

    account.call("secretsmanager", "cancel_rotate_secret", json!({ "SecretId": "test_user1_secret" }));
    let page = report();
    let drift = section(&page, "drift");
    assert!(drift.contains("rotation-cancelled") && drift.contains("<code>rotation.test_user1</code>"), "{drift}");
    assert_eq!(section(&page, "logins").matches(">well<").count(), 1);
    assert!(section(&page, "plan").contains("1 to create"), "{}", section(&page, "plan"));
    account.nothing_tells(&passwords);
}

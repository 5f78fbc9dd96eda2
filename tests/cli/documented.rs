//! The commands that stand within a text of README.md or docs/ are commands that there are, and what is shown as a
//! config is one. What stands in blocks is run, by the end-to-end tests.

use crate::documentation::{pages, root};
use crate::support::sandbox;
use pgrotate::config;
use std::io::Write;
use std::process::{Command, Stdio};

/// What stands in the place of a word.
const PLACES: [(&str, &str); 12] = [
    ("FILE", "deployment.toml"),
    ("CONFIG", "deployment.toml"),
    ("DIR", "configs"),
    ("PAGE", "page.html"),
    ("JOURNAL", "journal.jsonl"),
    ("LOGIN", "app"),
    ("ADDRESS", "login.app"),
    ("N", "1"),
    ("NAME", "config"),
    ("ID", "my-instance"),
    ("SHELL", "bash"),
    ("CODE", "critical"),
];

fn spans(program: &str) -> Vec<(String, String)> {
    let of = |page: crate::documentation::Page| {
        let spans = page.spans.into_iter().filter(|(_, code)| code.starts_with(program));
        spans.map(|(line, code)| (format!("{}:{line}", page.name), code)).collect::<Vec<_>>()
    };
    let all: Vec<_> = pages().into_iter().flat_map(of).collect();
    assert!(all.len() > 10, "{all:?}");
    all
}

/// Each is a line that the command line takes, whatever comes of it where nothing is declared.
#[test]
fn commands_in_the_text_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let mut unknown = Vec::new();
    for (place, code) in spans("pgrotate ") {
        let words = code.split(' ').skip(1).map(|word| {
            let word = word.trim_end_matches('…').trim_end_matches(',');
            PLACES.iter().find(|(name, _)| *name == word).map_or(word, |(_, instead)| instead)
        });
        let mut words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        // A command's name alone is no command line.
        if words.len() == 1 && !words[0].starts_with('-') {
            words.push("--help");
        }
        let done = crate::snapshot::bare(folder.path(), &words).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        if said.contains("error[usage]") {
            unknown.push(format!("{place}: {code}: {}", said.lines().next().unwrap_or_default()));
        }
    }
    assert!(unknown.is_empty(), "\n{}", unknown.join("\n"));
}

#[test]
fn commands_of_the_aws_cli_are_known() {
    let mut check = Command::new(&sandbox().environment["PGROTATE_SANDBOX_PYTHON"])
        .arg(root().join("tests/documentation/aws.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut asked = check.stdin.take().unwrap();
    for (_, code) in spans("aws ").iter().filter(|(_, code)| code.split(' ').count() > 2) {
        writeln!(asked, "{code}").unwrap();
    }
    writeln!(asked, "aws rds describe-db-instance\naws rds describe-db-instances --db-instance x").unwrap();
    drop(asked);
    let done = check.wait_with_output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success());
    let wanted = "aws rds describe-db-instance: rds has no describe-db-instance\n\
                  aws rds describe-db-instances --db-instance x: rds describe-db-instances has no --db-instance\n";
    assert_eq!(said, wanted);
}

/// A block that begins with a deployment is a whole config; any other is TOML at least.
#[test]
fn configs_in_the_text_are_configs() {
    let mut whole = 0;
    for page in pages() {
        for (line, text) in &page.toml {
            let at = format!("{}:{line}", page.name);
            if text.starts_with("deployment") {
                config::parse(&at, text).unwrap_or_else(|errors| panic!("{errors}"));
                whole += 1;
            } else {
                toml::from_str::<toml::Table>(text).unwrap_or_else(|error| panic!("{at}: {error}"));
            }
        }
    }
    assert!(whole > 1);
}

//! Every code has its row in `docs/errors.md`, and a test that makes pgrotate say it.

use pgrotate::code::{Code, exit};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const DOCS: &str = include_str!("../../docs/errors.md");

/// Code, exit code, cause, next command.
fn rows() -> Vec<[&'static str; 4]> {
    DOCS.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            cells.try_into().unwrap_or_else(|cells| panic!("a row of four cells: {cells:?}"))
        })
        .collect()
}

#[test]
fn every_code_has_its_row() {
    let documented: Vec<_> = rows().iter().map(|[code, ..]| code.trim_matches('`').to_owned()).collect();
    let mut known: Vec<_> = Code::ALL.iter().map(|code| code.text().to_owned()).collect();
    known.sort();
    assert_eq!(documented, known, "docs/errors.md, sorted by code");
    for [code, exits, cause, next] in rows() {
        let of = Code::ALL.iter().find(|known| known.text() == code.trim_matches('`')).unwrap();
        assert_eq!(exits, of.exit().to_string(), "{code}");
        assert!(cause.len() > 10 && next.len() > 5, "{code} has no cause or next command");
    }
}

/// What a test expects to be printed: golden files, and the blocks of `expect!` in the sources. A code counts as
/// tested only where one of them holds it, and those are compared with what is really printed.
fn expected() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    for folder in ["src", "tests"] {
        for file in files(&root.join(folder)) {
            let text = std::fs::read_to_string(&file).unwrap();
            match file.extension().and_then(|ending| ending.to_str()) {
                Some("txt") if file.parent().is_some_and(|folder| folder.ends_with("golden")) => all.push_str(&text),
                Some("rs") => {
                    let blocks = text.split("expect![[").skip(1).filter_map(|rest| rest.split_once("]]"));
                    blocks.for_each(|(block, _)| all.push_str(block));
                }
                _ => {}
            }
        }
    }
    all
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn every_code_is_said_in_a_test() {
    let expected = expected();
    let untested: BTreeSet<_> = Code::ALL
        .iter()
        .filter(|code| !expected.contains(&format!("{}: ", code.heading())))
        .map(|c| c.text())
        .collect();
    assert!(untested.is_empty(), "no test expects {untested:?}");
}

/// Codes that nothing real says in a test, and why not.
const NEVER_PROVOKED: [(&str, &str); 7] = [
    ("database-unreachable", "the sandbox ends such an invocation for its time; the functions' own tests say it"),
    ("function-outdated", "only a function of another version says it"),
    ("function-refused", "the config refuses what a function would; only another version's asks for it"),
    ("internal", "a mistake of ours"),
    ("login-busy", "the functions' own tests hold the lock"),
    ("role-not-ours", "apply looks first, and says not-ours; the functions' own tests"),
    ("role-in-use", "the functions' own tests, and `logins` of tests/sandbox by its words"),
];

/// The reports that tests put together by hand.
const BY_HAND: [&str; 2] = ["report-failures.txt", "report-failures-json.txt"];

/// An error that a test has made by hand shows how it is worded, not that it is ever said. Whatever is planned, parsed
/// or carried out in a test is real: golden plans, the config's tests, the command line's, those on the sandbox.
#[test]
fn every_code_is_really_said() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut real = String::new();
    for folder in ["src/config/tests", "tests/plan/golden", "tests/cli", "tests/sandbox"] {
        for file in files(&root.join(folder)) {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if !BY_HAND.contains(&name.as_str()) && !file.ends_with("tests/cli/codes.rs") {
                real.push_str(&std::fs::read_to_string(&file).unwrap());
            }
        }
    }
    let silent = Code::ALL.iter().filter(|code| !real.contains(&code.heading().to_string()));
    let silent: BTreeSet<_> = silent.map(|code| code.text()).collect();
    assert_eq!(silent, NEVER_PROVOKED.map(|(code, _)| code).into(), "what nothing real says, in a test");
}

/// Scripts tell the two apart by the exit code, people by the word.
#[test]
fn what_is_refused_says_so() {
    for code in Code::ALL {
        let refused = code.heading().to_string().starts_with("refused[");
        assert_eq!(refused, code.exit() == exit::REFUSED, "{code}");
    }
}

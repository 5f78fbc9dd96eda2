//! Every kind of drift has its row in `docs/drift.md`, and a test that makes it and finds it by its code.

use pgrotate::drift::DriftCode;
use std::path::Path;

const DOCS: &str = include_str!("../../docs/drift.md");

/// Code, severity, meaning, how it is mended.
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
fn every_kind_has_its_row() {
    let documented: Vec<_> = rows().iter().map(|[code, ..]| code.trim_matches('`').to_owned()).collect();
    let mut known: Vec<_> = DriftCode::ALL.iter().map(|code| code.text().to_owned()).collect();
    known.sort();
    assert_eq!(documented, known, "docs/drift.md, sorted by code");
    for [code, severity, means, mended] in rows() {
        let of = DriftCode::ALL.iter().find(|known| known.text() == code.trim_matches('`')).unwrap();
        assert_eq!(severity, of.severity().to_string(), "{code}");
        assert!(means.len() > 10 && mended.len() > 5, "{code} has no meaning or remedy");
    }
}

/// By a change from outside, on the emulated AWS: `tests/sandbox` names the code that it finds.
#[test]
fn every_kind_is_found_in_a_test() {
    let mut told = String::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sandbox");
    for entry in std::fs::read_dir(folder).unwrap() {
        told.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    let named = |code: &str| told.contains(&format!("\"{code}\"")) || told.contains(&format!("\\\"{code}\\\""));
    for code in DriftCode::ALL {
        assert!(named(code.text()), "no test in tests/sandbox finds `{}`", code.text());
    }
}

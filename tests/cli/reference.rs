//! The pages of docs/ that are written from what the program itself says. UPDATE_EXPECT=1 writes them anew.

use crate::snapshot::bare;
use expect_test::expect_file;
use pgrotate::schema::Subject;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt::Write;

const MADE: &str =
    "<!-- Made by tests/cli/reference.rs: change what it is made from, and UPDATE_EXPECT=1 writes it anew. -->\n";

/// Every command's `--help`, in the order of the first one's list.
#[test]
fn all_flags() {
    let folder = tempfile::tempdir().unwrap();
    let help = |command: &[&str]| {
        let done = bare(folder.path(), &[command, &["--help"]].concat()).env("COLUMNS", "100").output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{command:?}");
        let text = String::from_utf8(done.stdout).unwrap();
        text.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>()
    };
    let all = help(&[]);
    let list = all.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a list");
    // A command's line is indented by two; one that only goes on, by more.
    let commands: Vec<_> = list
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() > 12, "{commands:?}");
    let mut page =
        format!("# All flags\n\n{MADE}\nWhat `--help` says. What each command is for: [commands](commands.md).\n");
    let _ = write!(page, "\n## pgrotate\n```text\n{all}```\n");
    for command in commands {
        let _ = write!(page, "\n## {command}\n```text\n{}```\n", help(&[command]));
    }
    expect_file!["../../docs/help.md"].assert_eq(&page);
}

/// Every key of the config, from its schema.
#[test]
fn all_keys() {
    let schema = Subject::Config.schema();
    let definitions = schema["$defs"].as_object().expect("definitions");
    let mut page = format!(
        "# All keys\n\n{MADE}\nThe config's tables and their keys. A key without a default, and not required, may be left out. How they are \
         used: [the config](config.md).\n\n## The file itself\n"
    );
    let mut told = BTreeSet::new();
    table(&mut page, &schema, definitions);
    for (name, key) in schema["properties"].as_object().expect("keys") {
        let (of, many) = match key["items"]["$ref"].as_str() {
            Some(of) => (Some(of), true),
            None => (key["$ref"].as_str(), false),
        };
        let Some(of) = of.and_then(named) else { continue };
        told.insert(of);
        let heading = if many { format!("[[{name}]]") } else { format!("[{name}]") };
        let _ = writeln!(page, "\n## `{heading}`\n");
        section(&mut page, &definitions[of], definitions);
    }
    // What tables refer to.
    for (name, definition) in definitions.iter().filter(|(name, _)| !told.contains(name.as_str())) {
        let _ = writeln!(page, "\n## {name}\n");
        section(&mut page, definition, definitions);
    }
    expect_file!["../../docs/config-reference.md"].assert_eq(&page);
}

fn named(reference: &str) -> Option<&str> {
    reference.strip_prefix("#/$defs/")
}

fn section(page: &mut String, of: &Value, definitions: &Map<String, Value>) {
    if let Some(text) = of["description"].as_str() {
        let _ = writeln!(page, "{text}");
    }
    if of["properties"].is_object() {
        table(page, of, definitions);
    } else {
        let _ = writeln!(page, "\n{}", kind(of, definitions));
    }
}

fn table(page: &mut String, of: &Value, definitions: &Map<String, Value>) {
    page.push_str("\n| key | takes | default | |\n|---|---|---|---|\n");
    let required: Vec<_> = of["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, key) in of["properties"].as_object().into_iter().flatten() {
        let default = match &key["default"] {
            Value::Null if required.contains(&name.as_str()) => "required".to_owned(),
            Value::Null => String::new(),
            value => format!("`{value}`"),
        };
        let text = ["description"].iter().find_map(|of| key[of].as_str());
        let text = text.or_else(|| definitions.get(named(key["$ref"].as_str()?)?)?["description"].as_str());
        let text = text.unwrap_or_else(|| panic!("{name} is not described"));
        let row = [format!("`{name}`"), kind(key, definitions), default, text.to_owned()]
            .map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(page, "| {} |", row.join(" | "));
    }
}

/// What a key takes, in words.
fn kind(of: &Value, definitions: &Map<String, Value>) -> String {
    let quoted = |values: &[Value]| values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
    if let Some(name) = of["$ref"].as_str().and_then(named) {
        let link = name.to_lowercase();
        // A table of the file's own has its name in brackets, which a heading's link leaves out.
        return format!("[{}](#{link})", definitions[name]["title"].as_str().unwrap_or(&link));
    }
    if let Some(all) = of["anyOf"].as_array().or(of["oneOf"].as_array()) {
        let mut kinds: Vec<_> = all.iter().map(|one| kind(one, definitions)).collect();
        kinds.dedup();
        return kinds.join(" or ");
    }
    match (of["type"].as_str(), of["enum"].as_array(), &of["const"]) {
        (_, Some(words), _) => quoted(words),
        (_, _, word) if !word.is_null() => format!("`{word}`"),
        (Some("array"), ..) => format!("a list: {}", kind(&of["items"], definitions)),
        (Some("integer"), ..) => match (of["minimum"].as_i64(), of["maximum"].as_i64()) {
            (Some(least), Some(most)) => format!("{least} to {most}"),
            (Some(least), None) => format!("{least} or more"),
            _ => "a whole number".to_owned(),
        },
        (Some("boolean"), ..) => "`true`, `false`".to_owned(),
        (Some("string"), ..) => "text".to_owned(),
        (Some("object"), ..) => "a table".to_owned(),
        other => panic!("{other:?}: {of}"),
    }
}

//! Imports point down only, as the table below says; only `aws` and `resources` name an SDK crate; no file
//! grows past what one can hold in mind.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Module, and the modules of this crate it may name. A module may always name itself.
const MAY_USE: &[(&str, &[&str])] = &[
    ("code", &[]),
    ("command", &[]),
    ("drift", &[]),
    ("model", &[]),
    ("resource", &["code", "command", "drift", "model"]),
    ("graph", &[]),
    ("config", &["code"]),
    ("plan", &["command", "drift", "graph", "model", "resource"]),
    ("execute", &["code", "command", "graph", "model", "plan", "resource"]),
    ("aws", &["code", "model"]),
    // `execute` for the trait whose live half the kinds are; `config` for the schedule's own type.
    ("resources", &["aws", "code", "command", "config", "drift", "execute", "model", "resource"]),
    ("function_zip", &["code", "resources"]),
    // `aws` for what is seen of proxies.
    ("lint", &["aws", "config", "model"]),
    // `aws` for what is seen of networks and databases.
    ("init", &["aws", "config", "model"]),
    ("desired", &["aws", "code", "command", "config", "model", "resource", "resources"]),
    // The document is made from plan and report; the formats read the document.
    ("render", &["code", "drift", "execute", "graph", "lint", "model", "plan", "resource"]),
    // A saved plan is a plan's document with what was seen for it.
    ("saved", &["code", "command", "model", "plan", "render", "resource"]),
    // Out of what a resource comes from, and what is planned for it.
    ("explain", &["config", "model", "plan", "render", "resource", "resources"]),
    ("schema", &["config", "render"]),
    (
        "cli",
        &[
            "aws",
            "code",
            "command",
            "config",
            "desired",
            "drift",
            "execute",
            "explain",
            "function_zip",
            "init",
            "lint",
            "model",
            "plan",
            "render",
            "resource",
            "resources",
            "saved",
            "schema",
        ],
    ),
];

const MAY_NAME_SDK: &[&str] = &["aws", "resources"];
const LONGEST_FILE: usize = 600;

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for (module, file, text) in sources() {
        let allowed: BTreeSet<_> = match MAY_USE.iter().find(|(name, _)| *name == module) {
            Some((_, allowed)) => allowed.iter().copied().chain([module.as_str()]).collect(),
            None => {
                wrong.push(format!("{}: module `{module}` is not in the table of layers", file.display()));
                continue;
            }
        };
        for used in words_after(&text, "crate::") {
            if !allowed.contains(used.as_str()) {
                wrong.push(format!("{}: `{module}` may not use `{used}`", file.display()));
            }
        }
        if !MAY_NAME_SDK.contains(&module.as_str()) && text.contains("aws_sdk_") {
            wrong.push(format!("{}: only {MAY_NAME_SDK:?} may name an SDK crate", file.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn formats_read_only_the_document() {
    let formats = ["render/human.rs", "render/markdown.rs", "render/graph.rs"];
    let is_format = |file: &Path| formats.iter().any(|format| file.ends_with(format));
    let of_page = |file: &Path| file.parent().is_some_and(|folder| folder.ends_with("render/html"));
    let all: Vec<_> = sources().into_iter().filter(|(_, file, _)| is_format(file) || of_page(file)).collect();
    assert!(
        formats.iter().chain(&["render/html/mod.rs"]).all(|one| all.iter().any(|(_, file, _)| file.ends_with(one)))
    );
    for (_, file, text) in all {
        let used: BTreeSet<_> = words_after(&text, "crate::").into_iter().collect();
        let reads = |used: &String| used == "model" || used == "resource";
        assert!(used.iter().all(reads), "{} uses {used:?}", file.display());
    }
}

#[test]
fn the_rule_catches_a_wrong_import() {
    assert_eq!(
        words_after("use crate::aws::Aws;\n// crate::x\nlet y = crate::cli::main();", "crate::"),
        ["aws", "cli"]
    );
}

#[test]
fn no_file_is_too_long() {
    let mut long = Vec::new();
    for folder in ["src", "crates", "tests", "sandbox"] {
        for file in files(&root().join(folder)) {
            let lines = std::fs::read_to_string(&file).unwrap().lines().count();
            if lines > LONGEST_FILE {
                long.push(format!("{} has {lines} lines", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// (module, file, text) of the library.
fn sources() -> Vec<(String, PathBuf, String)> {
    let src = root().join("src");
    files(&src)
        .into_iter()
        .filter_map(|file| {
            let first = file.strip_prefix(&src).unwrap().iter().next().unwrap().to_str().unwrap();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = std::fs::read_to_string(&file).unwrap();
            (module != "lib" && module != "main").then_some((module, file, text))
        })
        .collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs" || ending == "py") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The identifiers that follow `mark` in code; comments do not count.
fn words_after(text: &str, mark: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split(mark).skip(1))
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>())
        .filter(|word| !word.is_empty())
        .collect()
}

//! The commands that README.md and the pages of docs/ show.
//!
//! Those of a fenced block of `sh` are typed as they stand; in one of `console` they begin with `$ `, and what stands
//! below is what they print (`…` stands for anything). A comment before them, which no reader sees, says how:
//! `<!-- commands: WORLD -->` once for each page, and before a block `<!-- exits: 2 -->` of its last command.

#![allow(dead_code, reason = "each test binary uses a part")]

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use std::path::{Path, PathBuf};

/// A page and what it shows.
#[derive(Default)]
pub struct Page {
    /// From the project's root, as `docs/drift.md`.
    pub name: String,
    /// Where its commands are at home.
    pub world: Option<String>,
    pub commands: Vec<Shown>,
    /// Spans of code in the text, each with its line.
    pub spans: Vec<(usize, String)>,
    /// Blocks of TOML, each with its line.
    pub toml: Vec<(usize, String)>,
}

/// A command of a block.
#[derive(Debug)]
pub struct Shown {
    pub line: usize,
    pub text: String,
    pub exits: i32,
    /// Lines that it prints, in their order, among others.
    pub prints: Vec<String>,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page of Markdown that users are given.
pub fn pages() -> Vec<Page> {
    let mut paths = vec![PathBuf::from("README.md")];
    let entries = std::fs::read_dir(root().join("docs")).expect("docs/");
    paths.extend(entries.map(|entry| Path::new("docs").join(entry.expect("an entry").file_name())));
    paths.retain(|path| path.extension().is_some_and(|end| end == "md"));
    paths.sort();
    assert!(paths.len() > 10, "{paths:?}");
    paths.iter().map(|path| page(path)).collect()
}

fn page(path: &Path) -> Page {
    let text = std::fs::read_to_string(root().join(path)).expect("a page");
    let mut page = Page { name: path.display().to_string(), ..Page::default() };
    let line_of = |at: usize| text[..at].lines().count() + 1;
    let (mut exits, mut block) = (0, None);
    for (event, range) in Parser::new_ext(&text, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Html(comment) | Event::InlineHtml(comment) => {
                let said = comment.trim().strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->"));
                match said.and_then(|said| said.split_once(':')).map(|(key, value)| (key.trim(), value.trim())) {
                    Some(("commands", world)) => page.world = Some(world.to_owned()),
                    Some(("exits", code)) => exits = code.parse().expect("an exit code"),
                    _ => {}
                }
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(kind))) => {
                block =
                    ["sh", "console", "toml"].contains(&&*kind).then(|| (kind.to_string(), String::new(), range.start));
            }
            Event::Text(more) => {
                if let Some((_, text, _)) = &mut block {
                    text.push_str(&more);
                }
            }
            Event::End(TagEnd::CodeBlock) => {
                let Some((kind, text, start)) = block.take() else { continue };
                if kind == "toml" {
                    page.toml.push((line_of(start), text));
                    continue;
                }
                let mut shown = if kind == "sh" { typed(&text) } else { told(&text) };
                shown.iter_mut().for_each(|shown| shown.line += line_of(start));
                if let Some(last) = shown.last_mut() {
                    last.exits = std::mem::take(&mut exits);
                }
                page.commands.append(&mut shown);
            }
            Event::Code(code) => page.spans.push((line_of(range.start), code.to_string())),
            _ => {}
        }
    }
    assert_eq!(exits, 0, "{}: an exit code without a block after it", page.name);
    page
}

/// Lines of shell; one that ends with a backslash goes on, and a block with a here-document is one.
fn typed(text: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let (mut goes_on, whole) = (false, text.contains("<<"));
    for (number, line) in text.lines().enumerate() {
        match all.last_mut() {
            Some(last) if goes_on || whole => last.text = format!("{}\n{line}", last.text),
            _ if line.trim().is_empty() || line.trim_start().starts_with('#') => continue,
            _ => all.push(Shown { line: number, text: line.to_owned(), exits: 0, prints: Vec::new() }),
        }
        goes_on = line.ends_with('\\');
    }
    all
}

/// Commands with what they print.
fn told(text: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(command) = line.strip_prefix("$ ") {
            all.push(Shown { line: number, text: command.to_owned(), exits: 0, prints: Vec::new() });
        } else if let Some(last) = all.last_mut().filter(|_| !line.trim().is_empty()) {
            last.prints.push(line.to_owned());
        }
    }
    all
}

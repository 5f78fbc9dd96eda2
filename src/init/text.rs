//! The config's keys as lines of a file, in the order and with the words of its schema: a key that the schema gets is in
//! every new file, and its comment is written once.

use super::examples;
use super::{LeftOut, Lines};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use toml_writer::{ToTomlValue, TomlStringBuilder};

/// No comment's line is longer, unless a word is.
const COLUMNS: usize = 118;

/// A comment stands beside its key where it leaves that one room, and above it otherwise.
const BESIDE: usize = 42;

/// What the answers make of the schema's keys: those that are set, what is said of some, and what has no place.
#[derive(Debug)]
pub(super) struct Filled {
    deployment: String,
    set: Lines,
    /// In the place of the default or the example.
    shown: Lines,
    notes: BTreeMap<String, Vec<String>>,
    left_out: LeftOut,
}

impl Filled {
    /// `deployment` is what some defaults are made of.
    pub fn new(deployment: &str) -> Self {
        Self {
            deployment: deployment.to_owned(),
            set: Lines::new(),
            shown: Lines::new(),
            notes: BTreeMap::new(),
            left_out: LeftOut::new(),
        }
    }

    /// Sets a key to a value that is TOML.
    pub fn put(&mut self, path: &str, value: String) {
        self.set.insert(path.to_owned(), value);
    }

    /// Shows a key behind a `#` with this value.
    pub fn show(&mut self, path: &str, value: &str) {
        self.shown.insert(path.to_owned(), value.to_owned());
    }

    /// Says something of a key, above it.
    pub fn note(&mut self, path: &str, note: Option<&str>) {
        self.notes.entry(path.to_owned()).or_default().extend(note.map(str::to_owned));
    }

    pub fn leave_out(&mut self, path: &str) {
        self.left_out.insert(path.to_owned());
    }

    fn sets_any(&self, table: &str) -> bool {
        self.set.keys().any(|path| path.strip_prefix(table).is_some_and(|rest| rest.starts_with('.')))
    }
}

/// A string as TOML, on one line: a line's end in it would end a comment that the key stands in.
pub(super) fn literal(text: &str) -> String {
    // In a config `${` begins a variable, and nothing that was found or answered is one.
    TomlStringBuilder::new(&text.replace("${", "$${")).as_basic().to_toml_value()
}

/// A list of strings as TOML.
pub(super) fn literals(texts: &[String]) -> String {
    let texts: Vec<_> = texts.iter().map(|text| literal(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// Adds a paragraph of comment. What was found may be named in it, and anything can be a name: a line's end in it must not
/// end the comment, and TOML takes no control character there.
pub(super) fn comment(out: &mut String, text: &str) {
    for line in wrapped(&plain(text), COLUMNS - 2) {
        out.push_str(&format!("# {line}\n"));
    }
}

/// Adds a line of comment that is for copying, and so never broken.
pub(super) fn command(out: &mut String, text: &str) {
    out.push_str(&format!("#   {}\n", plain(text)));
}

pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= columns {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// All keys of `schema`, the config's: first those of the whole, which TOML takes only above every table.
pub(super) fn body(schema: &Value, filled: &Filled) -> String {
    let body = Body { schema, filled };
    let mut out = String::new();
    let empty = Map::new();
    let root = schema["properties"].as_object().unwrap_or(&empty);
    for (key, of) in root {
        if let Shape::Key = body.shape(of) {
            let gap = if out.is_empty() { "" } else { "\n" };
            out.push_str(gap);
            body.key(&mut out, key, key, of);
        }
    }
    for (key, of) in root {
        match body.shape(of) {
            Shape::Key => {}
            Shape::Table(table) => body.table(&mut out, (key, &format!("[{key}]")), of, table, true),
            Shape::Tables(table) => {
                let count = (0..).take_while(|number| filled.sets_any(&format!("{key}[{number}]"))).count();
                for number in 0..count.max(1) {
                    // The further ones are like the first: what they could say stands there.
                    let path = format!("{key}[{number}]");
                    body.table(&mut out, (&path, &format!("[[{key}]]")), of, table, number == 0);
                }
            }
        }
    }
    out
}

/// How a key of the whole is written.
enum Shape<'a> {
    Key,
    Table(&'a Value),
    Tables(&'a Value),
}

struct Body<'a> {
    schema: &'a Value,
    filled: &'a Filled,
}

impl Body<'_> {
    fn shape<'v>(&'v self, of: &'v Value) -> Shape<'v> {
        if let Some(table) = self.definition(of) {
            return Shape::Table(table);
        }
        match self.definition(&of["items"]) {
            Some(table) => Shape::Tables(table),
            None => Shape::Key,
        }
    }

    /// The table that `of` refers to.
    fn definition<'v>(&'v self, of: &'v Value) -> Option<&'v Value> {
        let name = of["$ref"].as_str()?.rsplit('/').next()?;
        Some(&self.schema["$defs"][name]).filter(|table| table["properties"].is_object())
    }

    /// A table and its keys, behind a `#` all of it where none of them is set. `whole` is with those that are not.
    fn table(&self, out: &mut String, (path, heading): (&str, &str), of: &Value, table: &Value, whole: bool) {
        let is_set = self.filled.sets_any(path);
        out.push('\n');
        if whole {
            comment(out, of["description"].as_str().or(table["description"].as_str()).unwrap_or_default());
        }
        out.push_str(&format!("{}{heading}\n", if is_set { "" } else { "# " }));
        let keys = table["properties"].as_object().into_iter().flatten();
        for (key, of) in keys {
            let path = format!("{path}.{key}");
            if whole || self.filled.set.contains_key(&path) || self.filled.shown.contains_key(&path) {
                self.key(out, &path, key, of);
            }
        }
    }

    fn key(&self, out: &mut String, path: &str, key: &str, of: &Value) {
        let filled = self.filled;
        if filled.left_out.contains(path) {
            return;
        }
        let line = match filled.set.get(path) {
            Some(value) => format!("{key} = {value}"),
            None => {
                let shown = filled.shown.get(path).cloned();
                let value = shown.unwrap_or_else(|| examples::of(path, of, &filled.deployment));
                format!("# {key} = {value}")
            }
        };
        let inner = of["$ref"].as_str().and_then(|_| self.definition(of));
        let said = of["description"].as_str().or_else(|| inner.and_then(|table| table["description"].as_str()));
        let said = plain(said.unwrap_or_default());
        let notes = filled.notes.get(path).map(Vec::as_slice).unwrap_or_default();
        let beside = format!("{line:<BESIDE$}# {said}");
        if notes.is_empty() && line.chars().count() < BESIDE && beside.chars().count() <= COLUMNS {
            out.push_str(&format!("{beside}\n"));
            return;
        }
        comment(out, &said);
        notes.iter().for_each(|note| comment(out, note));
        out.push_str(&format!("{line}\n"));
    }
}

//! A strict reader over TOML's spanned tables: every key is asked for by name, and what nobody asked for
//! is an unknown key.

use super::Located;
use super::error::{ConfigError, quoted};
use crate::code::Code;
use std::cell::RefCell;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// Collects what is wrong with one file, and which keys its tables know.
pub(super) struct Problems<'t> {
    text: &'t str,
    list: RefCell<Vec<ConfigError>>,
    missing: RefCell<Vec<Missing>>,
    unknown: RefCell<Vec<Unknown>>,
    /// Places of values that nobody knows.
    unread: RefCell<Vec<Range<usize>>>,
    /// Each kind of table and its keys, in the order in which they were asked for.
    known: RefCell<Vec<(String, Vec<&'static str>)>>,
}

/// Which table: its kind, and where it stands.
type Place = (String, Range<usize>);

struct Missing {
    place: Place,
    key: &'static str,
    error: ConfigError,
}

struct Unknown {
    place: Place,
    key: String,
    span: Range<usize>,
}

impl<'t> Problems<'t> {
    pub fn new(text: &'t str) -> Self {
        Self {
            text,
            list: RefCell::default(),
            missing: RefCell::default(),
            unknown: RefCell::default(),
            unread: RefCell::default(),
            known: RefCell::default(),
        }
    }

    pub fn add(&self, error: ConfigError) {
        self.list.borrow_mut().push(error);
    }

    /// How much was found so far.
    pub fn count(&self) -> usize {
        self.list.borrow().len()
    }

    /// Adds why a value is not known: nothing else is told of it.
    pub fn unreadable(&self, error: ConfigError) {
        self.unread.borrow_mut().extend(error.span.clone());
        self.add(error);
    }

    /// Everything found. Unknown and missing keys are told only now: a suggestion needs all tables' keys, and
    /// a key that is only misspelled is not missing as well.
    pub fn finish(self) -> Vec<ConfigError> {
        let known = self.known.into_inner();
        let mut list = self.list.into_inner();
        for unread in self.unread.into_inner() {
            // The one that says so came first.
            let mut first = true;
            list.retain(|error| error.span.as_ref() != Some(&unread) || std::mem::take(&mut first));
        }
        let mut meant = Vec::new();
        for unknown in self.unknown.into_inner() {
            let (error, key) = unknown.error(&known);
            list.push(error);
            meant.extend(key.map(|key| (unknown.place, key)));
        }
        let missing = self.missing.into_inner().into_iter();
        list.extend(
            missing.filter(|m| !meant.iter().any(|(place, key)| *place == m.place && *key == m.key)).map(|m| m.error),
        );
        list
    }

    fn source_of(&self, span: &Range<usize>) -> &'t str {
        self.text.get(span.clone()).unwrap_or("")
    }
}

impl Unknown {
    /// The error, and the key that was probably meant.
    fn error<'k>(&self, known: &'k [(String, Vec<&'static str>)]) -> (ConfigError, Option<&'k str>) {
        let Self { place: (table, _), key, span } = self;
        let here: &[&str] = known.iter().find(|(label, _)| label == table).map_or(&[], |(_, keys)| keys);
        // Below a table's header every key is that table's: often the key is right and its place is not.
        let elsewhere = known.iter().find(|(label, keys)| label != table && keys.contains(&key.as_str()));
        let near = if elsewhere.is_some() { None } else { nearest(&key.replace('-', "_"), here) };
        let list = here.join(", ");
        let hint = match (near, elsewhere) {
            (Some(near), _) => format!("did you mean `{near}`? Known here: {list}"),
            (None, Some((label, _))) if label == ROOT => {
                format!("`{key}` belongs above the first table. Known here: {list}")
            }
            (None, Some((label, _))) => format!("`{key}` belongs to {label}. Known here: {list}"),
            (None, None) => format!("remove it. Known here: {list}"),
        };
        let place = if table == ROOT { format!("at {ROOT}") } else { format!("in {table}") };
        (ConfigError::at(Code::UnknownKey, span, format!("unknown key {} {place}", ticked(key))).hint(hint), near)
    }
}

/// The candidate that a misspelled word was probably meant to be: at most a third of it wrong.
pub(super) fn nearest<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let word = word.to_lowercase();
    let near = candidates.iter().map(|candidate| (strsim::osa_distance(&word, candidate), *candidate));
    near.filter(|(wrong, candidate)| *wrong <= (candidate.len() / 3).max(1))
        .min_by_key(|(wrong, _)| *wrong)
        .map(|(_, c)| c)
}

/// Label of the file itself.
const ROOT: &str = "the top level";

/// A key for a message; one that is not a plain word is quoted and escaped.
fn ticked(key: &str) -> String {
    if !key.is_empty() && key.len() <= 60 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        format!("`{key}`")
    } else {
        quoted(key)
    }
}

/// A table being read. An absent one is read like an empty one, but its keys are not missed.
pub(super) struct Table<'p, 't> {
    problems: &'p Problems<'t>,
    /// `[database]`, for messages; the same for all tables of one kind.
    label: String,
    /// The header, or the whole of an inline table.
    span: Range<usize>,
    entries: Option<&'p DeTable<'t>>,
    asked: Vec<&'static str>,
    /// Keys that were refused: neither known nor unknown here.
    refused: Vec<&'static str>,
}

impl<'p, 't> Table<'p, 't> {
    /// The whole file.
    pub fn root(problems: &'p Problems<'t>, entries: &'p DeTable<'t>) -> Self {
        Self {
            problems,
            label: ROOT.into(),
            span: 0..0,
            entries: Some(entries),
            asked: Vec::new(),
            refused: Vec::new(),
        }
    }

    pub fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// A value with the place of its key's; where there is none, of the table.
    pub fn located<T>(&self, key: &str, value: T) -> Located<T> {
        Located { value, span: self.find(key).map_or_else(|| self.span.clone(), |(span, _)| span) }
    }

    /// Whether the key holds an array without items.
    pub fn is_empty_array(&self, key: &str) -> bool {
        self.find(key).is_some_and(|(_, value)| value.as_array().is_some_and(|items| items.is_empty()))
    }

    /// Whether the key is there, of whatever type.
    pub fn has(&self, key: &str) -> bool {
        self.entries.is_some_and(|entries| entries.contains_key(key))
    }

    /// Whether the key holds a table.
    pub fn is_table(&self, key: &str) -> bool {
        self.find(key).is_some_and(|(_, value)| value.as_table().is_some())
    }

    /// Whether the key holds a string.
    pub fn is_string(&self, key: &str) -> bool {
        self.find(key).is_some_and(|(_, value)| value.as_str().is_some())
    }

    /// Whether there is no table, or something else in its place, which was told already.
    pub fn is_unread(&self) -> bool {
        self.entries.is_none()
    }

    /// Notes the unknown keys. To be called once every key was asked for.
    pub fn finish(self) {
        let Self { problems, label, span: place, entries, asked, refused } = self;
        for (key, _) in entries.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if !asked.contains(&name) && !refused.contains(&name) {
                let unknown =
                    Unknown { place: (label.clone(), place.clone()), key: key.get_ref().to_string(), span: key.span() };
                problems.unknown.borrow_mut().push(unknown);
            }
        }
        let mut known = problems.known.borrow_mut();
        if !known.iter().any(|(other, _)| *other == label) {
            known.push((label, asked));
        }
    }

    /// Refuses a key that would be understood elsewhere and is meaningless here, whatever it holds.
    pub fn refuse(&mut self, key: &'static str, why: &str) {
        self.refused.push(key);
        if let Some((span, _)) = self.find(key) {
            let message = format!("`{key}` cannot be set in {}: {why}", self.label);
            self.problems.add(ConfigError::at(Code::ConflictingKeys, &span, message).hint("remove this line"));
        }
    }

    /// A string that must be there. `example` shows, here and below, what to write: as TOML.
    pub fn string(&mut self, key: &'static str, example: &str) -> Option<Located<String>> {
        self.required(key, example);
        self.optional_string(key, example)
    }

    pub fn optional_string(&mut self, key: &'static str, example: &str) -> Option<Located<String>> {
        let (span, value) = self.ask(key)?;
        match value {
            DeValue::String(text) => Some(Located { value: text.to_string(), span }),
            other => {
                // A version or an account written as a number: the same, in quotes.
                let instead = match other {
                    DeValue::Integer(_) | DeValue::Float(_) => {
                        format!("{key} = \"{}\"", self.problems.source_of(&span))
                    }
                    _ => format!("{key} = {example}"),
                };
                self.wrong_type(key, &span, "a string", other, &instead)
            }
        }
    }

    pub fn optional_bool(&mut self, key: &'static str, default: bool) -> bool {
        let Some((span, value)) = self.ask(key) else { return default };
        match value {
            DeValue::Boolean(value) => *value,
            other => {
                let instead = match other {
                    DeValue::String(text) if text == "true" || text == "false" => format!("{key} = {text}"),
                    _ => format!("{key} = {default}"),
                };
                self.wrong_type::<bool>(key, &span, "true or false", other, &instead).unwrap_or(default)
            }
        }
    }

    /// An integer within `range`, both ends included; required where there is no default.
    pub fn integer(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<u32>,
        unit: &str,
        default: Option<u32>,
    ) -> Option<u32> {
        let (low, high) = (*range.start(), *range.end());
        let example = default.unwrap_or(low);
        if default.is_none() {
            self.required(key, &example.to_string());
        }
        let Some((span, value)) = self.ask(key) else { return default };
        let DeValue::Integer(digits) = value else {
            let instead = match value {
                DeValue::String(text) if text.parse().is_ok_and(|number: u32| range.contains(&number)) => {
                    format!("{key} = {text}")
                }
                _ => format!("{key} = {example}"),
            };
            return self.wrong_type(key, &span, "a whole number", value, &instead);
        };
        // Digits that fit no i64 are out of every range.
        let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok();
        match number.and_then(|number| u32::try_from(number).ok()).filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => {
                let written = self.problems.source_of(&span);
                let message = format!("`{key}` is {written}, outside {low} to {high}{unit}");
                let hint = format!("write for example: {key} = {example}");
                self.problems.add(ConfigError::at(Code::BadValue, &span, message).hint(hint));
                None
            }
        }
    }

    /// A table that must be there.
    pub fn table(&mut self, key: &'static str, example: &str) -> Table<'p, 't> {
        self.required(key, example);
        self.optional_table(key, example)
    }

    pub fn optional_table(&mut self, key: &'static str, example: &str) -> Table<'p, 't> {
        let label = self.label_of(key);
        let found = self.ask(key);
        let (span, entries) = match found {
            Some((span, DeValue::Table(entries))) => (span, Some(entries)),
            Some((span, other)) => {
                let instead = if example.starts_with('{') { format!("{key} = {example}") } else { example.to_owned() };
                self.wrong_type::<()>(key, &span, "a table", other, &instead);
                (span, None)
            }
            None => (self.span.clone(), None),
        };
        Table { problems: self.problems, label, span, entries, asked: Vec::new(), refused: Vec::new() }
    }

    /// The tables of an array; none where the key is absent.
    pub fn tables(&mut self, key: &'static str, example: &str) -> Vec<Table<'p, 't>> {
        let label = if self.is_root() { format!("[[{key}]]") } else { self.label_of(key) };
        let Some((span, value)) = self.ask(key) else {
            // Its keys stay unregistered: an array that nobody wrote is no place to send a key to.
            return Vec::new();
        };
        let DeValue::Array(items) = value else {
            let message = format!("`{key}` must be an array of tables, not {}", kind_of(value));
            self.problems.add(ConfigError::at(Code::WrongType, &span, message).hint(advice("write", example)));
            return Vec::new();
        };
        let mut tables = Vec::with_capacity(items.len());
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(entries) => tables.push(Table {
                    problems: self.problems,
                    label: label.clone(),
                    span: item.span(),
                    entries: Some(entries),
                    asked: Vec::new(),
                    refused: Vec::new(),
                }),
                other => {
                    let message = format!("each of `{key}` must be a table, not {}", kind_of(other));
                    self.problems
                        .add(ConfigError::at(Code::WrongType, &item.span(), message).hint(advice("write", example)));
                }
            }
        }
        tables
    }

    /// An array of strings, and where it stands.
    pub fn optional_strings(&mut self, key: &'static str, example: &str) -> Option<Located<Vec<Located<String>>>> {
        let (span, value) = self.ask(key)?;
        let DeValue::Array(items) = value else {
            let instead = match value {
                DeValue::String(text) => format!("{key} = [{}]", quoted(text)),
                _ => format!("{key} = {example}"),
            };
            return self.wrong_type(key, &span, "an array of strings", value, &instead);
        };
        let mut strings = Vec::with_capacity(items.len());
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) => strings.push(Located { value: text.to_string(), span: item.span() }),
                other => {
                    let message = format!("each of `{key}` must be a string, not {}", kind_of(other));
                    let hint = format!("write: {key} = {example}");
                    self.problems.add(ConfigError::at(Code::WrongType, &item.span(), message).hint(hint));
                }
            }
        }
        // With one of them unread, its length would be wrong and lead to further errors.
        (strings.len() == items.len()).then_some(Located { value: strings, span })
    }

    /// An array of strings that must be there.
    pub fn strings(&mut self, key: &'static str, example: &str) -> Option<Located<Vec<Located<String>>>> {
        self.required(key, example);
        self.optional_strings(key, example)
    }

    /// A table whose keys are the user's own: names to strings.
    pub fn named_strings(&mut self, key: &'static str, example: &str) -> Vec<(Located<String>, Located<String>)> {
        let Some((span, value)) = self.ask(key) else { return Vec::new() };
        let DeValue::Table(entries) = value else {
            self.wrong_type::<()>(key, &span, "a table", value, &format!("{key} = {example}"));
            return Vec::new();
        };
        let mut values = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            let place = Located { value: name.get_ref().to_string(), span: name.span() };
            match value.get_ref() {
                DeValue::String(text) => values.push((place, Located { value: text.to_string(), span: value.span() })),
                other => {
                    let instead = match other {
                        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
                            format!("\"{}\"", self.problems.source_of(&value.span()))
                        }
                        _ => format!("{key} = {example}"),
                    };
                    let message = format!("each of `{key}` must be a string, not {}", kind_of(other));
                    let error = ConfigError::at(Code::WrongType, &value.span(), message);
                    self.problems.add(error.hint(advice("write", &instead)));
                }
            }
        }
        values
    }

    /// A table whose keys are the user's own: names to strings, numbers, true or false, as text.
    pub fn named_values(&mut self, key: &'static str, example: &str) -> Vec<(Located<String>, String)> {
        let Some((span, value)) = self.ask(key) else { return Vec::new() };
        let DeValue::Table(entries) = value else {
            let instead = format!("{key} = {example}");
            self.wrong_type::<()>(key, &span, "a table", value, &instead);
            return Vec::new();
        };
        let mut values = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            let place = Located { value: name.get_ref().to_string(), span: name.span() };
            match value.get_ref() {
                DeValue::String(text) => values.push((place, text.to_string())),
                DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
                    values.push((place, self.problems.source_of(&value.span()).to_owned()));
                }
                other => {
                    let message =
                        format!("each of `{key}` must be a string, a number, true or false, not {}", kind_of(other));
                    self.problems.add(
                        ConfigError::at(Code::WrongType, &value.span(), message)
                            .hint(format!("write: {key} = {example}")),
                    );
                }
            }
        }
        values
    }

    /// A moment with its offset from UTC, as it is written.
    pub fn optional_moment(&mut self, key: &'static str, example: &str) -> Option<Located<String>> {
        let (span, value) = self.ask(key)?;
        match value {
            DeValue::Datetime(moment) if moment.offset.is_some() && moment.date.is_some() => {
                Some(Located { value: moment.to_string(), span })
            }
            other => {
                let instead = format!("{key} = {example}");
                self.wrong_type(key, &span, "a date and time with its offset from UTC", other, &instead)
            }
        }
    }

    fn is_root(&self) -> bool {
        self.label == ROOT
    }

    fn label_of(&self, key: &str) -> String {
        match self.label.strip_suffix(']') {
            _ if self.is_root() => format!("[{key}]"),
            Some(outer) => format!("{outer}.{key}]"),
            None => format!("{}.{key}", self.label),
        }
    }

    fn find(&self, key: &str) -> Option<(Range<usize>, &'p DeValue<'t>)> {
        let (_, value) = self.entries?.get_key_value(key)?;
        Some((value.span(), value.get_ref()))
    }

    fn ask(&mut self, key: &'static str) -> Option<(Range<usize>, &'p DeValue<'t>)> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.find(key)
    }

    /// Records a missing key, unless its whole table is missing: that was said already.
    pub fn required(&self, key: &'static str, example: &str) {
        if self.entries.is_none() || self.has(key) {
            return;
        }
        let is_table = example.contains('\n');
        let error = match (self.is_root(), is_table) {
            (true, true) => ConfigError::of_file(Code::MissingKey, format!("[{key}] is missing")),
            (true, false) => ConfigError::of_file(Code::MissingKey, format!("`{key}` is missing")),
            (false, _) => {
                ConfigError::at(Code::MissingKey, &self.span, format!("`{key}` is missing in {}", self.label))
            }
        };
        let hint = match (self.is_root(), is_table) {
            (_, true) => advice("add", example),
            (true, false) => format!("add, above the first table: {key} = {example}"),
            (false, false) => format!("add: {key} = {example}"),
        };
        let place = (self.label.clone(), self.span.clone());
        self.problems.missing.borrow_mut().push(Missing { place, key, error: error.hint(hint) });
    }

    fn wrong_type<T>(
        &self,
        key: &str,
        span: &Range<usize>,
        wanted: &str,
        found: &DeValue<'_>,
        instead: &str,
    ) -> Option<T> {
        let message = format!("`{key}` must be {wanted}, not {}", kind_of(found));
        self.problems.add(ConfigError::at(Code::WrongType, span, message).hint(advice("write", instead)));
        None
    }
}

/// What to write: on the hint's line, or below it where it has lines of its own.
pub(super) fn advice(verb: &str, instead: &str) -> String {
    if instead.contains('\n') {
        format!("{verb}:\n  {}", instead.replace('\n', "\n  "))
    } else {
        format!("{verb}: {instead}")
    }
}

pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

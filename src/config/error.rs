//! What is wrong with a config file, shown at its line.

use super::Source;
use crate::code::Code;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

/// Characters of a value repeated in a message; the excerpt shows the rest.
const QUOTED_CHARACTERS: usize = 70;

/// One thing wrong: its cause, its place, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// Bytes of the source; None where no line is to blame (a missing file, a missing table).
    pub span: Option<Range<usize>>,
    pub code: Code,
    pub message: String,
    pub hint: Option<String>,
}

impl ConfigError {
    /// An error at a place in the file.
    pub fn at(code: Code, span: &Range<usize>, message: impl Into<String>) -> Self {
        Self { span: Some(span.clone()), code, message: message.into(), hint: None }
    }

    /// An error of the file as a whole.
    pub fn of_file(code: Code, message: impl Into<String>) -> Self {
        Self { span: None, code, message: message.into(), hint: None }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Everything found wrong with one file, in the file's order; what concerns the whole file comes last.
/// Displayed, every error is a paragraph, and the last line is ended too. A width (`{:80}`) is that of the terminal:
/// excerpts are cut to it, since a caret below a line that breaks would point nowhere. Running text is left to
/// the terminal, which breaks it without cutting the commands in it in two for whoever copies them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Errors {
    // Not called `source`, which thiserror would take for the error's cause.
    file: Source,
    list: Vec<ConfigError>,
}

impl Errors {
    /// Sorts the errors by place and drops repeated ones.
    pub fn new(file: Source, mut list: Vec<ConfigError>) -> Self {
        list.sort_by(|a, b| {
            let place = |e: &ConfigError| e.span.as_ref().map_or((usize::MAX, 0), |s| (s.start, s.end));
            // The sort is stable: errors of one place stay in the order in which they were found.
            place(a).cmp(&place(b))
        });
        let mut told = HashSet::new();
        list.retain(|error| told.insert(error.clone()));
        Self { file, list }
    }

    /// The errors in the order in which they are shown.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.list.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// The file they are in.
    pub fn file(&self) -> &Source {
        &self.file
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.list.iter().enumerate() {
            let ConfigError { span, code, message, hint } = error;
            if index > 0 {
                f.write_str("\n")?;
            }
            writeln!(f, "{}: {}", code.heading(), shown(message))?;
            match span {
                Some(span) => f.write_str(&self.file.excerpt_within(span, f.width()))?,
                None => writeln!(f, " --> {}", shown(&self.file.name))?,
            }
            if let Some(hint) = hint {
                writeln!(f, "hint: {}", shown(hint))?;
            }
        }
        Ok(())
    }
}

/// One column wide, and no command to the terminal: a config may come from anybody's pull request.
pub(super) fn harmless(c: char) -> char {
    match c {
        '\t' => ' ',
        c if is_unprintable(c) => '\u{FFFD}',
        c => c,
    }
}

/// Control characters, and those that reorder or hide the text around them.
pub(super) fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

/// Text without what a terminal would obey, whoever put it into a message; only lines stay.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { c } else { harmless(c) }).collect()
}

/// A value for a message: in quotes, escaped, and not endless.
pub(super) fn quoted(value: &str) -> String {
    match value.char_indices().nth(QUOTED_CHARACTERS) {
        Some((cut, _)) => format!("{:?}", format!("{}…", &value[..cut])),
        None => format!("{value:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("a.toml", text)
    }

    #[test]
    fn nothing_from_the_file_reaches_the_terminal_as_a_command() {
        let value = "\u{1b}[2J\u{202e}x";
        let error =
            ConfigError::at(Code::BadValue, &(0..1), format!("bad value {} {value}", quoted(value))).hint(value);
        let text = Errors::new(source("\u{1b}[2J\u{202e}\u{7}"), vec![error]).to_string();
        assert!(!text.contains(|c| c != '\n' && is_unprintable(c)), "{text:?}");
    }

    #[test]
    fn errors_are_sorted_by_place_and_told_once() {
        let list = vec![
            ConfigError::of_file(Code::MissingKey, "no place"),
            ConfigError::at(Code::BadValue, &(4..5), "second"),
            ConfigError::at(Code::BadValue, &(0..1), "first"),
            ConfigError::at(Code::BadValue, &(4..5), "second"),
        ];
        let errors = Errors::new(source("a = 1"), list);
        let messages: Vec<&str> = errors.iter().map(|e| e.message.as_str()).collect();
        assert_eq!(messages, ["first", "second", "no place"]);
    }
}

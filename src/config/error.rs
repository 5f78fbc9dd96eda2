//! What is wrong with a config file, shown at its line.

use crate::code::Code;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

/// Columns of an excerpt's line at the most; a longer one is cut around the place it is shown for.
const EXCERPT_COLUMNS: usize = 110;

/// Fewer show nothing of use: on a terminal that is narrower still, lines break.
const LEAST_COLUMNS: usize = 20;

/// Columns kept before that place when a long line is cut.
const EXCERPT_LEAD: usize = 30;

/// Characters of a value repeated in a message; the excerpt shows the rest.
const QUOTED_CHARACTERS: usize = 70;

/// A config file's name and text. Kept beside the config, so that whatever is later found wrong with a
/// value (by the plan, by AWS) can be shown where the value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As the user wrote it: a path, or a made-up name in tests.
    pub name: String,
    pub text: String,
}

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

impl Source {
    /// Line and column of a byte, both from 1; columns count characters. A byte past the end is the end.
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let byte = self.boundary(byte);
        let before = &self.text[..byte];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }

    /// ` --> file:line:column` and the line with carets under the span, each line ended.
    pub fn excerpt(&self, span: &Range<usize>) -> String {
        self.excerpt_within(span, None)
    }

    /// The same, no wider than a terminal of so many columns.
    pub fn excerpt_within(&self, span: &Range<usize>, columns: Option<usize>) -> String {
        let start = self.boundary(span.start);
        let end = self.boundary(span.end).max(start);
        let (line, column) = self.position(start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let rest = &self.text[line_start..];
        let content = rest.split('\n').next().unwrap_or(rest).trim_end_matches('\r');

        // The span may go on over further lines, or stand at the end of its line: one caret at least.
        let before = column - 1;
        let marked = self.text[start..end].split(['\r', '\n']).next().unwrap_or("").chars().count().max(1);

        let gutter = line.to_string().len();
        let beside = gutter + " | ".len();
        let columns =
            columns.map_or(EXCERPT_COLUMNS, |all| all.saturating_sub(beside).clamp(LEAST_COLUMNS, EXCERPT_COLUMNS));

        let mut characters: Vec<char> = content.chars().map(harmless).collect();
        let mut lead = before;
        if characters.len() > columns {
            // What is marked is wanted whole, and fits anyway where the line is cut behind it.
            let lead_kept = EXCERPT_LEAD.min(columns / 3);
            let cut = if before + marked < columns { 0 } else { before.saturating_sub(lead_kept) };
            if cut > 0 {
                characters.drain(..cut.min(characters.len()));
                characters.insert(0, '…');
                lead = before - cut + 1;
            }
            if characters.len() > columns {
                characters.truncate(columns - 1);
                characters.push('…');
            }
        }
        let carets = marked.min(characters.len().saturating_sub(lead)).max(1);
        let content: String = characters.into_iter().collect();

        let name = shown(&self.name);
        let empty = " ".repeat(gutter);
        let (pad, carets) = (" ".repeat(lead), "^".repeat(carets));
        let content = content.trim_end();
        format!("{empty}--> {name}:{line}:{column}\n{empty} |\n{line} | {content}\n{empty} | {pad}{carets}\n")
    }

    /// The nearest character boundary at or before a byte.
    fn boundary(&self, byte: usize) -> usize {
        let mut byte = byte.min(self.text.len());
        while !self.text.is_char_boundary(byte) {
            byte -= 1;
        }
        byte
    }
}

/// One column wide, and no command to the terminal: a config may come from anybody's pull request.
fn harmless(c: char) -> char {
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
    use expect_test::expect;

    fn source(text: &str) -> Source {
        Source { name: "a.toml".into(), text: text.into() }
    }

    #[test]
    fn columns_count_characters_and_lines_may_end_either_way() {
        let source = source("a = 1\r\nüb = \"x\"\r\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(7), (2, 1));
        // Inside `ü`, then behind it.
        assert_eq!(source.position(8), (2, 1));
        assert_eq!(source.position(9), (2, 2));
        assert_eq!(source.position(usize::MAX), (3, 1));
    }

    #[test]
    fn carets_stay_under_a_long_line_and_on_one_line() {
        let long = source(&format!("key = \"{}\", other = 1", "x".repeat(200)));
        expect![[r#"
             --> a.toml:1:211
              |
            1 | …xxxxxxxxxxxxxxxxxxxxxxxxxxx", other = 1
              |                                ^^^^^
        "#]]
        .assert_eq(&long.excerpt(&(210..215)));
        let lines = source("a = [\n  1,\n]\n");
        expect![[r#"
             --> a.toml:1:5
              |
            1 | a = [
              |     ^
        "#]]
        .assert_eq(&lines.excerpt(&(4..12)));
    }

    #[test]
    fn an_excerpt_fits_the_terminal() {
        let line = format!("key = \"{}\", other = 1", "x".repeat(200));
        let file = source(&line);
        for columns in [0, 1, 24, 40, 80, 200] {
            for start in [0, 30, 100, 210] {
                for length in [1, 5, 300] {
                    let excerpt = file.excerpt_within(&(start..start + length), Some(columns));
                    let lines: Vec<_> = excerpt.lines().skip(1).map(|line| line.chars().count()).collect();
                    assert!(lines.iter().all(|length| *length <= columns.max(24)), "{columns}\n{excerpt}");
                    assert!(excerpt.contains('^'));
                }
            }
        }
        expect![[r#"
             --> a.toml:1:211
              |
            1 | …xxxxxxxxx", other = 1
              |              ^^^^^
        "#]]
        .assert_eq(&file.excerpt_within(&(210..215), Some(40)));
    }

    #[test]
    fn a_span_that_fits_no_text_is_still_shown() {
        for text in ["", "\n", "ü", "a = 1"] {
            let source = source(text);
            for (start, end) in [(0, 0), (0, 99), (1, 2), (7, 3), (usize::MAX, usize::MAX)] {
                assert!(source.excerpt(&(start..end)).contains('^'));
            }
        }
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

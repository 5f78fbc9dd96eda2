//! The texts that a config is read from, and where a byte of them stands.

use super::error::{harmless, shown};
use std::collections::BTreeMap;
use std::ops::Range;

/// Columns of an excerpt's line at the most; a longer one is cut around the place it is shown for.
const EXCERPT_COLUMNS: usize = 110;

/// Fewer show nothing of use: on a terminal that is narrower still, lines break.
const LEAST_COLUMNS: usize = 20;

/// Columns kept before that place when a long line is cut.
const EXCERPT_LEAD: usize = 30;

/// What a config was read from: the named file, the files that it extends, and the variables of the environment that
/// they use. Kept beside the config, so that whatever is later found wrong with a value (by the plan, by AWS) can be
/// shown where the value stands, and so that the same config can be read again without any of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As the user wrote it: a path, or a made-up name in tests.
    pub name: String,
    /// All texts, the named file's first, each followed by the one that it extends. What is read has its place in this
    /// whole.
    pub(super) text: String,
    /// In the order of their texts.
    pub(super) bases: Vec<Base>,
    /// Values of the variables that are used, by name.
    pub(super) variables: BTreeMap<String, String>,
}

/// A file that another one extends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    /// Its path, as the named file's path and the keys `extends` give it.
    pub name: String,
    /// The first byte of its text.
    pub start: usize,
}

/// One file of a [`Source`].
#[derive(Debug, Clone, Copy)]
pub(super) struct File<'s> {
    pub name: &'s str,
    /// The first byte of its text in the whole.
    pub start: usize,
    pub text: &'s str,
    /// It is not the one that was named.
    pub is_base: bool,
}

/// A line of a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'s> {
    /// The file it is in, unless that is the one that was named.
    pub base: Option<&'s str>,
    /// From 1.
    pub number: usize,
    pub text: &'s str,
}

/// Between two texts. A byte at the end of one must not be the first of the next.
const BETWEEN: char = '\n';

impl Source {
    /// A file by itself.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), bases: Vec::new(), variables: BTreeMap::new() }
    }

    /// Of all the files, in their order, and the values of their variables: what [`Self::files`] and [`Self::variables`] tell.
    pub fn of<'f>(mut files: impl Iterator<Item = (&'f str, &'f str)>, variables: &BTreeMap<String, String>) -> Self {
        let (name, text) = files.next().unwrap_or_default();
        let source = files.fold(Self::new(name, text), |source, (name, text)| source.extending(name, text));
        Self { variables: variables.clone(), ..source }
    }

    /// The same, its last file extending one more.
    #[must_use]
    pub fn extending(mut self, name: impl Into<String>, text: &str) -> Self {
        self.text.push(BETWEEN);
        self.bases.push(Base { name: name.into(), start: self.text.len() });
        self.text.push_str(text);
        self
    }

    /// The same, with the value of a variable.
    #[must_use]
    pub fn knowing(mut self, variable: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(variable.into(), value.into());
        self
    }

    /// Name and text of each file: the named one's, then those that it extends.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.each().map(|file| (file.name, file.text))
    }

    /// The variables that are used, with their values.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    pub(super) fn each(&self) -> impl Iterator<Item = File<'_>> {
        (0..=self.bases.len()).map(|number| self.file(number))
    }

    /// 0 is the named one.
    fn file(&self, number: usize) -> File<'_> {
        let base = number.checked_sub(1).and_then(|before| self.bases.get(before));
        let start = base.map_or(0, |base| base.start);
        let end = self.bases.get(number).map_or(self.text.len(), |next| next.start - BETWEEN.len_utf8());
        File {
            name: base.map_or(self.name.as_str(), |base| base.name.as_str()),
            start,
            text: &self.text[start..end],
            is_base: base.is_some(),
        }
    }

    /// The file in which a byte stands.
    fn file_of(&self, byte: usize) -> File<'_> {
        self.file(self.bases.iter().take_while(|base| base.start <= byte).count())
    }

    /// The line in which a byte stands.
    pub fn line(&self, byte: usize) -> Line<'_> {
        let file = self.file_of(byte);
        let (number, _) = self.position(byte);
        let text = file.text.lines().nth(number - 1).unwrap_or_default();
        Line { base: file.is_base.then_some(file.name), number, text }
    }

    /// Line and column of a byte in its file, both from 1; columns count characters. A byte past the end is the end.
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let file = self.file_of(byte);
        let before = &file.text[..file.boundary(byte)];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }

    /// ` --> file:line:column` and the line with carets under the span, each line ended.
    pub fn excerpt(&self, span: &Range<usize>) -> String {
        self.excerpt_within(span, None)
    }

    /// The same, no wider than a terminal of so many columns.
    pub fn excerpt_within(&self, span: &Range<usize>, columns: Option<usize>) -> String {
        let file = self.file_of(span.start);
        let start = file.boundary(span.start);
        let end = file.boundary(span.end).max(start);
        let (line, column) = self.position(span.start);
        let line_start = file.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let rest = &file.text[line_start..];
        let content = rest.split('\n').next().unwrap_or(rest).trim_end_matches('\r');

        // The span may go on over further lines, or stand at the end of its line: one caret at least.
        let before = column - 1;
        let marked = file.text[start..end].split(['\r', '\n']).next().unwrap_or("").chars().count().max(1);

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

        let name = shown(file.name);
        let empty = " ".repeat(gutter);
        let (pad, carets) = (" ".repeat(lead), "^".repeat(carets));
        let content = content.trim_end();
        format!("{empty}--> {name}:{line}:{column}\n{empty} |\n{line} | {content}\n{empty} | {pad}{carets}\n")
    }
}

impl File<'_> {
    /// The nearest character boundary of its text at or before a byte of the whole.
    fn boundary(&self, byte: usize) -> usize {
        let mut byte = byte.saturating_sub(self.start).min(self.text.len());
        while !self.text.is_char_boundary(byte) {
            byte -= 1;
        }
        byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn source(text: &str) -> Source {
        Source::new("a.toml", text)
    }

    #[test]
    fn a_byte_stands_in_one_of_the_files() {
        let source = source("a = 1").extending("b.toml", "").extending("c.toml", "\nc = 3");
        let line = |byte| {
            let Line { base, number, text } = source.line(byte);
            (base, number, text)
        };
        assert_eq!(line(4), (None, 1, "a = 1"));
        // The end of the first, of the second, which is empty, and the first line of the third.
        assert_eq!(line(5), (None, 1, "a = 1"));
        assert_eq!(line(6), (Some("b.toml"), 1, ""));
        assert_eq!(line(7), (Some("c.toml"), 1, ""));
        assert_eq!(line(8), (Some("c.toml"), 2, "c = 3"));
        assert_eq!(line(usize::MAX), (Some("c.toml"), 2, "c = 3"));
        assert_eq!(source.position(12), (2, 5));
        assert!(source.excerpt(&(12..13)).starts_with(" --> c.toml:2:5\n"));
        let files: Vec<_> = source.files().collect();
        assert_eq!(files, [("a.toml", "a = 1"), ("b.toml", ""), ("c.toml", "\nc = 3")]);
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
}

//! Where each key of a config stands, for whoever wants to know what a thing comes from.

use super::error::shown;
use super::overlay;
use super::source::{Line, Source};
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// One key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// From the file's top: `database.class`, `user[0].login`.
    pub path: String,
    /// The file it is in, unless that is the one that was named.
    pub file: Option<String>,
    /// From 1.
    pub line: usize,
    /// The line, without what a terminal would obey.
    pub text: String,
}

/// All keys of a config that was read, in its order, those of the files it extends after its own; of a table in braces
/// the whole, and each of those of a list. What a file says over another's is there once.
pub fn keys(source: &Source) -> Vec<Key> {
    let Ok(document) = overlay::merged(source) else { return Vec::new() };
    let mut all = Vec::new();
    table(source, &document, "", &mut all);
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, key)| key).collect()
}

fn table(source: &Source, table: &DeTable<'_>, above: &str, all: &mut Vec<(usize, Key)>) {
    for (name, value) in table {
        let path = format!("{above}{}", name.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) if !is_inline(source, &value.span(), inner) => {
                self::table(source, inner, &format!("{path}."), all);
            }
            DeValue::Array(items) => {
                let mut inline = true;
                for (number, item) in items.iter().enumerate() {
                    let DeValue::Table(inner) = item.get_ref() else { continue };
                    let path = format!("{path}[{number}]");
                    if is_inline(source, &item.span(), inner) {
                        all.push(key(source, path, item.span().start));
                    } else {
                        inline = false;
                        self::table(source, inner, &format!("{path}."), all);
                    }
                }
                if inline {
                    all.push(key(source, path, name.span().start));
                }
            }
            _ => all.push(key(source, path, name.span().start)),
        }
    }
}

/// Whether a table stands in braces, and not below a header of its own, or in parts in several files.
fn is_inline(source: &Source, span: &Range<usize>, table: &DeTable<'_>) -> bool {
    let within = |key: Range<usize>| span.start <= key.start && key.end <= span.end;
    source.text.get(span.clone()).is_some_and(|text| text.starts_with('{'))
        && table.keys().all(|key| within(key.span()))
}

/// The key at a byte.
fn key(source: &Source, path: String, at: usize) -> (usize, Key) {
    let Line { base, number, text } = source.line(at);
    (at, Key { path, file: base.map(shown), line: number, text: shown(text.trim()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn each_with_its_line() {
        let text = "a = 1 # one\nb.c = 2\n[t]\nx = { y = 1 }\nl = [\n  { z = 1 },\n  { z = 2 },\n]\n[[u]]\nn = \"\u{85}\"\n[[u]]\nn = 2\n[t.s]\nq = [1, 2]\n";
        let source = Source::new("a.toml", text);
        let told: String =
            keys(&source).iter().map(|key| format!("{}: {}: {}\n", key.line, key.path, key.text)).collect();
        expect![[r#"
            1: a: a = 1 # one
            2: b.c: b.c = 2
            4: t.x: x = { y = 1 }
            5: t.l: l = [
            6: t.l[0]: { z = 1 },
            7: t.l[1]: { z = 2 },
            10: u[0].n: n = "�"
            12: u[1].n: n = 2
            14: t.s.q: q = [1, 2]
        "#]]
        .assert_eq(&told);
    }
}

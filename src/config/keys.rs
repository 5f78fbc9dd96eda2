//! Where each key of a config stands, for whoever wants to know what a thing comes from.

use super::Source;
use super::error::shown;
use toml::de::{DeTable, DeValue};

/// One key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// From the file's top: `database.class`, `user[0].login`.
    pub path: String,
    /// From 1.
    pub line: usize,
    /// The line, without what a terminal would obey.
    pub text: String,
}

/// All keys of a file that is TOML, in its order; of a table in braces the whole, and each of those of a list.
pub fn keys(source: &Source) -> Vec<Key> {
    let (document, _) = DeTable::parse_recoverable(&source.text);
    let mut all = Vec::new();
    table(source, document.get_ref(), "", &mut all);
    all.sort_by_key(|key| key.line);
    all
}

fn table(source: &Source, table: &DeTable<'_>, above: &str, all: &mut Vec<Key>) {
    for (name, value) in table {
        let path = format!("{above}{}", name.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) if !is_inline(source, &value.span()) => {
                self::table(source, inner, &format!("{path}."), all);
            }
            DeValue::Array(items) => {
                let mut inline = true;
                for (number, item) in items.iter().enumerate() {
                    let DeValue::Table(inner) = item.get_ref() else { continue };
                    let path = format!("{path}[{number}]");
                    if is_inline(source, &item.span()) {
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

/// Whether a table stands in braces, and not below a header of its own.
fn is_inline(source: &Source, span: &std::ops::Range<usize>) -> bool {
    source.text.get(span.clone()).is_some_and(|text| text.starts_with('{'))
}

fn key(source: &Source, path: String, at: usize) -> Key {
    let (line, _) = source.position(at);
    let text = source.text.lines().nth(line - 1).unwrap_or_default().trim();
    Key { path, line, text: shown(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn each_with_its_line() {
        let text = "a = 1 # one\nb.c = 2\n[t]\nx = { y = 1 }\nl = [\n  { z = 1 },\n  { z = 2 },\n]\n[[u]]\nn = \"\u{1b}\"\n[[u]]\nn = 2\n[t.s]\nq = [1, 2]\n";
        let source = Source { name: "a.toml".to_owned(), text: text.to_owned() };
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

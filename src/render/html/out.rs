//! HTML that is being written. What is ours is a literal; all else is escaped, since there is no other way in.

use std::fmt::{self, Write};

pub(super) struct Out(String);

impl Out {
    pub fn new() -> Self {
        Self(String::with_capacity(64 << 10))
    }

    /// Markup of ours: a literal, so that no name can come in here.
    pub fn raw(&mut self, html: &'static str) -> &mut Self {
        self.0.push_str(html);
        self
    }

    /// Text, between tags or within a quoted attribute.
    pub fn text(&mut self, text: impl fmt::Display) -> &mut Self {
        // Writing to a String cannot fail.
        let _ = write!(Escaped(&mut self.0), "{text}");
        self
    }

    /// A name, a command, or what else is to be read letter by letter.
    pub fn code(&mut self, text: impl fmt::Display) -> &mut Self {
        self.raw("<code>").text(text).raw("</code>")
    }

    /// Text in a span of that class.
    pub fn span(&mut self, class: &'static str, text: impl fmt::Display) -> &mut Self {
        self.raw("<span class=\"").raw(class).raw("\">").text(text).raw("</span>")
    }

    /// A moment, to the minute; what is none as it stands.
    pub fn moment(&mut self, rfc3339: &str) -> &mut Self {
        let shown = rfc3339
            .parse::<jiff::Timestamp>()
            .map_or_else(|_| rfc3339.to_owned(), |at| at.strftime("%Y-%m-%d %H:%M").to_string());
        self.raw("<time datetime=\"").text(rfc3339).raw("\">").text(shown).raw("</time>")
    }

    pub fn end(self) -> String {
        self.0
    }
}

struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(c),
                // HTML has no way to write them, and a page with one of them is none.
                c if c.is_control() => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// A number with its thousands apart.
pub(super) struct Grouped(pub usize);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_char(',')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

/// Such as `1 change` and `2 changes`.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", Grouped(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let mut out = Out::new();
        out.raw("<p>").text("<b>\"'&\u{0}\u{1b}\n").raw("</p>");
        assert_eq!(out.end(), "<p>&lt;b&gt;&quot;&#39;&amp;\u{fffd}\u{fffd}\n</p>");
    }

    #[test]
    fn numbers_are_grouped() {
        let shown = [0, 12, 999, 1_000, 1_234_567].map(|number| Grouped(number).to_string());
        assert_eq!(shown, ["0", "12", "999", "1,000", "1,234,567"]);
    }
}

//! Commands of pgrotate's own that a text tells somebody to run, such that they can be pasted. The pure half, which makes
//! most of those texts, does not know how the config file was named: it writes [`FILE`] in its place, and whoever shows
//! the text puts the name there.

use std::fmt;
use std::path::Path;

/// Stands for the config file in the text of a command. No text holds it otherwise: it is none of Unicode's characters,
/// and kept for a program's own use (unicode.org/faq/private_use.html, "Noncharacters").
pub const FILE: char = '\u{FDD0}';

/// A config file, as a shell takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File(String);

impl File {
    pub fn of(path: &Path) -> Self {
        let name = path.display().to_string();
        // An argument that begins so would be taken for a flag.
        Self(if name.starts_with('-') { word(&format!("./{name}")) } else { word(&name) })
    }

    /// A text with the file's name in all its commands.
    pub fn fill(&self, text: &str) -> String {
        text.replace(FILE, &self.0)
    }

    /// The same in place.
    pub fn fill_in(&self, text: &mut String) {
        if text.contains(FILE) {
            *text = self.fill(text);
        }
    }
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One word of a POSIX shell's, in quotes where it needs them.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_of_a_shell() {
        for (name, shown) in [
            ("shop.toml", "shop.toml"),
            ("configs/eu-north-1/büro.toml", "configs/eu-north-1/büro.toml"),
            ("my shop.toml", "'my shop.toml'"),
            ("it's.toml", r"'it'\''s.toml'"),
            ("$(reboot).toml", "'$(reboot).toml'"),
            ("a\nb", "'a\nb'"),
            ("~/shop.toml", "'~/shop.toml'"),
            ("-x.toml", "./-x.toml"),
            ("", "''"),
        ] {
            let file = File::of(Path::new(name));
            assert_eq!(file.to_string(), shown);
            assert_eq!(
                file.fill(&format!("pgrotate recover {FILE} app, then apply {FILE}; FILE")),
                format!("pgrotate recover {shown} app, then apply {shown}; FILE")
            );
        }
    }
}

//! Reading a config: the named file, the files that it extends, the variables that they use; and from all of that, which
//! is kept, the config.

use super::error::{ConfigError, Errors, quoted};
use super::read::{Problems, kind_of};
use super::source::{Base, Source};
use super::{Config, overlay, tables, variables};
use crate::code::{Code, REPORT_IT};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// No config is longer: 1 MiB holds some ten thousand logins. A path can name anything, also what has no end.
const LONGEST: u64 = 1 << 20;

/// Syntax errors told at most: of a file that is not TOML at all, every line is one.
pub(super) const SYNTAX_ERRORS: usize = 20;

/// The key by which a file names the one that it changes.
pub(super) const EXTENDS: &str = "extends";

/// What a config is read from beside its own text.
pub trait Outside {
    /// A file that another one extends.
    fn file(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The path by which a file is recognised, whichever way leads to it.
    fn same(&self, path: &Path) -> PathBuf;
    /// A variable of the environment; None where it is not set, or is no text.
    fn variable(&self, name: &str) -> Option<String>;
}

/// This machine's files, and the environment of this process.
#[derive(Debug, Clone, Copy)]
pub struct Machine;

impl Outside for Machine {
    fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        bytes(path)
    }

    fn same(&self, path: &Path) -> PathBuf {
        path.canonicalize().unwrap_or_else(|_| path.to_owned())
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// No file, and no variable: of a text by itself.
struct Nothing;

impl Outside for Nothing {
    fn file(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::Error::new(io::ErrorKind::NotFound, "there is no file beside this text"))
    }

    fn same(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

/// Of a file that may be no file, or have no end.
pub(super) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 MiB"));
    }
    Ok(bytes)
}

/// Reads a file, and those that it extends. The source comes with the config, so that what is found wrong later can be
/// shown in it.
pub fn load(path: &Path) -> Result<(Config, Source), Errors> {
    let name = path.display().to_string();
    let of_file = |error: ConfigError| Errors::new(Source::new(name.clone(), ""), vec![error]);
    let bytes = bytes(path).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "check the path; a first config is written by: pgrotate init",
            io::ErrorKind::IsADirectory => "name a file in it",
            _ => unread_hint(&error),
        };
        of_file(ConfigError::of_file(Code::ConfigUnreadable, format!("the config cannot be read: {error}")).hint(hint))
    })?;
    let (text, bad) = decoded(bytes);
    if let Some(good) = bad {
        return Err(Errors::new(Source::new(name, text), vec![not_utf8(good)]));
    }
    load_text(path, &text, &Machine)
}

/// The same of a text, as if it stood in the file `path`.
pub fn load_text(path: &Path, text: &str, outside: &dyn Outside) -> Result<(Config, Source), Errors> {
    let (mut source, broken) = gathered(path, text, outside);
    if !broken.is_empty() {
        return Err(Errors::new(source, broken));
    }
    let mut used = Vec::new();
    match overlay::merged(&source) {
        Ok(document) => variables::used(&document, &mut used),
        Err(errors) => return Err(Errors::new(source, errors)),
    }
    for name in used {
        if let Some(value) = outside.variable(&name) {
            source.variables.insert(name, value);
        }
    }
    let config = read(&source)?;
    Ok((config, source))
}

/// Reads a text that extends no file and uses no variable; `name` is shown as its file.
pub fn parse(name: &str, text: &str) -> Result<Config, Errors> {
    load_text(Path::new(name), text, &Nothing).map(|(config, _)| config)
}

/// Reads again what was once loaded: nothing outside of it is looked at.
pub fn read(source: &Source) -> Result<Config, Errors> {
    let errors = |list| Errors::new(source.clone(), list);
    let mut document = overlay::merged(source).map_err(errors)?;
    let problems = Problems::new(&source.text);
    variables::replace(&problems, &mut document, &source.variables);
    let config = tables::config(&problems, &document);
    let list = problems.finish();
    match config {
        Some(config) if list.is_empty() => Ok(config),
        _ if list.is_empty() => {
            // Each None has its error, so this is not reached; were it, it must not pass for a good file.
            let error =
                ConfigError::of_file(Code::Internal, "the config could not be read, and pgrotate cannot say why");
            Err(errors(vec![error.hint(REPORT_IT)]))
        }
        _ => Err(errors(list)),
    }
}

/// Paths of the files that the config extends, as far as they can be told: for whoever is not to write over one.
pub fn extended(path: &Path) -> Vec<PathBuf> {
    // A pipe can be read only once.
    if !std::fs::metadata(path).is_ok_and(|found| found.is_file()) {
        return Vec::new();
    }
    let Ok(bytes) = bytes(path) else { return Vec::new() };
    let (source, _) = gathered(path, &decoded(bytes).0, &Machine);
    source.bases.iter().map(|base| PathBuf::from(&base.name)).collect()
}

/// The text and those that it extends, one after another; and what is wrong with any of them as a file.
fn gathered(path: &Path, text: &str, outside: &dyn Outside) -> (Source, Vec<ConfigError>) {
    let mut source = Source::new(path.display().to_string(), text);
    let (mut broken, mut at) = (Vec::new(), path.to_owned());
    let mut seen = vec![outside.same(path)];
    loop {
        let start = source.bases.last().map_or(0, |base| base.start);
        let text = source.text[start..].to_owned();
        let (document, syntax) = DeTable::parse_recoverable(&text);
        broken.extend(syntax_errors(&text, start, &syntax));
        let Some(extends) = document.get_ref().get(EXTENDS) else { break };
        let span = shifted(&extends.span(), start);
        let next = match named(extends.get_ref(), &span, &mut source, outside) {
            Ok(next) => at.parent().unwrap_or(Path::new("")).join(next),
            Err(error) => {
                broken.push(error);
                break;
            }
        };
        let id = outside.same(&next);
        if seen.contains(&id) {
            let message = format!("{} is extended in a circle", quoted(&next.display().to_string()));
            let hint = "let one of the files extend nothing: it is what the others change";
            broken.push(ConfigError::at(Code::BadValue, &span, message).hint(hint));
            break;
        }
        let bytes = match outside.file(&next) {
            Ok(bytes) => bytes,
            Err(error) => {
                let message = format!("{} cannot be read: {error}", quoted(&next.display().to_string()));
                let hint = match error.kind() {
                    io::ErrorKind::NotFound => "check the path: it begins at the folder of the file that it stands in",
                    _ => unread_hint(&error),
                };
                broken.push(ConfigError::at(Code::ConfigUnreadable, &span, message).hint(hint));
                break;
            }
        };
        let (text, bad) = decoded(bytes);
        source = source.extending(next.display().to_string(), &text);
        if let (Some(good), Some(Base { start, .. })) = (bad, source.bases.last()) {
            broken.push(not_utf8(start + good));
            break;
        }
        seen.push(id);
        at = next;
    }
    (source, broken)
}

/// The file that a value of `extends` names.
fn named(
    value: &DeValue<'_>,
    span: &Range<usize>,
    source: &mut Source,
    outside: &dyn Outside,
) -> Result<String, ConfigError> {
    let hint = "write: extends = \"base.toml\"";
    let DeValue::String(written) = value else {
        let message = format!("`{EXTENDS}` must be a string, not {}", kind_of(value));
        return Err(ConfigError::at(Code::WrongType, span, message).hint(hint));
    };
    let mut used = Vec::new();
    variables::names(written, &mut used);
    for name in used {
        if let Some(value) = outside.variable(&name) {
            source.variables.insert(name, value);
        }
    }
    let name = variables::replaced(written, &source.variables).map_err(|fault| fault.at(span))?;
    // Whoever may change a config in a pull request must not have another file of the machine shown in an error.
    if Path::new(&name).extension().is_none_or(|ending| ending != "toml") {
        let message = format!("{} does not end with .toml, and only such files are extended", quoted(&name));
        return Err(ConfigError::at(Code::BadValue, span, message).hint(hint));
    }
    Ok(name)
}

fn unread_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::FileTooLarge => "check the path: a config of a thousand logins has a tenth of that",
        _ => "check that it is a file that you may read",
    }
}

/// The text; and where it is none, the first byte that is not UTF-8.
fn decoded(bytes: Vec<u8>) -> (String, Option<usize>) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            // What comes before the first bad byte is unchanged by this, so its position stays true.
            (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(good))
        }
    }
}

fn not_utf8(byte: usize) -> ConfigError {
    ConfigError::at(Code::NotUtf8, &(byte..byte), "this byte is not UTF-8").hint("save the file as UTF-8")
}

fn shifted(span: &Range<usize>, by: usize) -> Range<usize> {
    span.start + by..span.end + by
}

/// One error for each line: what follows the first on a line is the parser finding its way back. What could be read around
/// them is guesswork: telling its missing keys would mislead.
pub(super) fn syntax_errors(text: &str, start: usize, found: &[toml::de::Error]) -> Vec<ConfigError> {
    let mut lines = Vec::new();
    let mut list = Vec::new();
    for error in found {
        let span = error.span().unwrap_or(text.len()..text.len());
        if lines.len() == SYNTAX_ERRORS {
            break;
        }
        let line = text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count();
        if !lines.contains(&line) {
            lines.push(line);
            let message = format!("this is not TOML: {}", error.message());
            let hint = syntax_hint(error.message());
            list.push(ConfigError::at(Code::TomlSyntax, &shifted(&span, start), message).hint(hint));
        }
    }
    list
}

/// The parser's messages are for reading only: an unknown one gets the general hint.
fn syntax_hint(message: &str) -> &'static str {
    match message {
        "duplicate key" => "keep one of the two; a further user is a further [[user]] table",
        _ => "a line is key = value, strings stand in double quotes, a table starts with [name]",
    }
}

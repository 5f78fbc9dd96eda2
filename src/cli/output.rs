//! Standard output that may be closed by whoever reads it.

use super::CliError;
use crate::render::paint::paint;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Columns of the terminal that errors go to; None where they go elsewhere and nobody says. COLUMNS goes before
/// what the terminal itself says, as in other tools.
pub fn columns() -> Option<usize> {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
    said.or_else(|| terminal_size::terminal_size_of(std::io::stderr()).map(|(width, _)| usize::from(width.0)))
}

/// A path as an argument that a shell takes as one word, and no command takes for a flag.
pub fn for_shell(path: &Path) -> String {
    let text = path.display().to_string();
    let text = if text.starts_with('-') { format!("./{text}") } else { text };
    shell_words::quote(&text).into_owned()
}

/// Prints, and takes a closed pipe for "enough": `pgrotate plan … | head` is not an error.
pub fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints what is for people: in colour where standard output is a terminal that has any. NO_COLOR, CLICOLOR, CLICOLOR_FORCE
/// and TERM=dumb are heeded.
pub fn print_human(text: &str) -> Result<(), CliError> {
    let text = harmless(text);
    if console::colors_enabled() { print(&paint(&text)) } else { print(&text) }
}

/// The same for standard error, where nobody is left to tell when it is closed.
pub fn print_error(text: &str) {
    let mut err = std::io::stderr().lock();
    let text = harmless(text);
    let _ = if console::colors_enabled_stderr() { write!(err, "{}", paint(&text)) } else { write!(err, "{text}") };
}

/// What is told holds names that nobody has checked, files' among them: none of them commands the terminal.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !['\n', '\t'].contains(&c) { '\u{fffd}' } else { c }).collect()
}

/// What came of writing to standard output.
pub fn written(result: std::io::Result<()>) -> Result<(), CliError> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::Io { doing: "write to standard output", source: error })
        }
        _ => Ok(()),
    }
}

/// Prints a document as JSON.
pub fn print_json(document: &impl serde::Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|error| CliError::Io { doing: "write JSON", source: std::io::Error::other(error) })?;
    print(&format!("{text}\n"))
}

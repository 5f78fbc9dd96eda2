//! Standard output that may be closed by whoever reads it.

use super::CliError;
use std::io::{ErrorKind, Write};

/// Prints, and takes a closed pipe for "enough": `pgrotate plan … | head` is not an error.
pub fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
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

//! A run as text: the exit code, what went to standard output, what to standard error.

use expect_test::expect_file;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The binary with nothing in its environment, and an empty HOME, so that nothing of the caller's leaks in.
pub fn bare(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgrotate"));
    command.args(arguments).env_clear().env("HOME", folder).current_dir(folder).stdin(Stdio::null());
    // Asking a machine that is no EC2 instance for its role takes seconds.
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// Compares a run with `golden/NAME.txt`, after each of `same` (what, shown as) has been replaced.
/// UPDATE_EXPECT=1 rewrites it.
pub fn check(done: &Output, same: &[(&str, &str)], name: &str) {
    let text = |bytes: &[u8]| {
        let mut text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        for (what, shown_as) in same {
            text = text.replace(what, shown_as);
        }
        text
    };
    let code = done.status.code().map_or("none: a signal".to_owned(), |code| code.to_string());
    let (stdout, stderr) = (text(&done.stdout), text(&done.stderr));
    let mut shown = format!("exit code {code}\n");
    for (name, text) in [("stdout", stdout), ("stderr", stderr)] {
        if !text.is_empty() {
            shown.push_str(&format!("--- {name}\n{text}"));
        }
    }
    expect_file![format!("golden/{name}.txt")].assert_eq(&shown);
}

/// A golden file that no test reads any more tells nothing.
#[test]
fn no_golden_file_is_left_over() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli");
    let files = |folder: &str, ending: &str| -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
    };
    let sources: String = files(folder, "rs").iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for path in files(&format!("{folder}/golden"), "txt") {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let read = sources.contains(&format!("\"{name}\"")) || sources.contains(&format!("\"golden/{name}.txt\""));
        assert!(read, "no test reads {}", path.display());
    }
}

//! Bad surroundings: a reader that leaves, a full disk, a narrow terminal, no HOME, a folder that takes nothing, a
//! file that is no config. Told in one error, or not at all; never a panic.

use crate::snapshot::{bare, check};
use crate::support::{ARTICLE, Account, path};
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn folder_with(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("deployment.toml"), text).unwrap();
    folder
}

fn bad_article() -> String {
    ARTICLE.replace("identifier = ", "identifer = ").replace("203.0.113.7/32", "203.0.113.7/33")
}

fn validate(folder: &Path) -> Command {
    bare(folder, &["validate", "deployment.toml"])
}

/// A clean end, and nothing said of it.
fn is_quiet(done: &Output, code: i32, what: &str) {
    assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(code), ""), "{what}");
}

/// `pgrotate graph FILE | head -1`, and the same of what else prints much.
#[test]
fn a_reader_that_leaves_after_a_line() {
    let account = Account::new();
    let config = account.config(ARTICLE);
    for (arguments, code) in [
        (&["graph"][..], 0),
        (&["graph", "--format", "mermaid"], 0),
        (&["plan"], 0),
        (&["drift"], 2),
        (&["drift", "--format", "json"], 2),
        (&["status"], 2),
    ] {
        let mut command = account.command(&[arguments, &[path(&config)]].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.len() > 1, "{arguments:?}");
        is_quiet(&child.wait_with_output().unwrap(), code, &format!("{arguments:?}"));
    }
}

/// Nobody reads either of the two: the exit code still tells.
#[test]
fn nobody_reads_anything() {
    let folder = folder_with(&bad_article());
    for (arguments, code) in [(&["validate", "deployment.toml"][..], 1), (&["no-such-command"], 1), (&["--help"], 0)] {
        let mut child = bare(folder.path(), arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait().unwrap().code(), Some(code), "{arguments:?}");
        // Closed from the start, as some supervisors and cron jobs have it.
        let line = format!("exec \"$0\" {} <&- >&- 2>&-", arguments.join(" "));
        let mut shell = Command::new("sh");
        shell.args(["-c", &line, env!("CARGO_BIN_EXE_pgrotate")]).current_dir(folder.path());
        assert_eq!(shell.status().unwrap().code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_full_disk() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let folder = folder_with(ARTICLE);
    for arguments in [&["validate", "deployment.toml"][..], &["--help"], &["--version"]] {
        check(&bare(folder.path(), arguments).stdout(full()).output().unwrap(), &[], "a-full-disk");
    }
    let account = Account::new();
    let config = account.config(ARTICLE);
    for command in ["plan", "drift", "status"] {
        let mut command = account.command(&[command, "--format", "json", path(&config)]);
        check(&command.stdout(full()).output().unwrap(), &[], "a-full-disk");
    }
    // Where the error itself has no room, the exit code is left.
    let done = validate(folder.path()).stdout(full()).stderr(full()).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
}

/// Excerpts are cut to the terminal, so that the carets stay where they point; running text is the terminal's.
#[test]
fn forty_columns() {
    let long = bad_article().replace(
        "allow = [{",
        "allow = [{ cidr = \"198.51.100.0/24\", description = \"a second office, with a long name\" }, {",
    );
    let folder = folder_with(&long);
    check(&validate(folder.path()).env("COLUMNS", "40").output().unwrap(), &[], "forty-columns");
    let help = bare(folder.path(), &["plan", "--help"]).env("COLUMNS", "40").output().unwrap();
    assert!(help.status.success() && help.stderr.is_empty());
    for columns in ["0", "1", "7", "-1", "", "wide", "65536", "99999999999999999999"] {
        let done = validate(folder.path()).env("COLUMNS", columns).output().unwrap();
        let told = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{columns}");
        assert_eq!(told.matches("error[").count(), 2, "{columns}\n{told}");
        assert!(!told.contains("panic"), "{told}");
        assert!(
            bare(folder.path(), &["--help"]).env("COLUMNS", columns).output().unwrap().status.success(),
            "{columns}"
        );
    }
}

/// Neither is HOME needed, nor is a wrong one in the way; AWS's own files are looked for in it, and that is all.
#[test]
fn no_home() {
    let folder = folder_with(ARTICLE);
    for home in [None, Some("/nowhere/at/all"), Some(""), Some("/dev/null")] {
        let with_home = |mut command: Command| {
            match home {
                Some(home) => command.env("HOME", home),
                None => command.env_remove("HOME"),
            };
            command.output().unwrap()
        };
        let done = with_home(validate(folder.path()));
        is_quiet(&done, 0, &format!("{home:?}"));
        let done = with_home(bare(folder.path(), &["plan", "deployment.toml"]));
        check(&done, &[("deployment.toml", "article.toml")], "no-credentials");
    }
    let account = Account::new();
    let config = account.config(ARTICLE);
    for home in [None, Some("/nowhere/at/all")] {
        let mut command = account.command(&["plan", path(&config)]);
        match home {
            Some(home) => command.env("HOME", home),
            None => command.env_remove("HOME"),
        };
        is_quiet(&command.output().unwrap(), 0, &format!("{home:?}"));
    }
}

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Nothing is written anywhere, so nothing need be writable.
#[test]
fn a_folder_that_takes_nothing() {
    let account = Account::new();
    let folder = folder_with(ARTICLE);
    fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
    for (arguments, code) in [
        (&["validate", "deployment.toml"][..], 0),
        (&["plan", "deployment.toml"], 0),
        (&["drift", "deployment.toml"], 2),
        (&["graph", "deployment.toml"], 0),
    ] {
        let done = account.command(arguments).current_dir(folder.path()).env("HOME", folder.path()).output().unwrap();
        is_quiet(&done, code, &format!("{arguments:?}"));
    }
    // Root may write where permissions forbid it: what is there tells.
    assert_eq!(entries(folder.path()), ["deployment.toml"]);
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    // A file system that nobody writes to.
    let config = folder.path().join("deployment.toml");
    is_quiet(&account.command(&["plan", path(&config)]).current_dir("/proc/self").output().unwrap(), 0, "/proc");
}

#[test]
fn a_folder_that_is_gone() {
    let folder = folder_with(ARTICLE);
    let config = folder.path().join("deployment.toml");
    let line = "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" validate \"$1\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", line, env!("CARGO_BIN_EXE_pgrotate"), path(&config)]).current_dir(folder.path());
    is_quiet(&shell.output().unwrap(), 0, "gone");
}

#[test]
fn a_file_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let done = bare(folder.path(), &["validate", "/dev/zero"]).output().unwrap();
    check(&done, &[], "a-file-without-end");
    fs::write(folder.path().join("deployment.toml"), "# \n".repeat(400_000)).unwrap();
    check(&validate(folder.path()).output().unwrap(), &[("deployment.toml", "/dev/zero")], "a-file-without-end");
}

/// Read at all, and in a time that nobody notices; its errors too.
#[test]
fn a_thousand_logins() {
    let users: String =
        (0..1000).map(|number| format!("[[user]]\nlogin = \"app{number}\"\nsecret = \"app/{number}\"\n")).collect();
    let folder = folder_with(&format!("{ARTICLE}\n{users}"));
    let done = validate(folder.path()).output().unwrap();
    is_quiet(&done, 0, "a thousand logins");
    assert_eq!(String::from_utf8(done.stdout).unwrap(), "deployment.toml: valid (deployment article, 1002 logins)\n");
    fs::write(
        folder.path().join("deployment.toml"),
        format!("{ARTICLE}\n{users}").replace("secret = \"app/", "secre = \"app/"),
    )
    .unwrap();
    let done = validate(folder.path()).output().unwrap();
    assert_eq!(String::from_utf8(done.stderr).unwrap().matches("error[unknown-key]").count(), 1000);
}

#[test]
fn a_file_that_cannot_be_read() {
    let folder = folder_with(ARTICLE);
    // Opened and not read, whoever one is.
    let done = bare(folder.path(), &["validate", "/proc/self/mem"]).output().unwrap();
    check(&done, &[], "a-file-that-fails");
    let config = folder.path().join("deployment.toml");
    fs::set_permissions(&config, Permissions::from_mode(0o000)).unwrap();
    // Root reads it all the same.
    if fs::read(&config).is_err() {
        check(&validate(folder.path()).output().unwrap(), &[], "a-file-of-somebody-else");
    }
}

/// Names that are not UTF-8 are names too.
#[test]
fn names_that_are_not_utf_8() {
    let folder = folder_with(ARTICLE);
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.toml");
    fs::rename(folder.path().join("deployment.toml"), folder.path().join(name)).unwrap();
    let done = bare(folder.path(), &["validate"]).arg(name).output().unwrap();
    is_quiet(&done, 0, "a file");
    let done = bare(folder.path(), &["rotate"]).args([name, std::ffi::OsStr::from_bytes(b"\xff")]).output().unwrap();
    check(&done, &[], "a-login-that-is-not-utf-8");
}

/// There is none in any of these tests: text is UTF-8 whatever the locale says.
#[test]
fn whatever_the_locale() {
    let folder = folder_with(&bad_article().replace("\"office\"", "\"büro\""));
    let without = validate(folder.path()).output().unwrap();
    assert!(String::from_utf8(without.stderr.clone()).unwrap().contains("büro"));
    for locale in ["C", "POSIX", "de_DE.ISO-8859-1", "tr_TR.UTF-8", "nonsense"] {
        let done = validate(folder.path()).env("LC_ALL", locale).env("LANG", locale).output().unwrap();
        assert_eq!((done.status.code(), &done.stderr), (Some(1), &without.stderr), "{locale}");
    }
}

/// Colour is for terminals, and for whoever asks for it; the words are the same.
#[test]
fn colour_only_where_it_is_wanted() {
    let account = Account::new();
    let config = account.config(ARTICLE);
    let plain = account.pgrotate(&["plan", path(&config)]);
    assert!(!plain.stdout.contains('\u{1b}'), "{}", plain.stdout);
    let shown = |terminal: bool, set: &[(&str, &str)]| {
        let mut command = if terminal {
            account.in_terminal(&["plan", path(&config)], (50, 200))
        } else {
            account.command(&["plan", path(&config)])
        };
        let done = command.env("TERM", "xterm").envs(set.iter().copied()).output().unwrap();
        let text = String::from_utf8(done.stdout).unwrap().replace("\r\n", "\n");
        assert_eq!(console::strip_ansi_codes(&text), plain.stdout, "{set:?}");
        text.contains("\u{1b}[32m+ create ")
    };
    for (terminal, set, coloured) in [
        (true, &[][..], true),
        (true, &[("NO_COLOR", "1")], false),
        (true, &[("TERM", "dumb")], false),
        (false, &[], false),
        (false, &[("CLICOLOR_FORCE", "1")], true),
    ] {
        assert_eq!(shown(terminal, set), coloured, "in a terminal: {terminal}, with {set:?}");
    }
    // Errors too, on a standard error that is none.
    let done = account.command(&["plan", "no-such-file.toml"]).output().unwrap();
    assert!(String::from_utf8(done.stderr).unwrap().starts_with("error[config-unreadable]: "));
}

//! Apply and destroy watched by somebody, on a terminal of a given size.

use crate::support::{ARTICLE, Account, path};
use std::io::{Read, Write};
use std::process::Stdio;

/// What a terminal has shown.
struct Watched {
    /// Every screen that differs from the one before.
    screens: Vec<String>,
    /// What is left in the end, with all that has scrolled by.
    left: String,
    code: Option<i32>,
}

impl Watched {
    fn shows(&self, text: &str) -> bool {
        self.screens.iter().any(|screen| screen.contains(text))
    }
}

/// Runs `pgrotate`, and types Ctrl-C each time that the next text of `stop` is on the screen.
fn watch(account: &Account, arguments: &[&str], size: (u16, u16), terminal: &str, stop: &[&str]) -> Watched {
    let mut command = account.in_terminal(arguments, size);
    let mut process =
        command.env("TERM", terminal).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python runs");
    let (mut typing, mut shown) = (process.stdin.take().expect("a pipe"), process.stdout.take().expect("a pipe"));
    let mut parser = vt100::Parser::new(size.0, size.1, SCROLLS);
    let (mut screens, mut stops, mut bytes) = (Vec::new(), stop.iter(), [0; 4096]);
    let mut until = stops.next();
    loop {
        let read = shown.read(&mut bytes).expect("it can be read");
        if read == 0 {
            break;
        }
        parser.process(&bytes[..read]);
        let now: String = parser.screen().rows(0, size.1).map(|row| row.trim_end().to_owned() + "\n").collect();
        if until.is_some_and(|until| now.contains(until)) {
            typing.write_all(b"\x03").expect("it listens");
            until = stops.next();
        }
        if screens.last() != Some(&now) {
            screens.push(now);
        }
    }
    assert_eq!(until, None, "it never came to that:\n{}", screens.join("----\n"));
    let code = process.wait().expect("it ends").code();
    Watched { left: scrolled_by(&mut parser) + screens.last().map_or("", String::as_str), screens, code }
}

/// Rows that a terminal remembers: more than any of these commands writes.
const SCROLLS: usize = 1000;

fn scrolled_by(parser: &mut vt100::Parser) -> String {
    let columns = parser.screen().size().1;
    let mut rows = String::new();
    parser.screen_mut().set_scrollback(SCROLLS);
    for back in (1..=parser.screen().scrollback()).rev() {
        parser.screen_mut().set_scrollback(back);
        rows.push_str(parser.screen().rows(0, columns).next().expect("a row").trim_end());
        rows.push('\n');
    }
    rows
}

const ROOMY: (u16, u16) = (30, 120);

/// What stands on the board alone.
const ON_THE_BOARD: [&str; 3] = [" under way,", " to come", " (for "];

fn nothing_of_the_board_is_left(watched: &Watched) {
    for text in ON_THE_BOARD {
        assert!(!watched.left.contains(text), "{text}\n{}", watched.left);
    }
}

#[test]
fn a_board_while_it_runs_and_a_report_in_the_end() {
    let account = Account::new();
    account.delays("instance_create=3,stack_create=0.6");
    let config = account.config(ARTICLE);
    let apply = watch(&account, &["apply", "--yes", path(&config)], ROOMY, "xterm-256color", &[]);
    assert_eq!(apply.code, Some(0), "{}", apply.left);
    for text in [
        " of 22 done, 7 under way, ",
        " s  create  db_instance.my-postgres-instance: the instance is creating (for 2 s)\n",
        " s          stack.pgpasslambda-stack (set-hosts) waits for db_instance.my-postgres-instance\n",
    ] {
        assert!(apply.shows(text), "{text}\n{}", apply.screens.join("----\n"));
    }
    nothing_of_the_board_is_left(&apply);
    // What has ended is told as without a terminal; that it began is not.
    assert!(apply.left.contains(" to create, ") && !apply.left.contains(" s  create "), "{}", apply.left);
    assert_eq!(apply.left.matches(" s  done          ").count(), 22, "{}", apply.left);
    assert!(apply.left.contains("\n22 of 22 done, in "), "{}", apply.left);
    for password in account.passwords() {
        assert!(!apply.shows(&password) && !apply.left.contains(&password));
    }
    account.is_empty(&config);
    // A narrow and low one, and no board where the cursor cannot be moved.
    let destroy = watch(&account, &["destroy", "--yes", path(&config)], (8, 40), "xterm", &[]);
    assert_eq!(destroy.code, Some(0), "{}", destroy.left);
    assert!(destroy.shows(" done, ") && destroy.shows(" under way"), "{}", destroy.screens.join("----\n"));
    nothing_of_the_board_is_left(&destroy);
    let dumb = watch(&account, &["apply", "--yes", path(&config)], ROOMY, "dumb", &[]);
    assert_eq!(dumb.code, Some(0), "{}", dumb.left);
    assert!(dumb.left.contains(" s  create        db_instance.my-postgres-instance\n"), "{}", dumb.left);
    assert!(!dumb.shows(" under way, "), "{}", dumb.left);
}

/// Lines that are logged stand above the board, and leave nothing of it behind.
#[test]
fn a_board_below_what_is_logged() {
    let account = Account::new();
    account.delays("instance_create=2,stack_create=0.6");
    let config = account.config(ARTICLE);
    let apply = watch(&account, &["apply", "--yes", "-v", path(&config)], (30, 200), "xterm-256color", &[]);
    assert_eq!(apply.code, Some(0), "{}", apply.left);
    assert!(apply.shows(" under way, ") && apply.shows("the instance is creating (for 1 s)"), "{}", apply.left);
    nothing_of_the_board_is_left(&apply);
    assert_eq!(apply.left.matches(" s  done          ").count(), 22, "{}", apply.left);
    assert_eq!(apply.left.matches(" INFO  action ends action=").count(), 22, "{}", apply.left);
    let logged = apply.left.lines().filter(|line| line.contains(" INFO  "));
    assert!(logged.clone().all(|line| line.starts_with("20")), "a line begins where a line begins:\n{}", apply.left);
    assert!(logged.filter(|line| line.contains(" aws call ")).count() > 40, "{}", apply.left);
}

/// Ctrl-C lets finish what is under way; pressed again it stops at once. Either leaves a terminal without a board.
#[test]
fn stopped_from_the_keyboard() {
    let account = Account::new();
    account.delays("instance_create=3,stack_create=0.6");
    let config = account.config(ARTICLE);
    let apply = ["apply", "--yes", path(&config)];
    let instance = "create  db_instance.my-postgres-instance: the instance is creating (for 1 s)";
    let once = watch(&account, &apply, ROOMY, "xterm", &[instance]);
    assert_eq!(once.code, Some(5), "{}", once.left);
    assert!(once.shows("; stopping"), "{}", once.screens.join("----\n"));
    assert!(once.left.contains("stop ") && once.left.contains("cancelled"), "{}", once.left);
    nothing_of_the_board_is_left(&once);

    let destroy = ["destroy", "--yes", path(&config)];
    account.delays("instance_delete=30");
    let instance = "delete  db_instance.my-postgres-instance: the instance is deleting (for 1 s)";
    let twice = watch(&account, &destroy, ROOMY, "xterm", &[instance, "; stopping"]);
    assert_eq!(twice.code, Some(5), "{}", twice.left);
    assert!(!twice.left.contains(" of 22 done, in "), "{}", twice.left);
    nothing_of_the_board_is_left(&twice);
}

/// An error is told whole, in the line of what failed and in the report.
#[test]
fn an_action_that_fails() {
    let account = Account::new();
    let config = account.config(ARTICLE);
    account.fault(&["rds.CreateDBInstance", "InstanceQuotaExceeded"]);
    let apply = watch(&account, &["apply", "--yes", path(&config)], (30, 40), "xterm", &[]);
    assert_eq!(apply.code, Some(5), "{}", apply.left);
    assert!(apply.shows(" not done, "), "{}", apply.screens.join("----\n"));
    nothing_of_the_board_is_left(&apply);
}

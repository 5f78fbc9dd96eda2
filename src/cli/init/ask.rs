//! Questions on the terminal.

use super::CliError;
use console::Term;
use dialoguer::theme::ColorfulTheme;
use dialoguer::{Input, MultiSelect, Select};
use std::io::{ErrorKind, IsTerminal};

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    Terminal,
    /// There is nobody, or nobody wants to be asked.
    Nobody,
}

/// Somebody has pressed Ctrl-C.
pub(super) fn stopped() -> CliError {
    CliError::NotConfirmed {
        because: "stopped before the last answer",
        hint: "nothing was written; pgrotate init begins anew, and takes flags for answers".to_owned(),
    }
}

impl Asker {
    pub fn new(wants_defaults: bool) -> Self {
        let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if is_terminal && !wants_defaults { Self::Terminal } else { Self::Nobody }
    }

    pub fn asks(self) -> bool {
        self == Self::Terminal
    }

    /// A line, asked again until `check` takes it. Without a default something must be said.
    pub async fn text(
        self,
        question: &str,
        default: Option<&str>,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<String, CliError> {
        let theme = ColorfulTheme::default();
        let input =
            Input::with_theme(&theme).with_prompt(question).validate_with(|answer: &String| check(answer.trim()));
        let input = match default {
            Some(default) => input.default(default.to_owned()),
            None => input,
        };
        ask(|| input.interact_text()).await.map(|answer| answer.trim().to_owned())
    }

    /// Entries that commas part; with `none` there may be none.
    pub async fn list(
        self,
        question: &str,
        none: bool,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<Vec<String>, CliError> {
        let theme = ColorfulTheme::default();
        let all = |answer: &String| entries(answer).iter().try_for_each(|entry| check(entry));
        let some = |answer: &String| {
            if none || !entries(answer).is_empty() { all(answer) } else { Err("name one at least".to_owned()) }
        };
        let input = Input::with_theme(&theme).with_prompt(question).allow_empty(none).validate_with(some);
        ask(|| input.interact_text()).await.map(|answer: String| entries(&answer))
    }

    /// One of some items; the number of the one.
    pub async fn one(self, question: &str, items: &[String], default: usize) -> Result<usize, CliError> {
        let theme = ColorfulTheme::default();
        let select = Select::with_theme(&theme).with_prompt(question).items(items).default(default);
        ask(|| select.interact()).await
    }

    /// Some of some items, `least` of them; their numbers.
    pub async fn some(self, question: &str, items: Vec<(String, bool)>, least: usize) -> Result<Vec<usize>, CliError> {
        let theme = ColorfulTheme::default();
        let mut question = question.to_owned();
        loop {
            let select = MultiSelect::with_theme(&theme).with_prompt(&question).items_checked(items.clone());
            let chosen = ask(|| select.interact()).await?;
            if chosen.len() >= least {
                return Ok(chosen);
            }
            question = format!("{least} at least, by the space bar");
        }
    }
}

/// Puts a question, and waits for its answer as long as it takes: nothing else goes on meanwhile.
async fn ask<T>(question: impl FnOnce() -> dialoguer::Result<T>) -> Result<T, CliError> {
    let keys = Keys::all()?;
    // From here on Ctrl-C is a key. One of before was a signal, and whoever waits for those hears of it now, before us.
    tokio::task::yield_now().await;
    let answer = question();
    drop(keys);
    answer.map_err(|dialoguer::Error::IO(source)| {
        // A list hides it while it is asked. Whoever reads no more need not see it either.
        let _ = Term::stderr().show_cursor().and_then(|()| Term::stderr().write_line(""));
        match source.kind() {
            ErrorKind::Interrupted | ErrorKind::UnexpectedEof => stopped(),
            _ => CliError::Io { doing: ASKING, source },
        }
    })
}

const ASKING: &str = "ask on the terminal";

/// While it is there, every key is read, and none of them does anything by itself: between two keys of an answer the terminal
/// would make a signal of Ctrl-C, which nobody hears who waits for a key.
struct Keys {
    #[cfg(unix)]
    before: rustix::termios::Termios,
}

impl Keys {
    #[cfg(unix)]
    fn all() -> Result<Self, CliError> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let io = |error: rustix::io::Errno| CliError::Io { doing: ASKING, source: error.into() };
        let before = tcgetattr(std::io::stdin()).map_err(io)?;
        let mut all = before.clone();
        all.local_modes -= LocalModes::ISIG | LocalModes::ICANON | LocalModes::ECHO;
        tcsetattr(std::io::stdin(), OptionalActions::Drain, &all).map_err(io)?;
        Ok(Self { before })
    }

    #[cfg(not(unix))]
    fn all() -> Result<Self, CliError> {
        Ok(Self {})
    }
}

#[cfg(unix)]
impl Drop for Keys {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // A terminal that is gone needs nothing back.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.before);
    }
}

fn entries(answer: &str) -> Vec<String> {
    answer.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

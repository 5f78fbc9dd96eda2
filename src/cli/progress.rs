//! What happens while a plan is carried out, on standard error. As plain lines: what starts, what it waits for
//! and since when, how it ended; a line that would only repeat the one before is not written. On a terminal
//! that can be drawn on, only what has ended is such a line, and below them stands a board of all else.

use super::output;
use crate::code::{Code, Coded};
use crate::execute::{Event, Outcome};
use crate::plan::Plan;
use crate::render::document::{Ending, chain};
use crate::render::human;
use crate::render::live::Board;
use crate::resources::Kinds;
use console::Term;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A wait that says nothing new is told again only so often.
const REMIND: Duration = Duration::from_secs(60);

/// How often the board is drawn anew at the least: its times are in whole seconds.
pub const REDRAW: Duration = Duration::from_millis(500);

pub struct Progress<'a> {
    plan: &'a Plan<Kinds>,
    began: Instant,
    told: BTreeMap<usize, (String, Duration)>,
    live: Option<Live>,
}

/// The board on the terminal.
struct Live {
    board: Board,
    screen: Screen,
}

/// The part of the terminal that is drawn on. Clones are of the same one.
///
/// The cursor rests on the row below the board, at its beginning: the `^C` that a terminal echoes then moves no
/// row, which is where libraries that leave it at the end of the last row lose their place.
#[derive(Clone)]
pub struct Screen(Arc<Mutex<Drawn>>);

struct Drawn {
    /// Buffered: what is drawn appears at once.
    terminal: Term,
    board: Vec<String>,
}

/// The one that is drawn on now.
static SCREEN: Mutex<Option<Screen>> = Mutex::new(None);

/// Writes a line where the board begins, and the board below it. False where there is no board.
pub fn above_the_board(line: &str) -> bool {
    let screen = SCREEN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(screen) = screen else { return false };
    let mut drawn = screen.0.lock().unwrap_or_else(PoisonError::into_inner);
    let board = std::mem::take(&mut drawn.board);
    // As for any other line.
    let _ = drawn.draw_over(board.len(), Some(line), board);
    true
}

impl Drawn {
    /// The board's rows are gone, `line` stands where they began, and `board` below it.
    fn draw(&mut self, line: Option<&str>, board: Vec<String>) -> std::io::Result<()> {
        self.draw_over(self.board.len(), line, board)
    }

    fn draw_over(&mut self, rows: usize, line: Option<&str>, board: Vec<String>) -> std::io::Result<()> {
        // Kept first: whatever fails to be written, so many rows are to be taken off.
        self.board = board;
        self.terminal.clear_line()?;
        self.terminal.clear_last_lines(rows)?;
        for line in line.into_iter().chain(self.board.iter().map(String::as_str)) {
            self.terminal.write_line(line)?;
        }
        self.terminal.flush()
    }
}

impl Screen {
    /// None where there is no terminal, or one that cannot move its cursor (`TERM=dumb`).
    fn open() -> Option<Self> {
        let terminal = Term::buffered_stderr();
        let fit = terminal.is_term() && !console::is_dumb();
        fit.then(|| Self(Arc::new(Mutex::new(Drawn { terminal, board: Vec::new() }))))
    }

    fn draw(&self, line: Option<&str>, board: &Board, at: Duration) {
        let mut drawn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (rows, columns) = drawn.terminal.size();
        let columns = output::columns().unwrap_or(usize::MAX).min(usize::from(columns));
        // The cursor has a row of its own.
        let board = board.lines(at, columns, usize::from(rows).saturating_sub(1));
        // Progress nobody reads is no reason to stop.
        let _ = drawn.draw(line, board);
    }

    /// Takes the board off the terminal.
    pub fn clear(&self) {
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).draw(None, Vec::new());
    }
}

impl<'a> Progress<'a> {
    pub fn new(plan: &'a Plan<Kinds>) -> Self {
        let live = Screen::open().map(|screen| Live { board: Board::new(plan), screen });
        *SCREEN.lock().unwrap_or_else(PoisonError::into_inner) = live.as_ref().map(|live| live.screen.clone());
        Self { plan, began: Instant::now(), told: BTreeMap::new(), live }
    }

    /// Takes the board off the terminal.
    pub fn clear(&self) {
        if let Some(live) = &self.live {
            live.screen.clear();
        }
    }

    /// Time has passed.
    pub fn tick(&self) {
        if let Some(live) = &self.live {
            live.screen.draw(None, &live.board, self.began.elapsed());
        }
    }

    pub fn tell(&mut self, event: Event, outcomes: &BTreeMap<usize, Outcome>) {
        if let Some(live) = &mut self.live {
            live.board.take(&event, outcomes, self.began.elapsed());
        }
        match event {
            // What runs and what it waits for is on the board.
            Event::Started { .. } | Event::Waiting { .. } if self.live.is_some() => self.tick(),
            Event::Started { action } => {
                let what = human::verb(self.plan.actions[action].verb);
                self.line(what, &self.plan.actions[action].label(), "");
            }
            Event::Waiting { action, saying, since } => {
                let said = self.told.get(&action);
                if said.is_some_and(|(before, at)| *before == saying && since < *at + REMIND) {
                    return;
                }
                let text = format!(": {saying} ({} so far)", human::seconds(since.as_secs_f64()));
                self.line("wait", &self.plan.actions[action].label(), &text);
                self.told.insert(action, (saying, since));
            }
            Event::Finished { action } => {
                let Some(outcome) = outcomes.get(&action) else { return };
                let more = match outcome {
                    Outcome::Done(took) => format!(" ({})", human::seconds(took.as_secs_f64())),
                    Outcome::Failed(error) => format!(": {}: {}", error.code().heading(), chain(error).join(": ")),
                    Outcome::Stale(found) => format!(": {}: {found}", Code::Stale.heading()),
                    Outcome::AlreadyDone | Outcome::Skipped { .. } | Outcome::Cancelled => String::new(),
                };
                self.line(Ending::of(outcome).text(), &self.plan.actions[action].label(), &more);
            }
            Event::Stopping => self.line("stop", "", "no new actions; those under way are let finish"),
        }
    }

    /// A line of its own.
    pub fn line(&self, what: &str, label: &str, more: &str) {
        let at = human::seconds(self.began.elapsed().as_secs_f64());
        let line = format!("{at:>8}  {what:<12}  {label}{more}");
        match &self.live {
            Some(live) => live.screen.draw(Some(&line), &live.board, self.began.elapsed()),
            // Progress nobody reads is no reason to stop.
            None => _ = writeln!(std::io::stderr().lock(), "{line}"),
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.clear();
        *SCREEN.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

//! `pgrotate apply`.

use super::output::{print, print_json};
use super::progress::{Progress, REDRAW};
use super::session::Session;
use super::{CliError, DeploymentArgs, Format};
use crate::code::exit;
use crate::execute::{Limits, Outcome, execute};
use crate::plan::{Goal, Plan};
use crate::render::{ReportDocument, human};
use crate::resources::{Cloud, Kinds};
use crate::saved::SavedPlan;
use clap::Args;
use std::cell::RefCell;
use std::io::{BufRead, IsTerminal, Write};
use std::pin::pin;
use tokio::sync::watch;

#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    deployment: DeploymentArgs,
    /// Do not ask before changing anything
    #[arg(long)]
    yes: bool,
    /// Go on where the plan removes more things than it may unsaid, and no more than this
    #[arg(long, value_name = "N")]
    allow_deletes: Option<usize>,
    /// How to print the report
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
}

pub(super) async fn run(args: ApplyArgs) -> Result<u8, CliError> {
    let saved = SavedPlan::load(&args.deployment.config)?;
    let (session, plan) = match &saved {
        Some(saved) => Session::resume(saved, Goal::Converge, &args.deployment).await?,
        None => {
            let session = Session::open(&args.deployment).await?;
            let plan = session.plan(Goal::Converge).await?;
            (session, plan)
        }
    };
    let document = session.document(&plan);
    if args.format == Format::Human {
        print(&human::plan(&document))?;
    }
    if document.is_empty() && args.format == Format::Human {
        return Ok(exit::CLEAN);
    }
    session.within_limits(&plan, args.allow_deletes, &args.deployment.config)?;
    // A saved plan was looked at when it was saved: whoever applies it has said yes to it.
    if !args.yes && saved.is_none() && !document.is_empty() {
        confirm("Apply this plan? Type yes to go on: ", "yes", "--yes")?;
    }
    carry_out(&session, &plan, args.format).await
}

/// Runs a plan, prints its report, and answers with the exit code.
pub(super) async fn carry_out(session: &Session, plan: &Plan<Kinds>, format: Format) -> Result<u8, CliError> {
    let (stop, stopped) = watch::channel(false);
    let progress = RefCell::new(Progress::new(plan));
    let screen = progress.borrow().screen();
    let ctrl_c = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            // Sending fails only when the run is over.
            let _ = stop.send(true);
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            if let Some(screen) = screen {
                screen.clear();
            }
            // Stopping anywhere is safe; whoever asks twice wants it now.
            std::process::exit(i32::from(exit::PARTLY));
        }
    });
    let cloud = Cloud::new(&session.aws);
    let report = {
        let mut run = pin!(execute(plan, &cloud, Limits::default(), stopped, |event, outcomes| {
            progress.borrow_mut().tell(event, outcomes);
        }));
        let mut redraw = tokio::time::interval(REDRAW);
        loop {
            tokio::select! {
                report = &mut run => break report,
                _ = redraw.tick() => progress.borrow().tick(),
            }
        }
    };
    ctrl_c.abort();
    // The report comes below what has ended, not below the board.
    drop(progress);
    let document = ReportDocument::of(plan, &report, &session.config.deployment);
    match format {
        Format::Human => {
            let mut text = format!("\n{}", human::report(&document));
            if !report.all_done() {
                text.push_str("hint: mend the cause and run the same command again; what is done stays done\n");
            }
            print(&text)?;
        }
        Format::Json => print_json(&document)?,
    }
    Ok(code(&report.outcomes))
}

fn code(outcomes: &[Outcome]) -> u8 {
    if outcomes.iter().all(Outcome::is_done) {
        exit::CLEAN
    } else if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed(_) | Outcome::Cancelled)) {
        // One failed action of one: nothing was done, and "partly" would be wrong.
        let none_done = !outcomes.iter().any(Outcome::is_done);
        if none_done { exit::ERROR } else { exit::PARTLY }
    } else {
        exit::STALE
    }
}

/// Asks for `word` on the terminal. Without one there is nobody to ask.
pub(super) fn confirm(question: &str, word: &str, flag: &str) -> Result<(), CliError> {
    let mut input = std::io::stdin().lock();
    if !std::io::stdin().is_terminal() {
        return Err(CliError::NotConfirmed {
            because: "there is no terminal to ask",
            hint: format!("give {flag} to go on without asking"),
        });
    }
    let io = |source| CliError::Io { doing: "ask on the terminal", source };
    let mut err = std::io::stderr().lock();
    write!(err, "\n{question}").and_then(|()| err.flush()).map_err(io)?;
    let mut answer = String::new();
    input.read_line(&mut answer).map_err(io)?;
    if answer.trim() == word {
        Ok(())
    } else {
        Err(CliError::NotConfirmed {
            because: "not confirmed",
            hint: format!("run it again and type {word}, or give {flag}"),
        })
    }
}

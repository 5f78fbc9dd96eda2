//! `pgrotate apply`.

use super::journal::{Journal, Lost};
use super::output::{print, print_human, print_json};
use super::progress::{Progress, REDRAW};
use super::session::{Session, milliseconds};
use super::stop::Stops;
use super::{CliError, DeploymentArgs, Format};
use crate::code::{LOG, exit};
use crate::execute::{ActionError, Event, Limits, Outcome, execute};
use crate::plan::{Goal, Plan};
use crate::render::document::Ending;
use crate::render::{ReportDocument, human, markdown};
use crate::resources::{Cloud, Kinds};
use crate::saved::SavedPlan;
use clap::Args;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Instant;
use tokio::sync::watch;
use tracing::{debug, info};

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
    /// Go on where the plan takes this away: an instance, or a login that is in use; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    allow_delete: Vec<String>,
    /// How to print the report
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Add what happens to this file, as lines of JSON
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

pub(super) async fn run(args: ApplyArgs) -> Result<u8, CliError> {
    let journal = args.deployment.journal(args.journal.as_deref())?;
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
        print_human(&human::plan(&document))?;
    }
    session.within_limits(&plan, (args.allow_deletes, &args.allow_delete), &args.deployment.config)?;
    // A saved plan was looked at when it was saved: whoever applies it has said yes to it.
    if !args.yes && saved.is_none() && !document.is_empty() {
        confirm("Apply this plan? Type yes to go on: ", "yes", "--yes")?;
    }
    carry_out(&session, &plan, args.format, ("apply", journal)).await
}

/// Runs a plan, prints its report, and answers with the exit code. `journal` is of the command of that name.
pub(super) async fn carry_out(
    session: &Session,
    plan: &Plan<Kinds>,
    format: Format,
    (command, mut journal): (&str, Option<Journal>),
) -> Result<u8, CliError> {
    if let Some(journal) = &mut journal {
        let place = (session.aws.account.as_str(), session.aws.region.as_str());
        journal.begin(command, &session.config.deployment, place, plan)?;
    }
    let mut stops = Stops::listen()?;
    let (stop, stopped) = watch::channel(false);
    let told = RefCell::new(Told { progress: Progress::new(plan), journal, under_way: BTreeMap::new() });
    let cloud = Cloud::new(&session.aws);
    let report = {
        let mut run = pin!(execute(plan, &cloud, Limits::default(), stopped, |event, outcomes| {
            told.borrow_mut().tell(plan, event, outcomes);
        }));
        let mut redraw = tokio::time::interval(REDRAW);
        loop {
            tokio::select! {
                report = &mut run => break report,
                () = stops.next() => {
                    if *stop.borrow() {
                        told.borrow_mut().torn(plan);
                        // Stopping anywhere is safe; whoever asks twice wants it now.
                        std::process::exit(i32::from(exit::PARTLY));
                    }
                    stop.send_replace(true);
                }
                _ = redraw.tick() => told.borrow().progress.tick(),
            }
        }
    };
    let exit = code(&report.outcomes);
    let Told { progress, journal, under_way: _ } = told.into_inner();
    if let Some(mut journal) = journal {
        lost(&progress, journal.end(plan, &report, exit));
    }
    // The report comes below what has ended, not below the board.
    drop(progress);
    let document = ReportDocument::of(plan, &report, &session.config.deployment, &session.aws.place());
    match format {
        // The plan has said it, and there is nothing to add.
        Format::Human if plan.actions.is_empty() => {}
        Format::Human => {
            let mut text = format!("\n{}", human::report(&document));
            if !report.all_done() {
                text.push_str("hint: mend the cause and run the same command again; what is done stays done\n");
            }
            print_human(&text)?;
        }
        Format::Json => print_json(&document)?,
        Format::Markdown => print(&markdown::report(&document))?,
    }
    Ok(exit)
}

/// Who hears of events, and what they have left under way.
struct Told<'a> {
    progress: Progress<'a>,
    journal: Option<Journal>,
    under_way: BTreeMap<usize, Instant>,
}

impl Told<'_> {
    fn tell(&mut self, plan: &Plan<Kinds>, event: Event, outcomes: &BTreeMap<usize, Outcome>) {
        match &event {
            Event::Started { action } => {
                self.under_way.insert(*action, Instant::now());
                info!(target: LOG, action = plan.actions[*action].label(), "action begins");
            }
            Event::Finished { action } => {
                // What was never begun, as what is skipped, has taken no time.
                let elapsed_ms = self.under_way.remove(action).map_or(0, milliseconds);
                let outcome = outcomes.get(action).map_or("none", |outcome| Ending::of(outcome).text());
                info!(target: LOG, action = plan.actions[*action].label(), outcome, elapsed_ms, "action ends");
            }
            Event::Waiting { action, saying, .. } => {
                debug!(target: LOG, action = plan.actions[*action].label(), saying, "action waits");
            }
            Event::Stopping => info!(target: LOG, "no new actions"),
        }
        if let Some(journal) = &mut self.journal {
            lost(&self.progress, journal.tell(plan, &event, outcomes));
        }
        self.progress.tell(event, outcomes);
    }

    /// The last word of a run that is ended at once.
    fn torn(&mut self, plan: &Plan<Kinds>) {
        let under_way: Vec<_> = self.under_way.keys().map(|action| plan.actions[*action].label()).collect();
        let what = if under_way.is_empty() { "nothing".to_owned() } else { under_way.join(", ") };
        self.progress.line("stopped", "", &format!("not waited for: {what}"));
        self.progress.line("hint", "", "what AWS has begun goes on by itself; the same command again makes it whole");
        if let Some(journal) = &mut self.journal {
            lost(&self.progress, journal.torn(&under_way, exit::PARTLY));
        }
        self.progress.clear();
    }
}

/// Told, and no reason to stop.
fn lost(progress: &Progress<'_>, written: Result<(), Lost>) {
    if let Err(Lost(why)) = written {
        progress.line("warning", "", &format!("the journal {why}"));
    }
}

fn code(outcomes: &[Outcome]) -> u8 {
    // Of what AWS has taken and not brought to its end, a part is done.
    let begun = |outcome: &Outcome| match outcome {
        Outcome::Done(_) | Outcome::AlreadyDone => true,
        Outcome::Failed(error) => matches!(error, ActionError::Never(_) | ActionError::TimedOut { .. }),
        Outcome::Stale(_) | Outcome::Skipped { .. } | Outcome::Cancelled => false,
    };
    if outcomes.iter().all(Outcome::is_done) {
        exit::CLEAN
    } else if outcomes.iter().any(begun) || outcomes.iter().any(|outcome| matches!(outcome, Outcome::Cancelled)) {
        exit::PARTLY
    } else if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed(_))) {
        exit::ERROR
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Address, Kind};
    use crate::resource::NotProduced;
    use std::time::Duration;

    #[test]
    fn exit_codes() {
        let address = || Address { kind: Kind("secret"), name: "a".to_owned() };
        let done = || Outcome::Done(Duration::ZERO);
        let stale = || Outcome::Stale("it has moved".to_owned());
        let skipped = || Outcome::Skipped { after: address() };
        // Before AWS had taken anything, and after.
        let failed = || Outcome::Failed(ActionError::NotProduced(NotProduced(address())));
        let torn = || Outcome::Failed(ActionError::Never("it is gone".to_owned()));
        for (outcomes, expected) in [
            (vec![], exit::CLEAN),
            (vec![done(), Outcome::AlreadyDone], exit::CLEAN),
            (vec![done(), failed()], exit::PARTLY),
            (vec![done(), stale()], exit::PARTLY),
            (vec![Outcome::AlreadyDone, Outcome::Cancelled], exit::PARTLY),
            (vec![Outcome::Cancelled, Outcome::Cancelled], exit::PARTLY),
            (vec![torn(), skipped()], exit::PARTLY),
            (vec![failed(), skipped()], exit::ERROR),
            (vec![failed(), stale()], exit::ERROR),
            (vec![stale(), skipped()], exit::STALE),
        ] {
            assert_eq!(code(&outcomes), expected, "{outcomes:?}");
        }
    }
}

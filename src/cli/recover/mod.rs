//! `pgrotate recover`: finds out why a login does not work or no longer rotates, says what it will do about it,
//! asks, does it, and looks again until it is proven by a login from inside the VPC.

mod diagnosis;

use super::output::print;
use super::rotate::follow;
use super::session::Session;
use super::{CliError, DeploymentArgs, apply};
use crate::aws::Look;
use crate::code::exit;
use crate::command::FILE;
use crate::resources::LiveError;
use crate::resources::login::Desired;
use crate::resources::recovery::{self, Done, Sight, look_at};
use crate::resources::rotation::rotate_now;
use clap::Args;
use diagnosis::{Diagnosis, Step, Verdict, diagnose};
use function_contract::{Recovery, Strategy};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug, Args)]
pub(super) struct RecoverArgs {
    #[command(flatten)]
    pub(super) deployment: DeploymentArgs,
    /// The PostgreSQL login to put right
    login: String,
    /// Do not ask before changing anything
    #[arg(long)]
    yes: bool,
}

/// Looks at the login at most. What one look's steps bring to light (behind an expiry stands a wrong password) the
/// next one finds; more than these are a circle.
const LOOKS: u32 = 5;

/// A rotation whose secret nothing has touched for so long is hardly at work: its steps take a second at most, and
/// between its tries Secrets Manager pauses for minutes. One that waits for a slow database longer than this is
/// ended too, which breaks nothing: its next step is refused, and the version that it may have set has a label of
/// its own (docs/rotation-protocol.md).
const QUIET: Duration = Duration::from_secs(20);

/// How long to wait for one that goes on.
const PATIENCE: Duration = Duration::from_secs(3 * 60);

pub(super) async fn run(args: RecoverArgs) -> Result<u8, CliError> {
    let session = Session::open(&args.deployment).await?;
    let login = session.login(&args.login)?;
    let mut done = 0;
    match rounds(&session, login, args.yes, &mut done).await {
        // What is done stays done, and is said so.
        Err(error) if done > 0 => {
            error.about(&session.file).print();
            Ok(exit::PARTLY)
        }
        result => result,
    }
}

/// Looks and does, until a look finds nothing to do. `done` counts the steps.
async fn rounds(session: &Session, login: &Desired, yes: bool, done: &mut usize) -> Result<u8, CliError> {
    let mut before: Option<Verdict> = None;
    for round in 1.. {
        still(session, login).await?;
        let sight = look(session, login).await?;
        let diagnosis = diagnose(login, &sight, jiff::Timestamp::now());
        print(&session.file.fill(&told(login, &diagnosis)))?;
        let steps = match &diagnosis.verdict {
            Verdict::Healthy => {
                print(&healthy(&sight, *done, &diagnosis.notes))?;
                break;
            }
            Verdict::Refused { cause, hint } => return Err(refused(login, cause.clone(), hint.clone())),
            Verdict::Steps(steps) => steps,
        };
        if round == LOOKS || before.as_ref() == Some(&diagnosis.verdict) {
            let cause = match done {
                0 => "somebody else is at it: it was another one at every look",
                _ => "what was done has not put it right",
            };
            let hint = format!("pgrotate logs {FILE} {} tells what the functions say", login.login);
            return Err(refused(login, cause.to_owned(), hint));
        }
        if !yes {
            apply::confirm("Do this? Type yes to go on: ", "yes", "--yes")?;
        }
        carry_out(session, login, &sight, steps, done).await?;
        before = Some(diagnosis.verdict);
    }
    Ok(exit::CLEAN)
}

fn refused(login: &Desired, cause: String, hint: String) -> CliError {
    CliError::NotRecoverable { login: login.login.clone(), cause, hint }
}

async fn look(session: &Session, login: &Desired) -> Result<Sight, CliError> {
    let admin = match login.strategy {
        Strategy::AlternatingUsers => Some(session.login(&session.config.admin.login.value)?),
        Strategy::SingleUser => None,
    };
    look_at(&session.aws, login, admin)
        .await?
        .map_err(|why| refused(login, format!("it cannot be looked at: {why}"), format!("pgrotate apply {FILE}")))
}

/// Waits while a rotation is at work.
async fn still(session: &Session, login: &Desired) -> Result<(), CliError> {
    let began = Instant::now();
    let (mut seen, mut since, mut told) = (None, began, false);
    loop {
        let Some(secret) = Look::new(&session.aws).secret(&login.secret_name).await? else { return Ok(()) };
        if secret.pending().is_none() {
            return Ok(());
        }
        let now = jiff::Timestamp::now().as_second();
        // Either by AWS's clock, or by nothing having changed while we looked: the two clocks may disagree.
        let age = secret.changed.map_or(i64::MAX, |changed| now - changed);
        if age >= QUIET.as_secs().cast_signed() {
            return Ok(());
        }
        if seen != Some(secret.changed) {
            (seen, since) = (Some(secret.changed), Instant::now());
        }
        if since.elapsed() >= QUIET {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            let cause = format!("its rotation has been at work for {} seconds", PATIENCE.as_secs());
            return Err(refused(login, cause, "wait for its end, and run it again".to_owned()));
        }
        if !told {
            told = true;
            print(&format!("{}: a rotation is under way: waiting for its end\n", login.login))?;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Does the steps in order. Where one finds that things have moved, the rest is left to the next look.
async fn carry_out(
    session: &Session,
    login: &Desired,
    sight: &Sight,
    steps: &[Step],
    done: &mut usize,
) -> Result<(), CliError> {
    let aws = &session.aws;
    print("\n")?;
    for (number, step) in steps.iter().enumerate() {
        let came = match step {
            Step::SetAgain { .. } => recovery::recover(aws, login, sight, Recovery::SetAgain).await?,
            Step::MakeCurrent { version, .. } => {
                let recovery = Recovery::MakeCurrent { version: version.clone() };
                recovery::recover(aws, login, sight, recovery).await?
            }
            Step::EndPending { version, .. } => recovery::end_pending(aws, &login.secret_name, version).await?,
            Step::Rotate => rotate(session, login).await?,
        };
        match came {
            Done::Yes(notes) => {
                *done += 1;
                let notes: String = notes.iter().map(|note| format!("       {note}\n")).collect();
                print(&format!("  done {}\n{notes}", number + 1))?;
            }
            Done::Moved(why) => {
                print(&format!("  left {}: {why}: looking again\n", number + 1))?;
                return Ok(());
            }
        }
    }
    print("\n")
}

async fn rotate(session: &Session, login: &Desired) -> Result<Done, CliError> {
    let since = jiff::Timestamp::now().as_millisecond();
    match rotate_now(&session.aws, &login.secret_name).await {
        Ok(token) => {
            follow(session, login, &token, since).await?;
            Ok(Done::Yes(Vec::new()))
        }
        // The schedule, or somebody else, has begun one meanwhile.
        Err(LiveError::Aws(error)) if error.is(&["InvalidRequestException"]) => Ok(Done::Moved(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

fn told(login: &Desired, diagnosis: &Diagnosis) -> String {
    let mut out = format!("{} (secret {}, {})\n", login.login, login.secret_name, login.strategy.as_str());
    for line in &diagnosis.found {
        out.push_str(&format!("  {line}\n"));
    }
    if let Verdict::Steps(steps) = &diagnosis.verdict {
        out.push_str("\nTo be done:\n");
        for (number, step) in steps.iter().enumerate() {
            out.push_str(&format!("  {}. {step}\n", number + 1));
        }
    }
    for note in &diagnosis.notes {
        out.push_str(&format!("  note: {note}\n"));
    }
    out
}

fn healthy(sight: &Sight, done: usize, notes: &[String]) -> String {
    let current = sight.secret.labelled("AWSCURRENT");
    let version = sight.facts.versions.iter().find(|version| Some(version.version.as_str()) == current);
    let user = version.and_then(|version| version.username.as_deref()).unwrap_or("nobody");
    let proof = format!("AWSCURRENT (version {}) logs in as {user} from inside the VPC", current.unwrap_or("none"));
    match done {
        0 if notes.is_empty() => format!("\nHealthy: {proof}. Nothing to recover.\n"),
        0 => format!("\n{proof}. Nothing to recover; but see the note.\n"),
        _ => format!("\nRecovered: {proof}.\n"),
    }
}

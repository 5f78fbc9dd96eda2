//! `pgrotate rotate`: one rotation, now, and what comes of it.

use super::output::print;
use super::session::Session;
use super::{CliError, DeploymentArgs};
use crate::aws::Look;
use crate::code::exit;
use crate::model::Seen;
use crate::render::human::seconds;
use crate::resources::function_log::log_of;
use crate::resources::login::{Desired, Login};
use crate::resources::rotation::rotate_now;
use crate::resources::{Live, LiveError};
use clap::Args;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug, Args)]
pub(super) struct RotateArgs {
    #[command(flatten)]
    pub(super) deployment: DeploymentArgs,
    /// The PostgreSQL login to rotate
    login: String,
    /// Follow the four steps to their end
    #[arg(long)]
    wait: bool,
}

/// A rotation takes seconds. Secrets Manager repeats a failed one for some minutes more, but a person who
/// waits wants to know then.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// How long the last log lines may be on their way after the secret already shows the end.
const LOG_LAG: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(200);
const LONGEST_POLL: Duration = Duration::from_secs(3);

pub(super) async fn run(args: RotateArgs) -> Result<u8, CliError> {
    let session = Session::open(&args.deployment).await?;
    let login = session.login(&args.login)?;
    let since = jiff::Timestamp::now().as_millisecond();
    let token = match rotate_now(&session.aws, &login.secret_name).await {
        Err(LiveError::Aws(error)) if error.is(&["InvalidRequestException"]) => {
            return Err(unfinished(&session, login).await?.unwrap_or_else(|| error.into()));
        }
        answer => answer?,
    };
    print(&format!("rotating {} (secret {}), rotation {token}\n", login.login, login.secret_name))?;
    if args.wait { follow(&session, login, &token, since).await } else { Ok(exit::CLEAN) }
}

/// Why Secrets Manager refuses to rotate, where an earlier rotation stands in the way.
async fn unfinished(session: &Session, login: &Desired) -> Result<Option<CliError>, CliError> {
    let secret = Look::new(&session.aws).secret(&login.secret_name).await?;
    let Some(version) = secret.as_ref().and_then(|secret| secret.pending()) else { return Ok(None) };
    let why = format!(
        "an earlier rotation (version {version}) has not finished. If nothing comes of it any more: pgrotate recover \
         {} {}",
        session.file, login.login
    );
    let function = login.functions.rotation.clone();
    Ok(Some(CliError::RotationFailed { login: login.login.clone(), why, function }))
}

pub(super) async fn follow(session: &Session, login: &Desired, token: &str, since: i64) -> Result<u8, CliError> {
    let (began, function) = (Instant::now(), &login.functions.rotation);
    let failed = |why: String| CliError::RotationFailed { login: login.login.clone(), why, function: function.clone() };
    let (mut told, mut pause, mut finished): (usize, _, Option<Instant>) = (0, POLL, None);
    loop {
        let lines = log_of(&session.aws, function, token, since).await?;
        for line in &lines[told.min(lines.len())..] {
            let message = line.message.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
            print(&format!("  {:<13} {} ({} ms){message}\n", line.step, line.outcome, line.milliseconds))?;
            if line.outcome == "failed" {
                return Err(failed(format!("{} failed{message}", line.step)));
            }
        }
        told = told.max(lines.len());
        if finished.is_none() {
            let secret = Look::new(&session.aws).secret(&login.secret_name).await?;
            finished = secret.is_some_and(|secret| secret.labelled("AWSCURRENT") == Some(token)).then(Instant::now);
        }
        let logged_all = lines.iter().any(|line| line.step == "finishSecret");
        match finished {
            Some(at) if logged_all || at.elapsed() > LOG_LAG => break,
            None if began.elapsed() > PATIENCE => {
                return Err(failed(format!("AWSCURRENT has not moved within {}", seconds(PATIENCE.as_secs_f64()))));
            }
            _ => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST_POLL);
    }
    let seen = Login::observe(&Look::new(&session.aws), &[login]).await?.pop();
    let took = seconds(began.elapsed().as_secs_f64());
    let user = match &seen {
        Some(Seen::Present(live)) => live.current_user.clone(),
        _ => None,
    };
    let user = user.map_or_else(|| "AWSCURRENT".to_owned(), |user| format!("AWSCURRENT is now {user}"));
    print(&format!("{user}, version {token}, in {took}\n"))?;
    Ok(exit::CLEAN)
}

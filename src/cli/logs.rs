//! `pgrotate logs`: what the functions have logged about one login.

use super::output::print;
use super::session::Session;
use super::{CliError, DeploymentArgs};
use crate::code::exit;
use crate::resources::function_log::log_about;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct LogsArgs {
    #[command(flatten)]
    deployment: DeploymentArgs,
    /// The PostgreSQL login
    login: String,
    /// How many hours back to look
    #[arg(long, default_value_t = 24, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..=24 * 90))]
    since: u32,
    /// How many lines to print at most, the last ones
    #[arg(long, default_value_t = 100, value_name = "LINES")]
    lines: usize,
}

pub(super) async fn run(args: LogsArgs) -> Result<u8, CliError> {
    let session = Session::open(&args.deployment).await?;
    let login = session.login(&args.login)?;
    let since = jiff::Timestamp::now().as_millisecond() - i64::from(args.since) * 60 * 60 * 1000;
    let mut lines = Vec::new();
    for function in [&login.functions.rotation, &login.functions.provisioning] {
        lines.extend(log_about(&session.aws, function, &login.login, since, args.lines).await?);
    }
    lines.sort();
    let lines = lines.split_off(lines.len().saturating_sub(args.lines));
    let mut out = String::new();
    for (at, text) in &lines {
        let at = jiff::Timestamp::from_millisecond(*at).map_or_else(|_| at.to_string(), |at| at.to_string());
        out.push_str(&format!("{at}  {text}\n"));
    }
    if out.is_empty() {
        out = format!("nothing logged about {} in the last {} hours\n", login.login, args.since);
    }
    print(&out)?;
    Ok(exit::CLEAN)
}

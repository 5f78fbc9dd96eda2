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
    pub(super) deployment: DeploymentArgs,
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
    print(&shown(&lines, &login.login, args.since))?;
    Ok(exit::CLEAN)
}

/// Lines with their time in Unix milliseconds, as RFC 3339.
fn shown(lines: &[(i64, String)], login: &str, hours: u32) -> String {
    if lines.is_empty() {
        return format!("nothing logged about {login} in the last {hours} hours\n");
    }
    let line = |(at, text): &(i64, String)| {
        let at = jiff::Timestamp::from_millisecond(*at).map_or_else(|_| at.to_string(), |at| at.to_string());
        format!("{at}  {text}\n")
    };
    lines.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_their_time() {
        let lines = [
            (
                1_772_323_927_000,
                r#"{"step":"setSecret","login":"app","outcome":"password set","milliseconds":41}"#.to_owned(),
            ),
            (
                1_772_323_928_250,
                r#"{"step":"testSecret","login":"app","outcome":"logged in","milliseconds":38}"#.to_owned(),
            ),
            (i64::MAX, "at no time that there is".to_owned()),
        ];
        expect_test::expect![[r#"
            2026-03-01T00:12:07Z  {"step":"setSecret","login":"app","outcome":"password set","milliseconds":41}
            2026-03-01T00:12:08.25Z  {"step":"testSecret","login":"app","outcome":"logged in","milliseconds":38}
            9223372036854775807  at no time that there is
            nothing logged about app in the last 24 hours
        "#]]
        .assert_eq(&(shown(&lines, "app", 24) + &shown(&[], "app", 24)));
    }
}

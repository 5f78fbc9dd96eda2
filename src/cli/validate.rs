//! `pgrotate validate`: all that can be said of a config without AWS.

use super::CliError;
use super::output::{columns, print};
use super::session::denied;
use crate::code::exit;
use crate::config::{self, Source};
use crate::lint::{self, Finding};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    /// The deployment's config file
    #[arg(value_name = "FILE")]
    config: PathBuf,
    /// Refuse a config with lints that it does not allow
    #[arg(long)]
    deny_lints: bool,
}

pub(super) fn run(args: &ValidateArgs) -> Result<u8, CliError> {
    let (config, source) = config::load(&args.config)?;
    let logins = config.users.len() + 1;
    let mut text = format!("{}: valid (deployment {}, {logins} logins)\n", args.config.display(), config.deployment);
    let lints = lint::lint(&config, &source, None);
    lints.iter().for_each(|lint| text.push_str(&told(lint, &source)));
    print(&text)?;
    denied(&lints, args.deny_lints)?;
    Ok(exit::CLEAN)
}

/// A paragraph, as an error of the config is told.
fn told(lint: &Finding, source: &Source) -> String {
    let Finding { code, of: _, file: _, line: _, span, what, why, hint } = lint;
    let place = span.as_ref().map(|span| source.excerpt_within(span, columns())).unwrap_or_default();
    format!("\nlint[{code}]: {what}\n{place}why: {why}\nhint: {hint}\n")
}

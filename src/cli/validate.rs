//! `pgrotate validate`: all that can be said of a config without AWS.

use super::CliError;
use super::output::print;
use crate::code::exit;
use crate::config;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    /// The deployment's config file
    #[arg(value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(args: &ValidateArgs) -> Result<u8, CliError> {
    let (config, _) = config::load(&args.config)?;
    let logins = config.users.len() + 1;
    print(&format!("{}: valid (deployment {}, {logins} logins)\n", args.config.display(), config.deployment))?;
    Ok(exit::CLEAN)
}

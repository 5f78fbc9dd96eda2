//! `pgrotate completions`: what makes a shell complete pgrotate's commands and flags.

use super::output::print;
use super::{Cli, CliError};
use crate::code::exit;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell it is for
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> Result<u8, CliError> {
    // Written to memory first, so that a closed pipe is met by what handles it everywhere.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "pgrotate", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(exit::CLEAN)
}

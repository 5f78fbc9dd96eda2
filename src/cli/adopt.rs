//! `pgrotate adopt`: takes over what others have made, once, by its addresses.

use super::apply::{carry_out, confirm};
use super::output::print_human;
use super::session::Session;
use super::{CliError, DeploymentArgs, Format};
use crate::render::human;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct AdoptArgs {
    #[command(flatten)]
    deployment: DeploymentArgs,
    /// What to take over, as plan names it: db_instance.NAME, db_subnet_group.NAME, secret.LOGIN, …
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,
    /// Do not ask before changing anything
    #[arg(long)]
    yes: bool,
    /// How to print the report
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Add what happens to this file, as lines of JSON
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

/// Tags only: what of it is not as declared, the next plan shows and the next apply changes.
pub(super) async fn run(args: AdoptArgs) -> Result<u8, CliError> {
    let journal = args.deployment.journal(args.journal.as_deref())?;
    let session = Session::open(&args.deployment).await?;
    let plan = session.adoption(&args.addresses).await?;
    let document = session.document(&plan);
    if args.format == Format::Human {
        print_human(&human::plan(&document))?;
    }
    if !args.yes && !document.is_empty() {
        confirm("Take it over? From then on destroy removes it. Type yes to go on: ", "yes", "--yes")?;
    }
    carry_out(&session, &plan, args.format, ("adopt", journal)).await
}

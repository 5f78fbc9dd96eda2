//! `pgrotate destroy`.

use super::apply::{carry_out, confirm};
use super::output::print_human;
use super::session::Session;
use super::{CliError, DeploymentArgs, Format};
use crate::plan::Goal;
use crate::render::human;
use crate::saved::SavedPlan;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct DestroyArgs {
    #[command(flatten)]
    deployment: DeploymentArgs,
    /// Do not ask for the deployment's name before removing anything
    #[arg(long)]
    yes: bool,
    /// How to print the report
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Add what happens to this file, as lines of JSON
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

pub(super) async fn run(args: DestroyArgs) -> Result<u8, CliError> {
    let journal = args.deployment.journal(args.journal.as_deref())?;
    let (session, plan) = match SavedPlan::load(&args.deployment.config)? {
        Some(saved) => Session::resume(&saved, Goal::Destroy, &args.deployment).await?,
        None => {
            let session = Session::open(&args.deployment).await?;
            let plan = session.plan(Goal::Destroy).await?;
            (session, plan)
        }
    };
    session.not_prevented(&plan)?;
    let document = session.document(&plan);
    if args.format == Format::Human {
        print_human(&human::plan(&document))?;
    }
    if !args.yes && !document.is_empty() {
        let name = &session.config.deployment;
        confirm(&format!("Remove all of it? Type the deployment's name ({name}) to go on: "), name, "--yes")?;
    }
    carry_out(&session, &plan, args.format, ("destroy", journal)).await
}

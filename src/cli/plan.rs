//! `pgrotate plan`.

use super::output::{print, print_json};
use super::session::Session;
use super::{CliError, DeploymentArgs, Format};
use crate::code::exit;
use crate::plan::Goal;
use crate::render::{PlanDocument, human};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    deployment: DeploymentArgs,
    /// Plan the removal of everything instead
    #[arg(long)]
    destroy: bool,
    /// How to print it
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Exit with 2 where there is something to change
    #[arg(long)]
    detailed_exitcode: bool,
}

pub(super) async fn run(args: PlanArgs) -> Result<u8, CliError> {
    let session = Session::open(&args.deployment).await?;
    let goal = if args.destroy { Goal::Destroy } else { Goal::Converge };
    let plan = session.plan(goal).await?;
    let document = PlanDocument::of(&plan, &session.config.deployment, &session.aws.place());
    match args.format {
        Format::Human => print(&human::plan(&document))?,
        Format::Json => print_json(&document)?,
    }
    Ok(if args.detailed_exitcode && !document.is_empty() { exit::PENDING } else { exit::CLEAN })
}

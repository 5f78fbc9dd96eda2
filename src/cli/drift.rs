//! `pgrotate drift`: what has moved away from the config, for cron.

use super::output::{print, print_json};
use super::session::Session;
use super::{CliError, DeploymentArgs, Format};
use crate::code::exit;
use crate::plan::Goal;
use crate::render::{DriftDocument, PlanDocument, human, markdown};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct DriftArgs {
    #[command(flatten)]
    deployment: DeploymentArgs,
    /// How to print it
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
}

/// Exits with 2 where anything has moved, so that cron's mail or a pipeline tells of it.
pub(super) async fn run(args: DriftArgs) -> Result<u8, CliError> {
    let session = Session::open(&args.deployment).await?;
    let plan = session.plan(Goal::Converge).await?;
    let plan = PlanDocument::of(&plan, &session.config.deployment, &session.aws.place());
    let apply = format!("pgrotate apply {}", args.deployment.config.display());
    let document = DriftDocument::of(&plan, &apply);
    match args.format {
        Format::Human => print(&human::drift(&document))?,
        Format::Json => print_json(&document)?,
        Format::Markdown => {
            let again = format!("pgrotate drift {}", args.deployment.config.display());
            print(&markdown::drift(&document, &again))?;
        }
    }
    Ok(if document.findings.is_empty() { exit::CLEAN } else { exit::PENDING })
}

//! `pgrotate drift`: what has moved away from the config, for cron.

use super::output::{print, print_human, print_json};
use super::session::Session;
use super::{CliError, DeploymentArgs, Format};
use crate::code::exit;
use crate::drift::FailOn;
use crate::plan::Goal;
use crate::render::{DriftDocument, PlanDocument, human, markdown};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(super) struct DriftArgs {
    #[command(flatten)]
    deployment: DeploymentArgs,
    /// How to print it
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Exit with 2 only where one of these codes of docs/drift.md is found, or a severity (critical, warning, info) or worse
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_enum, hide_possible_values = true)]
    fail_on: Vec<FailOn>,
}

impl ValueEnum for FailOn {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.text()))
    }
}

/// Exits with 2 where anything has moved, or what was asked for, so that cron's mail or a pipeline tells of it.
pub(super) async fn run(args: DriftArgs) -> Result<u8, CliError> {
    let session = Session::open(&args.deployment).await?;
    let plan = session.plan(Goal::Converge).await?;
    let plan = PlanDocument::of(&plan, &session.config.deployment, &session.aws.place());
    let apply = format!("pgrotate apply {}", args.deployment.config.display());
    let document = DriftDocument::of(&plan, &apply);
    match args.format {
        Format::Human => print_human(&human::drift(&document))?,
        Format::Json => print_json(&document)?,
        Format::Markdown => {
            let again = format!("pgrotate drift {}", args.deployment.config.display());
            print(&markdown::drift(&document, &again))?;
        }
    }
    let means = |found| args.fail_on.is_empty() || args.fail_on.iter().any(|on| on.means(found));
    Ok(if document.findings.iter().any(|finding| means(finding.code)) { exit::PENDING } else { exit::CLEAN })
}

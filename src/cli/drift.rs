//! `pgrotate drift`: what has moved away from the config, for cron.

use super::many::{self, PathsArgs, Which};
use super::output::{print, print_human, print_json};
use super::session::Session;
use super::{CliError, Format};
use crate::code::exit;
use crate::drift::FailOn;
use crate::plan::Goal;
use crate::render::summary::Commands;
use crate::render::{DriftDocument, OneDocument, PlanDocument, human, markdown};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use std::path::Path;

#[derive(Debug, Args)]
pub(super) struct DriftArgs {
    #[command(flatten)]
    deployments: PathsArgs,
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
    let DriftArgs { deployments, format, fail_on } = args;
    let means = |found| fail_on.is_empty() || fail_on.iter().any(|on| on.means(found));
    let pending = |drift: &DriftDocument| drift.findings.iter().any(|finding| means(finding.code));
    match deployments.which()? {
        Which::One(deployment) => {
            let session = Session::open(&deployment).await?;
            let document = found(&session, &deployment.config).await?;
            match format {
                Format::Human => print_human(&human::drift(&document))?,
                Format::Json => print_json(&document)?,
                Format::Markdown => print(&markdown::drift(&document, &commands(&deployment.config).again))?,
            }
            Ok(if pending(&document) { exit::PENDING } else { exit::CLEAN })
        }
        Which::Many(files, functions) => {
            let found =
                async |session: &Session, file: &Path| Ok((OneDocument::Drift(found(session, file).await?), None));
            let all = many::each(files, &functions, found, |file, _| commands(file)).await?;
            many::tell("drift", format, all, |document| match document {
                OneDocument::Drift(drift) => pending(drift),
                OneDocument::Plan(_) | OneDocument::Status(_) | OneDocument::Validation(_) => false,
            })
        }
    }
}

async fn found(session: &Session, file: &Path) -> Result<DriftDocument, CliError> {
    let plan = session.plan(Goal::Converge).await?;
    let plan = PlanDocument::of(&plan, &session.config.deployment, &session.aws.place());
    Ok(DriftDocument::of(&plan, &commands(file).apply))
}

fn commands(file: &Path) -> Commands {
    let file = file.display();
    Commands { again: format!("pgrotate drift {file}"), apply: format!("pgrotate apply {file}") }
}

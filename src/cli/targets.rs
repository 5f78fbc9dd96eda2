//! `pgrotate targets`: which deployments there are and where, without asking AWS: for whatever starts a job for each.

use super::CliError;
use super::many::{self, files};
use super::output::{print, print_json};
use crate::code::exit;
use crate::config;
use crate::render::summary;
use crate::render::{Target, TargetsDocument};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct TargetsArgs {
    /// Deployments' config files, or directories of them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value = "human")]
    format: TargetsFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TargetsFormat {
    /// For people
    Human,
    /// For programs
    Json,
    /// For `strategy.matrix` of a GitHub workflow, by `fromJSON`
    GithubMatrix,
}

/// Jobs that a matrix makes at the most (docs.github.com/actions/reference/limits, "Job matrix").
const MATRIX: usize = 256;

/// Prints all of them or none: a job that is not started is not missed by anybody.
pub(super) fn run(args: TargetsArgs) -> Result<u8, CliError> {
    let (mut targets, mut failed) = (Vec::new(), Vec::new());
    for file in files(&args.paths)? {
        match config::load(&file) {
            Ok((config, _)) => {
                let account = config.aws.declared_account().map(str::to_owned);
                let target = Target {
                    deployment: config.deployment,
                    file: file.display().to_string(),
                    region: config.aws.region,
                    account,
                    role: config.aws.assume_role,
                };
                targets.push((file, target));
            }
            Err(errors) => failed.push((file, CliError::Config(errors))),
        }
    }
    let known = targets.iter().map(|(file, target)| {
        (file.as_path(), (target.deployment.clone(), target.account.clone(), Some(target.region.clone())))
    });
    failed.extend(many::twice(known).into_iter().map(|(file, twice)| (file, twice.error())));
    if !failed.is_empty() {
        return Ok(all_told(&failed));
    }
    let document = TargetsDocument::new(targets.into_iter().map(|(_, target)| target).collect());
    match args.format {
        TargetsFormat::Human => print(&summary::targets(&document))?,
        TargetsFormat::Json => print_json(&document)?,
        TargetsFormat::GithubMatrix => {
            let count = document.targets.len();
            if count > MATRIX {
                return Err(CliError::TooManyJobs { count, most: MATRIX });
            }
            print(&format!("{}\n", document.github_matrix()))?;
        }
    }
    Ok(exit::CLEAN)
}

fn all_told(failed: &[(PathBuf, CliError)]) -> u8 {
    for (file, error) in failed {
        error.print_below(&summary::heading(&file.display().to_string()));
    }
    many::worst(failed.iter().map(|(_, error)| error.exit_code()))
}

//! `pgrotate plan`.

use super::output::{print, print_human, print_json};
use super::session::{Session, denied};
use super::{CliError, DeploymentArgs, Format};
use crate::code::exit;
use crate::plan::Goal;
use crate::render::{human, markdown};
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

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
    /// Save it as well, for `apply` to run exactly this
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit with 2 where there is something to change
    #[arg(long)]
    detailed_exitcode: bool,
    /// Refuse a config with lints that it does not allow: nothing is saved then
    #[arg(long, conflicts_with = "destroy")]
    deny_lints: bool,
}

pub(super) async fn run(args: PlanArgs) -> Result<u8, CliError> {
    if let Some(out) = &args.out {
        args.deployment.not_over(out, "--out")?;
    }
    let session = Session::open(&args.deployment).await?;
    let goal = if args.destroy { Goal::Destroy } else { Goal::Converge };
    let plan = session.plan(goal).await?;
    session.not_prevented(&plan)?;
    let mut document = session.document(&plan);
    if goal == Goal::Converge {
        document = document.linted(session.lints().await?);
    }
    let denied = denied(&document.lints, args.deny_lints);
    // Before anything is printed: what cannot be saved was not planned.
    if let (Some(out), Ok(())) = (&args.out, &denied) {
        session.saved(&plan).write(out)?;
    }
    match args.format {
        Format::Human => print_human(&human::plan(&document))?,
        Format::Json => print_json(&document)?,
        Format::Markdown => {
            let file = args.deployment.config.display();
            let (command, all) = if args.destroy { ("destroy", " --destroy") } else { ("apply", "") };
            let all = format!("pgrotate plan {file}{all}");
            let carried_out =
                format!("pgrotate {command} {}", args.out.as_deref().unwrap_or(&args.deployment.config).display());
            print(&markdown::plan(&document, &all, &carried_out))?;
        }
    }
    // Told below the plan: it says where they are.
    denied?;
    if let Some(out) = &args.out {
        let command = if args.destroy { "destroy" } else { "apply" };
        let out = out.display();
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(
            std::io::stderr().lock(),
            "saved to {out}; exactly this is carried out by: pgrotate {command} {out}"
        );
    }
    Ok(if args.detailed_exitcode && !document.is_empty() { exit::PENDING } else { exit::CLEAN })
}

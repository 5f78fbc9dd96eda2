//! `pgrotate plan`.

use super::many::{self, PathsArgs, Which};
use super::output::{print, print_human, print_json};
use super::session::{Session, denied};
use super::{CliError, DeploymentArgs, Format, FunctionArgs};
use crate::code::exit;
use crate::command::File;
use crate::plan::{Goal, Plan};
use crate::render::summary::Commands;
use crate::render::{OneDocument, PlanDocument, human, markdown};
use crate::resources::Kinds;
use crate::saved::SavedError;
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub(super) deployments: PathsArgs,
    /// Plan the removal of everything instead
    #[arg(long)]
    destroy: bool,
    /// How to print it
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Save it as well, for `apply` to run exactly this; of several, to a directory
    #[arg(long, value_name = "FILE|DIR")]
    out: Option<PathBuf>,
    /// Exit with 2 where there is something to change
    #[arg(long)]
    detailed_exitcode: bool,
    /// Refuse a config with lints that it does not allow: nothing is saved then
    #[arg(long, conflicts_with = "destroy")]
    deny_lints: bool,
}

/// What a run is to do, whichever deployments it is for.
struct Wanted {
    goal: Goal,
    format: Format,
    out: Option<PathBuf>,
    detailed_exitcode: bool,
    deny_lints: bool,
}

impl Wanted {
    /// The plan with its document, and whether its lints are taken.
    async fn plan(&self, session: &Session) -> Result<(Plan<Kinds>, PlanDocument, Result<(), CliError>), CliError> {
        let plan = session.plan(self.goal).await?;
        session.not_prevented(&plan)?;
        let mut document = session.document(&plan);
        if self.goal == Goal::Converge {
            document = document.linted(session.lints().await?);
        }
        let denied = denied(&document.lints, self.deny_lints);
        Ok((plan, document, denied))
    }

    /// What carries a plan out that was saved to `out`, or is made anew from `file`; and what shows it.
    fn commands(&self, file: &Path, out: Option<&Path>) -> Commands {
        let (command, all) = if self.goal == Goal::Destroy { ("destroy", " --destroy") } else { ("apply", "") };
        Commands {
            again: format!("pgrotate plan {}{all}", File::of(file)),
            apply: format!("pgrotate {command} {}", File::of(out.unwrap_or(file))),
        }
    }

    fn is_pending(&self, plan: &PlanDocument) -> bool {
        self.detailed_exitcode && !plan.is_empty()
    }
}

pub(super) async fn run(args: PlanArgs) -> Result<u8, CliError> {
    let PlanArgs { deployments, destroy, format, out, detailed_exitcode, deny_lints } = args;
    let goal = if destroy { Goal::Destroy } else { Goal::Converge };
    let wanted = Wanted { goal, format, out, detailed_exitcode, deny_lints };
    match deployments.which()? {
        Which::One(deployment) => one(wanted, &deployment).await,
        Which::Many(files, functions) => several(wanted, files, &functions).await,
    }
}

async fn one(wanted: Wanted, deployment: &DeploymentArgs) -> Result<u8, CliError> {
    if let Some(out) = &wanted.out {
        deployment.not_over(out, "--out")?;
    }
    let session = Session::open(deployment).await?;
    let (plan, document, denied) = wanted.plan(&session).await?;
    // Before anything is printed: what cannot be saved was not planned.
    if let (Some(out), Ok(())) = (&wanted.out, &denied) {
        session.saved(&plan).write(out)?;
    }
    let commands = wanted.commands(&deployment.config, wanted.out.as_deref());
    match wanted.format {
        Format::Human => print_human(&human::plan(&document))?,
        Format::Json => print_json(&document)?,
        Format::Markdown => print(&markdown::plan(&document, &commands.again, &commands.apply))?,
    }
    // Told below the plan: it says where they are.
    denied?;
    if let Some(out) = &wanted.out {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(
            std::io::stderr().lock(),
            "saved to {}; exactly this is carried out by: {}",
            out.display(),
            commands.apply
        );
    }
    Ok(if wanted.is_pending(&document) { exit::PENDING } else { exit::CLEAN })
}

async fn several(wanted: Wanted, files: Vec<PathBuf>, functions: &FunctionArgs) -> Result<u8, CliError> {
    if let Some(folder) = &wanted.out {
        made(folder)?;
    }
    let out = |document: &OneDocument| wanted.out.as_ref().map(|folder| folder.join(saved_as(document)));
    let planned = async |session: &Session, _: &Path| {
        let (plan, document, denied) = wanted.plan(session).await?;
        let document = OneDocument::Plan(document);
        if let (Some(out), Ok(())) = (out(&document), &denied) {
            session.saved(&plan).write(&out)?;
        }
        Ok((document, denied.err()))
    };
    let commands =
        |file: &Path, document: Option<&OneDocument>| wanted.commands(file, document.and_then(out).as_deref());
    let all = many::each(files, functions, planned, commands).await?;
    let saved = match all.iter().filter(|one| one.error.is_none()).count() {
        0 => None,
        1 => Some("1 plan; it is".to_owned()),
        more => Some(format!("{more} plans; exactly one of them is")),
    };
    let exit = many::tell("plan", wanted.format, all, |document| match document {
        OneDocument::Plan(plan) => wanted.is_pending(plan),
        OneDocument::Drift(_) | OneDocument::Status(_) | OneDocument::Validation(_) => false,
    })?;
    if let Some(folder) = &wanted.out {
        let command = if wanted.goal == Goal::Destroy { "destroy" } else { "apply" };
        // As with one.
        let _ = writeln!(
            std::io::stderr().lock(),
            "{}",
            match saved {
                Some(saved) =>
                    format!("saved to {} as {saved} carried out by: pgrotate {command} PLAN", folder.display()),
                None => format!("nothing was saved to {}", folder.display()),
            }
        );
    }
    Ok(exit)
}

/// The directory that plans are saved to, made where it is not there.
fn made(folder: &Path) -> Result<(), CliError> {
    if folder.is_file() {
        return Err(CliError::NotAFolder { path: folder.to_owned() });
    }
    let failed = |source| SavedError::Unwritable { path: folder.display().to_string(), source };
    Ok(std::fs::create_dir_all(folder).map_err(failed)?)
}

/// A name that no other deployment's plan has.
fn saved_as(document: &OneDocument) -> String {
    let (deployment, account, region) = document.whose();
    let parts = [Some(deployment), region, account, Some("plan")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(".")
}

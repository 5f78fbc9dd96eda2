//! `pgrotate report`: everything about a deployment on one HTML page.

use super::session::Session;
use super::{CliError, DeploymentArgs, not_over, status};
use crate::code::exit;
use crate::plan::Goal;
use crate::render::DriftDocument;
use crate::render::html::{self, Page};
use crate::render::run::Lines;
use crate::saved::write_whole;
use clap::Args;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// An apply of ten thousand logins writes some 20 MiB. A path can name anything, also what has no end.
const LONGEST: u64 = 256 << 20;

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    pub(super) deployment: DeploymentArgs,
    /// Where to write the page
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
    /// What `apply --journal` has written: its last run of this deployment is told as well
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

/// Looks at AWS once. What it finds does not make it fail: for that there are `status` and `drift`.
pub(super) async fn run(args: ReportArgs) -> Result<u8, CliError> {
    let ReportArgs { deployment, html: out, journal } = args;
    deployment.not_over(&out, "--html")?;
    // Before AWS is asked for what takes a while.
    let lines = match &journal {
        Some(path) => {
            not_over(path, &out, "--html")?;
            Some((path, read(path)?))
        }
        None => None,
    };
    let session = Session::open(&deployment).await?;
    let place = session.aws.place();
    let run = match lines {
        Some((path, lines)) => {
            let run = lines.last_run(&session.config.deployment, &place);
            Some(run.map_err(|source| CliError::NoRun { path: path.clone(), source })?)
        }
        None => None,
    };
    let seen = jiff::Timestamp::now();
    let (plan, live) = session.look(Goal::Converge).await?;
    let plan = session.document(&plan).linted(session.lints().await?);
    let apply = format!("pgrotate apply {}", session.file);
    let page = html::page(&Page {
        plan: &plan,
        drift: &DriftDocument::of(&plan, &apply),
        status: &status::document(&session, &live),
        run: run.as_ref(),
        seen,
        apply: &apply,
    });
    write_whole(&out, &page).map_err(|source| CliError::PageUnwritable { path: out.clone(), source })?;
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr().lock(), "written to {}", out.display());
    Ok(exit::CLEAN)
}

fn read(path: &Path) -> Result<Lines, CliError> {
    let unreadable = |source| CliError::JournalUnreadable { path: path.to_owned(), source };
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut text)).map_err(unreadable)?;
    if text.len() as u64 > LONGEST {
        return Err(unreadable(std::io::Error::other("it has more than 256 MiB")));
    }
    Lines::read(&text).map_err(|source| CliError::NoRun { path: path.to_owned(), source })
}

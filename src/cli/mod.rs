//! The commands: parse, run, print, exit code. One file each.

mod adopt;
mod apply;
mod completions;
mod destroy;
mod drift;
mod error;
mod explain;
mod graph;
mod init;
mod journal;
mod log;
mod logs;
mod many;
mod output;
mod plan;
mod progress;
mod recover;
mod report;
mod rotate;
mod schema;
mod session;
mod status;
mod stop;
mod targets;
mod validate;

pub use error::CliError;

use crate::code::exit;
use crate::config;
use crate::function_zip::{self, ZipError};
use crate::resources::artifact::Zip;
use journal::Journal;
use log::LogArgs;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Declares, plans and keeps password rotation for PostgreSQL on Amazon RDS.
#[derive(Debug, Parser)]
#[command(version, about, disable_help_subcommand = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a first config, from what the account has and what you answer
    Init(Box<init::InitArgs>),
    /// Show what apply would do, and change nothing
    Plan(plan::PlanArgs),
    /// Make AWS and the database what the config says
    Apply(apply::ApplyArgs),
    /// Take over what others have made under a name of the config, and change nothing else of it
    Adopt(adopt::AdoptArgs),
    /// Remove everything of the deployment, and say what remains
    Destroy(destroy::DestroyArgs),
    /// Rotate one login's password now
    Rotate(rotate::RotateArgs),
    /// Find out why a login does not work or rotate, and put it right
    Recover(recover::RecoverArgs),
    /// Tell how every login stands: current user, last and next rotation, health
    Status(status::StatusArgs),
    /// Tell what has moved away from the config, for cron: exit code 2 if anything has
    Drift(drift::DriftArgs),
    /// Write one HTML page of it all: drift, logins, rotation calendar, plan and its graph, the last run
    Report(report::ReportArgs),
    /// Tell why one resource is planned for as it is: config, live facts, difference, what waits for what
    Explain(explain::ExplainArgs),
    /// Show what the functions have logged about one login
    Logs(logs::LogsArgs),
    /// Draw the deployment's resources, what each waits for, and what a plan would do
    Graph(graph::GraphArgs),
    /// Check a config without asking AWS
    Validate(validate::ValidateArgs),
    /// List the deployments of files and directories, without asking AWS: for a job for each
    Targets(targets::TargetsArgs),
    /// Print the JSON Schema of the config, or of what other commands print and write
    Schema(schema::SchemaArgs),
    /// Print what makes a shell complete commands and flags
    Completions(completions::CompletionsArgs),
}

/// What every command needs to know.
#[derive(Debug, Clone, Args)]
struct DeploymentArgs {
    /// The deployment's config file
    #[arg(value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    functions: FunctionArgs,
}

/// Which functions are deployed.
#[derive(Debug, Clone, Args)]
struct FunctionArgs {
    /// Certificate authorities (PEM) that the functions trust beside those of RDS
    #[arg(long, env = "PGROTATE_CA_BUNDLE", value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// A zip of the functions to use instead of the one in this binary
    #[arg(long, env = "PGROTATE_FUNCTION_ZIP", value_name = "FILE")]
    function_zip: Option<PathBuf>,
}

impl FunctionArgs {
    /// The zip that becomes the three functions.
    fn zip(&self) -> Result<Zip, ZipError> {
        function_zip::load(self.function_zip.as_deref(), self.ca_bundle.as_deref())
    }
}

impl DeploymentArgs {
    /// Refuses a directory: what changes something is done with one deployment.
    fn one(&self) -> Result<(), CliError> {
        if !self.config.is_dir() {
            return Ok(());
        }
        // What is wrong with the directory itself is of no interest here.
        let files = config::folder(&self.config).map(|folder| folder.deployments).unwrap_or_default();
        Err(CliError::OneDeployment { path: self.config.clone(), files })
    }

    /// Refuses to write to a file that is read.
    fn not_over(&self, out: &Path, flag: &'static str) -> Result<(), CliError> {
        let extended = config::extended(&self.config);
        std::iter::once(&self.config).chain(&extended).try_for_each(|read| not_over(read, out, flag))
    }

    /// The journal that is asked for, opened before anything is changed.
    fn journal(&self, path: Option<&Path>) -> Result<Option<Journal>, CliError> {
        let Some(path) = path else { return Ok(None) };
        self.not_over(path, "--journal")?;
        Journal::open(path).map(Some)
    }
}

/// Refuses to write by `flag` to a file that is read.
fn not_over(read: &Path, out: &Path, flag: &'static str) -> Result<(), CliError> {
    // What cannot be resolved is not there yet, or is told of once it is opened.
    match (read.canonicalize(), out.canonicalize()) {
        (Ok(one), Ok(other)) if one == other => Err(CliError::OverConfig { path: out.to_owned(), flag }),
        _ => Ok(()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Human,
    /// For programs
    Json,
    /// For a comment on a pull request or an issue: never longer than GitHub takes
    Markdown,
}

/// Runs the command line and answers with the process's exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            if !error.use_stderr() {
                // Help or version, in colour where there is a terminal.
                return end(output::written(error.print()).map(|()| exit::CLEAN));
            }
            let _ = write!(std::io::stderr().lock(), "{}", error::usage(&error));
            return ExitCode::from(exit::ERROR);
        }
    };
    cli.log.start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(async {
            match cli.command {
                Command::Init(args) => init::run(*args).await,
                Command::Plan(args) => plan::run(args).await,
                Command::Apply(args) => apply::run(args).await,
                Command::Adopt(args) => adopt::run(args).await,
                Command::Destroy(args) => destroy::run(args).await,
                Command::Rotate(args) => rotate::run(args).await,
                Command::Recover(args) => recover::run(args).await,
                Command::Status(args) => status::run(args).await,
                Command::Drift(args) => drift::run(args).await,
                Command::Report(args) => report::run(args).await,
                Command::Explain(args) => explain::run(args).await,
                Command::Logs(args) => logs::run(args).await,
                Command::Graph(args) => graph::run(args).await,
                Command::Validate(args) => validate::run(args),
                Command::Targets(args) => targets::run(args),
                Command::Schema(args) => schema::run(&args),
                Command::Completions(args) => completions::run(&args),
            }
        }),
        Err(error) => Err(CliError::Io { doing: "start the runtime", source: error }),
    };
    end(result)
}

fn end(result: Result<u8, CliError>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            error.print();
            ExitCode::from(error.exit_code())
        }
    }
}

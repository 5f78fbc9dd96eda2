//! `pgrotate explain`: why one resource is planned for as it is.

use super::output::{print_human, print_json};
use super::session::Session;
use super::{CliError, DeploymentArgs};
use crate::code::exit;
use crate::plan::Goal;
use crate::render::human;
use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    deployment: DeploymentArgs,
    /// What to explain, as plan names it: db_instance.NAME, login.LOGIN, …
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// How to print it
    #[arg(long, value_enum, default_value = "human")]
    format: ExplainFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExplainFormat {
    /// For people
    Human,
    /// For programs
    Json,
}

pub(super) async fn run(args: ExplainArgs) -> Result<u8, CliError> {
    let session = Session::open(&args.deployment).await?;
    let plan = session.plan(Goal::Converge).await?;
    let place = session.aws.place();
    let explained = session.explained(&plan, &place);
    let known = explained.addresses();
    let Some(address) = known.iter().find(|known| known.to_string() == args.address) else {
        return Err(CliError::NoSuchAddress { address: args.address, known: known.into_iter().collect() });
    };
    let document = explained.of(address);
    match args.format {
        ExplainFormat::Human => print_human(&human::explanation(&document))?,
        ExplainFormat::Json => print_json(&document)?,
    }
    Ok(exit::CLEAN)
}

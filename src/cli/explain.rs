//! `pgrotate explain`: why one resource is planned for as it is.

use super::output::{print_human, print_json};
use super::session::{Looked, Session};
use super::{CliError, DeploymentArgs};
use crate::code::exit;
use crate::explain::Found;
use crate::plan::{Goal, PlanError, sights};
use crate::render::human;
use crate::resources::Kinds;
use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    pub(super) deployment: DeploymentArgs,
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
    let Looked { live, planned } = session.look_whatever_comes(Goal::Converge).await?;
    let (place, sights) = (session.aws.place(), sights::<Kinds>(&live));
    let planned = match planned {
        Ok(plan) => Ok(plan),
        // The question is answered all the same: what stands in the way is a part of it.
        Err(PlanError::Refused(refusals)) => Err(refusals),
        Err(error) => return Err(error.into()),
    };
    let found = match &planned {
        Ok(plan) => Found::Planned(plan),
        Err(refusals) => Found::Refused { sights: &sights, refusals },
    };
    let explained = session.explained(found, &place);
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

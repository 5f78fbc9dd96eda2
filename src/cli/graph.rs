//! `pgrotate graph`: the deployment's resources and what each waits for, with what a plan would do.

use super::output::print;
use super::session::Session;
use super::{CliError, DeploymentArgs};
use crate::code::exit;
use crate::plan::Goal;
use crate::render::{GraphDocument, PlanDocument, graph};
use crate::resource::Family;
use crate::resources::Kinds;
use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(super) struct GraphArgs {
    #[command(flatten)]
    pub(super) deployment: DeploymentArgs,
    /// The language to draw it in
    #[arg(long, value_enum, default_value = "dot")]
    format: GraphFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    /// Graphviz
    Dot,
    /// As GitHub draws it
    Mermaid,
}

pub(super) async fn run(args: GraphArgs) -> Result<u8, CliError> {
    let session = Session::open(&args.deployment).await?;
    let plan = session.plan(Goal::Converge).await?;
    let plan = PlanDocument::of(&plan, &session.config.deployment, &session.aws.place());
    let resources = session.wants.iter().map(|want| (Kinds::address(want), Kinds::needs(want)));
    let document = GraphDocument::of(&plan, resources);
    print(&match args.format {
        GraphFormat::Dot => graph::dot(&document),
        GraphFormat::Mermaid => graph::mermaid(&document),
    })?;
    Ok(exit::CLEAN)
}

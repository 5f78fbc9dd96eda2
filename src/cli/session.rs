//! What every command does first: read the config, see whose account it is, look at the network, and
//! build the desired model.

use super::{CliError, DeploymentArgs};
use crate::aws::Aws;
use crate::config::{self, Config, Errors};
use crate::desired;
use crate::function_zip;
use crate::plan::{self, Goal, Plan, PlanError};
use crate::resources::{self, Kinds, Want, login, secret};

pub struct Session {
    pub config: Config,
    pub aws: Aws,
    pub wants: Vec<Want>,
}

impl Session {
    pub async fn open(args: &DeploymentArgs) -> Result<Self, CliError> {
        let (config, source) = config::load(&args.config)?;
        let zip = function_zip::load(args.function_zip.as_deref(), args.ca_bundle.as_deref())?;
        let aws = Aws::connect(&config.aws.region).await?;
        if let Some(declared) = &config.aws.account
            && *declared != aws.account
        {
            return Err(CliError::WrongAccount { declared: declared.clone(), actual: aws.account });
        }
        let subnets: Vec<_> = config.network.subnets.iter().map(|subnet| subnet.value.as_str()).collect();
        let network = aws.network(&config.network.vpc.value, &subnets).await?;
        let wants =
            desired::build(&config, &aws.place(), &network, &zip).map_err(|errors| Errors::new(source, errors))?;
        Ok(Self { config, aws, wants })
    }

    /// A declared login by its name in PostgreSQL.
    pub fn login(&self, name: &str) -> Result<&login::Desired, CliError> {
        let logins: Vec<_> = self
            .wants
            .iter()
            .filter_map(|want| match want {
                Want::Login(login) => Some(login),
                _ => None,
            })
            .collect();
        logins.iter().find(|login| login.login == name).copied().ok_or_else(|| CliError::NoSuchLogin {
            login: name.to_owned(),
            known: logins.iter().map(|login| login.login.clone()).collect(),
        })
    }

    /// Observes everything and plans.
    pub async fn plan(&self, goal: Goal) -> Result<Plan<Kinds>, CliError> {
        let tagged = secret::tagged(&self.aws, &self.config.deployment).await?;
        let leavers =
            desired::leavers(&self.config, &self.wants, tagged, goal == Goal::Converge).map_err(PlanError::Refused)?;
        let all: Vec<_> = self.wants.iter().chain(&leavers).cloned().collect();
        let live = resources::observe(&self.aws, &all).await?;
        Ok(plan::plan(goal, &self.wants, &leavers, &live)?)
    }
}

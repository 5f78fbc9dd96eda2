//! What every command does first: read the config, see whose account it is, look at the network, and
//! build the desired model.

use super::{CliError, DeploymentArgs};
use crate::aws::{Aws, AwsError, Candidate, NetworkQuestion, ProxyLook};
use crate::code::{Code, Coded, LOG};
use crate::config::{self, Client, Config, Errors, SecretsManagerPath, Source};
use crate::desired::{self, Around};
use crate::explain::Explained;
use crate::function_zip::ZipError;
use crate::lint::{self, Finding, Live};
use crate::model::{Address, Place, Seen};
use crate::plan::adopting;
use crate::plan::limits::{self, Removals};
use crate::plan::{self, Goal, Plan, PlanError};
use crate::render::PlanDocument;
use crate::resource::{Family, Note};
use crate::resources::artifact::Zip;
use crate::resources::db_instance::Version;
use crate::resources::{self, AnyLive, Kinds, Want, login, tagged};
use crate::saved::{SavedConfig, SavedPlan};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;
use tracing::info;

pub struct Session {
    pub config: Config,
    pub aws: Aws,
    pub wants: Vec<Want>,
    source: Source,
    /// What of the network was found by its tags: what it is, and its ids.
    found: BTreeMap<String, String>,
    /// SHA-256 of the functions' zip, lower-case hex.
    function_zip: String,
}

impl Session {
    pub async fn open(args: &DeploymentArgs) -> Result<Self, CliError> {
        args.one()?;
        Self::open_file(&args.config, || args.functions.zip()).await
    }

    /// Of a file; the functions' zip is asked for only where the file is good.
    pub async fn open_file(file: &Path, zip: impl FnOnce() -> Result<Zip, ZipError>) -> Result<Self, CliError> {
        let began = Instant::now();
        let (config, source) = config::load(file)?;
        let (elapsed_ms, deployment) = (milliseconds(began), config.deployment.as_str());
        info!(target: LOG, file = %file.display(), deployment, elapsed_ms, "config read");
        let zip = zip()?;
        let aws = connect(&config).await?;
        Self::with(aws, config, source, zip).await
    }

    /// Plans again what a saved plan was made for; refused unless that is what is left of it to do.
    pub async fn resume(saved: &SavedPlan, goal: Goal, args: &DeploymentArgs) -> Result<(Self, Plan<Kinds>), CliError> {
        let zip = args.functions.zip()?;
        saved.fits(goal, zip.sha256())?;
        let source = Source::of(saved.config.files(), saved.config.variables());
        let config = config::read(&source)?;
        let aws = connect(&config).await?;
        // First of all: in another account nothing of what the config names is found, which would be told instead.
        saved.made_for(&aws.place(), &config.deployment)?;
        let session = Self::with(aws, config, source, zip).await?;
        saved.found_again(&session.found)?;
        let plan = session.plan(goal).await?;
        saved.check(&plan, &session.aws.place(), &session.config.deployment)?;
        Ok((session, plan))
    }

    /// What `config` wants, where AWS is as it is now.
    pub async fn with(aws: Aws, mut config: Config, source: Source, zip: Zip) -> Result<Self, CliError> {
        let began = Instant::now();
        let found = found_by_tags(&aws, &mut config, &source).await?;
        let around = around(&aws, &config).await?;
        info!(target: LOG, elapsed_ms = milliseconds(began), "network looked at");
        let wants = desired::build(&config, &aws.place(), &around, &zip)
            .map_err(|errors| Errors::new(source.clone(), errors))?;
        Ok(Self { config, aws, wants, source, found, function_zip: zip.sha256().to_owned() })
    }

    /// The plan as people and programs read it, with the lints that need no AWS; what goes is not linted.
    pub fn document(&self, plan: &Plan<Kinds>) -> PlanDocument {
        let removals = Removals::of(plan, self.config.limits.deletes);
        let lints = match plan.goal {
            Goal::Converge => lint::lint(&self.config, &self.source, None),
            Goal::Destroy => Vec::new(),
        };
        let named = limits::to_be_named(plan);
        let document = PlanDocument::of(plan, &self.config.deployment, &self.aws.place());
        document.limited(&removals, &named).linted(lints)
    }

    /// All lints, also those for which AWS has to be asked: one call more, which no plan depends on.
    pub async fn lints(&self) -> Result<Vec<Finding>, CliError> {
        let proxies = proxies(&self.aws, &self.config).await?;
        let live = Live { place: &self.aws.place(), proxies: proxies.as_deref().map_err(String::as_str) };
        Ok(lint::lint(&self.config, &self.source, Some(live)))
    }

    /// Refused is what the config never lets happen.
    pub fn not_prevented(&self, plan: &Plan<Kinds>) -> Result<(), CliError> {
        let lost = limits::irreversible(plan);
        let destroys = plan.goal == Goal::Destroy && !plan.actions.is_empty();
        if self.config.limits.prevent_destroy && (destroys || !lost.is_empty()) {
            return Err(CliError::Prevented { lost });
        }
        Ok(())
    }

    /// Refused is what takes away more than it may; `told` is how many somebody has said are meant, and `named` what of
    /// them has to be said by its address.
    pub fn within_limits(
        &self,
        plan: &Plan<Kinds>,
        (told, named): (Option<usize>, &[String]),
        file: &Path,
    ) -> Result<(), CliError> {
        self.not_prevented(plan)?;
        let unnamed: Vec<_> = limits::to_be_named(plan)
            .into_iter()
            .filter(|(address, _)| !named.iter().any(|named| *named == address.to_string()))
            .collect();
        if !unnamed.is_empty() {
            return Err(CliError::MustBeNamed { unnamed, file: file.to_owned() });
        }
        let removals = Removals::of(plan, self.config.limits.deletes);
        let allowed = told.unwrap_or(removals.allowed);
        if removals.things.len() > allowed {
            return Err(CliError::TooManyDeletes { things: removals.things, allowed, file: file.to_owned() });
        }
        Ok(())
    }

    /// What explanations of `plan` are put together from.
    pub fn explained<'a>(&'a self, plan: &'a Plan<Kinds>, place: &'a Place) -> Explained<'a> {
        Explained { config: &self.config, source: &self.source, place, wants: &self.wants, plan }
    }

    /// What `plan` was, for whoever is to review it and apply exactly that.
    pub fn saved(&self, plan: &Plan<Kinds>) -> SavedPlan {
        SavedPlan::of(
            plan,
            SavedConfig::of(self.source.files(), self.source.variables()),
            &self.function_zip,
            &self.aws.place(),
            &self.config.deployment,
        )
        .for_what_was_found(&self.found)
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

    /// Looks at some addresses, and plans to take over what others have made there.
    pub async fn adoption(&self, addresses: &[String]) -> Result<Plan<Kinds>, CliError> {
        let mut chosen = Vec::new();
        for want in &self.wants {
            let address = Kinds::address(want);
            if addresses.iter().any(|named| *named == address.to_string()) {
                let mut want = want.clone();
                resources::adopting::declare(&mut want)
                    .map_err(|instead| CliError::NeverAdopted { address, instead })?;
                chosen.push(want);
            }
        }
        let known: Vec<Address> = self.wants.iter().map(Kinds::address).collect();
        if let Some(unknown) = addresses.iter().find(|named| !known.iter().any(|known| **named == known.to_string())) {
            return Err(CliError::NoSuchAddress { address: unknown.clone(), known });
        }
        let live = resources::observe(&self.aws, &chosen).await?;
        Ok(adopting::adopt(&chosen, &live)?)
    }

    /// Which network the tags have led to, for whoever reads the plan: said of the stack, whose functions are in it.
    fn told_found(&self) -> Option<Note> {
        let stack = self.wants.iter().find(|want| matches!(want, Want::Stack(_)))?;
        let found: Vec<_> = self.found.iter().map(|(what, ids)| format!("{what} {ids}")).collect();
        let text = format!("found by tags: {}", found.join("; "));
        (!found.is_empty()).then(|| Note { address: Kinds::address(stack), text, remedy: None })
    }

    /// Observes everything and plans.
    pub async fn plan(&self, goal: Goal) -> Result<Plan<Kinds>, CliError> {
        Ok(self.look(goal).await?.0)
    }

    /// Observes everything and plans; answers with what was seen as well, for whoever tells more of it than a plan does.
    pub async fn look(&self, goal: Goal) -> Result<(Plan<Kinds>, BTreeMap<Address, Seen<AnyLive>>), CliError> {
        let began = Instant::now();
        let found = tagged::tagged(&self.aws, &self.config.deployment).await?;
        let mut wants = self.wants.clone();
        let mut notes = desired::look_alikes(&self.config, &wants, &found);
        notes.0.extend(self.told_found());
        let leavers = desired::leavers(&self.config, &self.aws.place(), &mut wants, found, goal == Goal::Converge)
            .map_err(PlanError::Refused)?;
        let all: Vec<_> = wants.iter().chain(leavers.iter().map(|leaver| &leaver.want)).cloned().collect();
        let live = resources::observe(&self.aws, &all).await?;
        info!(target: LOG, resources = live.len(), elapsed_ms = milliseconds(began), "looked");
        let began = Instant::now();
        let plan = plan::plan(goal, &wants, &leavers, &live)?.noting(notes);
        info!(target: LOG, actions = plan.actions.len(), elapsed_ms = milliseconds(began), "planned");
        Ok((plan, live))
    }
}

/// Since `began`, as it is logged.
pub(super) fn milliseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Refused is a config with lints, by whoever wants none.
pub fn denied(lints: &[Finding], deny: bool) -> Result<(), CliError> {
    if deny && !lints.is_empty() {
        return Err(CliError::Linted { lints: lints.iter().map(|lint| lint.code).collect() });
    }
    Ok(())
}

/// The RDS Proxies, or why AWS does not tell of them: where it may not be asked, or has none, that is a lint of its own,
/// since all that a plan needs was seen.
async fn proxies(aws: &Aws, config: &Config) -> Result<Result<Vec<ProxyLook>, String>, AwsError> {
    if !lint::concerns_proxies(config) {
        return Ok(Ok(Vec::new()));
    }
    match aws.proxies().await {
        Ok(proxies) => Ok(Ok(proxies)),
        Err(error) if [Code::AccessDenied, Code::AwsRefused].contains(&error.code()) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

/// AWS, in the one account that the config allows.
async fn connect(config: &Config) -> Result<Aws, CliError> {
    let began = Instant::now();
    let aws = Aws::connect(&config.aws.region, config.aws.assume_role.as_deref()).await?;
    let (account, region) = (aws.account.as_str(), aws.region.as_str());
    info!(target: LOG, account, region, elapsed_ms = milliseconds(began), "account known");
    match &config.aws.account {
        Some(declared) if *declared != aws.account => {
            Err(CliError::WrongAccount { declared: declared.clone(), actual: aws.account })
        }
        _ => Ok(aws),
    }
}

/// Looks up what the config means by tags, and puts it into the config. Answers with what was found, by what it is.
async fn found_by_tags(aws: &Aws, config: &mut Config, source: &Source) -> Result<BTreeMap<String, String>, CliError> {
    let at_line = |error| Errors::new(source.clone(), vec![error]);
    let mut found = BTreeMap::new();
    if config.network.vpc_id().is_none() {
        let vpc = desired::choose::vpc(config, &candidates(aws.vpcs().await?)).map_err(at_line)?;
        found.extend(vpc.map(|vpc| ("vpc".to_owned(), vpc)));
    }
    if let (Some(vpc), None) = (config.network.vpc_id(), config.network.subnet_ids()) {
        let all = candidates(aws.subnets_in(vpc).await?);
        let subnets = desired::choose::subnets(config, &all).map_err(at_line)?;
        found.extend(subnets.map(|subnets| ("subnets".to_owned(), subnets.join(", "))));
    }
    Ok(found)
}

fn candidates<T: Into<Candidate>>(found: Vec<T>) -> Vec<Candidate> {
    found.into_iter().map(Into::into).collect()
}

/// Looks at what stands around the deployment.
async fn around(aws: &Aws, config: &Config) -> Result<Around, AwsError> {
    let network = &config.network;
    let subnets = network.subnet_ids().unwrap_or_default();
    let subnets: Vec<_> = subnets.iter().map(|subnet| subnet.value.as_str()).collect();
    let groups: Vec<_> = network
        .allow
        .iter()
        .filter_map(|allow| match &allow.from {
            Client::Group(group) => Some(group.value.as_str()),
            Client::Cidr(_) => None,
        })
        .collect();
    let service = desired::secrets_manager_service(&config.aws.region);
    let question = NetworkQuestion {
        vpc: network.vpc_id().unwrap_or_default(),
        subnets: &subnets,
        groups: &groups,
        routes: network.secrets_manager.value == SecretsManagerPath::Nat,
        service: (network.secrets_manager.value == SecretsManagerPath::ExistingEndpoint).then_some(service.as_str()),
    };
    let major = config.database.instance.as_ref().and_then(|instance| Version::parse(&instance.engine_version.value));
    let versions = async {
        match major {
            Some(version) => aws.postgres_versions(version.major).await,
            None => Ok(Vec::new()),
        }
    };
    let (network, versions) = futures_util::future::try_join(aws.network(question), versions).await?;
    let mut versions: Vec<_> = versions.iter().filter_map(|version| Version::parse(version)).collect();
    versions.sort();
    Ok(Around { network, versions })
}

//! The answers: from flags, from what AWS has, from whoever is asked, or by default, in this order.

use super::ask::Asker;
use super::{CliError, InitArgs};
use crate::aws::{Aws, DatabaseFound, Look, NetworkLook, NetworkQuestion, SubnetFound, SubnetGroupFound, VpcFound};
use crate::code::Code;
use crate::config::SecretsManagerPath;
use crate::desired::secrets_manager_service;
use crate::init::{self, Answers, Because, Client, Database, Login, Question};
use crate::model::address_of;
use crate::resources::db_cluster;
use crate::resources::db_instance::{self, DbInstance};
use function_contract::{decode_tag, encode_tag, tag};

/// The cheapest of the current generation that runs every major on offer.
const CLASS: &str = "db.t4g.micro";

/// The least that RDS makes.
const STORAGE_GIB: u32 = 20;

/// The article's.
const EVERY: &str = "10 days";

/// The article's name for who rotates the others.
const ADMIN: &str = "rotator_admin";

/// Rules carry what is said of a client; of one that nothing was said of.
const CLIENT: &str = "client";

pub(super) struct Survey<'a> {
    pub aws: &'a Aws,
    pub args: &'a InitArgs,
    pub asker: Asker,
}

/// What it is for.
enum Purpose {
    New(String),
    Existing { found: Box<DatabaseFound>, is_cluster: bool },
}

/// A database with where it stands, or is to stand.
struct Standing {
    database: Database,
    /// None of a new one, which is made with the config's default.
    master: Option<String>,
    vpc: String,
    subnets: Vec<String>,
    network: NetworkLook,
}

impl Survey<'_> {
    pub async fn answers(&self) -> Result<Answers, CliError> {
        let standing = match self.purpose().await? {
            Purpose::New(identifier) => self.new_instance(identifier).await?,
            Purpose::Existing { found, is_cluster } => self.existing(*found, is_cluster).await?,
        };
        let Standing { database, master, vpc, subnets, network } = standing;
        let proposed = init::deployment_name(database.identifier());
        let deployment =
            self.text(&self.args.deployment, "Name of the deployment", &proposed, Question::Deployment).await?;
        let secrets_manager = self.path(&deployment, &vpc, &subnets, &network).await?;
        let users = self.users(master.as_deref().unwrap_or("postgres")).await?;
        let every = self.text(&self.args.every, "How often passwords rotate", EVERY, Question::Every).await?;
        let allow = self.allow(&database).await?;
        let look = Look::new(self.aws);
        let admin = self.admin(&look, &deployment).await?;
        let users = users.iter().map(|user| self.login(&look, &deployment, user, init::secret_name(user)));
        let users = futures_util::future::try_join_all(users).await?;
        let (region, account) = (self.aws.region.clone(), self.aws.account.clone());
        Ok(Answers { deployment, region, account, vpc, subnets, secrets_manager, allow, database, every, admin, users })
    }

    /// A flag's value, an answer, or the default.
    async fn text(
        &self,
        flag: &Option<String>,
        what: &str,
        default: &str,
        question: Question<'_>,
    ) -> Result<String, CliError> {
        match flag {
            Some(value) => Ok(value.clone()),
            None if self.asker.asks() => {
                self.asker.text(what, Some(default), |answer| init::check(question, answer)).await
            }
            None => Ok(default.to_owned()),
        }
    }

    async fn purpose(&self) -> Result<Purpose, CliError> {
        let InitArgs { identifier, from_instance, from_cluster, .. } = self.args;
        if let Some(identifier) = identifier {
            good("--identifier", Question::Identifier, identifier)?;
            self.not_there(identifier).await?;
            return Ok(Purpose::New(identifier.clone()));
        }
        if let Some(named) = from_instance {
            let found = self.named(named, false, self.aws.instances().await?)?;
            return Ok(Purpose::Existing { found: Box::new(found), is_cluster: false });
        }
        if let Some(named) = from_cluster {
            let found = self.named(named, true, self.aws.clusters().await?)?;
            return Ok(Purpose::Existing { found: Box::new(found), is_cluster: true });
        }
        let (instances, clusters) = futures_util::future::try_join(self.aws.instances(), self.aws.clusters()).await?;
        let of = |is_cluster: bool| move |found: &DatabaseFound| unfit(found, is_cluster).is_none();
        let all = instances.into_iter().filter(of(false)).map(|found| (found, false));
        let mut all: Vec<_> = all.chain(clusters.into_iter().filter(of(true)).map(|found| (found, true))).collect();
        let mut items = vec!["a new DB instance, which is made".to_owned()];
        items.extend(all.iter().map(|(found, is_cluster)| {
            let DatabaseFound { identifier, engine, version, status, .. } = found;
            format!("the DB {} {identifier} ({engine} {version}, {status})", kind(*is_cluster))
        }));
        match self.asker.one("What for", &items, 0).await? {
            0 => {
                let check = |answer: &str| init::check(Question::Identifier, answer);
                let identifier = self.asker.text("Identifier of the new DB instance", None, check).await?;
                self.not_there(&identifier).await?;
                Ok(Purpose::New(identifier))
            }
            chosen => {
                let (found, is_cluster) = all.swap_remove(chosen - 1);
                Ok(Purpose::Existing { found: Box::new(found), is_cluster })
            }
        }
    }

    /// Refuses to begin anew with what is there: a config that declares it otherwise would change it, or take away what the
    /// deployment that made it has.
    async fn not_there(&self, identifier: &str) -> Result<(), CliError> {
        let mut instances = self.aws.instances().await?;
        let Some(at) = instances.iter().position(|found| found.identifier.eq_ignore_ascii_case(identifier)) else {
            return Ok(());
        };
        let found = instances.swap_remove(at);
        let hint = match unfit(&found, false) {
            Some((cause, hint)) => format!("{cause}: {hint}"),
            None => format!("to refer to it: --from-instance {identifier}; or name another by --identifier"),
        };
        let cause = format!("there is a DB instance `{}` already", found.identifier);
        Err(CliError::NoStart { code: Code::UnfitInstance, cause, hint })
    }

    /// The database of that name, among those that were found.
    fn named(&self, named: &str, is_cluster: bool, found: Vec<DatabaseFound>) -> Result<DatabaseFound, CliError> {
        let kind = kind(is_cluster);
        let fit: Vec<_> = found.iter().filter(|found| unfit(found, is_cluster).is_none()).collect();
        let fit: Vec<_> = fit.into_iter().map(|found| found.identifier.clone()).collect();
        // RDS keeps identifiers in lower case, and finds them in any.
        let found = found.into_iter().find(|found| found.identifier.eq_ignore_ascii_case(named));
        let Some(found) = found else {
            let hint = match fit.is_empty() {
                true => "there is none of PostgreSQL; check the region, and whose credentials these are".to_owned(),
                false => format!("name one of these: {}", fit.join(", ")),
            };
            let (region, account) = (&self.aws.region, &self.aws.account);
            let cause = format!("there is no DB {kind} `{named}` in {region} of account {account}");
            return Err(CliError::NoStart { code: Code::NoSuchResource, cause, hint });
        };
        match unfit(&found, is_cluster) {
            Some((cause, hint)) => {
                let code = if is_cluster { Code::UnfitCluster } else { Code::UnfitInstance };
                Err(CliError::NoStart { code, cause, hint })
            }
            None => Ok(found),
        }
    }

    async fn new_instance(&self, identifier: String) -> Result<Standing, CliError> {
        let vpc = self.vpc().await?;
        let found = self.aws.subnets_in(&vpc.id).await?;
        if found.len() < 2 {
            return Err(CliError::NoStart {
                code: Code::UnfitNetwork,
                cause: format!("{} has fewer than two subnets, and RDS wants two availability zones", vpc.id),
                hint: "name another VPC by --vpc, or make subnets in it: aws ec2 create-subnet --vpc-id …".to_owned(),
            });
        }
        let (subnets, network) = self.subnets(&vpc.id, found, true).await?;
        let latest = match self.args.engine_version {
            Some(_) => None,
            None => init::latest_major(&self.aws.all_postgres_versions().await?),
        };
        let engine_version = match (&self.args.engine_version, latest) {
            (Some(version), _) => version.clone(),
            (None, Some(latest)) => {
                self.text(&None, "PostgreSQL version", &latest.to_string(), Question::EngineVersion).await?
            }
            (None, None) => {
                return Err(CliError::NoStart {
                    code: Code::NotOffered,
                    cause: format!("RDS names no PostgreSQL that it offers in {}", self.aws.region),
                    hint: "name a version by --engine-version".to_owned(),
                });
            }
        };
        let class = self.text(&self.args.class, "Instance class", CLASS, Question::Class).await?;
        let database = Database::New {
            subnet_group: format!("{identifier}-subnets"),
            identifier,
            engine_version,
            class,
            storage_gib: self.args.storage.unwrap_or(STORAGE_GIB),
        };
        Ok(Standing { database, master: None, vpc: vpc.id, subnets, network })
    }

    async fn vpc(&self) -> Result<VpcFound, CliError> {
        let mut vpcs = self.aws.vpcs().await?;
        let region = &self.aws.region;
        let chosen = match &self.args.vpc {
            Some(named) => vpcs.iter().position(|vpc| vpc.id == *named).ok_or_else(|| {
                let all: Vec<_> = vpcs.iter().map(told_vpc).collect();
                let (account, all) = (&self.aws.account, all.join("; "));
                CliError::NoStart {
                    code: Code::NotThere,
                    cause: format!("there is no VPC {named} in {region} of account {account}"),
                    hint: if all.is_empty() { "check the region".to_owned() } else { format!("there is {all}") },
                }
            })?,
            None if vpcs.is_empty() => {
                return Err(CliError::NoStart {
                    code: Code::NotThere,
                    cause: format!("there is no VPC in {region} of account {}", self.aws.account),
                    hint: "check the region, or make one: aws ec2 create-default-vpc".to_owned(),
                });
            }
            None => self.asker.one("VPC", &vpcs.iter().map(told_vpc).collect::<Vec<_>>(), 0).await?,
        };
        Ok(vpcs.swap_remove(chosen))
    }

    async fn existing(&self, found: DatabaseFound, is_cluster: bool) -> Result<Standing, CliError> {
        let DatabaseFound { identifier, port, master, subnet_group, groups, .. } = found;
        let kind = kind(is_cluster);
        let code = if is_cluster { Code::UnfitCluster } else { Code::UnfitInstance };
        let no_start = |cause: String, hint: &str| CliError::NoStart { code, cause, hint: hint.to_owned() };
        let Some(port) = port else {
            return Err(no_start(
                format!("the DB {kind} `{identifier}` has no port yet"),
                "begin anew once it is available",
            ));
        };
        let group = match &subnet_group {
            Some(name) => self.aws.subnet_group(name).await?,
            None => None,
        };
        let Some(SubnetGroupFound { vpc, subnets: own }) = group else {
            return Err(no_start(
                format!(
                    "the DB {kind} `{identifier}` is in no DB subnet group, and so in no VPC that functions could be in"
                ),
                "name a database that is in a VPC",
            ));
        };
        let mut found = self.aws.subnets_in(&vpc).await?;
        found.retain(|subnet| own.contains(&subnet.id));
        let (subnets, network) = self.subnets(&vpc, found, false).await?;
        let security_group = match &self.args.security_group {
            Some(name) => Because { value: name.clone(), why: None },
            None => {
                let groups = self.aws.groups_at(&groups, port).await?;
                let best = init::choose_group(&groups);
                let best = best.ok_or_else(|| {
                    no_start(
                        format!("the DB {kind} `{identifier}` is in no security group"),
                        "put it into one: the functions are let in by it",
                    )
                })?;
                if self.asker.asks() && groups.len() > 1 {
                    let names: Vec<_> = groups.into_iter().map(|group| group.name).collect();
                    let default = names.iter().position(|name| *name == best.value).unwrap_or(0);
                    let chosen =
                        self.asker.one("The security group that lets the functions in", &names, default).await?;
                    let why = if chosen == default { best.why } else { None };
                    Because { value: names[chosen].clone(), why }
                } else {
                    best
                }
            }
        };
        let database = Database::Existing { identifier, is_cluster, port, security_group };
        Ok(Standing { database, master, vpc, subnets, network })
    }

    /// Subnets for the functions, and for a new instance, with what else there is to see in their VPC.
    async fn subnets(
        &self,
        vpc: &str,
        found: Vec<SubnetFound>,
        is_new: bool,
    ) -> Result<(Vec<String>, NetworkLook), CliError> {
        let named: Vec<_> = self.args.subnet.clone();
        let ids: Vec<_> = found.iter().map(|subnet| &subnet.id).chain(&named).map(String::as_str).collect();
        let service = secrets_manager_service(&self.aws.region);
        let question =
            NetworkQuestion { vpc, subnets: &ids, groups: &[], routes: true, service: Some(service.as_str()) };
        let network = self.aws.network(question).await?;
        if !named.is_empty() {
            return Ok((named, network));
        }
        let mut chosen = init::choose_subnets(&found, &network.ways_out);
        if is_new && self.asker.asks() {
            let told = |subnet: &SubnetFound| {
                let SubnetFound { id, name, zone, cidr, tags: _ } = subnet;
                let name = name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
                (format!("{id}{name} ({zone}, {cidr})"), chosen.contains(id))
            };
            let question = "Subnets, of two zones at least (the space bar chooses)";
            let numbers = self.asker.some(question, found.iter().map(told).collect(), 2).await?;
            chosen = numbers.into_iter().map(|number| found[number].id.clone()).collect();
        }
        Ok((chosen, network))
    }

    /// How the functions reach Secrets Manager.
    async fn path(
        &self,
        deployment: &str,
        vpc: &str,
        subnets: &[String],
        network: &NetworkLook,
    ) -> Result<Because<SecretsManagerPath>, CliError> {
        if let Some(path) = self.args.secrets_manager {
            return Ok(Because { value: path.into(), why: None });
        }
        // Whose endpoint it is matters only where there is one.
        let own = if network.endpoints.is_empty() {
            false
        } else {
            let tagged = self.aws.tagged_in_ec2(tag::DEPLOYMENT, &encode_tag(deployment)).await?;
            tagged.endpoints.iter().any(|endpoint| endpoint.vpc == vpc)
        };
        Ok(init::choose_path(&network.endpoints, own, subnets, &network.ways_out))
    }

    async fn users(&self, master: &str) -> Result<Vec<String>, CliError> {
        let check = |answer: &str| init::check(Question::User { master }, answer);
        if self.args.user.is_empty() {
            let question = "Logins whose passwords are to rotate, parted by commas";
            return self.asker.list(question, false, check).await;
        }
        // The config does not name the master of a database that it only refers to.
        for user in self.args.user.iter().filter(|user| *user == master) {
            check(user).map_err(|hint| CliError::NoStart {
                code: Code::ReservedName,
                cause: format!("the login `{user}` is the database's master"),
                hint,
            })?;
        }
        let mut users: Vec<String> = Vec::new();
        for user in self.args.user.iter().map(|user| user.trim()).filter(|user| !user.is_empty()) {
            if users.iter().all(|known| known != user) {
                users.push(user.to_owned());
            }
        }
        Ok(users)
    }

    /// Asked of a new instance alone: into one that is there its clients get already.
    async fn allow(&self, database: &Database) -> Result<Vec<Client>, CliError> {
        let mut allow = self.args.allow.clone();
        if allow.is_empty() && self.asker.asks() && matches!(database, Database::New { .. }) {
            let question = "Who else may reach the database, such as 203.0.113.7/32=office, parted by commas (Enter: the functions alone)";
            allow =
                self.asker.list(question, true, |answer| init::check(Question::Client, &client(answer).from)).await?;
        }
        Ok(allow.iter().map(|entry| client(entry)).collect())
    }

    async fn admin(&self, look: &Look<'_>, deployment: &str) -> Result<Login, CliError> {
        let first = self.login(look, deployment, ADMIN, init::secret_name(ADMIN)).await?;
        if !first.is_taken {
            return Ok(first);
        }
        // No application reads it, so that its name is free to choose.
        let other = format!("{deployment}/{}", init::secret_name(ADMIN));
        let other = self.login(look, deployment, ADMIN, other).await?;
        Ok(if other.is_taken { first } else { other })
    }

    async fn login(&self, look: &Look<'_>, deployment: &str, login: &str, secret: String) -> Result<Login, CliError> {
        let found = look.secret(&secret).await?;
        let is_taken = found.is_some_and(|found| address_of(deployment, &found.tags).is_none());
        Ok(Login { login: login.to_owned(), secret, is_taken })
    }
}

fn kind(is_cluster: bool) -> &'static str {
    if is_cluster { "cluster" } else { "instance" }
}

/// Why no config can be made of it at all; what can be mended, the plan tells.
fn unfit(found: &DatabaseFound, is_cluster: bool) -> Option<(String, String)> {
    let DatabaseFound { identifier, engine, member_of, replica_of, tags, .. } = found;
    let kind = kind(is_cluster);
    if let Some(cluster) = member_of {
        return Some((
            format!("`{identifier}` is a member of the DB cluster `{cluster}`, and its logins are the cluster's"),
            format!("--from-cluster {cluster}"),
        ));
    }
    let engines: &[&str] = if is_cluster { &db_cluster::ENGINES } else { &[db_instance::ENGINE] };
    if !engines.contains(&engine.as_str()) {
        return Some((
            format!("the DB {kind} `{identifier}` runs {engine}, not PostgreSQL"),
            format!("name one whose engine is {}", engines.join(" or ")),
        ));
    }
    if let Some(source) = replica_of {
        return Some((
            format!("the DB {kind} `{identifier}` replicates {source}, and no login can be changed in it"),
            format!("name what it replicates: {source}"),
        ));
    }
    // A copy that was restored from its snapshot has the same tags, and another identifier.
    let deployment = tags.get(tag::DEPLOYMENT).and_then(|deployment| decode_tag(deployment))?;
    let made = address_of(&deployment, tags)? == DbInstance::at(identifier).address().to_string();
    made.then(|| {
        (
            format!("the DB {kind} `{identifier}` was made by pgrotate, for the deployment `{deployment}`"),
            "its logins belong into the config of that one".to_owned(),
        )
    })
}

/// Refuses a flag's value for what an answer would be refused for.
fn good(what: &str, question: Question<'_>, value: &str) -> Result<(), CliError> {
    init::check(question, value).map_err(|hint| CliError::NoStart {
        code: Code::BadValue,
        cause: format!("{what}: {value:?} cannot stand in a config"),
        hint,
    })
}

fn told_vpc(vpc: &VpcFound) -> String {
    let VpcFound { id, name, cidr, is_default, tags: _ } = vpc;
    let name = name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    format!("{id}{name} ({cidr}{})", if *is_default { ", the default VPC" } else { "" })
}

fn client(entry: &str) -> Client {
    let (from, description) = entry.split_once('=').unwrap_or((entry, CLIENT));
    Client { from: from.trim().to_owned(), description: description.trim().to_owned() }
}

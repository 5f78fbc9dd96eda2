//! From the config to the desired model: pure, given what stands around the deployment. Every edge between
//! resources is a typed reference made here.

use crate::aws::NetworkLook;
use crate::code::{Code, REPORT_IT};
use crate::config::{Client, Config, ConfigError, Declared, Located, Login as LoginConfig, SecretsManagerPath};
use crate::model::{Address, Mark, Place, Ref};
use crate::resource::Resource;
use crate::resources::artifact::{self, Artifact, Zip};
use crate::resources::bucket::{self, Bucket};
use crate::resources::database::Database;
use crate::resources::db_cluster::{self, DbCluster};
use crate::resources::db_instance::{self, DbInstance, Version};
use crate::resources::db_subnet_group::{self, DbSubnetGroup};
use crate::resources::login::{self, Login};
use crate::resources::rotation::{self, Rotation};
use crate::resources::secret::{self, Secret};
use crate::resources::security_group::{self, SecurityGroup};
use crate::resources::security_group_rule::{self as rule, Direction, Group, Peer, SecurityGroupRule};
use crate::resources::stack::{self, Stack};
use crate::resources::vpc_endpoint::{self, VpcEndpoint};
use crate::resources::{FunctionNames, TemplateInputs, Want};
use function_contract::{DatabaseId, Duty};
use std::collections::BTreeSet;

mod check;
pub mod choose;
mod leavers;
mod look_alikes;

pub use leavers::leavers;
pub use look_alikes::look_alikes;

/// What stands around a deployment and is not its own.
#[derive(Debug, Clone)]
pub struct Around {
    pub network: NetworkLook,
    /// Versions of the declared major that RDS offers; empty where no instance is made.
    pub versions: Vec<Version>,
}

/// What a stack's name adds to that of its rotation function.
const STACK_SUFFIX: &str = "-stack";

/// Secrets Manager speaks HTTPS.
const HTTPS: u16 = 443;

/// Everything a deployment wants, each resource after those it refers to. The errors are what the config
/// says that does not fit what is there, each at its line.
pub fn build(config: &Config, place: &Place, around: &Around, zip: &Zip) -> Result<Vec<Want>, Vec<ConfigError>> {
    let (Some(vpc), Some(subnets)) = (config.network.vpc_id(), config.network.subnet_ids()) else {
        let error =
            ConfigError::at(Code::Internal, &config.network.vpc.span, "the network was not looked up by its tags");
        return Err(vec![error.hint(REPORT_IT)]);
    };
    let errors = check::check(config, place, around, vpc, subnets);
    if !errors.is_empty() {
        return Err(errors);
    }
    let names = FunctionNames::derive(&config.function.name.value);
    let mut model = Model { config, place, vpc, subnets, names, wants: Vec::new() };
    model.build(around, zip);
    Ok(model.wants)
}

struct Model<'a> {
    config: &'a Config,
    place: &'a Place,
    /// Its id.
    vpc: &'a str,
    /// Ids, in the order in which they are meant.
    subnets: &'a [Located<String>],
    names: FunctionNames,
    wants: Vec<Want>,
}

/// Name of a security group that a deployment makes.
fn group_name(deployment: &str, part: &str) -> String {
    format!("pgrotate-{deployment}-{part}")
}

/// Secrets Manager's endpoint service in a region.
pub fn secrets_manager_service(region: &str) -> String {
    format!("com.amazonaws.{region}.secretsmanager")
}

/// Name of the bucket that a deployment makes: bucket names are everyone's, so account and region are in it.
fn bucket_name(deployment: &str, place: &Place) -> String {
    let Place { account, region, .. } = place;
    format!("pgrotate-{deployment}-{account}-{region}")
}

/// The three groups: the article has one for everything, which lets the database call out.
struct Groups {
    database: Group,
    function: Group,
    endpoint: Option<Group>,
}

impl Model<'_> {
    fn mark(&self, address: &Address) -> Mark {
        Mark::new(&self.config.deployment, address.clone()).declaring(&self.config.tags)
    }

    fn build(&mut self, around: &Around, zip: &Zip) {
        let groups = self.groups(&around.network);
        let instance = self.database(&groups, &around.versions);
        let path = self.endpoint(&groups, &around.network);
        let (artifact, admin) = (self.artifact(zip), self.config.admin.clone());
        let stack = self.stack(&groups, &artifact, zip, &instance);
        let users = self.config.users.clone();
        let admin_login = self.login(&admin, None, &instance, &stack, &path);
        for user in &users {
            self.login(user, Some((&admin_login, &admin.login.value)), &instance, &stack, &path);
        }
        self.wants.sort_by_key(rank);
    }

    fn group(&self, part: &str) -> Group {
        Group { name: group_name(&self.config.deployment, part), at: SecurityGroup::at(part), existing: false }
    }

    fn groups(&mut self, network: &NetworkLook) -> Groups {
        let config = self.config;
        let path = config.network.secrets_manager.value;
        let database = match &config.database.security_group {
            Some(name) => Group { name: name.value.clone(), at: SecurityGroup::at(&name.value), existing: true },
            None => self.group("database"),
        };
        let groups = Groups {
            database,
            function: self.group("function"),
            endpoint: (path == SecretsManagerPath::Endpoint).then(|| self.group("endpoint")),
        };
        let cidrs = network.vpc.as_ref().map(|vpc| vpc.cidrs.clone()).unwrap_or_default();
        let port = config.database.port;
        let (database, function) = (&groups.database, &groups.function);
        self.rule(database, Direction::Ingress, port, Peer::Group(function.clone()), "rotation functions");
        self.rule(function, Direction::Egress, port, Peer::Group(database.clone()), "to the database");
        for allow in &config.network.allow {
            let client = match &allow.from {
                Client::Cidr(cidr) => Peer::Cidr(cidr.value.clone()),
                Client::Group(group) => Peer::Id(group.value.clone()),
            };
            self.rule(database, Direction::Ingress, port, client, &allow.description);
        }
        match (&groups.endpoint, path) {
            (Some(endpoint), _) => {
                self.rule(function, Direction::Egress, HTTPS, Peer::Group(endpoint.clone()), "to Secrets Manager");
                self.rule(endpoint, Direction::Ingress, HTTPS, Peer::Group(function.clone()), "rotation functions");
                // Private DNS brings every client of the VPC here; who is not let in is cut off.
                for cidr in config.network.endpoint_clients.as_ref().unwrap_or(&cidrs) {
                    self.rule(endpoint, Direction::Ingress, HTTPS, Peer::Cidr(cidr.clone()), "clients in the VPC");
                }
            }
            (None, SecretsManagerPath::ExistingEndpoint) => {
                for cidr in &cidrs {
                    self.rule(function, Direction::Egress, HTTPS, Peer::Cidr(cidr.clone()), "to Secrets Manager");
                }
            }
            (None, _) => {
                let anywhere = Peer::Cidr("0.0.0.0/0".to_owned());
                self.rule(function, Direction::Egress, HTTPS, anywhere, "to Secrets Manager through NAT");
            }
        }
        let made = [
            (Some(&groups.database), "PostgreSQL"),
            (Some(&groups.function), "rotation functions"),
            (groups.endpoint.as_ref(), "Secrets Manager endpoint"),
        ];
        for (group, what) in made {
            let Some(group) = group else { continue };
            let want = security_group::Desired {
                mark: self.mark(group.at.address()),
                name: group.name.clone(),
                vpc: self.vpc.to_owned(),
                description: format!("{what} of pgrotate deployment {}", config.deployment),
                existing: group.existing,
                adopt: config.network.adopt,
                revoke_unmanaged: config.network.revoke_unmanaged_rules,
            };
            self.wants.push(want.into());
        }
        groups
    }

    fn rule(&mut self, group: &Group, direction: Direction, port: u16, peer: Peer, description: &str) {
        let (word, other) = match (&peer, direction) {
            (Peer::Cidr(client) | Peer::Id(client), Direction::Ingress) => ("from", client.clone()),
            (Peer::Cidr(client) | Peer::Id(client), Direction::Egress) => ("to", client.clone()),
            (Peer::Group(group), Direction::Ingress) => ("from", group.at.address().name.clone()),
            (Peer::Group(group), Direction::Egress) => ("to", group.at.address().name.clone()),
        };
        let name = format!("{}-{word}-{other}", group.at.address().name);
        let at = SecurityGroupRule::at(&name);
        // Two blocks of one CIDR are one rule to AWS too.
        if self
            .wants
            .iter()
            .any(|want| matches!(want, Want::SecurityGroupRule(rule) if rule.mark.address == *at.address()))
        {
            return;
        }
        let want = rule::Desired {
            mark: self.mark(at.address()),
            vpc: self.vpc.to_owned(),
            group: group.clone(),
            direction,
            port,
            peer,
            description: description.to_owned(),
        };
        self.wants.push(want.into());
    }

    fn database(&mut self, groups: &Groups, versions: &[Version]) -> Ref<Database> {
        let database = &self.config.database;
        if database.is_cluster {
            let at = DbCluster::at(&database.identifier.value);
            let want = db_cluster::Desired {
                mark: self.mark(at.address()),
                identifier: database.identifier.value.clone(),
                group: groups.database.at.clone(),
                port: database.port,
            };
            self.wants.push(want.into());
            return at.into();
        }
        let at = DbInstance::at(&database.identifier.value);
        let spec = database.instance.as_ref().map(|instance| {
            let subnet_group = DbSubnetGroup::at(&instance.subnet_group.name.value);
            let want = db_subnet_group::Desired {
                mark: self.mark(subnet_group.address()),
                name: instance.subnet_group.name.value.clone(),
                existing: instance.subnet_group.existing,
                adopt: instance.adopt,
                subnets: self.subnets(),
            };
            (instance, subnet_group, want)
        });
        let spec = spec.map(|(instance, subnet_group, want)| {
            self.wants.push(want.into());
            db_instance::Spec {
                version: Version::parse(&instance.engine_version.value)
                    .unwrap_or_else(|| unreachable!("the config is checked")),
                offered: versions.to_vec(),
                class: instance.class.clone(),
                storage: instance.storage.gib,
                storage_type: instance.storage.kind.clone(),
                subnet_group,
                public: instance.public.value,
                backup: instance.backup_days.value,
                master: instance.master.clone(),
                deletion_protection: instance.deletion_protection.value,
                final_snapshot: instance.final_snapshot.value,
                encrypted: instance.encrypted.value,
            }
        });
        let want = db_instance::Desired {
            mark: self.mark(at.address()),
            identifier: database.identifier.value.clone(),
            group: groups.database.at.clone(),
            entrances: self.rules_of(&groups.database),
            former_groups: BTreeSet::new(),
            port: database.port,
            adopt: database.instance.as_ref().is_some_and(|instance| instance.adopt),
            spec,
        };
        self.wants.push(want.into());
        at.into()
    }

    fn database_id(&self) -> DatabaseId {
        let name = self.config.database.identifier.value.clone();
        if self.config.database.is_cluster { DatabaseId::Cluster(name) } else { DatabaseId::Instance(name) }
    }

    fn rules_of(&self, group: &Group) -> Vec<Address> {
        self.wants
            .iter()
            .filter_map(|want| match want {
                Want::SecurityGroupRule(rule) if rule.group.at == group.at => Some(rule.mark.address.clone()),
                _ => None,
            })
            .collect()
    }

    fn subnets(&self) -> BTreeSet<String> {
        self.subnets.iter().map(|subnet| subnet.value.clone()).collect()
    }

    /// An endpoint has one subnet in a zone at the most (DuplicateSubnetsInSameZone): the first that the file names. The
    /// functions in the others of that zone reach it there.
    fn one_of_each_zone(&self, network: &NetworkLook) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut zones = BTreeSet::new();
        let subnets = self.subnets.iter().map(|subnet| subnet.value.clone());
        subnets.partition(|subnet| network.subnets.get(subnet).is_none_or(|look| zones.insert(look.zone.as_str())))
    }

    /// The endpoint, where we make one; answers with all that the functions' way depends on.
    fn endpoint(&mut self, groups: &Groups, network: &NetworkLook) -> Vec<Address> {
        let function = groups.function.at.address();
        let concerns_functions = |rule: &rule::Desired| {
            rule.group.at.address() == function
                || matches!(&rule.peer, Peer::Group(peer) if peer.at.address() == function)
        };
        let mut path: Vec<_> = self
            .wants
            .iter()
            .filter_map(|want| match want {
                Want::SecurityGroupRule(rule) if concerns_functions(rule) => Some(rule.mark.address.clone()),
                _ => None,
            })
            .collect();
        if let Some(group) = &groups.endpoint {
            let at = VpcEndpoint::at("secretsmanager");
            let (subnets, left_out) = self.one_of_each_zone(network);
            let want = vpc_endpoint::Desired {
                mark: self.mark(at.address()),
                vpc: self.vpc.to_owned(),
                service: secrets_manager_service(&self.place.region),
                subnets,
                left_out,
                group: group.at.clone(),
                adopt: self.config.network.adopt,
                entrances: self.rules_of(group),
            };
            self.wants.push(want.into());
            path.push(at.address().clone());
        }
        path
    }

    fn artifact(&mut self, zip: &Zip) -> Ref<Artifact> {
        let named = self.config.function.bucket.clone();
        let bucket = named.clone().unwrap_or_else(|| bucket_name(&self.config.deployment, self.place));
        let bucket_at = match named {
            Some(_) => None,
            None => {
                let at = Bucket::at(&bucket);
                self.wants.push(bucket::Desired { mark: self.mark(at.address()), name: bucket.clone() }.into());
                Some(at)
            }
        };
        let at = Artifact::at("function");
        let want = artifact::Desired { mark: self.mark(at.address()), bucket, bucket_at, zip: zip.clone() };
        self.wants.push(want.into());
        at
    }

    fn stack(&mut self, groups: &Groups, artifact: &Ref<Artifact>, zip: &Zip, instance: &Ref<Database>) -> Ref<Stack> {
        let name = format!("{}{STACK_SUFFIX}", self.names.rotation);
        let at = Stack::at(&name);
        let want = stack::Desired {
            mark: self.mark(at.address()),
            name,
            inputs: TemplateInputs {
                deployment: self.config.deployment.clone(),
                place: self.place.clone(),
                names: self.names.clone(),
                subnets: self.subnets(),
                master_secret_tag: match self.database_id() {
                    DatabaseId::Instance(name) => {
                        ("aws:rds:primaryDBInstanceArn", self.place.arn("rds", &format!("db:{name}")))
                    }
                    DatabaseId::Cluster(name) => {
                        ("aws:rds:primaryDBClusterArn", self.place.arn("rds", &format!("cluster:{name}")))
                    }
                },
                lock_database: self.config.admin.database.clone(),
                topic: self.config.alerts.as_ref().map(|alerts| alerts.topic.value.clone()),
            },
            group: groups.function.at.clone(),
            admin_secret: Secret::at(&self.config.admin.login.value),
            artifact: artifact.clone(),
            code: zip.sha256_base64(),
            instance: instance.clone(),
        };
        self.wants.push(want.into());
        at
    }

    fn login(
        &mut self,
        config: &LoginConfig,
        admin: Option<(&Ref<Login>, &str)>,
        instance: &Ref<Database>,
        stack: &Ref<Stack>,
        path: &[Address],
    ) -> Ref<Login> {
        let login = &config.login.value;
        let secret_at = Secret::at(login);
        let secret_mark = self.mark(secret_at.address());
        let secret = secret::Desired {
            mark: secret_mark.clone(),
            name: config.secret.value.clone(),
            login: login.clone(),
            adopt: config.adopt,
            adopted_in: match config.declared {
                Declared::Admin => "[admin]",
                Declared::User(_) => "its [[user]]",
                Declared::Group(_) => "its [[users]]",
            },
            passwords: config.passwords.clone(),
            recovery: config.recovery_days.value,
        };
        self.wants.push(secret.into());
        let at = Login::at(login);
        let want = login::Desired {
            mark: self.mark(at.address()),
            login: login.clone(),
            duty: if admin.is_some() { Duty::User } else { Duty::Admin },
            strategy: config.strategy,
            database: config.database.clone(),
            attributes: config.attributes.clone(),
            // Who rotates the others must not be somebody's already: its role is handed over in the database, by hand.
            adopt: config.adopt && admin.is_some(),
            on_remove: self.config.on_remove,
            secret: secret_at.clone(),
            secret_name: config.secret.value.clone(),
            instance: instance.clone(),
            database_id: self.database_id(),
            stack: stack.clone(),
            functions: self.names.clone(),
            admin: admin.map(|(at, name)| (at.clone(), name.to_owned())),
            instance_stays: self.config.database.instance.is_none(),
            path: path.to_vec(),
        };
        self.wants.push(want.into());
        let rotation_at = Rotation::at(login);
        let want = rotation::Desired {
            mark: self.mark(rotation_at.address()),
            secret: secret_at,
            secret_name: config.secret.value.clone(),
            secret_mark,
            adopt: config.adopt,
            login: at.clone(),
            stack: stack.clone(),
            function_arn: self.names.rotation_arn(self.place),
            functions: self.names.clone(),
            schedule: config.schedule.value.clone(),
        };
        self.wants.push(want.into());
        at
    }
}

/// Producers before consumers: the order of the file, or of the code above, makes no difference. Among
/// logins the admin comes first, since the others refer to it.
fn rank(want: &Want) -> (usize, bool, Address) {
    let (rank, address) = match want {
        Want::SecurityGroup(want) => (0, SecurityGroup::address(want)),
        Want::SecurityGroupRule(want) => (1, SecurityGroupRule::address(want)),
        Want::DbSubnetGroup(want) => (2, DbSubnetGroup::address(want)),
        Want::Secret(want) => (3, Secret::address(want)),
        Want::VpcEndpoint(want) => (4, VpcEndpoint::address(want)),
        Want::Bucket(want) => (5, Bucket::address(want)),
        Want::Artifact(want) => (6, Artifact::address(want)),
        Want::DbCluster(want) => (7, DbCluster::address(want)),
        Want::DbInstance(want) => (7, DbInstance::address(want)),
        Want::Stack(want) => (8, Stack::address(want)),
        Want::Login(want) => (9, Login::address(want)),
        Want::Rotation(want) => (10, Rotation::address(want)),
    };
    let is_user = matches!(want, Want::Login(want) if want.admin.is_some());
    (rank, is_user, address)
}

//! From the config to the desired model: pure, given what stands around the deployment. Every edge between
//! resources is a typed reference made here.

use crate::aws::NetworkLook;
use crate::code::Code;
use crate::config::{Config, ConfigError, Login as LoginConfig, SecretsManagerPath};
use crate::model::{Address, Mark, Place, Ref};
use crate::resource::{Refusal, Resource};
use crate::resources::artifact::{self, Artifact, Zip};
use crate::resources::bucket::{self, Bucket};
use crate::resources::db_instance::{self, DbInstance, Version};
use crate::resources::db_subnet_group::{self, DbSubnetGroup};
use crate::resources::login::{self, Login};
use crate::resources::rotation::{self, Rotation};
use crate::resources::secret::{self, Secret, Tagged};
use crate::resources::security_group::{self, SecurityGroup};
use crate::resources::security_group_rule::{self as rule, Direction, Group, Peer, SecurityGroupRule};
use crate::resources::stack::{self, Stack};
use crate::resources::vpc_endpoint::{self, VpcEndpoint};
use crate::resources::{FunctionNames, TemplateInputs, Want};
use function_contract::{Duty, RoleAttributes};
use std::collections::{BTreeMap, BTreeSet};

/// Secrets Manager speaks HTTPS.
const HTTPS: u16 = 443;

/// Everything a deployment wants, each resource after those it refers to. The errors are what the config
/// says that does not fit what is there, each at its line.
pub fn build(config: &Config, place: &Place, network: &NetworkLook, zip: &Zip) -> Result<Vec<Want>, Vec<ConfigError>> {
    let errors = check(config, place, network);
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut model = Model {
        config,
        place,
        names: FunctionNames::derive(&config.function.name.value),
        wants: Vec::new(),
        rules: BTreeMap::new(),
    };
    model.build(network, zip);
    Ok(model.wants)
}

/// Secrets of this deployment that the config no longer declares, each with its login and rotation, to be
/// removed. `instance_stays` says whether the roles outlive this plan.
///
/// Refused is a declared login whose secret has another name: two secrets would hold two passwords of one
/// role, and each rotation would break the other.
pub fn leavers(
    config: &Config,
    wants: &[Want],
    tagged: Vec<Tagged>,
    instance_stays: bool,
) -> Result<Vec<Want>, Vec<(Address, Refusal)>> {
    let declared: BTreeMap<_, _> = wants
        .iter()
        .filter_map(|want| match want {
            Want::Secret(want) => Some((want.login.clone(), want.name.clone())),
            _ => None,
        })
        .collect();
    let (mut refusals, mut leaving) = (Vec::new(), Vec::new());
    for found in tagged {
        match declared.get(&found.login) {
            Some(name) if *name == found.name => {}
            Some(name) => refusals.push((
                Secret::at(&found.login).address().clone(),
                Refusal::new(
                    Code::SecretRenamed,
                    format!(
                        "login `{}` rotates with the secret `{}`, and the config names `{name}`",
                        found.login, found.name
                    ),
                    format!(
                        "keep `{}`; or remove the login, apply, and declare it again with the new name",
                        found.name
                    ),
                ),
            )),
            None => leaving.push(found),
        }
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    // All that a leaver shares with those who stay is taken from one of them; the admin is always there.
    let pattern = wants.iter().find_map(|want| match want {
        Want::Login(want) => Some(want),
        _ => None,
    });
    let rotation = wants.iter().find_map(|want| match want {
        Want::Rotation(want) => Some(want),
        _ => None,
    });
    let (Some(pattern), Some(rotation)) = (pattern, rotation) else { return Ok(Vec::new()) };
    let (mut secrets, mut logins, mut rotations) = (Vec::new(), Vec::new(), Vec::new());
    for Tagged { name, login } in leaving {
        let mark = |address: &Address| Mark { deployment: config.deployment.clone(), address: address.clone() };
        let (secret_at, at, rotation_at) = (Secret::at(&login), Login::at(&login), Rotation::at(&login));
        secrets.push(Want::from(secret::Desired {
            mark: mark(secret_at.address()),
            name: name.clone(),
            login: login.clone(),
            recovery: config.admin.recovery_days,
        }));
        logins.push(Want::from(login::Desired {
            mark: mark(at.address()),
            login: login.clone(),
            attributes: RoleAttributes::default(),
            secret: secret_at.clone(),
            secret_name: name.clone(),
            admin: None,
            instance_stays,
            ..pattern.clone()
        }));
        rotations.push(Want::from(rotation::Desired {
            mark: mark(rotation_at.address()),
            secret: secret_at.clone(),
            secret_name: name,
            secret_mark: mark(secret_at.address()),
            login: at,
            ..rotation.clone()
        }));
    }
    secrets.append(&mut logins);
    secrets.append(&mut rotations);
    Ok(secrets)
}

/// What the config says against what is there.
fn check(config: &Config, place: &Place, network: &NetworkLook) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let vpc = &config.network.vpc;
    match &network.vpc {
        None => errors.push(
            ConfigError::at(
                Code::NotThere,
                &vpc.span,
                format!("there is no VPC {} in {} of account {}", vpc.value, place.region, place.account),
            )
            .hint("check the id, the region in [aws], and which account your credentials are of"),
        ),
        Some(look) if config.network.secrets_manager == SecretsManagerPath::Endpoint => {
            for (on, what) in [(look.dns_support, "enableDnsSupport"), (look.dns_hostnames, "enableDnsHostnames")] {
                if !on {
                    errors.push(
                        ConfigError::at(
                            Code::UnfitNetwork,
                            &vpc.span,
                            format!("{what} is off in {}: an endpoint's private DNS needs it", vpc.value),
                        )
                        .hint(format!(
                            "aws ec2 modify-vpc-attribute --vpc-id {} --{}",
                            vpc.value,
                            switch(what)
                        )),
                    );
                }
            }
        }
        Some(_) => {}
    }
    let mut zones = BTreeSet::new();
    for subnet in &config.network.subnets {
        match network.subnets.get(&subnet.value) {
            None => errors.push(
                ConfigError::at(
                    Code::NotThere,
                    &subnet.span,
                    format!("there is no subnet {} in {}", subnet.value, place.region),
                )
                .hint(format!("aws ec2 describe-subnets --filters Name=vpc-id,Values={}", vpc.value)),
            ),
            // Without the VPC, where its subnets are tells nothing more.
            Some(_) if network.vpc.is_none() => {}
            Some(look) if look.vpc != vpc.value => errors.push(
                ConfigError::at(
                    Code::UnfitNetwork,
                    &subnet.span,
                    format!("subnet {} is in {}, not in {}", subnet.value, look.vpc, vpc.value),
                )
                .hint("name subnets of the VPC above"),
            ),
            Some(look) => {
                zones.insert(look.zone.as_str());
            }
        }
    }
    if errors.is_empty() && zones.len() < 2 {
        let zones: Vec<_> = zones.into_iter().collect();
        errors.push(
            ConfigError::at(
                Code::UnfitNetwork,
                &config.network.subnets[0].span,
                format!("all subnets are in {}: RDS wants two availability zones", zones.join(", ")),
            )
            .hint("add a subnet of another zone"),
        );
    }
    if !config.database.manage {
        errors.push(
            ConfigError::at(
                Code::NotSupported,
                &config.database.identifier.span,
                "an instance that pgrotate does not manage cannot be used yet",
            )
            .hint("set `manage = true` and let pgrotate make the instance"),
        );
    }
    errors
}

fn switch(attribute: &str) -> &'static str {
    if attribute == "enableDnsSupport" { "enable-dns-support" } else { "enable-dns-hostnames" }
}

struct Model<'a> {
    config: &'a Config,
    place: &'a Place,
    names: FunctionNames,
    wants: Vec<Want>,
    /// Rule addresses by group address, for the groups to know what is declared.
    rules: BTreeMap<Address, BTreeSet<String>>,
}

/// The three groups: the article has one for everything, which lets the database call out.
struct Groups {
    database: Group,
    function: Group,
    endpoint: Option<Group>,
}

impl Model<'_> {
    fn mark(&self, address: &Address) -> Mark {
        Mark { deployment: self.config.deployment.clone(), address: address.clone() }
    }

    fn build(&mut self, network: &NetworkLook, zip: &Zip) {
        let groups = self.groups(network);
        let instance = self.database(&groups);
        let path = self.endpoint(&groups);
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
        Group { name: format!("pgrotate-{}-{part}", self.config.deployment), at: SecurityGroup::at(part) }
    }

    fn groups(&mut self, network: &NetworkLook) -> Groups {
        let config = self.config;
        let path = config.network.secrets_manager;
        let groups = Groups {
            database: self.group("database"),
            function: self.group("function"),
            endpoint: (path == SecretsManagerPath::Endpoint).then(|| self.group("endpoint")),
        };
        let cidrs = network.vpc.as_ref().map(|vpc| vpc.cidrs.clone()).unwrap_or_default();
        let port = config.database.port;
        let (database, function) = (&groups.database, &groups.function);
        self.rule(database, Direction::Ingress, port, Peer::Group(function.clone()), "rotation functions");
        self.rule(function, Direction::Egress, port, Peer::Group(database.clone()), "to the database");
        for allow in &config.network.allow {
            self.rule(database, Direction::Ingress, port, Peer::Cidr(allow.cidr.clone()), &allow.description);
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
                vpc: config.network.vpc.value.clone(),
                description: format!("{what} of pgrotate deployment {}", config.deployment),
                rules: self.rules.remove(group.at.address()).unwrap_or_default(),
                revoke_unmanaged: config.network.revoke_unmanaged_rules,
            };
            self.wants.push(want.into());
        }
        groups
    }

    fn rule(&mut self, group: &Group, direction: Direction, port: u16, peer: Peer, description: &str) {
        let (word, other) = match (&peer, direction) {
            (Peer::Cidr(cidr), Direction::Ingress) => ("from", cidr.clone()),
            (Peer::Cidr(cidr), Direction::Egress) => ("to", cidr.clone()),
            (Peer::Group(group), Direction::Ingress) => ("from", group.at.address().name.clone()),
            (Peer::Group(group), Direction::Egress) => ("to", group.at.address().name.clone()),
        };
        let name = format!("{}-{word}-{other}", group.at.address().name);
        let at = SecurityGroupRule::at(&name);
        let declared = self.rules.entry(group.at.address().clone()).or_default();
        // Two blocks of one CIDR are one rule to AWS too.
        if !declared.insert(at.address().to_string()) {
            return;
        }
        let want = rule::Desired {
            mark: self.mark(at.address()),
            vpc: self.config.network.vpc.value.clone(),
            group: group.clone(),
            direction,
            port,
            peer,
            description: description.to_owned(),
        };
        self.wants.push(want.into());
    }

    fn database(&mut self, groups: &Groups) -> Ref<DbInstance> {
        let database = &self.config.database;
        let subnet_group = DbSubnetGroup::at(&database.subnet_group.value);
        let want = db_subnet_group::Desired {
            mark: self.mark(subnet_group.address()),
            name: database.subnet_group.value.clone(),
            subnets: self.subnets(),
        };
        self.wants.push(want.into());
        let at = DbInstance::at(&database.identifier.value);
        let want = db_instance::Desired {
            mark: self.mark(at.address()),
            identifier: database.identifier.value.clone(),
            version: Version::parse(&database.engine_version).unwrap_or_else(|| unreachable!("the config is checked")),
            class: database.class.clone(),
            storage: database.storage.gib,
            storage_type: database.storage.kind.clone(),
            subnet_group,
            group: groups.database.at.clone(),
            public: database.public,
            backup: database.backup_days,
            port: database.port,
            master: database.master.clone(),
            deletion_protection: database.deletion_protection,
            final_snapshot: database.final_snapshot,
            encrypted: database.encrypted,
        };
        self.wants.push(want.into());
        at
    }

    fn subnets(&self) -> BTreeSet<String> {
        self.config.network.subnets.iter().map(|subnet| subnet.value.clone()).collect()
    }

    /// The endpoint, where we make one; answers with all that the functions' way depends on.
    fn endpoint(&mut self, groups: &Groups) -> Vec<Address> {
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
            let want = vpc_endpoint::Desired {
                mark: self.mark(at.address()),
                vpc: self.config.network.vpc.value.clone(),
                service: format!("com.amazonaws.{}.secretsmanager", self.place.region),
                subnets: self.subnets(),
                group: group.at.clone(),
            };
            self.wants.push(want.into());
            path.push(at.address().clone());
        }
        path
    }

    fn artifact(&mut self, zip: &Zip) -> Ref<Artifact> {
        let Place { account, region, .. } = self.place;
        let named = self.config.function.bucket.clone();
        let bucket = named.clone().unwrap_or_else(|| format!("pgrotate-{}-{account}-{region}", self.config.deployment));
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

    fn stack(
        &mut self,
        groups: &Groups,
        artifact: &Ref<Artifact>,
        zip: &Zip,
        instance: &Ref<DbInstance>,
    ) -> Ref<Stack> {
        let name = format!("{}-stack", self.names.rotation);
        let at = Stack::at(&name);
        let want = stack::Desired {
            mark: self.mark(at.address()),
            name,
            inputs: TemplateInputs {
                deployment: self.config.deployment.clone(),
                place: self.place.clone(),
                names: self.names.clone(),
                subnets: self.subnets(),
                instance_arn: self.place.arn("rds", &format!("db:{}", self.config.database.identifier.value)),
                lock_database: self.config.admin.database.clone(),
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
        instance: &Ref<DbInstance>,
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
            recovery: config.recovery_days,
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
            secret: secret_at.clone(),
            secret_name: config.secret.value.clone(),
            instance: instance.clone(),
            instance_identifier: self.config.database.identifier.value.clone(),
            stack: stack.clone(),
            functions: self.names.clone(),
            admin: admin.map(|(at, name)| (at.clone(), name.to_owned())),
            instance_stays: false,
            path: path.to_vec(),
        };
        self.wants.push(want.into());
        let rotation_at = Rotation::at(login);
        let want = rotation::Desired {
            mark: self.mark(rotation_at.address()),
            secret: secret_at,
            secret_name: config.secret.value.clone(),
            secret_mark,
            login: at.clone(),
            stack: stack.clone(),
            function_arn: self.names.rotation_arn(self.place),
            functions: self.names.clone(),
            schedule: config.schedule.clone(),
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
        Want::DbInstance(want) => (7, DbInstance::address(want)),
        Want::Stack(want) => (8, Stack::address(want)),
        Want::Login(want) => (9, Login::address(want)),
        Want::Rotation(want) => (10, Rotation::address(want)),
    };
    let is_user = matches!(want, Want::Login(want) if want.admin.is_some());
    (rank, is_user, address)
}

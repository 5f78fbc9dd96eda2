//! What this deployment has made and the config no longer declares: it goes, after what takes its place. An
//! instance is never among it.

use crate::aws::{EndpointLook, GroupLook};
use crate::code::Code;
use crate::config::Config;
use crate::model::{Address, Kind, Mark, Place, Tags, address_of};
use crate::resource::{Family, Leaver, Refusal, Resource};
use crate::resources::bucket::{self, Bucket};
use crate::resources::db_instance;
use crate::resources::login::{self, Login};
use crate::resources::rotation::{self, Rotation};
use crate::resources::secret::{self, Secret, Tagged};
use crate::resources::security_group::{self, GroupId, SecurityGroup};
use crate::resources::security_group_rule::{self as rule, Direction, Group, Peer, SecurityGroupRule};
use crate::resources::stack::{self, Stack};
use crate::resources::tagged::Found;
use crate::resources::vpc_endpoint::{self, VpcEndpoint};
use crate::resources::{FunctionNames, Kinds, TemplateInputs, Want};
use function_contract::{PasswordPolicy, RoleAttributes};
use std::collections::{BTreeMap, BTreeSet};

/// What leaves, each after those it refers to; all of it may refer to `wants`. `instance_stays` says whether the
/// roles outlive this plan.
///
/// Refused is a declared login whose secret has another name: two secrets would hold two passwords of one
/// role, and each rotation would break the other.
pub fn leavers(
    config: &Config,
    place: &Place,
    wants: &mut [Want],
    found: Found,
    instance_stays: bool,
) -> Result<Vec<Leaver<Want>>, Vec<(Address, Refusal)>> {
    // An instance never leaves.
    let Found { secrets, instances, groups, other_groups, rules, endpoints, stacks } = found;
    let mut leaving = Leaving {
        config,
        wants,
        declared: wants.iter().map(|want| Kinds::address(want).to_string()).collect(),
        groups: BTreeMap::new(),
        kept: groups_of_others(&instances, config.database.instance_identifier()),
        former: BTreeSet::new(),
        leavers: Vec::new(),
    };
    leaving.groups(&groups, &other_groups);
    leaving.rules(rules, &endpoints);
    leaving.endpoints(&endpoints);
    leaving.bucket(super::bucket_name(&config.deployment, place));
    leaving.stacks(stacks);
    leaving.logins(secrets, instance_stays)?;
    let Leaving { former, mut leavers, .. } = leaving;
    // AWS lists in any order; a plan is the same each time.
    leavers.sort_by_key(|leaver| super::rank(&leaver.want));
    for want in wants {
        if let Want::DbInstance(want) = want {
            want.former_groups = former.clone();
        }
    }
    Ok(leavers)
}

/// Groups of instances of ours that are no longer declared. Those stay as they are, and so does who reaches them: AWS would not
/// delete a group that an instance is in, and without its rules the instance would be cut off.
fn groups_of_others(instances: &[db_instance::Tagged], declared: Option<&str>) -> BTreeSet<String> {
    let others = instances.iter().filter(|instance| Some(instance.identifier.as_str()) != declared);
    others.flat_map(|instance| instance.groups.iter().cloned()).collect()
}

struct Leaving<'a> {
    config: &'a Config,
    wants: &'a [Want],
    declared: BTreeSet<String>,
    /// By id: those that the model knows.
    groups: BTreeMap<String, Group>,
    /// Ids of groups that stay, with their rules: an instance that stays is in them.
    kept: BTreeSet<String>,
    /// Groups of ours that go: the instance has to leave them first.
    former: BTreeSet<GroupId>,
    leavers: Vec<Leaver<Want>>,
}

impl Leaving<'_> {
    fn mark(&self, address: &Address) -> Mark {
        Mark::new(self.config.deployment.clone(), address.clone())
    }

    fn add(&mut self, want: impl Into<Want>, after: Vec<Address>) {
        self.leavers.push(Leaver { want: want.into(), after });
    }

    /// The name that the address has, of `kind` and not declared.
    fn stray(&self, tags: &Tags, kind: Kind) -> Option<String> {
        let address = address_of(&self.config.deployment, tags)?;
        if self.declared.contains(&address) {
            return None;
        }
        Some(address.strip_prefix(kind.0)?.strip_prefix('.')?.to_owned())
    }

    fn groups(&mut self, tagged: &[GroupLook], others: &[GroupLook]) {
        let declared: BTreeMap<_, _> = self
            .wants
            .iter()
            .filter_map(|want| match want {
                Want::SecurityGroup(want) => Some(((want.vpc.as_str(), want.name.as_str()), want)),
                _ => None,
            })
            .collect();
        for look in tagged.iter().chain(others) {
            if let Some(want) = declared.get(&(look.vpc.as_str(), look.name.as_str())) {
                let at = SecurityGroup::at(&want.mark.address.name);
                let group = Group { name: look.name.clone(), at, existing: want.existing };
                self.groups.insert(look.id.clone(), group);
                continue;
            }
            let ours = self
                .stray(&look.tags, SecurityGroup::KIND)
                .filter(|part| look.name == super::group_name(&self.config.deployment, part));
            let (part, existing) = match ours {
                Some(part) => (part, false),
                // Somebody else's: only our rules in it go. One of ours under another name is a copy, and stays.
                None if others.iter().any(|other| other.id == look.id) => (look.name.clone(), true),
                None => continue,
            };
            if !existing && self.kept.contains(&look.id) {
                continue;
            }
            let at = SecurityGroup::at(&part);
            let want = security_group::Desired {
                mark: self.mark(at.address()),
                name: look.name.clone(),
                vpc: look.vpc.clone(),
                description: String::new(),
                existing,
                adopt: false,
                revoke_unmanaged: false,
            };
            self.groups.insert(look.id.clone(), Group { name: look.name.clone(), at, existing });
            if !existing {
                self.former.insert(GroupId(look.id.clone()));
            }
            // An instance or an endpoint may be leaving it.
            let after = self.addresses(|want| matches!(want, Want::DbInstance(_) | Want::Stack(_)));
            self.add(want, after);
        }
    }

    fn rules(&mut self, rules: Vec<rule::Tagged>, endpoints: &[EndpointLook]) {
        let Some(vpc) = self.config.network.vpc_id() else { return };
        for rule::Tagged { tags, standing } in rules {
            let Some(name) = self.stray(&tags, SecurityGroupRule::KIND) else { continue };
            let Some(group) = self.groups.get(&standing.group).cloned() else { continue };
            let peer = match self.groups.get(&standing.peer) {
                Some(peer) => Peer::Group(peer.clone()),
                None if standing.peer.contains('/') => Peer::Cidr(standing.peer),
                None => Peer::Id(standing.peer),
            };
            let at = SecurityGroupRule::at(&name);
            let after = self.before_rule_goes(&group, &peer, standing.direction, endpoints);
            let want = rule::Desired {
                mark: self.mark(at.address()),
                vpc: vpc.to_owned(),
                group,
                direction: standing.direction,
                port: standing.port,
                peer,
                description: String::new(),
            };
            self.add(want, after);
        }
    }

    /// Whom a rule lets in or out, another one must let in or out first; and whoever still uses a group that goes
    /// must have left it.
    fn before_rule_goes(
        &self,
        group: &Group,
        peer: &Peer,
        direction: Direction,
        endpoints: &[EndpointLook],
    ) -> Vec<Address> {
        let leaves = |group: &Group| !self.declared.contains(&group.at.address().to_string());
        let group_goes = leaves(group) || matches!(peer, Peer::Group(peer) if leaves(peer));
        let mut after = self.addresses(|want| match want {
            Want::SecurityGroupRule(want) => want.direction == direction && want.group.at == group.at,
            Want::VpcEndpoint(_) => direction == Direction::Egress,
            Want::DbInstance(_) => group_goes,
            _ => false,
        });
        if group_goes {
            after.extend(self.stray_endpoints(endpoints).map(|(name, _)| VpcEndpoint::at(&name).address().clone()));
        }
        after
    }

    fn stray_endpoints<'l>(&self, looks: &'l [EndpointLook]) -> impl Iterator<Item = (String, &'l EndpointLook)> {
        // We make endpoints of no other service: one that has our tags is a copy of them.
        let service = super::secrets_manager_service(&self.config.aws.region);
        let ours = looks.iter().filter(move |look| look.service == service);
        ours.filter_map(|look| Some((self.stray(&look.tags, VpcEndpoint::KIND)?, look)))
    }

    fn addresses(&self, which: impl Fn(&Want) -> bool) -> Vec<Address> {
        self.wants.iter().filter(|want| which(want)).map(Kinds::address).collect()
    }

    fn endpoints(&mut self, endpoints: &[EndpointLook]) {
        // Its own group, or one that certainly is there: it is named for the order of removal only.
        let group = |leaving: &Self| {
            let of_endpoint = leaving.groups.values().find(|group| group.at.address().name == "endpoint");
            of_endpoint.or_else(|| leaving.groups.values().next()).map(|group| group.at.clone())
        };
        let strays: Vec<_> = self.stray_endpoints(endpoints).collect();
        for (name, look) in strays {
            let Some(group) = group(self) else { continue };
            let at = VpcEndpoint::at(&name);
            // The functions' new way to Secrets Manager comes first.
            let after = self.addresses(|want| matches!(want, Want::SecurityGroupRule(_)));
            let want = vpc_endpoint::Desired {
                mark: self.mark(at.address()),
                vpc: look.vpc.clone(),
                service: look.service.clone(),
                subnets: BTreeSet::new(),
                left_out: BTreeSet::new(),
                group,
                adopt: false,
                entrances: Vec::new(),
            };
            self.add(want, after);
        }
    }

    /// The bucket that we would make, where the config names another one.
    fn bucket(&mut self, name: String) {
        let at = Bucket::at(&name);
        if self.config.function.bucket.is_some() && !self.declared.contains(&at.address().to_string()) {
            let after = self.addresses(|want| matches!(want, Want::Artifact(_) | Want::Stack(_)));
            self.add(bucket::Desired { mark: self.mark(at.address()), name }, after);
        }
    }

    fn stacks(&mut self, names: Vec<String>) {
        let declared = self.wants.iter().find_map(|want| match want {
            Want::Stack(want) => Some(want),
            _ => None,
        });
        let Some(declared) = declared else { return };
        for name in names {
            let at = Stack::at(&name);
            if self.declared.contains(&at.address().to_string()) {
                continue;
            }
            // Its functions rotate until others do.
            let after = self.addresses(|want| matches!(want, Want::Rotation(_) | Want::Login(_)));
            // Its own functions, not those that take over.
            let function = name.strip_suffix(super::STACK_SUFFIX).unwrap_or(&name);
            let inputs = TemplateInputs { names: FunctionNames::derive(function), ..declared.inputs.clone() };
            let want = stack::Desired { mark: self.mark(at.address()), name, inputs, ..declared.clone() };
            self.add(want, after);
        }
    }

    fn logins(&mut self, secrets: Vec<Tagged>, instance_stays: bool) -> Result<(), Vec<(Address, Refusal)>> {
        let declared: BTreeMap<_, _> = self
            .wants
            .iter()
            .filter_map(|want| match want {
                Want::Secret(want) => Some((want.login.clone(), want.name.clone())),
                _ => None,
            })
            .collect();
        let (mut refusals, mut leaving) = (Vec::new(), Vec::new());
        let named: BTreeMap<_, _> = declared.iter().map(|(login, name)| (name.clone(), login)).collect();
        let has = |login: &str, name: &str| secrets.iter().any(|found| found.login == login && found.name == name);
        for found in &secrets {
            match declared.get(&found.login) {
                Some(name) if *name == found.name => {}
                // A copy of the one that is there: told of, and left alone.
                Some(name) if has(&found.login, name) => {}
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
                None if let Some(new) = named.get(&found.name) => refusals.push((
                    Secret::at(new).address().clone(),
                    Refusal::new(
                        Code::SecretRenamed,
                        format!(
                            "the secret `{}` is that of login `{}`, which looks like renamed to `{new}`",
                            found.name, found.login
                        ),
                        format!(
                            "no role is renamed: keep `{}`; or give `{new}` a secret of another name, and `{}` leaves with its own",
                            found.login, found.login
                        ),
                    ),
                )),
                // One of several is a copy, and which of them only a person can say.
                None if secrets.iter().filter(|other| other.login == found.login).count() > 1 => {}
                None => leaving.push(found.clone()),
            }
        }
        if !refusals.is_empty() {
            return Err(refusals);
        }
        // All that a leaver shares with those who stay is taken from one of them; the admin is always there.
        let pattern = self.wants.iter().find_map(|want| match want {
            Want::Login(want) => Some(want),
            _ => None,
        });
        let rotation = self.wants.iter().find_map(|want| match want {
            Want::Rotation(want) => Some(want),
            _ => None,
        });
        let (Some(pattern), Some(rotation)) = (pattern, rotation) else { return Ok(()) };
        let (mut secrets, mut logins, mut rotations) = (Vec::new(), Vec::new(), Vec::new());
        for Tagged { name, login } in leaving {
            let (secret_at, at, rotation_at) = (Secret::at(&login), Login::at(&login), Rotation::at(&login));
            secrets.push(secret::Desired {
                mark: self.mark(secret_at.address()),
                name: name.clone(),
                login: login.clone(),
                adopt: false,
                adopted_in: "[[user]]",
                passwords: PasswordPolicy::default(),
                recovery: self.config.admin.recovery_days.value,
            });
            logins.push(login::Desired {
                mark: self.mark(at.address()),
                login: login.clone(),
                adopt: false,
                attributes: RoleAttributes::default(),
                secret: secret_at.clone(),
                secret_name: name.clone(),
                admin: None,
                instance_stays: instance_stays || pattern.instance_stays,
                ..pattern.clone()
            });
            rotations.push(rotation::Desired {
                mark: self.mark(rotation_at.address()),
                secret: secret_at.clone(),
                secret_name: name,
                secret_mark: self.mark(secret_at.address()),
                adopt: false,
                login: at,
                ..rotation.clone()
            });
        }
        secrets.into_iter().for_each(|want| self.add(want, Vec::new()));
        logins.into_iter().for_each(|want| self.add(want, Vec::new()));
        rotations.into_iter().for_each(|want| self.add(want, Vec::new()));
        Ok(())
    }
}

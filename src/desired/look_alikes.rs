//! What carries this deployment's tags and is not what they say: copies, as a restored snapshot is one, and what the config
//! calls otherwise now. All of it is told; none of it is touched, for tags alone prove nothing.

use crate::aws::{EndpointLook, GroupLook};
use crate::config::Config;
use crate::model::{Address, address_of};
use crate::resource::{Family, Note};
use crate::resources::db_instance::{self, DbInstance};
use crate::resources::login::Login;
use crate::resources::secret::{Secret, Tagged};
use crate::resources::security_group::SecurityGroup;
use crate::resources::tagged::Found;
use crate::resources::vpc_endpoint::VpcEndpoint;
use crate::resources::{Kinds, Want};
use function_contract::tag;
use std::collections::{BTreeMap, BTreeSet};

/// What a reader of the plan should know of it, in any order; and instances whose place another one takes.
pub fn look_alikes(config: &Config, wants: &[Want], found: &Found) -> (Vec<Note>, Vec<Address>) {
    let mut told = Told {
        config,
        declared: wants.iter().map(|want| Kinds::address(want).to_string()).collect(),
        notes: Vec::new(),
        left_behind: Vec::new(),
    };
    let Found { secrets, instances, groups, endpoints, other_groups: _, rules: _, stacks: _ } = found;
    told.secrets(wants, secrets);
    told.instances(instances);
    told.groups(groups);
    told.endpoints(endpoints);
    (told.notes, told.left_behind)
}

struct Told<'a> {
    config: &'a Config,
    declared: BTreeSet<String>,
    notes: Vec<Note>,
    left_behind: Vec<Address>,
}

impl Told<'_> {
    fn note(&mut self, address: Address, text: String) {
        self.notes.push(Note { address, text, remedy: None });
    }

    /// Something else than what its tags name. `untag` is the command that takes them off it.
    fn copy(&mut self, address: Address, what: &str, untag: &str) {
        let text =
            format!("{what} carries the tags of this too: a copy, which stays as it is. To be told no more: {untag}");
        self.note(address, text);
    }

    fn secrets(&mut self, wants: &[Want], found: &[Tagged]) {
        let declared: BTreeMap<_, _> = wants
            .iter()
            .filter_map(|want| match want {
                Want::Secret(want) => Some((want.login.as_str(), want.name.as_str())),
                _ => None,
            })
            .collect();
        let mut by_login: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for Tagged { name, login } in found {
            by_login.entry(login).or_default().push(name);
        }
        let untag = |name: &str| {
            format!(
                "aws secretsmanager untag-resource --secret-id '{name}' --tag-keys {} {} {}",
                tag::DEPLOYMENT,
                tag::ADDRESS,
                tag::LOGIN
            )
        };
        for (login, names) in &by_login {
            let at = Secret::at(login).address().clone();
            match declared.get(login) {
                // Where the one that is declared is not there, another name is refused.
                Some(name) if names.contains(name) => {
                    for copy in names.iter().filter(|found| *found != name) {
                        self.copy(at.clone(), &format!("the secret `{copy}`"), &untag(copy));
                    }
                }
                Some(_) => {}
                None if names.len() > 1 => {
                    let text = format!(
                        "it is no longer declared, and {} all carry its tags: which of them is a copy only a person can say, \
                         and none is removed. Of each copy: {}",
                        listed(names),
                        untag("NAME")
                    );
                    self.note(at, text);
                }
                None => {}
            }
        }
        let new: Vec<_> = declared.keys().filter(|login| !by_login.contains_key(*login)).copied().collect();
        let leaving: Vec<_> = by_login.keys().filter(|login| !declared.contains_key(*login)).copied().collect();
        if !new.is_empty() {
            for old in leaving {
                self.renamed_login(old, &new);
            }
        }
    }

    fn renamed_login(&mut self, old: &str, new: &[&str]) {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let to = new.first().filter(|_| new.len() == 1).map_or_else(|| "NEW".to_owned(), |name| quoted(name));
        let text = format!(
            "`{old}` looks like renamed to {}. No role is renamed: what is new gets a role, a secret and a password of its own \
             and nothing of what `{old}` has or may, and `{old}` may log in no more. To hand over what it owns, in each \
             database: REASSIGN OWNED BY {} TO {to}",
            listed_or(new),
            quoted(old),
        );
        self.note(Login::at(old).address().clone(), text);
    }

    fn instances(&mut self, found: &[db_instance::Tagged]) {
        let declared = self.config.database.instance_identifier();
        let is_there = found.iter().any(|instance| Some(instance.identifier.as_str()) == declared);
        for db_instance::Tagged { identifier, arn, address, groups: _ } in found {
            // Its own look tells what is wrong with its tags.
            if Some(identifier.as_str()) == declared {
                continue;
            }
            let at = DbInstance::at(identifier).address().clone();
            let untag = format!(
                "aws rds remove-tags-from-resource --resource-name {arn} --tag-keys {} {}",
                tag::DEPLOYMENT,
                tag::ADDRESS
            );
            if *address != at.to_string() {
                let text = format!(
                    "the DB instance `{identifier}` carries the tags of `{address}`, as one that was restored from its snapshot \
                     does: a copy, which stays as it is. To be told no more: {untag}"
                );
                self.note(at, text);
            } else if let Some(declared) = declared.filter(|_| self.config.database.instance.is_some() && !is_there) {
                let text = format!(
                    "`{identifier}` looks like renamed to `{declared}`. Nothing is renamed: `{declared}` is another instance, and \
                     `{identifier}` stays with all that it holds, and is billed. To rename it, instead of applying this: aws rds \
                     modify-db-instance --db-instance-identifier {identifier} --new-db-instance-identifier {declared} \
                     --apply-immediately, and then pgrotate adopt FILE db_instance.{declared}. To give it up: {untag}"
                );
                self.left_behind.push(at.clone());
                self.note(at, text);
            } else {
                let text = format!(
                    "`{identifier}` is no longer declared, and an instance is never removed for that: it stays, with the security \
                     groups that it is in, and is billed. To give it up: {untag}"
                );
                self.note(at, text);
            }
        }
    }

    fn groups(&mut self, found: &[GroupLook]) {
        for look in found {
            let Some(address) = address_of(&self.config.deployment, &look.tags) else { continue };
            let Some(part) = address.strip_prefix("security_group.") else { continue };
            let is_named_so = look.name == super::group_name(&self.config.deployment, part);
            let elsewhere = self.declared.contains(&address) && Some(look.vpc.as_str()) != self.config.network.vpc_id();
            if !is_named_so || elsewhere {
                let what = format!("the security group `{}` ({} in {})", look.name, look.id, look.vpc);
                self.copy(SecurityGroup::at(part).address().clone(), &what, &untag_in_ec2(&look.id));
            }
        }
    }

    fn endpoints(&mut self, found: &[EndpointLook]) {
        let service = super::secrets_manager_service(&self.config.aws.region);
        for look in found {
            let Some(address) = address_of(&self.config.deployment, &look.tags) else { continue };
            let Some(name) = address.strip_prefix("vpc_endpoint.") else { continue };
            let elsewhere = self.declared.contains(&address) && Some(look.vpc.as_str()) != self.config.network.vpc_id();
            if look.service != service || elsewhere {
                let what = format!("the endpoint {} for {} in {}", look.id, look.service, look.vpc);
                self.copy(VpcEndpoint::at(name).address().clone(), &what, &untag_in_ec2(&look.id));
            }
        }
    }
}

fn untag_in_ec2(id: &str) -> String {
    format!("aws ec2 delete-tags --resources {id} --tags Key={} Key={}", tag::DEPLOYMENT, tag::ADDRESS)
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn listed_or(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}

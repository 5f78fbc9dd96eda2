//! Which keys of the config a resource comes from.

use crate::config::{Client, Config, Declared};
use crate::resources::Want;
use crate::resources::security_group_rule::{Direction, Peer};

/// Paths of keys as [`crate::config::Key`] has them; one that ends with a period stands for all below it. Which of them
/// the file really has, only the file tells.
pub fn keys_of(want: &Want, config: &Config) -> Vec<String> {
    let mut keys = specific(want, config);
    if is_tagged(want) {
        keys.push("tags.".to_owned());
    }
    keys
}

/// Whether it is made here and takes tags.
fn is_tagged(want: &Want) -> bool {
    match want {
        Want::DbInstance(want) => want.spec.is_some(),
        Want::DbSubnetGroup(want) => !want.existing,
        Want::SecurityGroup(want) => !want.existing,
        Want::SecurityGroupRule(_) | Want::VpcEndpoint(_) | Want::Bucket(_) | Want::Stack(_) | Want::Secret(_) => true,
        Want::DbCluster(_) | Want::Artifact(_) | Want::Login(_) | Want::Rotation(_) => false,
    }
}

fn specific(want: &Want, config: &Config) -> Vec<String> {
    let own = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    match want {
        Want::DbInstance(_) | Want::DbCluster(_) => own(&["database."]),
        Want::DbSubnetGroup(_) => own(&["database.subnet_group", "database.adopt", "network.subnets"]),
        Want::SecurityGroup(want) if want.existing => own(&["database.security_group"]),
        Want::SecurityGroup(want) => {
            let all =
                ["deployment", "network.vpc", "network.adopt", "network.unmanaged_rules", "network.secrets_manager"];
            // Only the endpoint's is there for the way to Secrets Manager.
            own(if want.mark.address.name == "endpoint" { &all } else { &all[..4] })
        }
        Want::SecurityGroupRule(want) => rule(want, config),
        Want::VpcEndpoint(_) => own(&["network.secrets_manager", "network.vpc", "network.subnets", "network.adopt"]),
        Want::Bucket(_) => own(&["deployment", "aws.region"]),
        Want::Artifact(_) => own(&["function.bucket"]),
        Want::Stack(_) => own(&[
            "function.",
            "alerts.",
            "network.subnets",
            "admin.secret",
            "admin.database",
            "database.identifier",
            "database.cluster",
        ]),
        Want::Secret(want) => {
            let own = ["login", "secret", "adopt"];
            of_login(&want.login, config, &own, &["passwords", "recovery_days"])
        }
        Want::Login(want) => {
            let own =
                ["login", "secret", "database", "adopt", "member_of", "settings", "connection_limit", "valid_until"];
            of_login(&want.login, config, &own, &["strategy"])
        }
        Want::Rotation(want) => {
            of_login(&want.mark.address.name, config, &["login", "secret", "adopt"], &["every", "cron", "window"])
        }
    }
}

/// Keys of a login's own table, and those that [rotation] may have for it. Where both have one, the login's counts.
fn of_login(login: &str, config: &Config, own: &[&str], shared: &[&str]) -> Vec<String> {
    let mut all = std::iter::once(&config.admin).chain(&config.users);
    let Some(declared) = all.find(|one| one.login.value == login).map(|one| one.declared) else { return Vec::new() };
    let (table, is_admin) = (declared.path(), declared == Declared::Admin);
    // A group's logins have one key together.
    let own =
        own.iter().map(|key| if matches!(declared, Declared::Group(_)) && *key == "login" { &"logins" } else { key });
    let mut keys: Vec<_> = own.chain(shared).map(|key| format!("{table}.{key}")).collect();
    // The admin's schedule is its own.
    let of_all = shared.iter().filter(|key| !is_admin || !["every", "cron", "window", "strategy"].contains(key));
    keys.extend(of_all.map(|key| format!("rotation.{key}")));
    keys
}

fn rule(want: &crate::resources::security_group_rule::Desired, config: &Config) -> Vec<String> {
    let to_database = want.port == config.database.port;
    let mut keys = vec![if to_database { "database.port" } else { "network.secrets_manager" }.to_owned()];
    let allowed = config.network.allow.iter().position(|allow| match (&allow.from, &want.peer) {
        (Client::Cidr(cidr), Peer::Cidr(peer)) => cidr.value == *peer,
        (Client::Group(group), Peer::Id(peer)) => group.value == *peer,
        _ => false,
    });
    match (&want.peer, allowed, want.direction) {
        (Peer::Cidr(_) | Peer::Id(_), Some(number), Direction::Ingress) if to_database => {
            keys.push(format!("network.allow[{number}]"));
        }
        (Peer::Cidr(_), _, _) => keys.extend(["network.endpoint_clients".to_owned(), "network.vpc".to_owned()]),
        _ => keys.push("deployment".to_owned()),
    }
    keys
}

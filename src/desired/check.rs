//! What the config says against what is there: the network settings that decide whether a rotation can work
//! at all are looked at before anything is made.

use super::Around;
use crate::aws::{NetworkLook, ServiceEndpoint, WayOut};
use crate::code::Code;
use crate::config::{Client, Config, ConfigError, Located, SecretsManagerPath};
use crate::model::Place;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// `vpc` and `declared` are the ids of the VPC and of its subnets.
pub(super) fn check(
    config: &Config,
    place: &Place,
    around: &Around,
    vpc: &str,
    declared: &[Located<String>],
) -> Vec<ConfigError> {
    let network = &around.network;
    let mut errors = self::vpc(config, place, network, vpc);
    let vpc_is_there = errors.is_empty() && network.vpc.is_some();
    errors.extend(subnets(config, place, network, vpc, declared));
    errors.extend(clients(config, network, vpc));
    errors.extend(topic(config, place));
    if vpc_is_there && errors.is_empty() {
        match config.network.secrets_manager.value {
            SecretsManagerPath::Endpoint => {}
            SecretsManagerPath::ExistingEndpoint => errors.extend(existing_endpoint(config, network, vpc, declared)),
            SecretsManagerPath::Nat => errors.extend(nat(network, declared)),
        }
    }
    errors
}

fn vpc(config: &Config, place: &Place, network: &NetworkLook, vpc: &str) -> Vec<ConfigError> {
    let span = &config.network.vpc.span;
    let Some(look) = &network.vpc else {
        return vec![
            ConfigError::at(
                Code::NotThere,
                span,
                format!("there is no VPC {} in {} of account {}", vpc, place.region, place.account),
            )
            .hint("check the id, the region in [aws], and which account your credentials are of"),
        ];
    };
    if config.network.secrets_manager.value == SecretsManagerPath::Nat {
        return Vec::new();
    }
    [
        (look.dns_support, "enableDnsSupport", "enable-dns-support"),
        (look.dns_hostnames, "enableDnsHostnames", "enable-dns-hostnames"),
    ]
    .into_iter()
    .filter(|(on, ..)| !on)
    .map(|(_, attribute, switch)| {
        ConfigError::at(
            Code::UnfitNetwork,
            span,
            format!("{attribute} is off in {}: an endpoint's private DNS needs it", vpc),
        )
        .hint(format!("aws ec2 modify-vpc-attribute --vpc-id {} --{switch}", vpc))
    })
    .collect()
}

fn subnets(
    config: &Config,
    place: &Place,
    network: &NetworkLook,
    vpc: &str,
    declared: &[Located<String>],
) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let mut zones = BTreeSet::new();
    for subnet in declared {
        match network.subnets.get(&subnet.value) {
            None => errors.push(
                ConfigError::at(
                    Code::NotThere,
                    &subnet.span,
                    format!("there is no subnet {} in {}", subnet.value, place.region),
                )
                .hint(format!("aws ec2 describe-subnets --filters Name=vpc-id,Values={}", vpc)),
            ),
            // Without the VPC, where its subnets are tells nothing more.
            Some(_) if network.vpc.is_none() => {}
            Some(look) if look.vpc != vpc => errors.push(
                ConfigError::at(
                    Code::UnfitNetwork,
                    &subnet.span,
                    format!("subnet {} is in {}, not in {}", subnet.value, look.vpc, vpc),
                )
                .hint("name subnets of the VPC above"),
            ),
            Some(look) => {
                zones.insert(look.zone.as_str());
            }
        }
    }
    // Functions do with one zone; a DB subnet group does not.
    let makes_group = config.database.instance.as_ref().is_some_and(|instance| !instance.subnet_group.existing);
    if errors.is_empty() && makes_group && network.vpc.is_some() && zones.len() < 2 {
        let zones: Vec<_> = zones.into_iter().collect();
        errors.push(
            ConfigError::at(
                Code::UnfitNetwork,
                &config.network.subnets.span,
                format!("all subnets are in {}: RDS wants two availability zones", zones.join(", ")),
            )
            .hint("add a subnet of another zone"),
        );
    }
    errors
}

fn clients(config: &Config, network: &NetworkLook, vpc: &str) -> Vec<ConfigError> {
    config
        .network
        .allow
        .iter()
        .filter_map(|allow| match &allow.from {
            Client::Group(group) if !network.groups.contains(&group.value) => Some(
                ConfigError::at(Code::NotThere, &group.span, format!("there is no security group {}", group.value))
                    .hint(format!("aws ec2 describe-security-groups --filters Name=vpc-id,Values={vpc}")),
            ),
            _ => None,
        })
        .collect()
}

/// What can be told of the topic without asking for it: pgrotate needs no leave to look at topics.
fn topic(config: &Config, place: &Place) -> Option<ConfigError> {
    let topic = &config.alerts.as_ref()?.topic;
    let mut parts = topic.value.split(':').skip(1);
    let (partition, account) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    let (what, is, should) = if account != place.account {
        ("account", account, &place.account)
    } else if partition != place.partition {
        ("partition", partition, &place.partition)
    } else {
        return None;
    };
    Some(
        ConfigError::at(
            Code::BadValue,
            &topic.span,
            format!("the topic is of {what} {is}, and your credentials are of {should}"),
        )
        .hint(format!("name a topic of the deployment's {what}")),
    )
}

/// A function in a VPC has no public address: only a NAT, or what else stands between, brings it out.
fn nat(network: &NetworkLook, declared: &[Located<String>]) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    for subnet in declared {
        let way = network.ways_out.get(&subnet.value).cloned().unwrap_or(WayOut { table: None, target: None });
        let table = way.table.map_or_else(|| "no route table".to_owned(), |table| format!("the route table {table}"));
        let why = match way.target {
            None => format!("{table} of {} has no working route to 0.0.0.0/0", subnet.value),
            Some(target) if target.starts_with("igw-") => format!(
                "{table} of {} leads to the internet gateway {target}, and a function has no public address",
                subnet.value
            ),
            Some(_) => continue,
        };
        errors.push(
            ConfigError::at(
                Code::UnfitNetwork,
                &subnet.span,
                format!("no function in this subnet would reach Secrets Manager: {why}"),
            )
            .hint("name subnets that route through a NAT gateway, or set `secrets_manager = \"endpoint\"`"),
        );
    }
    errors
}

fn existing_endpoint(
    config: &Config,
    network: &NetworkLook,
    vpc: &str,
    declared: &[Located<String>],
) -> Option<ConfigError> {
    let span = &config.network.secrets_manager.span;
    let usable: Vec<_> = network.endpoints.iter().filter(|endpoint| endpoint.is_usable()).collect();
    if usable.is_empty() {
        let why = match network.endpoints.first() {
            None => format!("{vpc} has no interface endpoint of Secrets Manager"),
            Some(found) if !found.private_dns => {
                format!(
                    "the endpoint {} has no private DNS, so nothing finds it under Secrets Manager's name",
                    found.id
                )
            }
            Some(found) => format!("the endpoint {} is {}", found.id, found.state),
        };
        return Some(
            ConfigError::at(Code::UnfitNetwork, span, why)
                .hint("set `secrets_manager = \"endpoint\"` to have one made"),
        );
    }
    let subnets: Vec<_> = declared.iter().filter_map(|subnet| network.subnets.get(&subnet.value)).collect();
    // A group or a prefix list may hold the functions; whether it does cannot be told from here.
    let may_admit = |endpoint: &ServiceEndpoint| {
        endpoint.admits.iter().any(|client| !client.contains('/'))
            || subnets.iter().all(|subnet| endpoint.admits.iter().any(|client| contains(client, &subnet.cidr)))
    };
    if usable.iter().any(|endpoint| may_admit(endpoint)) {
        return None;
    }
    let endpoint = usable[0];
    let admits: Vec<_> = endpoint.admits.iter().map(String::as_str).collect();
    let admits = if admits.is_empty() { "nobody".to_owned() } else { admits.join(", ") };
    let group = endpoint.groups.first().map_or("sg-…", String::as_str);
    let cidr = network.vpc.as_ref().and_then(|vpc| vpc.cidrs.first()).map_or("…", String::as_str);
    Some(
        ConfigError::at(
            Code::UnfitNetwork,
            span,
            format!(
                "the functions would not reach the endpoint {}: on port 443 its groups let in {admits}",
                endpoint.id
            ),
        )
        .hint(format!(
            "aws ec2 authorize-security-group-ingress --group-id {group} --protocol tcp --port 443 --cidr {cidr}"
        )),
    )
}

/// Whether one CIDR holds all of another.
fn contains(outer: &str, inner: &str) -> bool {
    let parse = |cidr: &str| -> Option<(IpAddr, u32)> {
        let (address, length) = cidr.split_once('/')?;
        Some((address.parse().ok()?, length.parse().ok()?))
    };
    let (Some((outer, bits)), Some((inner, length))) = (parse(outer), parse(inner)) else { return false };
    match (outer, inner) {
        (IpAddr::V4(outer), IpAddr::V4(inner)) => {
            let mask = u32::MAX.checked_shl(32u32.saturating_sub(bits)).unwrap_or(0);
            bits <= length && u32::from(outer) & mask == u32::from(inner) & mask
        }
        (IpAddr::V6(outer), IpAddr::V6(inner)) => {
            let mask = u128::MAX.checked_shl(128u32.saturating_sub(bits)).unwrap_or(0);
            bits <= length && u128::from(outer) & mask == u128::from(inner) & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::contains;

    #[test]
    fn what_a_cidr_holds() {
        for (outer, inner) in [
            ("0.0.0.0/0", "172.31.0.0/20"),
            ("172.31.0.0/16", "172.31.16.0/20"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("::/0", "2001:db8::/32"),
        ] {
            assert!(contains(outer, inner), "{outer} holds {inner}");
        }
        for (outer, inner) in [
            ("172.31.0.0/20", "172.31.0.0/16"),
            ("10.0.0.0/8", "11.0.0.0/16"),
            ("::/0", "10.0.0.0/8"),
            ("sg-1", "10.0.0.0/8"),
        ] {
            assert!(!contains(outer, inner), "{outer} does not hold {inner}");
        }
    }
}

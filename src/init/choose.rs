//! What is proposed where there is a choice, and why: pure.

use super::Because;
use crate::aws::{GroupFound, ServiceEndpoint, SubnetFound, WayOut};
use crate::config::SecretsManagerPath;
use std::collections::{BTreeMap, BTreeSet};

/// A DB subnet group needs two zones, and so do functions that outlive the failure of one. Each more costs an endpoint's
/// network interface.
const ZONES: usize = 2;

/// Two subnets of two zones, or of one where there are no two: those that lead out through a NAT first, those that are open
/// to the internet last. `found` is in the order of its zones.
pub fn choose_subnets(found: &[SubnetFound], ways: &BTreeMap<String, WayOut>) -> Vec<String> {
    let mut ranked: Vec<_> = found.iter().collect();
    ranked.sort_by_key(|subnet| match target(ways, &subnet.id) {
        Some(target) if is_nat(target) => 0,
        Some(target) if target.starts_with("igw-") => 2,
        _ => 1,
    });
    let mut zones = BTreeSet::new();
    let (first, further): (Vec<&SubnetFound>, Vec<_>) =
        ranked.into_iter().partition(|subnet| zones.insert(subnet.zone.as_str()));
    let mut chosen: Vec<_> = first.into_iter().chain(further).take(ZONES).collect();
    chosen.sort_by(|one, other| (&one.zone, &one.id).cmp(&(&other.zone, &other.id)));
    chosen.into_iter().map(|subnet| subnet.id.clone()).collect()
}

fn target<'a>(ways: &'a BTreeMap<String, WayOut>, subnet: &str) -> Option<&'a str> {
    ways.get(subnet).and_then(|way| way.target.as_deref())
}

fn is_nat(target: &str) -> bool {
    target.starts_with("nat-")
}

/// How functions in `subnets` reach Secrets Manager. `own` is whether an endpoint in the VPC is this deployment's already:
/// it stays declared as such.
pub fn choose_path(
    endpoints: &[ServiceEndpoint],
    own: bool,
    subnets: &[String],
    ways: &BTreeMap<String, WayOut>,
) -> Because<SecretsManagerPath> {
    let because = |value, why: String| Because { value, why: Some(why) };
    if own {
        return because(SecretsManagerPath::Endpoint, "Chosen: this deployment has made one already.".to_owned());
    }
    if let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.is_usable()) {
        // There can be one with private DNS in a VPC, so that another could not be made.
        let why = format!("Chosen: the VPC has {}, with private DNS.", endpoint.id);
        return because(SecretsManagerPath::ExistingEndpoint, why);
    }
    let targets: Vec<_> = subnets.iter().map(|subnet| target(ways, subnet)).collect();
    if !targets.is_empty() && targets.iter().all(|target| target.is_some_and(is_nat)) {
        let gateways: BTreeSet<_> = targets.into_iter().flatten().collect();
        let gateways: Vec<_> = gateways.into_iter().collect();
        return because(
            SecretsManagerPath::Nat,
            format!("Chosen: the subnets lead out through {}.", gateways.join(" and ")),
        );
    }
    let elsewhere = targets.into_iter().flatten().find(|target| !target.starts_with("igw-") && !is_nat(target));
    let why = match elsewhere {
        Some(target) => format!(
            "Chosen: the VPC has none with private DNS. Should {target}, to which its subnets lead, bring functions out to \
             the internet, \"nat\" makes none."
        ),
        None => "Chosen: the VPC has none with private DNS, and the subnets do not all lead out through a NAT gateway."
            .to_owned(),
    };
    because(SecretsManagerPath::Endpoint, why)
}

/// The group of a database into which the functions' rule goes; None: it is in no group.
pub fn choose_group(groups: &[GroupFound]) -> Option<Because<String>> {
    // What is in a VPC's default group is often not of the database alone, and all of it would be opened to the functions.
    let rank = |group: &&GroupFound| (group.name == "default", !group.admits, group.name.clone());
    let best = groups.iter().min_by_key(rank)?;
    let others: Vec<_> =
        groups.iter().filter(|group| group.name != best.name).map(|group| group.name.as_str()).collect();
    let why = match (others.is_empty(), best.admits) {
        (true, _) if best.name == "default" => Some(
            "The database is in the VPC's default group alone: whatever else is in it is opened to the functions at that port too."
                .to_owned(),
        ),
        (true, _) => None,
        (false, true) => Some(format!(
            "Of the database's groups this one lets clients in at its port already; the others: {}.",
            others.join(", ")
        )),
        (false, false) => Some(format!("One of the database's groups, any of which would do; the others: {}.", others.join(", "))),
    };
    Some(Because { value: best.name.clone(), why })
}

/// Characters that a deployment's name may have.
const DEPLOYMENT: usize = 40;

/// A deployment's name, made of a database's.
pub fn deployment_name(identifier: &str) -> String {
    let name: String = identifier
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .take(DEPLOYMENT)
        .collect();
    name.trim_matches('-').to_owned()
}

/// The secret of a login, unless another is said: what the login is called, in the characters that Secrets Manager takes.
pub fn secret_name(login: &str) -> String {
    let taken = |c: char| if c.is_ascii_alphanumeric() || "/_+=.@-".contains(c) { c } else { '-' };
    format!("{}_secret", login.chars().map(taken).collect::<String>())
}

/// The highest major of some versions, as RDS writes them.
pub fn latest_major(versions: &[String]) -> Option<u32> {
    versions.iter().filter_map(|version| version.split('.').next()?.parse().ok()).max()
}

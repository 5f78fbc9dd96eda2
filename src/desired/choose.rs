//! Which VPC and which subnets the config means by their tags. What is found is put into the config, as if it had named it.

use crate::aws::Candidate;
use crate::code::Code;
use crate::config::{Choice, Config, ConfigError, Located};
use crate::model::Tags;

/// Candidates that an error names at most.
const NAMED: usize = 10;

/// Puts the one VPC that has the tags into the config, in the place of those tags; None: the config names one.
pub fn vpc(config: &mut Config, all: &[Candidate]) -> Result<Option<String>, ConfigError> {
    let vpc = &mut config.network.vpc;
    let Choice::Tagged(tags) = &vpc.value else { return Ok(None) };
    let found: Vec<_> = all.iter().filter(|candidate| has(candidate, tags)).collect();
    let [one] = found.as_slice() else {
        let (code, message, of) = match found.len() {
            0 => (Code::NotThere, format!("no VPC in {} has {}", config.aws.region, told(tags)), all.iter().collect()),
            many => (Code::UnfitNetwork, format!("{many} VPCs have {}, and one is meant", told(tags)), found),
        };
        let instead = if code == Code::NotThere { "correct the tags" } else { "add a tag that tells them apart" };
        let hint = format!("{instead}, or name one by its id: {}", named(&of));
        return Err(ConfigError::at(code, &vpc.span, message).hint(hint));
    };
    vpc.value = Choice::These(one.id.clone());
    Ok(Some(one.id.clone()))
}

/// Puts the subnets of the VPC that have the tags into the config, by zone and id; None: the config names them. `all` are
/// the VPC's.
pub fn subnets(config: &mut Config, all: &[Candidate]) -> Result<Option<Vec<String>>, ConfigError> {
    let subnets = &mut config.network.subnets;
    let Choice::Tagged(tags) = &subnets.value else { return Ok(None) };
    let mut found: Vec<_> = all.iter().filter(|candidate| has(candidate, tags)).collect();
    found.sort_by_key(|candidate| (&candidate.zone, &candidate.id));
    // As many as have to be named otherwise.
    if found.len() < 2 {
        let how = if found.is_empty() { "no subnet" } else { "one subnet only" };
        let message = format!("{how} of the VPC has {}: RDS needs two or more", told(tags));
        let hint = format!("correct the tags, or name subnets by their ids: {}", named(&Vec::from_iter(all)));
        return Err(ConfigError::at(Code::NotThere, &subnets.span, message).hint(hint));
    }
    let ids: Vec<_> = found.into_iter().map(|candidate| candidate.id.clone()).collect();
    let located = |id: &String| Located { value: id.clone(), span: subnets.span.clone() };
    subnets.value = Choice::These(ids.iter().map(located).collect());
    Ok(Some(ids))
}

fn has(candidate: &Candidate, tags: &Tags) -> bool {
    tags.iter().all(|(key, value)| candidate.tags.get(key) == Some(value))
}

fn told(tags: &Tags) -> String {
    let each: Vec<_> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let what = if each.len() == 1 { "the tag" } else { "the tags" };
    format!("{what} {}", each.join(", "))
}

/// By id, zone and the tag `Name`.
fn named(all: &[&Candidate]) -> String {
    let mut all: Vec<_> = all.to_vec();
    all.sort_by_key(|candidate| (&candidate.zone, &candidate.id));
    let each = |candidate: &&Candidate| {
        let of = [candidate.tags.get("Name"), candidate.zone.as_ref()];
        let of: Vec<_> = of.into_iter().flatten().map(String::as_str).collect();
        if of.is_empty() { candidate.id.clone() } else { format!("{} ({})", candidate.id, of.join(", ")) }
    };
    let names: Vec<_> = all.iter().take(NAMED).map(each).collect();
    match all.len().saturating_sub(NAMED) {
        _ if all.is_empty() => "there are none".to_owned(),
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const TEXT: &str = include_str!("../../configs/scenarios/private.toml");

    fn by_tags() -> Config {
        let vpc = TEXT.lines().find(|line| line.starts_with("vpc = ")).expect("its VPC");
        let subnets = TEXT.lines().find(|line| line.starts_with("subnets = ")).expect("its subnets");
        let text = TEXT
            .replace(vpc, "vpc = { tags = { Name = \"prod\", Team = \"a\" } }")
            .replace(subnets, "subnets = { tags = { Tier = \"private\" } }");
        config::parse("demo.toml", &text).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn candidate(id: &str, zone: Option<&str>, tags: &[(&str, &str)]) -> Candidate {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Candidate { id: id.to_owned(), zone: zone.map(str::to_owned), tags }
    }

    #[test]
    fn one_vpc_has_all_of_the_tags() {
        let mut all = vec![
            candidate("vpc-1", None, &[("Name", "prod")]),
            candidate("vpc-2", None, &[("Name", "prod"), ("Team", "a"), ("More", "x")]),
            candidate("vpc-3", None, &[]),
        ];
        let mut config = by_tags();
        assert_eq!(vpc(&mut config, &all).unwrap().as_deref(), Some("vpc-2"));
        assert_eq!(config.network.vpc_id(), Some("vpc-2"));
        assert_eq!(vpc(&mut config, &[]).unwrap(), None, "it is named now");

        all.push(candidate("vpc-0", None, &[("Name", "prod"), ("Team", "a")]));
        let error = vpc(&mut by_tags(), &all).unwrap_err();
        assert_eq!(error.message, "2 VPCs have the tags Name=prod, Team=a, and one is meant");
        let hint = "add a tag that tells them apart, or name one by its id: vpc-0 (prod), vpc-2 (prod)";
        assert_eq!(error.hint.as_deref(), Some(hint));
        let error = vpc(&mut by_tags(), &all[2..3]).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("correct the tags, or name one by its id: vpc-3"));
        assert!(vpc(&mut by_tags(), &[]).unwrap_err().hint.unwrap().ends_with("there are none"));
    }

    #[test]
    fn subnets_by_zone_and_id() {
        let private = [("Tier", "private")];
        let all = [
            candidate("subnet-3", Some("b"), &private),
            candidate("subnet-4", Some("a"), &private),
            candidate("subnet-1", Some("b"), &private),
            candidate("subnet-2", Some("a"), &[("Tier", "public"), ("Name", "p")]),
        ];
        let mut config = by_tags();
        let found = ["subnet-4", "subnet-1", "subnet-3"].map(str::to_owned);
        assert_eq!(subnets(&mut config, &all).unwrap(), Some(found.to_vec()));
        let ids: Vec<_> = config.network.subnet_ids().unwrap().iter().map(|subnet| subnet.value.clone()).collect();
        assert_eq!(ids, found);

        let error = subnets(&mut by_tags(), &all[2..]).unwrap_err();
        assert_eq!(error.message, "one subnet only of the VPC has the tag Tier=private: RDS needs two or more");
        let hint = "correct the tags, or name subnets by their ids: subnet-2 (p, a), subnet-1 (b)";
        assert_eq!(error.hint.as_deref(), Some(hint));
        let many: Vec<_> = (0..12).map(|number| candidate(&format!("subnet-{number:02}"), Some("a"), &[])).collect();
        assert!(subnets(&mut by_tags(), &many).unwrap_err().hint.unwrap().ends_with("subnet-09 (a) and 2 more"));
    }
}

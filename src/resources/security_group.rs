//! `security_group`: one each for database, functions and endpoint. A new group admits nothing, in or
//! out: AWS's default allow-all egress rule is taken away.

use super::{Live, LiveError, missing_tags};
use crate::aws::{Aws, Look, absent, call};
use crate::execute::Applied;
use crate::model::{Address, Kind, Mark, Owner, Ref, Seen, Shown, Tags};
use crate::resource::{Diff, Known, NotProduced, made_up_id, OutputOf, Refusal, Resource, Risk, Settled, Step, Verb, require_ours, unobservable};
use aws_sdk_ec2::types::{Filter, IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroupRule as Rule, Tag, TagSpecification};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct SecurityGroup;

#[derive(Debug, Clone)]
pub struct Desired {
    pub mark: Mark,
    /// Unique in its VPC.
    pub name: String,
    pub vpc: String,
    pub description: String,
    /// Addresses of the rules that the deployment wants in it: other rules of ours are no longer declared.
    pub rules: BTreeSet<String>,
    /// Whether rules of nobody we know are taken away; otherwise they are drift and stay.
    pub revoke_unmanaged: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub id: String,
    pub tags: Tags,
    /// The untagged rule that lets everything out, as AWS puts it into every new group.
    pub default_egress: BTreeSet<String>,
    /// Rules with this deployment's mark, address to rule id.
    pub ours: BTreeMap<String, String>,
    /// Rules of nobody we know: rule id to a description.
    pub unmanaged: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub enum Change {
    Create,
    RevokeDefaultEgress { id: String, rules: BTreeSet<String> },
    RevokeRules { id: String, rules: BTreeSet<String> },
    SetTags { id: String },
    Delete { id: String },
}

#[derive(Debug, Clone)]
pub struct Outputs {
    pub id: GroupId,
}

/// `sg-…`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupId(pub String);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl OutputOf for GroupId {
    type By = SecurityGroup;
    fn of(outputs: &Outputs) -> Self {
        outputs.id.clone()
    }
}

impl SecurityGroup {
    pub fn at(name: &str) -> Ref<Self> {
        Ref::to(Address { kind: Self::KIND, name: name.to_owned() })
    }
}

impl Resource for SecurityGroup {
    const KIND: Kind = Kind("security_group");
    type Desired = Desired;
    type Observed = Observed;
    type Outputs = Outputs;
    type Change = Change;

    fn address(want: &Desired) -> Address {
        want.mark.address.clone()
    }

    fn needs(_want: &Desired) -> Vec<Address> {
        Vec::new()
    }

    fn diff(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        let live = match live {
            Seen::Absent => {
                return Ok(vec![
                    cx.step("create", Verb::Create, Change::Create)
                        .set("name", Shown::text(&want.name))
                        .set("vpc", Shown::text(&want.vpc))
                        .set("description", Shown::text(&want.description)),
                ]);
            }
            Seen::Unobservable(why) => return Err(unobservable(why)),
            Seen::Present(live) => live,
        };
        require_ours(&want.mark, &live.tags, &format!("the security group `{}` ({})", want.name, live.id))?;
        let mut steps = Vec::new();
        if !live.default_egress.is_empty() {
            let change =
                Change::RevokeDefaultEgress { id: live.id.clone(), rules: live.default_egress.clone() };
            steps.push(
                cx.step("revoke-default-egress", Verb::Update, change)
                    .attribute("egress", Shown::text("everything, everywhere"), Shown::text("as declared"))
                    .because("AWS adds this rule to every new group"),
            );
        }
        let undeclared: BTreeMap<_, _> =
            live.ours.iter().filter(|(address, _)| !want.rules.contains(*address)).collect();
        if !undeclared.is_empty() {
            let rules = undeclared.values().map(|rule| (*rule).clone()).collect();
            steps.push(
                cx.step("revoke-undeclared", Verb::Update, Change::RevokeRules { id: live.id.clone(), rules })
                    .attribute("rules", Shown::list(undeclared.keys()), Shown::Unset)
                    .because("no longer declared"),
            );
        }
        let missing = missing_tags(&want.mark.tags(), &live.tags);
        if !missing.is_empty() {
            let change = Change::SetTags { id: live.id.clone() };
            steps.push(cx.step("set-tags", Verb::Update, change).set("tags", Shown::list(missing.keys())));
        }
        if want.revoke_unmanaged && !live.unmanaged.is_empty() {
            let rules = live.unmanaged.keys().cloned().collect();
            steps.push(
                cx.step("revoke-unmanaged", Verb::Update, Change::RevokeRules { id: live.id.clone(), rules })
                    .risk(Risk::Interrupts)
                    .attribute("unmanaged_rules", Shown::list(live.unmanaged.values()), Shown::Unset)
                    .because("pgrotate did not make them, and unmanaged_rules = \"revoke\""),
            );
        } else {
            for (rule, description) in &live.unmanaged {
                cx.drift(
                    format!("unmanaged rule {rule} ({description}): pgrotate did not make it, and leaves it alone"),
                    "declare it under `allow` in [network], or set unmanaged_rules = \"revoke\" there and apply",
                );
            }
        }
        Ok(steps)
    }

    fn remove(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        match live {
            Seen::Absent => Ok(Vec::new()),
            Seen::Unobservable(why) => Err(unobservable(why)),
            Seen::Present(live) if want.mark.owner(&live.tags) != Owner::Us => {
                cx.note("it is not this deployment's and stays");
                Ok(Vec::new())
            }
            Seen::Present(live) => {
                Ok(vec![cx.step("delete", Verb::Delete, Change::Delete { id: live.id.clone() })])
            }
        }
    }

    fn settled(_want: &Desired, live: &Observed) -> Settled<Outputs> {
        Settled::Yes(Outputs { id: GroupId(live.id.clone()) })
    }

    fn same(one: &Observed, other: &Observed) -> bool {
        // Rules are resources of their own, and come and go while a plan is carried out.
        let without_rules =
            |live: &Observed| Observed { ours: BTreeMap::new(), unmanaged: BTreeMap::new(), ..live.clone() };
        without_rules(one) == without_rules(other)
    }

    fn realised(want: &Desired, _known: &Known) -> Result<Observed, NotProduced> {
        Ok(Observed {
            id: made_up_id("sg", &want.mark.address),
            tags: want.mark.tags(),
            default_egress: BTreeSet::new(),
            ours: want.rules.iter().map(|rule| (rule.clone(), format!("sgr-of-{rule}"))).collect(),
            unmanaged: BTreeMap::new(),
        })
    }
}

impl Live for SecurityGroup {
    /// A function's network interfaces hold its group for 20 to 40 minutes after the function is deleted.
    const PATIENCE: Duration = Duration::from_secs(60 * 60);

    async fn observe(look: &Look<'_>, wants: &[&Desired]) -> Result<Vec<Seen<Observed>>, LiveError> {
        let names: Vec<_> = wants.iter().map(|want| (want.vpc.as_str(), want.name.as_str())).collect();
        let found = find(look.aws, &names).await?;
        Ok(wants
            .iter()
            .map(|want| match found.get(&want.name) {
                None => Seen::Absent,
                Some(group) => Seen::Present(observed(want, group)),
            })
            .collect())
    }

    async fn apply(aws: &Aws, want: &Desired, change: &Change, _known: &Known) -> Result<Applied, LiveError> {
        match change {
            Change::Create => {
                let create = call("ec2", "CreateSecurityGroup");
                let answer = aws
                    .ec2
                    .create_security_group()
                    .group_name(&want.name)
                    .description(&want.description)
                    .vpc_id(&want.vpc)
                    .tag_specifications(tagged(ResourceType::SecurityGroup, &named(&want.name, &want.mark.tags())))
                    .send()
                    .await
                    .map_err(|error| create.failed(error));
                let id = match absent(answer, &["InvalidGroup.Duplicate"])? {
                    Some(answer) => create.expect(answer.group_id(), "GroupId")?.to_owned(),
                    // Another apply was quicker, and may have stopped before the next call: it is made
                    // here too, if the group is ours.
                    None => match find(aws, &[(&want.vpc, &want.name)]).await?.remove(&want.name) {
                        Some(group) if want.mark.owner(&group.tags) == Owner::Us => group.id,
                        Some(_) => return Ok(Applied::Accepted),
                        None => return Ok(not_visible()),
                    },
                };
                return revoke_default_egress(aws, &id).await;
            }
            Change::RevokeDefaultEgress { id, rules } => revoke_egress(aws, id, rules).await?,
            Change::RevokeRules { id, rules } => {
                let found = rules_of(aws, std::slice::from_ref(id)).await?;
                for egress in [false, true] {
                    let mine: BTreeSet<_> = found
                        .iter()
                        .filter(|rule| rule.is_egress().unwrap_or(false) == egress)
                        .filter_map(rule_id)
                        .filter(|rule| rules.contains(rule))
                        .collect();
                    if egress {
                        revoke_egress(aws, id, &mine).await?;
                    } else {
                        revoke_ingress(aws, id, &mine).await?;
                    }
                }
            }
            Change::SetTags { id } => create_tags(aws, id, &want.mark.tags()).await?,
            Change::Delete { id } => {
                let delete = call("ec2", "DeleteSecurityGroup");
                let answer =
                    aws.ec2.delete_security_group().group_id(id).send().await.map_err(|error| delete.failed(error));
                match answer {
                    Err(error) if error.is(&["DependencyViolation"]) => {
                        return Ok(Applied::NotYet {
                            saying: "network interfaces still use it; a deleted function's stay up to 40 minutes"
                                .to_owned(),
                        });
                    }
                    answer => absent(answer, &["InvalidGroup.NotFound"])?,
                };
            }
        }
        Ok(Applied::Accepted)
    }
}

fn not_visible() -> Applied {
    Applied::NotYet { saying: "the new group is not visible yet".to_owned() }
}

/// Takes AWS's own rule away by what it says: the rule's id may not be visible yet in a group just made.
async fn revoke_default_egress(aws: &Aws, id: &str) -> Result<Applied, LiveError> {
    let everything = IpPermission::builder().ip_protocol("-1");
    let everywhere = [
        everything.clone().ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").build()).build(),
        // Only in a VPC with IPv6.
        everything.ipv6_ranges(Ipv6Range::builder().cidr_ipv6("::/0").build()).build(),
    ];
    for permission in everywhere {
        let revoke = call("ec2", "RevokeSecurityGroupEgress");
        let request = aws.ec2.revoke_security_group_egress().group_id(id).ip_permissions(permission);
        match request.send().await.map_err(|error| revoke.failed(error)) {
            Err(error) if error.is(&["InvalidGroup.NotFound"]) => return Ok(not_visible()),
            answer => absent(answer, &["InvalidPermission.NotFound"])?,
        };
    }
    Ok(Applied::Accepted)
}

/// A group and its rules, as found.
#[derive(Debug)]
pub(super) struct Found {
    pub id: String,
    pub tags: Tags,
    pub rules: Vec<Rule>,
}

fn observed(want: &Desired, group: &Found) -> Observed {
    let (mut default_egress, mut ours, mut unmanaged) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
    for rule in &group.rules {
        let Some(id) = rule_id(rule) else { continue };
        let tags = read_tags(rule.tags());
        if is_default_egress(rule) {
            default_egress.insert(id);
        } else {
            // Both tags: a rule is revoked for no longer being declared, and that must not rest on one.
            match want.mark.address_of_ours(&tags) {
                Some(address) => {
                    ours.insert(address, id);
                }
                None => {
                    unmanaged.insert(id, described(rule));
                }
            }
        }
    }
    Observed { id: group.id.clone(), tags: group.tags.clone(), default_egress, ours, unmanaged }
}

/// Finds groups by (VPC, name), with all their rules: two calls, however many groups.
pub(super) async fn find(aws: &Aws, names: &[(&str, &str)]) -> Result<BTreeMap<String, Found>, LiveError> {
    let describe = call("ec2", "DescribeSecurityGroups");
    let unique = |values: BTreeSet<&str>| Some(values.into_iter().map(str::to_owned).collect::<Vec<_>>());
    let groups = aws
        .ec2
        .describe_security_groups()
        .filters(
            Filter::builder()
                .name("vpc-id")
                .set_values(unique(names.iter().map(|(vpc, _)| *vpc).collect()))
                .build(),
        )
        .filters(
            Filter::builder()
                .name("group-name")
                .set_values(unique(names.iter().map(|(_, name)| *name).collect()))
                .build(),
        )
        .into_paginator()
        .items()
        .send()
        .try_collect()
        .await
        .map_err(|error| describe.failed(error))?;
    let mut found = BTreeMap::new();
    for group in &groups {
        let id = describe.expect(group.group_id(), "GroupId")?.to_owned();
        let name = describe.expect(group.group_name(), "GroupName")?.to_owned();
        found.insert(name, Found { id, tags: read_tags(group.tags()), rules: Vec::new() });
    }
    if !found.is_empty() {
        let ids: Vec<_> = found.values().map(|group| group.id.clone()).collect();
        for rule in rules_of(aws, &ids).await? {
            if let Some(group) = found.values_mut().find(|group| Some(group.id.as_str()) == rule.group_id()) {
                group.rules.push(rule);
            }
        }
    }
    Ok(found)
}

async fn rules_of(aws: &Aws, groups: &[String]) -> Result<Vec<Rule>, LiveError> {
    let describe = call("ec2", "DescribeSecurityGroupRules");
    let rules = aws
        .ec2
        .describe_security_group_rules()
        .filters(Filter::builder().name("group-id").set_values(Some(groups.to_vec())).build())
        .into_paginator()
        .items()
        .send()
        .try_collect()
        .await
        .map_err(|error| describe.failed(error))?;
    Ok(rules)
}

fn rule_id(rule: &Rule) -> Option<String> {
    rule.security_group_rule_id().map(str::to_owned)
}

/// AWS's own rule has no tag: a tagged one was made on purpose.
fn is_default_egress(rule: &Rule) -> bool {
    rule.is_egress().unwrap_or(false)
        && rule.ip_protocol() == Some("-1")
        && rule.tags().is_empty()
        && (rule.cidr_ipv4() == Some("0.0.0.0/0") || rule.cidr_ipv6() == Some("::/0"))
}

pub(super) fn described(rule: &Rule) -> String {
    let direction = if rule.is_egress().unwrap_or(false) { "to" } else { "from" };
    let peer = rule
        .cidr_ipv4()
        .or(rule.cidr_ipv6())
        .or(rule.prefix_list_id())
        .or_else(|| rule.referenced_group_info().and_then(|group| group.group_id()))
        .unwrap_or("somewhere");
    let ports = match (rule.from_port(), rule.to_port()) {
        (Some(from), Some(to)) if from == to => format!("port {from}"),
        (Some(from), Some(to)) if from >= 0 => format!("ports {from}-{to}"),
        _ => "all ports".to_owned(),
    };
    format!("{ports} {direction} {peer}")
}

pub(super) async fn revoke_ingress(aws: &Aws, id: &str, rules: &BTreeSet<String>) -> Result<(), LiveError> {
    if rules.is_empty() {
        return Ok(());
    }
    let revoke = call("ec2", "RevokeSecurityGroupIngress");
    let request = aws.ec2.revoke_security_group_ingress().group_id(id);
    let answer = request.set_security_group_rule_ids(Some(rules.iter().cloned().collect())).send().await;
    absent(answer.map_err(|error| revoke.failed(error)), RULE_GONE)?;
    Ok(())
}

pub(super) async fn revoke_egress(aws: &Aws, id: &str, rules: &BTreeSet<String>) -> Result<(), LiveError> {
    if rules.is_empty() {
        return Ok(());
    }
    let revoke = call("ec2", "RevokeSecurityGroupEgress");
    let request = aws.ec2.revoke_security_group_egress().group_id(id);
    let answer = request.set_security_group_rule_ids(Some(rules.iter().cloned().collect())).send().await;
    absent(answer.map_err(|error| revoke.failed(error)), RULE_GONE)?;
    Ok(())
}

const RULE_GONE: &[&str] = &["InvalidSecurityGroupRuleId.NotFound", "InvalidGroup.NotFound"];

pub(super) fn read_tags(tags: &[Tag]) -> Tags {
    tags.iter()
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())))
        .collect()
}

/// The `Name` tag is what the console shows.
pub(super) fn named(name: &str, tags: &Tags) -> Tags {
    let mut tags = tags.clone();
    tags.insert("Name".to_owned(), name.to_owned());
    tags
}

pub(super) fn ec2_tags(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

pub(super) fn tagged(kind: ResourceType, tags: &Tags) -> TagSpecification {
    TagSpecification::builder().resource_type(kind).set_tags(Some(ec2_tags(tags))).build()
}

pub(super) async fn create_tags(aws: &Aws, id: &str, tags: &Tags) -> Result<(), LiveError> {
    let create = call("ec2", "CreateTags");
    aws.ec2
        .create_tags()
        .resources(id)
        .set_tags(Some(ec2_tags(tags)))
        .send()
        .await
        .map_err(|error| create.failed(error))?;
    Ok(())
}

//! `security_group`: one each for database, functions and endpoint. A new group admits nothing, in or
//! out: AWS's default allow-all egress rule is taken away.

use super::tagging::{Lack, declared};
use super::{Live, LiveError};
use crate::aws::{Aws, GroupLook, Look, absent, call, ec2_tags};
use crate::code::Code;
use crate::drift::DriftCode;
use crate::execute::Applied;
use crate::model::{Address, Facts, Kind, Mark, Owner, Ref, Seen, Shown, Tags};
use crate::resource::{
    Adoption, Claim, Diff, Known, NotProduced, OutputOf, Refusal, Resource, Risk, Settled, Step, Verb, claim, made_up_id,
    unobservable,
};
use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroupRule as Rule, Tag, TagSpecification};
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
    /// It is there, is only referred to and never changed: its rules that are ours come and go, and no other is
    /// looked at.
    pub existing: bool,
    /// Whether one that others have made is taken over.
    pub adopt: bool,
    /// Whether rules of nobody we know are taken away; otherwise they are drift and stay.
    pub revoke_unmanaged: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub id: String,
    pub tags: Tags,
    /// The untagged rule that lets everything out, as AWS puts it into every new group.
    pub default_egress: BTreeSet<String>,
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
            Seen::Absent if want.existing => {
                return Err(Refusal::new(
                    Code::NoSuchResource,
                    format!("there is no security group `{}` in {}", want.name, want.vpc),
                    "correct its name in the config, or leave `security_group` out to have one made",
                ));
            }
            Seen::Present(_) if want.existing => return Ok(Vec::new()),
            Seen::Absent => {
                return Ok(vec![
                    cx.step("create", Verb::Create, DriftCode::Missing, Change::Create)
                        .set("name", Shown::text(&want.name))
                        .set("vpc", Shown::text(&want.vpc))
                        .set("description", Shown::text(&want.description))
                        .set("declared_tags", declared(&want.mark)),
                ]);
            }
            Seen::Unobservable(why) => return Err(unobservable(why)),
            Seen::Present(live) => live,
        };
        let what = format!("the security group `{}` ({})", want.name, live.id);
        let how = Adoption::By { table: "[network]", declared: want.adopt };
        let claim = claim(&want.mark, &live.tags, how, &what)?;
        let mut steps = Vec::new();
        if claim == Claim::ToAdopt {
            steps.push(cx.adopt(Change::SetTags { id: live.id.clone() }, &live.id, &want.mark.tags()));
        }
        if !live.default_egress.is_empty() {
            let change =
                Change::RevokeDefaultEgress { id: live.id.clone(), rules: live.default_egress.clone() };
            // In its own words, which say what the attribute does.
            let drift = DriftCode::EgressOpen.found(DriftCode::EgressOpen.words());
            steps.push(
                cx.step("revoke-default-egress", Verb::Update, drift, change)
                    .attribute("egress", Shown::text("everything, everywhere"), Shown::text("as declared"))
                    .because("AWS adds this rule to every new group"),
            );
        }
        if claim == Claim::Ours {
            steps.extend(Lack::of(&want.mark, &live.tags).step(cx, || Change::SetTags { id: live.id.clone() }));
        }
        if want.revoke_unmanaged && !live.unmanaged.is_empty() {
            let rules = live.unmanaged.keys().cloned().collect();
            let change = Change::RevokeRules { id: live.id.clone(), rules };
            steps.push(
                cx.step("revoke-unmanaged", Verb::Update, DriftCode::UnmanagedRule, change)
                    .risk(Risk::Interrupts)
                    .attribute("unmanaged_rules", Shown::list(live.unmanaged.values()), Shown::Unset)
                    .because("pgrotate did not make them, and unmanaged_rules = \"revoke\""),
            );
        } else {
            for (rule, description) in &live.unmanaged {
                cx.drift(
                    DriftCode::UnmanagedRule.found(format!(
                        "unmanaged rule {rule} ({description}): pgrotate did not make it, and leaves it alone"
                    )),
                    "declare it under `allow` in [network], or set unmanaged_rules = \"revoke\" there and apply",
                );
            }
        }
        Ok(steps)
    }

    fn remove(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        if want.existing {
            return Ok(Vec::new());
        }
        let Some(live) = cx.to_remove(&want.mark, live, |live| &live.tags)? else { return Ok(Vec::new()) };
        Ok(vec![cx.step("delete", Verb::Delete, DriftCode::NoLongerDeclared, Change::Delete { id: live.id.clone() })])
    }

    fn settled(_want: &Desired, live: &Observed) -> Settled<Outputs> {
        Settled::Yes(Outputs { id: GroupId(live.id.clone()) })
    }

    fn facts(live: &Observed) -> Facts {
        // Rules are resources of their own, and come and go while a plan is carried out.
        let Observed { id, tags, default_egress, unmanaged: _ } = live;
        Facts::default().with("id", id).tags(tags).list("default egress", default_egress)
    }

    fn realised(want: &Desired, _known: &Known) -> Result<Observed, NotProduced> {
        Ok(Observed {
            id: made_up_id("sg", &want.mark.address),
            tags: want.mark.tags(),
            default_egress: BTreeSet::new(),
            unmanaged: BTreeMap::new(),
        })
    }
}

impl Live for SecurityGroup {
    /// A function's network interfaces hold its group for 20 to 40 minutes after the function is deleted.
    const PATIENCE: Duration = Duration::from_secs(60 * 60);

    async fn observe(look: &Look<'_>, wants: &[&Desired]) -> Result<Vec<Seen<Observed>>, LiveError> {
        let names = wants.iter().map(|want| (want.vpc.as_str(), want.name.as_str())).collect();
        let found = look.groups(&names).await?;
        Ok(wants
            .iter()
            .map(|want| match found.get(&want.vpc, &want.name) {
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
                    None => match find(aws, want).await? {
                        Some(group) if want.mark.owner(&group.tags) == Owner::Us => group.id,
                        Some(_) => return Ok(Applied::Accepted),
                        None => return Ok(not_visible()),
                    },
                };
                return revoke_default_egress(aws, &id).await;
            }
            Change::RevokeDefaultEgress { id, rules } => revoke_egress(aws, id, rules).await?,
            Change::RevokeRules { id, rules } => {
                let found = aws.rules_of(&BTreeSet::from([id.clone()])).await?;
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

async fn find(aws: &Aws, want: &Desired) -> Result<Option<GroupLook>, LiveError> {
    let found = Look::new(aws).groups(&BTreeSet::from([(want.vpc.as_str(), want.name.as_str())])).await?;
    Ok(found.get(&want.vpc, &want.name).cloned())
}

fn observed(want: &Desired, group: &GroupLook) -> Observed {
    let (mut default_egress, mut unmanaged) = (BTreeSet::new(), BTreeMap::new());
    for rule in &group.rules {
        let Some(id) = rule_id(rule) else { continue };
        if is_default_egress(rule) {
            default_egress.insert(id);
        } else if !want.mark.is_ours(&ec2_tags(rule.tags())) {
            unmanaged.insert(id, described(rule));
        }
    }
    Observed { id: group.id.clone(), tags: group.tags.clone(), default_egress, unmanaged }
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

/// The `Name` tag is what the console shows.
pub(super) fn named(name: &str, tags: &Tags) -> Tags {
    let mut tags = tags.clone();
    tags.insert("Name".to_owned(), name.to_owned());
    tags
}

pub(super) fn written_tags(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

pub(super) fn tagged(kind: ResourceType, tags: &Tags) -> TagSpecification {
    TagSpecification::builder().resource_type(kind).set_tags(Some(written_tags(tags))).build()
}

pub(super) async fn create_tags(aws: &Aws, id: &str, tags: &Tags) -> Result<(), LiveError> {
    let create = call("ec2", "CreateTags");
    aws.ec2
        .create_tags()
        .resources(id)
        .set_tags(Some(written_tags(tags)))
        .send()
        .await
        .map_err(|error| create.failed(error))?;
    Ok(())
}

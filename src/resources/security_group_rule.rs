//! `security_group_rule`: one rule, one resource. A rule is what its group, direction, port and peer say;
//! its tag says whose it is.

use super::security_group::{self, GroupId, SecurityGroup, create_tags, revoke_egress, revoke_ingress};
use super::{Live, LiveError, missing_tags};
use crate::aws::{Aws, Look, absent, call, ec2_tags};
use crate::execute::Applied;
use crate::model::{Address, Kind, Mark, Owner, Ref, Seen, Shown, Tags, Val};
use crate::resource::{Diff, Known, NotProduced, made_up_id, Refusal, Resource, Settled, Step, Verb, unobservable};
use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroupRule as Rule, UserIdGroupPair,
};
use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct SecurityGroupRule;

#[derive(Debug, Clone)]
pub struct Desired {
    pub mark: Mark,
    pub vpc: String,
    pub group: Group,
    pub direction: Direction,
    /// TCP.
    pub port: u16,
    pub peer: Peer,
    pub description: String,
}

/// A group that the deployment knows: its name finds it, its reference orders it.
#[derive(Debug, Clone)]
pub struct Group {
    pub name: String,
    pub at: Ref<SecurityGroup>,
    /// It is somebody else's: what is in it already stays as it is.
    pub existing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Ingress,
    Egress,
}

#[derive(Debug, Clone)]
pub enum Peer {
    Cidr(String),
    Group(Group),
    /// A group of somebody else, by its id; of a rule that is no longer declared, a prefix list too.
    Id(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub id: String,
    pub group: String,
    pub tags: Tags,
    pub description: String,
    /// Whether group, direction, port and peer are as desired.
    pub matches: bool,
    /// `tcp 5432 from 10.0.0.0/8`, to be shown.
    pub shown: String,
}

#[derive(Debug, Clone)]
pub enum Change {
    Authorize { group: Val<GroupId>, peer: PeerValue },
    /// The new rule is added before the old one goes.
    Replace { group: Val<GroupId>, peer: PeerValue, old: String },
    SetTags { id: String },
    Describe { id: String, group: String },
    Revoke { id: String, group: String },
}

#[derive(Debug, Clone)]
pub enum PeerValue {
    Cidr(String),
    Group(Val<GroupId>),
    Id(String),
}

impl PeerValue {
    fn shown(&self) -> Shown {
        match self {
            Self::Cidr(value) | Self::Id(value) => Shown::text(value),
            Self::Group(group) => group.shown(),
        }
    }
}

impl SecurityGroupRule {
    pub fn at(name: &str) -> Ref<Self> {
        Ref::to(Address { kind: Self::KIND, name: name.to_owned() })
    }
}

impl Resource for SecurityGroupRule {
    const KIND: Kind = Kind("security_group_rule");
    type Desired = Desired;
    type Observed = Observed;
    type Outputs = ();
    type Change = Change;

    fn address(want: &Desired) -> Address {
        want.mark.address.clone()
    }

    fn needs(want: &Desired) -> Vec<Address> {
        let mut needs = vec![want.group.at.address().clone()];
        if let Peer::Group(group) = &want.peer {
            needs.push(group.at.address().clone());
        }
        needs
    }

    fn diff(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        let live = match live {
            Seen::Absent => None,
            Seen::Unobservable(why) => return Err(unobservable(why)),
            Seen::Present(live) => Some(live),
        };
        let Some(live) = live.filter(|live| live.matches) else {
            let group = cx.output(&want.group.at);
            let peer = match &want.peer {
                Peer::Cidr(cidr) => PeerValue::Cidr(cidr.clone()),
                Peer::Id(id) => PeerValue::Id(id.clone()),
                Peer::Group(group) => PeerValue::Group(cx.output(&group.at)),
            };
            let peer_name = if want.direction == Direction::Ingress { "from" } else { "to" };
            let (group_shown, peer_shown) = (group.shown(), peer.shown());
            let step = match live {
                None => cx.step("authorize", Verb::Create, Change::Authorize { group, peer }),
                Some(old) => cx
                    .step("replace", Verb::Update, Change::Replace { group, peer, old: old.id.clone() })
                    .attribute("rule", Shown::text(&old.shown), Shown::Unset),
            };
            return Ok(vec![
                step.set("group", group_shown)
                    .set("port", Shown::text(format!("tcp {}", want.port)))
                    .set(peer_name, peer_shown)
                    .set("description", Shown::text(&want.description)),
            ]);
        };
        let mut steps = Vec::new();
        if want.group.existing && want.mark.owner(&live.tags) != Owner::Us {
            return Ok(steps);
        }
        // The group is ours, and AWS holds one rule of a kind: a rule that says what we want is taken over.
        let missing = missing_tags(&want.mark.tags(), &live.tags);
        if !missing.is_empty() {
            let change = Change::SetTags { id: live.id.clone() };
            steps.push(cx.step("set-tags", Verb::Update, change).set("tags", Shown::list(missing.keys())));
        }
        if live.description != want.description {
            let change = Change::Describe { id: live.id.clone(), group: live.group.clone() };
            steps.push(cx.step("describe", Verb::Update, change).attribute(
                "description",
                Shown::text(&live.description),
                Shown::text(&want.description),
            ));
        }
        Ok(steps)
    }

    /// Rules go first, because two groups that name each other hold each other.
    fn remove(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        match live {
            Seen::Absent => Ok(Vec::new()),
            Seen::Unobservable(why) => Err(unobservable(why)),
            Seen::Present(live) if want.mark.owner(&live.tags) != Owner::Us => {
                cx.note("it is not this deployment's and stays");
                Ok(Vec::new())
            }
            Seen::Present(live) => {
                let change = Change::Revoke { id: live.id.clone(), group: live.group.clone() };
                Ok(vec![cx.step("revoke", Verb::Delete, change).attribute(
                    "rule",
                    Shown::text(&live.shown),
                    Shown::Unset,
                )])
            }
        }
    }

    fn settled(_want: &Desired, live: &Observed) -> Settled<()> {
        if live.matches {
            Settled::Yes(())
        } else {
            Settled::NotYet { saying: "the new rule is not visible yet".to_owned() }
        }
    }

    fn realised(want: &Desired, known: &Known) -> Result<Observed, NotProduced> {
        Ok(Observed {
            id: made_up_id("sgr", &want.mark.address),
            group: known.output::<GroupId>(&want.group.at)?.0,
            tags: want.mark.tags(),
            description: want.description.clone(),
            matches: true,
            shown: format!("port {} as declared", want.port),
        })
    }
}

impl Live for SecurityGroupRule {
    /// A rule is made in one call.
    const PATIENCE: Duration = Duration::from_secs(5 * 60);

    async fn observe(look: &Look<'_>, wants: &[&Desired]) -> Result<Vec<Seen<Observed>>, LiveError> {
        let mut names = BTreeSet::new();
        for want in wants {
            names.insert((want.vpc.as_str(), want.group.name.as_str()));
            if let Peer::Group(group) = &want.peer {
                names.insert((want.vpc.as_str(), group.name.as_str()));
            }
        }
        let groups = look.groups(&names).await?;
        Ok(wants
            .iter()
            .map(|want| {
                let Some(group) = groups.get(&want.group.name) else { return Seen::Absent };
                let peer = match &want.peer {
                    Peer::Cidr(value) | Peer::Id(value) => Some(value.as_str()),
                    Peer::Group(peer) => groups.get(&peer.name).map(|peer| peer.id.as_str()),
                };
                let says = |rule: &&Rule| peer.is_some_and(|peer| matches(rule, want.direction, want.port, peer));
                let is_marked = |rule: &&Rule| want.mark.owner(&ec2_tags(rule.tags())) == Owner::Us;
                match group.rules.iter().find(says).or_else(|| group.rules.iter().find(is_marked)) {
                    None => Seen::Absent,
                    Some(rule) => Seen::Present(Observed {
                        id: rule.security_group_rule_id().unwrap_or_default().to_owned(),
                        group: group.id.clone(),
                        tags: ec2_tags(rule.tags()),
                        description: rule.description().unwrap_or_default().to_owned(),
                        matches: says(&rule),
                        shown: security_group::described(rule),
                    }),
                }
            })
            .collect())
    }

    async fn apply(aws: &Aws, want: &Desired, change: &Change, known: &Known) -> Result<Applied, LiveError> {
        match change {
            Change::Authorize { group, peer } => authorize(aws, want, group, peer, known).await?,
            Change::Replace { group, peer, old } => {
                authorize(aws, want, group, peer, known).await?;
                revoke(aws, want.direction, &known.get(group)?.0, old).await?;
            }
            Change::SetTags { id } => create_tags(aws, id, &want.mark.tags()).await?,
            Change::Describe { id, group } => describe(aws, want, id, group).await?,
            Change::Revoke { id, group } => revoke(aws, want.direction, group, id).await?,
        }
        Ok(Applied::Accepted)
    }
}

/// A rule as it stands, whoever declares it or no longer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub group: String,
    pub direction: Direction,
    pub port: u16,
    /// A CIDR, or the id of a group or a prefix list.
    pub peer: String,
}

/// A rule found by its tags.
#[derive(Debug, Clone)]
pub struct Tagged {
    pub tags: Tags,
    pub standing: Standing,
}

/// What a rule says, as far as a rule of ours can say it.
pub(super) fn tagged(rule: &Rule) -> Option<Tagged> {
    let group = rule.referenced_group_info().and_then(|group| group.group_id());
    let peer = rule.cidr_ipv4().or(rule.cidr_ipv6()).or(rule.prefix_list_id()).or(group)?;
    let standing = Standing {
        group: rule.group_id()?.to_owned(),
        direction: if rule.is_egress().unwrap_or(false) { Direction::Egress } else { Direction::Ingress },
        port: u16::try_from(rule.from_port().unwrap_or(0)).unwrap_or(0),
        peer: peer.to_owned(),
    };
    Some(Tagged { tags: ec2_tags(rule.tags()), standing })
}

fn matches(rule: &Rule, direction: Direction, port: u16, peer: &str) -> bool {
    let egress = direction == Direction::Egress;
    let group = rule.referenced_group_info().and_then(|group| group.group_id());
    rule.is_egress().unwrap_or(false) == egress
        && rule.ip_protocol() == Some("tcp")
        && rule.from_port() == Some(i32::from(port))
        && rule.to_port() == Some(i32::from(port))
        && [rule.cidr_ipv4(), rule.cidr_ipv6(), rule.prefix_list_id(), group].contains(&Some(peer))
}

async fn authorize(
    aws: &Aws,
    want: &Desired,
    group: &Val<GroupId>,
    peer: &PeerValue,
    known: &Known,
) -> Result<(), LiveError> {
    let group = known.get(group)?.0;
    let port = i32::from(want.port);
    let permission = IpPermission::builder().ip_protocol("tcp").from_port(port).to_port(port);
    let permission = match peer {
        PeerValue::Cidr(cidr) if cidr.contains(':') => permission
            .ipv6_ranges(Ipv6Range::builder().cidr_ipv6(cidr).description(&want.description).build()),
        PeerValue::Cidr(cidr) => {
            permission.ip_ranges(IpRange::builder().cidr_ip(cidr).description(&want.description).build())
        }
        PeerValue::Group(_) | PeerValue::Id(_) => {
            let id = match peer {
                PeerValue::Group(peer) => known.get(peer)?.0,
                PeerValue::Cidr(id) | PeerValue::Id(id) => id.clone(),
            };
            permission
                .user_id_group_pairs(UserIdGroupPair::builder().group_id(id).description(&want.description).build())
        }
    }
    .build();
    let tags = security_group::tagged(ResourceType::SecurityGroupRule, &want.mark.tags());
    // The same rule twice is refused by AWS: somebody else's apply was quicker, and has made it.
    let duplicate = &["InvalidPermission.Duplicate"];
    match want.direction {
        Direction::Ingress => {
            let authorize = call("ec2", "AuthorizeSecurityGroupIngress");
            let request = aws.ec2.authorize_security_group_ingress().group_id(group);
            let answer = request.ip_permissions(permission).tag_specifications(tags).send().await;
            absent(answer.map_err(|error| authorize.failed(error)), duplicate)?;
        }
        Direction::Egress => {
            let authorize = call("ec2", "AuthorizeSecurityGroupEgress");
            let request = aws.ec2.authorize_security_group_egress().group_id(group);
            let answer = request.ip_permissions(permission).tag_specifications(tags).send().await;
            absent(answer.map_err(|error| authorize.failed(error)), duplicate)?;
        }
    }
    Ok(())
}

async fn revoke(aws: &Aws, direction: Direction, group: &str, rule: &str) -> Result<(), LiveError> {
    let rules = BTreeSet::from([rule.to_owned()]);
    match direction {
        Direction::Ingress => revoke_ingress(aws, group, &rules).await,
        Direction::Egress => revoke_egress(aws, group, &rules).await,
    }
}

async fn describe(aws: &Aws, want: &Desired, id: &str, group: &str) -> Result<(), LiveError> {
    use aws_sdk_ec2::types::SecurityGroupRuleDescription;
    let description =
        SecurityGroupRuleDescription::builder().security_group_rule_id(id).description(&want.description).build();
    match want.direction {
        Direction::Ingress => {
            let update = call("ec2", "UpdateSecurityGroupRuleDescriptionsIngress");
            let request = aws.ec2.update_security_group_rule_descriptions_ingress().group_id(group);
            let answer = request.security_group_rule_descriptions(description).send().await;
            answer.map_err(|error| update.failed(error))?;
        }
        Direction::Egress => {
            let update = call("ec2", "UpdateSecurityGroupRuleDescriptionsEgress");
            let request = aws.ec2.update_security_group_rule_descriptions_egress().group_id(group);
            let answer = request.security_group_rule_descriptions(description).send().await;
            answer.map_err(|error| update.failed(error))?;
        }
    }
    Ok(())
}

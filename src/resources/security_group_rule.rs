//! `security_group_rule`: one rule, one resource. A rule is what its group, direction, port and peer say;
//! its tag says whose it is.

use super::security_group::{self, GroupId, SecurityGroup, create_tags, revoke_egress, revoke_ingress};
use super::tagging::{Lack, declared};
use super::{Live, LiveError};
use crate::aws::{Aws, GroupLook, Look, Rate, absent, call, ec2_tags};
use crate::drift::DriftCode;
use crate::execute::Applied;
use crate::model::{Address, Facts, Kind, Mark, Owner, Ref, Seen, Shown, Tags, Val, address_of};
use crate::resource::{Diff, Known, NotProduced, made_up_id, Refusal, Resource, Settled, Step, Verb, unobservable};
use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroupRule as Rule, UserIdGroupPair,
};
use std::collections::{BTreeMap, BTreeSet};
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
    /// Id of the group that it stands in.
    pub group: String,
    /// The rule that says what is desired, whosever it is.
    pub rule: Option<Present>,
    /// Rules with this very address that say something else, by id: what was declared before.
    pub former: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Present {
    pub id: String,
    pub tags: Tags,
    pub description: String,
    /// `port 5432 from 10.0.0.0/8`
    pub shown: String,
}

#[derive(Debug, Clone)]
pub enum Change {
    Authorize { group: Val<GroupId>, peer: PeerValue },
    SetTags { id: String },
    Describe { id: String, group: String },
    Revoke { rules: BTreeSet<String>, group: String },
    /// Those of before; the rule itself stays.
    RevokeFormer { rules: BTreeSet<String>, group: String },
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
            Seen::Absent => return Ok(vec![authorize_step(cx, want)]),
            Seen::Unobservable(why) => return Err(unobservable(why)),
            Seen::Present(live) => live,
        };
        let mut steps = match &live.rule {
            None => vec![authorize_step(cx, want)],
            // What is in a group of somebody else already stays as it is.
            Some(rule) if want.group.existing && want.mark.owner(&rule.tags) != Owner::Us => Vec::new(),
            // The group is ours, and AWS holds one rule of a kind: a rule that says what we want is taken over.
            Some(rule) => {
                // One that is taken over comes first: in a group of others nothing is changed.
                cx.after(want.group.at.address());
                adjust(cx, want, &live.group, rule)
            }
        };
        if !live.former.is_empty() {
            // After the one that takes their place: clients that both let in are not cut off.
            let change = Change::RevokeFormer { rules: live.former.keys().cloned().collect(), group: live.group.clone() };
            steps.push(cx.step("revoke-former", Verb::Update, DriftCode::Changed, change).attribute(
                "former",
                Shown::list(live.former.values()),
                Shown::Unset,
            ));
        }
        Ok(steps)
    }

    /// Rules go first, because two groups that name each other hold each other.
    fn remove(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        let live = match live {
            Seen::Absent => return Ok(Vec::new()),
            Seen::Unobservable(why) => return Err(unobservable(why)),
            Seen::Present(live) => live,
        };
        let mut ours = live.former.clone();
        match &live.rule {
            Some(rule) if want.mark.owner(&rule.tags) == Owner::Us => {
                ours.insert(rule.id.clone(), rule.shown.clone());
            }
            Some(_) => cx.note("it is not this deployment's and stays"),
            None => {}
        }
        if ours.is_empty() {
            return Ok(Vec::new());
        }
        let change = Change::Revoke { rules: ours.keys().cloned().collect(), group: live.group.clone() };
        let shown = Shown::list(ours.values());
        Ok(vec![cx.step("revoke", Verb::Delete, DriftCode::NoLongerDeclared, change).attribute("rule", shown, Shown::Unset)])
    }

    fn settled(_want: &Desired, live: &Observed) -> Settled<()> {
        if live.rule.is_some() {
            Settled::Yes(())
        } else {
            Settled::NotYet { saying: "the new rule is not visible yet".to_owned() }
        }
    }

    fn facts(live: &Observed) -> Facts {
        let Observed { group, rule, former } = live;
        let facts = Facts::default().with("group", group).list("former rules", former.values());
        let Some(Present { id, tags, description, shown }) = rule else { return facts.with("rule", "none") };
        facts.with("rule", format!("{id}: {shown}")).with("description", description).tags(tags)
    }

    fn realised(want: &Desired, known: &Known) -> Result<Observed, NotProduced> {
        Ok(Observed {
            group: known.output::<GroupId>(&want.group.at)?.0,
            rule: Some(Present {
                id: made_up_id("sgr", &want.mark.address),
                tags: want.mark.tags(),
                description: want.description.clone(),
                shown: format!("port {} as declared", want.port),
            }),
            former: BTreeMap::new(),
        })
    }
}

fn authorize_step(cx: &mut Diff<'_>, want: &Desired) -> Step<Change> {
    let group = cx.output(&want.group.at);
    let peer = match &want.peer {
        Peer::Cidr(cidr) => PeerValue::Cidr(cidr.clone()),
        Peer::Id(id) => PeerValue::Id(id.clone()),
        Peer::Group(group) => PeerValue::Group(cx.output(&group.at)),
    };
    let peer_name = if want.direction == Direction::Ingress { "from" } else { "to" };
    let (group_shown, peer_shown) = (group.shown(), peer.shown());
    cx.step("authorize", Verb::Create, DriftCode::Missing, Change::Authorize { group, peer })
        .set("group", group_shown)
        .set("port", Shown::text(format!("tcp {}", want.port)))
        .set(peer_name, peer_shown)
        .set("description", Shown::text(&want.description))
        .set("declared_tags", declared(&want.mark))
}

fn adjust(cx: &mut Diff<'_>, want: &Desired, group: &str, rule: &Present) -> Vec<Step<Change>> {
    let lack = Lack::of(&want.mark, &rule.tags);
    let mut steps = Vec::from_iter(lack.step(cx, || Change::SetTags { id: rule.id.clone() }));
    if rule.description != want.description {
        let change = Change::Describe { id: rule.id.clone(), group: group.to_owned() };
        steps.push(cx.step("describe", Verb::Update, DriftCode::Changed, change).attribute(
            "description",
            Shown::text(&rule.description),
            Shown::text(&want.description),
        ));
    }
    steps
}

impl Live for SecurityGroupRule {
    /// A rule is made in one call.
    const PATIENCE: Duration = Duration::from_secs(5 * 60);
    /// Of each mutating operation EC2 takes 50 calls at once, then 5 a second
    /// (docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html).
    const RATE: Option<Rate> = Some(Rate::half_of(50, 5.0));

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
                let Some(group) = groups.get(&want.vpc, &want.group.name) else { return Seen::Absent };
                let peer = match &want.peer {
                    Peer::Cidr(value) | Peer::Id(value) => Some(value.as_str()),
                    Peer::Group(peer) => groups.get(&want.vpc, &peer.name).map(|peer| peer.id.as_str()),
                };
                observed(want, group, peer)
            })
            .collect())
    }

    async fn apply(aws: &Aws, want: &Desired, change: &Change, known: &Known) -> Result<Applied, LiveError> {
        match change {
            Change::Authorize { group, peer } => authorize(aws, want, group, peer, known).await?,
            Change::SetTags { id } => create_tags(aws, id, &want.mark.tags()).await?,
            Change::Describe { id, group } => describe(aws, want, id, group).await?,
            Change::Revoke { rules, group } | Change::RevokeFormer { rules, group } => match want.direction {
                Direction::Ingress => revoke_ingress(aws, group, rules).await?,
                Direction::Egress => revoke_egress(aws, group, rules).await?,
            },
        }
        Ok(Applied::Accepted)
    }
}

/// What there is of a rule in its group. A rule is known by what it says or by its whole address: the deployment's
/// tag alone could be any rule's of ours.
fn observed(want: &Desired, group: &GroupLook, peer: Option<&str>) -> Seen<Observed> {
    let (mut present, mut former) = (None, BTreeMap::new());
    for rule in &group.rules {
        let id = rule.security_group_rule_id().unwrap_or_default().to_owned();
        let (tags, shown) = (ec2_tags(rule.tags()), security_group::described(rule));
        if peer.is_some_and(|peer| matches(rule, want.direction, want.port, peer)) {
            let description = rule.description().unwrap_or_default().to_owned();
            present = Some(Present { id, tags, description, shown });
        } else if address_of(&want.mark.deployment, &tags) == Some(want.mark.address.to_string()) {
            former.insert(id, shown);
        }
    }
    if present.is_none() && former.is_empty() {
        return Seen::Absent;
    }
    Seen::Present(Observed { group: group.id.clone(), rule: present, former })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn want() -> Desired {
        let at = SecurityGroup::at("database");
        let address = SecurityGroupRule::at("database-from-10.0.0.0/8").address().clone();
        Desired {
            mark: Mark::new("shop".to_owned(), address),
            vpc: "vpc-1".to_owned(),
            group: Group { name: "db".to_owned(), at, existing: false },
            direction: Direction::Ingress,
            port: 5432,
            peer: Peer::Cidr("10.0.0.0/8".to_owned()),
            description: "office".to_owned(),
        }
    }

    fn rule(id: &str, port: i32, tags: &Tags) -> Rule {
        Rule::builder()
            .security_group_rule_id(id)
            .is_egress(false)
            .ip_protocol("tcp")
            .from_port(port)
            .to_port(port)
            .cidr_ipv4("10.0.0.0/8")
            .set_tags(Some(security_group::written_tags(tags)))
            .build()
    }

    fn seen(rules: Vec<Rule>) -> Seen<Observed> {
        let group = GroupLook {
            id: "sg-1".to_owned(),
            name: "db".to_owned(),
            vpc: "vpc-1".to_owned(),
            tags: Tags::new(),
            rules,
        };
        observed(&want(), &group, Some("10.0.0.0/8"))
    }

    /// An apply that stopped between the new rule and the old one leaves both.
    #[test]
    fn a_rule_of_before_is_found_beside_the_new_one() {
        let tags = want().mark.tags();
        let Seen::Present(live) = seen(vec![rule("old", 6432, &tags), rule("new", 5432, &tags)]) else {
            panic!("it is there")
        };
        assert_eq!(live.rule.expect("the new one").id, "new");
        assert_eq!(live.former.keys().collect::<Vec<_>>(), ["old"]);
    }

    /// Another rule of ours, whose address somebody has removed, is not taken for this one and revoked.
    #[test]
    fn the_deployment_s_tag_alone_makes_no_rule_of_before() {
        let mut tags = want().mark.tags();
        tags.remove(function_contract::tag::ADDRESS);
        assert_eq!(seen(vec![rule("other", 6432, &tags)]), Seen::Absent);
    }
}

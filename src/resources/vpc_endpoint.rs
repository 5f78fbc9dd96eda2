//! `vpc_endpoint`: the interface endpoint by which functions in the VPC reach Secrets Manager. Its
//! private DNS redirects every client of that service in the whole VPC.

use super::security_group::{GroupId, SecurityGroup, create_tags, named, tagged};
use super::tagging::{Lack, declared};
use super::{Live, LiveError};
use crate::aws::{Aws, Look, absent, call, ec2_tags};
use crate::code::Code;
use crate::drift::{Drift, DriftCode};
use crate::execute::Applied;
use crate::model::{Address, Facts, Kind, Mark, Owner, Ref, Seen, Shown, Tags, Val};
use crate::resource::{
    AWAIT, Diff, Known, NotProduced, Refusal, Resource, Risk, Settled, Step, Verb, adopted_by, made_up_id, unobservable,
};
use aws_sdk_ec2::types::{Filter, ResourceType, VpcEndpointType};
use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct VpcEndpoint;

#[derive(Debug, Clone)]
pub struct Desired {
    pub mark: Mark,
    pub vpc: String,
    /// `com.amazonaws.REGION.secretsmanager`
    pub service: String,
    /// One of each zone.
    pub subnets: BTreeSet<String>,
    /// Declared too, and in the zone of another.
    pub left_out: BTreeSet<String>,
    pub group: Ref<SecurityGroup>,
    /// Whether one that others have made is taken over.
    pub adopt: bool,
    /// Rules of that group: who is redirected to the endpoint must find it open.
    pub entrances: Vec<Address>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub id: String,
    /// In lower case: the API model spells `Available`, AWS answers `available`.
    pub state: String,
    pub private_dns: bool,
    pub subnets: BTreeSet<String>,
    pub groups: BTreeSet<GroupId>,
    pub tags: Tags,
}

#[derive(Debug, Clone)]
pub enum Change {
    Create { group: Val<GroupId> },
    /// Waits for what somebody has begun, to its end or to its deletion.
    Await,
    Modify {
        id: String,
        group: Val<GroupId>,
        add: BTreeSet<String>,
        remove: BTreeSet<String>,
        leave: BTreeSet<GroupId>,
        /// Whether private DNS has to be turned on.
        private_dns: bool,
    },
    SetTags { id: String },
    Delete { id: String },
}

impl VpcEndpoint {
    pub fn at(name: &str) -> Ref<Self> {
        Ref::to(Address { kind: Self::KIND, name: name.to_owned() })
    }
}

/// Whether it is ours; otherwise it is to be taken over, or refused.
fn claimed(want: &Desired, live: &Observed) -> Result<bool, Refusal> {
    let owner = want.mark.owner(&live.tags);
    let (whose, way) = match &owner {
        Owner::Us => return Ok(true),
        Owner::Nobody if want.adopt => return Ok(false),
        Owner::Nobody => (String::new(), format!("; {}", adopted_by("[network]", &want.mark.address))),
        Owner::OtherDeployment(other) => (format!(", of the deployment `{other}`"), String::new()),
        Owner::OtherAddress(other) => (format!(", tagged as `{other}`"), String::new()),
    };
    let id = &live.id;
    Err(Refusal::new(
        Code::EndpointExists,
        format!(
            "the VPC has an endpoint for {} already ({id}{whose}), and AWS allows one with private DNS",
            want.service
        ),
        format!("set `secrets_manager = \"existing-endpoint\"` in [network] to use it as it is{way}"),
    ))
}

const INTERRUPTS: &str = "private DNS moves every Secrets Manager client in the VPC";

impl Resource for VpcEndpoint {
    const KIND: Kind = Kind("vpc_endpoint");
    type Desired = Desired;
    type Observed = Observed;
    type Outputs = ();
    type Change = Change;

    fn address(want: &Desired) -> Address {
        want.mark.address.clone()
    }

    fn needs(want: &Desired) -> Vec<Address> {
        // Its rules too: while it is there, whoever is redirected to it must get in.
        want.entrances.iter().chain([want.group.address()]).cloned().collect()
    }

    fn diff(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        let mut steps = Vec::new();
        if let Seen::Present(live) = live
            && !claimed(want, live)?
        {
            // Before anything is asked for: to put tags on it waits for nothing.
            steps.push(cx.adopt(Change::SetTags { id: live.id.clone() }, &live.id, &want.mark.tags()));
        }
        let group = cx.output(&want.group);
        for rule in &want.entrances {
            cx.after(rule);
        }
        let live = match live {
            Seen::Absent => return Ok(vec![create(cx, want, group)]),
            Seen::Unobservable(why) => return Err(unobservable(why)),
            Seen::Present(live) => live,
        };
        if is_lost(&live.state) {
            let why = format!("its state is {}, and it does not come back", live.state);
            let deleted = delete(cx, live, DriftCode::Missing.found(&why)).because(why);
            return Ok(vec![deleted, create(cx, want, group)]);
        }
        let is_ours = steps.is_empty();
        if live.state != AVAILABLE {
            // It takes no change before it is available.
            let drift = DriftCode::UnderWay.found(format!("it is {}", live.state));
            steps.push(cx.step(AWAIT, Verb::Ensure, drift, Change::Await).because(format!("it is {}", live.state)));
        }
        let group_is_right = match &group {
            Val::Known(group) => live.groups == BTreeSet::from([group.clone()]),
            Val::After(_) => false,
        };
        // Without it the functions find the public address, and no way to it.
        if !group_is_right || live.subnets != want.subnets || !live.private_dns {
            let shown = group.shown();
            if live.subnets != want.subnets {
                tell_left_out(cx, want);
            }
            let leave = match &group {
                Val::Known(group) => live.groups.iter().filter(|live| *live != group).cloned().collect(),
                Val::After(_) => live.groups.clone(),
            };
            let change = Change::Modify {
                id: live.id.clone(),
                group,
                add: want.subnets.difference(&live.subnets).cloned().collect(),
                remove: live.subnets.difference(&want.subnets).cloned().collect(),
                leave,
                private_dns: !live.private_dns,
            };
            steps.push(
                cx.step("modify", Verb::Update, DriftCode::Changed, change)
                    .risk(Risk::Interrupts)
                    .because(INTERRUPTS)
                    .attribute("subnets", Shown::list(&live.subnets), Shown::list(&want.subnets))
                    .attribute("group", Shown::list(&live.groups), shown)
                    .attribute("private_dns", Shown::text(live.private_dns), Shown::text(true)),
            );
        }
        if is_ours {
            steps.extend(Lack::of(&want.mark, &live.tags).step(cx, || Change::SetTags { id: live.id.clone() }));
        }
        Ok(steps)
    }

    fn remove(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        let Some(live) = cx.to_remove(&want.mark, live, |live| &live.tags)? else { return Ok(Vec::new()) };
        Ok(vec![delete(cx, live, DriftCode::NoLongerDeclared).because(INTERRUPTS)])
    }

    fn settled(_want: &Desired, live: &Observed) -> Settled<()> {
        match live.state.as_str() {
            AVAILABLE if live.private_dns => Settled::Yes(()),
            AVAILABLE => Settled::NotYet { saying: "its private DNS is off".to_owned() },
            state if is_lost(state) => {
                Settled::Never { because: format!("the endpoint is {state}: the next apply makes it anew") }
            }
            state => Settled::NotYet { saying: format!("the endpoint is {state}") },
        }
    }

    fn leaving(_want: &Desired, live: &Observed) -> Settled<()> {
        Settled::NotYet { saying: format!("the endpoint is {}", live.state) }
    }

    fn facts(live: &Observed) -> Facts {
        let Observed { id, state, private_dns, subnets, groups, tags } = live;
        let facts = Facts::default().with("id", id).with("state", state).with("private DNS", private_dns);
        facts.list("subnets", subnets).list("groups", groups).tags(tags)
    }

    fn realised(want: &Desired, known: &Known) -> Result<Observed, NotProduced> {
        Ok(Observed {
            id: made_up_id("vpce", &want.mark.address),
            state: AVAILABLE.to_owned(),
            private_dns: true,
            subnets: want.subnets.clone(),
            groups: BTreeSet::from([known.output::<GroupId>(&want.group)?]),
            tags: want.mark.tags(),
        })
    }
}

const AVAILABLE: &str = "available";
const DELETING: &str = "deleting";

/// The states from which an endpoint never becomes available
/// (docs.aws.amazon.com/vpc/latest/privatelink/concepts.html, "Endpoint states").
fn is_lost(state: &str) -> bool {
    [DELETING, "failed", "rejected", "expired"].contains(&state)
}

fn create(cx: &mut Diff<'_>, want: &Desired, group: Val<GroupId>) -> Step<Change> {
    let shown = group.shown();
    tell_left_out(cx, want);
    cx.step("create", Verb::Create, DriftCode::Missing, Change::Create { group })
        .risk(Risk::Interrupts)
        .because(INTERRUPTS)
        .set("service", Shown::text(&want.service))
        .set("subnets", Shown::list(&want.subnets))
        .set("group", shown)
        .set("private_dns", Shown::text(true))
        .set("declared_tags", declared(&want.mark))
}

fn tell_left_out(cx: &mut Diff<'_>, want: &Desired) {
    if !want.left_out.is_empty() {
        let left_out: Vec<_> = want.left_out.iter().map(String::as_str).collect();
        cx.note(format!("an endpoint has one subnet in a zone: it gets the first declared, and not {}", left_out.join(", ")));
    }
}

/// One that somebody deletes is only waited for.
fn delete(cx: &mut Diff<'_>, live: &Observed, drift: impl Into<Drift>) -> Step<Change> {
    let change = if live.state == DELETING { Change::Await } else { Change::Delete { id: live.id.clone() } };
    cx.step("delete", Verb::Delete, drift, change).risk(Risk::Interrupts)
}

impl Live for VpcEndpoint {
    /// Endpoints take one to three minutes; AWS states no upper bound.
    const PATIENCE: Duration = Duration::from_secs(20 * 60);

    async fn observe(look: &Look<'_>, wants: &[&Desired]) -> Result<Vec<Seen<Observed>>, LiveError> {
        let mut seen = Vec::with_capacity(wants.len());
        for want in wants {
            seen.push(observe(look.aws, want).await?);
        }
        Ok(seen)
    }

    async fn apply(aws: &Aws, want: &Desired, change: &Change, known: &Known) -> Result<Applied, LiveError> {
        match change {
            Change::Create { group } => {
                let create = call("ec2", "CreateVpcEndpoint");
                let answer = aws
                    .ec2
                    .create_vpc_endpoint()
                    .vpc_id(&want.vpc)
                    .vpc_endpoint_type(VpcEndpointType::Interface)
                    .service_name(&want.service)
                    .set_subnet_ids(Some(want.subnets.iter().cloned().collect()))
                    .security_group_ids(known.get(group)?.0)
                    .private_dns_enabled(true)
                    .tag_specifications(tagged(
                        ResourceType::VpcEndpoint,
                        &named(&want.mark.address.name, &want.mark.tags()),
                    ))
                    .client_token(uuid::Uuid::new_v4().to_string())
                    .send()
                    .await
                    .map_err(|error| create.failed(error));
                // A second endpoint with the same private DNS is refused as a bad parameter; if the first
                // is ours, another apply was quicker.
                if let Err(error) = answer
                    && !(error.is(&["InvalidParameter"]) && exists(aws, want).await?)
                {
                    return Err(error.into());
                }
            }
            Change::Await => {}
            Change::Modify { id, group, add, remove, leave, private_dns } => {
                let modify = call("ec2", "ModifyVpcEndpoint");
                let list = |values: &BTreeSet<String>| {
                    (!values.is_empty()).then(|| values.iter().cloned().collect::<Vec<_>>())
                };
                let leave: BTreeSet<_> = leave.iter().map(|group| group.0.clone()).collect();
                aws.ec2
                    .modify_vpc_endpoint()
                    .vpc_endpoint_id(id)
                    .set_add_subnet_ids(list(add))
                    .set_remove_subnet_ids(list(remove))
                    .add_security_group_ids(known.get(group)?.0)
                    .set_remove_security_group_ids(list(&leave))
                    .set_private_dns_enabled(private_dns.then_some(true))
                    .send()
                    .await
                    .map_err(|error| modify.failed(error))?;
            }
            Change::SetTags { id } => create_tags(aws, id, &want.mark.tags()).await?,
            Change::Delete { id } => {
                let delete = call("ec2", "DeleteVpcEndpoints");
                let answer =
                    aws.ec2.delete_vpc_endpoints().vpc_endpoint_ids(id).send().await.map_err(|e| delete.failed(e));
                let answer = absent(answer, &["InvalidVpcEndpointId.NotFound"])?;
                // This operation answers 200 and lists what it did not do.
                if let Some(failed) = answer.as_ref().and_then(|answer| answer.unsuccessful().first())
                    && let Some(error) = failed.error()
                    // EC2 is known to say it either way (Terraform's AWS provider looks for both).
                    && !matches!(error.code(), Some("InvalidVpcEndpoint.NotFound" | "InvalidVpcEndpointId.NotFound"))
                {
                    return Err(delete.refused(error.code(), error.message()).into());
                }
            }
        }
        Ok(Applied::Accepted)
    }
}

async fn exists(aws: &Aws, want: &Desired) -> Result<bool, LiveError> {
    Ok(observe(aws, want).await?.present().is_some_and(|live| want.mark.owner(&live.tags) == Owner::Us))
}

async fn observe(aws: &Aws, want: &Desired) -> Result<Seen<Observed>, LiveError> {
    let describe = call("ec2", "DescribeVpcEndpoints");
    let filter = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
    let endpoints = aws
        .ec2
        .describe_vpc_endpoints()
        .filters(filter("vpc-id", &want.vpc))
        .filters(filter("service-name", &want.service))
        .filters(filter("vpc-endpoint-type", "Interface"))
        .into_paginator()
        .items()
        .send()
        .try_collect()
        .await
        .map_err(|error| describe.failed(error))?;
    let mut found: Vec<_> = endpoints
        .iter()
        .filter_map(|endpoint| {
            Some(Observed {
                id: endpoint.vpc_endpoint_id()?.to_owned(),
                state: endpoint.state()?.as_str().to_ascii_lowercase(),
                private_dns: endpoint.private_dns_enabled().unwrap_or(false),
                subnets: endpoint.subnet_ids().iter().cloned().collect(),
                groups: endpoint
                    .groups()
                    .iter()
                    .filter_map(|group| group.group_id())
                    .map(|id| GroupId(id.to_owned()))
                    .collect(),
                tags: ec2_tags(endpoint.tags()),
            })
        })
        .filter(|endpoint| endpoint.state != "deleted")
        .collect();
    // One that is on its way out lingers beside that which takes its place.
    found.sort_by_key(|endpoint| (is_lost(&endpoint.state), endpoint.id.clone()));
    // Ours if there is one; otherwise one whose private DNS stands in the way of ours.
    let ours = found.iter().position(|endpoint| want.mark.owner(&endpoint.tags) == Owner::Us);
    Ok(match ours.or_else(|| found.iter().position(|endpoint| endpoint.private_dns)) {
        Some(at) => Seen::Present(found.swap_remove(at)),
        None => Seen::Absent,
    })
}

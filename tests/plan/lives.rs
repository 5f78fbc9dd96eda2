//! The scenarios of `tests/scenarios`, each a golden plan: from what a good apply of the config before has left, to
//! what the config after wants.

use crate::scenario::{Scenario, State, check_edges, document, file, golden, json, place, realise};
use crate::scenarios::There;
use crate::simulation::{Simulation, with_leavers};
use pgrotate::aws::{EndpointLook, GroupLook};
use pgrotate::desired;
use pgrotate::model::{Address, Seen, Tags};
use pgrotate::plan::{Goal, Plan, plan};
use pgrotate::render::human;
use pgrotate::resource::{Family, Leaver, Note, made_up_id};
use pgrotate::resources::db_instance;
use pgrotate::resources::secret::Tagged;
use pgrotate::resources::security_group::GroupId;
use pgrotate::resources::security_group_rule::{self as rule, Peer, Standing};
use pgrotate::resources::tagged::Found;
use pgrotate::resources::{AnyLive, Kinds, SecurityGroup, Want};
use std::collections::{BTreeMap, BTreeSet};

/// A scenario, ready to be planned.
pub struct Life {
    pub wants: Vec<Want>,
    pub leavers: Vec<Leaver<Want>>,
    pub live: State,
    /// Of what carries tags of ours and is not what they say.
    pub notes: (Vec<Note>, Vec<Address>),
    before: Vec<Want>,
    after: Scenario,
}

impl Life {
    pub fn of(scenario: &crate::scenarios::Scenario) -> Self {
        let before = scenario.before.as_deref().map(|text| Scenario::of(text).wants()).unwrap_or_default();
        let mut life = Self::from(&before, &Scenario::of(&scenario.after));
        life.live.extend(by_hand(&scenario.there, &life.wants));
        see_logins(&life.wants.iter().collect::<Vec<_>>(), &mut life.live);
        life
    }

    /// One config after another, in an account that holds nothing else.
    pub fn between(before: &Scenario, after: &Scenario) -> Self {
        Self::from(&before.wants(), after)
    }

    fn from(before: &[Want], after: &Scenario) -> Self {
        let state = realise(before);
        let mut wants = after.wants();
        let found = found(before, &state);
        let notes = desired::look_alikes(&after.config(), &wants, &found);
        let leavers = desired::leavers(&after.config(), &place(), &mut wants, found, true);
        let leavers = leavers.unwrap_or_else(|refusals| panic!("{refusals:?}"));
        let all: Vec<_> = wants.iter().chain(leavers.iter().map(|leaver| &leaver.want)).collect();
        let theirs = not_ours(&all);
        let was: BTreeMap<_, _> = before.iter().map(|want| (Kinds::address(want), want)).collect();
        let mut live = State::new();
        for want in &all {
            let address = Kinds::address(want);
            let seen = match (was.get(&address), state.get(&address)) {
                (Some(was), Some(seen)) => looked_at(want, was, seen),
                _ => theirs.get(&address).cloned().unwrap_or(Seen::Absent),
            };
            live.insert(address, seen);
        }
        see_logins(&all, &mut live);
        Self { wants, leavers, live, notes, before: before.to_vec(), after: after.clone() }
    }

    pub fn plan(&self) -> Plan<Kinds> {
        let plan = plan(Goal::Converge, &self.wants, &self.leavers, &self.live);
        plan.unwrap_or_else(|error| panic!("{error}")).noting(self.notes.clone()).naming(&file())
    }

    /// Carries `plan` out in an account as this one, and plans anew from what that leaves.
    fn carried_out(&self, plan: &Plan<Kinds>) -> Plan<Kinds> {
        let world = Simulation::new(self.live.clone());
        world.account.borrow_mut().made_for(&self.before);
        let referred = not_ours(&self.wants.iter().collect::<Vec<_>>());
        let theirs: Vec<_> =
            self.wants.iter().filter(|want| referred.contains_key(&Kinds::address(want))).cloned().collect();
        world.account.borrow_mut().made_for(&theirs);
        let report = world.carry_out(plan);
        assert!(report.all_done(), "{}", crate::executing::told(plan, &report));
        let mut wants = self.after.wants();
        let found = world.account.borrow_mut().at(&world.clock).found();
        let leavers = desired::leavers(&self.after.config(), &place(), &mut wants, found, true);
        let leavers = leavers.unwrap_or_else(|refusals| panic!("{refusals:?}"));
        let live = world.observed(&with_leavers(&wants, &leavers));
        pgrotate::plan::plan(Goal::Converge, &wants, &leavers, &live).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// What the config only refers to is there, and carries no tag of ours.
pub fn not_ours(all: &[&Want]) -> State {
    let wants: Vec<_> = all.iter().map(|want| (*want).clone()).collect();
    let referred: BTreeSet<Address> = wants
        .iter()
        .filter(|want| match want {
            Want::SecurityGroup(want) => want.existing,
            Want::DbSubnetGroup(want) => want.existing,
            Want::DbCluster(_) => true,
            Want::DbInstance(want) => want.spec.is_none(),
            _ => false,
        })
        .map(Kinds::address)
        .collect();
    let mut state = realise(&wants);
    state.retain(|address, _| referred.contains(address));
    for seen in state.values_mut() {
        match seen {
            Seen::Present(AnyLive::SecurityGroup(live)) => live.tags = Tags::new(),
            Seen::Present(AnyLive::DbSubnetGroup(live)) => live.tags = Tags::new(),
            _ => {}
        }
    }
    state
}

/// What others have made under names of ours that are declared to be taken over: as we would have made it, but for what
/// an AWS CLI's user has typed otherwise.
fn by_hand(there: &[There], wants: &[Want]) -> State {
    let mut state = realise(wants);
    state.retain(|_, seen| {
        let Seen::Present(live) = seen else { return false };
        let name = |name: &str| Tags::from([("Name".to_owned(), name.to_owned())]);
        match live {
            AnyLive::DbInstance(live) if there.contains(&There::Instance) => {
                live.tags = name("my-postgres-instance");
                live.master_secret = None;
                live.groups = BTreeSet::from([GroupId("sg-0bbbbbbbbbbbbbbbb".to_owned())]);
                true
            }
            AnyLive::DbSubnetGroup(live) if there.contains(&There::SubnetGroup) => {
                live.tags.clear();
                true
            }
            AnyLive::Secret(live) if there.contains(&There::Secrets) => {
                live.tags = name("as in the article");
                live.description = "made by hand".to_owned();
                true
            }
            AnyLive::VpcEndpoint(live) if there.contains(&There::Endpoint) => {
                live.tags.clear();
                live.groups = BTreeSet::from([GroupId("sg-0cccccccccccccccc".to_owned())]);
                true
            }
            AnyLive::SecurityGroup(live) if there.contains(&There::EndpointGroup) => {
                live.tags.clear();
                live.default_egress = BTreeSet::from(["sgr-00000000000000000".to_owned()]);
                live.id == made_up_id("sg", SecurityGroup::at("endpoint").address())
            }
            _ => false,
        }
    });
    let adopted: BTreeSet<_> = wants.iter().filter(|want| adopts(want)).map(Kinds::address).collect();
    state.retain(|address, _| adopted.contains(address));
    state
}

fn adopts(want: &Want) -> bool {
    match want {
        Want::DbInstance(want) => want.adopt,
        Want::DbSubnetGroup(want) => want.adopt,
        Want::Secret(want) => want.adopt,
        Want::SecurityGroup(want) => want.adopt,
        Want::VpcEndpoint(want) => want.adopt,
        _ => false,
    }
}

/// What was made for one config, as it is seen for the next one.
fn looked_at(want: &Want, was: &Want, seen: &Seen<AnyLive>) -> Seen<AnyLive> {
    match (want, was, seen) {
        (Want::Artifact(want), Want::Artifact(was), _) if want.bucket != was.bucket => Seen::Absent,
        _ => seen.clone(),
    }
}

/// Roles are seen with what their secrets hold, through a function that must be there.
fn see_logins(all: &[&Want], live: &mut State) {
    let is_there = |live: &State, address: &Address| matches!(live.get(address), Some(Seen::Present(_)));
    for want in all {
        let Want::Login(login) = want else { continue };
        if !is_there(live, login.instance.address()) {
            continue;
        }
        let is_ours = |secret: &Address| match live.get(secret) {
            Some(Seen::Present(AnyLive::Secret(live))) => login.mark.is_ours(&live.tags),
            _ => false,
        };
        let why = if !is_there(live, login.secret.address()) {
            "its secret does not exist yet"
        } else if !is_ours(login.secret.address()) {
            "its secret is not this deployment's"
        } else if !is_there(live, login.stack.address()) {
            "the inspection function does not exist yet"
        } else {
            continue;
        };
        live.insert(Kinds::address(want), Seen::Unobservable(why.to_owned()));
    }
}

/// What a look by tags finds of a deployment.
pub fn found(wants: &[Want], state: &State) -> Found {
    let id_of = |address: &Address| match state.get(address) {
        Some(Seen::Present(AnyLive::SecurityGroup(live))) => live.id.clone(),
        other => panic!("{address} is {other:?}"),
    };
    let mut found = Found::default();
    for want in wants {
        match want {
            Want::Secret(want) => found.secrets.push(Tagged { name: want.name.clone(), login: want.login.clone() }),
            Want::SecurityGroup(want) => {
                let look = GroupLook {
                    id: id_of(&want.mark.address),
                    name: want.name.clone(),
                    vpc: want.vpc.clone(),
                    tags: if want.existing { Tags::new() } else { want.mark.tags() },
                    rules: Vec::new(),
                };
                if want.existing { found.other_groups.push(look) } else { found.groups.push(look) }
            }
            Want::SecurityGroupRule(want) => {
                let standing = Standing {
                    group: id_of(want.group.at.address()),
                    direction: want.direction,
                    port: want.port,
                    peer: match &want.peer {
                        Peer::Cidr(peer) | Peer::Id(peer) => peer.clone(),
                        Peer::Group(group) => id_of(group.at.address()),
                    },
                };
                found.rules.push(rule::Tagged { tags: want.mark.tags(), standing });
            }
            Want::DbInstance(want) if want.spec.is_some() => found.instances.push(db_instance::Tagged {
                identifier: want.identifier.clone(),
                arn: place().arn("rds", &format!("db:{}", want.identifier)),
                address: want.mark.address.to_string(),
                groups: match state.get(&want.mark.address) {
                    Some(Seen::Present(AnyLive::DbInstance(live))) => {
                        live.groups.iter().map(|id| id.0.clone()).collect()
                    }
                    _ => BTreeSet::new(),
                },
            }),
            Want::VpcEndpoint(want) => found.endpoints.push(EndpointLook {
                id: made_up_id("vpce", &want.mark.address),
                vpc: want.vpc.clone(),
                service: want.service.clone(),
                tags: want.mark.tags(),
            }),
            Want::Stack(want) => found.stacks.push(want.name.clone()),
            _ => {}
        }
    }
    found
}

#[test]
fn each_plans_as_its_golden_file_says() {
    let mut names = BTreeSet::new();
    for scenario in crate::scenarios::all() {
        assert!(names.insert(scenario.name), "{} stands twice", scenario.name);
        let life = Life::of(&scenario);
        let plan = life.plan();
        let document = document(&plan);
        check_edges(&document);
        assert_eq!(json(&document), json(&self::document(&life.plan())), "{}", scenario.name);
        golden(scenario.name, &human::plan(&document));

        // And once it has been carried out, nothing is left to do.
        let again = life.carried_out(&plan);
        assert!(again.actions.is_empty(), "{} again:\n{}", scenario.name, human::plan(&self::document(&again)));
    }
    assert!(names.len() >= 40, "{}", names.len());
}

/// What takes the place of a rule is there before the rule goes: nobody is cut off in between.
#[test]
fn rules_are_made_before_they_are_broken() {
    let mut pairs = 0;
    for scenario in crate::scenarios::all() {
        let plan = Life::of(&scenario).plan();
        let place = |number: &usize| plan.order.sorted().iter().position(|at| at == number).expect("it is sorted");
        let rules = |removing: bool| {
            let is_rule = move |action: &&pgrotate::plan::Action<Kinds>| {
                action.removing == removing && matches!(action.want, Want::SecurityGroupRule(_))
            };
            plan.actions.iter().enumerate().filter(move |(_, action)| is_rule(action)).map(|(number, _)| number)
        };
        for gone in rules(true) {
            for made in rules(false) {
                let (Want::SecurityGroupRule(old), Want::SecurityGroupRule(new)) =
                    (&plan.actions[gone].want, &plan.actions[made].want)
                else {
                    unreachable!("both are rules")
                };
                if old.group.at == new.group.at && old.direction == new.direction {
                    pairs += 1;
                    assert!(place(&made) < place(&gone), "{}: {} first", scenario.name, plan.actions[gone].address);
                }
            }
        }
    }
    assert!(pairs > 2, "the scenarios move rules");
}

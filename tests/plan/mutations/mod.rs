//! What holds of every deployment that becomes another: by one apply, by many with faults, killed, two at
//! once, and with somebody else at it. Each in virtual time, with the latencies of AWS.

mod faulty;
mod model;
mod whole;

use crate::lives::not_ours;
use crate::scenario::{Scenario, State, place, realise};
use crate::simulation::{Simulation, with_leavers};
use function_contract::RoleAttributes;
use model::Model;
use pgrotate::code::Code;
use pgrotate::desired;
use pgrotate::model::{Address, Seen};
use pgrotate::plan::{Goal, Plan, PlanError, plan};
use pgrotate::resource::{Family, sight};
use pgrotate::resources::{AnyLive, Kinds, Secret, Want};
use proptest::test_runner::{Config, RngSeed};
use std::collections::BTreeSet;

/// A part of `all`, or all of it (`make faults`).
fn part(all: usize) -> usize {
    if std::env::var("PGROTATE_FAULTS").is_ok_and(|value| value == "whole") { all } else { all.div_ceil(5) }
}

/// So many cases, or a part of them; the same each time.
fn cases(all: usize) -> Config {
    let cases = u32::try_from(part(all)).expect("not so many");
    Config { cases, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::default() }
}

/// An account and what is known of it.
struct Deployment {
    world: Simulation,
    /// What a plan said that it leaves.
    left: BTreeSet<Address>,
    /// Whether two have wanted different things at once: a role that one of them let in again, after the other had
    /// shut it out and before it deleted the secret, is found by nothing any more.
    torn: bool,
}

fn existing(wants: &[Want]) -> State {
    not_ours(&wants.iter().collect::<Vec<_>>())
}

/// What is seen of a role without those of its attributes that the config does not declare: they stay as they are.
fn declared(want: &Want, seen: &Seen<AnyLive>) -> Seen<AnyLive> {
    let (Want::Login(want), Seen::Present(AnyLive::Login(live))) = (want, seen) else { return seen.clone() };
    let RoleAttributes { member_of, settings, connection_limit, valid_until } = &want.attributes;
    let mut live = live.clone();
    live.role.member_of.retain(|role| member_of.contains(role));
    live.role.settings.retain(|name, _| settings.contains_key(name));
    if connection_limit.is_none() {
        live.role.connection_limit = -1;
    }
    if valid_until.is_none() {
        live.role.valid_until = None;
    }
    Seen::Present(AnyLive::Login(live))
}

/// What a good apply leaves, as others' things really are.
fn whole(wants: &[Want]) -> State {
    let mut state = realise(wants);
    state.extend(existing(wants));
    state
}

/// Of all that a model changes, only smaller storage cannot be had.
fn may_be_refused(wants: &[Want], live: &State, address: &Address, code: Code) -> bool {
    let spec = wants.iter().find_map(|want| match want {
        Want::DbInstance(want) if want.mark.address == *address => want.spec.as_ref(),
        _ => None,
    });
    match (spec, live.get(address)) {
        (Some(spec), Some(Seen::Present(AnyLive::DbInstance(live)))) => {
            code == Code::CannotChange && spec.storage < live.storage
        }
        _ => false,
    }
}

impl Deployment {
    /// A new account.
    fn new() -> Self {
        let mut world = Simulation::new(State::new());
        world.shared = true;
        Self { world, left: BTreeSet::new(), torn: false }
    }

    fn of(model: &Model) -> Self {
        let wants = model.scenario().wants();
        let mut world = Simulation::of(&wants);
        world.shared = true;
        let this = Self { world, left: BTreeSet::new(), torn: false };
        this.others_make(&wants);
        this
    }

    fn others_make(&self, wants: &[Want]) {
        for (address, seen) in existing(wants) {
            self.world.put(&address, seen);
        }
        let theirs = existing(wants);
        let wants: Vec<_> = wants.iter().filter(|want| theirs.contains_key(&Kinds::address(want))).cloned().collect();
        self.world.account.borrow_mut().made_for(&wants);
    }

    /// The plan for `model`; None where it is refused.
    fn plan(&mut self, model: &Model, goal: Goal) -> Option<Plan<Kinds>> {
        self.plan_of(&model.scenario(), goal)
    }

    fn plan_of(&mut self, scenario: &Scenario, goal: Goal) -> Option<Plan<Kinds>> {
        let mut wants = scenario.wants();
        self.others_make(&wants);
        let found = self.world.account.borrow_mut().at(&self.world.clock).found();
        let leavers = desired::leavers(&scenario.config(), &place(), &mut wants, found, goal == Goal::Converge);
        let leavers = leavers.unwrap_or_else(|refusals| panic!("{refusals:?}"));
        let live = self.world.observed(&with_leavers(&wants, &leavers));
        match plan::<Kinds>(goal, &wants, &leavers, &live) {
            Ok(plan) => {
                let leaving = plan.actions.iter().filter(|action| action.leaves.is_some());
                self.left.extend(leaving.map(|action| action.address.clone()));
                Some(plan)
            }
            Err(PlanError::Refused(refusals)) => {
                for (address, refusal) in refusals {
                    assert!(may_be_refused(&wants, &live, &address, refusal.code), "{address}: {refusal:?}");
                }
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Applies once and finds all as `model` wants it, and nothing else; false where that is refused.
    fn becomes(&mut self, model: &Model) -> bool {
        let Some(plan) = self.plan(model, Goal::Converge) else { return false };
        let report = self.world.carry_out(&plan);
        assert!(report.all_done(), "{}", crate::executing::told(&plan, &report));
        self.is(model);
        true
    }

    fn is(&mut self, model: &Model) {
        let again = self.plan(model, Goal::Converge).expect("what has been applied is not refused");
        let left: Vec<_> = again.actions.iter().map(|action| format!("{} {}", action.label(), action.key)).collect();
        assert!(left.is_empty(), "still to do: {left:?}");
        let wants = model.scenario().wants();
        let wanted = whole(&wants);
        let account = self.world.account.borrow();
        for want in &wants {
            let address = &Kinds::address(want);
            let (is, should) = (declared(want, &account.state()[address]), &wanted[address]);
            let (is, should) = (sight::<Kinds>(&is), sight::<Kinds>(should));
            assert!(is.same(&should), "{address} is {is:?}, should be {should:?}");
        }
        for (address, seen) in account.state() {
            let Seen::Present(live) = seen else { continue };
            let stays = match live {
                AnyLive::Secret(live) => live.deleted && self.left.contains(address),
                AnyLive::Login(_) if self.torn && account.is_deleted(&Secret::at(&address.name)) => true,
                AnyLive::Login(live) => !live.role.can_login && !live.clone_can_login && self.left.contains(address),
                AnyLive::SecurityGroup(live) => live.tags.is_empty(),
                // It goes with its secret.
                AnyLive::Rotation(_) => account.is_deleted(&Secret::at(&address.name)),
                _ => false,
            };
            assert!(wanted.contains_key(address) || stays, "{address} is left: {live:?}");
        }
    }
}

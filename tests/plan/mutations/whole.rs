//! One apply after the other, nothing going wrong.

use super::model::model;
use super::{Deployment, cases, part};
use crate::scenario::{Scenario, document, json};
use pgrotate::graph::Order;
use pgrotate::model::Address;
use pgrotate::plan::{Goal, Plan};
use pgrotate::resource::{Family, Verb};
use pgrotate::resources::Kinds;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// Of every action, all that must be done before it.
fn before(order: &Order) -> BTreeMap<usize, BTreeSet<usize>> {
    let mut before = BTreeMap::<usize, BTreeSet<usize>>::new();
    for &action in order.sorted() {
        let mut mine = BTreeSet::new();
        for first in order.prerequisites(action) {
            // A graph with a circle has no such order.
            mine.extend(before[&first].iter().copied());
            mine.insert(first);
        }
        before.insert(action, mine);
    }
    before
}

/// The action that makes, or that deletes, each address.
fn by_verb(plan: &Plan<Kinds>, verb: Verb) -> BTreeMap<&Address, usize> {
    let actions = plan.actions.iter().enumerate().filter(|(_, action)| action.verb == verb);
    actions.map(|(number, action)| (&action.address, number)).collect()
}

#[test]
fn any_deployment_becomes_any_other() {
    let (became, refused) = (Cell::new(0), Cell::new(0));
    let done = TestRunner::new(cases(300)).run(&(model(), model()), |(one, other)| {
        let count = if Deployment::of(&one).becomes(&other) { &became } else { &refused };
        count.set(count.get() + 1);
        Ok(())
    });
    done.unwrap_or_else(|error| panic!("{error}"));
    println!("{} deployments became others, {} were refused", became.get(), refused.get());
    // Storage shrinks in every second pair, and that is refused.
    assert!(became.get() > part(100), "{}", became.get());
}

/// What refers to another goes before it, and no deletion waits for what was made before its target.
#[test]
fn deletion_reverses_creation() {
    let pairs = Cell::new(0);
    let done = TestRunner::new(cases(100)).run(&model(), |model| {
        let wants = model.scenario().wants();
        let made = Deployment::of(&model).destroyed_and_planned_anew(&model);
        let (makes, destroys) = (&made.0, &made.1);
        let (making, destroying) = (by_verb(makes, Verb::Create), by_verb(destroys, Verb::Delete));
        let (made_before, gone_before) = (before(&makes.order), before(&destroys.order));
        for (one, &gone) in &destroying {
            for (other, &after) in &destroying {
                let (Some(made), Some(later)) = (making.get(one), making.get(other)) else { continue };
                if made_before[later].contains(made) {
                    pairs.set(pairs.get() + 1);
                    prop_assert!(!gone_before[&after].contains(&gone), "{one} goes before {other}");
                }
            }
        }
        for want in &wants {
            for need in Kinds::needs(want) {
                let (Some(mine), Some(its)) = (destroying.get(&Kinds::address(want)), destroying.get(&need)) else {
                    continue;
                };
                prop_assert!(gone_before[its].contains(mine), "{need} may go before {}", Kinds::address(want));
            }
        }
        Ok(())
    });
    done.unwrap_or_else(|error| panic!("{error}"));
    println!("{} pairs that were made in order go in the reverse one", pairs.get());
    assert!(pairs.get() > part(1000), "{}", pairs.get());
}

impl Deployment {
    /// The plan that makes a model anew, and the one that destroys it.
    fn destroyed_and_planned_anew(mut self, model: &super::Model) -> (Plan<Kinds>, Plan<Kinds>) {
        let destroys = self.plan(model, Goal::Destroy).expect("nothing protects it");
        let report = self.world.carry_out(&destroys);
        assert!(report.all_done(), "{}", crate::executing::told(&destroys, &report));
        let mut anew = Self::new();
        let makes = anew.plan(model, Goal::Converge).expect("nothing is in its way");
        let report = anew.world.carry_out(&makes);
        assert!(report.all_done(), "{}", crate::executing::told(&makes, &report));
        anew.is(model);
        (makes, destroys)
    }
}

#[test]
fn the_order_of_the_file_makes_no_difference() {
    let done = TestRunner::new(cases(100)).run(&(model(), model(), 0..60usize), |(one, other, turned)| {
        let mut deployment = Deployment::of(&one);
        let straight = deployment.plan(&other, Goal::Converge);
        let again = deployment.plan_of(&Scenario::of(&other.text(turned)), Goal::Converge);
        let told = |plan: &Option<Plan<Kinds>>| plan.as_ref().map(|plan| json(&document(plan)));
        prop_assert_eq!(told(&straight), told(&again));
        Ok(())
    });
    done.unwrap_or_else(|error| panic!("{error}"));
}

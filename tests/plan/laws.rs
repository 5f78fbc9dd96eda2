//! What holds of every plan, whatever it starts from.

use crate::scenario::{ARTICLE, SECOND_USER, Scenario, State, check_edges, document, json};
use crate::simulation::{Simulation, converge};
use pgrotate::model::{Address, Seen};
use pgrotate::plan::{Goal, Plan, plan};
use pgrotate::resource::Family;
use pgrotate::resources::{Kinds, Want};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn user(login: &str) -> String {
    format!("\n[[user]]\nlogin = \"{login}\"\nsecret = \"{login}_secret\"\n")
}

fn planned(wants: &[Want], live: &State) -> Plan<Kinds> {
    plan::<Kinds>(Goal::Converge, wants, &[], live).unwrap()
}

/// Lets everything arrive that `state` holds of what `missing` does not name, and then the rest.
fn converges_from(wants: &[Want], missing: &BTreeSet<Address>) {
    let mut state = crate::scenario::realise(wants);
    for address in missing {
        state.insert(address.clone(), Seen::Absent);
    }
    let world = Simulation::new(state);
    check_edges(&document(&planned(wants, &world.observed(wants))));
    let rounds = converge(&world, wants, &[], Goal::Converge);
    assert!(rounds <= 1, "one apply is not enough: {rounds}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_order_of_users_in_the_file_makes_no_difference(
        logins in prop::collection::btree_set("u[a-z0-9_]{2,12}", 1..6),
        seed in any::<prop::sample::Index>(),
        gone in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut blocks: Vec<_> = logins.iter().filter(|login| !login.ends_with("_clone")).map(|login| user(login)).collect();
        let sorted = Scenario::article().and(&blocks.concat());
        let at = seed.index(blocks.len().max(1));
        blocks.rotate_left(at);
        blocks.reverse();
        // The article's own user moves to the end.
        let (head, own) = ARTICLE.split_at(ARTICLE.find("\n[[user]]").unwrap());
        let mut turned = sorted.clone();
        turned.text = format!("{head}{}{own}", blocks.concat());

        let mut live = sorted.realised();
        let addresses: Vec<_> = live.keys().cloned().collect();
        for index in gone {
            live.insert(index.get(&addresses).clone(), Seen::Absent);
        }
        for goal in [Goal::Converge, Goal::Destroy] {
            let one = document(&sorted.plan(goal, &live).unwrap());
            let other = document(&turned.plan(goal, &live).unwrap());
            check_edges(&one);
            prop_assert_eq!(json(&one), json(&other));
        }
    }

    /// Any part of a deployment may be missing, as a stopped apply or a careless hand leaves it: one apply
    /// makes it whole, and the next plan is empty.
    #[test]
    fn any_half_of_it_becomes_whole(parts in prop::collection::vec(any::<bool>(), 30)) {
        let wants = Scenario::article().and(SECOND_USER).wants();
        let missing: BTreeSet<_> =
            wants.iter().zip(&parts).filter(|(_, gone)| **gone).map(|(want, _)| Kinds::address(want)).collect();
        converges_from(&wants, &missing);
    }
}

#[test]
fn any_one_thing_missing_is_made_again() {
    let wants = Scenario::article().wants();
    for want in &wants {
        converges_from(&wants, &BTreeSet::from([Kinds::address(want)]));
    }
}

/// Half a deployment is removed as well as a whole one.
#[test]
fn any_one_thing_missing_does_not_stop_a_destroy() {
    let wants = Scenario::article().wants();
    for want in &wants {
        let mut state = crate::scenario::realise(&wants);
        state.insert(Kinds::address(want), Seen::Absent);
        let world = Simulation::new(state);
        converge(&world, &wants, &[], Goal::Destroy);
    }
}

/// What was not looked at is not taken for absent: only a role may be unseen, and then it is ensured.
#[test]
fn nothing_is_created_unseen() {
    let article = Scenario::article();
    let error = article.plan(Goal::Converge, &State::new()).unwrap_err();
    let refused = match error {
        pgrotate::plan::PlanError::Refused(refusals) => refusals.len(),
        other => panic!("{other}"),
    };
    assert_eq!(refused, article.wants().iter().filter(|want| !matches!(want, Want::Login(_))).count());
}

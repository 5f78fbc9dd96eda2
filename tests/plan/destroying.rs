//! Plans that remove.

use crate::scenario::{Scenario, change, check_edges, document, golden, set};
use pgrotate::model::{Address, Seen};
use pgrotate::plan::Goal;
use pgrotate::render::human;
use pgrotate::resource::{Family, Risk};
use pgrotate::resources::Kinds;
use std::collections::BTreeMap;

#[test]
fn all_of_it() {
    let article = Scenario::article();
    let plan = article.plan(Goal::Destroy, &article.realised()).unwrap();
    let document = document(&plan);
    check_edges(&document);
    golden("destroy", &human::plan(&document));
}

#[test]
fn with_a_last_snapshot() {
    let article = Scenario::article().with("final_snapshot = false", "final_snapshot = true");
    let mut live = article.realised();
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| live.deletion_protection = true);
    let plan = article.plan(Goal::Destroy, &live).unwrap();
    golden("destroy-with-a-last-snapshot", &human::plan(&document(&plan)));
}

#[test]
fn nothing_that_is_protected() {
    let article = Scenario::article().with("deletion_protection = false", "deletion_protection = true");
    article.refuses("destroy-protected", Goal::Destroy, &article.realised());
}

#[test]
fn nothing_once_it_is_gone() {
    let article = Scenario::article();
    let mut live = article.nothing();
    // Secrets stay for their recovery window, and that is all that can be done about them.
    for secret in ["secret.test_user1", "secret.rotator_admin"] {
        let mut deleted = article.realised();
        change!(deleted, Secret, secret, |live| live.deleted = true);
        set(&mut live, secret, deleted.remove(&crate::scenario::at(secret)).unwrap());
    }
    let plan = article.plan(Goal::Destroy, &live).unwrap();
    golden("destroy-nothing-left", &human::plan(&document(&plan)));
    assert!(plan.actions.is_empty());
}

/// What belongs to others stays, and is named.
#[test]
fn nothing_of_others() {
    let article = Scenario::article();
    let mut live = article.realised();
    crate::refusing::give_away(&mut live, None);
    let plan = article.plan(Goal::Destroy, &live).unwrap();
    golden("destroy-nothing-of-others", &human::plan(&document(&plan)));
}

/// Whoever refers to something goes before it, also across what has nothing to do.
#[test]
fn in_the_order_of_the_edges_turned_round() {
    let article = Scenario::article();
    let (wants, live) = (article.wants(), article.realised());
    let full: Vec<Address> = wants.iter().map(Kinds::address).collect();
    for missing in &full {
        let mut live = live.clone();
        live.insert(missing.clone(), Seen::Absent);
        let plan = article.plan(Goal::Destroy, &live).unwrap();
        let at: BTreeMap<_, _> =
            plan.order.sorted().iter().enumerate().map(|(at, &number)| (&plan.actions[number].address, at)).collect();
        for want in &wants {
            let address = Kinds::address(want);
            for need in Kinds::needs(want) {
                if let (Some(mine), Some(needed)) = (at.get(&address), at.get(&need)) {
                    assert!(mine < needed, "without {missing}: {need} goes before {address}, which refers to it");
                }
            }
        }
    }
}

#[test]
fn what_is_lost_for_good_is_marked() {
    let article = Scenario::article();
    let plan = article.plan(Goal::Destroy, &article.realised()).unwrap();
    let irreversible: Vec<_> =
        plan.actions.iter().filter(|a| a.risk == Risk::Irreversible).map(|a| a.address.to_string()).collect();
    assert_eq!(irreversible, ["db_instance.my-postgres-instance"]);
}

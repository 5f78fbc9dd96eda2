//! With faults, deaths, two at once and somebody else at it: the next apply that nothing hinders makes all
//! whole.

use super::model::{Model, changed, model};
use super::{Deployment, cases, part};
use crate::simulation::faults::{Fault, draw};
use crate::simulation::{Death, Simulation};
use pgrotate::execute::{Limits, execute};
use pgrotate::model::Seen;
use pgrotate::plan::{Goal, Plan};
use pgrotate::resources::Kinds;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::cell::Cell;
use std::time::Duration;
use tokio::sync::watch;

/// A deployment lives through 300 changes, with something wrong in three of twenty calls.
#[test]
fn hundreds_of_changes_with_faults() {
    let mut runner = TestRunner::new(cases(1));
    let mut draw_model = || model().new_tree(&mut runner).expect("any model will do").current();
    let mut now = draw_model();
    let mut deployment = Deployment::of(&now);
    let (seed, mut changes, mut actions) = (Cell::new(7), 0, 0);
    while changes < part(300) {
        let what = usize::try_from(draw(&seed) % 17).expect("it is small");
        let next = changed(&now, &draw_model(), what);
        let Some(plan) = deployment.plan(&next, Goal::Converge) else { continue };
        deployment.world.faults.by_chance(150, draw(&seed));
        // Whatever becomes of it.
        let _ = deployment.world.carry_out(&plan);
        deployment.world.faults.by_chance(0, 0);
        actions += plan.actions.len();
        assert!(deployment.becomes(&next), "an apply that was begun is refused");
        changes += 1;
        now = next;
    }
    let hours = deployment.world.clock.now().as_secs() / 3600;
    println!("{changes} changes, {actions} actions, {} faults, {hours} hours", deployment.world.faults.met.get());
    assert!(deployment.world.faults.met.get() > part(200));
}

/// A new deployment with one of the first calls about an address refused, or its answer lost. A cut one is to the
/// executor as a refused one, and a throttled one only late.
#[test]
fn every_fault_at_every_call() {
    let mut runner = TestRunner::new(cases(1));
    let wanted = model().new_tree(&mut runner).expect("any model will do").current();
    let wants = wanted.scenario().wants();
    let (mut tried, mut met) = (0, 0);
    for want in &wants {
        for fault in [Fault::Refused, Fault::AnswerLost] {
            for nth in 0..3 {
                let mut deployment = Deployment::new();
                deployment.world.faults.befall(address(want), nth, fault);
                let plan = deployment.plan(&wanted, Goal::Converge).expect("nothing is in its way");
                let _ = deployment.world.carry_out(&plan);
                met += deployment.world.faults.met.get();
                tried += 1;
                assert!(deployment.becomes(&wanted), "{} {fault:?} {nth}", address(want));
            }
        }
    }
    println!("{met} faults befell in {tried} new deployments");
    assert!(met > tried / 2);
}

impl Deployment {
    /// Carries out `plan` and dies at its change of number `at`, if it comes so far.
    fn dies(&self, plan: &Plan<Kinds>, at: usize, death: Death) -> bool {
        let world = &self.world;
        let so_far = world.applied.borrow().len();
        world.dies_at.set(Some((so_far + at, death)));
        let (_stop, stopped) = watch::channel(false);
        let died = world.run(async {
            tokio::select! {
                biased;
                () = world.dead.notified() => true,
                _ = execute(plan, world, Limits::default(), stopped, |_, _| {}) => false,
            }
        });
        world.dies_at.set(None);
        died
    }
}

fn pair() -> impl Strategy<Value = (Model, Model)> {
    (model(), model(), prop::collection::vec(0..17usize, 1..4)).prop_map(|(one, other, whats)| {
        let next = whats.into_iter().fold(one.clone(), |model, what| changed(&model, &other, what));
        (one, next)
    })
}

#[test]
fn killed_anywhere() {
    let (died, at_all) = (Cell::new(0), Cell::new(0));
    let strategy = (pair(), 0..12usize, any::<bool>());
    let done = TestRunner::new(cases(300)).run(&strategy, |((one, next), at, heard)| {
        let mut deployment = Deployment::of(&one);
        let Some(plan) = deployment.plan(&next, Goal::Converge) else { return Ok(()) };
        let death = if heard { Death::BeforeTheChange } else { Death::BeforeTheAnswer };
        died.set(died.get() + usize::from(deployment.dies(&plan, at, death)));
        at_all.set(at_all.get() + 1);
        prop_assert!(deployment.becomes(&next));
        Ok(())
    });
    done.unwrap_or_else(|error| panic!("{error}"));
    println!("{} of {} applies were killed", died.get(), at_all.get());
    assert!(died.get() > part(50), "{}", died.get());
}

/// The same plan, or the plans of two people who want different things.
#[test]
fn two_at_once() {
    let count = Cell::new(0);
    let done =
        TestRunner::new(cases(200)).run(&(pair(), pair(), any::<bool>()), |((one, next), (_, else_wanted), same)| {
            let mut deployment = Deployment::of(&one);
            let other = if same { next.clone() } else { else_wanted };
            let (Some(mine), Some(theirs)) =
                (deployment.plan(&next, Goal::Converge), deployment.plan(&other, Goal::Converge))
            else {
                return Ok(());
            };
            let channels = (watch::channel(false), watch::channel(false));
            let world = &deployment.world;
            let mine = execute(&mine, world, Limits::default(), channels.0.1, |_, _| {});
            let theirs = execute(&theirs, world, Limits::default(), channels.1.1, |_, _| {});
            let (first, second) = world.run(futures_util::future::join(mine, theirs));
            if same {
                prop_assert!(first.all_done() && second.all_done(), "{:?} {:?}", first.outcomes, second.outcomes);
                deployment.is(&next);
            } else {
                deployment.torn = true;
                // A secret that one has deleted comes back with the rotation that the other has enabled: out of sight
                // when it is planned, and then stale. What the other has made larger cannot be made smaller: that is
                // refused.
                if let Some(plan) = deployment.plan(&next, Goal::Converge) {
                    let _ = deployment.world.carry_out(&plan);
                    prop_assert!(deployment.becomes(&next));
                }
            }
            count.set(count.get() + 1);
            Ok(())
        });
    done.unwrap_or_else(|error| panic!("{error}"));
    println!("{} times two at once", count.get());
    assert!(count.get() > part(50), "{}", count.get());
}

/// Somebody deletes or restores things between plan and apply, and while it runs.
#[test]
fn with_somebody_else_at_it() {
    let count = Cell::new(0);
    let moves = prop::collection::vec((any::<prop::sample::Index>(), 0..300u64), 1..4);
    let done = TestRunner::new(cases(200)).run(&(pair(), moves), |((one, next), moves)| {
        let mut deployment = Deployment::of(&one);
        let Some(plan) = deployment.plan(&next, Goal::Converge) else { return Ok(()) };
        let addresses: Vec<_> = next.scenario().wants().iter().filter(|want| may_go(want)).map(address).collect();
        let world: &Simulation = &deployment.world;
        for (which, second) in moves {
            let when = world.clock.now() + Duration::from_secs(second);
            world.meddling.borrow_mut().push((when, which.get(&addresses).clone(), Seen::Absent));
        }
        // Done, failed or stale: all that counts is what the next one finds.
        let _ = world.carry_out(&plan);
        world.run(world.clock.sleep(Duration::from_secs(300)));
        prop_assert!(deployment.becomes(&next));
        count.set(count.get() + 1);
        Ok(())
    });
    done.unwrap_or_else(|error| panic!("{error}"));
    println!("{} times somebody else was at it", count.get());
    assert!(count.get() > part(50), "{}", count.get());
}

fn address(want: &pgrotate::resources::Want) -> pgrotate::model::Address {
    use pgrotate::resource::Family;
    Kinds::address(want)
}

/// What a careless hand deletes, without all that depends on it.
fn may_go(want: &pgrotate::resources::Want) -> bool {
    use pgrotate::resources::Want;
    matches!(want, Want::SecurityGroupRule(_) | Want::Rotation(_) | Want::Artifact(_) | Want::VpcEndpoint(_))
}

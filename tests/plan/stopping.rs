//! Stopping anywhere is safe: killed at any change, before it is made or before the answer is heard, the
//! next apply makes the deployment whole and makes nothing twice.

use crate::lives::Life;
use crate::saving::saved;
use crate::scenario::{Scenario, State, place};
use crate::simulation::latency::{self, Latencies};
use crate::simulation::{Death, Simulation, converge, with_leavers};
use pgrotate::execute::{Limits, execute};
use pgrotate::plan::{Goal, plan};
use pgrotate::resource::Leaver;
use pgrotate::resources::{Kinds, Want};
use tokio::sync::watch;

/// Applies and dies at the change of number `at`; answers with the world as it then is, and whether it came
/// so far.
fn killed(
    (wants, leavers): (&[Want], &[Leaver<Want>]),
    goal: Goal,
    state: State,
    at: usize,
    death: Death,
) -> (Simulation, bool) {
    // All is seen as soon as it is made, so that making it again is a mistake.
    let world = Simulation::with(state, Latencies { unseen: 0.0, ..latency::AWS });
    world.dies_at.set(Some((at, death)));
    let plan = plan::<Kinds>(goal, wants, leavers, &world.observed(&with_leavers(wants, leavers))).unwrap();
    let (_stop, stopped) = watch::channel(false);
    let died = world.run(async {
        tokio::select! {
            biased;
            () = world.dead.notified() => true,
            _ = execute(&plan, &world, Limits::default(), stopped, |_, _| {}) => false,
        }
    });
    (world.revived(), died)
}

/// A saved plan whose apply was stopped can be applied again: what is left of it is what is planned now.
fn still_fits(world: &Simulation, (wants, leavers): (&[Want], &[Leaver<Want>]), goal: Goal, before: &State) {
    let then = Simulation::new(before.clone()).observed(&with_leavers(wants, leavers));
    let saved = saved(&plan::<Kinds>(goal, wants, leavers, &then).unwrap());
    // What is on its way is neither as it was nor as it will be.
    let world = world.once_settled();
    let leavers = &world.still_found(leavers);
    let now = plan::<Kinds>(goal, wants, leavers, &world.observed(&with_leavers(wants, leavers))).unwrap();
    saved.check(&now, &place(), "article").unwrap_or_else(|error| panic!("{error}"));
}

fn anywhere(wants: &[Want], leavers: &[Leaver<Want>], goal: Goal, state: State) -> usize {
    for death in [Death::BeforeTheChange, Death::BeforeTheAnswer] {
        for at in 0.. {
            let (world, died) = killed((wants, leavers), goal, state.clone(), at, death);
            if !died {
                assert!(at > 0, "nothing was ever changed");
                if death == Death::BeforeTheAnswer {
                    return at;
                }
                break;
            }
            still_fits(&world, (wants, leavers), goal, &state);
            // A second making of the same thing is an error of the simulation, and fails here.
            let applies = converge(&world, wants, leavers, goal);
            assert!(applies <= 1, "{applies} applies after dying at {at} ({death:?})");
        }
    }
    unreachable!("both deaths were tried")
}

#[test]
fn a_new_deployment() {
    let article = Scenario::article();
    let changes = anywhere(&article.wants(), &[], Goal::Converge, article.nothing());
    assert_eq!(changes, 22, "as many as there are actions");
}

/// Every change that the scenarios know, stopped anywhere.
#[test]
fn a_changed_one() {
    for life in crate::scenarios::all().into_iter().filter(|life| life.before.is_some()) {
        let life = Life::of(&life);
        if !life.plan().actions.is_empty() {
            anywhere(&life.wants, &life.leavers, Goal::Converge, life.live.clone());
        }
    }
}

#[test]
fn a_destroyed_one() {
    let article = Scenario::article();
    anywhere(&article.wants(), &[], Goal::Destroy, article.realised());
}

/// Two applies of the same plan, side by side, action by action: both end well, and nothing is made twice.
#[test]
fn two_at_once() {
    let article = Scenario::article();
    let wants = article.wants();
    let mut world = Simulation::new(article.nothing());
    world.shared = true;
    let plan = plan::<Kinds>(Goal::Converge, &wants, &[], &article.nothing()).unwrap();
    let channels = (watch::channel(false), watch::channel(false));
    let one = execute(&plan, &world, Limits::default(), channels.0.1, |_, _| {});
    let other = execute(&plan, &world, Limits::default(), channels.1.1, |_, _| {});
    let (one, other) = world.run(futures_util::future::join(one, other));
    for report in [&one, &other] {
        assert!(report.all_done(), "{}", crate::executing::told(&plan, report));
    }
    assert_eq!(converge(&world, &wants, &[], Goal::Converge), 0);
}

//! How long an apply takes: little longer than its longest path, whose actions have to wait for each other.

use crate::scenario::Scenario;
use crate::simulation::Simulation;
use crate::simulation::latency::{self, Latencies, seconds};
use pgrotate::execute::{Pressed, World};
use pgrotate::plan::{Action, Goal};
use pgrotate::resources::{AnyChange, Kinds, db_instance, rotation, stack, vpc_endpoint};
use std::time::Duration;

/// The least that an action can take: it looks, changes, waits and looks again.
fn least(world: &Simulation, action: &Action<Kinds>) -> Duration {
    let Latencies { look, change, invoke, unseen, .. } = latency::AWS;
    let call = if world.pressed(&action.want) == Pressed::Functions { invoke } else { change };
    let wait = match &action.change {
        AnyChange::DbInstance(db_instance::Change::Create { .. }) => {
            latency::AWS.instance_create + latency::AWS.master_secret
        }
        AnyChange::Stack(stack::Change::Create(_)) => latency::AWS.stack_create,
        AnyChange::Stack(stack::Change::SetHosts(_)) => latency::AWS.stack_update,
        AnyChange::VpcEndpoint(vpc_endpoint::Change::Create { .. }) => latency::AWS.endpoint_create,
        AnyChange::Rotation(rotation::Change::Enable) => latency::AWS.rotation.max(unseen),
        AnyChange::Login(_) | AnyChange::Artifact(_) => 0.0,
        _ => unseen,
    };
    seconds(look + call + wait + look)
}

#[test]
fn an_apply_takes_little_longer_than_its_longest_path() {
    for users in [1, 10, 100] {
        let user = |n| format!("\n[[user]]\nlogin = \"user{n}\"\nsecret = \"user{n}_secret\"\n");
        // The article has one already.
        let fleet = Scenario::article().and(&(1..users).map(user).collect::<String>());
        let world = Simulation::new(fleet.nothing());
        let plan = fleet.plan(Goal::Converge, &fleet.nothing()).unwrap();
        let report = world.carry_out(&plan);
        assert!(report.all_done(), "{}", crate::executing::told(&plan, &report));
        let durations: Vec<_> = plan.actions.iter().map(|action| least(&world, action)).collect();
        let (path, longest) = plan.order.critical_path(&durations);
        let labels: Vec<_> = path.iter().map(|&action| plan.actions[action].label()).collect();
        let share = report.took.as_secs_f64() / longest.as_secs_f64();
        let (took, least) = (report.took.as_secs_f64(), longest.as_secs_f64());
        println!("{users} users: {took:.1} s, {share:.3} × {least:.1} s: {}", labels.join(" → "));
        assert!((1.0..=1.05).contains(&share), "{share:.3} times as long");
    }
}

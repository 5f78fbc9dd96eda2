//! The executor: what it starts, what it leaves alone, and what it says of each.

use crate::scenario::{SECOND_USER, Scenario, at, change, golden, place};
use crate::simulation::latency::{self, Latencies};
use crate::simulation::{Simulation, with_leavers};
use pgrotate::code::Code;
use pgrotate::execute::{ActionError, Event, Limits, Outcome, Pressed, Report, execute};
use pgrotate::model::Seen;
use pgrotate::plan::{Goal, Plan};
use pgrotate::render::{ReportDocument, human};
use pgrotate::resource::{Family, Known, NotProduced, Refusal};
use pgrotate::resources::{Kinds, Want};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;

/// What became of it, as people read it, without the times.
pub fn told(plan: &Plan<Kinds>, report: &Report) -> String {
    let mut document = ReportDocument::of(plan, report, "article", &place());
    document.took = 0.0;
    for outcome in &mut document.outcomes {
        outcome.took = None;
    }
    human::report(&document)
}

fn run(plan: &Plan<Kinds>, world: &Simulation) -> Report {
    world.carry_out(plan)
}

fn outcome<'a>(plan: &Plan<Kinds>, report: &'a Report, label: &str) -> &'a Outcome {
    let number = plan.actions.iter().position(|action| action.label() == label);
    &report.outcomes[number.unwrap_or_else(|| panic!("no action {label}"))]
}

#[test]
fn all_is_done_in_order() {
    let article = Scenario::article();
    let world = Simulation::new(article.nothing());
    let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
    let report = run(&plan, &world);
    golden("report-all-done", &told(&plan, &report));
    assert_eq!(world.applied.borrow().len(), plan.actions.len());
    // Each change came after everything it waits for.
    let applied = world.applied.borrow();
    let when = |address: &pgrotate::model::Address| applied.iter().position(|done| done == address).unwrap();
    for want in article.wants() {
        let address = Kinds::address(&want);
        for need in Kinds::needs(&want) {
            // The stack alone is begun before what it refers to, and finished after it.
            if !matches!(want, Want::Stack(_)) {
                assert!(when(&need) < when(&address), "{address} before {need}");
            }
        }
    }
}

#[test]
fn what_waits_for_a_failure_is_skipped_by_name() {
    let article = Scenario::article().and(SECOND_USER);
    let world = Simulation::new(article.nothing()).denying(at("db_instance.my-postgres-instance"));
    let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
    let report = run(&plan, &world);
    golden("report-instance-denied", &told(&plan, &report));
}

/// Whatever fails: every action is in the report, what does not wait for it is done, and what does is not.
#[test]
fn whatever_fails_the_rest_goes_on() {
    let article = Scenario::article();
    let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
    for (failing, action) in plan.actions.iter().enumerate() {
        let world = Simulation::new(article.nothing()).denying(action.address.clone());
        let report = run(&plan, &world);
        assert_eq!(report.outcomes.len(), plan.actions.len());
        let mut waiting = vec![false; plan.actions.len()];
        for &number in plan.order.sorted() {
            let denied = plan.actions[number].address == action.address;
            waiting[number] = plan
                .order
                .prerequisites(number)
                .iter()
                .any(|&first| waiting[first] || plan.actions[first].address == action.address);
            match &report.outcomes[number] {
                Outcome::Skipped { after } => {
                    assert!(waiting[number], "{} does not wait for {}", plan.actions[number].label(), action.address);
                    assert_eq!(*after, action.address);
                }
                Outcome::Failed(ActionError::World { .. }) => assert!(denied && !waiting[number]),
                Outcome::Done(_) => assert!(!waiting[number] && !denied),
                other => panic!("{failing}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_stop_cancels_what_has_not_begun() {
    let article = Scenario::article();
    let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
    let world = Simulation::new(article.nothing());
    let (stop, stopped) = watch::channel(false);
    let mut stopping = false;
    let report = world.run(execute(&plan, &world, Limits::default(), stopped, |event, _| match event {
        Event::Finished { action } if plan.actions[action].address == at("artifact.function") => {
            stop.send(true).unwrap();
        }
        Event::Started { action } => assert!(!stopping, "{} after the stop", plan.actions[action].label()),
        Event::Stopping => stopping = true,
        _ => {}
    }));
    assert!(stopping);
    assert!(matches!(outcome(&plan, &report, "artifact.function"), Outcome::Done(_)));
    assert!(matches!(outcome(&plan, &report, "rotation.test_user1"), Outcome::Cancelled));
    for (number, outcome) in report.outcomes.iter().enumerate() {
        let label = plan.actions[number].label();
        assert!(matches!(outcome, Outcome::Done(_) | Outcome::Cancelled), "{label}: {outcome:?}");
    }
}

/// What AWS does not take yet is not asked for again once the run is stopped.
#[test]
fn a_stop_ends_what_aws_does_not_take() {
    let article = Scenario::article();
    let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
    let world = Simulation::new(article.nothing());
    world.not_yet.borrow_mut().insert(at("secret.test_user1"), usize::MAX);
    let (stop, stopped) = watch::channel(false);
    let report = world.run(execute(&plan, &world, Limits::default(), stopped, |event, _| {
        if matches!(event, Event::Waiting { action, .. } if plan.actions[action].address == at("secret.test_user1")) {
            stop.send_replace(true);
        }
    }));
    assert!(matches!(outcome(&plan, &report, "secret.test_user1"), Outcome::Cancelled));
    assert!(report.took < Duration::from_secs(20 * 60), "{:?}", report.took);
}

/// What is on its way is waited for, and then changed: it need not be as declared to have arrived.
#[test]
fn what_is_on_its_way_is_changed_once_it_is_there() {
    let article = Scenario::article();
    let changed = article
        .with("class = \"db.t3.micro\"", "class = \"db.t3.large\"")
        .with("every = \"10 days\"", "every = \"20 days\"");
    let mut live = article.realised();
    let there = live.clone();
    let (instance, rotation) = ("db_instance.my-postgres-instance", "rotation.test_user1");
    change!(live, DbInstance, instance, |live| live.status = "creating".to_owned());
    change!(live, Rotation, rotation, |live| (live.pending, live.rotated) = (true, false));
    let world = Simulation::new(live);
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    for (address, after) in [(instance, minutes(7)), (rotation, minutes(2))] {
        world.meddling.borrow_mut().push((after, at(address), there[&at(address)].clone()));
    }
    let plan = changed.plan(Goal::Converge, &world.observed(&changed.wants())).unwrap();
    let waits: Vec<_> =
        plan.actions.iter().filter(|action| action.key == "await").map(|action| &action.address).collect();
    assert_eq!(waits, [&at(instance), &at(rotation)]);
    let report = run(&plan, &world);
    assert!(report.all_done(), "{}", told(&plan, &report));
    assert!(report.took < minutes(30), "{:?}", report.took);
    assert!(changed.plan(Goal::Converge, &world.observed(&changed.wants())).unwrap().actions.is_empty());
}

/// What is removed need not be as declared first.
#[test]
fn a_protected_instance_that_is_otherwise_than_declared_is_destroyed() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| {
        (live.deletion_protection, live.backup, live.storage) = (true, 1, 100);
    });
    let world = Simulation::new(live.clone());
    let plan = article.plan(Goal::Destroy, &live).unwrap();
    let report = run(&plan, &world);
    assert!(report.all_done(), "{}", told(&plan, &report));
    assert!(report.took < Duration::from_secs(60 * 60), "{:?}", report.took);
}

/// Another thing of its name, come between two steps, is not what the plan was made for.
#[test]
fn a_later_step_meets_another_thing() {
    let article = Scenario::article();
    let mut live = article.realised();
    let instance = at("db_instance.my-postgres-instance");
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| {
        live.deletion_protection = true;
    });
    let plan = article.plan(Goal::Destroy, &live).unwrap();
    let world = Simulation::new(live.clone());
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| {
        (live.deletion_protection, live.resource_id) = (false, "db-ANOTHER".to_owned());
    });
    let (_stop, stopped) = watch::channel(false);
    let report = world.run(execute(&plan, &world, Limits::default(), stopped, |event, _| {
        if matches!(event, Event::Finished { action } if plan.actions[action].key == "unprotect") {
            world.put(&instance, live[&instance].clone());
        }
    }));
    let deletion = format!("{instance} (delete)");
    assert!(matches!(outcome(&plan, &report, &deletion), Outcome::Stale(_)), "{}", told(&plan, &report));
}

#[test]
fn what_somebody_else_has_done_is_done() {
    let article = Scenario::article();
    let world = Simulation::new(article.nothing());
    let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
    let theirs = article.realised();
    for address in ["security_group.database", "secret.test_user1", "db_subnet_group.my-db-subnet-group"] {
        world.put(&at(address), theirs[&at(address)].clone());
    }
    let report = run(&plan, &world);
    assert!(report.all_done(), "{}", told(&plan, &report));
    for address in ["security_group.database", "secret.test_user1", "db_subnet_group.my-db-subnet-group"] {
        assert!(matches!(outcome(&plan, &report, address), Outcome::AlreadyDone), "{address}");
        assert!(!world.applied.borrow().contains(&at(address)), "{address} was changed all the same");
    }
}

#[test]
fn what_has_moved_is_stale_and_is_not_touched() {
    let article = Scenario::article();
    let changed = article.with(r#"every = "10 days""#, r#"every = "20 days""#);
    let plan = changed.plan(Goal::Converge, &article.realised()).unwrap();
    let mut moved = article.realised();
    change!(moved, Rotation, "rotation.test_user1", |live| live.rules.every_days = Some(5));
    let world = Simulation::new(moved.clone());
    let report = run(&plan, &world);
    golden("report-stale", &told(&plan, &report));
    assert!(world.applied.borrow().is_empty());
}

/// A login out of sight until its secret is restored: what it then turns out to be is made good, not stale.
#[test]
fn what_could_not_be_seen_is_made_sure_of() {
    let article = Scenario::article();
    let mut hidden = article.realised();
    let why = "its secret is pending deletion".to_owned();
    hidden.insert(at("login.test_user1"), Seen::Unobservable(why));
    let plan = article.plan(Goal::Converge, &hidden).unwrap();
    let mut disabled = article.realised();
    change!(disabled, Login, "login.test_user1", |live| live.role.can_login = false);
    let world = Simulation::new(disabled);
    let report = run(&plan, &world);
    assert!(report.all_done(), "{}", told(&plan, &report));
    assert_eq!(*world.applied.borrow(), [at("login.test_user1")]);

    // One that turns out to be somebody else's is left alone.
    let mut theirs = article.realised();
    change!(theirs, Login, "login.test_user1", |live| live.role.comment = None);
    let world = Simulation::new(theirs);
    let report = run(&plan, &world);
    assert!(matches!(outcome(&plan, &report, "login.test_user1"), Outcome::Failed(ActionError::Refused(_))));
    assert!(world.applied.borrow().is_empty());
}

/// A user leaves while the functions get another name: its role is out of sight until the new ones are there, and is
/// shut out all the same.
#[test]
fn what_could_not_be_seen_is_shut_out() {
    let both = Scenario::article().and(SECOND_USER);
    let world = Simulation::of(&both.wants());
    let after = Scenario::article().with("name = \"pgpasslambda\"", "name = \"rotator\"");
    let mut wants = after.wants();
    let found = world.account.borrow().found();
    let leavers =
        pgrotate::desired::leavers(&after.config(), &crate::scenario::place(), &mut wants, found, true).unwrap();
    let live = world.observed(&with_leavers(&wants, &leavers));
    let plan = pgrotate::plan::plan::<Kinds>(Goal::Converge, &wants, &leavers, &live).unwrap();
    assert!(matches!(live[&at("login.reporting")], Seen::Unobservable(_)));
    let report = run(&plan, &world);
    assert!(report.all_done(), "{}", told(&plan, &report));
    assert!(world.applied.borrow().contains(&at("login.reporting")));
}

/// Somebody makes the same secret for something else, between plan and apply.
#[test]
fn what_somebody_else_has_taken_is_refused() {
    let article = Scenario::article();
    let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
    let mut theirs = article.realised();
    change!(theirs, Secret, "secret.test_user1", |live| live.tags.clear());
    let world = Simulation::new(article.nothing());
    world.put(&at("secret.test_user1"), theirs[&at("secret.test_user1")].clone());
    let report = run(&plan, &world);
    assert!(matches!(
        outcome(&plan, &report, "secret.test_user1"),
        Outcome::Failed(ActionError::Refused(_)) | Outcome::Stale(_)
    ));
    assert!(!world.applied.borrow().contains(&at("secret.test_user1")));
    assert!(matches!(outcome(&plan, &report, "login.test_user1"), Outcome::Skipped { .. }));
}

#[test]
fn what_is_not_yet_possible_is_asked_again() {
    let article = Scenario::article();
    let mut live = article.realised();
    live.insert(at("rotation.test_user1"), Seen::Absent);
    let plan = article.plan(Goal::Converge, &live).unwrap();
    let world = Simulation::with(live, Latencies { rotation: 0.0, ..latency::AWS });
    world.not_yet.borrow_mut().insert(at("rotation.test_user1"), 3);
    let (_stop, stopped) = watch::channel(false);
    let mut said = Vec::new();
    let report = world.run(execute(&plan, &world, Limits::default(), stopped, |event, _| {
        if let Event::Waiting { saying, .. } = event {
            said.push(saying);
        }
    }));
    assert!(report.all_done());
    assert_eq!(said, ["somebody else is at it"; 3]);
    assert_eq!(*world.not_yet.borrow(), BTreeMap::from([(at("rotation.test_user1"), 0)]));
}

/// What waits, for AWS to take it or to arrive, holds up no other change, even where only one may be made at a time.
#[test]
fn waiting_takes_no_permit() {
    let article = Scenario::article();
    let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
    let mut world = Simulation::new(article.nothing());
    world.patience = Some(Duration::from_secs(2 * 60 * 60));
    let slow = at("secret.test_user1");
    // Far more looks than all the others need together.
    world.not_yet.borrow_mut().insert(slow.clone(), 300);
    let (_stop, stopped) = watch::channel(false);
    let report = world.run(execute(&plan, &world, Limits { mutating: 1, ..Limits::default() }, stopped, |_, _| {}));
    assert!(report.all_done(), "{}", told(&plan, &report));
    let applied = world.applied.borrow();
    let place = applied.iter().position(|address| *address == slow).unwrap();
    let later: Vec<_> = applied[place + 1..].iter().map(ToString::to_string).collect();
    assert_eq!(later, ["login.test_user1", "rotation.test_user1"], "only what needs it comes after it");
}

#[test]
fn patience_ends() {
    let article = Scenario::article();
    let mut live = article.realised();
    live.insert(at("rotation.test_user1"), Seen::Absent);
    let plan = article.plan(Goal::Converge, &live).unwrap();
    let mut world = Simulation::new(live);
    world.patience = Some(Duration::ZERO);
    world.not_yet.borrow_mut().insert(at("rotation.test_user1"), usize::MAX);
    let report = run(&plan, &world);
    match &report.outcomes[..] {
        [Outcome::Failed(ActionError::TimedOut { saying, .. })] => assert_eq!(saying, "somebody else is at it"),
        other => panic!("{other:?}"),
    }
}

/// No more changes at once than the limit allows; waiting does not count.
#[test]
fn changes_are_bounded() {
    let article = Scenario::article();
    let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
    for limit in [1, 3] {
        let world = Simulation::new(article.nothing());
        let (_stop, stopped) = watch::channel(false);
        let report =
            world.run(execute(&plan, &world, Limits { mutating: limit, ..Limits::default() }, stopped, |_, _| {}));
        assert!(report.all_done(), "{}", told(&plan, &report));
        assert_eq!(world.busiest(Pressed::Api), limit);
    }
}

/// What our functions do has a limit of its own.
#[test]
fn invocations_are_bounded() {
    let user = |n| format!("\n[[user]]\nlogin = \"user{n}\"\nsecret = \"user{n}_secret\"\n");
    let many = Scenario::article().and(&(1..=5).map(user).collect::<String>());
    let plan = many.plan(Goal::Converge, &many.nothing()).unwrap();
    for invoking in [1, 3] {
        let world = Simulation::new(many.nothing());
        let (_stop, stopped) = watch::channel(false);
        let report = world.run(execute(
            &plan,
            &world,
            Limits { mutating: 2, invoking, ..Limits::default() },
            stopped,
            |_, _| {},
        ));
        assert!(report.all_done(), "{}", told(&plan, &report));
        assert_eq!((world.busiest(Pressed::Api), world.busiest(Pressed::Functions)), (2, invoking));
    }
}

/// The report names every planned action once, in the order in which they could have run.
#[test]
fn the_report_names_all() {
    let article = Scenario::article();
    let plan = article.plan(Goal::Destroy, &article.realised()).unwrap();
    let world = Simulation::new(article.realised());
    let report = run(&plan, &world);
    let document = ReportDocument::of(&plan, &report, "article", &place());
    let named: Vec<_> = document.outcomes.iter().map(|o| (o.address.clone(), o.change)).collect();
    let planned: Vec<_> =
        plan.order.sorted().iter().map(|&n| (plan.actions[n].address.clone(), plan.actions[n].key)).collect();
    assert_eq!(named, planned);
    golden("report-destroyed", &told(&plan, &report));
}

/// Every way to fail, as people and as programs read it.
/// A stack that rolls back is not waited for, and an endpoint that AWS never takes not for ever.
#[test]
fn what_never_arrives_is_told() {
    let article = Scenario::article();
    let world = Simulation::new(article.nothing());
    let mut made = article.realised();
    change!(made, Stack, "stack.pgpasslambda-stack", |live| {
        live.status = "ROLLBACK_COMPLETE".to_owned();
        live.reason = Some("no such subnet".to_owned());
    });
    let stack = at("stack.pgpasslambda-stack");
    world.meddling.borrow_mut().push((Duration::from_secs(60), stack.clone(), made[&stack].clone()));
    world.not_yet.borrow_mut().insert(at("vpc_endpoint.secretsmanager"), usize::MAX);
    let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
    let report = run(&plan, &world);
    golden("report-never-arrived", &told(&plan, &report));
}

#[test]
fn failures_are_told_with_code_and_hint() {
    let article = Scenario::article();
    let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
    let saying = || "the stack is CREATE_IN_PROGRESS".to_owned();
    let failures = [
        ActionError::Never("the stack is ROLLBACK_COMPLETE: no such subnet".to_owned()),
        ActionError::TimedOut { after: Duration::from_secs(600), saying: saying() },
        ActionError::Refused(Refusal::new(Code::NotOurs, "somebody else has made it", "choose another name")),
        ActionError::NotProduced(NotProduced(at("secret.test_user1"))),
    ];
    let mut outcomes: Vec<_> = failures.into_iter().map(Outcome::Failed).collect();
    outcomes.resize_with(plan.actions.len(), || Outcome::AlreadyDone);
    let report = Report { outcomes, took: Duration::ZERO, known: Known::default() };
    golden("report-failures", &told(&plan, &report));
    let mut document = ReportDocument::of(&plan, &report, "article", &place());
    document.outcomes.retain(|outcome| outcome.code.is_some());
    golden("report-failures-json", &(serde_json::to_string_pretty(&document).unwrap() + "\n"));
}

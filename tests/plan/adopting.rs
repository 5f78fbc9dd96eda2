//! What others have made is taken over where the config says so, or by its address; and what never is.

use crate::lives::Life;
use crate::refusing::give_away;
use crate::scenario::{Scenario, State, at, change, check_edges, document, golden, refused, set};
use crate::simulation::Simulation;
use pgrotate::code::{Code, Coded};
use pgrotate::execute::Outcome;
use pgrotate::model::{Mark, Seen, Tags};
use pgrotate::plan::adopting::adopt;
use pgrotate::plan::{Goal, PlanError};
use pgrotate::render::human;
use pgrotate::resource::{Family, Verb};
use pgrotate::resources::adopting::declare;
use pgrotate::resources::{Kinds, Want};

/// The article's, each of its tables with `adopt = true`.
fn adopting() -> Scenario {
    ["\n[database]", "\n[admin]", "\n[network]", "secret = \"test_user1_secret\""]
        .iter()
        .fold(Scenario::article(), |article, table| article.with(table, &format!("{table}\nadopt = true")))
}

/// All of it, made by hand under our names.
fn by_hand() -> State {
    let mut live = Scenario::article().realised();
    give_away(&mut live, None);
    live
}

/// The wants of these addresses, as `pgrotate adopt` declares them.
fn chosen(addresses: &[&str]) -> Vec<Want> {
    let mut wants = Scenario::article().wants();
    wants.retain(|want| addresses.contains(&Kinds::address(want).to_string().as_str()));
    wants.iter_mut().for_each(|want| declare(want).unwrap());
    wants
}

fn refuses(name: &str, wants: &[Want], live: &State) {
    match adopt::<Kinds>(wants, live) {
        Err(PlanError::Refused(refusals)) => refused(name, &refusals),
        other => panic!("{other:?}"),
    }
}

/// `adopt = true` is no leave to take what another deployment has, nor what cannot be taken over at all.
#[test]
fn what_belongs_to_another_deployment() {
    let mut live = by_hand();
    give_away(&mut live, Some("billing"));
    adopting().refuses("adopt-refused-of-another-deployment", Goal::Converge, &live);
    adopting().refuses("adopt-refused-by-its-kind", Goal::Converge, &by_hand());
}

/// Once it is ours, to say so again changes nothing.
#[test]
fn what_is_ours_already() {
    let plan = adopting().plan(Goal::Converge, &Scenario::article().realised()).unwrap();
    assert!(plan.actions.is_empty(), "{:?}", plan.actions);
}

/// An instance that was restored from a snapshot of ours carries the tags of the one that it is to replace.
#[test]
fn an_instance_that_takes_the_place_of_another() {
    let mut live = Scenario::article().realised();
    let mark = Mark::new("article".to_owned(), at("db_instance.the-original"));
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| live.tags = mark.tags());
    adopting().converges("adopt-restored-instance", &live);
}

/// What RDS cannot change in place is told before anything is taken over.
#[test]
fn what_could_not_be_kept_as_declared() {
    let instance = "db_instance.my-postgres-instance";
    let mut live = by_hand();
    change!(live, DbInstance, instance, |live| live.encrypted = false);
    refuses("adopt-refused-unencrypted", &chosen(&[instance]), &live);
    let mut live = by_hand();
    change!(live, Secret, "secret.test_user1", |live| live.key = Some("alias/payroll".to_owned()));
    refuses("adopt-refused-foreign-key", &chosen(&["secret.test_user1"]), &live);
}

/// Of what is pending deletion that has to be undone first; what is ours is left alone.
#[test]
fn by_address_only_the_tags() {
    let addresses = ["db_instance.my-postgres-instance", "secret.rotator_admin", "secret.test_user1"];
    let mut live = by_hand();
    change!(live, DbInstance, addresses[0], |live| {
        live.master_secret = None;
        live.class = "db.t3.large".to_owned();
    });
    change!(live, Secret, addresses[1], |live| live.deleted = true);
    let ours = Mark::new("article".to_owned(), at(addresses[2]));
    change!(live, Secret, addresses[2], |live| live.tags = ours.tags());
    let plan = adopt::<Kinds>(&chosen(&addresses), &live).unwrap();
    let document = document(&plan);
    check_edges(&document);
    golden("adopt-by-address", &human::plan(&document));
    // It is done when they are there, though the rest is not as declared.
    let world = Simulation::new(live);
    let report = world.carry_out(&plan);
    assert!(report.all_done(), "{}", crate::executing::told(&plan, &report));
    let mut live = world.account.borrow().state().clone();
    change!(live, DbInstance, addresses[0], |live| {
        assert_eq!((live.class.as_str(), live.tags.len()), ("db.t3.large", 3));
    });
}

#[test]
fn by_address_what_is_not_there() {
    let mut live = by_hand();
    live.insert(at("secret.test_user1"), Seen::Absent);
    refuses("adopt-refused-absent", &chosen(&["secret.test_user1"]), &live);
}

/// Each kind that cannot be taken over by its address says what to do instead.
#[test]
fn kinds_that_are_never_taken_over() {
    let scenario = crate::scenarios::all().into_iter().find(|life| life.name == "new-in-existing-network").unwrap();
    let wants = [Scenario::article().wants(), Scenario::of(&scenario.after).wants()].concat();
    let mut told: Vec<_> = wants
        .into_iter()
        .filter_map(|mut want| Some(format!("{}: {}\n", Kinds::address(&want).kind, declare(&mut want).err()?)))
        .collect();
    told.sort();
    told.dedup();
    golden("adopt-never", &told.concat());
}

/// Whoever looks for the owner of what stands in the way finds more by its own tags than by its name.
#[test]
fn tags_of_others_are_told() {
    let mut live = by_hand();
    change!(live, DbSubnetGroup, "db_subnet_group.my-db-subnet-group", |live| {
        live.tags = (1..6).map(|number| (format!("key{number}"), "value".to_owned())).collect::<Tags>();
    });
    let refusal = Scenario::article().plan(Goal::Converge, &live).unwrap_err().to_string();
    assert!(refusal.contains("its 5 tags begin with key1=value, key2=value, key3=value, key4=value\n"), "{refusal}");
}

/// The function that has rotated it until now is not ours, and what it has begun may never end.
#[test]
fn a_secret_that_another_function_rotates() {
    let user =
        Scenario::article().with("secret = \"test_user1_secret\"", "secret = \"test_user1_secret\"\nadopt = true");
    let mut live = Scenario::article().realised();
    change!(live, Secret, "secret.test_user1", |live| live.tags.clear());
    change!(live, Rotation, "rotation.test_user1", |live| {
        live.function = Some("arn:aws:lambda:eu-north-1:111122223333:function:SecretsManagerRotation".to_owned());
        live.pending = true;
    });
    set(&mut live, "login.test_user1", Seen::Unobservable("its secret is not this deployment's".to_owned()));
    user.converges("adopt-rotated-by-another", &live);
}

/// What others have deleted may be taken out of its recovery window, or be waited for.
#[test]
fn a_secret_of_others_that_is_pending_deletion() {
    let mut live = Scenario::article().realised();
    change!(live, Secret, "secret.test_user1", |live| {
        live.tags.clear();
        live.deleted = true;
    });
    Scenario::article().refuses("refuse-pending-deletion-of-others", Goal::Converge, &live);
}

/// Each waits for what it is a step towards, and for no more: in virtual time nothing hangs, and once it is done nothing
/// is left to do.
#[test]
fn each_is_carried_out_and_leaves_nothing() {
    let mut steps = 0;
    for scenario in crate::scenarios::all().into_iter().filter(|life| life.name.starts_with("adopt-")) {
        let life = Life::of(&scenario);
        let world = Simulation::new(life.live.clone());
        let plan = life.plan();
        steps += plan.actions.iter().filter(|action| action.verb == Verb::Adopt).count();
        let report = world.carry_out(&plan);
        assert!(report.all_done(), "{}: {}", scenario.name, crate::executing::told(&plan, &report));
        let again = world.observed(&life.wants);
        let again = Scenario::of(&scenario.after).plan(Goal::Converge, &again).unwrap();
        assert!(again.actions.is_empty(), "{}: {:?}", scenario.name, again.actions);
    }
    assert!(steps > 8, "{steps}");
}

/// Another deployment that is quicker with its tags keeps what it has taken.
#[test]
fn somebody_else_is_quicker() {
    let scenario = crate::scenarios::all().into_iter().find(|life| life.name == "adopt-instance").expect("a scenario");
    let life = Life::of(&scenario);
    let plan = life.plan();
    let mut live = life.live.clone();
    let theirs = Mark::new("billing".to_owned(), at("db_instance.my-postgres-instance"));
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| live.tags = theirs.tags());
    let world = Simulation::new(live);
    let report = world.carry_out(&plan);
    let place = plan.actions.iter().position(|action| action.address.kind.0 == "db_instance").expect("it is planned");
    match &report.outcomes[place] {
        Outcome::Failed(error) => assert_eq!(error.code(), Code::NotOurs, "{error}"),
        other => panic!("{other:?}"),
    }
    assert!(!world.applied.borrow().contains(&plan.actions[place].address));
}

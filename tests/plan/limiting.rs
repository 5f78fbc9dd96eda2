//! What a plan takes away is counted as people count it, and too much of it has to be said.

use crate::lives::Life;
use crate::scenario::{SECOND_USER, Scenario, document, golden};
use crate::simulation::Simulation;
use function_contract::Fact;
use pgrotate::execute::Outcome;
use pgrotate::model::Seen;
use pgrotate::plan::Goal;
use pgrotate::plan::limits::{Removals, irreversible, to_be_named};
use pgrotate::render::human;
use pgrotate::resource::Resource;
use pgrotate::resources::AnyLive;
use pgrotate::resources::login::Login;

/// No change that the scenarios know, each of one thing, has to be told twice.
#[test]
fn a_change_of_one_thing_needs_no_leave() {
    let mut most = 0;
    for scenario in crate::scenarios::all() {
        let life = Life::of(&scenario);
        let removals = Removals::of(&life.plan(), None);
        assert!(!removals.is_too_much(), "{}: {removals:?}", scenario.name);
        assert!(to_be_named(&life.plan()).is_empty(), "{}", scenario.name);
        most = most.max(removals.things.len());
    }
    assert!(most > 0, "some remove something");
}

/// Half of the users lost by a bad merge.
#[test]
fn many_at_once_have_to_be_said() {
    let user = |number: usize| format!("\n[[user]]\nlogin = \"user{number}\"\nsecret = \"user{number}_secret\"\n");
    let with = |users: usize| Scenario::article().and(&(0..users).map(user).collect::<String>());
    let removals = |before: usize, after: usize| Removals::of(&Life::between(&with(before), &with(after)).plan(), None);
    for (before, after, too_much) in [(4, 1, false), (4, 0, true), (60, 54, false), (60, 30, true)] {
        let found = removals(before, after);
        assert_eq!(found.things.len(), before - after, "{found:?}");
        assert!(found.things.iter().all(|thing| thing.len() == 3), "{found:?}");
        assert_eq!(found.is_too_much(), too_much, "{before} to {after}: {} are allowed", found.allowed);
    }
    let plan = Life::between(&with(4), &with(0)).plan();
    let document = document(&plan).limited(&Removals::of(&plan, None), &to_be_named(&plan));
    golden("many-users-removed", &human::plan(&document));
}

/// Its secret is deleted, while somebody is logged in with it.
#[test]
fn a_login_in_use_has_to_be_named() {
    let mut life = Life::between(&Scenario::article().and(SECOND_USER), &Scenario::article());
    let leaver = Login::at("reporting").address().clone();
    let Some(Seen::Present(AnyLive::Login(login))) = life.live.get_mut(&leaver) else { panic!("it is there") };
    login.sessions = Fact::Known([("reporting".to_owned(), 1), ("reporting_clone".to_owned(), 12)].into());
    let plan = life.plan();
    let named = to_be_named(&plan);
    assert_eq!(named.keys().collect::<Vec<_>>(), [&leaver]);
    let document = document(&plan).limited(&Removals::of(&plan, None), &named);
    golden("user-in-use-removed", &human::plan(&document));
}

/// An application has come between the plan and its turn: what the plan did not say is not done.
#[test]
fn a_login_that_comes_into_use_is_stale() {
    let mut life = Life::between(&Scenario::article().and(SECOND_USER), &Scenario::article());
    let plan = life.plan();
    let leaver = Login::at("reporting").address().clone();
    let Some(Seen::Present(AnyLive::Login(login))) = life.live.get_mut(&leaver) else { panic!("it is there") };
    login.sessions = Fact::Known([("reporting".to_owned(), 1)].into());
    let report = Simulation::new(life.live.clone()).carry_out(&plan);
    let outcome = plan.actions.iter().zip(&report.outcomes).find(|(action, _)| action.address == leaver);
    let Some((_, Outcome::Stale(why))) = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("it is in use now: open sessions: 1 as reporting"), "{why}");
}

/// Where nobody could look, somebody may be logged in.
#[test]
fn a_login_whose_use_is_not_known_has_to_be_named() {
    let mut life = Life::between(&Scenario::article().and(SECOND_USER), &Scenario::article());
    let leaver = Login::at("reporting").address().clone();
    let Some(Seen::Present(AnyLive::Login(login))) = life.live.get_mut(&leaver) else { panic!("it is there") };
    login.sessions = Fact::Unknown("permission denied".to_owned());
    let named = to_be_named(&life.plan());
    assert!(named[&leaver].contains("nobody could see which sessions are open: permission denied"), "{named:?}");
}

#[test]
fn a_destroy_is_asked_about_by_name() {
    let article = Scenario::article().and(SECOND_USER);
    let plan = article.plan(Goal::Destroy, &article.realised()).unwrap();
    assert!(Removals::of(&plan, Some(0)).things.is_empty());
    let lost: Vec<_> = irreversible(&plan).iter().map(ToString::to_string).collect();
    assert_eq!(lost, ["db_instance.my-postgres-instance"]);
}

/// People keep keys in a role's own settings; they are compared, and never shown.
#[test]
fn a_setting_of_a_role_stays_unread() {
    let mut live = Scenario::article().realised();
    let Some(Seen::Present(AnyLive::Login(login))) = live.get_mut(Login::at("test_user1").address()) else {
        panic!("it is there")
    };
    let before = Login::facts(login);
    login.role.settings.insert("app.key".to_owned(), "a-key-of-somebody".to_owned());
    let facts = Login::facts(login);
    assert!(!before.same(&facts));
    assert!(!format!("{facts:?}").contains("a-key-of-somebody"));
}

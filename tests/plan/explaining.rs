//! Why a resource is planned for as it is: `golden/explain-*.txt`.

use crate::lives::Life;
use crate::scenario::{Scenario, State, at, change, golden, place, set};
use crate::schemas::{fits, schema};
use pgrotate::config::{self, Source};
use pgrotate::explain::Explained;
use pgrotate::model::Seen;
use pgrotate::plan::{Goal, Plan};
use pgrotate::render::{ExplanationDocument, human};
use pgrotate::resources::{Kinds, Want};
use pgrotate::schema::Subject;
use std::collections::BTreeSet;

fn explained(scenario: &Scenario, plan: &Plan<Kinds>, wants: &[Want], address: &str) -> ExplanationDocument {
    let (config, place) = (scenario.config(), place());
    let source = Source::new("article.toml", &*scenario.text);
    let explained = Explained { config: &config, source: &source, place: &place, wants, plan };
    let all = explained.addresses();
    let address = all.iter().find(|known| known.to_string() == address);
    explained.of(address.unwrap_or_else(|| panic!("it is one of {all:?}")))
}

fn explains(name: &str, scenario: &Scenario, live: &State, address: &str) -> ExplanationDocument {
    let plan = scenario.plan(Goal::Converge, live).unwrap_or_else(|error| panic!("{error}"));
    let document = explained(scenario, &plan, &scenario.wants(), address);
    golden(name, &human::explanation(&document));
    document
}

/// The instance is in the middle of everything.
#[test]
fn a_new_instance() {
    let article = Scenario::article();
    explains("explain-new-instance", &article, &article.nothing(), "db_instance.my-postgres-instance");
}

#[test]
fn a_new_login() {
    let article = Scenario::article();
    explains("explain-new-login", &article, &article.nothing(), "login.test_user1");
}

#[test]
fn a_rule_that_is_gone() {
    let article = Scenario::article();
    let mut live = article.realised();
    set(&mut live, "security_group_rule.database-from-203.0.113.7/32", Seen::Absent);
    explains("explain-rule-gone", &article, &live, "security_group_rule.database-from-203.0.113.7/32");
}

/// Lines of the file that says it last, and of no other.
#[test]
fn what_stands_in_several_files() {
    let article = Scenario::article();
    let overlay =
        "extends = \"base.toml\"\n[database]\nbackup_days = 35\n[[user]]\nlogin = \"test_user1\"\nevery = \"5 days\"\n";
    let source = Source::new("prod.toml", overlay).extending("base.toml", &article.text);
    let config = config::read(&source).unwrap_or_else(|errors| panic!("{errors}"));
    let (plan, wants, place) = (article.plan(Goal::Converge, &article.nothing()).unwrap(), article.wants(), place());
    let explained = Explained { config: &config, source: &source, place: &place, wants: &wants, plan: &plan };
    let mut told = String::new();
    for address in ["db_instance.my-postgres-instance", "rotation.test_user1"] {
        let address = at(address);
        let lines = human::explanation(&explained.of(&address));
        told.extend(lines.lines().filter(|line| line.contains(".toml:")).map(|line| format!("{}\n", line.trim())));
    }
    golden("explain-several-files", &told);
}

/// The group's lines, for each of its logins.
#[test]
fn one_of_many_users() {
    let group =
        "\n[[users]]\nlogins = [\"tenant1\", \"tenant2\"]\nsecret = \"tenants/{login}\"\nconnection_limit = 3\n";
    let article = Scenario::article().and(group);
    explains("explain-one-of-many", &article, &article.nothing(), "login.tenant2");
}

/// By hand, in AWS's console.
#[test]
fn an_instance_of_another_class() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| live.class = "db.t3.large".to_owned());
    explains("explain-instance-changed", &article, &live, "db_instance.my-postgres-instance");
}

/// A schedule that the user has for itself, in the place of [rotation]'s.
#[test]
fn a_schedule_of_its_own() {
    let scenario = Scenario::article().and("\nevery = \"5 days\"\n");
    let live = Scenario::article().realised();
    let document = explains("explain-schedule-of-its-own", &scenario, &live, "rotation.test_user1");
    let lines: Vec<_> = document.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(lines.last(), Some(&"every = \"5 days\""));
    assert!(!lines.iter().any(|line| line.contains("10 days")), "{lines:?}");
}

#[test]
fn what_is_as_declared() {
    let article = Scenario::article();
    explains("explain-unchanged", &article, &article.realised(), "stack.pgpasslambda-stack");
}

/// Nothing is planned, and something is wrong.
#[test]
fn what_no_apply_mends() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, Rotation, "rotation.test_user1", |live| {
        (live.pending, live.stuck, live.touched) = (true, true, Some(1_772_200_000));
    });
    explains("explain-stuck", &article, &live, "rotation.test_user1");
}

#[test]
fn what_cannot_be_seen() {
    let article = Scenario::article();
    let mut live = article.realised();
    set(&mut live, "login.rotator_admin", Seen::Unobservable("the function did not answer".to_owned()));
    explains("explain-unobservable", &article, &live, "login.rotator_admin");
}

#[test]
fn what_is_no_longer_declared() {
    let life = crate::scenarios::all().into_iter().find(|life| life.name == "user-removed").unwrap();
    let (scenario, life) = (Scenario::of(&life.after), Life::of(&life));
    let document = explained(&scenario, &life.plan(), &life.wants, "secret.reporting");
    assert!(!document.declared);
    golden("explain-no-longer-declared", &human::explanation(&document));
}

#[test]
fn as_json() {
    let article = Scenario::article();
    let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
    let document = explained(&article, &plan, &article.wants(), "vpc_endpoint.secretsmanager");
    golden("explain-json", &(serde_json::to_string_pretty(&document).unwrap() + "\n"));
}

/// Of every address of every scenario: what is declared has its lines, but what follows from others; every edge has its
/// reason, and stands at both its ends.
#[test]
fn every_address_of_every_scenario() {
    let schema = schema(Subject::Explanation);
    // Its own name is AWS's, and its bucket's is made of others.
    let follow = BTreeSet::from(["artifact.function".to_owned()]);
    for life in crate::scenarios::all() {
        let (scenario, name, life) = (Scenario::of(&life.after), life.name, Life::of(&life));
        let plan = life.plan();
        let of = |address: &str| explained(&scenario, &plan, &life.wants, address);
        for address in plan.sights.keys().map(ToString::to_string) {
            let document = of(&address);
            fits(&schema, &document, &format!("{name}: {address}"));
            if document.declared && !follow.contains(&address) {
                assert!(!document.lines.is_empty(), "{name}: {address} comes from nowhere");
            }
            let planned = plan.actions.iter().filter(|action| action.address == at(&address)).count();
            assert_eq!(document.steps.len(), planned, "{name}: {address}");
            for step in &document.steps {
                for reason in &step.waits_for {
                    let other = of(reason.of.split(" (").next().unwrap());
                    let back = other.steps.iter().flat_map(|step| &step.waited_for_by);
                    let back: Vec<_> =
                        back.filter(|back| back.of.split(" (").next() == Some(address.as_str())).collect();
                    assert!(
                        back.iter().any(|back| back.why == reason.why),
                        "{name}: {address} waits for {}",
                        reason.of
                    );
                }
            }
        }
        for want in &life.wants {
            let then = <Kinds as pgrotate::resource::Family>::address(want);
            let needs = <Kinds as pgrotate::resource::Family>::needs(want);
            let told = of(&then.to_string()).refers_to.len();
            assert_eq!(told, needs.len(), "{name}: {then} refers to {needs:?}, and not all are told why");
        }
    }
}

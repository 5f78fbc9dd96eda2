//! What is printed and written, against the schemas that are published of it; and those against their files.

use crate::lives::Life;
use crate::scenario::{Scenario, document, place, set};
use expect_test::expect_file;
use pgrotate::code::Code;
use pgrotate::config::Source;
use pgrotate::execute::{ActionError, Outcome, Report};
use pgrotate::model::Seen;
use pgrotate::plan::limits::{self, Removals};
use pgrotate::plan::{Goal, Plan};
use pgrotate::render::journal::{JournalEvent, JournalLine, Told};
use pgrotate::render::{DriftDocument, PlanDocument, ReportDocument};
use pgrotate::resource::{Known, Refusal};
use pgrotate::resources::Kinds;
use pgrotate::schema::Subject;
use schema_check::Schema;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

pub fn schema(of: Subject) -> Schema {
    Schema::new(&of.schema()).unwrap_or_else(|error| panic!("{}: {error}", of.text()))
}

fn value(of: &impl Serialize) -> Value {
    // As a reader gets it: by its text.
    serde_json::from_str(&serde_json::to_string(of).unwrap()).unwrap()
}

pub fn fits(schema: &Schema, of: &impl Serialize, what: &str) {
    schema.check(&value(of)).unwrap_or_else(|error| panic!("{what}: {error}\n{:#}", value(of)));
}

/// UPDATE_EXPECT=1 writes them anew.
#[test]
fn the_files_are_what_is_printed() {
    for of in Subject::ALL {
        expect_file![format!("../../schema/{}.json", of.text())].assert_eq(&format!("{:#}\n", of.schema()));
    }
    let files: BTreeSet<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/schema"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, Subject::ALL.map(|of| format!("{}.json", of.text())).into(), "in schema/");
}

/// Whoever reads a schema is told what each member is.
#[test]
fn every_member_is_described() {
    let mut silent = Vec::new();
    for of in Subject::ALL {
        undescribed(&of.schema(), of.text(), &mut silent);
    }
    assert!(silent.is_empty(), "\n{}", silent.join("\n"));
}

fn undescribed(schema: &Value, path: &str, silent: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            for (name, member) in members.get("properties").and_then(Value::as_object).into_iter().flatten() {
                // A reference is described where it leads; `false` forbids, and a constant is its own description.
                let told = ["description", "$ref", "const"].iter().any(|key| member.get(key).is_some());
                // One word for one value: what is said of the word is said of it.
                let told = told || (path.ends_with("/oneOf") && members.contains_key("description"));
                if !told && !member.is_boolean() && member.get("anyOf").is_none() {
                    silent.push(format!("{path}: {name}"));
                }
            }
            for (name, member) in members {
                undescribed(member, &format!("{path}/{name}"), silent);
            }
        }
        Value::Array(all) => all.iter().for_each(|each| undescribed(each, path, silent)),
        _ => {}
    }
}

fn source_of(scenario: &Scenario) -> Source {
    Source::new("deployment.toml", &*scenario.text)
}

fn limited(plan: &Plan<Kinds>) -> PlanDocument {
    document(plan).limited(&Removals::of(plan, Some(0)), &limits::to_be_named(plan))
}

/// Of every scenario there is, and its drift: with what exceeds a limit, and with lints.
#[test]
fn plans_and_their_drift() {
    let (plans, drifts) = (schema(Subject::Plan), schema(Subject::Drift));
    let mut seen = BTreeSet::new();
    let mut check = |plan: PlanDocument, what: &str| {
        fits(&plans, &plan, what);
        fits(&drifts, &DriftDocument::of(&plan, "pgrotate apply deployment.toml"), what);
        members(&value(&plan), "", &mut seen);
    };
    for life in crate::scenarios::all() {
        let scenario = Scenario::of(&life.after);
        let lints = pgrotate::lint::lint(&scenario.config(), &source_of(&scenario), None);
        check(limited(&Life::of(&life).plan()).linted(lints), life.name);
    }
    let article = Scenario::article();
    let windowed = article.with("every = \"10 days\"", "every = \"10 days\"\nwindow = \"2h\"");
    let lints = pgrotate::lint::lint(&windowed.config(), &source_of(&windowed), None);
    check(limited(&windowed.plan(Goal::Converge, &article.realised()).unwrap()).linted(lints), "lints");
    let renamed = article.with("identifier = \"my-postgres-instance\"", "identifier = \"my-new-instance\"");
    check(limited(&Life::between(&article, &renamed).plan()), "renamed");
    check(limited(&article.plan(Goal::Destroy, &article.realised()).unwrap()), "destroy");
    let (scenario, live) = crate::telling::tampered();
    check(document(&scenario.plan(Goal::Converge, &live).unwrap()), "tampered");
    // Else the schema would be checked for less than it says.
    for member in ["/deferred/what", "/notes/fix", "/lints/line", "/lints/of", "/exceeds/deletes", "/to_be_named/why"] {
        assert!(seen.contains(member), "no scenario has {member}");
    }
}

/// The paths of all members, arrays passed over.
fn members(value: &Value, path: &str, seen: &mut BTreeSet<String>) {
    match value {
        Value::Object(all) => {
            for (name, member) in all {
                let path = format!("{path}/{name}");
                members(member, &path, seen);
                seen.insert(path);
            }
        }
        Value::Array(all) => all.iter().for_each(|each| members(each, path, seen)),
        _ => {}
    }
}

/// Every golden file that is a document fits the schema of the one it says it is.
#[test]
fn golden_documents() {
    let mut checked = BTreeSet::new();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plan/golden")).unwrap() {
        let path = entry.unwrap().path();
        // Folders hold other formats.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Ok(Value::Object(golden)) = serde_json::from_str(&text) else { continue };
        let of = Subject::ALL.into_iter().find(|of| golden["document"] == of.text());
        let of = of.unwrap_or_else(|| panic!("{} is no document", path.display()));
        fits(&schema(of), &golden, &path.display().to_string());
        checked.insert(of.text());
    }
    assert_eq!(checked, ["drift", "explanation", "plan", "report", "status"].into());
}

/// A plan and one outcome of each sort.
fn carried_out() -> (Plan<Kinds>, Report) {
    let article = Scenario::article();
    let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
    let mut outcomes = vec![
        Outcome::Done(Duration::from_millis(1500)),
        Outcome::Failed(ActionError::Refused(Refusal::new(
            Code::NotOurs,
            "somebody else has made it",
            "choose another",
        ))),
        Outcome::Stale("it exists".to_owned()),
        Outcome::Skipped { after: plan.actions[0].address.clone() },
        Outcome::Cancelled,
    ];
    outcomes.resize_with(plan.actions.len(), || Outcome::AlreadyDone);
    let report = Report { outcomes, took: Duration::from_secs(2), known: Known::default() };
    (plan, report)
}

#[test]
fn reports() {
    let (plan, report) = carried_out();
    fits(&schema(Subject::Report), &ReportDocument::of(&plan, &report, "article", &place()), "a report");
}

/// Every event there is. What a run really writes is checked on the sandbox.
#[test]
fn lines_of_a_journal() {
    let (plan, report) = carried_out();
    let told = || Told::of(&plan.actions[0]);
    let mut events = vec![
        JournalEvent::Begin {
            command: "apply".to_owned(),
            deployment: "article".to_owned(),
            account: "111122223333".to_owned(),
            region: "eu-north-1".to_owned(),
            version: "0.1.0",
            actions: plan.actions.len(),
        },
        JournalEvent::started(&plan, plan.order.sorted()[plan.actions.len() - 1]),
        JournalEvent::Waiting { action: told(), saying: "it is creating".to_owned(), since_ms: 7 },
        JournalEvent::Stopping,
        JournalEvent::End { exit: 5, duration_ms: None, under_way: Some(vec!["secret.test_user1".to_owned()]) },
        JournalEvent::End { exit: 0, duration_ms: Some(7), under_way: None },
    ];
    events.extend(
        plan.actions.iter().zip(&report.outcomes).map(|(action, outcome)| JournalEvent::ended(action, outcome)),
    );
    // Open as it is published, but what is written now is all in it.
    let mut closed = Subject::Journal.schema();
    closed["unevaluatedProperties"] = json!(false);
    let journal = Schema::new(&closed).unwrap();
    let mut names = BTreeSet::new();
    for event in events {
        let run = "11111111-2222-4333-8444-555555555555";
        let line = JournalLine::new(run, "2026-03-01T00:12:07.000Z".to_owned(), event);
        names.insert(value(&line)["event"].as_str().unwrap().to_owned());
        fits(&journal, &line, "a line");
    }
    let known = "begin started waiting done already_done failed stale skipped cancelled stopping end";
    assert_eq!(names, known.split(' ').map(str::to_owned).collect());
}

/// Another format, another document, a member more or less, another type: each is refused.
#[test]
fn what_is_no_such_document() {
    let article = Scenario::article();
    let mut live = article.realised();
    set(&mut live, "rotation.test_user1", Seen::Absent);
    let good = value(&document(&article.plan(Goal::Converge, &live).unwrap()));
    let plans = schema(Subject::Plan);
    fits(&plans, &good, "unchanged");
    let newer = good["format"].as_u64().unwrap() + 1;
    type Change = fn(&mut Value, u64);
    let changes: [(&str, Change); 7] = [
        ("a newer format", |plan, newer| plan["format"] = json!(newer)),
        ("another document", |plan, _| plan["document"] = json!("drift")),
        ("a member more", |plan, _| plan["colour"] = json!("red")),
        ("a member more, within", |plan, _| plan["actions"][0]["colour"] = json!("red")),
        ("a member less", |plan, _| drop(plan.as_object_mut().unwrap().shift_remove("unchanged"))),
        ("a word of its own", |plan, _| plan["actions"][0]["verb"] = json!("paint")),
        ("a number as text", |plan, _| plan["format"] = json!(plan["format"].to_string())),
    ];
    for (what, change) in changes {
        let mut bad = good.clone();
        change(&mut bad, newer);
        assert!(plans.check(&bad).is_err(), "{what} passes");
    }
}

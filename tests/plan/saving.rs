//! A saved plan is applied as it was reviewed, or not at all.

use crate::lives::Life;
use crate::scenario::{ARTICLE, SECOND_USER, Scenario, State, golden, place};
use pgrotate::code::Coded;
use pgrotate::config::{self, Source};
use pgrotate::model::{Address, Seen};
use pgrotate::plan::{Goal, Plan};
use pgrotate::resources::{AnyLive, Kinds, db_instance};
use pgrotate::saved::{SavedConfig, SavedError, SavedPlan};
use std::collections::BTreeMap;

const ZIP: &str = "0123";

pub fn saved(plan: &Plan<Kinds>) -> SavedPlan {
    let config = SavedConfig::of([("article.toml", ARTICLE)].into_iter(), &BTreeMap::new());
    SavedPlan::of(plan, config, ZIP, &place(), "article")
}

/// A second user for the article's deployment.
fn second_user() -> (Scenario, State) {
    let scenario = Scenario::article().and(SECOND_USER);
    let before = Scenario::article().realised();
    let wants = scenario.nothing().into_keys();
    let live = wants.map(|address| (address.clone(), before.get(&address).cloned().unwrap_or(Seen::Absent))).collect();
    (scenario, live)
}

fn instance(state: &mut State, change: impl FnOnce(&mut db_instance::Observed)) {
    match state.values_mut().find(|seen| matches!(seen, Seen::Present(AnyLive::DbInstance(_)))) {
        Some(Seen::Present(AnyLive::DbInstance(live))) => change(live),
        other => panic!("{other:?}"),
    }
}

fn at(state: &State, address: &str) -> Address {
    state.keys().find(|known| known.to_string() == address).unwrap_or_else(|| panic!("no {address}")).clone()
}

/// What `live` is told to have moved since `saved` was, if anything.
fn moved(saved: &SavedPlan, scenario: &Scenario, live: &State) -> String {
    let now = scenario.plan(Goal::Converge, live).unwrap();
    match saved.check(&now, &place(), "article") {
        Ok(()) => "nothing has moved\n".to_owned(),
        Err(error @ SavedError::Moved(_)) => format!("{}: {error}\nhint: {}\n", error.code().heading(), error.hint()),
        Err(error) => panic!("{error}"),
    }
}

/// Applied where neither the files are nor the environment.
#[test]
fn a_saved_config_is_whole() {
    let source = Source::new("prod.toml", "extends = \"base.toml\"\ndeployment = \"${env.NAME}\"\n")
        .extending("base.toml", ARTICLE)
        .knowing("NAME", "article");
    let scenario = Scenario::article();
    let plan = scenario.plan(Goal::Converge, &scenario.nothing()).unwrap();
    let saved = SavedPlan::of(&plan, SavedConfig::of(source.files(), source.variables()), ZIP, &place(), "article");
    let read = SavedPlan::parse("plan.json", &saved.text()).unwrap().config;
    let read = Source::of(read.files(), read.variables());
    assert_eq!(read, source);
    let config = config::read(&read).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config, scenario.config());
}

/// Tags that lead to another network than when it was reviewed.
#[test]
fn what_was_found_by_tags_is_found_again() {
    let scenario = Scenario::article();
    let plan = scenario.plan(Goal::Converge, &scenario.nothing()).unwrap();
    let found = |vpc: &str| BTreeMap::from([("vpc".to_owned(), vpc.to_owned())]);
    let text = saved(&plan).for_what_was_found(&found("vpc-1")).text();
    let read = SavedPlan::parse("plan.json", &text).unwrap();
    read.found_again(&found("vpc-1")).unwrap();
    for (now, told) in [(found("vpc-2"), "vpc by tags: vpc-1 → vpc-2"), (BTreeMap::new(), "vpc by tags: vpc-1 → ")]
    {
        match read.found_again(&now) {
            Err(SavedError::Moved(lines)) => assert_eq!(lines, [told]),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn read_as_it_was_written() {
    let (scenario, live) = second_user();
    for goal in [Goal::Converge, Goal::Destroy] {
        let plan = scenario.plan(goal, &live).unwrap();
        let text = saved(&plan).text();
        assert_eq!(text, saved(&scenario.plan(goal, &live).unwrap()).text(), "the same plan gives the same file");
        let read = SavedPlan::parse("plan.json", &text).unwrap();
        assert_eq!(read.text(), text);
        read.fits(goal, ZIP).unwrap();
        read.check(&plan, &place(), "article").unwrap();
        // However somebody has laid it out.
        let compact: serde_json::Value = serde_json::from_str(&text).unwrap();
        SavedPlan::parse("plan.json", &compact.to_string()).unwrap();
    }
}

/// Cut short at any line, or with any one word of it changed, it is not read.
#[test]
fn damaged_in_any_way() {
    let (scenario, live) = second_user();
    let text = saved(&scenario.plan(Goal::Converge, &live).unwrap()).text();
    let lines: Vec<_> = text.lines().collect();
    for end in 0..lines.len() {
        let cut = lines[..end].join("\n");
        assert!(
            matches!(SavedPlan::parse("plan.json", &cut), Err(SavedError::Damaged { .. })),
            "cut after {end} lines"
        );
    }
    let mut tried = 0;
    for (number, line) in lines.iter().enumerate() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        let other = match value.trim_end_matches(',') {
            "true" => "false".to_owned(),
            text if text.starts_with('"') => format!("\"x{}", &text[1..]),
            _ => continue,
        };
        let mut changed = lines.clone();
        let comma = if value.ends_with(',') { "," } else { "" };
        let line = format!("{name}: {other}{comma}");
        changed[number] = &line;
        let error = SavedPlan::parse("plan.json", &changed.join("\n")).unwrap_err();
        assert!(matches!(error, SavedError::Damaged { .. }), "line {number}: {line}");
        tried += 1;
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn for_another_command_or_other_functions() {
    let (scenario, live) = second_user();
    let plan = saved(&scenario.plan(Goal::Converge, &live).unwrap());
    assert!(matches!(plan.fits(Goal::Destroy, ZIP), Err(SavedError::OtherGoal { destroys: false })));
    assert!(matches!(plan.fits(Goal::Converge, "4567"), Err(SavedError::OtherFunctions)));
    let destroys = saved(&scenario.plan(Goal::Destroy, &live).unwrap());
    assert!(matches!(destroys.fits(Goal::Converge, ZIP), Err(SavedError::OtherGoal { destroys: true })));
    for (key, value) in [("account", "999999999999"), ("region", "eu-west-1"), ("partition", "aws-cn")] {
        let mut elsewhere = place();
        match key {
            "account" => elsewhere.account = value.to_owned(),
            "region" => elsewhere.region = value.to_owned(),
            _ => elsewhere.partition = value.to_owned(),
        }
        let now = scenario.plan(Goal::Converge, &live).unwrap();
        let error = plan.check(&now, &elsewhere, "article").unwrap_err();
        assert!(matches!(error, SavedError::Elsewhere { what, .. } if what == key), "{error}");
    }
}

/// What is told of each reason not to apply a file.
#[test]
fn told_with_code_cause_and_next_command() {
    let (scenario, live) = second_user();
    let plan = scenario.plan(Goal::Converge, &live).unwrap();
    let text = saved(&plan).text();
    let destroys = saved(&scenario.plan(Goal::Destroy, &live).unwrap());
    let half = &text[..text.len() / 2];
    let newer = text.replace("\"pgrotate_plan\": 1", "\"pgrotate_plan\": 2");
    let newer_plan = saved(&plan).with_plan(|plan| plan["format"] = 999.into()).text();
    let retold = text.replace("\"version\": \"", "\"version\": \"9");
    let elsewhere = pgrotate::model::Place { account: "999999999999".to_owned(), ..place() };
    let errors = [
        SavedPlan::parse("plan.json", half).unwrap_err(),
        SavedPlan::parse("plan.json", &newer).unwrap_err(),
        SavedPlan::parse("plan.json", &newer_plan).unwrap_err(),
        SavedPlan::parse("plan.json", &retold).unwrap_err(),
        SavedPlan::parse("plan.json", "{\"a\": 1}").unwrap_err(),
        SavedPlan::parse("plan.json", "[]").unwrap_err(),
        saved(&plan).of_version("9.9.9").fits(Goal::Converge, ZIP).unwrap_err(),
        saved(&plan).fits(Goal::Converge, "4567").unwrap_err(),
        saved(&plan).fits(Goal::Destroy, ZIP).unwrap_err(),
        destroys.fits(Goal::Converge, ZIP).unwrap_err(),
        saved(&plan).check(&plan, &elsewhere, "article").unwrap_err(),
    ];
    let told = errors.map(|error| format!("{}: {error}\nhint: {}\n", error.code().heading(), error.hint()));
    golden("saved-plan-unfit", &told.concat());
}

/// What moves before the plan is applied is named with what it was and is.
#[test]
fn what_has_moved() {
    let (scenario, live) = second_user();
    let plan = saved(&scenario.plan(Goal::Converge, &live).unwrap());
    assert_eq!(moved(&plan, &scenario, &live), "nothing has moved\n");

    let mut told = String::new();
    let mut case = |what: &str, live: &State| told.push_str(&format!("# {what}\n{}\n", moved(&plan, &scenario, live)));

    let mut changed = live.clone();
    instance(&mut changed, |live| live.backup = 1);
    case("somebody has cut the backups short", &changed);

    let mut minor = live.clone();
    instance(&mut minor, |live| live.version.minor = live.version.minor.map(|minor| minor + 1));
    case("RDS has upgraded the instance", &minor);

    let mut gone = live.clone();
    gone.insert(at(&live, "rotation.test_user1"), Seen::Absent);
    case("somebody has cancelled a rotation", &gone);

    let mut made = live.clone();
    let whole = scenario.realised();
    let secret = at(&live, "secret.reporting");
    made.insert(secret.clone(), whole[&secret].clone());
    case("another apply has made the secret", &made);

    case("another apply has done all of it", &whole);
    golden("saved-plan-moved", &told);
}

/// What is planned to be changed is otherwise than it was when that was reviewed, though the change is called the same.
#[test]
fn a_change_of_what_is_otherwise_now() {
    let scenario = Scenario::article().with("gib = 20", "gib = 40");
    let live = Scenario::article().realised();
    let plan = saved(&scenario.plan(Goal::Converge, &live).unwrap());
    let mut changed = live.clone();
    instance(&mut changed, |live| live.class = "db.t3.large".to_owned());
    golden("saved-plan-otherwise", &moved(&plan, &scenario, &changed));
}

/// An instance of this name and with these tags that is another one: nobody has reviewed what is done to it.
#[test]
fn another_of_the_same_name() {
    let scenario = Scenario::article();
    let mut live = scenario.realised();
    instance(&mut live, |live| live.deletion_protection = true);
    let plan = saved(&scenario.plan(Goal::Destroy, &live).unwrap());
    let check = |now: &State| plan.check(&scenario.plan(Goal::Destroy, now).unwrap(), &place(), "article");

    // As an apply of the file leaves it that was stopped after the first of the two steps.
    let mut unprotected = live.clone();
    instance(&mut unprotected, |live| live.deletion_protection = false);
    check(&unprotected).unwrap();
    let mut another = unprotected.clone();
    instance(&mut another, |live| live.resource_id = "db-ANOTHER".to_owned());
    let told = check(&another).unwrap_err().to_string();
    assert!(told.contains("resource id") && told.contains("→ db-ANOTHER"), "{told}");

    // Nor is it what the plan left alone.
    let (scenario, live) = second_user();
    let plan = saved(&scenario.plan(Goal::Converge, &live).unwrap());
    let mut another = live.clone();
    instance(&mut another, |live| live.resource_id = "db-ANOTHER".to_owned());
    let told = moved(&plan, &scenario, &another);
    assert!(told.contains("resource id") && told.contains("→ db-ANOTHER"), "{told}");
}

/// A role that was out of sight is made sure of, whether it then is there or not.
#[test]
fn what_was_out_of_sight() {
    let (scenario, mut live) = second_user();
    let (secret, login) = (at(&live, "secret.reporting"), at(&live, "login.reporting"));
    live.insert(login.clone(), Seen::Unobservable("its secret does not exist yet".to_owned()));
    let plan = saved(&scenario.plan(Goal::Converge, &live).unwrap());
    let whole = scenario.realised();
    live.insert(secret.clone(), whole[&secret].clone());

    let mut absent = live.clone();
    absent.insert(login.clone(), Seen::Absent);
    assert_eq!(moved(&plan, &scenario, &absent), "nothing has moved\n");
    let mut half = live.clone();
    half.insert(login.clone(), whole[&login].clone());
    crate::scenario::change!(half, Login, "login.reporting", |live| live.current = None);
    assert_eq!(moved(&plan, &scenario, &half), "nothing has moved\n");
    // What was absent, and is half there by somebody's doing, is neither.
    let plan = saved(&scenario.plan(Goal::Converge, &absent).unwrap());
    assert!(moved(&plan, &scenario, &half).contains("login.reporting: it was absent and is there"));
}

/// Whatever there is to plan can be saved, and is read as it was written.
#[test]
fn of_every_scenario() {
    for life in crate::scenarios::all() {
        let plan = Life::of(&life).plan();
        let text = saved(&plan).text();
        let read = SavedPlan::parse("plan.json", &text).unwrap_or_else(|error| panic!("{}: {error}", life.name));
        assert_eq!(read.text(), text, "{}", life.name);
        read.fits(Goal::Converge, ZIP).unwrap();
        read.check(&plan, &place(), "article").unwrap_or_else(|error| panic!("{}: {error}", life.name));
    }
}

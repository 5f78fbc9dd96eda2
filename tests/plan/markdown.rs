//! What a comment on a pull request says: a file in `golden/markdown` for each, of the scenarios that are lived on the
//! sandbox too; its size; and that whatever a name holds, it stays text.

use crate::lives::Life;
use crate::scenario::{Scenario, document, place, set};
use crate::telling::{drift_of, status, tampered};
use expect_test::expect_file;
use pgrotate::code::Code;
use pgrotate::config::LintCode;
use pgrotate::drift::DriftCode;
use pgrotate::execute::{ActionError, Outcome, Report};
use pgrotate::lint::Finding;
use pgrotate::model::Seen;
use pgrotate::plan::Goal;
use pgrotate::render::markdown::{self, LONGEST};
use pgrotate::render::summary::{self, Commands};
use pgrotate::render::{DeploymentDocument, DeploymentsDocument, ErrorDocument, OneDocument};
use pgrotate::render::{PlanDocument, ReportDocument};
use pgrotate::resource::{Known, Note, Remedy};
use std::collections::BTreeSet;
use std::time::Duration;

/// Plans of every sort: new and changed, risky and not, short and long. Each has a file in every format: [`crate::formats`].
pub const SCENARIOS: [&str; 14] = [
    "new-deployment",
    "new-private",
    "new-with-existing-database",
    "new-with-many-users",
    "user-added",
    "user-removed",
    "user-renamed",
    "allow-rule-moved",
    "class-changed",
    "schedule-changed",
    "strategy-to-single-user",
    "alerts-added",
    "nat-instead-of-endpoint",
    "backup-days-changed",
];

pub fn golden(name: &str, text: &str) {
    well_formed(text);
    expect_file![format!("golden/markdown/{name}.md")].assert_eq(text);
}

pub fn of(plan: &PlanDocument) -> String {
    markdown::plan(plan, "pgrotate plan deployment.toml", "pgrotate apply deployment.toml")
}

/// No longer than GitHub takes; folds and fences are closed.
pub fn well_formed(text: &str) {
    assert!(text.len() <= LONGEST, "{} bytes", text.len());
    assert!(!text.contains(pgrotate::command::FILE), "a command that nobody has put the file's name into:\n{text}");
    let (mut fence, mut folds) = (None, 0);
    for line in text.lines() {
        let ticks = line.chars().take_while(|c| *c == '`').count();
        match fence {
            Some(open) if line.len() == ticks && ticks >= open => fence = None,
            Some(_) => {}
            None if ticks >= 3 && !line[ticks..].contains('`') => fence = Some(ticks),
            None => {
                let line = outside_code(line);
                folds += line.matches("<details>").count();
                folds -= line.matches("</details>").count();
                // No other tags than our own.
                let rest = ["<details>", "</details>", "<summary>", "</summary>", "<!-- -->"]
                    .iter()
                    .fold(line.clone(), |rest, tag| rest.replace(tag, ""));
                assert!(!rest.contains('<'), "{line}");
                // Nobody is called, and nothing is linked.
                assert!(!line.contains("@octocat") && !line.contains("[x]("), "{line}");
            }
        }
    }
    assert_eq!((fence, folds), (None, 0), "a fence or a fold is open:\n{text}");
}

/// A line without its spans of code: a run of backticks, up to the next run of as many.
fn outside_code(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(at) = rest.find('`') {
        let ticks = rest[at..].chars().take_while(|c| *c == '`').count();
        // An escaped backtick opens nothing.
        if rest[..at].ends_with('\\') {
            out.push_str(&rest[..at + ticks]);
            rest = &rest[at + ticks..];
            continue;
        }
        let inside = &rest[at + ticks..];
        let runs = inside.match_indices('`').map(|(at, _)| at);
        let close = runs
            .filter(|&at| at == 0 || inside.as_bytes()[at - 1] != b'`')
            .find(|&at| inside[at..].chars().take_while(|c| *c == '`').count() == ticks);
        out.push_str(&rest[..at]);
        let Some(close) = close else { panic!("a span of code is open: {line}") };
        rest = &inside[close + ticks..];
    }
    out + rest
}

#[test]
fn plans() {
    for name in SCENARIOS {
        let life = crate::scenarios::all().into_iter().find(|life| life.name == name);
        let life = life.unwrap_or_else(|| panic!("no scenario {name}"));
        golden(name, &of(&document(&Life::of(&life).plan())));
    }
    let article = Scenario::article();
    golden("destroy", &of(&document(&article.plan(Goal::Destroy, &article.realised()).unwrap())));
    golden("no-changes", &of(&document(&article.plan(Goal::Converge, &article.realised()).unwrap())));
}

#[test]
fn drift() {
    let again = "pgrotate drift deployment.toml";
    let (scenario, live) = tampered();
    golden("drift", &markdown::drift(&drift_of(&scenario, &live), again));
    let article = Scenario::article();
    golden("drift-none", &markdown::drift(&drift_of(&article, &article.realised()), again));
}

#[test]
fn of_every_sort_of_login() {
    golden("status", &markdown::status(&status()));
}

#[test]
fn reports() {
    let article = Scenario::article();
    let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
    let after = plan.actions[0].address.clone();
    let mut outcomes = vec![
        Outcome::Failed(ActionError::Never("the stack is ROLLBACK_COMPLETE: no such <subnet>".to_owned())),
        Outcome::Skipped { after },
        Outcome::Cancelled,
    ];
    outcomes.resize_with(plan.actions.len(), || Outcome::AlreadyDone);
    let report = Report { outcomes, took: Duration::from_secs(61), known: Known::default() };
    golden("report", &markdown::report(&ReportDocument::of(&plan, &report, "article", &place())));
}

/// Of a plan that no comment holds all of, what is risky comes first, and what is missing is counted.
#[test]
fn too_long_for_a_comment() {
    let article = Scenario::article();
    let mut text = String::new();
    for number in 0..2_000 {
        text.push_str(&format!("\n[[user]]\nlogin = \"user{number}\"\nsecret = \"user{number}_secret\"\n"));
    }
    let many = article.and(&text).with("class = \"db.t3.micro\"", "class = \"db.t3.large\"");
    let mut live = many.nothing();
    let instance = "db_instance.my-postgres-instance";
    let made = article.realised().into_iter().find(|(address, _)| address.to_string() == instance).unwrap().1;
    set(&mut live, instance, made);
    let plan = document(&many.plan(Goal::Converge, &live).unwrap());
    assert!(plan.actions.len() > 6_000);
    let text = of(&plan);
    well_formed(&text);
    assert!(text.len() > LONGEST * 9 / 10, "there was room for more: {} bytes", text.len());
    let risk = text.find("**interrupts** update `db_instance.my-postgres-instance`");
    assert!(risk.is_some_and(|at| at < text.find("#### Actions").expect("actions")), "risks come first");
    let named = text.lines().filter(|line| line.starts_with("- `")).count();
    let left_out = text.lines().find_map(|line| line.strip_prefix("- … and ")?.split(' ').next()?.parse().ok());
    let left_out: usize = left_out.expect("what is missing is counted");
    assert_eq!(named + left_out, plan.actions.len());
    assert_eq!(text, of(&plan), "the same each time");
}

fn deployment(file: &str, document: Option<PlanDocument>, errors: &[&str]) -> DeploymentDocument {
    let error = |message: &&str| ErrorDocument {
        code: Code::UnknownKey,
        message: (*message).to_owned(),
        because: Vec::new(),
        hint: Some("remove it".to_owned()),
        file: None,
        line: Some(7),
        column: Some(1),
        address: None,
    };
    let document = document.map(OneDocument::Plan);
    DeploymentDocument { file: file.to_owned(), document, errors: errors.iter().map(error).collect() }
}

fn of_all(deployments: Vec<DeploymentDocument>) -> String {
    let commands = deployments.iter().map(|one| Commands {
        again: format!("pgrotate plan {}", one.file),
        apply: format!("pgrotate apply {}", one.file),
    });
    let commands: Vec<_> = commands.collect();
    summary::markdown(&DeploymentsDocument::new(deployments), "plan", &commands)
}

#[test]
fn many_deployments() {
    let article = Scenario::article();
    let changed = article.with("class = \"db.t3.micro\"", "class = \"db.t3.large\"");
    let plan = |scenario: &Scenario| Some(document(&scenario.plan(Goal::Converge, &article.realised()).unwrap()));
    let deployments = vec![
        deployment("all/empty.toml", plan(&article), &[]),
        deployment("all/changed.toml", plan(&changed), &[]),
        deployment("all/bro|ken`.toml", None, &["unknown key `classs` in [database] <b>", "and another"]),
    ];
    golden("deployments", &of_all(deployments));
}

/// However many there are and however much there is to tell of each: failures first, and what is left out is said.
#[test]
fn many_deployments_that_no_comment_holds() {
    let article = Scenario::article();
    let large = document(&article.plan(Goal::Converge, &article.nothing()).unwrap());
    for count in [1, 2, 9, 40, 700, 5_000] {
        let mut deployments: Vec<_> =
            (0..count).map(|number| deployment(&format!("all/{number}.toml"), Some(large.clone()), &[])).collect();
        let message = "very wrong ".repeat(200);
        deployments.push(deployment("all/failed.toml", None, &[message.as_str(); 60]));
        let text = of_all(deployments);
        well_formed(&text);
        let failed = text.find("all/failed.toml").expect("what has failed is told");
        assert!(text.find("all/0.toml").is_none_or(|at| failed < at), "{count}");
        assert_eq!(text.contains("for which there is no room here"), count > 1 || text.len() > LONGEST / 2, "{count}");
        assert!(text.contains("- … and"), "errors that are left out are counted");
    }
}

/// Names that PostgreSQL takes and AWS's own words may hold anything.
#[test]
fn nothing_is_injected() {
    let evil = "a</details><img src=x onerror=alert(1)>`b```c|d@octocat #1 [x](http://y)";
    let article = Scenario::article();
    let mut live = article.nothing();
    set(&mut live, "login.test_user1", Seen::Unobservable(evil.to_owned()));
    let mut plan = document(&article.plan(Goal::Converge, &live).unwrap());
    for action in &mut plan.actions {
        action.because = Some(format!("{evil}\n```\n</details>"));
        action.address.name = evil.to_owned();
    }
    plan.notes.push(Note {
        address: plan.actions[0].address.clone(),
        text: evil.to_owned(),
        remedy: Some(Remedy { code: DriftCode::Changed, fix: evil.to_owned(), since: None }),
    });
    plan.lints.push(Finding {
        file: None,
        code: LintCode::ProxiesUnseen,
        of: Vec::new(),
        line: None,
        span: None,
        what: evil.to_owned(),
        why: "",
        hint: evil.to_owned(),
    });
    plan.head.deployment = evil.to_owned();
    let text = of(&plan);
    well_formed(&text);
}

/// A golden file that no test reads any more tells nothing.
#[test]
fn no_golden_file_is_left_over() {
    let others = ["deployments", "destroy", "no-changes", "drift", "drift-none", "lints", "status", "report"];
    let known: BTreeSet<_> = SCENARIOS.into_iter().chain(others).map(|name| format!("{name}.md")).collect();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plan/golden/markdown");
    let there = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(there.collect::<BTreeSet<_>>(), known);
}

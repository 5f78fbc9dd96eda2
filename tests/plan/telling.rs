//! What `drift`, `status` and `graph` print of their documents. One file in `golden/` for each.

use crate::lives::Life;
use crate::scenario::{SECOND_USER, Scenario, State, change, document, golden, place, set};
use function_contract::{LoginAttempt, Obstacle};
use pgrotate::drift::DriftCode;
use pgrotate::model::Seen;
use pgrotate::plan::Goal;
use pgrotate::render::{DriftDocument, GraphDocument, LoginStatus, StatusDocument, Trouble, graph, human};
use pgrotate::resource::Family;
use pgrotate::resources::Kinds;
use pgrotate::resources::stack::behind::{Moved, Part};

pub fn drift_of(scenario: &Scenario, live: &State) -> DriftDocument {
    let plan = scenario.plan(Goal::Converge, live).unwrap_or_else(|error| panic!("{error}"));
    DriftDocument::of(&document(&plan), "pgrotate apply deployment.toml")
}

fn drift(name: &str, scenario: &Scenario, live: &State) {
    golden(name, &human::drift(&drift_of(scenario, live)));
}

/// Much of what somebody can do to a deployment by hand.
pub fn tampered() -> (Scenario, State) {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, Rotation, "rotation.test_user1", |live| live.rules.every_days = Some(30));
    change!(live, Login, "login.test_user1", |live| {
        live.current_kept_out = vec![Obstacle::WrongPassword];
        live.current = Some(LoginAttempt::Refused {
            sqlstate: "28P01".to_owned(),
            message: "password authentication failed for user \"test_user1\"".to_owned(),
        });
    });
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| {
        live.class = "db.t3.large".to_owned();
        live.backup = 1;
    });
    change!(live, SecurityGroup, "security_group.database", |live| {
        live.unmanaged.insert("sgr-11111111111111111".to_owned(), "port 22 from 10.0.0.0/8".to_owned());
    });
    change!(live, SecurityGroup, "security_group.function", |live| {
        live.default_egress.insert("sgr-22222222222222222".to_owned());
    });
    change!(live, Bucket, "bucket.pgrotate-article-111122223333-eu-north-1", |live| {
        live.public_access_blocked = false;
    });
    change!(live, Stack, "stack.pgpasslambda-stack", |live| {
        let function = live.functions.get_mut("pgpasslambda").unwrap();
        function.timeout = 3;
    });
    set(&mut live, "security_group_rule.function-to-database", Seen::Absent);
    set(&mut live, "rotation.rotator_admin", Seen::Absent);
    (article, live)
}

#[test]
fn drift_by_hand() {
    let (scenario, live) = tampered();
    drift("drift-by-hand", &scenario, &live);
}

/// A replica that came makes the functions' list longer, behind the writer; nothing else moves.
#[test]
fn drift_by_a_replica() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| {
        let host = "reader.example.rds.amazonaws.com".to_owned();
        live.replicas.push(pgrotate::resources::db_instance::Server { host, port: 5432 });
    });
    drift("drift-by-a-replica", &article, &live);
}

#[test]
fn drift_as_json() {
    let (scenario, live) = tampered();
    let document = drift_of(&scenario, &live);
    golden("drift-json", &(serde_json::to_string_pretty(&document).unwrap() + "\n"));
}

#[test]
fn no_drift() {
    let article = Scenario::article();
    drift("drift-none", &article, &article.realised());
}

/// Before the first apply, and after somebody has deleted it all.
#[test]
fn drift_of_what_is_not_there() {
    let article = Scenario::article();
    drift("drift-nothing-there", &article, &article.nothing());
}

/// The file has changed, and nobody has applied it.
#[test]
fn drift_by_the_file() {
    let article = Scenario::article();
    let changed = article
        .with("every = \"10 days\"", "cron = \"cron(0 4 ? * SUN *)\"\nwindow = \"2h\"")
        .with("203.0.113.7/32", "198.51.100.0/24")
        .and(SECOND_USER);
    let mut live = changed.nothing();
    live.extend(article.realised());
    drift("drift-by-the-file", &changed, &live);
}

#[test]
fn drift_of_what_cannot_be_seen_or_is_half_gone() {
    let article = Scenario::article();
    let mut live = article.realised();
    set(&mut live, "login.rotator_admin", Seen::Unobservable("the function did not answer".to_owned()));
    change!(live, Secret, "secret.test_user1", |live| live.deleted = true);
    change!(live, Rotation, "rotation.rotator_admin", |live| {
        live.overdue = true;
        live.next_rotation = Some(1_772_300_000);
        (live.pending, live.stuck, live.touched) = (true, true, Some(1_772_200_000));
    });
    change!(live, Stack, "stack.pgpasslambda-stack", |live| live.status = "ROLLBACK_COMPLETE".to_owned());
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| live.status = "modifying".to_owned());
    drift("drift-half-gone", &article, &live);
}

/// What somebody has taken out of the file, and nobody out of AWS.
#[test]
fn drift_of_what_is_no_longer_declared() {
    let mut told = String::new();
    for name in ["user-removed", "user-renamed", "own-group-instead-of-existing"] {
        let life = crate::scenarios::all().into_iter().find(|life| life.name == name).unwrap();
        let document = DriftDocument::of(&document(&Life::of(&life).plan()), "pgrotate apply deployment.toml");
        told.push_str(&format!("# {name}\n{}\n", human::drift(&document)));
    }
    golden("drift-no-longer-declared", &told);
}

/// A template is long: only the lines around what moved are told.
#[test]
fn drift_of_the_template() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, Stack, "stack.pgpasslambda-stack", |live| {
        live.template["Resources"]["RotationFunction"]["Properties"]["Timeout"] = 30.into();
    });
    drift("drift-template", &article, &live);
}

/// One change set mends all of it, and each thing is told under its own code; CloudFormation could not see all.
#[test]
fn drift_behind_the_stack() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, Stack, "stack.pgpasslambda-stack", |live| {
        let properties = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        live.behind.moved.extend([
            (
                "RotationRole".to_owned(),
                Moved { part: Part::Role, properties: properties(&["AssumeRolePolicyDocument", "Policies/0"]) },
            ),
            ("RotationErrors".to_owned(), Moved { part: Part::Alert, properties: properties(&["Threshold"]) }),
            ("RotationFailed".to_owned(), Moved { part: Part::Alert, properties: None }),
        ]);
        live.behind.unseen = Some("User is not authorized to perform: logs:DescribeLogGroups".to_owned());
        live.functions.get_mut("pgpasslambda").unwrap().code = "another".to_owned();
    });
    drift("drift-behind-the-stack", &article, &live);
    let plan = article.plan(Goal::Converge, &live).unwrap_or_else(|error| panic!("{error}"));
    golden("plan-behind-the-stack", &human::plan(&document(&plan)));
}

pub fn status() -> StatusDocument {
    let mut well = LoginStatus::new("rotator_admin", "single-user");
    well.schedule = "every 30 days".to_owned();
    well.current_user = Some("rotator_admin".to_owned());
    well.logs_in = Some(true);
    well.last_rotated = Some("2026-03-01T00:12:07Z".to_owned());
    well.next_rotation = Some("2026-03-31T23:59:59Z".to_owned());
    let mut ill = LoginStatus::new("test_user1", "alternating-users");
    ill.schedule = "cron(0 4 ? * SUN *), within 2h".to_owned();
    ill.current_user = Some("test_user1_clone".to_owned());
    ill.logs_in = Some(false);
    ill.last_rotated = Some("2026-02-22T04:00:41Z".to_owned());
    let trouble = |code: DriftCode, what: &str, fix: Option<&str>| Trouble {
        code: Some(code),
        severity: code.severity(),
        what: what.to_owned(),
        since: None,
        fix: fix.map(str::to_owned),
    };
    let refused = "AWSCURRENT does not log in: password authentication failed for user \"test_user1_clone\" (28P01)";
    let rescheduled = DriftCode::RotationRescheduled;
    ill.trouble([trouble(rescheduled, rescheduled.words(), None), trouble(DriftCode::CredentialDrift, refused, None)]);
    let overdue = DriftCode::RotationOverdue;
    ill.trouble([trouble(
        overdue,
        overdue.words(),
        Some("pgrotate rotate article.toml test_user1 --wait, and read what it says"),
    )]);
    ill.troubles[1].since = Some("2026-03-01T05:00:00Z".to_owned());
    let mut new = LoginStatus::new("reporting", "alternating-users");
    new.schedule = "every 30 days".to_owned();
    new.trouble([trouble(DriftCode::Missing, DriftCode::Missing.words(), None)]);
    let database = "my-postgres-instance: PostgreSQL 16.8, available, my-postgres-instance.example:5432".to_owned();
    StatusDocument::new("article", &place(), Some(database), vec![well, ill, new])
}

#[test]
fn status_of_every_sort_of_login() {
    golden("status", &human::status(&status()));
    golden("status-json", &(serde_json::to_string_pretty(&status()).unwrap() + "\n"));
}

#[test]
fn graphs() {
    let article = Scenario::article();
    let mut live = article.realised();
    set(&mut live, "rotation.test_user1", Seen::Absent);
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| live.class = "db.t3.large".to_owned());
    let plan = document(&article.plan(Goal::Converge, &live).unwrap());
    let resources = article.wants().into_iter().map(|want| (Kinds::address(&want), Kinds::needs(&want)));
    let drawn = GraphDocument::of(&plan, resources);
    golden("graph-dot", &graph::dot(&drawn));
    golden("graph-mermaid", &graph::mermaid(&drawn));
}

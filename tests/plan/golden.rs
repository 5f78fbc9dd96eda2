//! One scenario, one readable file in `golden/`. UPDATE_EXPECT=1 rewrites them; read the difference.

use crate::scenario::{Scenario, State, change, check_edges, document, golden, json, set};
use function_contract::{LoginAttempt, Obstacle};
use pgrotate::model::Seen;
use pgrotate::plan::{Goal, PlanError};
use pgrotate::render::human;
use pgrotate::resources::db_instance::Version;
use pgrotate::resources::rotation::Rules;
use std::collections::BTreeSet;

/// Whether users are written out or declared together is nothing that a plan knows.
#[test]
fn users_together_and_written_out() {
    let keys = "strategy = \"single-user\"\nevery = \"5 days\"\nconnection_limit = 3\n";
    let together = format!("\n[[users]]\nlogins = [\"a\", \"b\"]\nsecret = \"x/{{login}}\"\n{keys}");
    let written = |login: &str| format!("\n[[user]]\nlogin = \"{login}\"\nsecret = \"x/{login}\"\n{keys}");
    let together = Scenario::article().and(&together);
    let written = Scenario::article().and(&written("b")).and(&written("a"));
    let planned = |scenario: &Scenario| json(&document(&scenario.plan(Goal::Converge, &scenario.nothing()).unwrap()));
    assert_eq!(planned(&together), planned(&written));
    // One for the other is no change.
    let plan = together.plan(Goal::Converge, &written.realised()).unwrap();
    assert!(plan.actions.is_empty());
}

#[test]
fn new_deployment_as_json() {
    let article = Scenario::article();
    let plan = article.plan(Goal::Converge, &article.nothing()).unwrap();
    let document = document(&plan);
    check_edges(&document);
    golden("new-deployment-json", &json(&document));
}

#[test]
fn engine_minor_behind() {
    let article = Scenario::article();
    let newer = article.with("engine_version = \"16\"", "engine_version = \"16.8\"");
    let mut live = article.realised();
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| {
        live.version = Version { major: 16, minor: Some(4) };
    });
    newer.converges("engine-minor-behind", &live);
}

/// RDS upgrades minor versions by itself: being ahead of what is asked for is no drift.
#[test]
fn engine_minor_ahead() {
    let newer = Scenario::article().with("engine_version = \"16\"", "engine_version = \"16.4\"");
    let mut live = newer.realised();
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| {
        live.version = Version { major: 16, minor: Some(9) };
    });
    assert!(newer.plan(Goal::Converge, &live).unwrap().actions.is_empty());
}

#[test]
fn function_code_changed() {
    let article = Scenario::article();
    let newer = article.with_code(b"the functions, mended");
    let mut live = article.realised();
    // The new zip's key is its own hash, so it is not there yet.
    set(&mut live, "artifact.function", Seen::Absent);
    newer.converges("function-code-changed", &live);
}

#[test]
fn function_template_changed() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, Stack, "stack.pgpasslambda-stack", |live| {
        live.template["Resources"]["RotationFunction"]["Properties"]["Timeout"] = 30.into();
    });
    article.converges("function-template-changed", &live);
}

#[test]
fn secret_pending_deletion() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, Secret, "secret.test_user1", |live| live.deleted = true);
    set(&mut live, "login.test_user1", Seen::Unobservable("its secret is pending deletion".to_owned()));
    set(&mut live, "rotation.test_user1", Seen::Absent);
    article.converges("secret-pending-deletion", &live);
}

#[test]
fn rotation_cancelled() {
    let article = Scenario::article();
    let mut live = article.realised();
    set(&mut live, "rotation.test_user1", Seen::Absent);
    article.converges("rotation-cancelled", &live);
}

#[test]
fn rotation_by_another_function() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, Rotation, "rotation.test_user1", |live| {
        live.function = Some("arn:aws:lambda:eu-north-1:111122223333:function:by-hand".to_owned());
        live.rules = Rules { every_days: Some(1), expression: None, window: None };
    });
    article.converges("rotation-by-another-function", &live);
}

#[test]
fn rotation_never_finished() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, Rotation, "rotation.test_user1", |live| live.rotated = false);
    change!(live, Rotation, "rotation.rotator_admin", |live| {
        live.rotated = false;
        live.pending = true;
    });
    article.converges("rotation-never-finished", &live);
}

/// A rotation that the schedule began is nobody's concern; one that does not end is.
#[test]
fn rotation_under_way() {
    let article = Scenario::article();
    let mut live = article.realised();
    for login in ["rotation.test_user1", "rotation.rotator_admin"] {
        change!(live, Rotation, login, |live| live.pending = true);
    }
    change!(live, Rotation, "rotation.test_user1", |live| {
        live.stuck = true;
        live.trouble = Some("DatabaseRefused".to_owned());
    });
    let plan = article.plan(Goal::Converge, &live).unwrap();
    assert!(plan.actions.is_empty());
    golden("rotation-under-way", &human::plan(&document(&plan)));
}

#[test]
fn stack_rolled_back() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, Stack, "stack.pgpasslambda-stack", |live| {
        live.status = "ROLLBACK_COMPLETE".to_owned();
        live.reason = Some("The following resource(s) failed to create: [RotationFunction].".to_owned());
    });
    for login in ["login.rotator_admin", "login.test_user1"] {
        set(&mut live, login, Seen::Unobservable("the inspection function does not exist yet".to_owned()));
    }
    for rotation in ["rotation.rotator_admin", "rotation.test_user1"] {
        set(&mut live, rotation, Seen::Absent);
    }
    article.converges("stack-rolled-back", &live);
}

#[test]
fn instance_still_creating() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| {
        live.status = "creating".to_owned();
        live.server = None;
        live.master_secret = None;
    });
    for address in ["stack.pgpasslambda-stack", "login.rotator_admin", "login.test_user1"] {
        set(&mut live, address, Seen::Absent);
    }
    for rotation in ["rotation.rotator_admin", "rotation.test_user1"] {
        set(&mut live, rotation, Seen::Absent);
    }
    article.converges("instance-still-creating", &live);
}

#[test]
fn everything_on_its_way() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, Stack, "stack.pgpasslambda-stack", |live| live.status = "UPDATE_IN_PROGRESS".to_owned());
    change!(live, VpcEndpoint, "vpc_endpoint.secretsmanager", |live| live.state = "pending".to_owned());
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| live.status = "modifying".to_owned());
    article.converges("everything-on-its-way", &live);
}

/// Somebody has deleted it, or AWS could not make it: it is never taken for one that is still to come.
#[test]
fn endpoint_being_deleted() {
    let article = Scenario::article();
    let mut live = article.realised();
    let endpoint = "vpc_endpoint.secretsmanager";
    change!(live, VpcEndpoint, endpoint, |live| {
        live.state = "deleting".to_owned();
        live.subnets.pop_last();
    });
    article.converges("endpoint-being-deleted", &live);
    change!(live, VpcEndpoint, endpoint, |live| live.state = "failed".to_owned());
    article.converges("endpoint-failed", &live);
}

/// Whatever state AWS tells of, there is a plan for it, or a refusal that says what to do.
#[test]
fn no_state_is_beyond_planning() {
    let article = Scenario::article();
    let planned = |live: &State, what: &str| match article.plan(Goal::Converge, live) {
        Ok(_) => {}
        Err(PlanError::Refused(refusals)) => assert!(refusals.iter().all(|(_, refusal)| !refusal.hint.is_empty())),
        Err(error) => panic!("{what}: {error}"),
    };
    for state in
        ["pendingacceptance", "pending", "available", "deleting", "rejected", "failed", "expired", "partial", "new"]
    {
        for private_dns in [true, false] {
            let mut live = article.realised();
            change!(live, VpcEndpoint, "vpc_endpoint.secretsmanager", |live| {
                live.state = state.to_owned();
                live.private_dns = private_dns;
            });
            planned(&live, state);
        }
    }
    for status in [
        "CREATE_IN_PROGRESS",
        "CREATE_FAILED",
        "CREATE_COMPLETE",
        "ROLLBACK_IN_PROGRESS",
        "ROLLBACK_FAILED",
        "ROLLBACK_COMPLETE",
        "DELETE_IN_PROGRESS",
        "DELETE_FAILED",
        "UPDATE_IN_PROGRESS",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_COMPLETE",
        "UPDATE_FAILED",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "UPDATE_ROLLBACK_FAILED",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE",
        "REVIEW_IN_PROGRESS",
        "IMPORT_IN_PROGRESS",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_IN_PROGRESS",
        "IMPORT_ROLLBACK_FAILED",
        "IMPORT_ROLLBACK_COMPLETE",
    ] {
        let mut live = article.realised();
        change!(live, Stack, "stack.pgpasslambda-stack", |live| live.status = status.to_owned());
        planned(&live, status);
    }
    for status in ["available", "creating", "modifying", "backing-up", "storage-full", "stopped", "failed", "deleting"]
    {
        for kept in [true, false] {
            let mut live = article.realised();
            change!(live, DbInstance, "db_instance.my-postgres-instance", |live| {
                live.status = status.to_owned();
                live.master_secret.take_if(|_| !kept);
            });
            planned(&live, status);
        }
    }
}

/// The deployment's proof is not there, whatever the rest is: an apply must not pass for a good one.
#[test]
fn first_rotation_stuck() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, Rotation, "rotation.test_user1", |live| {
        (live.rotated, live.pending, live.stuck) = (false, true, true);
        live.trouble = Some("DatabaseRefused".to_owned());
    });
    let plan = article.plan(Goal::Converge, &live).unwrap();
    golden("first-rotation-stuck", &human::plan(&document(&plan)));
    // Told once: to wait for it mends nothing.
    golden("drift-first-rotation-stuck", &human::drift(&crate::telling::drift_of(&article, &live)));
}

/// Somebody has given the master a password by hand, and nothing can make logins any more.
#[test]
fn password_taken_from_rds() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| live.master_secret = None);
    article.converges("password-taken-from-rds", &live);
}

#[test]
fn instance_changes_pending() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| live.pending = true);
    article.converges("instance-changes-pending", &live);
}

/// What ends it is the growth that is declared, so nothing waits for its end before that.
#[test]
fn storage_full() {
    let larger = Scenario::article().with("gib = 20", "gib = 50");
    let mut live = larger.realised();
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| {
        live.status = "storage-full".to_owned();
        live.storage = 20;
    });
    larger.converges("storage-full", &live);
}

/// RDS would refuse the growth, and with it all that is asked for at once.
#[test]
fn storage_that_still_changes() {
    let larger = Scenario::article().with("gib = 20", "gib = 50").with("backup_days = 7", "backup_days = 14");
    let mut live = Scenario::article().realised();
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| {
        live.status = "storage-optimization".to_owned();
    });
    larger.converges("storage-still-changing", &live);
}

#[test]
fn login_that_does_not_log_in() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, Login, "login.test_user1", |live| {
        live.current_kept_out = vec![Obstacle::WrongPassword];
        live.current = Some(LoginAttempt::Refused {
            sqlstate: "28P01".to_owned(),
            message: "password authentication failed for user \"test_user1\"".to_owned(),
        });
    });
    article.converges("login-that-does-not-log-in", &live);
}

#[test]
fn login_unobservable() {
    let article = Scenario::article();
    let mut live = article.realised();
    let why = "the function pgpasslambda-inspection failed: DatabaseUnreachable: no answer within 5 s";
    set(&mut live, "login.test_user1", Seen::Unobservable(why.to_owned()));
    article.converges("login-unobservable", &live);
}

#[test]
fn group_as_aws_makes_it() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, SecurityGroup, "security_group.function", |live| {
        live.default_egress = BTreeSet::from(["sgr-00000000000000000".to_owned()]);
        live.unmanaged.insert("sgr-11111111111111111".to_owned(), "port 22 from 10.0.0.0/8".to_owned());
    });
    article.converges("group-as-aws-makes-it", &live);
}

/// What an apply leaves that stops between a rule and the one that it takes the place of.
#[test]
fn rule_of_before_left() {
    let article = Scenario::article();
    let mut live = article.realised();
    let rule = "security_group_rule.function-to-database";
    change!(live, SecurityGroupRule, rule, |live| {
        live.former.insert("sgr-11111111111111111".to_owned(), "port 6432 to sg-b74b2c1866560ead3".to_owned());
    });
    let destroy = article.plan(Goal::Destroy, &live).unwrap();
    let revoked = destroy.actions.iter().find(|action| action.address.to_string() == rule).expect("it goes");
    let what = format!("{:?}", revoked.change);
    assert_eq!(what.matches("sgr-").count(), 2, "both go: {what}");
    article.converges("rule-of-before-left", &live);
}

#[test]
fn bucket_without_protection() {
    let article = Scenario::article();
    let mut live = article.realised();
    // What an apply leaves that stops between making the bucket and tagging it.
    change!(live, Bucket, "bucket.pgrotate-article-111122223333-eu-north-1", |live| {
        live.tags.clear();
        live.public_access_blocked = false;
    });
    article.converges("bucket-without-protection", &live);
}

#[test]
fn endpoint_gone_and_rule_gone() {
    let article = Scenario::article();
    let mut live = article.realised();
    set(&mut live, "vpc_endpoint.secretsmanager", Seen::Absent);
    set(&mut live, "security_group_rule.function-to-database", Seen::Absent);
    article.converges("endpoint-and-rule-gone", &live);
}

/// A golden file that no scenario reads any more tells nothing.
#[test]
fn no_golden_file_is_left_over() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plan");
    let sources: String = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .chain([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios/mod.rs").into()])
        .map(|path: std::path::PathBuf| std::fs::read_to_string(path).unwrap())
        .collect();
    for entry in std::fs::read_dir(format!("{folder}/golden")).unwrap() {
        let path = entry.unwrap().path();
        // `markdown` has a test of its own.
        if path.is_dir() {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(sources.contains(&format!("\"{name}\"")), "no scenario reads {}", path.display());
    }
}

//! What is there and not ours is refused, whatever its kind, and nothing is planned beside it.

use crate::lives::Life;
use crate::scenario::{Scenario, State, at, change, place, refused, set};
use function_contract::RoleComment;
use pgrotate::code::Code;
use pgrotate::desired;
use pgrotate::model::{Mark, Seen, Tags};
use pgrotate::plan::{Goal, PlanError, plan};
use pgrotate::resources::db_instance::{Observed, Version};
use pgrotate::resources::secret::Tagged;
use pgrotate::resources::tagged::Found;
use pgrotate::resources::{AnyLive, Kinds, Want};

/// Gives everything that has a mark to the deployment `other`, or to nobody.
pub fn give_away(state: &mut State, other: Option<&str>) {
    for (address, seen) in state.iter_mut() {
        let Seen::Present(live) = seen else { continue };
        let theirs = match other {
            Some(deployment) => Mark::new(deployment.to_owned(), address.clone()).tags(),
            None => Tags::from([("made-by".to_owned(), "hand".to_owned())]),
        };
        match live {
            AnyLive::Bucket(live) => live.tags = theirs,
            AnyLive::DbInstance(live) => live.tags = theirs,
            AnyLive::DbSubnetGroup(live) => live.tags = theirs,
            AnyLive::Secret(live) => live.tags = theirs,
            AnyLive::SecurityGroup(live) => live.tags = theirs,
            AnyLive::Stack(live) => live.tags = theirs,
            AnyLive::VpcEndpoint(live) => live.tags = theirs,
            AnyLive::Login(live) => {
                live.role.comment = other.map(|deployment| {
                    RoleComment { deployment: deployment.to_owned(), address: address.to_string() }.text()
                });
            }
            // A zip is named by its content and a rotation is its secret's: neither has an owner of its
            // own. A rule that says what we want is taken over, in a group that is ours.
            AnyLive::Artifact(_) | AnyLive::Rotation(_) => {}
            // Only referred to: whose it is, is no matter.
            AnyLive::DbCluster(_) => {}
            AnyLive::SecurityGroupRule(live) => live.rule.iter_mut().for_each(|rule| rule.tags = theirs.clone()),
        }
    }
}

#[test]
fn what_carries_no_mark() {
    let article = Scenario::article();
    let mut live = article.realised();
    give_away(&mut live, None);
    article.refuses("refuse-unmarked", Goal::Converge, &live);
}

/// One that we have begun to make holds nothing yet; somebody's own would be destroyed with the deployment.
#[test]
fn a_bucket_that_somebody_uses() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, Bucket, "bucket.pgrotate-article-111122223333-eu-north-1", |live| {
        live.tags.clear();
        live.holds_others = true;
    });
    article.refuses("refuse-bucket-of-others", Goal::Converge, &live);
}

#[test]
fn what_belongs_to_another_deployment() {
    let article = Scenario::article();
    let mut live = article.realised();
    give_away(&mut live, Some("billing"));
    article.refuses("refuse-another-deployment", Goal::Converge, &live);
}

/// A restored snapshot carries the tags of what it was made from.
#[test]
fn what_carries_the_mark_of_something_else() {
    let article = Scenario::article();
    let mut live = article.realised();
    let mark = Mark::new("article".to_owned(), at("db_instance.the-original"));
    change!(live, DbInstance, "db_instance.my-postgres-instance", |live| live.tags = mark.tags());
    article.refuses("refuse-copied-tags", Goal::Converge, &live);
}

#[test]
fn an_endpoint_of_somebody_else() {
    let article = Scenario::article();
    let mut live = article.nothing();
    let mut theirs = article.realised();
    change!(theirs, VpcEndpoint, "vpc_endpoint.secretsmanager", |live| live.tags.clear());
    set(&mut live, "vpc_endpoint.secretsmanager", theirs.remove(&at("vpc_endpoint.secretsmanager")).unwrap());
    article.refuses("refuse-endpoint-of-somebody-else", Goal::Converge, &live);
}

#[test]
fn what_cannot_be_changed_in_place() {
    let article = Scenario::article();
    let instance = "db_instance.my-postgres-instance";
    type Spoil = fn(&mut Observed);
    let cases: [(&str, Spoil); 4] = [
        ("refuse-major-version", |live| live.version = Version { major: 15, minor: Some(8) }),
        ("refuse-smaller-storage", |live| live.storage = 100),
        ("refuse-encryption", |live| live.encrypted = false),
        ("refuse-port", |live| live.port = Some(6432)),
    ];
    for (name, change) in cases {
        let mut live = article.realised();
        change!(live, DbInstance, instance, |live| change(live));
        article.refuses(name, Goal::Converge, &live);
    }
}

#[test]
fn what_could_not_be_looked_at() {
    let article = Scenario::article();
    let mut live = article.realised();
    // Roles are seen through a function that may not exist yet; everything else must be seen.
    for (address, seen) in live.iter_mut().filter(|(address, _)| address.kind.0 != "login") {
        *seen = Seen::Unobservable(format!("no permission to describe {}", address.kind));
    }
    article.refuses("refuse-unobservable", Goal::Converge, &live);
}

#[test]
fn a_stack_that_cannot_be_updated() {
    let article = Scenario::article();
    for (status, name) in [
        ("UPDATE_ROLLBACK_FAILED", "refuse-stack-stuck"),
        ("UPDATE_FAILED", "refuse-stack-failed"),
        ("REVIEW_IN_PROGRESS", "refuse-stack-in-review"),
    ] {
        let mut live = article.realised();
        change!(live, Stack, "stack.pgpasslambda-stack", |live| {
            live.status = status.to_owned();
            live.reason = Some("RotationFunction could not be restored".to_owned());
        });
        article.refuses(name, Goal::Converge, &live);
    }
}

/// An update that failed has been undone: what is as it should be all the same needs no other.
#[test]
fn a_stack_whose_update_was_undone() {
    let article = Scenario::article();
    let mut live = article.realised();
    change!(live, Stack, "stack.pgpasslambda-stack", |live| {
        live.status = "UPDATE_ROLLBACK_COMPLETE".to_owned();
    });
    let plan = article.plan(Goal::Converge, &live).unwrap();
    assert!(plan.actions.is_empty(), "{:?}", plan.actions);
}

/// Two secrets would hold two passwords of one role.
#[test]
fn a_secret_of_another_name() {
    let renamed = Scenario::article().with("secret = \"test_user1_secret\"", "secret = \"app/test_user1\"");
    let secrets = vec![Tagged { name: "test_user1_secret".to_owned(), login: "test_user1".to_owned() }];
    let found = Found { secrets, ..Found::default() };
    let refusals = desired::leavers(&renamed.config(), &place(), &mut renamed.wants(), found, true).unwrap_err();
    refused("refuse-renamed-secret", &refusals);
}

/// What the config only refers to must be there, and such that logins can rotate in it.
#[test]
fn an_instance_of_others_that_does_not_do() {
    let refers = crate::scenarios::all().into_iter().find(|life| life.name == "new-with-existing-database").unwrap();
    let life = Life::of(&refers);
    let refuses = |name: &str, spoil: &dyn Fn(&mut State)| {
        let mut live = life.live.clone();
        spoil(&mut live);
        match plan::<Kinds>(Goal::Converge, &life.wants, &life.leavers, &live) {
            Err(PlanError::Refused(refusals)) => refused(name, &refusals),
            other => panic!("{name}: {other:?}"),
        }
    };
    let instance = "db_instance.legacy-db";
    refuses("refuse-no-such-instance", &|live| set(live, instance, Seen::Absent));
    refuses("refuse-another-engine", &|live| {
        change!(live, DbInstance, instance, |live| live.engine = "mysql".to_owned());
    });
    refuses("refuse-member-of-a-cluster", &|live| {
        change!(live, DbInstance, instance, |live| live.cluster = Some("theirs".to_owned()));
    });
    refuses("refuse-no-master-secret", &|live| {
        change!(live, DbInstance, instance, |live| live.master_secret = None);
    });
}

/// Told before anything is made, not by RDS after ten minutes.
#[test]
fn a_version_that_is_not_offered() {
    let article = Scenario::article().with("engine_version = \"16\"", "engine_version = \"16.99\"");
    article.refuses("refuse-version-not-offered", Goal::Converge, &article.nothing());
}

/// A major of which RDS offers nothing any more, or not yet.
#[test]
fn a_major_that_is_not_offered() {
    let article = Scenario::article();
    let mut wants = article.wants();
    for want in &mut wants {
        if let Want::DbInstance(want) = want {
            want.spec.as_mut().expect("it is made").offered.clear();
        }
    }
    match plan::<Kinds>(Goal::Converge, &wants, &[], &article.nothing()) {
        Err(PlanError::Refused(refusals)) => {
            assert_eq!(refusals.iter().map(|(_, refusal)| refusal.code).collect::<Vec<_>>(), [Code::NotOffered]);
        }
        other => panic!("{other:?}"),
    }
    // One that is there already goes on.
    assert!(plan::<Kinds>(Goal::Converge, &wants, &[], &article.realised()).unwrap().actions.is_empty());
}

//! A deployment on a DB cluster that others have made: what is told of it, and what is refused.

use crate::lives::Life;
use crate::scenario::{Scenario, change, check_edges, document, golden, set};
use crate::telling::drift_of;
use pgrotate::model::Seen;
use pgrotate::plan::Goal;
use pgrotate::render::human;
use pgrotate::resource::Verb;
use pgrotate::resources::db_cluster::{Certificate, Member, Observed, Server};
use pgrotate::resources::db_instance::Age;
use pgrotate::resources::security_group::GroupId;
use std::collections::BTreeSet;

const CLUSTER: &str = "db_cluster.my-cluster";

pub fn aurora() -> Scenario {
    Scenario::of(include_str!("../../configs/scenarios/aurora-cluster.toml"))
}

/// Changes what is seen of the cluster, and compares what `drift` tells with the golden file.
fn drifts(name: &str, change: impl FnOnce(&mut Observed)) {
    let aurora = aurora();
    let mut live = aurora.realised();
    change!(live, DbCluster, CLUSTER, |live| change(live));
    golden(name, &human::drift(&drift_of(&aurora, &live)));
}

fn server(host: &str) -> Server {
    Server { host: format!("{host}.example.rds.amazonaws.com"), port: 5432 }
}

fn member(identifier: &str) -> Member {
    Member {
        identifier: identifier.to_owned(),
        is_writer: false,
        status: "available".to_owned(),
        server: Some(server(identifier)),
        certificate: None,
    }
}

/// Behind the endpoints, which lead to it too; nothing else moves.
#[test]
fn a_member_is_added() {
    drifts("drift-by-a-member", |live| live.members.push(member("my-cluster-3")));
}

/// Renamed, say: the functions are told, and every secret.
#[test]
fn its_endpoint_is_another() {
    drifts("drift-by-an-endpoint", |live| live.writer = Some(server("other.cluster")));
}

/// Another server, another tag on the master's secret, and other secrets: all of it by one update of the stack and one look
/// at each login.
#[test]
fn a_database_moves_into_a_cluster() {
    let legacy = Scenario::of(include_str!("../../configs/scenarios/existing-database.toml"));
    let moved = legacy.with("identifier = \"legacy-db\"\nmanage = false", "cluster = \"my-cluster\"");
    golden("moved-to-a-cluster", &human::plan(&document(&Life::between(&legacy, &moved).plan())));
}

/// The instance that was made here stays, and whoever reaches it: AWS would not delete its group while it is in it.
#[test]
fn what_was_made_stays_reachable() {
    let article = Scenario::article();
    let before = article.text.as_str();
    let begin = before.find("[database]").expect("a table");
    let end = begin + before[begin..].find("\n[function]").expect("the next");
    let database = "[database]\ncluster = \"my-cluster\"\nsecurity_group = { existing = \"my-rds-sg\" }\n";
    let moved = Scenario::of(&format!("{}{database}{}", &before[..begin], &before[end..]));
    let plan = Life::between(&article, &moved).plan();
    golden("moved-from-what-was-made-here", &human::plan(&document(&plan)));
    for action in plan.actions.iter().filter(|action| action.verb == Verb::Delete) {
        let kind = action.address.kind.0;
        assert!(kind != "security_group" || action.address.name != "database", "{}", action.address);
        assert!(kind != "security_group_rule" || !action.address.name.starts_with("database"), "{}", action.address);
    }
}

/// A certificate is a member's, and so is what renews it.
#[test]
fn the_certificate_of_a_member_ends() {
    drifts("drift-by-a-members-certificate", |live| {
        let (authority, until) = ("rds-ca-rsa2048-g1".to_owned(), "2026-03-01".to_owned());
        live.members[1].certificate = Some(Certificate { authority, until, age: Age::Ending });
    });
}

/// A Multi-AZ cluster has one certificate for all, and nobody changes its members one by one.
#[test]
fn the_certificate_of_a_multi_az_cluster_ends() {
    let cluster = aurora();
    let mut live = cluster.realised();
    change!(live, DbCluster, CLUSTER, |live| {
        live.engine = "postgres".to_owned();
        let (authority, until) = ("rds-ca-rsa2048-g1".to_owned(), "2026-03-01".to_owned());
        live.members[1].certificate = Some(Certificate { authority, until, age: Age::Ending });
    });
    let found = drift_of(&cluster, &live).findings;
    let fix =
        "aws rds modify-db-cluster --db-cluster-identifier my-cluster --ca-certificate-identifier rds-ca-rsa4096-g1";
    assert!(found.iter().any(|finding| finding.fix.contains(fix)), "{found:#?}");
}

/// Which member writes is no drift, nor that one without an address comes: endpoints and their order are as before.
#[test]
fn a_failover_is_no_drift() {
    let aurora = aurora();
    let mut live = aurora.realised();
    change!(live, DbCluster, CLUSTER, |live| {
        live.members.iter_mut().for_each(|member| member.is_writer = !member.is_writer);
        live.members.push(Member { status: "creating".to_owned(), server: None, ..member("my-cluster-3") });
    });
    let plan = aurora.plan(Goal::Converge, &live).unwrap();
    assert!(plan.actions.is_empty() && plan.notes.is_empty(), "{}", human::plan(&document(&plan)));
}

/// What others have begun is waited for, before anything is made that depends on it.
#[test]
fn what_is_under_way_is_waited_for() {
    let aurora = aurora();
    let mut live = aurora.nothing();
    let mut there = aurora.realised();
    for address in [CLUSTER, "security_group.my-rds-sg"] {
        set(&mut live, address, there.remove(&crate::scenario::at(address)).unwrap());
    }
    change!(live, DbCluster, CLUSTER, |live| live.status = "modifying".to_owned());
    aurora.converges("cluster-under-way", &live);
}

#[test]
fn a_cluster_stays_when_all_else_goes() {
    let aurora = aurora();
    let plan = aurora.plan(Goal::Destroy, &aurora.realised()).unwrap();
    let document = document(&plan);
    check_edges(&document);
    assert!(plan.actions.iter().all(|action| action.address.kind.0 != "db_cluster"));
    golden("destroy-on-a-cluster", &human::plan(&document));
}

#[test]
fn a_cluster_that_does_not_do() {
    type Spoil = fn(&mut Observed);
    let cases: [(&str, Spoil); 10] = [
        ("refuse-cluster-engine", |live| live.engine = "aurora-mysql".to_owned()),
        ("refuse-cluster-serverless-v1", |live| live.mode = Some("serverless".to_owned())),
        ("refuse-cluster-replica", |live| {
            live.source = Some("arn:aws:rds:eu-west-1:111122223333:cluster:theirs".to_owned());
        }),
        ("refuse-cluster-stopped", |live| live.status = "stopped".to_owned()),
        ("refuse-cluster-broken", |live| live.status = "migration-failed".to_owned()),
        ("refuse-cluster-port", |live| live.port = Some(6432)),
        ("refuse-cluster-no-master-secret", |live| live.master_secret = None),
        ("refuse-cluster-group", |live| live.groups = BTreeSet::from([GroupId("sg-0bbbbbbbbbbbbbbbb".to_owned())])),
        ("refuse-cluster-empty", |live| live.members.clear()),
        ("refuse-cluster-writer", |live| live.members[0].status = "storage-full".to_owned()),
    ];
    let aurora = aurora();
    for (name, spoil) in cases {
        let mut live = aurora.realised();
        change!(live, DbCluster, CLUSTER, |live| spoil(live));
        aurora.refuses(name, Goal::Converge, &live);
    }
    let mut live = aurora.realised();
    set(&mut live, CLUSTER, Seen::Absent);
    aurora.refuses("refuse-no-such-cluster", Goal::Converge, &live);
    // Its logins are known to be gone with it: nothing is planned beside the refusal.
    set(&mut live, CLUSTER, Seen::Unobservable("no permission to describe it".to_owned()));
    aurora.refuses("refuse-unobservable-cluster", Goal::Converge, &live);
}

use crate::fake::{CURRENT, PENDING, PREVIOUS};
use crate::world::{STEPS, World, token};
use function_contract::{
    Duty, Fact, InspectLogin, InspectionReport, InspectionRequest, LoginAttempt, Provisioned, ProvisioningRequest,
    Strategy, error_type, tag,
};
use rotation_function::config::{Config, Function, Hosts};
use rotation_function::context::Context;
use rotation_function::database::identifier;
use rotation_function::handler;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn every_labelled_version_is_tried_in_order_and_nothing_is_written() {
    let world = World::new(Strategy::SingleUser).await;
    world.rotate(&world.user_arn).await;
    let pending = token();
    world.store.start_rotation(&world.user_arn, &pending).unwrap();
    world.store.calls();
    let facts = world.inspect(&world.user_arn).await;
    assert!(world.store.calls().iter().all(|call| ["DescribeSecret", "GetSecretValue"].contains(call)));
    let seen: Vec<(&str, &LoginAttempt)> =
        facts.versions.iter().map(|version| (version.labels[0].as_str(), &version.login)).collect();
    assert_eq!(seen[0], (CURRENT, &LoginAttempt::Succeeded));
    assert_eq!(seen[1], (PENDING, &LoginAttempt::NoValue));
    assert_eq!(seen[2].0, PREVIOUS);
    assert!(matches!(seen[2].1, LoginAttempt::Refused { sqlstate, .. } if sqlstate == "28P01"), "{seen:?}");
    assert_eq!(seen.len(), 3);
    assert_eq!(facts.versions[0].username.as_deref(), Some(world.user.as_str()));
    assert_eq!(facts.versions[0].host, Some(format!("127.0.0.1:{}", world.server.port)));
}

#[tokio::test]
async fn roles_are_seen_through_the_admin_when_the_login_is_locked_out() {
    let world = World::new(Strategy::AlternatingUsers).await;
    world.server.sql(&format!("ALTER ROLE {} PASSWORD NULL", identifier(&world.user))).await;
    let facts = world.inspect(&world.user_arn).await;
    assert!(matches!(&facts.role, Fact::Known(Some(role)) if role.can_login), "{facts:?}");
    assert_eq!(facts.clone, Fact::Known(None));

    world.server.sql(&format!("ALTER ROLE {} PASSWORD NULL", identifier(&world.admin))).await;
    let facts = world.inspect(&world.user_arn).await;
    for fact in [&facts.role, &facts.clone] {
        assert!(matches!(fact, Fact::Unknown(why) if why.contains("28P01")), "{facts:?}");
    }
}

/// Who uses a login shows whoever looks: the login itself, or the admin. Our own sessions, this look's among them, do not
/// count.
#[tokio::test]
async fn open_sessions_of_applications_are_counted() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let sessions = async || world.inspect(&world.user_arn).await.sessions;
    assert_eq!(sessions().await, Fact::Known(BTreeMap::new()));
    let open = async || {
        let value = world.current(&world.user_arn);
        let text = |key: &str| value[key].as_str().unwrap().to_owned();
        world.server.application(&text("username"), &text("password")).await.unwrap()
    };
    let base = open().await;
    world.rotate(&world.user_arn).await;
    let clones = [open().await, open().await];
    let there = BTreeMap::from([(world.user.clone(), 1), (world.clone_name(), 2)]);
    assert_eq!(sessions().await, Fact::Known(there.clone()));
    let names = [world.user.clone(), world.clone_name()].map(|name| identifier(&name));
    for name in &names {
        world.server.sql(&format!("ALTER ROLE {name} PASSWORD NULL")).await;
    }
    assert_eq!(sessions().await, Fact::Known(there), "the admin looks");
    world.server.sql(&format!("ALTER ROLE {} PASSWORD NULL", identifier(&world.admin))).await;
    assert!(matches!(sessions().await, Fact::Unknown(_)));
    drop((base, clones));
}

#[tokio::test]
async fn a_login_that_is_not_provisioned_has_no_role_and_no_version() {
    let world = World::unprovisioned(Strategy::AlternatingUsers);
    let facts = world.inspect(&world.user_arn).await;
    assert!(matches!(facts.role, Fact::Unknown(_)), "nobody can look yet: {facts:?}");
    world.ensure(world.request(Duty::Admin)).await.unwrap();
    let facts = world.inspect(&world.user_arn).await;
    assert_eq!((facts.role, facts.clone, facts.versions), (Fact::Known(None), Fact::Known(None), Vec::new()));
}

#[tokio::test]
async fn a_value_that_cannot_be_used_is_told_as_such() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let mut value = world.current(&world.user_arn);
    value["host"] = "evil.example".into();
    value.as_object_mut().unwrap().remove("dbInstanceIdentifier");
    world.store.put_by_hand(&world.user_arn, &token(), &value.to_string());
    let facts = world.inspect(&world.user_arn).await;
    assert!(matches!(facts.versions[0].login, LoginAttempt::Unreachable { .. }), "{facts:?}");
    assert_eq!(facts.versions[0].missing_keys, ["dbInstanceIdentifier"]);
    assert_eq!(facts.versions[1].login, LoginAttempt::Succeeded);
    assert!(matches!(facts.role, Fact::Known(Some(_))));
}

#[tokio::test]
async fn a_secret_that_cannot_be_described_fails_the_request() {
    let world = World::new(Strategy::SingleUser).await;
    let inspect = async |login: &str, arn: &str| {
        let request =
            InspectionRequest { logins: vec![InspectLogin { login: login.to_owned(), secret_arn: arn.to_owned() }] };
        world.context().inspect(&request).await.unwrap_err().error_type()
    };
    assert_eq!(inspect(&world.user, "arn:none").await, error_type::SECRETS_MANAGER);
    assert_eq!(inspect(&world.admin, &world.user_arn).await, error_type::SECRET_REFUSED);
    assert_eq!(inspect("postgres", &world.user_arn).await, error_type::BAD_EVENT);
    world.store.with(&world.user_arn, |secret| secret.tags.insert(tag::DEPLOYMENT.into(), "other".into()));
    assert_eq!(inspect(&world.user, &world.user_arn).await, error_type::SECRET_REFUSED);
}

#[tokio::test]
async fn one_binary_answers_as_the_function_it_is_told_to_be() {
    let world = World::unprovisioned(Strategy::AlternatingUsers);
    let invoke = async |function: Function, payload: serde_json::Value| {
        let config = Config { function, ..world.config.clone() };
        handler::handle(&config, &world.store, &world.database, payload, Duration::from_secs(25)).await
    };
    for duty in [Duty::Admin, Duty::User] {
        let request = serde_json::to_value(ProvisioningRequest::EnsureLogin(world.request(duty))).unwrap();
        let done: Provisioned = serde_json::from_value(invoke(Function::Provisioning, request).await.unwrap()).unwrap();
        assert!(done.value_stored);
    }
    let pending = token();
    world.store.start_rotation(&world.user_arn, &pending).unwrap();
    for step in STEPS {
        let event = serde_json::json!({"Step": step, "SecretId": world.user_arn, "ClientRequestToken": pending});
        assert_eq!(invoke(Function::Rotation, event.clone()).await.unwrap(), serde_json::Value::Null);
        for other in [Function::Provisioning, Function::Inspection] {
            assert_eq!(invoke(other, event.clone()).await.unwrap_err().error_type(), error_type::NOT_UNDERSTOOD);
        }
    }
    let login = InspectLogin { login: world.user.clone(), secret_arn: world.user_arn.clone() };
    let request = serde_json::to_value(InspectionRequest { logins: vec![login] }).unwrap();
    let report: InspectionReport =
        serde_json::from_value(invoke(Function::Inspection, request).await.unwrap()).unwrap();
    assert_eq!(report.logins[0].versions[0].username, Some(world.clone_name()));
    let sql = serde_json::json!({"operation": "ensure_login", "sql": "DROP TABLE x"});
    assert_eq!(invoke(Function::Provisioning, sql).await.unwrap_err().error_type(), error_type::NOT_UNDERSTOOD);
}

#[tokio::test]
async fn before_the_cli_knows_the_servers_no_server_is_talked_to() {
    let world = World::new(Strategy::SingleUser).await;
    let config = Config { hosts: Hosts::default(), ..world.config.clone() };
    let until = Instant::now() + Duration::from_secs(25);
    let context = Context::new(&config, &world.store, &world.database, until);
    let error = context.provision(&ProvisioningRequest::EnsureLogin(world.request(Duty::User))).await.unwrap_err();
    assert_eq!(error.error_type(), error_type::SECRET_REFUSED, "{error}");
}

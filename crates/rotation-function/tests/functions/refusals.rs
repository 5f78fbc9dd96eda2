//! Bad input, one line each: what is wrong, the error's type, and the words by which the message names it. Nothing
//! is written by any of it, neither in Secrets Manager nor in the database.

use crate::fake::CURRENT;
use crate::server::MASTER;
use crate::world::{DEPLOYMENT, MASTER_ARN, STEPS, World, token};
use function_contract::error_type::{
    BAD_EVENT, NOT_UNDERSTOOD, ROLE_NOT_OURS, SECRET_REFUSED, SECRETS_MANAGER, UNREACHABLE,
};
use function_contract::{
    Duty, EnsureLogin, ProvisioningRequest, RecoverLogin, Recovery, Strategy, clone_of, encode_tag, tag,
};
use rotation_function::config::{Config, Function};
use rotation_function::database::{identifier, literal};
use rotation_function::error::FunctionError;
use rotation_function::handler;
use serde_json::{Value, json};
use std::time::Duration;

/// All that a refused invocation could have changed: versions, labels and tags, and all that the catalogue says of
/// the roles it could have reached.
async fn all_there_is(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for arn in [&world.user_arn, &world.config.admin_secret_arn, MASTER_ARN] {
        let dump =
            |secret: &mut crate::fake::Secret| format!("{:?} {:?} {:?}", secret.values, secret.labels, secret.tags);
        all.push(world.store.with(arn, dump));
    }
    let names = [&world.user, &clone_of(&world.user), &world.admin, MASTER].map(literal).join(", ");
    let sql = format!(
        "SELECT (to_jsonb(a) || jsonb_build_object('comment', shobj_description(a.oid, 'pg_authid'), 'settings', \
         (SELECT jsonb_agg(s) FROM pg_db_role_setting s WHERE s.setrole = a.oid)))::text FROM pg_authid a \
         WHERE rolname IN ({names}) OR rolname ~ '^(rds|pg_)' ORDER BY rolname"
    );
    all.extend(world.server.texts(&sql).await);
    all
}

/// Invokes a function with `payload`, and expects this refusal and no trace.
async fn is_refused(world: &World, function: Function, payload: Value, what: &str, kind: &str, names: &str) {
    let before = all_there_is(world).await;
    world.store.calls();
    let config = Config { function, ..world.config.clone() };
    let remaining = Duration::from_secs(28);
    let error: FunctionError = handler::handle(&config, &world.store, &world.database, payload, remaining)
        .await
        .err()
        .unwrap_or_else(|| panic!("{what}: it was taken"));
    assert_eq!(error.error_type(), kind, "{what}: {error}");
    assert!(error.to_string().contains(names), "{what}: `{names}` is not in: {error}");
    let wrote = world.store.calls().into_iter().find(|call| !["DescribeSecret", "GetSecretValue"].contains(call));
    assert_eq!(wrote, None, "{what}");
    assert_eq!(all_there_is(world).await, before, "{what}");
}

fn event(world: &World, step: &str, token: &str) -> Value {
    json!({"Step": step, "SecretId": world.user_arn, "ClientRequestToken": token})
}

#[tokio::test]
async fn rotation_events() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let pending = token();
    world.store.start_rotation(&world.user_arn, &pending).unwrap();
    let good = event(&world, "createSecret", &pending);
    let with = |key: &str, value: Value| {
        let mut event = good.clone();
        event[key] = value;
        event
    };
    let without = |key: &str| {
        let mut event = good.clone();
        event.as_object_mut().unwrap().remove(key);
        event
    };
    for (what, payload, kind, names) in [
        ("no object", json!("createSecret"), BAD_EVENT, "no JSON object"),
        ("a list", json!([good.clone()]), BAD_EVENT, "no JSON object"),
        ("nothing", json!(null), BAD_EVENT, "no JSON object"),
        ("no step", without("Step"), BAD_EVENT, "no Step"),
        ("no secret", without("SecretId"), BAD_EVENT, "no SecretId"),
        ("no token", without("ClientRequestToken"), BAD_EVENT, "no ClientRequestToken"),
        ("an unknown step", with("Step", json!("dropSecret")), BAD_EVENT, "Step is \"dropSecret\""),
        ("a step that is no text", with("Step", json!(1)), BAD_EVENT, "Step is not text"),
        ("a secret that is no text", with("SecretId", json!({})), BAD_EVENT, "SecretId is not text"),
        ("a token that is no text", with("ClientRequestToken", json!(1)), BAD_EVENT, "ClientRequestToken is not text"),
        ("a short token", with("ClientRequestToken", json!("x")), BAD_EVENT, "ClientRequestToken"),
        ("a token of nowhere", with("ClientRequestToken", json!(token())), BAD_EVENT, "has no version"),
        ("a rotation token that is no text", with("RotationToken", json!(1)), BAD_EVENT, "RotationToken is not text"),
        ("a secret of nowhere", with("SecretId", json!("arn:none")), SECRETS_MANAGER, "ResourceNotFoundException"),
        ("the master's secret", with("SecretId", json!(MASTER_ARN)), SECRET_REFUSED, "pgrotate:deployment"),
        ("the CLI's own request", json!({"operation": "disable_login"}), BAD_EVENT, "no Step"),
    ] {
        is_refused(&world, Function::Rotation, payload, what, kind, names).await;
    }
    for (key, value, kind, names) in [
        (tag::DEPLOYMENT, "other", SECRET_REFUSED, "pgrotate:deployment says other"),
        (tag::DEPLOYMENT, "", SECRET_REFUSED, "pgrotate:deployment"),
        (tag::LOGIN, "=zz", SECRET_REFUSED, "pgrotate:login"),
        (tag::LOGIN, "", BAD_EVENT, "it is empty"),
        (tag::LOGIN, "rds_x", BAD_EVENT, "\"rds_x\""),
        (tag::LOGIN, "pg_x", BAD_EVENT, "\"pg_x\""),
        (tag::LOGIN, "postgres", BAD_EVENT, "\"postgres\""),
        (tag::LOGIN, &"l".repeat(64), BAD_EVENT, "63 bytes"),
    ] {
        let old = world.store.with(&world.user_arn, |secret| secret.tags.insert(key.into(), value.into())).unwrap();
        for step in STEPS {
            let what = format!("{step}, its tag {key}={value}");
            is_refused(&world, Function::Rotation, event(&world, step, &pending), &what, kind, names).await;
        }
        world.store.with(&world.user_arn, |secret| secret.tags.insert(key.into(), old));
    }
}

/// Each is AWSCURRENT once, with createSecret; and once AWSPENDING under a good AWSCURRENT, with the others.
#[tokio::test]
async fn values_of_secrets() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let arn = &world.user_arn;
    let good = world.current(arn);
    let with = |key: &str, value: Value| {
        let mut bad = good.clone();
        bad[key] = value;
        bad.to_string()
    };
    let without = |key: &str| {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(key);
        bad.to_string()
    };
    let twice = |key: &str| good.to_string().replacen('{', &format!("{{\"{key}\":\"evil\","), 1);
    let mut bad = vec![
        ("no JSON".to_owned(), "hunter2".to_owned(), "not a JSON object"),
        ("an empty list".to_owned(), "[]".to_owned(), "not a JSON object"),
        ("cut short".to_owned(), good.to_string()[..40].to_owned(), "not a JSON object"),
        ("more behind it".to_owned(), format!("{good} x"), "not a JSON object"),
        ("another engine".to_owned(), with("engine", json!("mysql")), "engine"),
        ("an engine in capitals".to_owned(), with("engine", json!("Postgres")), "engine"),
        ("a foreign host".to_owned(), with("host", json!("evil.example")), "names evil.example:"),
        ("a host with a port".to_owned(), with("host", json!("127.0.0.1:1@evil.example")), "names "),
        ("two hosts".to_owned(), with("host", json!("127.0.0.1,evil.example")), "names 127.0.0.1,evil.example:"),
        ("a socket".to_owned(), with("host", json!("/tmp")), "names /tmp:"),
        ("an empty host".to_owned(), with("host", json!("")), "\"host\""),
        ("another port".to_owned(), with("port", json!(1)), "names 127.0.0.1:1,"),
        ("port 0".to_owned(), with("port", json!(0)), "\"port\""),
        ("a port beyond all".to_owned(), with("port", json!(65536)), "\"port\""),
        ("a broken port".to_owned(), with("port", json!(5432.5)), "\"port\""),
        ("the admin login".to_owned(), with("username", json!(world.admin)), "names user"),
        ("the superuser".to_owned(), with("username", json!("postgres")), "names user \"postgres\""),
        ("an empty user".to_owned(), with("username", json!("")), "\"username\""),
        ("a NUL in the user".to_owned(), with("username", json!("a\0b")), "\"username\""),
        ("another admin".to_owned(), with("masterarn", json!("arn:other")), "masterarn"),
    ];
    for key in ["engine", "host", "username", "password"] {
        bad.push((format!("no {key}"), without(key), key));
    }
    for key in ["engine", "host", "port", "username", "password", "dbname", "masterarn", "dbInstanceIdentifier"] {
        bad.push((format!("{key} twice"), twice(key), key));
        for odd in [json!(null), json!(true), json!([]), json!({"a": 1}), json!(-1)] {
            bad.push((format!("{key} is {odd}"), with(key, odd), key));
        }
    }
    for (what, text, names) in bad {
        let pending = token();
        world.store.put_by_hand(arn, &token(), &text);
        world.store.start_rotation(arn, &pending).unwrap();
        let create = event(&world, "createSecret", &pending);
        is_refused(&world, Function::Rotation, create, &what, SECRET_REFUSED, names).await;
        world.store.put_by_hand(arn, &token(), &good.to_string());
        // With the name that an honest createSecret puts there.
        let clone = json!({ "username": clone_of(&world.user) }).to_string();
        let text = text.replacen(
            json!({ "username": world.user }).to_string().trim_matches(['{', '}']),
            clone.trim_matches(['{', '}']),
            1,
        );
        world.store.with(arn, |secret| secret.values.insert(pending.clone(), Some(text)));
        for step in ["setSecret", "testSecret", "finishSecret"] {
            // Whose secret rotates it is asked where it is rotated, before any of the steps that follow.
            if what == "another admin" && step != "setSecret" {
                continue;
            }
            let what = format!("{step}: pending, {what}");
            is_refused(&world, Function::Rotation, event(&world, step, &pending), &what, SECRET_REFUSED, names).await;
        }
        world.store.with(arn, |secret| secret.labels.remove("AWSPENDING"));
    }
    // An empty pending version: nothing to set, and nothing that may become current.
    for empty in [None, Some(String::new())] {
        let pending = token();
        world.store.start_rotation(arn, &pending).unwrap();
        world.store.with(arn, |secret| secret.values.insert(pending.clone(), empty.filter(|text| !text.is_empty())));
        for step in ["setSecret", "finishSecret"] {
            let event = event(&world, step, &pending);
            is_refused(&world, Function::Rotation, event, step, SECRET_REFUSED, "AWSPENDING version holds no value")
                .await;
        }
        world.store.with(arn, |secret| secret.labels.remove("AWSPENDING"));
    }
    // And after all that it rotates.
    world.rotate(arn).await;
    assert!(world.current_works(arn).await);
}

#[tokio::test]
async fn provisioning_requests() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let good = serde_json::to_value(ProvisioningRequest::EnsureLogin(world.request(Duty::User))).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut request = good.clone();
        *request.pointer_mut(pointer).unwrap() = value;
        request
    };
    let also = |key: &str, value: Value| {
        let mut request = good.clone();
        request[key] = value;
        request
    };
    let without = |key: &str| {
        let mut request = good.clone();
        request.as_object_mut().unwrap().remove(key);
        request
    };
    let disable = |login: &str| json!({"operation": "disable_login", "login": login, "address": "login.x"});
    let long = "l".repeat(64);
    let mut table = vec![
        ("no object", json!(null), NOT_UNDERSTOOD, "another version"),
        ("no operation", without("operation"), NOT_UNDERSTOOD, "operation"),
        ("an unknown operation", with("/operation", json!("run_sql")), NOT_UNDERSTOOD, "run_sql"),
        ("no login", without("login"), NOT_UNDERSTOOD, "login"),
        ("no secret", without("secret_arn"), NOT_UNDERSTOOD, "secret_arn"),
        ("no server", without("server"), NOT_UNDERSTOOD, "server"),
        ("a key more", also("sql", json!("DROP TABLE x")), NOT_UNDERSTOOD, "sql"),
        ("a login that is no text", with("/login", json!(1)), NOT_UNDERSTOOD, "string"),
        ("a port beyond all", with("/server/port", json!(65536)), NOT_UNDERSTOOD, "65536"),
        ("an unknown strategy", with("/strategy", json!("none")), NOT_UNDERSTOOD, "none"),
        ("an unknown duty", with("/duty", json!("master")), NOT_UNDERSTOOD, "master"),
        ("an event of a rotation", event(&world, "setSecret", &token()), NOT_UNDERSTOOD, "operation"),
        ("a name of 64 bytes", with("/login", json!(long)), BAD_EVENT, "63 bytes"),
        ("a clone of 64 bytes", with("/login", json!(&long[..58])), BAD_EVENT, "64 bytes"),
        ("the superuser", with("/login", json!("postgres")), BAD_EVENT, "\"postgres\""),
        ("a role of RDS", with("/login", json!("rds_superuser")), BAD_EVENT, "\"rds_superuser\""),
        ("a role of RDS that is not there", with("/login", json!("rds_x")), BAD_EVENT, "\"rds_x\""),
        ("a role of PostgreSQL", with("/login", json!("pg_monitor")), BAD_EVENT, "\"pg_monitor\""),
        ("no name", with("/login", json!("")), BAD_EVENT, "it is empty"),
        ("a NUL", with("/login", json!("a\0b")), BAD_EVENT, "NUL"),
        ("the master, by another's secret", with("/login", json!(MASTER)), SECRET_REFUSED, "not \"dbmaster\""),
        (
            "another login's secret",
            with("/secret_arn", json!(world.config.admin_secret_arn)),
            SECRET_REFUSED,
            "it is for",
        ),
        (
            "the master's secret",
            with("/secret_arn", json!(MASTER_ARN)),
            SECRET_REFUSED,
            "pgrotate:deployment says none",
        ),
        ("a secret of nowhere", with("/secret_arn", json!("arn:none")), SECRETS_MANAGER, "arn:none"),
        ("a foreign host", with("/server/host", json!("evil.example")), UNREACHABLE, "not among the servers"),
        ("another's address", with("/address", json!("login.other")), ROLE_NOT_OURS, "login.other"),
        ("an admin of two", with("/duty", json!("admin")), BAD_EVENT, "single user"),
        ("a role of RDS to be in", with("/attributes/member_of", json!(["rds_superuser"])), BAD_EVENT, "rds_superuser"),
        ("the admin login to be in", with("/attributes/member_of", json!([world.admin])), BAD_EVENT, &world.admin),
        ("the master to be in", with("/attributes/member_of", json!([MASTER])), BAD_EVENT, "it is the master user"),
        (
            "a role setting in capitals",
            with("/attributes/settings", json!({"ROLE": "postgres"})),
            BAD_EVENT,
            "setting ROLE",
        ),
        ("a role setting", with("/attributes/settings", json!({"role": "postgres"})), BAD_EVENT, "setting role"),
        ("taking LOGIN from the master", disable(MASTER), BAD_EVENT, "it is the master user"),
        ("from the superuser", disable("postgres"), BAD_EVENT, "\"postgres\""),
        ("from a role of RDS", disable("rds_x"), BAD_EVENT, "\"rds_x\""),
        ("from a role of PostgreSQL", disable("pg_monitor"), BAD_EVENT, "\"pg_monitor\""),
        ("from a name of 64 bytes", disable(&long), BAD_EVENT, "63 bytes"),
    ];
    let not_ours = disable(&world.user);
    table.push(("from a role of another address", not_ours, ROLE_NOT_OURS, "login.x"));
    for (what, payload, kind, names) in table {
        is_refused(&world, Function::Provisioning, payload, what, kind, names).await;
    }
    // The master, where a secret's tag says so too: what counts is the role.
    world.store.with(&world.user_arn, |secret| secret.tags.insert(tag::LOGIN.into(), encode_tag(MASTER)));
    let master = with("/login", json!(MASTER));
    is_refused(&world, Function::Provisioning, master, "the master", BAD_EVENT, "it is the master user").await;
    world.store.with(&world.user_arn, |secret| secret.tags.insert(tag::LOGIN.into(), encode_tag(&world.user)));
    // A secret of another deployment.
    world.store.with(&world.user_arn, |secret| secret.tags.insert(tag::DEPLOYMENT.into(), "other".into()));
    let what = "a secret of another deployment";
    is_refused(&world, Function::Provisioning, good.clone(), what, SECRET_REFUSED, "says other").await;
    world.store.with(&world.user_arn, |secret| secret.tags.insert(tag::DEPLOYMENT.into(), DEPLOYMENT.into()));
    // A function that is not the one for it.
    let config = Config { function: Function::Provisioning, master_secret_arn: None, ..world.config.clone() };
    let remaining = Duration::from_secs(20);
    let error = handler::handle(&config, &world.store, &world.database, good, remaining).await.unwrap_err();
    assert!(matches!(error, FunctionError::Config(_)), "{error}");
}

/// Whose duty a secret is for, says which secret it is; the event that says otherwise gives CREATEROLE to a user, or a
/// masterarn to the admin login.
#[tokio::test]
async fn provisioning_requests_of_another_duty() {
    let world = World::new(Strategy::SingleUser).await;
    let request = |duty, change: &dyn Fn(&mut EnsureLogin)| {
        let mut request = world.request(duty);
        change(&mut request);
        let recover = RecoverLogin {
            login: request.login.clone(),
            address: request.address.clone(),
            duty: request.duty,
            strategy: request.strategy,
            secret_arn: request.secret_arn.clone(),
            attributes: request.attributes.clone(),
            current: world.store.with(&request.secret_arn, |secret| secret.labels[CURRENT].clone()),
            recovery: Recovery::SetAgain,
        };
        [ProvisioningRequest::EnsureLogin(request), ProvisioningRequest::RecoverLogin(recover)]
    };
    for (what, requests) in [
        ("a user as admin", request(Duty::User, &|request| request.duty = Duty::Admin)),
        ("the admin as user", request(Duty::Admin, &|request| request.duty = Duty::User)),
        (
            "the admin as one of two users",
            request(Duty::Admin, &|request| {
                (request.duty, request.strategy) = (Duty::User, Strategy::AlternatingUsers);
            }),
        ),
    ] {
        for request in requests {
            let payload = serde_json::to_value(request).unwrap();
            is_refused(&world, Function::Provisioning, payload, what, SECRET_REFUSED, "admin login").await;
        }
    }
}

/// Another secret that says it is the admin login's: whoever tagged it would get its password.
#[tokio::test]
async fn a_second_secret_of_the_admin_login() {
    for strategy in [Strategy::SingleUser, Strategy::AlternatingUsers] {
        let world = World::new(strategy).await;
        let secret = format!("{} second", world.user_arn);
        world.store.create(&secret, DEPLOYMENT, &world.admin);
        let request =
            EnsureLogin { secret_arn: secret.clone(), strategy, duty: Duty::User, ..world.request(Duty::Admin) };
        let request = serde_json::to_value(ProvisioningRequest::EnsureLogin(request)).unwrap();
        let (what, names) = ("a second secret", "which has another secret");
        is_refused(&world, Function::Provisioning, request, what, SECRET_REFUSED, names).await;

        let mut value = world.current(&world.user_arn);
        (value["username"], value["password"]) = (world.admin.clone().into(), "unknown".into());
        world.store.put_by_hand(&secret, &token(), &value.to_string());
        let pending = token();
        world.store.start_rotation(&secret, &pending).unwrap();
        let event = |step: &str| json!({"Step": step, "SecretId": secret, "ClientRequestToken": pending});
        let config = Config { function: Function::Rotation, ..world.config.clone() };
        let remaining = Duration::from_secs(28);
        let create = event("createSecret");
        handler::handle(&config, &world.store, &world.database, create, remaining).await.unwrap();
        is_refused(&world, Function::Rotation, event("setSecret"), what, SECRET_REFUSED, names).await;
        assert!(world.current_works(&world.config.admin_secret_arn).await);
    }
}

/// A role that gives more than a deployment may give, by whatever it is in itself.
#[tokio::test]
async fn groups_that_reach_too_far() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let group = format!("group of {}", world.user);
    let (quoted, admin) = (identifier(&group), identifier(&world.admin));
    let between = identifier(&format!("between {}", world.user));
    world
        .server
        .sql(&format!("CREATE ROLE {between}; CREATE ROLE {quoted}; GRANT {quoted} TO {MASTER} WITH ADMIN OPTION"))
        .await;
    let mut request = world.request(Duty::User);
    request.attributes.member_of.insert(group.clone());
    let recover = RecoverLogin {
        login: request.login.clone(),
        address: request.address.clone(),
        duty: request.duty,
        strategy: request.strategy,
        secret_arn: request.secret_arn.clone(),
        attributes: request.attributes.clone(),
        current: world.store.with(&request.secret_arn, |secret| secret.labels[CURRENT].clone()),
        recovery: Recovery::SetAgain,
    };
    let both = [ProvisioningRequest::EnsureLogin(request.clone()), ProvisioningRequest::RecoverLogin(recover)];
    for (make, unmake, names) in [
        (format!("GRANT rds_superuser TO {quoted}"), format!("REVOKE rds_superuser FROM {quoted}"), "rds_superuser"),
        (
            format!("GRANT rds_superuser TO {between}; GRANT {between} TO {quoted}"),
            format!("REVOKE rds_superuser FROM {between}; REVOKE {between} FROM {quoted}"),
            "rds_superuser",
        ),
        (format!("GRANT rds_iam TO {quoted}"), format!("REVOKE rds_iam FROM {quoted}"), "rds_iam"),
        (format!("GRANT {admin} TO {quoted}"), format!("REVOKE {admin} FROM {quoted}"), "the admin login"),
        (format!("ALTER ROLE {quoted} SUPERUSER"), format!("ALTER ROLE {quoted} NOSUPERUSER"), "superuser"),
    ] {
        world.server.sql(&make).await;
        for request in &both {
            let payload = serde_json::to_value(request).unwrap();
            is_refused(&world, Function::Provisioning, payload, &make, BAD_EVENT, names).await;
        }
        world.server.sql(&unmake).await;
    }
    // What the group has become since, is taken back from nobody by that; a sound one is given.
    world.ensure(request).await.unwrap();
}

#[tokio::test]
async fn inspection_requests() {
    let world = World::new(Strategy::AlternatingUsers).await;
    for (what, payload, names) in [
        ("nothing", json!(null), "another version"),
        ("no logins", json!({}), "logins"),
        ("logins that are no list", json!({"logins": {}}), "sequence"),
        ("a login without a secret", json!({"logins": [{"login": "x"}]}), "secret_arn"),
        ("a login that is no text", json!({"logins": [{"login": 1, "secret_arn": "x"}]}), "string"),
        ("a key more", json!({"logins": [], "sql": "SELECT 1"}), "sql"),
        ("an event of a rotation", event(&world, "testSecret", &token()), "Step"),
    ] {
        is_refused(&world, Function::Inspection, payload, what, NOT_UNDERSTOOD, names).await;
    }
    // Of one that it may not read it tells why, and of the others the facts.
    let both = json!({"logins": [
        {"login": world.user, "secret_arn": MASTER_ARN}, {"login": world.user, "secret_arn": world.user_arn},
    ]});
    let config = Config { function: Function::Inspection, ..world.config.clone() };
    let before = all_there_is(&world).await;
    let answer = handler::handle(&config, &world.store, &world.database, both, Duration::from_secs(20)).await;
    let text = match answer {
        Ok(answer) => answer.to_string(),
        Err(error) => {
            assert_eq!(error.error_type(), SECRET_REFUSED);
            error.to_string()
        }
    };
    assert!(!text.contains(crate::server::MASTER_PASSWORD), "{text}");
    assert_eq!(all_there_is(&world).await, before);
}

/// A password of every printable character, and of letters that SASLprep maps, drops or forbids: read, logged in with,
/// and replaced; its own characters leave no trace behind.
#[tokio::test]
async fn passwords_of_every_character() {
    let printable: String = (' '..='~').collect();
    for word in
        [printable.as_str(), "\u{2168}\u{aa}\u{ad}e\u{301} \u{a0}é", "\u{627}1\u{627}", "\\\"'\u{7}\t", "🐘語\u{feff}"]
    {
        for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
            let world = World::new(strategy).await;
            world
                .server
                .sql(&format!(
                    "SET password_encryption = 'scram-sha-256'; ALTER ROLE {} PASSWORD {}",
                    rotation_function::database::identifier(&world.user),
                    literal(word)
                ))
                .await;
            let mut value = world.current(&world.user_arn);
            value["password"] = word.into();
            world.store.put_by_hand(&world.user_arn, &token(), &value.to_string());
            assert!(world.current_works(&world.user_arn).await, "{word:?}");
            world.rotate(&world.user_arn).await;
            assert!(world.current_works(&world.user_arn).await, "{word:?}");
            let stored = world.store.with(&world.user_arn, |secret| secret.values[&secret.labels[CURRENT]].clone());
            assert!(!stored.unwrap().contains(word), "{word:?}");
        }
    }
}

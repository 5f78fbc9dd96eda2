//! Every name that PostgreSQL allows, of a role and of a database; and of a secret's JSON, what is not ours to change.

use crate::fake::CURRENT;
use crate::world::{World, token};
use function_contract::{Duty, EnsureLogin, Fact, LoginAttempt, Strategy, clone_of, error_type};
use rotation_function::config::Config;
use rotation_function::database::{identifier, literal};

/// A world whose user has this name, and lives in a database of this name. Locks are taken there too.
async fn named(strategy: Strategy, user: &str, database: &str) -> (World, EnsureLogin) {
    let world = World::unprovisioned(strategy);
    world.store.create(&world.user_arn, crate::world::DEPLOYMENT, user);
    let config = Config { lock_database: database.to_owned(), ..world.config.clone() };
    let world = World { user: user.to_owned(), config, ..world };
    let request = EnsureLogin { database: database.to_owned(), ..world.request(Duty::User) };
    (world, request)
}

/// Provisioned, provisioned again, rotated three times and inspected after each, then cleared away: a name may serve
/// the other strategy too.
async fn lives(strategy: Strategy, user: &str, database: &str) {
    let told = format!("{strategy:?} {user:?} in {database:?}");
    let (world, request) = named(strategy, user, database).await;
    let admin = EnsureLogin { database: database.to_owned(), ..world.request(Duty::Admin) };
    world.ensure(admin).await.unwrap_or_else(|error| panic!("{told}: {error}"));
    for first in [true, false] {
        let done = world.ensure(request.clone()).await.unwrap_or_else(|error| panic!("{told}: {error}"));
        assert_eq!((done.role_created, done.value_stored, done.notes.len()), (first, first, 0), "{told}");
    }
    let clone = clone_of(user);
    for expected in [[&clone, user], [user, &clone], [&clone, user]].map(|pair: [&str; 2]| pair[0].to_owned()) {
        world.rotate(&world.user_arn).await;
        let expected = if strategy == Strategy::SingleUser { user } else { &expected };
        assert_eq!(world.current(&world.user_arn)["username"], expected, "{told}");
        let facts = world.inspect(&world.user_arn).await;
        let current = &facts.versions[0];
        assert_eq!(current.login, LoginAttempt::Succeeded, "{told}");
        assert_eq!(current.username.as_deref(), Some(expected), "{told}");
        assert_eq!(current.database.as_deref(), Some(database), "{told}");
        let Fact::Known(Some(role)) = facts.role else { panic!("{told}: {:?}", facts.role) };
        assert!(role.can_login, "{told}");
        let has_clone = matches!(facts.clone, Fact::Known(Some(_)));
        assert_eq!(has_clone, strategy == Strategy::AlternatingUsers, "{told}: {:?}", facts.clone);
    }
    // The server's own idea of the names: neither was cut, folded or mangled.
    let sql =
        format!("SELECT rolname::text FROM pg_roles WHERE rolname::text IN ({}, {})", literal(user), literal(&clone));
    let roles = world.server.texts(&sql).await;
    assert_eq!(roles.len(), if strategy == Strategy::SingleUser { 1 } else { 2 }, "{told}");
    for role in roles.iter().rev().chain([&world.admin]) {
        world.server.sql(&format!("DROP ROLE {}", identifier(role))).await;
    }
}

/// Each is tried as a role of both strategies, in a database of the same name.
const ODD: &[&str] = &[
    "UPPER lower",
    " blanks around ",
    "quo\"te\"\"s\"",
    "apos'tro''phe",
    "back\\sl\\\\ash\\",
    "per%cent%s%n%%",
    "dollar$1$$tag$",
    "semi;colon--comment/*",
    "line\nbreak\ttab\r",
    "control\u{1}\u{7f}",
    "accents éèü",
    "combining e\u{301}",
    "日本語の名前",
    "emoji 🐘🔑",
    "bidi \u{202e}abc",
    "zero\u{200b}width\u{feff}",
    "a.b.c/d:e@f?g#h&i=j,k",
    "{\"json\":[1]}",
    "host=evil sslmode=disable",
    "x_clone",
    "_clone",
    "default",
    "user",
    "current_user",
    "select",
    "true",
    "1",
    "-",
    "pgrotate:deployment=x pgrotate:address=y",
];

async fn all_live(names: impl IntoIterator<Item = &str>) {
    for name in names {
        let world = World::unprovisioned(Strategy::SingleUser);
        world.server.sql(&format!("CREATE DATABASE {}", identifier(name))).await;
        for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
            lives(strategy, name, name).await;
        }
    }
}

#[tokio::test]
async fn any_name_of_role_and_database() {
    all_live(ODD.iter().step_by(2).copied()).await;
}

#[tokio::test]
async fn any_other_name_of_role_and_database() {
    all_live(ODD.iter().skip(1).step_by(2).copied()).await;
}

/// 63 bytes are all that PostgreSQL keeps; a clone's suffix is six of them.
#[tokio::test]
async fn names_as_long_as_may_be() {
    for (longest, strategy) in [(63, Strategy::SingleUser), (57, Strategy::AlternatingUsers)] {
        for character in ["l", "語", "\""] {
            let name = character.repeat(longest / character.len());
            assert_eq!(name.len(), longest);
            lives(strategy, &name, "postgres").await;
            let (world, request) = named(strategy, &format!("{name}l"), "postgres").await;
            let error = world.ensure(request).await.unwrap_err();
            assert_eq!(error.error_type(), error_type::BAD_EVENT, "{error}");
            assert!(error.to_string().contains("63 bytes") || error.to_string().contains("holds 63"), "{error}");
        }
    }
    // A name as long as may be, of a database.
    let database = "語".repeat(21);
    World::unprovisioned(Strategy::SingleUser).server.sql(&format!("CREATE DATABASE {}", identifier(&database))).await;
    lives(Strategy::AlternatingUsers, "in a long database", &database).await;
}

/// A login that is really called as another's clone would be.
#[tokio::test]
async fn a_login_called_as_a_clone() {
    // Beside a single user it is nobody's business.
    let (x, request_x) = named(Strategy::SingleUser, "beside", "postgres").await;
    x.ensure(x.request(Duty::Admin)).await.unwrap();
    x.ensure(request_x).await.unwrap();
    let (clone, request_clone) = named(Strategy::AlternatingUsers, "beside_clone", "postgres").await;
    clone.ensure(clone.request(Duty::Admin)).await.unwrap();
    clone.ensure(request_clone).await.unwrap();
    for _ in 0..3 {
        x.rotate(&x.user_arn).await;
        clone.rotate(&clone.user_arn).await;
        assert!(x.current_works(&x.user_arn).await && clone.current_works(&clone.user_arn).await);
    }
    assert_eq!(clone.current(&clone.user_arn)["username"], "beside_clone_clone");
    assert_eq!(x.current(&x.user_arn)["username"], "beside");

    // Of alternating users it would be the clone: refused, and left as it is.
    let (taken, request_taken) = named(Strategy::SingleUser, "taken_clone", "postgres").await;
    taken.ensure(taken.request(Duty::Admin)).await.unwrap();
    taken.ensure(request_taken).await.unwrap();
    let (base, request_base) = named(Strategy::AlternatingUsers, "taken", "postgres").await;
    base.ensure(base.request(Duty::Admin)).await.unwrap();
    let error = base.ensure(request_base.clone()).await.unwrap_err();
    assert_eq!(error.error_type(), error_type::ROLE_NOT_OURS, "{error}");
    assert!(error.to_string().contains("\"taken_clone\""), "{error}");
    assert!(base.store.with(&base.user_arn, |secret| secret.values.is_empty()), "no value was stored for it");
    assert!(taken.current_works(&taken.user_arn).await);

    // The same where the role came after the login: the rotation stops before it touches it.
    let (late, request_late) = named(Strategy::AlternatingUsers, "late", "postgres").await;
    late.ensure(late.request(Duty::Admin)).await.unwrap();
    late.ensure(request_late).await.unwrap();
    late.server.sql("CREATE ROLE late_clone LOGIN PASSWORD 'somebody else''s'").await;
    let before = late.server.texts("SELECT rolpassword FROM pg_authid WHERE rolname = 'late_clone'").await;
    let pending = token();
    late.store.start_rotation(&late.user_arn, &pending).unwrap();
    let error = late.steps(&late.user_arn, &pending).await.unwrap_err();
    assert_eq!(error.error_type(), error_type::ROLE_NOT_OURS, "{error}");
    assert_eq!(late.server.texts("SELECT rolpassword FROM pg_authid WHERE rolname = 'late_clone'").await, before);
    assert!(late.current_works(&late.user_arn).await);
}

/// What is not user name or password stays byte for byte, whatever it is and wherever it stands.
#[tokio::test]
async fn what_a_secret_says_beside_is_kept() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        for engine in ["postgres", "aurora-postgresql"] {
            let world = World::new(strategy).await;
            let current = world.current(&world.user_arn);
            let json = |key: &str| current[key].to_string();
            let master = match strategy {
                Strategy::AlternatingUsers => format!("\"masterarn\" : {},", json("masterarn")),
                Strategy::SingleUser => "\"masterarn\":\"\",".to_owned(),
            };
            let template = format!(
                "\t{{ \"own\":[1, 1.50, -0.0, 1e3, 123456789012345678901234567890 ,{{\"a\" : null,\"a\":true}}],\n\
                 \"h\\u00f6st\":\"caf\\u00E9\\/\\ud83d\\ude00\", \"PASSWORD\":\"not it\", {master}\
                 \"pass\\u0077ord\":@P@ ,\"engine\":{engine:?},  \"port\" : \"{}\",\"host\":\"127.0.0.1\",\r\n\
                 \"username\":@U@,\"dbname\":\"postgres\",\"dbInstanceIdentifier\":{},\"\":\"\",\"end\":\"@ é\"\n}}\n",
                world.server.port,
                json("dbInstanceIdentifier"),
            );
            let filled = |value: &serde_json::Value| {
                template.replace("@U@", &value["username"].to_string()).replace("@P@", &value["password"].to_string())
            };
            world.store.put_by_hand(&world.user_arn, &token(), &filled(&current));
            for _ in 0..3 {
                let before = world.current(&world.user_arn);
                world.rotate(&world.user_arn).await;
                assert!(world.current_works(&world.user_arn).await);
                let after = world.current(&world.user_arn);
                assert_ne!(before["password"], after["password"]);
                let text = world.store.with(&world.user_arn, |secret| secret.values[&secret.labels[CURRENT]].clone());
                assert_eq!(text.unwrap(), filled(&after));
            }
        }
    }
}

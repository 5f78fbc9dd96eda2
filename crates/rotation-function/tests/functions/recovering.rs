//! Logins that do not work, put right: told apart by SQLSTATE and catalogue, and never at the cost of a password that
//! logs in.

use crate::fake::{CURRENT, PENDING};
use crate::world::{STEPS, World, token};
use function_contract::{
    Duty, Fact, LoginAttempt, Provisioned, ProvisioningRequest, RecoverLogin, Recovery, RoleFacts, Strategy,
    error_type, label, obstacles, told,
};
use rotation_function::database::identifier;
use rotation_function::error::FunctionError;

const PREVIOUS: &str = "AWSPREVIOUS";

impl World {
    fn recovery(&self, recovery: Recovery) -> RecoverLogin {
        RecoverLogin {
            login: self.user.clone(),
            address: format!("login.{}", self.user),
            duty: Duty::User,
            strategy: self.strategy,
            secret_arn: self.user_arn.clone(),
            attributes: Default::default(),
            current: self.store.with(&self.user_arn, |secret| secret.labels[CURRENT].clone()),
            recovery,
        }
    }

    async fn recover(&self, request: RecoverLogin) -> Result<Provisioned, FunctionError> {
        self.context().provision(&ProvisioningRequest::RecoverLogin(request)).await
    }

    async fn set_again(&self) -> Result<Provisioned, FunctionError> {
        self.recover(self.recovery(Recovery::SetAgain)).await
    }

    async fn make_current(&self, version: &str) -> Result<Provisioned, FunctionError> {
        self.recover(self.recovery(Recovery::MakeCurrent { version: version.to_owned() })).await
    }

    fn version_with(&self, label: &str) -> Option<String> {
        self.store.with(&self.user_arn, |secret| secret.labels.get(label).cloned())
    }

    /// Why AWSCURRENT is refused, in the words that everybody gets.
    async fn why_refused(&self) -> Option<String> {
        let facts = self.inspect(&self.user_arn).await;
        let version = facts.versions.into_iter().find(|version| version.labels.iter().any(|label| label == CURRENT))?;
        let role = if version.username.as_ref() == Some(&self.user) { facts.role } else { facts.clone };
        let (LoginAttempt::Refused { sqlstate, .. }, Fact::Known(role)) = (version.login, role) else { return None };
        told(&obstacles(role.as_ref(), &sqlstate))
    }
}

/// Each reason by its own name, and each put right under both strategies, for the base and for the clone.
#[tokio::test]
async fn what_keeps_a_login_out_is_told_apart_and_taken_back() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        let world = World::new(strategy).await;
        for turn in 0..2 {
            world.rotate(&world.user_arn).await;
            for (damage, why) in [
                ("PASSWORD 'typed by hand'", "its password is another one"),
                ("PASSWORD NULL", "its password is another one"),
                ("NOLOGIN", "NOLOGIN"),
                ("CONNECTION LIMIT 0", "CONNECTION LIMIT is 0"),
                ("VALID UNTIL '2000-01-01'", "VALID UNTIL has passed (2000-01-01 00:00:00+00)"),
                ("VALID UNTIL '2000-01-01' NOLOGIN PASSWORD 'lost'", "NOLOGIN"),
            ] {
                let name = world.current(&world.user_arn)["username"].as_str().unwrap().to_owned();
                // The base's attributes are the clone's too.
                for role in if damage.contains("PASSWORD") { vec![&name] } else { vec![&world.user, &name] } {
                    world.server.sql(&format!("ALTER ROLE {} {damage}", identifier(role))).await;
                }
                let told = world.why_refused().await.unwrap();
                assert!(told.contains(why), "{damage}: {told}");
                let labels = world.version_with(CURRENT);
                let done = world.set_again().await.unwrap();
                assert!(!done.notes.is_empty() && !done.value_stored, "{damage}: {done:?}");
                assert!(world.current_works(&world.user_arn).await, "turn {turn} {damage}: {done:?}");
                assert_eq!(world.version_with(CURRENT), labels);
                if strategy == Strategy::AlternatingUsers {
                    assert!(world.working_labels(&world.user_arn).await.contains(&PREVIOUS.to_owned()), "{damage}");
                }
            }
        }
        // Sound, it is left alone.
        let done = world.set_again().await.unwrap();
        assert!(done.notes.is_empty() && !done.role_created, "{done:?}");
        world.rotate(&world.user_arn).await;
        assert!(world.current_works(&world.user_arn).await);
    }
}

#[tokio::test]
async fn a_clone_or_a_base_that_was_dropped_comes_back_with_its_stored_password() {
    let world = World::new(Strategy::AlternatingUsers).await;
    for turn in 0..2 {
        world.rotate(&world.user_arn).await;
        let clone = identifier(&world.clone_name());
        world.server.sql(&format!("DROP ROLE {clone}")).await;
        let done = world.set_again().await.unwrap();
        assert!(done.role_created, "{done:?}");
        // Whoever still has AWSPREVIOUS goes on with it.
        assert_eq!(world.working_labels(&world.user_arn).await, [CURRENT, PREVIOUS], "turn {turn}");
        let Fact::Known(Some(role)) = world.inspect(&world.user_arn).await.clone else { panic!() };
        assert_eq!(role.settings["role"], world.user);
        assert!(role.member_of.contains(&world.user) && role.administered_by.contains(&world.admin), "{role:?}");
    }
    world.server.sql(&format!("DROP ROLE {}", identifier(&world.user))).await;
    world.set_again().await.unwrap();
    assert_eq!(world.working_labels(&world.user_arn).await, [CURRENT, PREVIOUS]);
    world.rotate(&world.user_arn).await;
    assert!(world.current_works(&world.user_arn).await);
}

#[tokio::test]
async fn a_rotation_that_lacks_only_its_end_is_ended() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        let world = World::new(strategy).await;
        world.rotate(&world.user_arn).await;
        let pending = token();
        world.store.start_rotation(&world.user_arn, &pending).unwrap();
        let error = world.make_current(&pending).await.unwrap_err();
        assert_eq!(error.error_type(), error_type::MOVED, "it holds no value: {error}");
        world.step(&world.user_arn, STEPS[0], &pending).await.unwrap();
        let error = world.make_current(&pending).await.unwrap_err();
        assert_eq!(error.error_type(), error_type::MOVED, "it is not set: {error}");
        let before = world.version_with(CURRENT).unwrap();
        world.step(&world.user_arn, STEPS[1], &pending).await.unwrap();
        // Setting AWSCURRENT again would break what the database has.
        if strategy == Strategy::SingleUser {
            assert_eq!(world.set_again().await.unwrap_err().error_type(), error_type::MOVED);
        }
        world.make_current(&pending).await.unwrap();
        assert_eq!(world.version_with(CURRENT), Some(pending));
        assert_eq!((world.version_with(PENDING), world.version_with(PREVIOUS)), (None, Some(before)));
        assert!(world.current_works(&world.user_arn).await);
        world.rotate(&world.user_arn).await;
        assert!(world.current_works(&world.user_arn).await);
    }
}

#[tokio::test]
async fn a_value_put_by_hand_gives_way_to_the_one_that_logs_in() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        for value in ["typed by hand", "not JSON"] {
            let world = World::new(strategy).await;
            world.rotate(&world.user_arn).await;
            let good = world.version_with(CURRENT).unwrap();
            let mut put = world.current(&world.user_arn);
            put["password"] = value.into();
            let text = if value == "not JSON" { value.to_owned() } else { put.to_string() };
            world.store.put_by_hand(&world.user_arn, &token(), &text);
            assert!(!world.current_works(&world.user_arn).await);
            let error = world.set_again().await.unwrap_err();
            let known = if value == "not JSON" { error_type::SECRET_REFUSED } else { error_type::MOVED };
            assert_eq!(error.error_type(), known, "{error}");
            world.make_current(&good).await.unwrap();
            assert_eq!(world.version_with(CURRENT), Some(good.clone()));
            assert!(world.current_works(&world.user_arn).await);
            // And never where AWSCURRENT logs in.
            world.rotate(&world.user_arn).await;
            let old = world.version_with(PREVIOUS).unwrap();
            assert!(world.make_current(&old).await.is_err());
            assert!(world.current_works(&world.user_arn).await);
        }
    }
}

#[tokio::test]
async fn what_has_moved_or_is_not_ours_is_refused_and_nothing_done() {
    let world = World::new(Strategy::AlternatingUsers).await;
    world.rotate(&world.user_arn).await;
    let user = identifier(&world.user);
    world.server.sql(&format!("ALTER ROLE {user} PASSWORD 'lost'")).await;
    let stale = world.recovery(Recovery::SetAgain);
    world.rotate(&world.user_arn).await;
    let before = world.server.texts("SELECT rolname || coalesce(rolpassword, '') FROM pg_authid ORDER BY 1").await;
    assert_eq!(world.recover(stale).await.unwrap_err().error_type(), error_type::MOVED);
    let wrong = RecoverLogin { address: "login.other".to_owned(), ..world.recovery(Recovery::SetAgain) };
    assert_eq!(world.recover(wrong).await.unwrap_err().error_type(), error_type::ROLE_NOT_OURS);
    for login in ["postgres", "rds_superuser", "pg_monitor"] {
        let wrong = RecoverLogin { login: login.to_owned(), ..world.recovery(Recovery::SetAgain) };
        assert_eq!(world.recover(wrong).await.unwrap_err().error_type(), error_type::BAD_EVENT, "{login}");
    }
    let admin =
        RecoverLogin { secret_arn: world.config.admin_secret_arn.clone(), ..world.recovery(Recovery::SetAgain) };
    assert_eq!(world.recover(admin).await.unwrap_err().error_type(), error_type::SECRET_REFUSED);
    let error = world.make_current("no-such-version").await.unwrap_err();
    assert_eq!(error.error_type(), error_type::MOVED);
    let own = |rows: Vec<String>| rows.into_iter().filter(|row| row.starts_with(&world.user)).collect::<Vec<_>>();
    let after = world.server.texts("SELECT rolname || coalesce(rolpassword, '') FROM pg_authid ORDER BY 1").await;
    assert_eq!(own(before), own(after));
}

/// Its own way in is gone, and so is everybody's who could look: the master user sets it right.
#[tokio::test]
async fn the_admin_login_is_put_right_too() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let admin = |recovery| RecoverLogin {
        login: world.admin.clone(),
        address: format!("login.{}", world.admin),
        duty: Duty::Admin,
        strategy: Strategy::SingleUser,
        secret_arn: world.config.admin_secret_arn.clone(),
        current: world.store.with(&world.config.admin_secret_arn, |secret| secret.labels[CURRENT].clone()),
        ..world.recovery(recovery)
    };
    world.server.sql(&format!("ALTER ROLE {} NOLOGIN NOCREATEROLE PASSWORD 'lost'", identifier(&world.admin))).await;
    assert!(!world.current_works(&world.config.admin_secret_arn).await);
    world.recover(admin(Recovery::SetAgain)).await.unwrap();
    assert!(world.current_works(&world.config.admin_secret_arn).await);
    world.rotate(&world.user_arn).await;
    assert!(world.current_works(&world.user_arn).await);
}

/// Declared or at its limit, it is not for a recovery to change, and the error says what to do.
#[tokio::test]
async fn what_is_declared_or_used_up_stays_and_is_explained() {
    let world = World::new(Strategy::SingleUser).await;
    world.server.sql(&format!("ALTER ROLE {} CONNECTION LIMIT 1", identifier(&world.user))).await;
    let current = world.current(&world.user_arn);
    let application = world.server.application(&world.user, current["password"].as_str().unwrap()).await.unwrap();
    for error in [world.set_again().await.unwrap_err(), world.ensure(world.request(Duty::User)).await.unwrap_err()] {
        assert_eq!((error.error_type(), error.sqlstate()), (error_type::DATABASE_REFUSED, Some("53300")), "{error}");
        assert!(error.to_string().contains("CONNECTION LIMIT of 1 is reached"), "{error}");
        assert!(error.to_string().contains("pgrotate recover FILE"), "{error}");
    }
    drop(application);
    let mut request = world.recovery(Recovery::SetAgain);
    request.attributes.valid_until = Some("2000-01-01T00:00:00Z".to_owned());
    let error = world.recover(request).await.unwrap_err();
    assert!(error.to_string().contains("VALID UNTIL has passed"), "{error}");
    let Fact::Known(Some(RoleFacts { expired: true, .. })) = world.facts_of_user().await else { panic!() };
    world.set_again().await.unwrap();
    assert!(world.current_works(&world.user_arn).await);
    assert!(world.store.with(&world.user_arn, |secret| !secret.labels.contains_key(label::IN_FORCE)));
}

impl World {
    /// By the admin login, since the user itself does not get in.
    async fn facts_of_user(&self) -> Fact<Option<RoleFacts>> {
        self.inspect(&self.user_arn).await.role
    }
}

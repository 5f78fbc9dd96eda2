//! The end of a login: dropped only where it is ours, and nothing and nobody depends on it.

use crate::world::World;
use function_contract::{Provisioned, ProvisioningRequest, Strategy, error_type};
use rotation_function::database::{identifier, literal};
use rotation_function::error::FunctionError;

impl World {
    async fn drop_login(&self, address: &str) -> Result<Provisioned, FunctionError> {
        let request = ProvisioningRequest::DropLogin { login: self.user.clone(), address: address.to_owned() };
        self.context().provision(&request).await
    }

    async fn roles_left(&self) -> Vec<String> {
        let names = [&self.user, &self.clone_name()].map(|name| literal(name)).join(", ");
        self.server
            .texts(&format!("SELECT rolname || ' ' || rolcanlogin FROM pg_roles WHERE rolname IN ({names}) ORDER BY 1"))
            .await
    }
}

#[tokio::test]
async fn roles_that_nothing_depends_on_are_dropped_and_a_second_run_finds_nothing() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        let world = World::new(strategy).await;
        world.rotate(&world.user_arn).await;
        let address = format!("login.{}", world.user);
        assert_eq!(world.drop_login("login.other").await.unwrap_err().error_type(), error_type::ROLE_NOT_OURS);
        let roles = if strategy == Strategy::AlternatingUsers { 2 } else { 1 };
        assert_eq!(world.roles_left().await.len(), roles);
        let done = world.drop_login(&address).await.unwrap();
        assert_eq!(done.notes.iter().filter(|note| note.starts_with("dropped role")).count(), roles, "{done:?}");
        assert_eq!(world.roles_left().await, Vec::<String>::new());
        assert!(world.drop_login(&address).await.unwrap().notes.is_empty());
    }
    let world = World::new(Strategy::SingleUser).await;
    for login in ["postgres", "pg_monitor", "rds_superuser"] {
        let request = ProvisioningRequest::DropLogin { login: login.to_owned(), address: format!("login.{login}") };
        let error = world.context().provision(&request).await.unwrap_err();
        assert_eq!(error.error_type(), error_type::BAD_EVENT, "{login}");
    }
}

#[tokio::test]
async fn what_they_own_or_may_in_any_database_is_told_and_nothing_dropped() {
    let world = World::new(Strategy::AlternatingUsers).await;
    world.rotate(&world.user_arn).await;
    let (user, clone) = (identifier(&world.user), identifier(&world.clone_name()));
    let other = identifier(&format!("{} db", world.user));
    let schema = identifier(&format!("{} schema", world.user));
    world.server.sql(&format!("CREATE DATABASE {other}")).await;
    world
        .server
        .sql(&format!(
            "GRANT CONNECT ON DATABASE {other} TO {clone}; CREATE SCHEMA {schema} AUTHORIZATION {user}; \
             CREATE TABLE {schema}.t (id int); ALTER TABLE {schema}.t OWNER TO {user}; GRANT SELECT ON pg_class TO {user}"
        ))
        .await;
    let error = world.drop_login(&format!("login.{}", world.user)).await.unwrap_err();
    assert_eq!(error.error_type(), error_type::IN_USE);
    let told = error.to_string();
    for line in [
        format!("shared by all databases, {clone} has 1 grant"),
        format!("in database \"postgres\", {user} owns 2 objects and has 1 grant"),
        format!("REASSIGN OWNED BY {clone}, {user} TO"),
    ] {
        assert!(told.contains(&line), "`{line}`: {told}");
    }
    let no_login = [format!("{} false", world.user), format!("{} false", world.clone_name())];
    assert_eq!(world.roles_left().await, no_login);
    // The statements that it names make way for it.
    world.server.sql(&format!("REASSIGN OWNED BY {clone}, {user} TO postgres; DROP OWNED BY {clone}, {user}")).await;
    world.drop_login(&format!("login.{}", world.user)).await.unwrap();
    assert_eq!(world.roles_left().await, Vec::<String>::new());
    world.server.sql(&format!("DROP DATABASE {other}")).await;
    world.server.sql(&format!("DROP SCHEMA {schema} CASCADE")).await;
}

#[tokio::test]
async fn whoever_is_logged_in_is_told_and_goes_on() {
    let world = World::new(Strategy::AlternatingUsers).await;
    world.rotate(&world.user_arn).await;
    let value = world.current(&world.user_arn);
    let text = |key: &str| value[key].as_str().unwrap().to_owned();
    let client = world.server.application(&text("username"), &text("password")).await.unwrap();
    client.batch_execute("SET application_name = 'the shop'").await.unwrap();
    let error = world.drop_login(&format!("login.{}", world.user)).await.unwrap_err();
    assert_eq!(error.error_type(), error_type::IN_USE);
    let told = error.to_string();
    // Its address is shown to members of pg_monitor, which this master is not.
    let who = format!("1 of {} (the shop", identifier(&world.clone_name()));
    assert!(told.contains(&who) && told.contains("pg_terminate_backend"), "{told}");
    client.batch_execute("SELECT 1").await.unwrap();
    // The statement ends them.
    world.server.sql(told.split("They end by: ").nth(1).unwrap()).await;
    world.drop_login(&format!("login.{}", world.user)).await.unwrap();
    assert_eq!(world.roles_left().await, Vec::<String>::new());
}

/// A clone that is somebody else's stays, whatever it is called.
#[tokio::test]
async fn a_clone_that_is_not_ours_stays() {
    let world = World::new(Strategy::SingleUser).await;
    let clone = identifier(&world.clone_name());
    world.server.sql(&format!("CREATE ROLE {clone} LOGIN PASSWORD 'theirs'")).await;
    let done = world.drop_login(&format!("login.{}", world.user)).await.unwrap();
    assert!(done.notes.iter().any(|note| note.contains("left alone")), "{done:?}");
    assert_eq!(world.roles_left().await, [format!("{} true", world.clone_name())]);
    world.server.sql(&format!("DROP ROLE {clone}")).await;
}

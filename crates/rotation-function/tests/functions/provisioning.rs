use crate::fake::CURRENT;
use crate::server::MASTER;
use crate::world::{MASTER_ARN, World};
use function_contract::{
    DatabaseId, Duty, EnsureLogin, Fact, LoginAttempt, ProvisioningRequest, RoleAttributes, RoleComment, Server,
    Strategy, error_type, same_setting, setting, tag,
};
use rotation_function::database::{identifier, literal};

#[tokio::test]
async fn both_logins_are_made_and_a_second_run_changes_nothing() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        let world = World::unprovisioned(strategy);
        let first = world.ensure_all().await;
        for done in &first {
            assert!(done.role_created && done.value_stored, "{done:?}");
            assert!(done.notes.is_empty(), "{done:?}");
        }
        let before = world.server.texts("SELECT rolname || coalesce(rolpassword, '') FROM pg_authid ORDER BY 1").await;
        let own = |rows: Vec<String>| rows.into_iter().filter(|row| row.starts_with(&world.user)).collect::<Vec<_>>();
        for (done, first) in world.ensure_all().await.iter().zip(&first) {
            assert!(!done.role_created && !done.value_stored && done.notes.is_empty(), "{done:?}");
            assert_eq!(done.version, first.version);
        }
        let after = world.server.texts("SELECT rolname || coalesce(rolpassword, '') FROM pg_authid ORDER BY 1").await;
        assert_eq!(own(before), own(after), "the verifier has not been set again");
    }
}

#[tokio::test]
async fn the_secret_has_awss_keys_and_the_role_its_mark() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let value = world.current(&world.user_arn);
    let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["engine", "host", "port", "username", "password", "dbname", "dbInstanceIdentifier", "masterarn"],);
    assert_eq!(value["masterarn"], world.config.admin_secret_arn.as_str());
    assert_eq!(world.current(&world.config.admin_secret_arn).get("masterarn"), None);

    let facts = world.inspect(&world.user_arn).await;
    let Fact::Known(Some(role)) = facts.role else { panic!("{facts:?}") };
    assert!(role.can_login && !role.create_role && !role.superuser);
    assert!(role.administered_by.contains(&world.admin), "{role:?}");
    let mark = RoleComment { deployment: "tests".into(), address: format!("login.{}", world.user) };
    assert!(mark.marks(role.comment.as_deref()), "{role:?}");
    assert_eq!(facts.clone, Fact::Known(None));
    assert_eq!(facts.versions.len(), 1);
    assert_eq!(facts.versions[0].login, LoginAttempt::Succeeded);
    assert!(facts.versions[0].missing_keys.is_empty());

    let Fact::Known(Some(admin)) = world.inspect(&world.config.admin_secret_arn).await.role else { panic!() };
    assert!(admin.create_role && !admin.superuser);
}

#[tokio::test]
async fn the_admin_can_rotate_a_user_and_can_be_it_in_no_way() {
    let world = World::new(Strategy::AlternatingUsers).await;
    if world.server.version().await >= 160_000 {
        let sql = format!(
            "SELECT m.admin_option || ' ' || m.inherit_option || ' ' || m.set_option FROM pg_auth_members m \
             WHERE m.roleid = {user}::regrole AND m.member = {admin}::regrole",
            user = literal(&identifier(&world.user)),
            admin = literal(&identifier(&world.admin)),
        );
        assert_eq!(world.server.texts(&sql).await, ["true false false"]);
    } else {
        let inherits = format!("SELECT rolinherit::text FROM pg_roles WHERE rolname = {}", literal(&world.admin));
        assert_eq!(world.server.texts(&inherits).await, ["false"]);
    }
}

#[tokio::test]
async fn a_stored_value_is_never_replaced_but_set_again() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let before = world.current(&world.user_arn);
    world.server.sql(&format!("ALTER ROLE {} NOLOGIN PASSWORD 'lost'", identifier(&world.user))).await;
    assert!(!world.current_works(&world.user_arn).await);
    let done = world.ensure(world.request(Duty::User)).await.unwrap();
    assert!(!done.value_stored && !done.role_created && done.notes.len() == 1, "{done:?}");
    assert_eq!(world.current(&world.user_arn), before);
    assert!(world.current_works(&world.user_arn).await);
}

#[tokio::test]
async fn roles_lost_with_the_database_are_made_again_from_the_secret() {
    let world = World::new(Strategy::AlternatingUsers).await;
    world.rotate(&world.user_arn).await;
    // AWSCURRENT names the clone. A restored snapshot may be older than both.
    let (user, clone) = (identifier(&world.user), identifier(&world.clone_name()));
    world.server.sql(&format!("DROP ROLE {clone}; DROP ROLE {user}")).await;
    // A rotation died with them; an instance that is made again may have the address of the one before.
    world.store.start_rotation(&world.user_arn, "dead").unwrap();
    let done = world.ensure(world.request(Duty::User)).await.unwrap();
    assert!(done.role_created && !done.value_stored, "{done:?}");
    assert!(world.current_works(&world.user_arn).await);
    world.rotate(&world.user_arn).await;
    assert_eq!(world.current(&world.user_arn)["username"], world.user.as_str());
    assert!(world.current_works(&world.user_arn).await);
}

#[tokio::test]
async fn a_role_that_is_not_ours_is_refused_with_the_way_to_adopt_it() {
    let world = World::unprovisioned(Strategy::AlternatingUsers);
    world.ensure(world.request(Duty::Admin)).await.unwrap();
    world.server.sql(&format!("CREATE ROLE {} LOGIN PASSWORD 'theirs'", identifier(&world.user))).await;
    let error = world.ensure(world.request(Duty::User)).await.unwrap_err();
    assert_eq!(error.error_type(), error_type::ROLE_NOT_OURS);
    // The hint works.
    let hint = error.to_string();
    let comment = hint.split("say so on it: ").nth(1).unwrap().split("; and, on").next().unwrap();
    world.server.sql(comment).await;
    if world.server.version().await >= 160_000 {
        // ADMIN OPTION on a role that somebody else has made, the master needs too, and is told so.
        let error = world.ensure(world.request(Duty::User)).await.unwrap_err();
        assert_eq!((error.error_type(), error.sqlstate()), (error_type::DATABASE_REFUSED, Some("42501")));
        let grant = error.to_string().split("16 or later: ").nth(1).unwrap().to_owned();
        assert_eq!(hint.split("16 or later: ").nth(1).unwrap(), grant);
        world.server.sql(&grant).await;
    }
    world.ensure(world.request(Duty::User)).await.unwrap();
    assert!(world.current_works(&world.user_arn).await);
}

/// Not of ADMIN OPTION, which the master has on a role that it made.
#[tokio::test]
async fn a_setting_that_only_a_superuser_gives_is_refused_with_the_way_to_have_it() {
    let world = World::unprovisioned(Strategy::AlternatingUsers);
    world.ensure(world.request(Duty::Admin)).await.unwrap();
    for setting in ["app.tenant", "log_statement"] {
        let mut request = world.request(Duty::User);
        request.attributes.settings.insert(setting.to_owned(), "none".to_owned());
        let error = world.ensure(request.clone()).await.unwrap_err();
        assert_eq!((error.error_type(), error.sqlstate()), (error_type::DATABASE_REFUSED, Some("42501")));
        let hint = error.to_string();
        assert!(!hint.contains("ADMIN"), "{hint}");
        let grant = hint.split("granted it: ").nth(1).unwrap().split(". Where").next().unwrap();
        // The hint works.
        world.server.sql(grant).await;
        world.ensure(request).await.unwrap();
    }
}

#[tokio::test]
async fn what_the_event_may_not_name_is_refused() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let refusal = async |change: &dyn Fn(&mut function_contract::EnsureLogin)| {
        let mut request = world.request(Duty::User);
        change(&mut request);
        world.ensure(request).await.unwrap_err().error_type()
    };
    for name in [MASTER, "postgres", "pg_monitor", "rds_superuser", "rdsadmin", "", &"x".repeat(64), &"é".repeat(29)] {
        let error = refusal(&|request| request.login = name.to_owned()).await;
        let reserved = name != MASTER;
        assert_eq!(error, if reserved { error_type::BAD_EVENT } else { error_type::SECRET_REFUSED }, "{name}");
    }
    // Even where a secret's tag says so.
    world.store.with(&world.user_arn, |secret| secret.tags.insert(tag::LOGIN.into(), MASTER.into()));
    assert_eq!(refusal(&|request| request.login = MASTER.into()).await, error_type::BAD_EVENT);
    world.store.with(&world.user_arn, |secret| {
        secret.tags.insert(tag::LOGIN.into(), function_contract::encode_tag(&world.user))
    });
    assert_eq!(refusal(&|request| request.secret_arn = MASTER_ARN.into()).await, error_type::SECRET_REFUSED);
    let admin_arn = world.config.admin_secret_arn.clone();
    assert_eq!(refusal(&|request| request.secret_arn = admin_arn.clone()).await, error_type::SECRET_REFUSED);
    assert_eq!(refusal(&|request| request.secret_arn = "arn:none".into()).await, error_type::SECRETS_MANAGER);
    assert_eq!(refusal(&|request| request.server.host = "localhost".into()).await, error_type::UNREACHABLE);
    assert_eq!(refusal(&|request| request.duty = Duty::Admin).await, error_type::BAD_EVENT);
    assert_eq!(refusal(&|request| request.address = "login.other".into()).await, error_type::ROLE_NOT_OURS);
    world.server.sql(&format!("GRANT rds_iam TO {}", identifier(&world.user))).await;
    assert_eq!(refusal(&|_| ()).await, error_type::BAD_EVENT);
}

#[tokio::test]
async fn a_login_is_disabled_with_its_clone_and_nobody_elses() {
    let world = World::new(Strategy::AlternatingUsers).await;
    world.rotate(&world.user_arn).await;
    let disable = |login: &str, address: String| ProvisioningRequest::DisableLogin { login: login.to_owned(), address };
    let wrong = world.context().provision(&disable(&world.user, "login.other".into())).await.unwrap_err();
    assert_eq!(wrong.error_type(), error_type::ROLE_NOT_OURS);
    let request = disable(&world.user, format!("login.{}", world.user));
    assert_eq!(world.context().provision(&request).await.unwrap().notes.len(), 2);
    assert!(world.context().provision(&request).await.unwrap().notes.is_empty());
    let facts = world.inspect(&world.user_arn).await;
    for role in [facts.role, facts.clone] {
        let Fact::Known(Some(role)) = role else { panic!("{role:?}") };
        assert!(!role.can_login);
    }
    assert!(matches!(&facts.versions[0].login, LoginAttempt::Refused { sqlstate, .. } if sqlstate == "28000"));
    // Provisioning brings it back.
    world.ensure(world.request(Duty::User)).await.unwrap();
    world.rotate(&world.user_arn).await;
    assert!(world.store.with(&world.user_arn, |secret| secret.labels.contains_key(CURRENT)));
    assert!(world.current_works(&world.user_arn).await);
}

#[tokio::test]
async fn provisioning_leaves_a_half_done_rotation_alone() {
    let world = World::new(Strategy::SingleUser).await;
    let token = crate::world::token();
    world.store.start_rotation(&world.user_arn, &token).unwrap();
    for step in ["createSecret", "setSecret"] {
        world.step(&world.user_arn, step, &token).await.unwrap();
    }
    assert!(!world.current_works(&world.user_arn).await, "a single user's window");
    let done = world.ensure(world.request(Duty::User)).await.unwrap();
    assert_eq!(done.notes.len(), 1, "{done:?}");
    for step in ["testSecret", "finishSecret"] {
        world.step(&world.user_arn, step, &token).await.unwrap();
    }
    assert!(world.current_works(&world.user_arn).await);
}

/// A database that moves into a cluster keeps its logins: their secrets name the cluster from then on, and no instance.
#[tokio::test]
async fn a_cluster_is_named_in_the_place_of_an_instance() {
    let world = World::unprovisioned(Strategy::AlternatingUsers);
    world.ensure(world.request(Duty::Admin)).await.unwrap();
    let mut request = world.request(Duty::User);
    let instance = std::mem::replace(&mut request.server.id, DatabaseId::Cluster("my-cluster".to_owned()));
    world.ensure(request.clone()).await.unwrap();
    let value = world.current(&world.user_arn);
    let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["engine", "host", "port", "username", "password", "dbname", "dbClusterIdentifier", "masterarn"]);
    assert_eq!((&value["engine"], &value["dbClusterIdentifier"]), (&"postgres".into(), &"my-cluster".into()));
    let version = world.inspect(&world.user_arn).await.versions.remove(0);
    assert_eq!((version.instance, version.cluster.as_deref()), (None, Some("my-cluster")));
    assert!(version.missing_keys.is_empty());

    world.rotate(&world.user_arn).await;
    let password = world.current(&world.user_arn)["password"].clone();
    world
        .ensure(EnsureLogin { server: Server { id: instance, ..request.server.clone() }, ..request.clone() })
        .await
        .unwrap();
    let version = world.inspect(&world.user_arn).await.versions.remove(0);
    assert_eq!((version.instance.as_deref(), version.cluster), (Some("my-postgres-instance"), None));
    let done = world.ensure(request).await.unwrap();
    assert!(done.notes.iter().any(|note| note.contains("dbInstanceIdentifier, dbClusterIdentifier")), "{done:?}");
    let value = world.current(&world.user_arn);
    assert_eq!((&value["dbInstanceIdentifier"], &value["dbClusterIdentifier"]), (&"".into(), &"my-cluster".into()));
    assert_eq!(value["password"], password);
    assert!(world.current_works(&world.user_arn).await);
}

#[tokio::test]
async fn a_secret_that_outlived_its_instance_is_restated_for_the_new_one() {
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        let world = World::new(strategy).await;
        world.rotate(&world.user_arn).await;
        // The instance of before, as a restored secret still names it, with a rotation that died there.
        let mut old = world.current(&world.user_arn);
        let here = (old["host"].clone(), old["dbInstanceIdentifier"].clone());
        old["host"] = "gone.example".into();
        old["dbInstanceIdentifier"] = "gone".into();
        old["own"] = "kept".into();
        world.store.put_by_hand(&world.user_arn, "restored", &old.to_string());
        world.store.start_rotation(&world.user_arn, "dead").unwrap();
        assert!(!world.current_works(&world.user_arn).await);

        let done = world.ensure(world.request(Duty::User)).await.unwrap();
        assert!(done.value_stored && !done.role_created, "{done:?}");
        assert!(done.notes.iter().any(|note| note.contains("host, dbInstanceIdentifier")), "{done:?}");
        let now = world.current(&world.user_arn);
        assert_eq!((now["host"].clone(), now["dbInstanceIdentifier"].clone()), here);
        assert_eq!(
            (&now["username"], &now["password"], &now["own"]),
            (&old["username"], &old["password"], &old["own"])
        );
        assert!(world.current_works(&world.user_arn).await);
        world.rotate(&world.user_arn).await;
        assert!(world.current_works(&world.user_arn).await);
    }
}

#[tokio::test]
async fn a_change_of_strategy_restates_the_secret_but_not_under_a_rotation() {
    let world = World::new(Strategy::AlternatingUsers).await;
    world.rotate(&world.user_arn).await;
    let before = world.current(&world.user_arn);
    let single = EnsureLogin { strategy: Strategy::SingleUser, ..world.request(Duty::User) };

    let token = crate::world::token();
    world.store.start_rotation(&world.user_arn, &token).unwrap();
    let error = world.ensure(single.clone()).await.unwrap_err();
    assert_eq!(error.error_type(), error_type::BUSY);
    assert_eq!(world.current(&world.user_arn), before);
    world.steps(&world.user_arn, &token).await.unwrap();

    let before = world.current(&world.user_arn);
    let done = world.ensure(single).await.unwrap();
    assert!(done.value_stored, "{done:?}");
    let now = world.current(&world.user_arn);
    assert_eq!(now["masterarn"], "");
    assert_eq!((&now["username"], &now["password"]), (&before["username"], &before["password"]));
    assert!(world.current_works(&world.user_arn).await);
    world.rotate(&world.user_arn).await;
    assert!(world.current_works(&world.user_arn).await);
    // And back.
    world.ensure(world.request(Duty::User)).await.unwrap();
    world.rotate(&world.user_arn).await;
    assert!(world.current_works(&world.user_arn).await);
}

#[tokio::test]
async fn what_is_declared_of_a_login_is_made_so_and_reaches_the_clone() {
    let world = World::new(Strategy::AlternatingUsers).await;
    let group = format!("{}_group", world.user);
    let quoted = identifier(&group);
    world.server.sql(&format!("CREATE ROLE {quoted} NOLOGIN; GRANT {quoted} TO {MASTER} WITH ADMIN OPTION")).await;
    let attributes = RoleAttributes {
        member_of: [group.clone()].into(),
        settings: [("search_path", "app, public"), ("timezone", "UTC"), ("application_name", "it's")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        connection_limit: Some(7),
        valid_until: Some("2099-01-01T00:00:00Z".to_owned()),
    };
    let request = EnsureLogin { attributes: attributes.clone(), ..world.request(Duty::User) };
    world.ensure(request.clone()).await.unwrap();
    world.rotate(&world.user_arn).await;
    world.ensure(request).await.unwrap();
    let facts = world.inspect(&world.user_arn).await;
    for role in [facts.role, facts.clone] {
        let Fact::Known(Some(role)) = role else { panic!("{role:?}") };
        assert_eq!(role.connection_limit, 7);
        assert!(role.valid_until.as_deref().unwrap().starts_with("2099-01-01"), "{role:?}");
        for (name, value) in &attributes.settings {
            let is = setting(&role.settings, name).unwrap();
            assert!(same_setting(name, is, value), "{name}: {is}");
        }
    }
    let [role, member] = [&quoted, &identifier(&world.user)].map(|name| literal(name));
    let sql = format!(
        "SELECT count(*)::text FROM pg_auth_members WHERE roleid = {role}::regrole AND member = {member}::regrole"
    );
    assert_eq!(world.server.texts(&sql).await, ["1"]);

    for bad in ["rds_superuser", "pg_monitor"] {
        let attributes = RoleAttributes { member_of: [bad.to_owned()].into(), ..RoleAttributes::default() };
        let error = world.ensure(EnsureLogin { attributes, ..world.request(Duty::User) }).await.unwrap_err();
        assert_eq!(error.error_type(), error_type::BAD_EVENT);
    }
}

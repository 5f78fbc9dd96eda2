use super::*;
use crate::model::{Mark, Ref};
use crate::resource::Resource;
use crate::resources::{DbInstance, FunctionNames, Login, Secret, Stack};
use function_contract::RoleFacts;
use std::collections::{BTreeMap, BTreeSet};

fn now() -> jiff::Timestamp {
    "2026-03-01T00:00:00Z".parse().unwrap()
}

fn want(strategy: Strategy) -> Desired {
    Desired {
        mark: Mark::new("article".to_owned(), Login::at("app").address().clone()),
        login: "app".to_owned(),
        duty: Duty::User,
        strategy,
        database: "postgres".to_owned(),
        attributes: Default::default(),
        adopt: false,
        on_remove: crate::config::OnRemove::Keep,
        secret: Secret::at("app"),
        secret_name: "app_secret".to_owned(),
        instance: Ref::to(crate::model::Address { kind: DbInstance::KIND, name: "db".to_owned() }),
        database_id: function_contract::DatabaseId::Instance("db".to_owned()),
        stack: Ref::to(crate::model::Address { kind: Stack::KIND, name: "stack".to_owned() }),
        functions: FunctionNames::derive("pgpasslambda"),
        admin: Some((Login::at("rotator_admin"), "rotator_admin".to_owned())),
        instance_stays: true,
        path: Vec::new(),
    }
}

fn refused(sqlstate: &str) -> LoginAttempt {
    LoginAttempt::Refused { sqlstate: sqlstate.to_owned(), message: "no, says the server".to_owned() }
}

/// Labels, the user it is for, and what came of logging in with it.
fn sight(strategy: Strategy, versions: &[(&[&str], Option<&str>, LoginAttempt)]) -> Sight {
    let mut all = BTreeMap::new();
    let mut facts = Vec::new();
    for (labels, user, login) in versions {
        let version = format!("v-{}", labels[0].to_lowercase());
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        all.insert(version.clone(), labels.iter().cloned().collect::<BTreeSet<_>>());
        facts.push(VersionFacts {
            version,
            labels,
            username: user.map(str::to_owned),
            missing_keys: Vec::new(),
            host: user.map(|_| "db:5432".to_owned()),
            database: None,
            instance: None,
            cluster: None,
            alternating: strategy == Strategy::AlternatingUsers,
            login: login.clone(),
        });
    }
    let role = RoleFacts {
        comment: Some(want(strategy).comment().text()),
        can_login: true,
        connection_limit: -1,
        ..RoleFacts::default()
    };
    Sight {
        secret: SecretLook {
            arn: "arn".to_owned(),
            description: String::new(),
            tags: BTreeMap::new(),
            deleted: None,
            key: None,
            versions: all,
            rotation_enabled: true,
            rotation_function: None,
            every_days: Some(10),
            schedule: None,
            window: None,
            changed: Some(now().as_second() - 7200),
            last_rotated: None,
            next_rotation: None,
        },
        facts: LoginFacts {
            login: "app".to_owned(),
            clone_owns: Fact::Known(Vec::new()),
            sessions: Fact::Known(BTreeMap::new()),
            clone: Fact::Known(Some(role.clone()).filter(|_| strategy == Strategy::AlternatingUsers)),
            role: Fact::Known(Some(role)),
            versions: facts,
        },
        admin_logs_in: Some(true),
        said: None,
    }
}

const CURRENT: &[&str] = &["AWSCURRENT"];
const PENDING: &[&str] = &["AWSPENDING"];
const PREVIOUS: &[&str] = &["AWSPREVIOUS"];
const OK: LoginAttempt = LoginAttempt::Succeeded;

fn verdict(want: &Desired, sight: &Sight) -> String {
    let diagnosis = diagnose(want, sight, now());
    let mut out = match diagnosis.verdict {
        Verdict::Healthy => "healthy\n".to_owned(),
        Verdict::Refused { cause, hint } => format!("refused: {cause}\nhint: {hint}\n"),
        Verdict::Steps(steps) => steps.iter().map(|step| format!("- {step}\n")).collect(),
    };
    out.extend(diagnosis.notes.iter().map(|note| format!("note: {note}\n")));
    out
}

fn role(sight: &mut Sight) -> &mut RoleFacts {
    match &mut sight.facts.role {
        Fact::Known(Some(role)) => role,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_users() {
    const TWO: Strategy = Strategy::AlternatingUsers;
    let want = want(TWO);
    let clone = Some("app_clone");
    let healthy = sight(TWO, &[(CURRENT, Some("app"), OK), (PREVIOUS, clone, OK)]);
    let by_hand = sight(TWO, &[(CURRENT, Some("app"), refused("28P01")), (PREVIOUS, clone, OK)]);
    let mut dropped = sight(TWO, &[(CURRENT, Some("app"), OK), (PREVIOUS, clone, refused("28P01"))]);
    dropped.facts.clone = Fact::Known(None);
    let ended = sight(TWO, &[(CURRENT, Some("app"), OK), (PENDING, clone, OK), (PREVIOUS, clone, refused("28P01"))]);
    let not_set = sight(TWO, &[(CURRENT, Some("app"), OK), (PENDING, clone, refused("28P01")), (PREVIOUS, clone, OK)]);
    let empty =
        sight(TWO, &[(CURRENT, Some("app"), OK), (PENDING, None, LoginAttempt::NoValue), (PREVIOUS, clone, OK)]);
    let both = sight(TWO, &[(CURRENT, Some("app"), refused("28P01")), (PENDING, clone, OK)]);
    let mut without_admin = empty.clone();
    without_admin.admin_logs_in = Some(false);
    let mut off = empty.clone();
    off.secret.rotation_enabled = false;
    let wrong_turn = sight(TWO, &[(CURRENT, Some("app"), OK), (PENDING, Some("app"), OK)]);
    let garbage = sight(TWO, &[(CURRENT, None, LoginAttempt::NoValue), (PREVIOUS, Some("app"), OK)]);
    let told: String = [
        ("healthy", &healthy),
        ("password changed by hand", &by_hand),
        ("clone dropped", &dropped),
        ("stuck, the password is set", &ended),
        ("stuck, the password is not set", &not_set),
        ("stuck, without a value", &empty),
        ("stuck, and AWSCURRENT is broken", &both),
        ("stuck, and the admin does not get in", &without_admin),
        ("stuck, and rotation is off", &off),
        ("stuck on a value for the wrong user", &wrong_turn),
        ("garbage put by hand", &garbage),
    ]
    .iter()
    .map(|(name, sight)| format!("{name}:\n{}", verdict(&want, sight)))
    .collect();
    expect_test::expect![[r#"
        healthy:
        healthy
        password changed by hand:
        - make the database agree with the secret again (app: its password is another one): the stored passwords are set where they do not log in, and NOLOGIN, a CONNECTION LIMIT of 0 or a VALID UNTIL in the past is taken back. A password that somebody has set by hand is lost
        clone dropped:
        - make the database agree with the secret again (app_clone: the role does not exist): the stored passwords are set where they do not log in, and NOLOGIN, a CONNECTION LIMIT of 0 or a VALID UNTIL in the past is taken back. A password that somebody has set by hand is lost
        stuck, the password is set:
        - end the rotation: version v-awspending logs in as app_clone and becomes AWSCURRENT, which is all that it lacked
        stuck, the password is not set:
        - take AWSPENDING from version v-awspending, which does not log in: the rotation that stands in the way ends
        - rotate, and follow it to its end: the password changes
        stuck, without a value:
        - take AWSPENDING from version v-awspending, which holds no value: the rotation that stands in the way ends
        - rotate, and follow it to its end: the password changes
        stuck, and AWSCURRENT is broken:
        - make the database agree with the secret again (app: its password is another one): the stored passwords are set where they do not log in, and NOLOGIN, a CONNECTION LIMIT of 0 or a VALID UNTIL in the past is taken back. A password that somebody has set by hand is lost
        - end the rotation: version v-awspending logs in as app_clone and becomes AWSCURRENT, which is all that it lacked
        stuck, and the admin does not get in:
        - take AWSPENDING from version v-awspending, which holds no value: the rotation that stands in the way ends
        note: the admin login does not get in, so no rotation can work: recover it first, then rotate this one
        stuck, and rotation is off:
        - take AWSPENDING from version v-awspending, which holds no value: the rotation that stands in the way ends
        note: rotation is switched off for it: pgrotate apply FILE switches it on
        stuck on a value for the wrong user:
        - take AWSPENDING from version v-awspending, which is not what AWSCURRENT would turn into: the rotation that stands in the way ends
        - rotate, and follow it to its end: the password changes
        garbage put by hand:
        - make version v-awsprevious AWSCURRENT again: it logs in as app, and what AWSCURRENT holds now does not
    "#]].assert_eq(&told);
}

#[test]
fn a_single_user() {
    const ONE: Strategy = Strategy::SingleUser;
    let want = want(ONE);
    let user = Some("app");
    let previous = (PREVIOUS, user, refused("28P01"));
    let broken = |login| sight(ONE, &[(CURRENT, user, login), previous.clone()]);
    let half_way = sight(ONE, &[(CURRENT, user, refused("28P01")), (PENDING, user, OK), previous.clone()]);
    let old_one =
        sight(ONE, &[(CURRENT, user, refused("28P01")), (PENDING, user, refused("28P01")), (PREVIOUS, user, OK)]);
    let neither = sight(ONE, &[(CURRENT, user, refused("28P01")), (PENDING, user, refused("28P01")), previous.clone()]);
    let changed = |login, change: fn(&mut RoleFacts)| {
        let mut sight = broken(login);
        change(role(&mut sight));
        sight
    };
    let mut unseen = broken(refused("28P01"));
    unseen.facts.role = Fact::Unknown("nobody gets in".to_owned());
    let told: String = [
        ("healthy", broken(OK)),
        ("password changed by hand", broken(refused("28P01"))),
        ("half-way through a rotation", half_way),
        ("an older password is in force", old_one),
        ("stuck, and nothing logs in", neither),
        ("NOLOGIN", changed(refused("28000"), |role| role.can_login = false)),
        ("CONNECTION LIMIT 0", changed(refused("53300"), |role| role.connection_limit = 0)),
        ("CONNECTION LIMIT reached", changed(refused("53300"), |role| role.connection_limit = 3)),
        ("the server is full", broken(refused("53300"))),
        (
            "VALID UNTIL",
            changed(refused("28P01"), |role| {
                (role.expired, role.valid_until) = (true, Some("2000-01-01 00:00:00+00".to_owned()));
            }),
        ),
        ("no such database", broken(refused("3D000"))),
        ("nobody can look", unseen),
        ("not ours", changed(refused("28P01"), |role| role.comment = None)),
        ("elsewhere", broken(LoginAttempt::Unreachable { message: "no route".to_owned() })),
        ("never provisioned", sight(ONE, &[])),
    ]
    .iter()
    .map(|(name, sight)| format!("{name}:\n{}", verdict(&want, sight)))
    .collect();
    expect_test::expect![[r#"
        healthy:
        healthy
        password changed by hand:
        - make the database agree with the secret again (app: its password is another one): the stored passwords are set where they do not log in, and NOLOGIN, a CONNECTION LIMIT of 0 or a VALID UNTIL in the past is taken back. A password that somebody has set by hand is lost
        half-way through a rotation:
        - end the rotation: version v-awspending logs in as app and becomes AWSCURRENT, which is all that it lacked
        an older password is in force:
        - make version v-awsprevious AWSCURRENT again: it logs in as app, and what AWSCURRENT holds now does not
        - take AWSPENDING from version v-awspending, which does not log in: the rotation that stands in the way ends
        - rotate, and follow it to its end: the password changes
        stuck, and nothing logs in:
        - make the database agree with the secret again (app: its password is another one): the stored passwords are set where they do not log in, and NOLOGIN, a CONNECTION LIMIT of 0 or a VALID UNTIL in the past is taken back. A password that somebody has set by hand is lost
        - take AWSPENDING from version v-awspending, which does not log in: the rotation that stands in the way ends
        - rotate, and follow it to its end: the password changes
        NOLOGIN:
        - make the database agree with the secret again (app: the role may not log in (NOLOGIN)): the stored passwords are set where they do not log in, and NOLOGIN, a CONNECTION LIMIT of 0 or a VALID UNTIL in the past is taken back. A password that somebody has set by hand is lost
        CONNECTION LIMIT 0:
        - make the database agree with the secret again (app: its CONNECTION LIMIT is 0): the stored passwords are set where they do not log in, and NOLOGIN, a CONNECTION LIMIT of 0 or a VALID UNTIL in the past is taken back. A password that somebody has set by hand is lost
        CONNECTION LIMIT reached:
        refused: AWSCURRENT does not log in: its CONNECTION LIMIT of 3 is reached
        hint: its sessions are in pg_stat_activity (usename = 'app'): end some, or raise connection_limit of `app` and apply
        the server is full:
        refused: AWSCURRENT does not log in: the server or the database takes no more connections
        hint: end sessions (pg_stat_activity), or raise max_connections; nothing is wrong with the login
        VALID UNTIL:
        - make the database agree with the secret again (app: its VALID UNTIL has passed (2000-01-01 00:00:00+00)): the stored passwords are set where they do not log in, and NOLOGIN, a CONNECTION LIMIT of 0 or a VALID UNTIL in the past is taken back. A password that somebody has set by hand is lost
        no such database:
        refused: AWSCURRENT does not log in: no, says the server (SQLSTATE 3D000)
        hint: do in the database what the server says, and recover again
        nobody can look:
        - make the database agree with the secret again (app: nobody got in to look at the role: it is found out by the master user): the stored passwords are set where they do not log in, and NOLOGIN, a CONNECTION LIMIT of 0 or a VALID UNTIL in the past is taken back. A password that somebody has set by hand is lost
        not ours:
        refused: the role `app` is not this deployment's
        hint: if it may be taken over, say so on it: COMMENT ON ROLE "app" IS 'pgrotate:deployment=article pgrotate:address=login.app'
        elsewhere:
        refused: AWSCURRENT cannot be tried: no route
        hint: pgrotate drift FILE tells what stands in the way; pgrotate apply FILE mends it
        never provisioned:
        refused: its secret has no value yet
        hint: pgrotate apply FILE provisions app
    "#]].assert_eq(&told);
}

#[test]
fn what_is_declared_is_to_be_changed_in_the_config() {
    let mut want = want(Strategy::SingleUser);
    want.attributes.connection_limit = Some(0);
    want.attributes.valid_until = Some("2026-02-28T00:00:00Z".to_owned());
    let mut limited = sight(Strategy::SingleUser, &[(CURRENT, Some("app"), refused("53300"))]);
    role(&mut limited).connection_limit = 0;
    let mut expired = sight(Strategy::SingleUser, &[(CURRENT, Some("app"), refused("28P01"))]);
    role(&mut expired).expired = true;
    let told = verdict(&want, &limited) + &verdict(&want, &expired);
    expect_test::expect![[r#"
        refused: AWSCURRENT does not log in: connection_limit = 0 is declared of it
        hint: change that in the config, and apply: pgrotate apply FILE makes `app` so
        refused: AWSCURRENT does not log in: valid_until in the past is declared of it
        hint: change that in the config, and apply: pgrotate apply FILE makes `app` so
    "#]]
    .assert_eq(&told);
}

/// Of all that can be seen of three versions: nothing is made current that does not log in, no AWSCURRENT that logs in
/// is set again, and where nothing is wrong nothing is done.
#[test]
fn whatever_is_seen_no_password_that_works_is_lost() {
    let attempts = [OK, refused("28P01"), refused("28000"), refused("53300"), LoginAttempt::NoValue];
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        let want = want(strategy);
        for (current, pending, previous, ours) in attempts.iter().flat_map(|current| {
            attempts.iter().flat_map(move |pending| {
                let attempts = [OK, refused("28P01"), refused("53300")];
                attempts.into_iter().flat_map(move |previous| {
                    [true, false].map(|has_pending| (current.clone(), pending.clone(), previous.clone(), has_pending))
                })
            })
        }) {
            let other = if strategy == Strategy::AlternatingUsers { "app_clone" } else { "app" };
            // In the contract's order; nobody can tell the user of what cannot be read.
            let user = |name, attempt: &LoginAttempt| (*attempt != LoginAttempt::NoValue).then_some(name);
            let mut versions = vec![(CURRENT, user("app", &current), current.clone())];
            if ours {
                versions.push((PENDING, user(other, &pending), pending));
            }
            versions.push((PREVIOUS, Some(other), previous));
            let sight = sight(strategy, &versions);
            let logs_in =
                |version: &str| sight.facts.versions.iter().any(|facts| facts.version == version && facts.login == OK);
            let Verdict::Steps(steps) = diagnose(&want, &sight, now()).verdict else { continue };
            for step in &steps {
                match step {
                    Step::MakeCurrent { version, .. } => assert!(logs_in(version), "{sight:?}"),
                    Step::EndPending { version, .. } => {
                        assert_eq!(sight.secret.pending(), Some(version.as_str()));
                        assert!(!logs_in(version), "{sight:?}");
                    }
                    Step::SetAgain { role, .. } => {
                        let works = sight
                            .facts
                            .versions
                            .iter()
                            .any(|version| version.username.as_ref() == Some(role) && version.login == OK);
                        assert!(!works, "{sight:?} {steps:?}");
                    }
                    Step::Rotate => assert!(steps.iter().any(|step| matches!(step, Step::EndPending { .. }))),
                }
            }
            assert!(current != OK || ours || steps.iter().all(|step| matches!(step, Step::SetAgain { .. })));
        }
    }
}

//! `pgrotate recover`: every way in which a login stops working, told for what it is and put right, with no password
//! lost that still worked.

use crate::scenarios::SINGLE_USER;
use crate::support::{ARTICLE, Deployment, Run, pasted, path, until};
use serde_json::{Value, json};

const USER: &str = "test_user1";
const SECRET: &str = "test_user1_secret";

impl Deployment {
    fn recover(&self, login: &str) -> Run {
        let before = self.account.requests().len();
        let run = self.account.pgrotate(&["recover", path(&self.config), login, "--yes"]);
        // Nobody else asks meanwhile: these tests log in by themselves, and not now.
        let values = ["GetSecretValue", "BatchGetSecretValue", "PutSecretValue"];
        let asked = self.account.requests().split_off(before);
        let read: Vec<_> = asked
            .into_iter()
            .filter(|(caller, what)| !caller.starts_with("function:") && values.iter().any(|call| what.ends_with(call)))
            .collect();
        assert!(read.is_empty(), "{read:?}");
        run
    }

    /// It says `facts`, and the login works afterwards.
    fn recovers(&self, login: &str, facts: &[&str]) -> Run {
        let run = self.recover(login);
        run.exits(0);
        for fact in facts {
            assert!(run.stdout.contains(fact), "`{fact}`: {}", run.stdout);
        }
        assert!(run.stdout.contains("Recovered: AWSCURRENT (version "), "{}", run.stdout);
        assert!(self.account.login(&format!("{login}_secret"), "AWSCURRENT").starts_with(login));
        assert!(self.account.drift(&self.config).is_empty(), "after:\n{}", run.stdout);
        self.healthy(login);
        run
    }

    fn healthy(&self, login: &str) {
        let before = self.versions(&format!("{login}_secret"));
        let run = self.recover(login);
        run.exits(0);
        assert!(run.stdout.contains("Healthy: AWSCURRENT (version "), "{}", run.stdout);
        assert_eq!(self.versions(&format!("{login}_secret")), before);
    }

    /// `status` and `drift` name the reason, and this command.
    fn is_told(&self, login: &str, fact: &str) {
        let run = self.account.pgrotate(&["status", path(&self.config)]);
        run.exits(2);
        let recover = pasted("recover", &self.config, login);
        assert!(run.stdout.contains(fact) && run.stdout.contains(&recover), "`{fact}`: {}", run.stdout);
        let found = self.account.drift(&self.config);
        let found: String = found.values().cloned().collect();
        assert!(found.contains(fact) && found.contains(&recover), "`{fact}`: {found}");
    }

    fn versions(&self, secret: &str) -> Value {
        self.account.call("secretsmanager", "describe_secret", json!({ "SecretId": secret }))["VersionIdsToStages"]
            .clone()
    }

    /// The version with a label of AWS's.
    fn labelled(&self, secret: &str, label: &str) -> Option<String> {
        let versions = self.versions(secret);
        let has = |labels: &Value| labels.as_array().is_some_and(|labels| labels.contains(&json!(label)));
        versions.as_object()?.iter().find(|(_, labels)| has(labels)).map(|(version, _)| version.clone())
    }

    /// A rotation that dies at every attempt, at `request` of the function, `skip` of which are let through.
    fn gets_stuck(&self, login: &str, request: &str, skip: &str, after: &[&str]) {
        let what = ["kill", "--function", "pgpasslambda", "--times", "3", "--skip", skip];
        self.account.fault(&[&[request][..], &what, after].concat());
        self.account.pgrotate(&["rotate", path(&self.config), login]).exits(0);
        until("all attempts have failed", || self.account.fault(&[]).trim().is_empty().then_some(()));
        let pending = self.labelled(&format!("{login}_secret"), "AWSPENDING");
        assert!(pending.is_some(), "{}", self.versions(&format!("{login}_secret")));
    }
}

fn refused(run: &Run, cause: &str) {
    run.exits(4);
    let coded =
        ["refused[not-recoverable]: ", "refused[not-confirmed]: "].iter().any(|code| run.stderr.starts_with(code));
    assert!(coded && run.stderr.contains(cause), "{}", run.stderr);
    assert!(run.stderr.contains("\nhint: "), "{}", run.stderr);
}

/// A password changed by hand, limits, an expiry, NOLOGIN: of both of two users.
#[test]
fn of_two_users() {
    let at = Deployment::new(ARTICLE);
    let (account, config) = (&at.account, at.config.as_path());
    at.healthy(USER);
    // Nobody to ask is no yes, and nothing is done.
    account.sql("alter role test_user1_clone password 'typed by hand'");
    let asked = account.requests().len();
    let run = account.pgrotate(&["recover", path(config), USER]);
    refused(&run, "there is no terminal to ask");
    assert!(run.stdout.contains("its password is another one"), "{}", run.stdout);
    let changes = ["UpdateSecretVersionStage", "RotateSecret", "PutSecretValue"];
    let asked = account.requests().split_off(asked);
    assert!(!asked.iter().any(|(_, what)| changes.iter().any(|change| what.ends_with(change))), "{asked:?}");
    assert!(!account.logs_in(SECRET, "AWSCURRENT"));

    for _ in 0..2 {
        let before = at.labelled(SECRET, "AWSCURRENT");
        let user = current_user(&at);
        account.sql(&format!("alter role {user} password 'typed by hand'"));
        at.is_told(USER, "its password is another one (28P01)");
        at.recovers(USER, &["its password is another one (SQLSTATE 28P01)", "set the password of version"]);
        for (damage, fact) in [
            ("nologin", "may not log in (NOLOGIN)"),
            ("connection limit 0", "CONNECTION LIMIT is 0"),
            ("valid until '2000-01-01'", "VALID UNTIL has passed (2000-01-01 00:00:00+00)"),
        ] {
            for role in ["test_user1", "test_user1_clone"] {
                account.sql(&format!("alter role {role} {damage}"));
            }
            at.is_told(USER, fact);
            at.recovers(USER, &[fact]);
            // Whoever has AWSPREVIOUS goes on with it, and nothing has rotated.
            assert!(account.logs_in(SECRET, "AWSPREVIOUS"), "{damage}");
            assert_eq!(at.labelled(SECRET, "AWSCURRENT"), before, "{damage}");
        }
        account.rotate(config, USER).exits(0);
    }
    let secrets = account.passwords();
    account.nothing_tells(&secrets);
}

fn current_user(at: &Deployment) -> String {
    let run = at.account.pgrotate(&["status", "--format", "json", path(&at.config)]);
    let status: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let logins = status["logins"].as_array().expect("logins");
    let user = logins.iter().find(|login| login["login"] == USER).expect("the user");
    user["current_user"].as_str().expect("a name").to_owned()
}

/// Dropped behind our back, the clone or the base.
#[test]
fn of_a_role_that_was_dropped() {
    let at = Deployment::new(ARTICLE);
    let account = &at.account;
    // AWSCURRENT is the clone.
    account.sql("drop role test_user1_clone");
    at.is_told(USER, "the role does not exist (28P01)");
    at.recovers(USER, &["the role does not exist (SQLSTATE 28P01)", "made role \"test_user1_clone\""]);
    assert!(account.logs_in(SECRET, "AWSPREVIOUS"));
    // AWSPREVIOUS is.
    account.rotate(&at.config, USER).exits(0);
    account.sql("drop role test_user1_clone");
    at.is_told(USER, "AWSPREVIOUS does not log in any more: the role does not exist");
    at.finds(&at.config, &["login.test_user1"], &["previous-refused"]);
    account.is_empty(&at.config);
    at.recovers(USER, &["made role \"test_user1_clone\""]);
    assert!(account.logs_in(SECRET, "AWSPREVIOUS"));
    assert_eq!(account.sql("select rolcanlogin from pg_roles where rolname = 'test_user1_clone'"), [[json!(true)]]);
    account.rotate(&at.config, USER).exits(0);
}

/// Of a single user, and of the admin login, at which nobody else can look.
#[test]
fn of_a_single_user_and_of_the_admin() {
    let at = Deployment::new(&format!("{ARTICLE}{SINGLE_USER}"));
    let account = &at.account;
    account.sql("alter role reporting password 'typed by hand'");
    at.is_told("reporting", "its password is another one");
    at.recovers("reporting", &["its password is another one", "set the password of version"]);
    account.sql("alter role reporting valid until '2000-01-01' nologin password 'lost'");
    at.recovers("reporting", &["VALID UNTIL has passed"]);

    // A value put by hand: the one before it still logs in, and becomes current again.
    let good = at.labelled("reporting_secret", "AWSCURRENT");
    account.call(
        "secretsmanager",
        "put_secret_value",
        json!({
            "SecretId": "reporting_secret", "SecretString": "typed by hand",
        }),
    );
    at.finds(&at.config, &["login.reporting"], &["secret-unusable", &pasted("recover", &at.config, "reporting")]);
    at.recovers("reporting", &["holds no usable value", "AWSCURRENT again"]);
    assert_eq!(at.labelled("reporting_secret", "AWSCURRENT"), good);

    account.sql("alter role rotator_admin nologin password 'lost'");
    at.recovers_admin();
    account.rotate(&at.config, USER).exits(0);
    account.rotate(&at.config, "reporting").exits(0);
}

impl Deployment {
    fn recovers_admin(&self) {
        let run = self.recover("rotator_admin");
        run.exits(0);
        assert!(run.stdout.contains("could not be looked at") && run.stdout.contains("Recovered: "), "{}", run.stdout);
        assert_eq!(self.account.login("rotator_admin_secret", "AWSCURRENT"), "rotator_admin");
        assert!(self.account.drift(&self.config).is_empty());
    }
}

/// Stuck on an AWSPENDING: without a value, with one that is not set, with one that only lacks its end.
#[test]
fn of_a_rotation_that_is_stuck() {
    let at = Deployment::new(&format!("{ARTICLE}{SINGLE_USER}"));
    let account = &at.account;
    let (put, label) = ("secretsmanager.PutSecretValue", "secretsmanager.UpdateSecretVersionStage");
    for login in [USER, "reporting"] {
        let secret = format!("{login}_secret");
        let before = at.labelled(&secret, "AWSCURRENT");
        at.gets_stuck(login, put, "0", &[]);
        let refused = account.rotate(&at.config, login);
        refused.exits(1);
        assert!(refused.stderr.contains(&pasted("recover", &at.config, login)), "{}", refused.stderr);
        at.recovers(login, &["holds no usable value", "which holds no value", "made current"]);
        assert_ne!(at.labelled(&secret, "AWSCURRENT"), before, "it has rotated");

        // With a value that reached the database, and did not become current.
        let skip = if login == USER { "0" } else { "1" };
        at.gets_stuck(login, label, skip, &[]);
        let pending = at.labelled(&secret, "AWSPENDING");
        assert_eq!(account.logs_in(&secret, "AWSCURRENT"), login == USER, "a single user's window");
        assert!(account.logs_in(&secret, "AWSPENDING"));
        at.recovers(login, &["all that it lacked"]);
        assert_eq!(at.labelled(&secret, "AWSCURRENT"), pending);
        account.rotate(&at.config, login).exits(0);
    }
    // With a value that is in force no longer: what is current is put right, and rotates.
    at.gets_stuck("reporting", label, "1", &[]);
    account.sql("alter role reporting password 'typed by hand'");
    at.recovers("reporting", &["its password is another one", "which does not log in", "made current"]);
}

/// What a recovery does not change.
#[test]
fn of_what_is_not_for_it_to_change() {
    let declared = format!("{ARTICLE}\nconnection_limit = 3\n");
    let at = Deployment::new(&declared);
    let account = &at.account;
    let limits = "select rolname, rolconnlimit from pg_roles where rolname like 'test_user1%' order by 1";
    let three = [[json!("test_user1"), json!(3)], [json!("test_user1_clone"), json!(3)]];
    for role in ["test_user1", "test_user1_clone"] {
        account.sql(&format!("alter role {role} connection limit 0"));
    }
    at.recovers(USER, &["CONNECTION LIMIT is 0"]);
    assert_eq!(account.sql(limits), three, "what is declared");

    // A limit of somebody's own that others have used up, and an expiry that the config itself declares.
    // The base has the turn, so that it is AWSCURRENT's own role which expires.
    account.rotate(&at.config, USER).exits(0);
    let config = account.config(&format!("{declared}valid_until = 2001-01-01T00:00:00Z\n"));
    account.apply(&config).exits(1);
    let run = account.pgrotate(&["recover", path(&config), USER, "--yes"]);
    refused(&run, "valid_until in the past is declared of it");
    let config = account.config(&declared);
    at.recovers(USER, &["VALID UNTIL has passed"]);

    // A role that somebody else has made in the place of ours.
    let comment = "select shobj_description(oid, 'pg_authid') from pg_roles where rolname = 'test_user1'";
    let ours = account.sql(comment);
    account.sql("comment on role test_user1 is 'mine'");
    account.sql("alter role test_user1 password 'lost'");
    let run = account.pgrotate(&["recover", path(&config), USER, "--yes"]);
    refused(&run, "the role `test_user1` is not this deployment's");
    assert!(!account.logs_in(SECRET, "AWSCURRENT"));
    account.sql(&format!("comment on role test_user1 is '{}'", ours[0][0].as_str().expect("a comment")));
    at.recovers(USER, &["its password is another one"]);
}

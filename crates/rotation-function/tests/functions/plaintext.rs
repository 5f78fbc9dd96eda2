//! No password is ever sent to the server in a statement: not one occurs in its log, in pg_stat_activity, or in
//! pg_stat_statements, while a server that logs all it can is provisioned and rotated, and statements fail.

use crate::server::{Server, server};
use crate::world::{World, token};
use base64::Engine;
use function_contract::{Strategy, clone_of};
use rotation_function::database::{identifier, literal};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Looks at what sessions run, as fast as the server answers.
struct Sampler {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<BTreeSet<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    fn start(server: &'static Server) -> Self {
        let (stop, seen) = (Arc::<AtomicBool>::default(), Arc::<Mutex<BTreeSet<String>>>::default());
        let (until, into) = (stop.clone(), seen.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = server.superuser().await;
                let sql = "SELECT DISTINCT query FROM pg_stat_activity WHERE query <> '' AND pid <> pg_backend_pid()";
                while !until.load(Ordering::Relaxed) {
                    let rows = client.query(sql, &[]).await.unwrap();
                    into.lock().unwrap().extend(rows.iter().map(|row| row.get::<_, String>(0)));
                }
            });
        });
        Self { stop, seen, thread: Some(thread) }
    }

    fn seen(&self, is: impl Fn(&str) -> bool) -> bool {
        self.seen.lock().unwrap().iter().any(|query| is(query))
    }

    fn stop(mut self) -> String {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.seen.lock().unwrap().iter().cloned().collect::<Vec<_>>().join("\n")
    }
}

/// A password as it may stand in a text: as it is, and as SQL, C, JSON, URLs, Base64 and hexadecimal write it.
fn forms(password: &str) -> Vec<String> {
    let percent: String = password
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    let hex: String = password.bytes().map(|byte| format!("{byte:02x}")).collect();
    let json = serde_json::Value::from(password).to_string();
    let base64 = base64::engine::general_purpose::STANDARD.encode(password);
    let escaped = password.replace('\\', "\\\\").replace('\'', "\\'");
    vec![
        password.to_owned(),
        password.replace('\'', "''"),
        escaped,
        json.trim_matches('"').to_owned(),
        percent,
        hex,
        base64,
    ]
}

/// Which of the passwords occur in `text`, in whatever form.
fn found(text: &str, passwords: &BTreeSet<String>) -> Vec<String> {
    passwords.iter().filter(|password| forms(password).iter().any(|form| text.contains(form))).cloned().collect()
}

/// Every password that the world's secrets hold or have held.
fn passwords(world: &World) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for arn in [&world.user_arn, &world.config.admin_secret_arn] {
        world.store.with(arn, |secret| {
            for value in secret.values.values().flatten() {
                let value: serde_json::Value = serde_json::from_str(value).unwrap();
                all.insert(value["password"].as_str().unwrap().to_owned());
            }
        });
    }
    all
}

/// What pg_stat_statements keeps, where the server has it.
async fn kept(server: &Server) -> Option<String> {
    if server.texts("SHOW shared_preload_libraries").await == [""] {
        return None;
    }
    let make =
        "SELECT pg_advisory_lock(1); CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT pg_advisory_unlock(1)";
    server.sql(make).await;
    Some(server.texts("SELECT query FROM pg_stat_statements").await.join("\n"))
}

#[tokio::test]
async fn no_password_is_in_a_log_an_activity_or_a_statistic() {
    let server = server();
    kept(server).await;
    for strategy in [Strategy::AlternatingUsers, Strategy::SingleUser] {
        let sampler = Sampler::start(server);
        let world = World::new(strategy).await;
        for _ in 0..3 {
            world.rotate(&world.user_arn).await;
            world.rotate(&world.config.admin_secret_arn).await;
        }
        // A password set again from the secret, by the master.
        server.sql(&format!("ALTER ROLE {} PASSWORD NULL", identifier(&world.admin))).await;
        world.ensure(world.request(function_contract::Duty::Admin)).await.unwrap();

        // An ALTER that waits, and then fails: somebody holds the role's row for longer than our lock_timeout.
        let pending = token();
        world.store.start_rotation(&world.user_arn, &pending).unwrap();
        world.step(&world.user_arn, "createSecret", &pending).await.unwrap();
        let turn = world.store.with(&world.user_arn, |secret| secret.values[&pending].clone()).unwrap();
        let turn: serde_json::Value = serde_json::from_str(&turn).unwrap();
        let role = turn["username"].as_str().unwrap();
        assert!(role == world.user || role == clone_of(&world.user));
        let holder = server.superuser().await;
        holder
            .batch_execute(&format!("BEGIN; SELECT FROM pg_authid WHERE rolname = {} FOR UPDATE", literal(role)))
            .await
            .unwrap();
        let error = world.step(&world.user_arn, "setSecret", &pending).await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("55P03"), "{error}");
        holder.batch_execute("ROLLBACK").await.unwrap();
        for step in crate::world::STEPS {
            world.step(&world.user_arn, step, &pending).await.unwrap();
        }
        assert!(world.current_works(&world.user_arn).await);

        // What was looked at did hold the statement, with the verifier in the password's place.
        let ours = |text: &str| {
            text.contains("PASSWORD 'SCRAM-SHA-256$") && text.contains("ALTER ROLE") && text.contains(&identifier(role))
        };
        assert!(sampler.seen(ours), "our ALTER waited four seconds, and nobody saw it");
        let failed = server.log();
        let failed = failed.lines().filter(|line| line.contains("STATEMENT:")).collect::<Vec<_>>().join("\n");
        assert!(ours(&failed), "the log tells which statement failed");

        let passwords = passwords(&world);
        assert!(passwords.len() >= 8, "there is something to look for");
        let seen = sampler.stop();
        assert_eq!(found(&seen, &passwords), Vec::<String>::new(), "pg_stat_activity");
        assert_eq!(found(&server.log(), &passwords), Vec::<String>::new(), "the log");
        if let Some(kept) = kept(server).await {
            assert!(kept.contains("ALTER ROLE"), "it keeps such statements");
            assert_eq!(found(&kept, &passwords), Vec::<String>::new(), "pg_stat_statements");
        }
    }
}

/// The same look at an ALTER that does send a password: it is found everywhere, or the test above is worth nothing.
#[tokio::test]
async fn a_password_in_plain_would_be_found() {
    let server = server();
    kept(server).await;
    let word = format!("it's a \\control {}", token());
    let sampler = Sampler::start(server);
    let session = server.superuser().await;
    session
        .batch_execute(&format!("CREATE ROLE \"control {}\" PASSWORD {}", std::process::id(), literal(&word)))
        .await
        .unwrap();
    let began = std::time::Instant::now();
    while !sampler.seen(|query| query.contains("\"control ")) {
        assert!(began.elapsed() < std::time::Duration::from_secs(30), "nobody saw it");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let (words, it) = (BTreeSet::from([word.clone()]), vec![word.clone()]);
    assert_eq!(found(&sampler.stop(), &words), it);
    assert_eq!(found(&server.log(), &words), it);
    if let Some(kept) = kept(server).await {
        assert_eq!(found(&kept, &words), it);
    }
    for form in forms(&word) {
        assert_eq!(found(&format!("x{form}y"), &words), it);
    }
}

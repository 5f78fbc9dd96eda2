//! A deployment of one admin login and one user, against the real server and the fake store.

use crate::fake::{CURRENT, Fake};
use crate::faults::{FaultyDatabase, FaultyStore, Plan};
use crate::server::{MASTER, MASTER_PASSWORD, Server, server};
use function_contract::{
    CA_BUNDLE_FILE, DatabaseId, Duty, EnsureLogin, InspectLogin, InspectionRequest, LoginFacts, Provisioned,
    ProvisioningRequest, RoleAttributes, Strategy,
};
use rotation_function::config::{Config, Function, Hosts};
use rotation_function::context::Context;
use rotation_function::database::Postgres;
use rotation_function::error::FunctionError;
use rotation_function::event::RotationEvent;
use rotation_function::rotation::Report;
use rotation_function::tls;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

pub const DEPLOYMENT: &str = "tests";
pub const MASTER_ARN: &str = "arn:master";
pub const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

static NEXT: AtomicU64 = AtomicU64::new(1);

pub struct World {
    pub server: &'static Server,
    pub store: Fake,
    pub database: Postgres,
    pub config: Config,
    pub plan: Plan,
    pub strategy: Strategy,
    pub admin: String,
    pub user: String,
    pub user_arn: String,
}

pub fn token() -> String {
    format!("{:08x}-0000-4000-8000-{:012x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What `apply` asks of provisioning for a login of the test server that declares nothing further.
pub fn ensure_request(login: &str, secret_arn: &str, duty: Duty, strategy: Strategy, server: &Server) -> EnsureLogin {
    EnsureLogin {
        login: login.to_owned(),
        address: format!("login.{login}"),
        duty,
        strategy,
        secret_arn: secret_arn.to_owned(),
        database: "postgres".to_owned(),
        server: function_contract::Server {
            host: "127.0.0.1".to_owned(),
            port: server.port,
            id: DatabaseId::Instance("my-postgres-instance".to_owned()),
        },
        attributes: RoleAttributes::default(),
        adopt: false,
    }
}

/// TLS with the given PEM as the user's bundle. To read a hundred roots takes longer than a login: it is done once a
/// bundle. (PostgreSQL offers no resumption, so that each handshake verifies the certificate all the same.)
pub fn client(ca: &str) -> rustls::ClientConfig {
    static READ: Mutex<BTreeMap<String, rustls::ClientConfig>> = Mutex::new(BTreeMap::new());
    READ.lock().unwrap().entry(ca.to_owned()).or_insert_with(|| read(ca)).clone()
}

fn read(ca: &str) -> rustls::ClientConfig {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(CA_BUNDLE_FILE), ca).unwrap();
    tls::client(Some(folder.path())).unwrap()
}

/// Postgres with the given PEM as the user's bundle.
pub fn postgres(ca: &str, hosts: &str) -> Postgres {
    Postgres::new(client(ca), Hosts::parse(hosts).unwrap())
}

impl World {
    /// Provisioned and ready to rotate. Names hold a capital and a quote, so that a forgotten quoting shows.
    pub async fn new(strategy: Strategy) -> Self {
        let world = Self::unprovisioned(strategy);
        world.ensure_all().await;
        world
    }

    pub fn unprovisioned(strategy: Strategy) -> Self {
        let server = server();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Of one width: no name is the beginning of another test's.
        let (admin, user) = (format!("Admin's {number:06}"), format!("App\"{number:06}"));
        let hosts = format!("127.0.0.1:{}", server.port);
        let world = Self {
            server,
            store: Fake::default(),
            database: postgres(&server.ca, &hosts),
            config: Config {
                function: Function::Rotation,
                deployment: DEPLOYMENT.to_owned(),
                hosts: Hosts::parse(&hosts).unwrap(),
                admin_secret_arn: format!("arn:admin{number}"),
                master_secret_arn: Some(MASTER_ARN.to_owned()),
                lock_database: "postgres".to_owned(),
            },
            plan: Plan::default(),
            strategy,
            user_arn: format!("arn:user{number}"),
            admin,
            user,
        };
        world.store.create(MASTER_ARN, "none", "none");
        let master = format!(r#"{{"username":"{MASTER}","password":"{MASTER_PASSWORD}"}}"#);
        world.store.put_by_hand(MASTER_ARN, "m", &master);
        world.store.create(&world.config.admin_secret_arn, DEPLOYMENT, &world.admin);
        world.store.create(&world.user_arn, DEPLOYMENT, &world.user);
        world
    }

    pub fn context(&self) -> Context<'_, Fake, Postgres> {
        self.context_over(&self.store, &self.database)
    }

    pub fn context_over<'a, S, D>(&'a self, store: &'a S, database: &'a D) -> Context<'a, S, D> {
        Context::new(&self.config, store, database, Instant::now() + Duration::from_secs(25))
    }

    pub fn request(&self, duty: Duty) -> EnsureLogin {
        let (login, secret_arn, strategy) = match duty {
            Duty::Admin => (&self.admin, &self.config.admin_secret_arn, Strategy::SingleUser),
            Duty::User => (&self.user, &self.user_arn, self.strategy),
        };
        ensure_request(login, secret_arn, duty, strategy, self.server)
    }

    pub async fn ensure(&self, request: EnsureLogin) -> Result<Provisioned, FunctionError> {
        self.context().provision(&ProvisioningRequest::EnsureLogin(request)).await
    }

    pub async fn ensure_all(&self) -> [Provisioned; 2] {
        let admin = self.ensure(self.request(Duty::Admin)).await.unwrap();
        [admin, self.ensure(self.request(Duty::User)).await.unwrap()]
    }

    /// One step, through whatever `plan` does to it.
    pub async fn step(&self, arn: &str, step: &str, token: &str) -> Result<Report, FunctionError> {
        let event = serde_json::json!({"Step": step, "SecretId": arn, "ClientRequestToken": token});
        let event = RotationEvent::parse(event)?;
        let (store, database) = (FaultyStore(&self.store, &self.plan), FaultyDatabase(&self.database, &self.plan));
        let mut report = Report::default();
        self.context_over(&store, &database).rotate(&event, &mut report).await?;
        Ok(report)
    }

    /// The four steps, as RotateSecret takes them.
    pub async fn steps(&self, arn: &str, token: &str) -> Result<Vec<Report>, FunctionError> {
        let mut reports = Vec::new();
        for step in STEPS {
            reports.push(self.step(arn, step, token).await?);
        }
        Ok(reports)
    }

    /// A whole rotation.
    pub async fn rotate(&self, arn: &str) -> Vec<Report> {
        let token = token();
        self.store.start_rotation(arn, &token).unwrap();
        self.steps(arn, &token).await.unwrap()
    }

    /// The advisory lock's key of the user, computed by the server: releases must agree on it.
    pub async fn lock_key(&self) -> String {
        let sql = format!(
            "SELECT ('x' || left(encode(sha256(convert_to('pgrotate login', 'UTF8') || '\\x00' || convert_to({}, 'UTF8')), \
             'hex'), 16))::bit(64)::int8::text",
            rotation_function::database::literal(&self.user)
        );
        self.server.texts(&sql).await.remove(0)
    }

    /// A rotation, with the AWS calls and the connections that each step made.
    pub async fn counted_rotation(&self) -> Vec<(usize, usize)> {
        let token = token();
        self.store.start_rotation(&self.user_arn, &token).unwrap();
        let logins = || {
            let log = self.server.log();
            let ours = |line: &&str| [&self.user, &self.admin].iter().any(|name| line.contains(name.as_str()));
            log.lines().filter(|line| line.contains("connection authorized: user=")).filter(ours).count()
        };
        let mut counts = Vec::new();
        for step in STEPS {
            let before = logins();
            self.store.calls();
            self.step(&self.user_arn, step, &token).await.unwrap();
            counts.push((self.store.calls().len(), logins() - before));
        }
        counts
    }

    pub async fn inspect(&self, arn: &str) -> LoginFacts {
        let login = if arn == self.user_arn { &self.user } else { &self.admin };
        let login = InspectLogin { login: login.clone(), secret_arn: arn.to_owned() };
        self.context().inspect(&InspectionRequest { logins: vec![login] }).await.unwrap().logins.remove(0)
    }

    /// Labels of every version that logs in, found out as an application would: not by the function's own eyes.
    pub async fn working_labels(&self, arn: &str) -> Vec<String> {
        let labelled: Vec<(String, Option<String>)> = self.store.with(arn, |secret| {
            let value = |version: &String| secret.values.get(version).cloned().flatten();
            secret.labels.iter().map(|(label, version)| (label.clone(), value(version))).collect()
        });
        let mut working = Vec::new();
        for (label, value) in labelled {
            if self.server.admits(value.as_deref()).await {
                working.push(label);
            }
        }
        working
    }

    pub async fn current_works(&self, arn: &str) -> bool {
        self.works(arn, CURRENT).await
    }

    /// Whether the version with `label` logs in; false where there is none.
    pub async fn works(&self, arn: &str, label: &str) -> bool {
        let value: Option<String> = self.store.with(arn, |secret| {
            secret.labels.get(label).and_then(|version| secret.values.get(version).cloned().flatten())
        });
        self.server.admits(value.as_deref()).await
    }

    pub fn current(&self, arn: &str) -> serde_json::Value {
        self.store.with(arn, |secret| secret.value(CURRENT))
    }

    pub fn clone_name(&self) -> String {
        function_contract::clone_of(&self.user)
    }

    /// Runs statements with AWSCURRENT, in a session as an application opens it.
    pub async fn as_current(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        let value = self.current(&self.user_arn);
        self.server
            .application(value["username"].as_str().unwrap(), value["password"].as_str().unwrap())
            .await?
            .batch_execute(sql)
            .await
    }
}

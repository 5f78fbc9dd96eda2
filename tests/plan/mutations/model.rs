//! Configs by chance: every part that may be changed of a deployment that lives.

use crate::scenario::Scenario;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone)]
pub struct User {
    single: bool,
    schedule: usize,
    settings: BTreeSet<usize>,
    limit: Option<u32>,
    more: usize,
    database: usize,
}

#[derive(Debug, Clone)]
pub struct Model {
    /// By number: one that leaves may come back.
    users: BTreeMap<u8, User>,
    allow: BTreeSet<usize>,
    /// How the functions come to Secrets Manager.
    path: usize,
    own_group: bool,
    class: usize,
    minor: usize,
    gib: u32,
    backup: u32,
    public: bool,
    alerts: bool,
    bucket: bool,
    function: usize,
    admin_every: u32,
    passwords: usize,
    recovery: u32,
    drop: bool,
}

const ALLOW: [&str; 4] = [
    r#"{ cidr = "203.0.113.7/32", description = "office" }"#,
    r#"{ cidr = "10.20.0.0/16", description = "applications" }"#,
    r#"{ cidr = "2001:db8:20::/48", description = "the same, by IPv6" }"#,
    r#"{ group = "sg-0aaaaaaaaaaaaaaaa", description = "clients" }"#,
];
const PATHS: [&str; 3] = ["endpoint", "nat", "existing-endpoint"];
const CLASSES: [&str; 3] = ["db.t3.micro", "db.t3.small", "db.m7g.large"];
const MINORS: [&str; 3] = ["16", "16.9", "16.10"];
const FUNCTIONS: [&str; 2] = ["pgpasslambda", "rotator"];
const PASSWORDS: [&str; 3] = ["\"default\"", "\"url-safe\"", "{ length = 64, exclude = '\"' }"];
const SCHEDULES: [&str; 4] = [
    "every = \"10 days\"",
    "every = \"20 days\"\nwindow = \"2h\"",
    "every = \"8 hours\"\nwindow = \"1h\"",
    "cron = \"cron(0 12 ? * MON-FRI *)\"",
];
const SETTINGS: [&str; 3] = ["search_path = \"app\"", "work_mem = \"8MB\"", "statement_timeout = \"5s\""];
const MORE: [&str; 4] =
    ["", "member_of = [\"app_rw\"]\n", "valid_until = 2035-06-01T12:00:00Z\n", "passwords = \"url-safe\"\n"];
const DATABASES: [&str; 2] = ["postgres", "app"];

fn user() -> impl Strategy<Value = User> {
    let settings = prop::collection::btree_set(0..SETTINGS.len(), 0..=2);
    (any::<bool>(), 0..SCHEDULES.len(), settings, prop::option::of(1..50u32), 0..MORE.len(), 0..DATABASES.len())
        .prop_map(|(single, schedule, settings, limit, more, database)| User {
            single,
            schedule,
            settings,
            limit,
            more,
            database,
        })
}

/// One of any shape.
pub fn model() -> impl Strategy<Value = Model> {
    let parts = (
        prop::collection::btree_map(0..6u8, user(), 1..5),
        prop::collection::btree_set(0..ALLOW.len(), 0..=3),
        (0..PATHS.len(), prop::bool::weighted(0.8)),
        (0..CLASSES.len(), 0..MINORS.len(), 20..60u32, 0..36u32, any::<bool>()),
        (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2)),
        (1..60u32, 0..PASSWORDS.len(), 7..=30u32, any::<bool>()),
    );
    parts.prop_map(|(users, allow, (path, own_group), instance, (alerts, bucket, renamed), rest)| {
        let (class, minor, gib, backup, public) = instance;
        let (admin_every, passwords, recovery, drop) = rest;
        let function = usize::from(renamed);
        Model {
            users,
            allow,
            path,
            own_group,
            class,
            minor,
            gib,
            backup,
            public,
            alerts,
            bucket,
            function,
            admin_every,
            passwords,
            recovery,
            drop,
        }
    })
}

/// One change of a model, taken from another.
pub fn changed(before: &Model, other: &Model, what: usize) -> Model {
    let mut after = before.clone();
    match what % 17 {
        0 => after.users.extend(other.users.clone()),
        1 => after.users = other.users.clone(),
        2 => {
            after.users.pop_first();
            if after.users.is_empty() {
                after.users = other.users.clone();
            }
        }
        3 => {
            for (number, user) in &other.users {
                after.users.entry(*number).and_modify(|before| *before = user.clone());
            }
        }
        4 => after.allow = other.allow.clone(),
        5 => after.path = other.path,
        6 => after.own_group = other.own_group,
        7 => after.class = other.class,
        8 => after.minor = other.minor,
        9 => after.gib = other.gib.max(before.gib),
        10 => after.backup = other.backup,
        11 => after.public = other.public,
        12 => after.alerts = other.alerts,
        13 => after.bucket = other.bucket,
        14 => after.function = other.function,
        15 => after.admin_every = other.admin_every,
        _ => {
            (after.passwords, after.recovery, after.drop) = (other.passwords, other.recovery, other.drop);
        }
    }
    after
}

impl User {
    fn text(&self, number: u8) -> String {
        let Self { single, schedule, settings, limit, more, database } = self;
        let strategy = if *single { "single-user" } else { "alternating-users" };
        let settings: Vec<_> = settings.iter().map(|&setting| SETTINGS[setting]).collect();
        let limit = limit.map(|limit| format!("connection_limit = {limit}\n")).unwrap_or_default();
        format!(
            "[[user]]\nlogin = \"user{number}\"\nsecret = \"user{number}_secret\"\nstrategy = \"{strategy}\"\n{}\n\
             settings = {{ {} }}\n{limit}{}database = \"{}\"\n\n",
            SCHEDULES[*schedule],
            settings.join(", "),
            MORE[*more],
            DATABASES[*database],
        )
    }
}

impl Model {
    /// The file, its tables turned by so many places, and its users likewise.
    pub fn text(&self, turned: usize) -> String {
        let Self {
            users,
            allow,
            path,
            own_group,
            class,
            minor,
            gib,
            backup,
            public,
            alerts,
            bucket,
            function,
            admin_every,
            passwords,
            recovery,
            drop,
        } = self;
        let mut allow: Vec<_> = allow.iter().map(|&allow| ALLOW[allow]).collect();
        let places = turned % allow.len().max(1);
        allow.rotate_left(places);
        let mut users: Vec<_> = users.iter().map(|(number, user)| user.text(*number)).collect();
        let places = turned % users.len();
        users.rotate_left(places);
        let group = if *own_group { "" } else { "security_group = { existing = \"my-rds-sg\" }\n" };
        let bucket = if *bucket { "bucket = \"my-bucket-of-zips\"\n" } else { "" };
        let on_remove = if *drop { "drop" } else { "keep" };
        let mut tables = vec![
            "[aws]\nregion = \"eu-north-1\"\n\n".to_owned(),
            format!(
                "[network]\nvpc = \"vpc-02294c945121da772\"\n\
                 subnets = [\"subnet-05a8a2c78756260ed\", \"subnet-0cf57825fcf0c3cbd\"]\n\
                 secrets_manager = \"{}\"\nallow = [{}]\n\n",
                PATHS[*path],
                allow.join(", "),
            ),
            format!(
                "[database]\nidentifier = \"my-postgres-instance\"\nsubnet_group = \"my-db-subnet-group\"\n{group}\
                 engine_version = \"{}\"\nclass = \"{}\"\nstorage = {{ gib = {gib} }}\nbackup_days = {backup}\n\
                 public = {public}\ndeletion_protection = false\nfinal_snapshot = true\n\n",
                MINORS[*minor], CLASSES[*class],
            ),
            format!("[function]\nname = \"{}\"\n{bucket}\n", FUNCTIONS[*function]),
            format!(
                "[rotation]\nstrategy = \"alternating-users\"\nevery = \"10 days\"\nrecovery_days = {recovery}\n\
                 passwords = {}\non_remove = \"{on_remove}\"\n\n",
                PASSWORDS[*passwords],
            ),
            format!(
                "[admin]\nlogin = \"rotator_admin\"\nsecret = \"rotator_admin_secret\"\nevery = \"{admin_every} days\"\n\n"
            ),
        ];
        if *alerts {
            tables.push(format!("[alerts]\ntopic = \"{}\"\n\n", crate::scenarios::TOPIC));
        }
        tables.extend(users);
        let places = turned % tables.len();
        tables.rotate_left(places);
        format!("deployment = \"article\"\n\n{}", tables.concat())
    }

    pub fn scenario(&self) -> Scenario {
        Scenario::of(&self.text(0))
    }
}

//! Whatever moves of what is seen is drift, or it is named here with why it is none.

use crate::clusters::aurora;
use crate::scenario::{SECOND_USER, Scenario, State};
use function_contract::{Fact, LoginAttempt, Obstacle, Owned, RoleFacts, Strategy, clone_of};
use pgrotate::model::{Seen, Tags};
use pgrotate::plan::{Goal, PlanError};
use pgrotate::resources::db_instance::{Age, Certificate, MasterSecretArn, Server, Version};
use pgrotate::resources::login::Says;
use pgrotate::resources::rotation::Rules;
use pgrotate::resources::secret::SecretArn;
use pgrotate::resources::security_group::GroupId;
use pgrotate::resources::security_group_rule::Present;
use pgrotate::resources::stack::behind::{Behind, Moved, Part};
use pgrotate::resources::{AnyLive, FunctionLook};
use pgrotate::resources::{artifact, bucket, db_cluster, db_instance, db_subnet_group, login, rotation, secret};
use pgrotate::resources::{security_group, security_group_rule, stack, vpc_endpoint};
use std::collections::BTreeSet;

/// What may move without being drift: a kind or an address, the field, and why.
const IGNORED: &[(&str, &str, &str)] = &[
    ("artifact", "bytes", "its key is the digest of what it holds; a function that runs other code is told by itself"),
    ("bucket", "holds_others", "looked for only where no tag tells whose it is"),
    ("db_cluster", "arn", "made of its name"),
    ("db_cluster", "master", "it is never another"),
    ("db_cluster", "resource_id", "one made anew under the same name lacks its logins, and that is told"),
    ("db_cluster", "version", "its owner or RDS upgrades it"),
    ("db_instance", "arn", "made of its name"),
    ("db_instance", "resource_id", "one made anew under the same name lacks its logins, and that is told"),
    ("db_instance", "version.minor", "RDS upgrades it; older than declared it is told"),
    ("db_subnet_group", "arn", "made of its name"),
    ("login", "clone_owns", "a note: whose the objects should be only a person can say"),
    ("login", "current_kept_out", "explains why AWSCURRENT does not log in, and that is told"),
    ("login", "current_user", "a rotation changes it"),
    ("login", "sessions", "applications come and go; what takes their login away tells of them"),
    ("login", "role.expired", "explains why AWSCURRENT does not log in, and that is told"),
    ("login", "role.superuser", "on RDS nobody can make one"),
    ("login", "says", "nothing is read where AWSCURRENT holds nothing, and that is told"),
    ("login.reporting", "clone_can_login", "a clone that is gone is made again by the next rotation"),
    ("login.reporting", "role.create_role", "what others granted is left alone"),
    ("login.rotator_admin", "clone_can_login", "it has no clone"),
    ("login.rotator_admin", "clone_kept_out", "it has no clone"),
    ("login.rotator_admin", "role.administered_by", "what others granted is left alone"),
    ("login.rotator_admin", "role.connection_limit", "not declared"),
    ("login.rotator_admin", "role.member_of", "not declared"),
    ("login.rotator_admin", "role.settings", "not declared"),
    ("login.rotator_admin", "role.valid_until", "not declared"),
    ("login.test_user1", "clone_can_login", "a clone that is gone is made again by the next rotation"),
    ("login.test_user1", "role.connection_limit", "not declared"),
    ("login.test_user1", "role.create_role", "what others granted is left alone"),
    ("login.test_user1", "role.member_of", "not declared"),
    ("login.test_user1", "role.settings", "not declared"),
    ("login.test_user1", "role.valid_until", "not declared"),
    ("rotation", "last_rotated", "a rotation changes it"),
    ("rotation", "next_rotation", "a rotation changes it; a moment that has passed is told as overdue"),
    ("rotation", "pending", "a rotation is under way; one that does not end is told as stuck"),
    ("rotation", "touched", "a rotation changes it; what is stuck is told since then"),
    ("secret", "key", "functions that may not use it can read nothing, and that is told"),
    ("secret.reporting", "arn", "one made anew under the same name holds no value, and its login tells that"),
    ("secret.test_user1", "arn", "one made anew under the same name holds no value, and its login tells that"),
    ("security_group_rule", "group", "it is looked for in the group that it belongs to"),
    ("security_group_rule", "rule.id", "one made anew says the same"),
    ("security_group_rule", "rule.shown", "one that says anything else is not found as this"),
    ("stack", "id", "one made anew under the same name is compared whole"),
    ("stack", "reason", "explains its status"),
    ("vpc_endpoint", "id", "one made anew is compared whole"),
];

/// All that can be declared of a role, at the end of a user's table.
const DECLARED: &str = "member_of = [\"app_rw\"]\nsettings = { work_mem = \"16MB\" }\nconnection_limit = 5\n\
                        valid_until = 2035-06-01T12:00:00Z\n";

/// A field, and how it moves.
type Mutation<T> = (String, Box<dyn Fn(&mut T)>);

/// How every field of a struct moves. The fields are destructured without `..`: a new one has to be named here.
macro_rules! mutations {
    ($of:path { $($field:ident: |$live:ident| $change:expr),+ $(,)? }) => {{
        fn _every_field(live: &$of) {
            let $of { $($field: _),+ } = live;
        }
        let all: Vec<Mutation<$of>> =
            vec![$((stringify!($field).to_owned(), Box::new(|$live: &mut $of| $change))),+];
        all
    }};
}

/// The fields of a part, as fields of the whole.
fn within<T: 'static, P: 'static>(
    name: &str,
    part: fn(&mut T) -> &mut P,
    mutations: Vec<Mutation<P>>,
) -> Vec<Mutation<T>> {
    let whole = |(field, change): Mutation<P>| -> Mutation<T> {
        (format!("{name}.{field}"), Box::new(move |live| change(part(live))))
    };
    mutations.into_iter().map(whole).collect()
}

/// The tags that make it ours are taken away.
fn untag(tags: &mut Tags) {
    tags.clear();
}

fn other() -> String {
    "another".to_owned()
}

fn of_bucket() -> Vec<Mutation<bucket::Observed>> {
    mutations!(bucket::Observed {
        tags: |live| untag(&mut live.tags),
        public_access_blocked: |live| live.public_access_blocked = false,
        holds_others: |live| live.holds_others = true,
    })
}

fn of_db_cluster() -> Vec<Mutation<db_cluster::Observed>> {
    mutations!(db_cluster::Observed {
        arn: |live| live.arn = other(),
        resource_id: |live| live.resource_id = other(),
        engine: |live| live.engine = "aurora-mysql".to_owned(),
        mode: |live| live.mode = Some("serverless".to_owned()),
        version: |live| live.version = "17.5".to_owned(),
        status: |live| live.status = "failing-over".to_owned(),
        source: |live| live.source = Some(other()),
        port: |live| live.port = Some(1),
        writer: |live| live.writer = Some(Server { host: other(), port: 5432 }),
        others: |live| live.others.clear(),
        members: |live| drop(live.members.pop()),
        groups: |live| live.groups = BTreeSet::from([GroupId(other())]),
        master: |live| live.master = other(),
        master_secret: |live| live.master_secret = Some((MasterSecretArn(other()), "active".to_owned())),
    })
}

fn of_db_instance() -> Vec<Mutation<db_instance::Observed>> {
    let mut all = mutations!(db_instance::Observed {
        arn: |live| live.arn = other(),
        resource_id: |live| live.resource_id = other(),
        engine: |live| live.engine = other(),
        cluster: |live| live.cluster = Some(other()),
        status: |live| live.status = "modifying".to_owned(),
        server: |live| live.server = None,
        replicas: |live| live.replicas.push(Server { host: other(), port: 5432 }),
        version: |live| live.version = Version { major: live.version.major + 1, ..live.version },
        class: |live| live.class = "db.t3.large".to_owned(),
        storage: |live| live.storage -= 1,
        storage_type: |live| live.storage_type = "io1".to_owned(),
        subnet_group: |live| live.subnet_group = other(),
        groups: |live| live.groups = BTreeSet::from([GroupId(other())]),
        public: |live| live.public = !live.public,
        backup: |live| live.backup += 1,
        port: |live| live.port = Some(1),
        master: |live| live.master = other(),
        deletion_protection: |live| live.deletion_protection = !live.deletion_protection,
        encrypted: |live| live.encrypted = !live.encrypted,
        copy_tags: |live| live.copy_tags = !live.copy_tags,
        minor_upgrades: |live| live.minor_upgrades = !live.minor_upgrades,
        master_secret: |live| live.master_secret = Some((MasterSecretArn(other()), "active".to_owned())),
        certificate: |live| {
            let (authority, until) = ("rds-ca-rsa2048-g1".to_owned(), "2026-03-01".to_owned());
            live.certificate = Some(Certificate { authority, until, age: Age::Ending });
        },
        pending: |live| live.pending = true,
        tags: |live| untag(&mut live.tags),
    });
    all.extend(within(
        "version",
        |live: &mut db_instance::Observed| &mut live.version,
        mutations!(Version {
            major: |version| version.major -= 1,
            minor: |version| version.minor = version.minor.map(|minor| minor + 1),
        }),
    ));
    all
}

fn of_login() -> Vec<Mutation<login::Observed>> {
    let mut all = mutations!(login::Observed {
        role: |live| live.role = RoleFacts::default(),
        clone_can_login: |live| live.clone_can_login = !live.clone_can_login,
        clone_kept_out: |live| live.clone_kept_out = !live.clone_kept_out,
        current: |live| {
            live.current = Some(LoginAttempt::Refused { sqlstate: "28P01".to_owned(), message: other() });
        },
        sessions: |live| {
            live.sessions = Fact::Known([(other(), 1)].into());
        },
        clone_owns: |live| live.clone_owns.push(Owned { database: None, objects: 1 }),
        current_kept_out: |live| live.current_kept_out.push(Obstacle::WrongPassword),
        previous_refused: |live| live.previous_refused = Some(other()),
        current_user: |live| live.current_user = live.current_user.as_deref().map(clone_of),
        missing_keys: |live| live.missing_keys.push(other()),
        says: |live| live.says = None,
    });
    all.extend(within(
        "role",
        |live: &mut login::Observed| &mut live.role,
        mutations!(RoleFacts {
            comment: |role| role.comment = None,
            can_login: |role| role.can_login = !role.can_login,
            create_role: |role| role.create_role = !role.create_role,
            superuser: |role| role.superuser = !role.superuser,
            connection_limit: |role| role.connection_limit = 3,
            valid_until: |role| role.valid_until = Some("2036-01-01T00:00:00Z".to_owned()),
            expired: |role| role.expired = true,
            member_of: |role| match role.member_of.is_empty() {
                true => role.member_of.push(other()),
                false => role.member_of.clear(),
            },
            administered_by: |role| role.administered_by = vec![other()],
            settings: |role| {
                role.settings.insert("work_mem".to_owned(), "8MB".to_owned());
            },
        }),
    ));
    all.extend(within(
        "says",
        |live: &mut login::Observed| live.says.as_mut().expect("a good apply leaves a value"),
        mutations!(Says {
            host: |says| says.host = Some(other()),
            database: |says| says.database = Some(other()),
            instance: |says| says.instance = Some(other()),
            cluster: |says| says.cluster = Some(other()),
            strategy: |says| says.strategy = match says.strategy {
                Strategy::AlternatingUsers => Strategy::SingleUser,
                Strategy::SingleUser => Strategy::AlternatingUsers,
            },
        }),
    ));
    all
}

fn of_rotation() -> Vec<Mutation<rotation::Observed>> {
    let mut all = mutations!(rotation::Observed {
        function: |live| live.function = Some(other()),
        rules: |live| live.rules = Rules { every_days: None, expression: None, window: None },
        rotated: |live| live.rotated = false,
        pending: |live| live.pending = true,
        stuck: |live| live.stuck = true,
        trouble: |live| live.trouble = Some(other()),
        touched: |live| live.touched = Some(1),
        last_rotated: |live| live.last_rotated = Some(1),
        next_rotation: |live| live.next_rotation = Some(1),
        overdue: |live| live.overdue = true,
    });
    all.extend(within(
        "rules",
        |live: &mut rotation::Observed| &mut live.rules,
        mutations!(Rules {
            every_days: |rules| rules.every_days = Some(99),
            expression: |rules| rules.expression = Some("rate(4 hours)".to_owned()),
            window: |rules| rules.window = Some("23h".to_owned()),
        }),
    ));
    all
}

fn of_rule() -> Vec<Mutation<security_group_rule::Observed>> {
    let mut all = mutations!(security_group_rule::Observed {
        group: |live| live.group = other(),
        rule: |live| live.rule = None,
        former: |live| {
            live.former.insert("sgr-11111111111111111".to_owned(), other());
        },
    });
    all.extend(within(
        "rule",
        |live: &mut security_group_rule::Observed| live.rule.as_mut().expect("a good apply leaves a rule"),
        mutations!(Present {
            id: |rule| rule.id = other(),
            tags: |rule| untag(&mut rule.tags),
            description: |rule| rule.description = other(),
            shown: |rule| rule.shown = other(),
        }),
    ));
    all
}

fn of_stack() -> Vec<Mutation<stack::Observed>> {
    let mut all = mutations!(stack::Observed {
        id: |live| live.id = other(),
        status: |live| live.status = "UPDATE_IN_PROGRESS".to_owned(),
        reason: |live| live.reason = Some(other()),
        template: |live| live.template["Description"] = other().into(),
        parameters: |live| live.parameters.values_mut().for_each(|value| *value = other()),
        tags: |live| untag(&mut live.tags),
        functions: |live| live.functions.clear(),
        behind: |live| live.behind.unseen = Some(other()),
    });
    all.extend(within(
        "behind",
        |live: &mut stack::Observed| &mut live.behind,
        mutations!(Behind {
            moved: |behind| {
                behind.moved.insert("RotationRole".to_owned(), Moved { part: Part::Role, properties: None });
            },
            unseen: |behind| behind.unseen = Some(other()),
        }),
    ));
    all.extend(within(
        "functions",
        |live: &mut stack::Observed| live.functions.values_mut().next().expect("a function"),
        mutations!(FunctionLook {
            environment: |function| {
                function.environment.insert("PATH".to_owned(), other());
            },
            code: |function| function.code = other(),
            timeout: |function| function.timeout += 1,
            memory: |function| function.memory += 1,
        }),
    ));
    all
}

/// Every way in which something seen can move, a field each.
fn moved(live: &AnyLive) -> Vec<(String, AnyLive)> {
    fn each<T: Clone + PartialEq>(live: &T, all: Vec<Mutation<T>>, whole: fn(T) -> AnyLive) -> Vec<(String, AnyLive)> {
        let moved = all.into_iter().map(|(field, change)| {
            let mut moved = live.clone();
            change(&mut moved);
            assert!(moved != *live, "{field} is as it was");
            (field, whole(moved))
        });
        moved.collect()
    }
    match live {
        AnyLive::Artifact(live) => {
            let all = mutations!(artifact::Observed { bytes: |live| live.bytes += 1 });
            each(live, all, AnyLive::Artifact)
        }
        AnyLive::Bucket(live) => each(live, of_bucket(), AnyLive::Bucket),
        AnyLive::DbCluster(live) => each(live, of_db_cluster(), AnyLive::DbCluster),
        AnyLive::DbInstance(live) => each(live, of_db_instance(), AnyLive::DbInstance),
        AnyLive::DbSubnetGroup(live) => {
            let all = mutations!(db_subnet_group::Observed {
                arn: |live| live.arn = other(),
                subnets: |live| live.subnets = BTreeSet::from([other()]),
                tags: |live| untag(&mut live.tags),
            });
            each(live, all, AnyLive::DbSubnetGroup)
        }
        AnyLive::Login(live) => each(live, of_login(), AnyLive::Login),
        AnyLive::Rotation(live) => each(live, of_rotation(), AnyLive::Rotation),
        AnyLive::Secret(live) => {
            let all = mutations!(secret::Observed {
                arn: |live| live.arn = SecretArn(other()),
                description: |live| live.description = other(),
                tags: |live| untag(&mut live.tags),
                deleted: |live| live.deleted = true,
                key: |live| live.key = Some(other()),
            });
            each(live, all, AnyLive::Secret)
        }
        AnyLive::SecurityGroup(live) => {
            let all = mutations!(security_group::Observed {
                id: |live| live.id = other(),
                tags: |live| untag(&mut live.tags),
                default_egress: |live| {
                    live.default_egress.insert(other());
                },
                unmanaged: |live| {
                    live.unmanaged.insert("sgr-11111111111111111".to_owned(), other());
                },
            });
            each(live, all, AnyLive::SecurityGroup)
        }
        AnyLive::SecurityGroupRule(live) => each(live, of_rule(), AnyLive::SecurityGroupRule),
        AnyLive::Stack(live) => each(live, of_stack(), AnyLive::Stack),
        AnyLive::VpcEndpoint(live) => {
            let all = mutations!(vpc_endpoint::Observed {
                id: |live| live.id = other(),
                state: |live| live.state = "pending".to_owned(),
                private_dns: |live| live.private_dns = false,
                subnets: |live| live.subnets = BTreeSet::from([other()]),
                groups: |live| live.groups = BTreeSet::from([GroupId(other())]),
                tags: |live| untag(&mut live.tags),
            });
            each(live, all, AnyLive::VpcEndpoint)
        }
    }
}

/// Whether a plan says anything of it: steps, something that it cannot mend itself, or a refusal.
fn is_told(scenario: &Scenario, live: &State) -> bool {
    match scenario.plan(Goal::Converge, live) {
        Ok(plan) => !plan.actions.is_empty() || plan.notes.iter().any(|note| note.remedy.is_some()),
        Err(PlanError::Refused(_)) => true,
        Err(error) => panic!("{error}"),
    }
}

/// The list is exact: what stands in it is ignored wherever it says so, and all that is ignored stands in it.
#[test]
fn what_moves_is_drift_or_named_here() {
    let (article, aurora) = (Scenario::article().and(SECOND_USER).and(DECLARED), aurora());
    let (mut used, mut wrong, mut kinds) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (of_article, of_aurora) = (article.realised(), aurora.realised());
    let all = of_article.iter().map(|each| (&article, &of_article, each));
    // What else a deployment on a cluster has, is as the article's.
    let cluster = of_aurora.iter().filter(|(address, _)| address.kind.0 == "db_cluster");
    let all = all.chain(cluster.map(|each| (&aurora, &of_aurora, each)));
    for (scenario, live, (address, seen)) in all {
        let is = seen.present().expect("a good apply leaves all of it");
        kinds.insert(address.kind);
        let entry = |field: &str| {
            let of = |name: &str| name == address.kind.0 || name == address.to_string();
            IGNORED.iter().position(|(name, ignored, _)| of(name) && *ignored == field)
        };
        for (field, moved) in moved(is) {
            let mut state = live.clone();
            state.insert(address.clone(), Seen::Present(moved));
            match (is_told(scenario, &state), entry(&field)) {
                (true, None) => {}
                (false, Some(entry)) => drop(used.insert(entry)),
                (true, Some(_)) => drop(wrong.insert(format!("{address}: {field} is told, and stands in the list"))),
                (false, None) => drop(wrong.insert(format!("{address}: nothing tells that {field} has moved"))),
            }
        }
        let mut gone = live.clone();
        gone.insert(address.clone(), Seen::Absent);
        assert!(is_told(scenario, &gone), "nothing tells that {address} is gone");
    }
    let unused = IGNORED.iter().enumerate().filter(|(entry, _)| !used.contains(entry));
    wrong.extend(unused.map(|(_, (name, field, _))| format!("{name}: {field} stands in the list for nothing")));
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
    assert_eq!(kinds.len(), 12, "of every kind there is one: {kinds:?}");
}

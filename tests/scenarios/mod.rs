//! What a deployment goes through in its life: made in every shape, and changed in every way. Each of these is
//! a golden plan in `tests/plan`, and in `tests/sandbox` it is planned, applied, planned again and
//! destroyed on the sandbox: both must plan the same.

/// One step of a life.
pub struct Scenario {
    /// Names the golden file too.
    pub name: &'static str,
    /// What others have made before.
    pub there: Vec<There>,
    /// The config that was applied before, if any was.
    pub before: Option<String>,
    /// The config that is planned.
    pub after: String,
}

/// The topic of [`There::Topic`], as configs and golden files name it.
pub const TOPIC: &str = "arn:aws:sns:eu-north-1:111122223333:database-alerts";

/// What is in the account and not the deployment's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    /// The bucket `my-bucket-of-zips`.
    Bucket,
    /// The Aurora PostgreSQL cluster `my-cluster` of two members, whose password RDS keeps, in the security group
    /// `my-rds-sg`.
    Cluster,
    /// The security group that configs call [`CLIENTS`].
    Clients,
    /// The instance `legacy-db`, whose password RDS keeps, in the security group `my-rds-sg`.
    Database,
    /// An interface endpoint of Secrets Manager with private DNS.
    Endpoint,
    /// The article's instance as its step 1 makes it, in the group `my-rds-sg`: the master's password is set by hand.
    Instance,
    /// A security group of the name that the endpoint's would have.
    EndpointGroup,
    /// Routes of both subnets to a NAT gateway.
    Nat,
    /// The security group `my-rds-sg`.
    SecurityGroup,
    /// The article's two secrets as its step 2 makes them, each with a value.
    Secrets,
    /// The DB subnet group `my-db-subnet-group`.
    SubnetGroup,
    /// Two subnets more, which configs call by [`SUBNETS`].
    Subnets,
    /// The SNS topic [`TOPIC`], whose policy lets EventBridge and CloudWatch publish.
    Topic,
}

/// The id by which configs and golden files name the group of [`There::Clients`].
pub const CLIENTS: &str = "sg-0aaaaaaaaaaaaaaaa";

/// The ids by which configs and golden files name the subnets of [`There::Subnets`], with their zones: that of the
/// article's second subnet, and one of its own.
pub const SUBNETS: [(&str, &str, &str); 2] = [
    ("subnet-0bbbbbbbbbbbbbbbb", "eu-north-1b", "172.31.48.0/20"),
    ("subnet-0cccccccccccccccc", "eu-north-1c", "172.31.64.0/20"),
];

pub const ARTICLE: &str = include_str!("../../configs/article.toml");
const PRIVATE: &str = include_str!("../../configs/scenarios/private.toml");
const EXISTING_DATABASE: &str = include_str!("../../configs/scenarios/existing-database.toml");
const AURORA: &str = include_str!("../../configs/scenarios/aurora-cluster.toml");
const EXISTING_NETWORK: &str = include_str!("../../configs/scenarios/existing-network.toml");
const NAT: &str = include_str!("../../configs/scenarios/nat.toml");
const MANY_USERS: &str = include_str!("../../configs/scenarios/many-users.toml");

const ALLOW: &str = r#"allow = [{ cidr = "203.0.113.7/32", description = "office" }]"#;

/// A second user, to be put at the end of a file.
pub const SECOND_USER: &str = "\n[[user]]\nlogin = \"reporting\"\nsecret = \"reporting_secret\"\nevery = \"30 days\"\n";

/// The same as a single user.
pub const SINGLE_USER: &str =
    "\n[[user]]\nlogin = \"reporting\"\nsecret = \"reporting_secret\"\nstrategy = \"single-user\"\n";

/// `text` with one text of it replaced, which must stand in it once.
pub fn with(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "`{old}` stands once in the config");
    text.replace(old, new)
}

/// The article's config, with one text of it replaced.
fn article(old: &str, new: &str) -> String {
    with(ARTICLE, old, new)
}

/// More keys of the article's user, whose table is the file's last.
fn article_user(keys: &str) -> String {
    format!("{ARTICLE}\n{keys}\n")
}

fn new(name: &'static str, after: impl Into<String>) -> Scenario {
    Scenario { name, there: Vec::new(), before: None, after: after.into() }
}

fn change(name: &'static str, before: impl Into<String>, after: impl Into<String>) -> Scenario {
    Scenario { name, there: Vec::new(), before: Some(before.into()), after: after.into() }
}

impl Scenario {
    fn among(mut self, there: &[There]) -> Self {
        self.there = there.to_vec();
        self
    }
}

/// All of them; names are unique.
pub fn all() -> Vec<Scenario> {
    let mut all = shapes();
    all.extend(network());
    all.extend(database());
    all.extend(adoptions());
    all.extend(logins());
    all.extend(passwords());
    all.extend(alerts());
    all.extend(tags());
    all
}

/// Two tags for everything, to be put at the end of a file whose last table may be any.
pub const TAGS: &str = "\n[tags]\ncost-center = \"4711\"\nteam = \"payments\"\n";

/// Tags of all that is made.
fn tags() -> Vec<Scenario> {
    let tagged = format!("{ARTICLE}{TAGS}");
    vec![
        new("new-with-tags", tagged.clone()),
        change("tags-added", ARTICLE, tagged.clone()),
        change("tag-changed", tagged.clone(), with(&tagged, "\"payments\"", "\"search\"")),
    ]
}

/// New deployments.
fn shapes() -> Vec<Scenario> {
    vec![
        new("new-deployment", ARTICLE),
        new("new-private", PRIVATE),
        new("new-with-existing-database", EXISTING_DATABASE).among(&[There::SecurityGroup, There::Database]),
        new("new-on-an-aurora-cluster", AURORA).among(&[There::SecurityGroup, There::Cluster]),
        new("new-in-existing-network", EXISTING_NETWORK).among(&[
            There::SubnetGroup,
            There::SecurityGroup,
            There::Endpoint,
            There::Clients,
        ]),
        new("new-through-nat", NAT).among(&[There::Nat]),
        new("new-with-many-users", MANY_USERS),
        new("new-single-user", article("strategy = \"alternating-users\"", "strategy = \"single-user\"")),
        new("new-in-named-bucket", article("# bucket = \"my-bucket\"", "bucket = \"my-bucket-of-zips\" #"))
            .among(&[There::Bucket]),
        new("new-on-postgres-17", article("engine_version = \"16\"", "engine_version = \"17\"")),
        new("new-on-another-port", article("# port = 5432", "port = 6432")),
        new("new-with-unusual-names", {
            let text = article("login = \"test_user1\"", "login = 'Ünusual \"user\"'");
            let text = with(&text, "secret = \"test_user1_secret\"", "secret = \"team/app+one=1@x_secret\"");
            with(&text, "login = \"rotator_admin\"", "login = \"Rotator Admin\"")
        }),
        new("new-with-a-last-snapshot", article("final_snapshot = false", "final_snapshot = true")),
    ]
}

/// Changes of who gets where.
fn network() -> Vec<Scenario> {
    let second = "\"subnet-0cf57825fcf0c3cbd\"]";
    let more = SUBNETS.map(|(subnet, ..)| format!("\"{subnet}\""));
    let four_subnets = article(second, &second.replace(']', &format!(", {}]", more.join(", "))));
    let clients = article(ALLOW, &format!("allow = [{{ group = \"{CLIENTS}\", description = \"app\" }}]"));
    let nat = article(r#"secrets_manager = "endpoint""#, r#"secrets_manager = "nat""#);
    let own_group = article(
        "\nsubnet_group = \"my-db-subnet-group\"\n",
        "\nsecurity_group = { existing = \"my-rds-sg\" }\nsubnet_group = \"my-db-subnet-group\"\n",
    );
    vec![
        change("unchanged", ARTICLE, ARTICLE),
        new("new-with-two-subnets-in-a-zone", four_subnets.clone()).among(&[There::Subnets]),
        change("subnets-added", ARTICLE, four_subnets).among(&[There::Subnets]),
        change(
            "allow-rule-added",
            ARTICLE,
            article(ALLOW, &ALLOW.replace("}]", "}, { cidr = \"2001:db8::/32\", description = \"home\" }]")),
        ),
        change("allow-rule-removed", ARTICLE, article(ALLOW, "allow = []")),
        change("allow-rule-moved", ARTICLE, article("203.0.113.7/32", "198.51.100.0/24")),
        change("allow-rule-described", ARTICLE, article("description = \"office\"", "description = \"the office\"")),
        change("allow-group-instead-of-address", ARTICLE, clients.clone()).among(&[There::Clients]),
        change("allow-address-instead-of-group", clients, ARTICLE).among(&[There::Clients]),
        change(
            "endpoint-clients-narrowed",
            ARTICLE,
            article("# endpoint_clients = [\"10.0.0.0/16\"]", "endpoint_clients = [\"172.31.16.0/20\"]"),
        ),
        change("nat-instead-of-endpoint", ARTICLE, nat.clone()).among(&[There::Nat]),
        change("endpoint-instead-of-nat", nat, ARTICLE).among(&[There::Nat]),
        change("existing-group-instead-of-own", ARTICLE, own_group.clone()).among(&[There::SecurityGroup]),
        change("own-group-instead-of-existing", own_group, ARTICLE).among(&[There::SecurityGroup]),
        change("function-renamed", ARTICLE, article("name = \"pgpasslambda\"", "name = \"rotation\"")),
        change("bucket-named", ARTICLE, article("# bucket = \"my-bucket\"", "bucket = \"my-bucket-of-zips\" #"))
            .among(&[There::Bucket]),
    ]
}

/// Changes of the instance.
fn database() -> Vec<Scenario> {
    vec![
        change("class-changed", ARTICLE, article("db.t3.micro", "db.t3.small")),
        change("storage-grown", ARTICLE, article("gib = 20, type = \"gp2\"", "gib = 50, type = \"gp3\"")),
        change("backup-days-changed", ARTICLE, article("backup_days = 7", "backup_days = 14")),
        change("made-private", ARTICLE, article("public = true", "public = false")),
        change("protected", ARTICLE, article("deletion_protection = false", "deletion_protection = true")),
        change("engine-minor-raised", article("engine_version = \"16\"", "engine_version = \"16.8\""), {
            article("engine_version = \"16\"", "engine_version = \"16.10\"")
        }),
        change("backup-days-and-alerts-changed", ARTICLE, with(&with_alerts(), "backup_days = 7", "backup_days = 14"))
            .among(&[There::Topic]),
        change("last-snapshot-wanted", ARTICLE, article("final_snapshot = false", "final_snapshot = true")),
    ]
}

/// What others have made, and what becomes the deployment's own: it goes with it, too.
fn adoptions() -> Vec<Scenario> {
    let adopts = |text: &str, table: &str| with(text, table, &format!("{table}\nadopt = true"));
    let user = "secret = \"test_user1_secret\"";
    let (database, admin, network) = ("\n[database]", "\n[admin]", "\n[network]");
    let instance = [There::SubnetGroup, There::SecurityGroup, There::Instance];
    vec![
        new("adopt-instance", adopts(ARTICLE, database)).among(&instance),
        new("adopt-secrets", adopts(&adopts(ARTICLE, user), admin)).among(&[There::Secrets]),
        new("adopt-endpoint", adopts(ARTICLE, network)).among(&[There::Endpoint]),
        new("adopt-group", adopts(ARTICLE, network)).among(&[There::EndpointGroup]),
        new("adopt-the-article", {
            [database, admin, network, user].iter().fold(ARTICLE.to_owned(), |text, table| adopts(&text, table))
        })
        .among(&[&instance[..], &[There::Secrets, There::Endpoint]].concat()),
    ]
}

/// Changes of logins and their rotation.
fn logins() -> Vec<Scenario> {
    let two = format!("{ARTICLE}{SECOND_USER}");
    let single = article("strategy = \"alternating-users\"", "strategy = \"single-user\"");
    let schedule = |text: &str| article(r#"every = "10 days""#, text);
    vec![
        change("user-added", ARTICLE, two.clone()),
        change("single-user-added", ARTICLE, format!("{ARTICLE}{SINGLE_USER}")),
        change("user-removed", two.clone(), ARTICLE),
        change("user-dropped", two.clone(), article("recovery_days = 7 ", "recovery_days = 7\non_remove = \"drop\" ")),
        change(
            "user-renamed",
            ARTICLE,
            with(
                &article("login = \"test_user1\"", "login = \"test_user2\""),
                "secret = \"test_user1_secret\"",
                "secret = \"test_user2_secret\"",
            ),
        ),
        change("schedule-changed", ARTICLE, schedule("cron = \"cron(0 4 ? * SUN *)\"\nwindow = \"2h\"")),
        change("schedule-in-hours", ARTICLE, schedule("every = \"8 hours\"\nwindow = \"1h\"")),
        change("schedule-days-changed", ARTICLE, schedule("every = \"20 days\"")),
        change("schedule-window-removed", schedule("every = \"10 days\"\nwindow = \"4h\""), ARTICLE),
        change("admin-schedule-changed", ARTICLE, article("every = \"30 days\"", "every = \"7 days\"")),
        change("strategy-to-single-user", ARTICLE, single.clone()),
        change("strategy-to-alternating-users", single, ARTICLE),
        change("recovery-days-changed", ARTICLE, article("recovery_days = 7", "recovery_days = 30")),
        change("connection-limit-set", ARTICLE, article_user("connection_limit = 5")),
        change("settings-changed", article_user("settings = { work_mem = \"8MB\" }"), {
            article_user("settings = { work_mem = \"16MB\", search_path = \"app\" }")
        }),
        change("settings-removed", article_user("settings = { work_mem = \"8MB\" }"), ARTICLE),
        change("valid-until-set", ARTICLE, article_user("valid_until = 2035-06-01T12:00:00Z")),
        change("user-schedule-of-its-own", two.clone(), {
            let own = "secret = \"reporting_secret\"\n";
            with(&two, &format!("{own}every = \"30 days\""), &format!("{own}every = \"5 days\""))
        }),
        change("users-in-another-order", two.clone(), {
            let (head, users) = two.split_at(two.find("\n[[user]]").expect("a user"));
            let (first, second) = users.split_at(users.rfind("\n[[user]]").expect("a second"));
            format!("{head}{second}{first}")
        }),
    ]
}

/// Changes of how passwords are made.
fn passwords() -> Vec<Scenario> {
    let for_all = article("recovery_days = 7 ", "passwords = \"url-safe\"\nrecovery_days = 7 ");
    vec![
        new("new-with-url-safe-passwords", for_all.clone()),
        change("passwords-longer", ARTICLE, article_user("passwords = { length = 64, exclude = '\"' }")),
        change("passwords-url-safe-for-all", ARTICLE, for_all.clone()),
        change("passwords-as-by-default", for_all, ARTICLE),
    ]
}

fn with_alerts() -> String {
    article("\n[function]\n", &format!("\n[alerts]\ntopic = \"{TOPIC}\"\n\n[function]\n"))
}

/// Who is told of what fails.
fn alerts() -> Vec<Scenario> {
    vec![
        new("new-with-alerts", with_alerts()).among(&[There::Topic]),
        change("alerts-added", ARTICLE, with_alerts()).among(&[There::Topic]),
        change("alerts-removed", with_alerts(), ARTICLE).among(&[There::Topic]),
    ]
}

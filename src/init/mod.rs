//! The first config of a deployment, from what was seen of an account and what was answered: pure. Every key of the
//! config is in it, with its comment: those that were answered, and behind a `#` all others with their defaults.

mod answer;
mod choose;
mod examples;
#[cfg(test)]
mod tests;
mod text;

pub use answer::{Question, check};
pub use choose::{choose_group, choose_path, choose_subnets, deployment_name, latest_major, secret_name};

use crate::config::{OF_MANAGED, SecretsManagerPath};
use std::collections::{BTreeMap, BTreeSet};
use text::{Filled, literal, literals};

/// All that a first config says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    pub deployment: String,
    pub region: String,
    /// Twelve digits: the account that all the ids are of.
    pub account: String,
    pub vpc: String,
    pub subnets: Vec<String>,
    pub secrets_manager: Because<SecretsManagerPath>,
    pub allow: Vec<Client>,
    pub database: Database,
    /// How often, as the config writes it.
    pub every: String,
    pub admin: Login,
    pub users: Vec<Login>,
}

/// Something that was chosen, and why; None: it was said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Because<T> {
    pub value: T,
    pub why: Option<String>,
}

/// Who else may reach the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// A CIDR, or the id of a security group.
    pub from: String,
    pub description: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// An instance that is to be made.
    New { identifier: String, subnet_group: String, engine_version: String, class: String, storage_gib: u32 },
    /// One that is there, and stays as it is.
    Existing { identifier: String, is_cluster: bool, port: u16, security_group: Because<String> },
}

impl Database {
    pub fn identifier(&self) -> &str {
        match self {
            Self::New { identifier, .. } | Self::Existing { identifier, .. } => identifier,
        }
    }

    /// As it is told of.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::New { .. } => "new DB instance",
            Self::Existing { is_cluster: false, .. } => "existing DB instance",
            Self::Existing { is_cluster: true, .. } => "existing DB cluster",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub login: String,
    pub secret: String,
    /// A secret of that name is there, and another's.
    pub is_taken: bool,
}

/// What keeps the first plan from being made, as the plan tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    pub cause: String,
    pub hint: String,
}

/// Where the text goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As commands name it.
    pub name: String,
    /// Whether the config's schema lies beside it, under the name [`SCHEMA`].
    pub has_schema: bool,
}

/// What `pgrotate schema config` is to be written to, so that an editor finds it.
pub const SCHEMA: &str = "pgrotate.schema.json";

/// Port that PostgreSQL listens on, and the config's default.
const PORT: u16 = 5432;

/// The config's text. Obstacles stand at its top.
pub fn render(answers: &Answers, place: &Place, obstacles: &[Obstacle]) -> String {
    let mut out = String::new();
    let name = &place.name;
    if place.has_schema {
        out.push_str(&format!("#:schema ./{SCHEMA}\n"));
    }
    if !obstacles.is_empty() {
        text::comment(&mut out, "As things stood when this was written, `pgrotate plan` refuses it:");
        for Obstacle { cause, hint } in obstacles {
            text::comment(&mut out, &format!("- {cause}"));
            text::command(&mut out, hint);
        }
        out.push_str("#\n");
    }
    let kind = answers.database.kind();
    let what = match &answers.database {
        Database::New { .. } => "which is made here",
        Database::Existing { .. } => "which is only referred to, and never changed",
    };
    let identifier = answers.database.identifier();
    text::comment(&mut out, &format!("Rotates the passwords of logins of the {kind} `{identifier}`, {what}."));
    out.push_str("#\n");
    text::command(&mut out, &format!("pgrotate plan {name}      shows what would be done"));
    text::command(&mut out, &format!("pgrotate apply {name}     does it"));
    out.push_str("#\n");
    text::comment(
        &mut out,
        "What stands behind a # is the default of a key that is left out, or an example where it has none.",
    );
    if !place.has_schema {
        text::comment(&mut out, "Editors complete keys and tell mistakes, once this file begins with the second line:");
        text::command(&mut out, &format!("pgrotate schema config > {SCHEMA}"));
        text::command(&mut out, &format!("#:schema ./{SCHEMA}"));
    }
    out.push('\n');
    out.push_str(&text::body(&crate::config::schema(), &filled(answers)));
    out
}

/// The answers by the keys that they stand under.
fn filled(answers: &Answers) -> Filled {
    let Answers { deployment, region, account, vpc, subnets, secrets_manager, allow, database, every, admin, users } =
        answers;
    let mut filled = Filled::new(deployment);
    filled.put("deployment", literal(deployment));
    filled.put("aws.region", literal(region));
    filled.put("aws.account", literal(account));
    filled.put("network.vpc", literal(vpc));
    filled.put("network.subnets", literals(subnets));
    filled.put("network.secrets_manager", literal(secrets_manager.value.text()));
    filled.note("network.secrets_manager", secrets_manager.why.as_deref());
    if !allow.is_empty() {
        let entries: Vec<_> = allow.iter().map(client).collect();
        filled.put("network.allow", format!("[{}]", entries.join(", ")));
    }
    match database {
        Database::New { identifier, subnet_group, engine_version, class, storage_gib } => {
            filled.put("database.identifier", literal(identifier));
            filled.put("database.subnet_group", literal(subnet_group));
            filled.put("database.engine_version", literal(engine_version));
            filled.put("database.class", literal(class));
            filled.put("database.storage", format!("{{ gib = {storage_gib}, type = \"gp3\" }}"));
        }
        Database::Existing { identifier, is_cluster, port, security_group } => {
            filled.put(if *is_cluster { "database.cluster" } else { "database.identifier" }, literal(identifier));
            if *is_cluster {
                // It never is, and the two exclude each other.
                filled.leave_out("database.manage");
                filled.leave_out("database.identifier");
            } else {
                filled.put("database.manage", "false".to_owned());
                filled.leave_out("database.cluster");
            }
            OF_MANAGED.iter().for_each(|key| filled.leave_out(&format!("database.{key}")));
            if *port != PORT {
                filled.put("database.port", port.to_string());
            }
            filled.put("database.security_group", format!("{{ existing = {} }}", literal(&security_group.value)));
            filled.note("database.security_group", security_group.why.as_deref());
            filled.note(
                "database.security_group",
                Some("The rule that lets the functions in is put into it; nothing else of it is changed."),
            );
        }
    }
    filled.put("rotation.every", literal(every));
    for (path, Login { login, secret, is_taken }) in [("admin".to_owned(), admin)]
        .into_iter()
        .chain(users.iter().enumerate().map(|(n, user)| (format!("user[{n}]"), user)))
    {
        filled.put(&format!("{path}.login"), literal(login));
        filled.put(&format!("{path}.secret"), literal(secret));
        if *is_taken {
            let adopt = format!("{path}.adopt");
            filled.show(&adopt, "true");
            filled.note(&adopt, Some(TAKEN));
        }
    }
    filled
}

/// Nothing is taken over that nobody has said so of.
const TAKEN: &str = "A secret of that name is there, and others have made it: `pgrotate plan` refuses it, unless you take the # away, \
                     which takes it over with what it holds (destroy removes it then), or name another one above.";

fn client(client: &Client) -> String {
    let Client { from, description } = client;
    let key = if from.starts_with("sg-") { "group" } else { "cidr" };
    format!("{{ {key} = {}, description = {} }}", literal(from), literal(description))
}

/// What a key's line shows, by its path.
type Lines = BTreeMap<String, String>;
/// Keys that have no place in a file of this kind.
type LeftOut = BTreeSet<String>;

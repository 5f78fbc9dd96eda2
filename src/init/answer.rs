//! Whether an answer can stand in a config: asked of the config's own reader, so that both say the same.

use super::{Answers, Because, Client, Database, Login, Place, render, secret_name};
use crate::config::{self, Config, ConfigError, Errors, SecretsManagerPath};

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question<'a> {
    Region,
    Deployment,
    Identifier,
    EngineVersion,
    Class,
    Every,
    /// One CIDR, or the id of a security group.
    Client,
    /// One login of a database whose master is of this name.
    User {
        master: &'a str,
    },
}

/// What is wrong with an answer, if anything is, and what to write instead.
pub fn check(question: Question<'_>, answer: &str) -> Result<(), String> {
    let mut answers = good();
    let answer = answer.to_owned();
    let mut master = None;
    match question {
        Question::Region => answers.region = answer,
        Question::Deployment => answers.deployment = answer,
        Question::Every => answers.every = answer,
        Question::Client => answers.allow = vec![Client { from: answer, description: "x".to_owned() }],
        Question::User { master: name } => {
            answers.users = vec![login(&answer)];
            master = Some(name);
        }
        Question::Identifier | Question::EngineVersion | Question::Class => {
            if let Database::New { identifier, engine_version, class, .. } = &mut answers.database {
                match question {
                    Question::Identifier => *identifier = answer,
                    Question::EngineVersion => *engine_version = answer,
                    _ => *class = answer,
                }
            }
        }
    }
    match read(&answers, master) {
        Ok(_) => Ok(()),
        Err(errors) => Err(errors.iter().next().map(told).unwrap_or_default()),
    }
}

fn told(error: &ConfigError) -> String {
    match &error.hint {
        Some(hint) => format!("{}: {hint}", error.message),
        None => error.message.clone(),
    }
}

/// `master` is declared where a login is to be compared with it.
fn read(answers: &Answers, master: Option<&str>) -> Result<Config, Errors> {
    let mut text = render(answers, &Place { name: "answer".to_owned(), has_schema: false }, &[]);
    if let Some(master) = master {
        let line = format!("\nmaster = {}\nclass = ", super::literal(master));
        text = text.replacen("\nclass = ", &line, 1);
    }
    config::parse("answer", &text)
}

fn login(name: &str) -> Login {
    Login { login: name.to_owned(), secret: secret_name(name), is_taken: false }
}

/// Answers that nothing is wrong with.
pub(super) fn good() -> Answers {
    Answers {
        deployment: "a".to_owned(),
        region: "eu-north-1".to_owned(),
        account: "123456789012".to_owned(),
        vpc: "vpc-0123456789abcdef0".to_owned(),
        subnets: vec!["subnet-0123456789abcdef0".to_owned(), "subnet-0123456789abcdef1".to_owned()],
        secrets_manager: Because { value: SecretsManagerPath::Endpoint, why: None },
        allow: Vec::new(),
        database: Database::New {
            identifier: "a".to_owned(),
            subnet_group: "a-subnets".to_owned(),
            engine_version: "16".to_owned(),
            class: "db.t4g.micro".to_owned(),
            storage_gib: 20,
        },
        every: "10 days".to_owned(),
        admin: Login { login: "rotator_admin".to_owned(), secret: "rotator_admin_secret".to_owned(), is_taken: false },
        users: vec![login("app")],
    }
}

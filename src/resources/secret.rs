//! `secret`: where a login's password lives. It is created empty; its first value is born in the VPC.

use super::tagging::{Lack, declared};
use super::{Live, LiveError};
use crate::aws::{Aws, Look, Rate, SecretLook, absent, call};
use crate::drift::DriftCode;
use crate::execute::Applied;
use crate::model::{Address, Facts, Kind, Mark, Ref, Seen, Shown, Tags};
use crate::code::Code;
use crate::resource::{
    Adoption, Claim, Diff, Known, NotProduced, OutputOf, Refusal, Resource, Risk, Settled, Step, Verb, claim, unobservable,
};
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, Tag};
use function_contract::{PasswordPolicy, decode_tag, encode_tag, tag};
use std::fmt;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Secret;

#[derive(Debug, Clone)]
pub struct Desired {
    pub mark: Mark,
    pub name: String,
    pub login: String,
    /// Whether one that others have made, and its value, is taken over. Where the config says so.
    pub adopt: bool,
    pub adopted_in: &'static str,
    /// How its passwords are made. The functions read it off the secret's tag.
    pub passwords: PasswordPolicy,
    /// Days in which it can be restored after deletion, 7-30.
    pub recovery: u32,
}

impl Desired {
    fn description(&self) -> String {
        format!("PostgreSQL login {} of pgrotate deployment {}", self.login, self.mark.deployment)
    }

    fn tags(&self) -> Tags {
        let mut tags = self.mark.tags();
        tags.insert(tag::LOGIN.to_owned(), encode_tag(&self.login));
        tags.insert(tag::PASSWORDS.to_owned(), self.passwords.tag());
        tags
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub arn: SecretArn,
    pub description: String,
    pub tags: Tags,
    /// In its recovery window.
    pub deleted: bool,
    /// A key of the customer's that its value is encrypted with; None: AWS's own.
    pub key: Option<String>,
}

#[derive(Debug, Clone)]
pub enum Change {
    Create,
    Restore,
    Describe,
    SetTags,
    Delete,
}

#[derive(Debug, Clone)]
pub struct Outputs {
    pub arn: SecretArn,
}

/// Full ARN, with AWS's six random characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretArn(pub String);

impl fmt::Display for SecretArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl OutputOf for SecretArn {
    type By = Secret;
    fn of(outputs: &Outputs) -> Self {
        outputs.arn.clone()
    }
}

impl Secret {
    pub fn at(login: &str) -> Ref<Self> {
        Ref::to(Address { kind: Self::KIND, name: login.to_owned() })
    }
}

impl Resource for Secret {
    const KIND: Kind = Kind("secret");
    type Desired = Desired;
    type Observed = Observed;
    type Outputs = Outputs;
    type Change = Change;

    fn address(want: &Desired) -> Address {
        want.mark.address.clone()
    }

    fn needs(_want: &Desired) -> Vec<Address> {
        Vec::new()
    }

    fn diff(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        let live = match live {
            Seen::Absent => {
                return Ok(vec![
                    cx.step("create", Verb::Create, DriftCode::Missing, Change::Create)
                        .set("name", Shown::text(&want.name))
                        .set("login", Shown::text(&want.login))
                        .set("passwords", self::shown(&want.passwords))
                        .set("declared_tags", declared(&want.mark))
                        .set("value", Shown::Withheld)
                        .because("created empty: the provisioning function makes the password"),
                ]);
            }
            Seen::Unobservable(why) => return Err(unobservable(why)),
            Seen::Present(live) => live,
        };
        let claim = claimed(want, live)?;
        let mut steps = Vec::new();
        if live.deleted {
            steps.push(
                cx.step("restore", Verb::Update, DriftCode::SecretDeleted, Change::Restore)
                    .attribute("state", Shown::text("pending deletion"), Shown::text("active"))
                    .because("its name cannot be used again within its recovery window"),
            );
        }
        if claim == Claim::ToAdopt {
            // After it is restored: what waits for its deletion takes no tags.
            steps.push(cx.adopt(Change::SetTags, &live.arn, &want.tags()));
        }
        if live.description != want.description() {
            steps.push(cx.step("describe", Verb::Update, DriftCode::Changed, Change::Describe).attribute(
                "description",
                Shown::text(&live.description),
                Shown::text(want.description()),
            ));
        }
        let mut lack = Lack::of_all(&want.mark, &want.tags(), &live.tags);
        if want.passwords == PasswordPolicy::default() && !live.tags.contains_key(tag::PASSWORDS) {
            // Without the tag it is the default: secrets older than it are as they should be.
            lack.take(tag::PASSWORDS);
        }
        if claim == Claim::Ours && !lack.is_empty() {
            // An attribute like others, kept in a tag.
            let passwords = lack.take(tag::PASSWORDS);
            let mut step = match lack.step(cx, || Change::SetTags) {
                Some(step) if passwords => step.and(DriftCode::Changed),
                Some(step) => step,
                None => cx.step("set-tags", Verb::Update, DriftCode::Changed, Change::SetTags),
            };
            if passwords {
                let before = live.tags.get(tag::PASSWORDS).map(|text| match PasswordPolicy::read_tag(text) {
                    Ok(policy) => policy.to_string(),
                    // Shown as it is: nobody can say what it was meant to be.
                    Err(_) => text.clone(),
                });
                step = step
                    .attribute(
                        "passwords",
                        before.map_or(Shown::Unset, Shown::text),
                        Shown::text(want.passwords.to_string()),
                    );
                // A new password now would take the one in use from whoever has just fetched it.
                cx.defer(
                    "a password like that",
                    format!("the next rotation makes it, or now: pgrotate rotate FILE {} --wait", want.login),
                );
            }
            steps.push(step);
        }
        Ok(steps)
    }

    fn remove(cx: &mut Diff<'_>, want: &Desired, live: Seen<&Observed>) -> Result<Vec<Step<Change>>, Refusal> {
        let Some(live) = cx.to_remove(&want.mark, live, |live| &live.tags)? else { return Ok(Vec::new()) };
        if live.deleted {
            return Ok(Vec::new());
        }
        Ok(vec![
            cx.step("delete", Verb::Delete, DriftCode::NoLongerDeclared, Change::Delete)
                .risk(Risk::Interrupts)
                .set("recovery", Shown::text(format!("{} days", want.recovery)))
                .leaves(format!(
                    "the secret `{0}`, restorable for {1} days: aws secretsmanager restore-secret --secret-id {0}",
                    want.name, want.recovery
                )),
        ])
    }

    fn settled(_want: &Desired, live: &Observed) -> Settled<Outputs> {
        if live.deleted {
            Settled::NotYet { saying: "the secret is pending deletion".to_owned() }
        } else {
            Settled::Yes(Outputs { arn: live.arn.clone() })
        }
    }

    fn facts(live: &Observed) -> Facts {
        let Observed { arn, description, tags, deleted, key } = live;
        let facts = Facts::default().with("arn", arn).with("description", description).maybe("key", key.as_ref());
        facts.tags(tags).with("pending deletion", deleted)
    }

    fn realised(want: &Desired, _known: &Known) -> Result<Observed, NotProduced> {
        Ok(Observed {
            arn: SecretArn(format!("arn:aws:secretsmanager:::secret:{}-AbCdEf", want.name)),
            description: want.description(),
            tags: want.tags(),
            deleted: false,
            key: None,
        })
    }
}

impl Live for Secret {
    /// A secret is made in one call; re-creating one whose forced deletion still runs takes a while.
    const PATIENCE: Duration = Duration::from_secs(10 * 60);
    /// Of each operation that changes a secret, 50 a second
    /// (docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html).
    const RATE: Option<Rate> = Some(Rate::half_of(50, 50.0));

    async fn observe(look: &Look<'_>, wants: &[&Desired]) -> Result<Vec<Seen<Observed>>, LiveError> {
        // Describe is the truth; ListSecrets may lag by minutes.
        let looks = wants.iter().map(|want| look.secret(&want.name));
        let seen = futures_util::future::try_join_all(looks).await?;
        Ok(seen.into_iter().map(|secret| secret.map_or(Seen::Absent, |secret| Seen::Present(observed(secret)))).collect())
    }

    async fn apply(aws: &Aws, want: &Desired, change: &Change, _known: &Known) -> Result<Applied, LiveError> {
        match change {
            Change::Create => {
                let create = call("secretsmanager", "CreateSecret");
                let answer = aws
                    .secrets
                    .create_secret()
                    .name(&want.name)
                    .description(want.description())
                    .set_tags(Some(
                        want.tags()
                            .iter()
                            .chain([(&"Name".to_owned(), &want.name)])
                            .map(|(key, value)| Tag::builder().key(key).value(value).build())
                            .collect(),
                    ))
                    .send()
                    .await
                    .map_err(|error| create.failed(error));
                match answer {
                    // A secret of that name is going: deleted by force, which takes a moment, or into its
                    // recovery window, which the next look tells.
                    Err(error) if error.is(&["InvalidRequestException"]) => {
                        let live = Look::new(aws).secret(&want.name).await?;
                        if live.is_some_and(|live| live.deleted.is_none()) {
                            return Err(error.into());
                        }
                        return Ok(Applied::NotYet {
                            saying: format!("a secret of the same name is still being deleted: {error}"),
                        });
                    }
                    answer => absent(answer, &["ResourceExistsException"])?,
                };
            }
            Change::Restore => {
                let restore = call("secretsmanager", "RestoreSecret");
                let answer = aws.secrets.restore_secret().secret_id(&want.name).send().await;
                answer.map_err(|error| restore.failed(error))?;
            }
            Change::Describe => {
                let update = call("secretsmanager", "UpdateSecret");
                let request = aws.secrets.update_secret().secret_id(&want.name).description(want.description());
                request.send().await.map_err(|error| update.failed(error))?;
            }
            Change::SetTags => {
                let add = call("secretsmanager", "TagResource");
                let tags = want.tags().iter().map(|(k, v)| Tag::builder().key(k).value(v).build()).collect();
                let request = aws.secrets.tag_resource().secret_id(&want.name).set_tags(Some(tags));
                request.send().await.map_err(|error| add.failed(error))?;
            }
            Change::Delete => {
                let delete = call("secretsmanager", "DeleteSecret");
                let request =
                    aws.secrets.delete_secret().secret_id(&want.name).recovery_window_in_days(want.recovery.into());
                match request.send().await.map_err(|error| delete.failed(error)) {
                    // One that is in its recovery window already is not deleted again: an answer was lost, or
                    // somebody else was quicker.
                    Err(error) if error.is(&["InvalidRequestException"]) => {
                        let live = Look::new(aws).secret(&want.name).await?;
                        if live.is_some_and(|live| live.deleted.is_none()) {
                            return Err(error.into());
                        }
                    }
                    answer => {
                        absent(answer, &["ResourceNotFoundException"])?;
                    }
                }
            }
        }
        Ok(Applied::Accepted)
    }
}

/// Said where it is not as everybody expects it.
fn shown(passwords: &PasswordPolicy) -> Shown {
    if *passwords == PasswordPolicy::default() { Shown::Unset } else { Shown::text(passwords.to_string()) }
}

fn observed(secret: SecretLook) -> Observed {
    Observed {
        arn: SecretArn(secret.arn),
        description: secret.description,
        tags: secret.tags,
        deleted: secret.deleted.is_some(),
        key: secret.key,
    }
}

/// Whether it is ours, or is to be taken over with what it holds. Its value is the functions' affair: one by which nobody
/// can log in they set, and one that names another user they refuse.
fn claimed(want: &Desired, live: &Observed) -> Result<Claim, Refusal> {
    let Observed { arn, description, deleted, key, .. } = live;
    let pending = if *deleted { ", pending deletion" } else { "" };
    let said = if description.is_empty() { String::new() } else { format!(", \"{description}\"") };
    let what = format!("the secret `{}` ({arn}{said}{pending})", want.name);
    let how = Adoption::By { table: want.adopted_in, declared: want.adopt };
    let mut claim = claim(&want.mark, &live.tags, how, &what);
    if let Err(refusal) = &mut claim
        && *deleted
    {
        refusal.hint.push_str("; or wait until AWS has deleted it, at the end of its recovery window");
    }
    // The roles of the functions allow no key: they could neither read what is there nor put what comes next
    // (docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html).
    match (&claim, key) {
        (Ok(Claim::ToAdopt), Some(key)) => Err(Refusal::new(
            Code::CannotChange,
            format!("{what} is encrypted with the key {key}, and the functions may use AWS's own only"),
            format!("aws secretsmanager update-secret --secret-id {} --kms-key-id alias/aws/secretsmanager", want.name),
        )),
        _ => claim,
    }
}


/// A secret that carries a deployment's tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tagged {
    pub name: String,
    pub login: String,
}

/// All secrets that say they are `deployment`'s, by name; those pending deletion are not among them. The list
/// may lag by minutes: what is found is looked at by its own Describe before anything is done to it.
pub async fn tagged(aws: &Aws, deployment: &str) -> Result<Vec<Tagged>, LiveError> {
    let list = call("secretsmanager", "ListSecrets");
    let filter = |key: FilterNameStringType, value: &str| Filter::builder().key(key).values(value).build();
    let request = aws
        .secrets
        .list_secrets()
        .filters(filter(FilterNameStringType::TagKey, tag::DEPLOYMENT))
        .filters(filter(FilterNameStringType::TagValue, &encode_tag(deployment)));
    let mut pages = request.into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| list.failed(error))?;
        found.extend(page.secret_list().iter().filter_map(|secret| {
            let tag = |key: &str| secret.tags().iter().find(|tag| tag.key() == Some(key))?.value();
            // The filter matches any tag's value, and beginnings of it.
            (tag(tag::DEPLOYMENT)? == encode_tag(deployment)).then_some(())?;
            Some(Tagged { name: secret.name()?.to_owned(), login: decode_tag(tag(tag::LOGIN)?)? })
        }));
    }
    found.sort();
    Ok(found)
}

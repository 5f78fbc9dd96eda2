//! Secrets Manager in memory, by AWS's rules for versions and labels.

use function_contract::{encode_tag, tag};
use rotation_function::event::RotationToken;
use rotation_function::secret::SecretText;
use rotation_function::store::{Put, SecretInfo, SecretStore, StoreCause, StoreError, Stored, Which};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

#[derive(Clone, Default)]
pub struct Secret {
    pub tags: BTreeMap<String, String>,
    pub rotation_enabled: Option<bool>,
    /// Value by version; None: made by RotateSecret and not put yet.
    pub values: BTreeMap<String, Option<String>>,
    /// Version by label.
    pub labels: BTreeMap<String, String>,
}

#[derive(Default)]
pub struct Fake {
    secrets: Mutex<BTreeMap<String, Secret>>,
    calls: Mutex<Vec<&'static str>>,
}

pub const CURRENT: &str = "AWSCURRENT";
pub const PENDING: &str = "AWSPENDING";
pub const PREVIOUS: &str = "AWSPREVIOUS";

impl Secret {
    /// Puts a label where it belongs; moving AWSCURRENT takes AWSPREVIOUS along.
    fn label(&mut self, label: &str, version: &str) {
        let old = self.labels.insert(label.to_owned(), version.to_owned());
        if let Some(old) = old.filter(|old| label == CURRENT && old != version) {
            self.labels.insert(PREVIOUS.to_owned(), old);
        }
    }

    pub fn labels_of(&self, version: &str) -> BTreeSet<String> {
        self.labels.iter().filter(|(_, at)| *at == version).map(|(label, _)| label.clone()).collect()
    }

    pub fn value(&self, label: &str) -> serde_json::Value {
        serde_json::from_str(self.values[&self.labels[label]].as_deref().unwrap()).unwrap()
    }
}

impl Clone for Fake {
    /// A store of its own with the same secrets.
    fn clone(&self) -> Self {
        Self { secrets: Mutex::new(self.secrets.lock().unwrap().clone()), calls: Mutex::default() }
    }
}

impl Fake {
    /// Makes a secret without a value, tagged as a deployment's.
    pub fn create(&self, arn: &str, deployment: &str, login: &str) {
        let tags = [(tag::DEPLOYMENT, deployment.to_owned()), (tag::LOGIN, encode_tag(login))];
        let tags = tags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        self.secrets.lock().unwrap().insert(arn.to_owned(), Secret { tags, ..Secret::default() });
    }

    pub fn with<T>(&self, arn: &str, change: impl FnOnce(&mut Secret) -> T) -> T {
        change(self.secrets.lock().unwrap().get_mut(arn).unwrap())
    }

    /// What RotateSecret does before it invokes the function.
    pub fn start_rotation(&self, arn: &str, token: &str) -> Result<(), &'static str> {
        self.with(arn, |secret| {
            secret.rotation_enabled = Some(true);
            let pending = secret.labels.get(PENDING);
            if pending.is_some_and(|pending| pending != token && secret.labels.get(CURRENT) != Some(pending)) {
                return Err("an AWSPENDING is outstanding");
            }
            secret.values.entry(token.to_owned()).or_default();
            secret.label(PENDING, token);
            Ok(())
        })
    }

    /// Puts a value as a person would.
    pub fn put_by_hand(&self, arn: &str, token: &str, text: &str) {
        self.with(arn, |secret| {
            secret.values.insert(token.to_owned(), Some(text.to_owned()));
            secret.label(CURRENT, token);
        });
    }

    /// The calls since the last time it was asked.
    pub fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn call<T>(
        &self,
        operation: &'static str,
        arn: &str,
        work: impl FnOnce(&mut Secret) -> Result<T, &'static str>,
    ) -> Result<T, StoreError> {
        self.calls.lock().unwrap().push(operation);
        let mut secrets = self.secrets.lock().unwrap();
        let result = secrets.get_mut(arn).ok_or("ResourceNotFoundException").and_then(work);
        result.map_err(|code| StoreError {
            operation,
            secret: arn.to_owned(),
            cause: StoreCause::Answer { code: code.to_owned(), message: "by the fake".to_owned() },
        })
    }
}

impl SecretStore for Fake {
    async fn describe(&self, arn: &str) -> Result<SecretInfo, StoreError> {
        self.call("DescribeSecret", arn, |secret| {
            let versions: BTreeSet<&String> = secret.labels.values().collect();
            Ok(SecretInfo {
                arn: arn.to_owned(),
                tags: secret.tags.clone(),
                rotation_enabled: secret.rotation_enabled,
                versions: versions.into_iter().map(|version| (version.clone(), secret.labels_of(version))).collect(),
            })
        })
    }

    async fn get(&self, arn: &str, which: Which<'_>) -> Result<Option<Stored>, StoreError> {
        self.call("GetSecretValue", arn, |secret| {
            let version = match which {
                Which::Version(version) => Some(version.to_owned()),
                Which::Label(label) => secret.labels.get(label).cloned(),
            };
            let value = version.and_then(|version| Some((secret.values.get(&version)?.clone()?, version)));
            Ok(value.map(|(text, version)| Stored {
                labels: secret.labels_of(&version),
                version,
                text: SecretText::new(text),
            }))
        })
    }

    async fn put(
        &self,
        arn: &str,
        token: &str,
        text: &SecretText,
        label: &str,
        _: Option<&RotationToken>,
    ) -> Result<Put, StoreError> {
        self.call("PutSecretValue", arn, |secret| {
            let value = secret.values.entry(token.to_owned()).or_default();
            match value {
                Some(value) if value != text.expose() => return Ok(Put::AlreadyThere),
                Some(_) => return Ok(Put::Stored),
                None => *value = Some(text.expose().to_owned()),
            }
            secret.label(label, token);
            // The first value gets AWSCURRENT, whatever was asked for.
            if !secret.labels.contains_key(CURRENT) {
                secret.label(CURRENT, token);
            }
            Ok(Put::Stored)
        })
    }

    async fn move_label(&self, arn: &str, label: &str, to: Option<&str>, from: Option<&str>) -> Result<(), StoreError> {
        self.call("UpdateSecretVersionStage", arn, |secret| {
            if secret.labels.get(label).map(String::as_str) != from {
                return Err("InvalidParameterException");
            }
            match to {
                Some(to) if secret.values.contains_key(to) => secret.label(label, to),
                Some(_) => return Err("ResourceNotFoundException"),
                None if label == CURRENT => return Err("InvalidParameterException"),
                None => drop(secret.labels.remove(label)),
            }
            Ok(())
        })
    }
}

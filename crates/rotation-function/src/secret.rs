//! The JSON in a secret: AWS's keys, read strictly, and everything else left as it stands.

use crate::config::address;
use crate::password::Password;
use function_contract::DatabaseId;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::ops::Range;
use zeroize::Zeroizing;

/// The keys AWS's rotation functions, drivers and tools read; every secret of ours has the first six, one of the two
/// identifiers, and `masterarn` too under alternating users.
pub mod key {
    pub const ENGINE: &str = "engine";
    pub const HOST: &str = "host";
    pub const PORT: &str = "port";
    pub const USERNAME: &str = "username";
    pub const PASSWORD: &str = "password";
    pub const DBNAME: &str = "dbname";
    pub const INSTANCE: &str = "dbInstanceIdentifier";
    pub const CLUSTER: &str = "dbClusterIdentifier";
    pub const MASTER_ARN: &str = "masterarn";

    /// Those every secret of ours has, beside [`INSTANCE`] or [`CLUSTER`].
    pub const NEEDED: [&str; 6] = [ENGINE, HOST, PORT, USERNAME, PASSWORD, DBNAME];
}

/// Engines whose servers speak the protocol this function speaks: those that AWS's own functions take
/// (github.com/aws-samples/aws-secrets-manager-rotation-lambdas, pull requests 117 and 131).
const ENGINES: [&str; 2] = ["postgres", "aurora-postgresql"];

/// Taken where the JSON has no `port`, as AWS's functions do.
const DEFAULT_PORT: u16 = 5432;

/// Taken where the JSON has no `dbname`, as AWS's functions do.
const DEFAULT_DATABASE: &str = "postgres";

/// The text of a secret's version. It holds a password, and is kept like one.
///
/// ```compile_fail
/// fn printable<T: std::fmt::Debug>() {}
/// printable::<rotation_function::secret::SecretText>();
/// ```
///
/// ```compile_fail
/// fn serialisable<T: serde::Serialize>() {}
/// serialisable::<rotation_function::secret::SecretText>();
/// ```
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes over a text that has just been read.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for the store and for nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Why a secret's JSON cannot be used. Names keys, never values.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SecretError {
    #[error("its value is not a JSON object")]
    NotAnObject,
    #[error("its JSON has no {0:?}")]
    Missing(&'static str),
    #[error("its JSON has {0:?} twice")]
    Twice(&'static str),
    #[error("{0:?} in its JSON has a type or value that cannot be used")]
    Unusable(&'static str),
    #[error("its engine is neither postgres nor aurora-postgresql")]
    Engine,
}

/// A version's value, read.
///
/// ```compile_fail
/// fn printable<T: std::fmt::Debug>() {}
/// printable::<rotation_function::secret::SecretValue>();
/// ```
pub struct SecretValue {
    text: SecretText,
    pub host: String,
    pub port: u16,
    pub username: String,
    pub password: Password,
    pub database: String,
    /// `dbInstanceIdentifier`.
    pub instance: Option<String>,
    /// `dbClusterIdentifier`.
    pub cluster: Option<String>,
    /// ARN of the secret that rotates this one: set for alternating users, absent for a single user.
    pub master_arn: Option<String>,
    /// Those of [`key::NEEDED`] that it lacks and that have a default here; [`key::INSTANCE`], where it names no cluster
    /// either.
    pub missing: Vec<&'static str>,
}

/// A value about to be made for a new login.
pub struct NewSecret<'a> {
    pub engine: &'a str,
    pub host: &'a str,
    pub port: u16,
    pub username: &'a str,
    pub password: &'a Password,
    pub database: &'a str,
    pub id: &'a DatabaseId,
    pub master_arn: Option<&'a str>,
}

impl NewSecret<'_> {
    /// The JSON of a first version, keys in the order AWS's console writes them.
    pub fn compose(&self) -> SecretText {
        let mut text = Zeroizing::new(String::from("{"));
        let mut entry = |key: &str, value: &str| {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&quoted(key));
            text.push(':');
            text.push_str(value);
        };
        entry(key::ENGINE, &quoted(self.engine));
        entry(key::HOST, &quoted(self.host));
        entry(key::PORT, &self.port.to_string());
        entry(key::USERNAME, &quoted(self.username));
        entry(key::PASSWORD, &quoted(self.password.expose()));
        entry(key::DBNAME, &quoted(self.database));
        entry(self.id.key(), &quoted(self.id.name()));
        if let Some(arn) = self.master_arn {
            entry(key::MASTER_ARN, &quoted(arn));
        }
        text.push('}');
        SecretText(text)
    }
}

/// What a deployment says of a login, but for its name and password.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    pub host: &'a str,
    pub port: u16,
    pub database: &'a str,
    pub id: &'a DatabaseId,
    /// Of alternating users only.
    pub master_arn: Option<&'a str>,
}

/// User name and password only, as RDS keeps them for the master user.
pub struct Credentials {
    pub username: String,
    pub password: Password,
}

impl Credentials {
    /// Reads a secret of which no more is expected than the two keys.
    pub fn parse(text: &SecretText) -> Result<Self, SecretError> {
        let entries = entries(text)?;
        Ok(Self {
            username: string(&entries, key::USERNAME)?.ok_or(SecretError::Missing(key::USERNAME))?,
            password: Password::new(Zeroizing::new(
                string(&entries, key::PASSWORD)?.ok_or(SecretError::Missing(key::PASSWORD))?,
            )),
        })
    }
}

impl SecretValue {
    /// Reads a version's text. A key this function uses must not stand there twice: readers disagree on
    /// which of the two counts, and a guard that reads one must not protect a use of the other.
    pub fn parse(text: SecretText) -> Result<Self, SecretError> {
        let entries = entries(&text)?;
        let engine = string(&entries, key::ENGINE)?.ok_or(SecretError::Missing(key::ENGINE))?;
        if !ENGINES.contains(&engine.as_str()) {
            return Err(SecretError::Engine);
        }
        let Credentials { username, password } = Credentials::parse(&text)?;
        if username.is_empty() || username.contains('\0') {
            return Err(SecretError::Unusable(key::USERNAME));
        }
        let host = string(&entries, key::HOST)?.ok_or(SecretError::Missing(key::HOST))?;
        if host.is_empty() {
            return Err(SecretError::Unusable(key::HOST));
        }
        let mut missing = Vec::new();
        for key in key::NEEDED {
            if one(&entries, key)?.is_none() {
                missing.push(key);
            }
        }
        let port = port(one(&entries, key::PORT)?)?;
        let database = string(&entries, key::DBNAME)?
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| DEFAULT_DATABASE.to_owned());
        let master_arn = string(&entries, key::MASTER_ARN)?.filter(|arn| !arn.is_empty());
        // Emptied is what a value of another kind of database was named by.
        let instance = string(&entries, key::INSTANCE)?.filter(|name| !name.is_empty());
        let cluster = string(&entries, key::CLUSTER)?.filter(|name| !name.is_empty());
        if instance.is_none() && cluster.is_none() {
            missing.push(key::INSTANCE);
        }
        drop(entries);
        Ok(Self { text, host, port, username, password, database, instance, cluster, master_arn, missing })
    }

    /// The same text, byte for byte, but for the values of `username` and `password`.
    pub fn replaced(&self, username: &str, password: &Password) -> SecretText {
        let mut changes = vec![(key::PASSWORD, quoted(password.expose()))];
        // A name that stays keeps its spelling: an escape in it is part of "byte for byte".
        if username != self.username {
            changes.push((key::USERNAME, quoted(username)));
        }
        // Both keys were found when this text was read.
        self.with(&changes).unwrap_or_else(|_| unreachable!("the text was read before"))
    }

    /// The same text with other values under some keys: `(key, value as JSON)`. Values are replaced where
    /// they stand, keys that are missing are added at the end, everything else stays byte for byte.
    fn with(&self, changes: &[(&'static str, Zeroizing<String>)]) -> Result<SecretText, SecretError> {
        let old = self.text.expose();
        let entries = entries(&self.text)?;
        let (mut edits, mut added) = (Vec::new(), Zeroizing::new(String::new()));
        for (key, value) in changes {
            match one(&entries, key)? {
                Some(raw) => edits.push((span(old, raw), value)),
                None => {
                    // An object that was read has a user name, so there is always something before the comma.
                    added.push(',');
                    added.push_str(&quoted(key));
                    added.push(':');
                    added.push_str(value);
                }
            }
        }
        edits.sort_by_key(|(range, _)| range.start);
        let mut text = Zeroizing::new(String::with_capacity(old.len() + added.len() + 256));
        let mut from = 0;
        for (range, new) in &edits {
            text.push_str(&old[from..range.start]);
            text.push_str(new);
            from = range.end;
        }
        let end = old.rfind('}').unwrap_or(old.len());
        text.push_str(&old[from..end]);
        text.push_str(&added);
        text.push_str(&old[end..]);
        Ok(SecretText(text))
    }

    /// What a deployment now says of this login, where the stored value says otherwise: the keys that differ
    /// and the text with them put right. User name and password are never among them.
    pub fn restated(&self, now: &Statement<'_>) -> Result<Option<(Vec<&'static str>, SecretText)>, SecretError> {
        let entries = entries(&self.text)?;
        let mut changes: Vec<(&'static str, Zeroizing<String>)> = Vec::new();
        if !self.host.eq_ignore_ascii_case(now.host) {
            changes.push((key::HOST, quoted(now.host)));
        }
        if self.port != now.port || one(&entries, key::PORT)?.is_none() {
            changes.push((key::PORT, Zeroizing::new(now.port.to_string())));
        }
        if self.database != now.database || one(&entries, key::DBNAME)?.is_none() {
            changes.push((key::DBNAME, quoted(now.database)));
        }
        let (instance, cluster) = match now.id {
            DatabaseId::Instance(name) => (Some(name.as_str()), None),
            DatabaseId::Cluster(name) => (None, Some(name.as_str())),
        };
        for (key, is, should) in [(key::INSTANCE, &self.instance, instance), (key::CLUSTER, &self.cluster, cluster)] {
            if is.as_deref() != should {
                changes.push((key, quoted(should.unwrap_or_default())));
            }
        }
        if self.master_arn.as_deref() != now.master_arn {
            // Emptied rather than taken out for a single user, as the identifier of another kind of database above: what
            // reads it takes both for "none".
            changes.push((key::MASTER_ARN, quoted(now.master_arn.unwrap_or_default())));
        }
        if changes.is_empty() {
            return Ok(None);
        }
        let keys = changes.iter().map(|(key, _)| *key).collect();
        Ok(Some((keys, self.with(&changes)?)))
    }

    /// `host:port`, an IPv6 address in brackets.
    pub fn address(&self) -> String {
        address(&self.host, self.port)
    }
}

fn quoted(text: &str) -> Zeroizing<String> {
    // Serialising a string into memory has no way to fail; Value's Display does the same without a Result.
    let value = serde_json::Value::from(text);
    let quoted = Zeroizing::new(value.to_string());
    if let serde_json::Value::String(copy) = value {
        drop(Zeroizing::new(copy));
    }
    quoted
}

struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    entries.push((key, map.next_value::<&'de RawValue>()?));
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(Read).map(Entries)
    }
}

fn entries(text: &SecretText) -> Result<Entries<'_>, SecretError> {
    // serde_json's message could quote the value; which object it is, the caller knows.
    serde_json::from_str(text.expose()).map_err(|_| SecretError::NotAnObject)
}

fn one<'a>(entries: &Entries<'a>, key: &'static str) -> Result<Option<&'a RawValue>, SecretError> {
    let mut found = entries.0.iter().filter(|(name, _)| name == key).map(|(_, raw)| *raw);
    let first = found.next();
    if found.next().is_some() { Err(SecretError::Twice(key)) } else { Ok(first) }
}

fn string(entries: &Entries<'_>, key: &'static str) -> Result<Option<String>, SecretError> {
    let Some(raw) = one(entries, key)? else { return Ok(None) };
    serde_json::from_str(raw.get()).map(Some).map_err(|_| SecretError::Unusable(key))
}

/// A number, or a number in quotes as the console writes it.
fn port(raw: Option<&RawValue>) -> Result<u16, SecretError> {
    let Some(raw) = raw else { return Ok(DEFAULT_PORT) };
    let text = raw.get().trim_matches('"');
    text.parse().ok().filter(|port| *port != 0).ok_or(SecretError::Unusable(key::PORT))
}

/// Where `raw` stands in the text it was borrowed from.
fn span(text: &str, raw: &RawValue) -> Range<usize> {
    let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
    start..start + raw.get().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<SecretValue, SecretError> {
        SecretValue::parse(SecretText::new(text.to_owned()))
    }

    fn password(text: &str) -> Password {
        Password::new(Zeroizing::new(text.to_owned()))
    }

    const ARTICLE: &str = r#"{"username":"test_user1","password":"old","engine":"postgres","host":"db.example","port":5432,"dbname":"app","masterarn":"arn:admin","dbInstanceIdentifier":"my-db"}"#;

    #[test]
    fn a_value_is_restated_where_the_deployment_says_otherwise() {
        let now = Statement {
            host: "db.example",
            port: 5432,
            database: "app",
            id: &DatabaseId::Instance("my-db".to_owned()),
            master_arn: Some("arn:admin"),
        };
        let value = parse(ARTICLE).ok().unwrap();
        assert!(value.restated(&now).unwrap().is_none());

        let moved = Statement { host: "new.example", master_arn: None, ..now };
        let (keys, text) = value.restated(&moved).ok().unwrap().unwrap();
        assert_eq!(keys, [key::HOST, key::MASTER_ARN]);
        let expected = ARTICLE.replace("db.example", "new.example").replace("arn:admin", "");
        assert_eq!(text.expose(), expected);
        let again = SecretValue::parse(text).ok().unwrap();
        assert_eq!(again.master_arn, None);
        assert!(again.restated(&moved).unwrap().is_none());

        let bare = r#"{ "username": "u", "password": "p", "engine": "postgres", "host": "h", "own": 1.50 } "#;
        let (keys, text) = parse(bare).ok().unwrap().restated(&now).ok().unwrap().unwrap();
        assert_eq!(keys, [key::HOST, key::PORT, key::DBNAME, key::INSTANCE, key::MASTER_ARN]);
        let expected = r#"{ "username": "u", "password": "p", "engine": "postgres", "host": "db.example", "own": 1.50 ,"port":5432,"dbname":"app","dbInstanceIdentifier":"my-db","masterarn":"arn:admin"} "#;
        assert_eq!(text.expose(), expected);
    }

    /// A database that moves into a cluster, and back.
    #[test]
    fn a_value_names_an_instance_or_a_cluster_and_never_both() {
        let (instance, cluster) = (DatabaseId::Instance("my-db".to_owned()), DatabaseId::Cluster("many".to_owned()));
        let of = |id| Statement { host: "db.example", port: 5432, database: "app", id, master_arn: Some("arn:admin") };
        let (keys, text) = parse(ARTICLE).ok().unwrap().restated(&of(&cluster)).unwrap().unwrap();
        assert_eq!(keys, [key::INSTANCE, key::CLUSTER]);
        let expected = ARTICLE.replace("\"my-db\"}", "\"\",\"dbClusterIdentifier\":\"many\"}");
        assert_eq!(text.expose(), expected);
        let moved = SecretValue::parse(text).ok().unwrap();
        assert_eq!((moved.instance.as_deref(), moved.cluster.as_deref()), (None, Some("many")));
        assert!(moved.missing.is_empty() && moved.restated(&of(&cluster)).unwrap().is_none());
        let (keys, text) = moved.restated(&of(&instance)).unwrap().unwrap();
        assert_eq!(keys, [key::INSTANCE, key::CLUSTER]);
        assert_eq!(text.expose(), expected.replace("\"\",", "\"my-db\",").replace("many", ""));
    }

    #[test]
    fn the_articles_secret_is_read() {
        let value = parse(ARTICLE).ok().unwrap();
        assert_eq!((value.host.as_str(), value.port), ("db.example", 5432));
        assert_eq!((value.username.as_str(), value.password.expose()), ("test_user1", "old"));
        assert_eq!((value.database.as_str(), value.master_arn.as_deref()), ("app", Some("arn:admin")));
        assert!(value.missing.is_empty());
    }

    #[test]
    fn defaults_are_those_of_aws() {
        let value =
            parse(r#"{"engine":"postgres","host":"h","username":"u","password":"p","masterarn":""}"#).ok().unwrap();
        assert_eq!((value.port, value.database.as_str()), (5432, "postgres"));
        assert_eq!(value.missing, ["port", "dbname", "dbInstanceIdentifier"]);
        assert_eq!(value.master_arn, None);
        let quoted = r#"{"engine":"postgres","host":"h","username":"u","password":"p","port":"5433"}"#;
        assert_eq!(parse(quoted).ok().unwrap().port, 5433);
    }

    #[test]
    fn unusable_values_are_refused_by_key() {
        let error = |text: &str| parse(text).err().unwrap();
        assert_eq!(error("hunter2"), SecretError::NotAnObject);
        assert_eq!(error("[1]"), SecretError::NotAnObject);
        assert_eq!(error(&ARTICLE.replace("postgres\"", "mysql\"")), SecretError::Engine);
        assert_eq!(error(&ARTICLE.replace("\"host\"", "\"Host\"")), SecretError::Missing(key::HOST));
        assert_eq!(error(&ARTICLE.replace("\"old\"", "1")), SecretError::Unusable(key::PASSWORD));
        assert_eq!(error(&ARTICLE.replace("5432", "70000")), SecretError::Unusable(key::PORT));
        assert_eq!(error(&ARTICLE.replace("{", r#"{"host":"evil","#)), SecretError::Twice(key::HOST));
        assert_eq!(error(&ARTICLE.replace("{", r#"{"h\u006fst":"evil","#)), SecretError::Twice(key::HOST));
    }

    #[test]
    fn what_is_not_replaced_stays_byte_for_byte() {
        let odd = "{ \"note\" : [1, 2.50, {\"a\":\"\\u00e9\"}],\n\t\"password\":\"o\\u006cd\",\"x\":1e3, \"engine\":\"postgres\",\"host\":\"h\",\"username\":\"\\u0075\" }\n";
        let value = parse(odd).ok().unwrap();
        let same = value.replaced("u", &password("a\"b\\c"));
        assert_eq!(same.expose(), odd.replace("o\\u006cd", "a\\\"b\\\\c"));
        let other = value.replaced("u_clone", &password("new"));
        assert_eq!(other.expose(), odd.replace("o\\u006cd", "new").replace("\\u0075", "u_clone"));
    }

    #[test]
    fn a_composed_value_has_every_key_and_reads_back() {
        let secret = password("p\"{}");
        let mut new = NewSecret {
            engine: "postgres",
            host: "db",
            port: 5433,
            username: "Über \"x\"",
            password: &secret,
            database: "app",
            id: &DatabaseId::Instance("my-db".to_owned()),
            master_arn: Some("arn:admin"),
        };
        let value = SecretValue::parse(new.compose()).ok().unwrap();
        assert!(value.missing.is_empty());
        assert_eq!((value.username.as_str(), value.password.expose()), ("Über \"x\"", "p\"{}"));
        assert_eq!(value.master_arn.as_deref(), Some("arn:admin"));
        new.master_arn = None;
        assert!(!new.compose().expose().contains(key::MASTER_ARN));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_panic(text in ".*") {
            let _ = parse(&text);
        }

        #[test]
        fn any_password_and_name_survive(name in "[^\0]+", word in ".*") {
            let value = parse(ARTICLE).ok().unwrap();
            let again = SecretValue::parse(value.replaced(&name, &password(&word))).ok().unwrap();
            prop_assert_eq!(again.username, name);
            prop_assert_eq!(again.password.expose(), word);
        }
    }
}

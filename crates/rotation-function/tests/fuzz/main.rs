//! What comes from outside, near enough to what is expected to get far: never a panic, and what is taken is what it
//! says. A few thousand inputs each, always the same ones; `make fuzz` tries a million each.
//!
//! `PGROTATE_FUZZ_INPUTS` and `PGROTATE_FUZZ_SEED` choose how many and which; a failure prints its input.

mod mutator;

use function_contract::{
    DatabaseId, Duty, EnsureLogin, IDENTIFIER_BYTES, InspectLogin, InspectionRequest, PasswordPolicy,
    ProvisioningRequest, RecoverLogin, Recovery, RoleAttributes, RoleComment, Server, Strategy, decode_tag, encode_tag,
    error_type, name_list, same_setting,
};
use mutator::{Random, json_of, text, text_of};
use rotation_function::config::Hosts;
use rotation_function::event::RotationEvent;
use rotation_function::ownership;
use rotation_function::password::Password;
use rotation_function::secret::{SecretText, SecretValue, Statement};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Tells the input that a panic, or a failed assertion, was about.
struct Told<'a>(&'a str);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was: {:?}", self.0);
        }
    }
}

/// Tries inputs; `try_one` says whether it was taken. Both answers must occur, or the inputs are no good.
fn fuzz(what: &str, make: impl Fn(&mut Random) -> String, try_one: impl Fn(&mut Random, &str) -> bool) {
    let (inputs, seed) = (number("PGROTATE_FUZZ_INPUTS", 4000), number("PGROTATE_FUZZ_SEED", 1));
    let mut random = Random::new(seed);
    let mut taken = 0;
    for _ in 0..inputs {
        let input = make(&mut random);
        let told = Told(&input);
        taken += u64::from(try_one(&mut random, &input));
        drop(told);
    }
    println!("{what}: {inputs} inputs of seed {seed}, {taken} taken, {} refused", inputs - taken);
    assert!(taken * 50 > inputs && (inputs - taken) * 50 > inputs, "{what}: {taken} of {inputs} were taken");
}

/// Documents: changed as such, as text, or both.
fn documents(valid: Value) -> impl Fn(&mut Random) -> String {
    let plain = valid.to_string();
    move |random| match random.below(4) {
        0 => text_of(random, &plain),
        1 => {
            let changed = json_of(random, &valid).to_string();
            text_of(random, &changed)
        }
        _ => json_of(random, &valid).to_string(),
    }
}

#[test]
fn events_of_rotations() {
    let valid = json!({
        "Step": "setSecret", "SecretId": "arn:aws:secretsmanager:eu-north-1:111122223333:secret:app-AbCdEf",
        "ClientRequestToken": "11111111-2222-3333-4444-555555555555", "RotationToken": "HIDDEN-HIDDEN",
    });
    fuzz("events of rotations", documents(valid), |_, input| {
        let Ok(event) = serde_json::from_str::<Value>(input) else { return false };
        match RotationEvent::parse(event.clone()) {
            Err(error) => {
                assert_eq!(error.error_type(), error_type::BAD_EVENT);
                // Unless it stood where the step stands, which is quoted.
                let step = event.get("Step").and_then(Value::as_str).unwrap_or_default();
                assert!(step.contains("HIDDEN") || !error.to_string().contains("HIDDEN"), "{error}");
                false
            }
            Ok(read) => {
                assert_eq!(
                    event["Step"].as_str().map(|step| step.replace("_s", "S")),
                    Some(read.step.as_str().to_owned())
                );
                assert_eq!(event["SecretId"], read.secret.as_str());
                assert_eq!(event["ClientRequestToken"], read.token.as_str());
                assert!(!read.secret.is_empty() && (32..=64).contains(&read.token.len()));
                let again =
                    json!({ "Step": read.step.as_str(), "SecretId": read.secret, "ClientRequestToken": read.token });
                let again = RotationEvent::parse(again)
                    .unwrap_or_else(|error| panic!("what was read can be said again: {error}"));
                assert_eq!((again.step, again.secret, again.token), (read.step, read.secret, read.token));
                true
            }
        }
    });
}

fn request() -> ProvisioningRequest {
    ProvisioningRequest::EnsureLogin(EnsureLogin {
        login: "test_user1".to_owned(),
        address: "login.test_user1".to_owned(),
        duty: Duty::User,
        strategy: Strategy::AlternatingUsers,
        secret_arn: "arn:secret".to_owned(),
        database: "postgres".to_owned(),
        server: Server { host: "db.example".to_owned(), port: 5432, id: DatabaseId::Instance("my-db".to_owned()) },
        attributes: RoleAttributes {
            member_of: ["app_rw".to_owned()].into(),
            settings: [("search_path".to_owned(), "app, public".to_owned())].into(),
            connection_limit: Some(7),
            valid_until: Some("2099-01-01T00:00:00Z".to_owned()),
        },
        adopt: true,
    })
}

/// A request that is read says the same when it is written, and its names are known for what they are.
fn reads<T>(input: &str) -> Option<T>
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    // As it comes to the handler: through a Value.
    let value: Value = serde_json::from_str(input).ok()?;
    let read: T = serde_json::from_value(value).ok()?;
    let written = serde_json::to_value(&read).expect("it can be written");
    assert_eq!(serde_json::from_value::<T>(written).expect("and read again"), read);
    Some(read)
}

fn name_is_known_for_what_it_is(login: &str) {
    let lower = login.to_ascii_lowercase();
    let reserved = lower == "postgres" || lower.starts_with("pg_") || lower.starts_with("rds");
    let unusable = login.is_empty() || login.contains('\0') || login.len() > IDENTIFIER_BYTES;
    assert_eq!(ownership::refuse_reserved(login).is_err(), reserved || unusable, "{login:?}");
}

#[test]
fn requests_to_provision() {
    let ensure = documents(serde_json::to_value(request()).expect("it can be written"));
    let (login, address) = ("x".to_owned(), "login.x".to_owned());
    let disable = ProvisioningRequest::DisableLogin { login: login.clone(), address: address.clone() };
    let dropped = ProvisioningRequest::DropLogin { login: login.clone(), address: address.clone() };
    let recover = ProvisioningRequest::RecoverLogin(RecoverLogin {
        login,
        address,
        duty: Duty::User,
        strategy: Strategy::SingleUser,
        secret_arn: "arn:secret".to_owned(),
        attributes: RoleAttributes::default(),
        current: "one".to_owned(),
        recovery: Recovery::MakeCurrent { version: "two".to_owned() },
    });
    let others =
        [disable, dropped, recover].map(|request| documents(serde_json::to_value(request).expect("it can be written")));
    let make = |random: &mut Random| {
        if random.one_in(2) {
            return ensure(random);
        }
        let [disable, dropped, recover] = &others;
        match (random.one_in(3), random.one_in(2)) {
            (true, _) => disable(random),
            (_, true) => dropped(random),
            _ => recover(random),
        }
    };
    fuzz("requests to provision", make, |_, input| match reads::<ProvisioningRequest>(input) {
        Some(ProvisioningRequest::EnsureLogin(ensure)) => {
            name_is_known_for_what_it_is(&ensure.login);
            true
        }
        Some(
            ProvisioningRequest::DisableLogin { login, .. }
            | ProvisioningRequest::DropLogin { login, .. }
            | ProvisioningRequest::RecoverLogin(RecoverLogin { login, .. }),
        ) => {
            name_is_known_for_what_it_is(&login);
            true
        }
        None => false,
    });
}

#[test]
fn requests_to_inspect() {
    let login = |name: &str| InspectLogin { login: name.to_owned(), secret_arn: format!("arn:{name}") };
    let valid = InspectionRequest { logins: vec![login("one"), login("two")] };
    let make = documents(serde_json::to_value(valid).expect("it can be written"));
    fuzz("requests to inspect", make, |_, input| match reads::<InspectionRequest>(input) {
        Some(request) => {
            request.logins.iter().for_each(|login| name_is_known_for_what_it_is(&login.login));
            true
        }
        None => false,
    });
}

/// The two values that a rotation changes, as they are written.
#[derive(Deserialize)]
struct Changing<'a> {
    #[serde(borrow)]
    username: &'a RawValue,
    #[serde(borrow)]
    password: &'a RawValue,
}

/// A document without the keys that `keys` name; values as they are written.
fn without(text: &str, keys: &[&str]) -> BTreeMap<String, String> {
    let all: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).expect("it was read before");
    all.into_iter()
        .filter(|(key, _)| !keys.contains(&key.as_str()))
        .map(|(key, raw)| (key, raw.get().to_owned()))
        .collect()
}

#[test]
fn values_of_secrets() {
    let valid = json!({
        "username": "test_user1", "password": "o\"l\\d é", "engine": "postgres", "host": "db.example", "port": 5432,
        "dbname": "app", "masterarn": "arn:admin", "dbInstanceIdentifier": "my-db", "own": [1.5, { "a": null }],
    });
    let now = Statement {
        host: "new.example",
        port: 5433,
        database: "other",
        id: &DatabaseId::Cluster("my-cluster".to_owned()),
        master_arn: Some("arn:admin"),
    };
    let passwords = [0; 2].map(|_| Password::generate(&PasswordPolicy::default()).expect("random bytes"));
    let parse = |text: &str| SecretValue::parse(SecretText::new(text.to_owned()));
    fuzz("values of secrets", documents(valid), |random, input| {
        let Ok(value) = parse(input) else { return false };
        assert!(!value.username.is_empty() && !value.host.is_empty() && value.port != 0 && !value.database.is_empty());

        // Byte for byte the same, but for the two values.
        let name =
            if random.one_in(2) { value.username.clone() } else { format!("{}x", text(random).replace('\0', "")) };
        let replaced = [&passwords[0], &passwords[1]].map(|password| value.replaced(&name, password));
        let [one, other] = [0, 1].map(|number: usize| replaced[number].expose());
        let raw = |text| serde_json::from_str::<Changing<'_>>(text).expect("both keys are there, once");
        let ([is, was], before) = ([raw(one), raw(other)], raw(input));
        assert_ne!(is.password.get(), was.password.get());
        assert_eq!(one.replacen(is.password.get(), was.password.get(), 1), other);
        let (start, end) = (is.password.get(), is.username.get());
        let position = |text: &str, part: &RawValue| part.get().as_ptr() as usize - text.as_ptr() as usize;
        let mut edits = [
            (position(one, is.password), start, before.password.get()),
            (position(one, is.username), end, before.username.get()),
        ];
        edits.sort_unstable();
        let mut undone = one.to_owned();
        for (at, new, old) in edits.iter().rev() {
            undone.replace_range(*at..*at + new.len(), old);
        }
        assert_eq!(undone, input);
        let again = parse(one).unwrap_or_else(|error| panic!("what was replaced: {error}"));
        assert_eq!((&again.username, &again.host, again.port), (&name, &value.host, value.port));
        assert_eq!(name == value.username, is.username.get() == before.username.get());

        // What the deployment says takes the place of what it said, once and for all.
        if let Some((keys, restated)) = value.restated(&now).expect("it was read before") {
            assert!(!keys.is_empty() && !keys.contains(&"username") && !keys.contains(&"password"), "{keys:?}");
            assert_eq!(without(restated.expose(), &keys), without(input, &keys));
            let restated = SecretValue::parse(restated).unwrap_or_else(|error| panic!("what was restated: {error}"));
            assert!(restated.restated(&now).expect("it was read before").is_none());
            assert_eq!((restated.host.as_str(), restated.port), (now.host, now.port));
        }
        true
    });
}

#[test]
fn comments_of_roles() {
    let valid = RoleComment { deployment: "article".to_owned(), address: "login.test_user1".to_owned() };
    let (plain, own) = (valid.text(), format!("{} of the web shop\nsince 2020", valid.text()));
    let make = |random: &mut Random| {
        let valid = if random.one_in(2) { &plain } else { &own };
        text_of(random, valid)
    };
    fuzz("comments of roles", make, |random, input| {
        let mark = RoleComment { deployment: text(random), address: text(random) };
        assert_eq!(RoleComment::read(Some(&mark.text())), Some(mark.clone()));
        for (rest, is) in [("", true), (" more", true), ("\nmore", true), ("more", false), ("=3D", false)] {
            let comment = format!("{}{rest}", mark.text());
            assert_eq!(mark.marks(Some(&comment)), is, "{comment:?}");
            assert_eq!(RoleComment::read(Some(&comment)) == Some(mark.clone()), is, "{comment:?}");
        }
        match RoleComment::read(Some(input)) {
            Some(read) => {
                assert!(read.marks(Some(input)) && input.starts_with(&read.text()));
                true
            }
            None => {
                assert!(!valid.marks(Some(input)));
                false
            }
        }
    });
}

#[test]
fn lists_of_settings() {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let make = |random: &mut Random| text_of(random, "\"$user\", app, \"odd, \"\"one\"\"\",public");
    let written = "\"$user\", app, \"odd, \"\"one\"\"\", public";
    fuzz("lists of settings", make, |random, input| {
        let names = name_list("search_path", input).expect("a list");
        // Written as PostgreSQL stores it, it is the same list, however it was written before.
        let stored: Vec<_> = names.iter().map(|name| quoted(name)).collect();
        assert_eq!(name_list("Search_Path", &stored.join(",")).as_ref(), Some(&names));
        assert!(same_setting("search_path", input, &stored.join(" , ")) && same_setting("search_path", input, input));
        let more = quoted(&format!("{}x", text(random)));
        assert!(!same_setting("search_path", input, &[stored.as_slice(), &[more]].concat().join(",")));
        assert_eq!(name_list("application_name", input), None);
        assert_eq!(same_setting("application_name", input, written), input == written);
        let same = same_setting("search_path", input, written);
        assert_eq!(same, same_setting("search_path", written, input));
        same
    });
}

#[test]
fn tags() {
    let make = |random: &mut Random| {
        let valid = encode_tag(&text(random));
        text_of(random, &valid)
    };
    fuzz("tags", make, |random, input| {
        let plain = text(random);
        let encoded = encode_tag(&plain);
        assert_eq!(decode_tag(&encoded).as_deref(), Some(plain.as_str()));
        assert!(encoded.len() <= 3 * plain.len());
        assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-=".contains(&byte)), "{encoded}");
        match decode_tag(input) {
            Some(read) => {
                assert_eq!(decode_tag(&encode_tag(&read)), Some(read));
                true
            }
            None => false,
        }
    });
}

#[test]
fn lists_of_servers() {
    let make = |random: &mut Random| text_of(random, "db.example:5432, [fd00::1]:5433,127.0.0.1:65535");
    fuzz("lists of servers", make, |_, input| {
        let Ok(hosts) = Hosts::parse(input) else { return false };
        let all: Vec<_> = hosts.iter().collect();
        assert_eq!(hosts.writer(), all.first().copied());
        for (host, port) in &all {
            assert!(hosts.allow(host, *port) && hosts.allow(&host.to_ascii_uppercase(), *port), "{host}:{port}");
            assert!(
                !hosts.allow(&format!("{host}.evil"), *port)
                    || all.iter().any(|(known, _)| *known == format!("{host}.evil"))
            );
        }
        true
    });
}

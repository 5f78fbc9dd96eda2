//! The schema of the config and the reader of it, asked the same.

use crate::schemas::schema;
use pgrotate::code::Code;
use pgrotate::config::{self, Outside};
use pgrotate::schema::Subject;
use serde_json::{Map, Value as Json};
use std::io;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// A file with every key that is not another's alternative.
const WHOLE: &str = r#"
deployment = "demo"
[aws]
region = "eu-north-1"
account = "123456789012"
assume_role = "arn:aws:iam::123456789012:role/pgrotate"
[network]
vpc = "vpc-02294c945121da772"
subnets = ["subnet-05a8a2c78756260ed", "subnet-0cf57825fcf0c3cbd"]
secrets_manager = "endpoint"
endpoint_clients = ["10.0.0.0/16"]
allow = [{ cidr = "203.0.113.7/32", description = "office" }, { group = "sg-0123456789abcdef0", description = "app" }]
unmanaged_rules = "report"
adopt = false
[database]
identifier = "db"
manage = true
port = 5432
security_group = { existing = "my-rds-sg" }
subnet_group = { existing = "group" }
engine_version = "16"
class = "db.t3.micro"
storage = { gib = 20, type = "gp3" }
backup_days = 7
public = false
master = "postgres"
deletion_protection = true
final_snapshot = true
encrypted = true
adopt = false
[function]
name = "demo-rotation"
bucket = "my-bucket"
[alerts]
topic = "arn:aws:sns:eu-north-1:123456789012:alerts"
[tags]
team = "payments"
"cost center" = "4711"
[limits]
deletes = 3
prevent_destroy = false
[lint]
slow_after_days = 90
allow = [{ code = "midnight-window", of = "app", reason = "nobody is there" }]
[rotation]
strategy = "alternating-users"
every = "10 days"
window = "2h"
recovery_days = 30
passwords = { length = 40, preset = "default" }
on_remove = "keep"
[admin]
login = "rotator"
secret = "rotator_secret"
database = "postgres"
every = "30 days"
window = "2h"
recovery_days = 30
passwords = "default"
adopt = false
[[user]]
login = "app"
secret = "app_secret"
database = "postgres"
strategy = "single-user"
every = "10 days"
window = "2h"
recovery_days = 30
passwords = { length = 40, exclude = "@" }
adopt = false
member_of = ["app_rw"]
settings = { search_path = "app", work_mem = 8192, jit = false }
connection_limit = 20
valid_until = 2035-01-01T00:00:00Z
[[user]]
login = "report"
secret = "report_secret"
cron = "cron(0 4 ? * SUN *)"
[[users]]
logins = ["tenant1", "tenant2"]
secret = "tenants/{login}"
database = "postgres"
strategy = "alternating-users"
every = "10 days"
window = "2h"
recovery_days = 30
passwords = { length = 40, exclude = "@" }
adopt = false
member_of = ["app_rw"]
settings = { search_path = "app", work_mem = 8192, jit = false }
connection_limit = 20
valid_until = 2036-01-01T00:00:00Z
"#;

/// As editors give it to a schema: TOML's values in JSON, a moment as its text.
fn json(value: &Value) -> Json {
    match value {
        Value::String(text) => Json::from(text.as_str()),
        Value::Integer(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
        Value::Boolean(flag) => Json::from(*flag),
        Value::Datetime(moment) => Json::from(moment.to_string()),
        Value::Array(all) => all.iter().map(json).collect(),
        Value::Table(table) => {
            Json::Object(table.iter().map(|(key, value)| (key.clone(), json(value))).collect::<Map<_, _>>())
        }
    }
}

fn parsed(text: &str) -> Value {
    Value::Table(text.parse::<Table>().unwrap_or_else(|error| panic!("{error}")))
}

/// A key's way from the root: keys of tables, places in arrays.
#[derive(Debug, Clone)]
enum Part {
    Key(String),
    Item(usize),
}

/// All values below one, each with its way.
fn ways(value: &Value, way: &[Part], all: &mut Vec<Vec<Part>>) {
    let mut below = |part: Part, value: &Value| {
        let way = [way, &[part]].concat();
        all.push(way.clone());
        ways(value, &way, all);
    };
    match value {
        Value::Table(table) => table.iter().for_each(|(key, value)| below(Part::Key(key.clone()), value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(place, value)| below(Part::Item(place), value)),
        _ => {}
    }
}

fn at<'v>(value: &'v mut Value, way: &[Part]) -> &'v mut Value {
    way.iter().fold(value, |value, part| match part {
        Part::Key(key) => &mut value[key.as_str()],
        Part::Item(place) => &mut value[*place],
    })
}

/// What is known of one kind of change.
struct Asked {
    schema: schema_check::Schema,
    changes: usize,
    wrong: Vec<String>,
}

impl Asked {
    fn ask(&mut self, config: &Value, what: &str) {
        self.changes += 1;
        let text = toml::to_string(config).unwrap();
        let codes: Vec<_> = match config::load_text(Path::new("demo.toml"), &text, &Base) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(|error| error.code).collect(),
        };
        let fits = self.schema.check(&json(config));
        if let (Err(error), true) = (&fits, codes.is_empty()) {
            self.wrong.push(format!("{what}: the schema refuses what is read: {error}"));
        }
        // What a schema can say: which keys there are, and of which type. The rest of what is wrong may escape it.
        let shape = [Code::UnknownKey, Code::MissingKey, Code::WrongType];
        if fits.is_ok() && codes.iter().any(|code| shape.contains(code)) {
            self.wrong.push(format!("{what}: the schema lets pass what is refused: {codes:?}"));
        }
    }
}

#[test]
fn both_know_the_same_keys_and_types() {
    the_same_of(&parsed(WHOLE));
}

/// Whatever a file must have, one that extends a whole file may leave out.
#[test]
fn both_know_the_same_of_a_file_that_extends_another() {
    the_same_of(&parsed(&format!("extends = \"base.toml\"\n{WHOLE}")));
}

/// The whole file but for the groups, which are added to those of the file that extends it; and nothing else.
struct Base;

impl Outside for Base {
    fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == Path::new("base.toml") {
            Ok(WHOLE.split("[[users]]").next().unwrap_or_default().into())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn same(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "A").then(|| "text".to_owned())
    }
}

fn the_same_of(whole: &Value) {
    let mut asked = Asked { schema: schema(Subject::Config), changes: 0, wrong: Vec::new() };
    let text = toml::to_string(whole).unwrap();
    config::load_text(Path::new("demo.toml"), &text, &Base).unwrap_or_else(|errors| panic!("{errors}"));
    asked.ask(whole, "unchanged");
    let mut all = Vec::new();
    ways(whole, &[], &mut all);
    let others = [
        Value::from("text"),
        Value::from("${env.A}"),
        Value::from(7),
        Value::from(0.5),
        Value::from(true),
        Value::Array(vec![Value::from("text")]),
        Value::Array(vec![Value::from(7)]),
        Value::Array(Vec::new()),
        Value::Table(Table::from_iter([("some_key".to_owned(), Value::from("text"))])),
        parsed("a = 2035-01-01T00:00:00Z")["a"].clone(),
    ];
    for way in &all {
        let what = format!("{way:?}");
        // Gone; a schedule that is missing is no missing key of any table: [rotation] may have it.
        if let Some((Part::Key(key), above)) = way.split_last() {
            let mut config = whole.clone();
            at(&mut config, above).as_table_mut().unwrap().remove(key);
            if key != "every" && key != "cron" {
                asked.ask(&config, &format!("{what} removed"));
            }
        }
        // Of another type; a moment is a text to whoever reads JSON.
        for other in &others {
            let may_be_text = json(at(&mut whole.clone(), way)).is_string() || takes_text(way);
            if other.is_datetime() && may_be_text {
                continue;
            }
            let mut config = whole.clone();
            *at(&mut config, way) = other.clone();
            asked.ask(&config, &format!("{what} = {other}"));
        }
        // With a key more, where it is a table.
        let mut config = whole.clone();
        let names_its_own = matches!(way.last(), Some(Part::Key(key)) if key == "settings" || key == "tags");
        if let Some(table) = at(&mut config, way).as_table_mut().filter(|_| !names_its_own) {
            table.insert("some_key".to_owned(), Value::from("text"));
            asked.ask(&config, &format!("{what} with a key more"));
        }
    }
    assert!(asked.wrong.is_empty(), "\n{}", asked.wrong.join("\n"));
    assert!(asked.changes > 700, "{} changes", asked.changes);
}

/// Each word that the schema offers is read, each number at its ends, and none beyond.
#[test]
fn both_know_the_same_words_and_ranges() {
    let whole = parsed(WHOLE);
    let root = Subject::Config.schema();
    let asked = schema(Subject::Config);
    let (mut words, mut ends, mut all) = (0, 0, Vec::new());
    ways(&whole, &[], &mut all);
    for way in &all {
        let Some(of) = described(&root, way) else { continue };
        let read = |value: Value| {
            let mut config = whole.clone();
            *at(&mut config, way) = value;
            let text = toml::to_string(&config).unwrap();
            let errors = config::parse("demo.toml", &text).err();
            // A number or a word that is good, and does not go with another key.
            let bad = errors.is_some_and(|errors| errors.iter().any(|error| error.code == Code::BadValue));
            (!bad, asked.check(&json(&config)).is_ok())
        };
        // Beside what may stand in any string.
        for word in of["anyOf"][0]["enum"].as_array().into_iter().flatten() {
            words += 1;
            assert_eq!(read(Value::from(word.as_str().unwrap())), (true, true), "{way:?} = {word}");
        }
        for (end, beyond) in [("minimum", -1), ("maximum", 1)] {
            let Some(end) = of[end].as_i64() else { continue };
            ends += 1;
            assert_eq!(read(Value::from(end)), (true, true), "{way:?} = {end}");
            assert_eq!(read(Value::from(end + beyond)), (false, false), "{way:?} = {end} and {beyond} more");
        }
    }
    assert!(words > 20 && ends > 16, "{words} words, {ends} ends");
}

/// What the schema says of a key: of the last of several alternatives that has such a key.
fn described<'s>(root: &'s Json, way: &[Part]) -> Option<&'s Json> {
    let follow = |schema: &'s Json| match schema["$ref"].as_str() {
        Some(to) => root.pointer(to.trim_start_matches('#')).expect("it leads somewhere"),
        None => schema,
    };
    way.iter()
        .try_fold(root, |schema, part| {
            let schema = follow(schema);
            let one = |schema: &'s Json| match part {
                Part::Key(key) => schema["properties"].get(key.as_str()),
                Part::Item(_) => schema.get("items"),
            };
            let alternatives = schema["anyOf"].as_array().into_iter().flatten();
            one(schema).or_else(|| alternatives.map(follow).filter_map(one).next_back())
        })
        .map(follow)
}

/// Whether texts are taken beside what stands there.
fn takes_text(way: &[Part]) -> bool {
    match way {
        [.., Part::Key(table), Part::Key(_)] if table == "settings" => true,
        [.., Part::Key(key)] => key == "subnet_group",
        _ => false,
    }
}

fn configs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { configs(&path) } else { vec![path] }).collect()
}

/// Each also says, on its first line, where editors find the schema.
#[test]
fn every_config_of_ours_fits() {
    let (schema, root) = (schema(Subject::Config), Path::new(env!("CARGO_MANIFEST_DIR")));
    let files = configs(&root.join("configs"));
    assert!(files.len() >= 6);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        schema.check(&json(&parsed(&text))).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let first = text.lines().next().and_then(|line| line.strip_prefix("#:schema "));
        let first = first.unwrap_or_else(|| panic!("{} names no schema", file.display()));
        let named = file.parent().unwrap().join(first).canonicalize().unwrap();
        assert_eq!(named, root.join("schema/config.json").canonicalize().unwrap());
    }
}

#[test]
fn a_network_by_its_tags() {
    let vpc = "\"vpc-02294c945121da772\"";
    let subnets = "[\"subnet-05a8a2c78756260ed\", \"subnet-0cf57825fcf0c3cbd\"]";
    let text = WHOLE
        .replace(vpc, "{ tags = { Name = \"prod\" } }")
        .replace(subnets, "{ tags = { Tier = \"private\", Of = \"a\" } }");
    the_same_of(&parsed(&text));
    let schema = schema(Subject::Config);
    for broken in [text.replace("{ Name = \"prod\" }", "{}"), text.replace("tags = { Name = \"prod\" }", "")] {
        assert!(schema.check(&json(&parsed(&broken))).is_err(), "tags that mean nothing pass");
    }
}

#[test]
fn broken_ones_do_not() {
    let schema = schema(Subject::Config);
    for (old, new) in [
        ("deployment = \"demo\"", "deploymnet = \"demo\""),
        ("deployment = \"demo\"", "deployment = \"Demo\""),
        ("region = ", "regoin = "),
        ("account = \"123456789012\"", "account = 123456789012"),
        ("vpc = \"vpc-02294c945121da772\"", "vpc = \"vpc-1\""),
        (", \"subnet-0cf57825fcf0c3cbd\"", ""),
        ("cidr = \"203.0.113.7/32\", ", ""),
        ("cidr = \"203.0.113.7/32\"", "cidr = \"203.0.113.7/32\", group = \"sg-0123456789abcdef0\""),
        ("manage = true", "manage = false"),
        ("class = \"db.t3.micro\"", ""),
        ("class = \"db.t3.micro\"", "class = \"t3.micro\""),
        ("gib = 20", "gib = 19"),
        ("gib = 20", "gib = \"20\""),
        ("backup_days = 7", "backup_days = 36"),
        ("strategy = \"single-user\"", "strategy = \"single_user\""),
        ("every = \"30 days\"", "every = \"2 fortnights\""),
        ("length = 40, preset = \"default\"", "length = 40, preset = \"default\", exclude = \"@\""),
        ("code = \"midnight-window\"", "code = \"midnight\""),
        ("reason = \"nobody is there\"", "reason = \" \""),
        ("valid_until = 2035-01-01T00:00:00Z", "valid_until = \"soon\""),
        ("[limits]", "[limit]"),
    ] {
        assert_eq!(WHOLE.matches(old).count(), 1, "{old}");
        assert!(schema.check(&json(&parsed(&WHOLE.replace(old, new)))).is_err(), "{new} passes");
    }
    let cluster = include_str!("../../configs/scenarios/aurora-cluster.toml");
    for more in ["identifier = \"db\"", "manage = true", "class = \"db.t3.micro\""] {
        let broken = cluster.replace("[database]", &format!("[database]\n{more}"));
        assert_ne!(broken, cluster);
        assert!(schema.check(&json(&parsed(&broken))).is_err(), "{more} passes beside `cluster`");
    }
    let unguarded: String =
        cluster.lines().filter(|line| !line.starts_with("security_group")).map(|line| format!("{line}\n")).collect();
    assert!(schema.check(&json(&parsed(&unguarded))).is_err(), "a cluster without a group passes");
    // No user at all.
    let none = WHOLE.split("[[user]]").next().unwrap();
    assert!(schema.check(&json(&parsed(none))).is_err());
    // One form is enough.
    let group = format!("{none}[[users]]\nlogins = [\"a\"]\nsecret = \"{{login}}\"\n");
    schema.check(&json(&parsed(&group))).unwrap_or_else(|error| panic!("{error}"));
    assert!(schema.check(&json(&parsed(&group.replace("{login}", "a")))).is_err(), "one secret for all passes");
}

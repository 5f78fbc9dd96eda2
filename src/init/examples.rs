//! What stands behind the `#` of a key that nobody has set: its default, which the schema knows, or else an example.

use super::text::literal;
use serde_json::Value;

/// Of keys that have no default, or a table for a value: by path, `[0]` being any of a list.
const EXAMPLES: &[(&str, &str)] = &[
    ("extends", "\"base.toml\""),
    ("users[0].logins", "[\"orders_api\", \"orders_worker\"]"),
    ("users[0].secret", "\"{login}_secret\""),
    ("tags", "{ team = \"payments\", cost-center = \"4711\" }"),
    ("aws.assume_role", "\"arn:aws:iam::123456789012:role/pgrotate\""),
    ("aws.account", "\"123456789012\""),
    ("network.endpoint_clients", "[\"10.0.0.0/16\"]"),
    (
        "network.allow",
        "[{ cidr = \"203.0.113.7/32\", description = \"office\" }, { group = \"sg-0123456789abcdef0\", description = \"app\" }]",
    ),
    ("database.cluster", "\"my-cluster\""),
    ("database.security_group", "{ existing = \"my-rds-sg\" }"),
    ("function.bucket", "\"my-bucket\""),
    ("alerts.topic", "\"arn:aws:sns:eu-north-1:123456789012:database-alerts\""),
    ("limits.deletes", "3"),
    ("lint.allow", "[{ code = \"slow-rotation\", of = \"reporting\", reason = \"reads only what is public\" }]"),
    ("rotation.every", "\"10 days\""),
    ("rotation.cron", "\"cron(0 4 ? * SUN *)\""),
    ("rotation.window", "\"2h\""),
    ("rotation.passwords", "{ length = 64, preset = \"url-safe\" }"),
    ("admin.cron", "\"cron(0 4 1 * ? *)\""),
    ("admin.window", "\"2h\""),
    ("admin.recovery_days", "30"),
    ("admin.passwords", "{ length = 40, exclude = '\"$' }"),
    ("user[0].strategy", "\"single-user\""),
    ("user[0].passwords", "\"url-safe\""),
    ("user[0].member_of", "[\"app_rw\"]"),
    ("user[0].settings", "{ search_path = \"app\", statement_timeout = \"30s\" }"),
    ("user[0].connection_limit", "20"),
    ("user[0].valid_until", "2030-01-01T00:00:00Z"),
    ("user[0].recovery_days", "30"),
];

/// The value, as TOML.
pub(super) fn of(path: &str, key: &Value, deployment: &str) -> String {
    if path == "function.name" {
        return literal(&format!("{deployment}-rotation"));
    }
    // A group of users takes what a user does, and that what stands for all of them.
    let (_, name) = path.rsplit_once('.').unwrap_or_default();
    let shared = ["user[0]", "rotation"].map(|table| format!("{table}.{name}"));
    let paths =
        std::iter::once(path).chain(shared.iter().map(String::as_str).filter(|_| path.starts_with("users[0].")));
    for path in paths {
        if let Some((_, example)) = EXAMPLES.iter().find(|(of, _)| *of == path) {
            return (*example).to_owned();
        }
    }
    let chosen = [&key["default"], &key["examples"][0], &key["enum"][0]];
    match chosen.into_iter().find(|value| !value.is_null()) {
        Some(Value::String(text)) => literal(text),
        Some(value) => value.to_string(),
        None => match key["type"].as_str() {
            Some("array") => "[]".to_owned(),
            Some("integer" | "number") => "1".to_owned(),
            Some("boolean") => "false".to_owned(),
            Some("object") => "{}".to_owned(),
            _ => literal("…"),
        },
    }
}

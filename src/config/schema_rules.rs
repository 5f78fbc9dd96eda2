//! What holds of the config's schema as a whole: variables stand in any string, and a file that extends another may leave to
//! that one what it must have.

use super::files::EXTENDS;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A variable of the environment may stand in any string: then no pattern or word can be asked for.
pub(super) fn with_variables(schema: &mut Value) {
    const VARIABLE: &str = r"\$\{env\.";
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(with_variables);
            if let Some(Value::String(pattern)) = object.get_mut("pattern") {
                pattern.push('|');
                pattern.push_str(VARIABLE);
            }
            if let Some(words) = object.remove("enum") {
                object.remove("type");
                let any = json!([{ "type": "string", "enum": words }, { "type": "string", "pattern": VARIABLE }]);
                object.insert("anyOf".to_owned(), any);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(with_variables),
        _ => {}
    }
}

/// A file that extends another may leave to that one whatever a table must have: what is required of the tables that are
/// merged key by key is asked of other files only.
pub(super) fn of_whole_files(schema: &mut Value) {
    let mut tables = schema["$defs"].take();
    let mut known = BTreeMap::new();
    if let Some(root) = schema.as_object_mut() {
        let mut whole = required_of(root, &mut tables, &mut known);
        // Of one form or the other.
        let one =
            |key: &str| json!({ "required": [key], "properties": { key: { "description": OF_WHOLE, "minItems": 1 } } });
        whole["anyOf"] = json!([one("user"), one("users")]);
        root.insert("if".to_owned(), json!({ "required": [EXTENDS] }));
        root.insert("else".to_owned(), whole);
    }
    // By its login a user is recognised.
    tables["User"]["required"] = json!(["login"]);
    schema["$defs"] = tables;
}

const OF_WHOLE: &str = "What a file that extends no other must have of it.";

/// Takes out of a table, and of those in it, what is required.
fn required_of(table: &mut Map<String, Value>, tables: &mut Value, known: &mut BTreeMap<String, Value>) -> Value {
    let words = ["required", "if", "then", "else"];
    let mut required: Map<_, _> =
        words.iter().filter_map(|word| Some(((*word).to_owned(), table.remove(*word)?))).collect();
    // What is a table or something else is asked for more only where it is one.
    for of in table.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        required.extend(required_by(of, tables, known).as_object().cloned().unwrap_or_default());
    }
    let mut inner = Map::new();
    for (key, property) in table.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let is_users = key == "user";
        let of_table = required_by(if is_users { &property["items"] } else { property }, tables, known);
        if of_table.as_object().is_none_or(Map::is_empty) {
            continue;
        }
        let mut whole = if is_users { json!({ "items": of_table }) } else { of_table };
        whole["description"] = Value::from(OF_WHOLE);
        inner.insert(key.clone(), whole);
    }
    if !inner.is_empty() {
        required.insert("properties".to_owned(), Value::Object(inner));
    }
    Value::Object(required)
}

/// The same of the table to which a schema refers; nothing where it refers to none.
fn required_by(schema: &Value, tables: &mut Value, known: &mut BTreeMap<String, Value>) -> Value {
    let alternatives = schema["anyOf"].as_array().into_iter().flatten();
    let mut names = std::iter::once(schema).chain(alternatives).filter_map(|of| of["$ref"].as_str());
    let Some(name) = names.find_map(|name| name.strip_prefix("#/$defs/")) else { return Value::Null };
    if let Some(required) = known.get(name) {
        return required.clone();
    }
    let mut table = tables[name].take();
    let required = table.as_object_mut().map(|table| required_of(table, tables, known)).unwrap_or_default();
    tables[name] = table;
    known.insert(name.to_owned(), required.clone());
    required
}

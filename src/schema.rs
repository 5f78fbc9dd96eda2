//! What is published of the shapes of our JSON and of the config: a JSON Schema (draft 2020-12) for each, made from the
//! very types that are written and the keys that are read.

use crate::config;
use crate::render::document::{FORMAT, Title};
use crate::render::journal::{self, JournalLine};
use crate::render::{
    DeploymentsDocument, DriftDocument, ExplanationDocument, PlanDocument, ReportDocument, StatusDocument,
    TargetsDocument, ValidationDocument,
};
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

/// What has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Config,
    Plan,
    Drift,
    Status,
    Report,
    Explanation,
    Validation,
    Deployments,
    Targets,
    Journal,
}

impl Subject {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Config,
        Self::Plan,
        Self::Drift,
        Self::Status,
        Self::Report,
        Self::Explanation,
        Self::Validation,
        Self::Deployments,
        Self::Targets,
        Self::Journal,
    ];

    /// As it is named on the command line, and by its file under `schema/`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Plan => "plan",
            Self::Drift => "drift",
            Self::Status => "status",
            Self::Report => "report",
            Self::Explanation => "explanation",
            Self::Validation => "validation",
            Self::Deployments => "deployments",
            Self::Targets => "targets",
            Self::Journal => "journal",
        }
    }

    /// Its schema; the same each time.
    pub fn schema(self) -> Value {
        match self {
            Self::Config => config::schema(),
            Self::Plan => document::<PlanDocument>(Title::Plan),
            Self::Drift => document::<DriftDocument>(Title::Drift),
            Self::Status => document::<StatusDocument>(Title::Status),
            Self::Report => document::<ReportDocument>(Title::Report),
            Self::Explanation => document::<ExplanationDocument>(Title::Explanation),
            Self::Validation => document::<ValidationDocument>(Title::Validation),
            Self::Deployments => {
                let mut schema = document::<DeploymentsDocument>(Title::Deployments);
                // Each of those within says which one it is, as it does alone.
                for (name, title) in [
                    ("PlanDocument", Title::Plan),
                    ("DriftDocument", Title::Drift),
                    ("StatusDocument", Title::Status),
                    ("ValidationDocument", Title::Validation),
                ] {
                    head(&mut schema["$defs"][name], title);
                }
                schema
            }
            Self::Targets => document::<TargetsDocument>(Title::Targets),
            Self::Journal => {
                // Open: what is added to a line changes nothing for who knows its number.
                let mut schema = written::<JournalLine>("A line of pgrotate's journal", |_| {});
                schema["properties"]["schema"]["const"] = json!(journal::SCHEMA);
                schema
            }
        }
    }
}

/// Of a document: which one it is, and of which format, is part of its schema.
fn document<T: JsonSchema>(title: Title) -> Value {
    let mut schema = written::<T>(&format!("pgrotate's {title}"), closed);
    head(&mut schema, title);
    schema
}

fn head(schema: &mut Value, title: Title) {
    schema["properties"]["format"]["const"] = json!(FORMAT);
    schema["properties"]["document"] = json!({ "description": "What it tells.", "const": title });
}

/// Of a type as it is written.
fn written<T: JsonSchema>(title: &str, more: fn(&mut Schema)) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(RecursiveTransform(plain));
    let settings = settings.with_transform(RecursiveTransform(more));
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), json!(title));
    schema.to_value()
}

/// Without Rust's own names of numbers, which no other reader knows.
fn plain(schema: &mut Schema) {
    let number = schema.get("type").is_some_and(|of| of == "integer" || of == "number");
    if number {
        schema.remove("format");
    }
}

/// One format has these members and no others: a member more is another format.
fn closed(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if object.contains_key("properties") && !object.contains_key("additionalProperties") {
        object.insert("additionalProperties".to_owned(), json!(false));
    }
}

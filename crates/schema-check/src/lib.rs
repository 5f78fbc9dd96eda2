//! JSON held against a JSON Schema of draft 2020-12, for tests.
//!
//! A crate of its own, and not a test's dependency, for what Cargo does with features: the validator asks for more of
//! `idna` than the AWS SDK does. As a test's dependency that would hold for tests alone, and the SDK's crates above it be
//! built twice; as a member's it holds for every build of the workspace.

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::Value;

/// A schema that was found to be one.
pub struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    /// Holds `schema` itself against its draft. The error tells what is wrong with it.
    pub fn new(schema: &Value) -> Result<Self, String> {
        // Never looked up: it is given here.
        const NAME: &str = "https://example.com/schema.json";
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.add_resource(NAME, schema.clone()).map_err(|error| error.to_string())?;
        let index = compiler.compile(NAME, &mut schemas).map_err(|error| format!("{error:#}"))?;
        Ok(Self { schemas, index })
    }

    /// The error tells everything that does not fit, and where.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        self.schemas.validate(value, self.index).map_err(|error| format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_not_fit_is_told_with_its_place() {
        let schema = Schema::new(&json!({ "properties": { "a": { "type": "string" } } })).unwrap();
        schema.check(&json!({ "a": "b" })).unwrap();
        let told = schema.check(&json!({ "a": 1 })).unwrap_err();
        assert!(told.contains("/a"), "{told}");
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        assert!(Schema::new(&json!({ "type": "text" })).is_err());
    }
}

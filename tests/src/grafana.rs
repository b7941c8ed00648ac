//! What Grafana's own types (npm's `@grafana/schema`) say of a dashboard, by TypeScript's compiler.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use serde_json::json;
//!
//! let wrong = legation_tests::grafana::check(&[json!({"schemaVersion": "39", "panels": []})])?;
//! assert!(wrong[0].iter().any(|it| it.contains("Type 'string' is not assignable to type 'number'")));
//! # Ok(())
//! # }
//! ```

use anyhow::Result;
use serde_json::Value;

use crate::npm::Program;

static TYPES: Program = Program::new(
    "tests/grafana",
    "check.mjs",
    "Grafana's types (npm's @grafana/schema and typescript, about 25 MB)",
);

/// What is wrong with each of these dashboards, with its line where the JSON is written out by two spaces.
pub fn check(dashboards: &[Value]) -> Result<Vec<Vec<String>>> {
    TYPES.ask(&dashboards)
}

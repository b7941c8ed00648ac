//! Google's CSP Evaluator: npm's `csp_evaluator`, run by Node.js.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! let said = legation_tests::csp_evaluator::evaluate(&["script-src *"])?;
//! let said = said[0].as_deref().unwrap_or_default();
//! assert!(said.iter().any(|finding| finding.kind == "PLAIN_WILDCARD"));
//! # Ok(())
//! # }
//! ```

use anyhow::Result;
use serde::Deserialize;

use crate::npm::Program;

static EVALUATOR: Program = Program::new(
    "tests/csp_evaluator",
    "evaluate.mjs",
    "Google's CSP Evaluator (npm's csp_evaluator)",
);

/// What it says of a policy, in its own names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Finding {
    /// `SCRIPT_UNSAFE_INLINE`
    pub kind: String,
    /// `HIGH`
    pub severity: String,
    /// `script-src`
    pub directive: String,
    /// `'unsafe-inline'`, where it is about a value.
    pub value: Option<String>,
}

/// What it says of each of these policies, for browsers that know CSP Level 3; none of one that
/// it throws at.
pub fn evaluate(policies: &[&str]) -> Result<Vec<Option<Vec<Finding>>>> {
    EVALUATOR.ask(&policies)
}

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

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::npm::Package;

static EVALUATOR: Package = Package::new(
    "csp_evaluator",
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
    let installed = EVALUATOR.installed()?;
    let mut child = Command::new(&installed.node)
        .arg(&installed.script)
        // What the machine has set for other programs of Node.js is none of its.
        .env_remove("NODE_OPTIONS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", installed.node.display()))?;
    let mut stdin = child.stdin.take().context("it has no input")?;
    stdin.write_all(&serde_json::to_vec(policies)?)?;
    drop(stdin);
    let mut said = Vec::new();
    let mut stdout = child.stdout.take().context("it has no output")?;
    stdout.read_to_end(&mut said)?;
    let status = child.wait()?;
    if !status.success() {
        bail!("the CSP Evaluator ended with {status}");
    }
    serde_json::from_slice(&said).context("what the CSP Evaluator said")
}

//! What a Kubernetes API server would say of an object: the validators that `@kubernetes-models` (npm) has made from
//! Istio's CRDs and from Envoy Gateway's API, run by Node.js.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use serde_json::json;
//!
//! let errors = legation_tests::crds::check(&[json!({
//!     "apiVersion": "extensions.istio.io/v1alpha1",
//!     "kind": "WasmPlugin",
//!     "metadata": {"name": "jwt-auth"},
//!     "spec": {"url": "oci://registry.example.com/jwt-auth", "phaze": "AUTHN"},
//! })])?;
//! assert_eq!(errors[0], ["WasmPlugin.spec.phaze: unknown field"]);
//! # Ok(())
//! # }
//! ```

use anyhow::Result;
use serde_json::Value;

use crate::npm::Program;

static VALIDATORS: Program = Program::new(
    "tests/crds",
    "check.mjs",
    "validators for Kubernetes objects (npm's @kubernetes-models)",
);

/// What is wrong with each of these objects, unknown fields too. Rules in CEL (`x-kubernetes-validations`) are
/// not run.
pub fn check(objects: &[Value]) -> Result<Vec<Vec<String>>> {
    VALIDATORS.ask(&objects)
}

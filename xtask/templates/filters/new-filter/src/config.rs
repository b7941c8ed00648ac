//! What users write.

use deserr::Deserr;
use legation::config::{ConfigErrors, HeaderName, Schema};

/// The whole configuration.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[schema(readme = "Options")]
pub struct Config {
    /// The header that every request must have.
    pub required_header: HeaderName,
}

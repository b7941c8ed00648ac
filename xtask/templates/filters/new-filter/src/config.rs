//! What users write.

use deserr::Deserr;
use legation::config::{ConfigErrors, HeaderName};

/// The whole configuration.
#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Config {
    /// The header that every request must have.
    pub required_header: HeaderName,
}

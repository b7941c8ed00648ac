//! What users write.

use std::time::Duration;

use deserr::Deserr;
use legation::config::{BoundedDuration, ConfigErrors, Given, HeaderName, Text};
use legation::matcher::Matcher;

/// The whole configuration.
#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Config {
    /// The header that has the key.
    pub header: HeaderName,
    /// The cluster of the service that knows the keys.
    pub cluster: Text,
    /// How long a request waits for that: 10 ms to 5 s.
    #[deserr(default)]
    timeout: Given<BoundedDuration<10, 5_000>>,
    /// Requests that need no key.
    #[deserr(default)]
    pub open: Given<Matcher>,
}

impl Config {
    /// 250 ms unless given.
    pub fn timeout(&self) -> Duration {
        let given = self.timeout.0.map(BoundedDuration::get);
        given.unwrap_or(Duration::from_millis(250))
    }
}

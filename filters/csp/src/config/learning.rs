//! Learning what pages use.

use deserr::Deserr;
use legation::config::{Bounded, ConfigErrors, Given, Schema};
use legation::matcher::Matcher;

use super::collector::Path;

/// Notes what pages use, and proposes a policy.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[schema(readme = "Learning", prefix = "learning.")]
pub struct Learning {
    /// The path at which the proposal is read.
    pub path: Path,
    /// Who may read it: the proposal tells what pages hold.
    pub allow: Matcher,
    /// How many things are remembered of all pages together: 1 to 5,000, 500 unless
    /// given.
    #[deserr(default)]
    pub max_entries: Given<Bounded<1, 5_000>>,
}

const MAX_ENTRIES: i64 = 500;

impl Learning {
    /// How many things are remembered.
    pub fn max_entries(&self) -> usize {
        let entries = self.max_entries.0.map_or(MAX_ENTRIES, Bounded::get);
        usize::try_from(entries).unwrap_or_default()
    }
}

//! What becomes of a value before it is written.

use deserr::Deserr;
use legation::config::{ConfigErrors, Given, OrderedMap, Schema};
use legation::format::OwnOperator;
use legation::matcher::RegexRewrite;

use super::scalar::{Formatted, Plain};

/// The name of a bucket that the user is in.
pub(crate) const BUCKET: &str = "BUCKET";
/// A part of the path, by its name in the rule's condition.
const CAPTURE: &str = "CAPTURE";

/// The operators beside those of all filters.
pub(crate) static OPERATORS: [OwnOperator; 2] = [
    OwnOperator {
        name: BUCKET,
        example: "release",
        reads_request: false,
    },
    OwnOperator {
        name: CAPTURE,
        example: "id",
        reads_request: true,
    },
];

/// A value in its long form.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub(super) struct Long {
    /// What it is made of.
    pub(super) value: Formatted,
    /// Rewrites it.
    #[deserr(default)]
    regex_rewrite: Given<RegexRewrite>,
    /// What it becomes, by what it is: empty where it is not there.
    #[deserr(default)]
    map: Given<OrderedMap<String, Plain>>,
    /// What stands where nothing is left.
    #[deserr(default)]
    default: Given<Plain>,
}

/// What is done to a value after it was made.
#[derive(Debug)]
pub(crate) struct Finish {
    rewrite: Option<RegexRewrite>,
    map: Option<OrderedMap<String, Plain>>,
    default: Option<Plain>,
}

impl Long {
    pub(super) fn into_parts(self) -> (Formatted, Option<Box<Finish>>) {
        let finish = Finish {
            rewrite: self.regex_rewrite.0,
            map: self.map.0,
            default: self.default.0,
        };
        let does_something =
            finish.rewrite.is_some() || finish.map.is_some() || finish.default.is_some();
        (self.value, does_something.then(|| Box::new(finish)))
    }
}

impl Finish {
    /// Finishes the value that `out` has from `start` on.
    pub(crate) fn apply(&self, out: &mut Vec<u8>, start: usize) {
        let value = out.get(start..).unwrap_or_default();
        let rewritten = self.rewrite.as_ref().and_then(|rule| rule.rewrite(value));
        if let Some(rewritten) = rewritten {
            out.truncate(start);
            out.extend_from_slice(&rewritten);
        }
        if let Some(map) = &self.map {
            let value = out.get(start..).unwrap_or_default();
            let entry = map.iter().find(|(from, _)| from.as_bytes() == value);
            out.truncate(start);
            if let Some((_, to)) = entry {
                out.extend_from_slice(to.as_bytes());
            }
        }
        if let Some(default) = self.default.as_ref().filter(|_| out.len() == start) {
            out.extend_from_slice(default.as_bytes());
        }
    }
}

//! Path templates, and the part of a path that one names.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Schema, string};
use legation::matcher::PathMatch;

/// A template: `/users/{id}/**`.
#[derive(Debug, Clone, Schema)]
#[schema({ "type": "string", "pattern": "^/" })]
pub struct PathTemplate {
    text: Box<str>,
    paths: PathMatch,
    capture: Option<Capture>,
}

/// Where in a path a named part is.
#[derive(Debug, Clone, Copy)]
struct Capture {
    segment: usize,
    /// How much of the segment is before it and behind it.
    around: (usize, usize),
    /// Whether it is all that follows.
    is_rest: bool,
}

impl PathTemplate {
    /// What a path in normal form gives: the template, or its named part; none where
    /// it does not fit.
    pub(crate) fn value<'a>(&'a self, path: &'a [u8]) -> Option<&'a [u8]> {
        if !self.paths.matches(path) {
            return None;
        }
        let Some(capture) = &self.capture else {
            return Some(self.text.as_bytes());
        };
        let mut rest = path.strip_prefix(b"/")?;
        for _ in 0..capture.segment {
            let slash = rest.iter().position(|byte| *byte == b'/');
            // `/a/**` takes `/a`: nothing is left for the rest.
            let next = slash.and_then(|at| at.checked_add(1));
            rest = rest.get(next?..)?;
        }
        if capture.is_rest {
            return (!rest.is_empty()).then_some(rest);
        }
        let end = rest.iter().position(|byte| *byte == b'/');
        let segment = rest.get(..end.unwrap_or(rest.len()))?;
        let (before, after) = capture.around;
        segment.get(before..segment.len().checked_sub(after)?)
    }

    /// Gives the part of that name from now on. `false` where there is none.
    pub(super) fn find(&mut self, name: &str) -> bool {
        let mut segments = self.text.split('/').skip(1).enumerate();
        self.capture = segments.find_map(|(segment, text)| {
            let (before, open) = text.split_once('{')?;
            let (variable, after) = open.split_once('}')?;
            let (own, wildcard) = variable.split_once('=').unwrap_or((variable, "*"));
            (own == name).then_some(Capture {
                segment,
                around: (before.len(), after.len()),
                is_rest: wildcard == "**",
            })
        });
        self.capture.is_some()
    }
}

impl Deserr<ConfigErrors> for PathTemplate {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a template, such as \"/users/{id}\"")?;
        let paths = PathMatch::template(&text);
        let paths = paths.map_err(|problem| ConfigErrors::at(location, problem))?;
        Ok(Self {
            text: text.into(),
            paths,
            capture: None,
        })
    }
}

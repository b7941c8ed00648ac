//! What is wrong with a configuration.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::ops::ControlFlow;

use deserr::{DeserializeError, ErrorKind, IntoValue, MergeWithError, ValuePointerRef};

use super::text;

pub(crate) const MISSING: &str = "missing field";
pub(super) const UNKNOWN: &str = "unknown field";
pub(super) const MEANT: &str = "did you mean `";

/// Errors beyond these are only counted.
const KEPT: usize = 256;
/// Errors beyond these are not written out.
const SHOWN: usize = 50;

/// What is wrong with a value, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    text: String,
    help: Option<String>,
}

impl Problem {
    /// What is wrong, in a phrase: `expected …, got …`, `must not be …`.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            help: None,
        }
    }

    /// Adds what would be right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Puts words before what is wrong.
    pub(crate) fn before(mut self, words: &str) -> Self {
        self.text.insert_str(0, words);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl From<&str> for Problem {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<Infallible> for Problem {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Key(String),
    Index(usize),
}

/// Where in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone)]
pub struct ConfigError {
    pub(super) segments: Vec<Segment>,
    /// Which of several entries with one key.
    pub(super) occurrence: usize,
    pub(super) place: Option<Place>,
    path: String,
    problem: Problem,
}

impl ConfigError {
    fn new(segments: Vec<Segment>, problem: Problem) -> Self {
        Self {
            path: path_of(&segments),
            segments,
            occurrence: 0,
            place: None,
            problem,
        }
    }

    /// The field that this unknown one most likely is.
    fn meant(&self) -> Option<Vec<Segment>> {
        let help = self.problem.help.as_deref()?.strip_prefix(MEANT)?;
        let (name, _) = help.split_once('`')?;
        let (Segment::Key(_), container) = self.segments.split_last()? else {
            return None;
        };
        let unknown = self.problem.text == UNKNOWN;
        unknown.then(|| [container, &[Segment::Key(name.to_owned())]].concat())
    }

    /// The field's path, such as `rules[0].when.path.prefix`; empty for the
    /// document as a whole.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong.
    pub fn problem(&self) -> &str {
        &self.problem.text
    }

    /// What would be right, where that is known.
    pub fn help(&self) -> Option<&str> {
        self.problem.help.as_deref()
    }

    /// The line, from 1, where the text has more than one or is not JSON.
    pub fn line(&self) -> Option<usize> {
        self.place.map(|place| place.line)
    }

    /// The column, from 1, with [`line`](Self::line).
    pub fn column(&self) -> Option<usize> {
        self.place.map(|place| place.column)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() {
            "configuration"
        } else {
            &self.path
        };
        write!(f, "{path}: {}", self.problem)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, " (line {line}, column {column})")?;
        }
        Ok(())
    }
}

impl Error for ConfigError {}

/// Everything that is wrong with a configuration, in the document's order.
///
/// Displayed one error a line.
#[derive(Debug, Clone)]
pub struct ConfigErrors {
    pub(super) errors: Vec<ConfigError>,
    more: usize,
}

impl ConfigErrors {
    /// One error, at this place.
    pub fn at(location: ValuePointerRef<'_>, problem: impl Into<Problem>) -> Self {
        Self {
            errors: vec![ConfigError::new(segments_of(location), problem.into())],
            more: 0,
        }
    }

    /// One error, of the document as a whole.
    pub fn of_document(problem: impl Into<Problem>) -> Self {
        Self::at(ValuePointerRef::Origin, problem)
    }

    pub(super) fn at_place(problem: Problem, place: Place) -> Self {
        let mut errors = Self::of_document(problem);
        for error in &mut errors.errors {
            error.place = Some(place);
        }
        errors
    }

    pub(super) const fn none() -> Self {
        Self {
            errors: Vec::new(),
            more: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Without the fields that are missing because they are misspelt: that is one
    /// mistake.
    pub(super) fn without_echoes(mut self) -> Self {
        let meant: Vec<_> = self.errors.iter().filter_map(ConfigError::meant).collect();
        self.errors
            .retain(|error| error.problem.text != MISSING || !meant.contains(&error.segments));
        self
    }

    pub(super) fn push_duplicate(&mut self, location: ValuePointerRef<'_>) {
        let problem =
            Problem::new("duplicate key").help("it is given more than once in this object");
        let mut error = ConfigError::new(segments_of(location), problem);
        let earlier = self
            .errors
            .iter()
            .filter(|known| known.segments == error.segments)
            .count();
        error.occurrence = earlier.saturating_add(1);
        self.push(error);
    }

    /// The errors of a document that stands at this place of another.
    pub(crate) fn under(mut self, location: ValuePointerRef<'_>) -> Self {
        let outer = segments_of(location);
        for error in &mut self.errors {
            error.segments = [outer.as_slice(), &error.segments].concat();
            error.path = path_of(&error.segments);
        }
        self
    }

    /// These errors and those.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.more = self.more.saturating_add(other.more);
        for error in other.errors {
            self.push(error);
        }
        self
    }

    /// The value, unless there were errors. For checks that gather as they go:
    ///
    /// ```
    /// # use deserr::ValuePointerRef;
    /// # use legation::config::ConfigErrors;
    /// let location = ValuePointerRef::Origin;
    /// let mut errors = None;
    /// for name in ["a", ""] {
    ///     if name.is_empty() {
    ///         ConfigErrors::add(&mut errors, ConfigErrors::at(location, "a name must not be empty"));
    ///     }
    /// }
    /// assert!(ConfigErrors::check(errors, "value").is_err());
    /// ```
    pub fn check<T>(errors: Option<Self>, value: T) -> Result<T, Self> {
        match errors {
            None => Ok(value),
            Some(errors) => Err(errors),
        }
    }

    /// Adds to errors that there may not be yet.
    pub fn add(errors: &mut Option<Self>, other: Self) {
        *errors = Some(both(errors.take(), other));
    }

    /// The errors, at most 256.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.errors.iter()
    }

    /// How many errors there are. Never none.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.errors.len().saturating_add(self.more)
    }

    fn push(&mut self, error: ConfigError) {
        if self.errors.len() < KEPT {
            self.errors.push(error);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = std::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().take(SHOWN).enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        match self.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl Error for ConfigErrors {}

// Inlined, these show the compiler that reading never breaks off: derived code
// becomes a third smaller.
impl MergeWithError<Self> for ConfigErrors {
    #[inline]
    fn merge(errors: Option<Self>, other: Self, _: ValuePointerRef<'_>) -> ControlFlow<Self, Self> {
        ControlFlow::Continue(both(errors, other))
    }
}

impl MergeWithError<Problem> for ConfigErrors {
    #[inline]
    fn merge(
        errors: Option<Self>,
        other: Problem,
        location: ValuePointerRef<'_>,
    ) -> ControlFlow<Self, Self> {
        ControlFlow::Continue(both(errors, Self::at(location, other)))
    }
}

impl DeserializeError for ConfigErrors {
    #[inline]
    fn error<V: IntoValue>(
        errors: Option<Self>,
        error: ErrorKind<'_, V>,
        location: ValuePointerRef<'_>,
    ) -> ControlFlow<Self, Self> {
        ControlFlow::Continue(both(errors, found(error, location)))
    }
}

#[cold]
#[inline(never)]
fn found<V: IntoValue>(error: ErrorKind<'_, V>, location: ValuePointerRef<'_>) -> ConfigErrors {
    let (problem, field) = text::problem_of(error);
    match field {
        Some(field) => ConfigErrors::at(location.push_key(field), problem),
        None => ConfigErrors::at(location, problem),
    }
}

#[cold]
#[inline(never)]
fn both(errors: Option<ConfigErrors>, other: ConfigErrors) -> ConfigErrors {
    match errors {
        Some(errors) => errors.merge(other),
        None => other,
    }
}

fn segments_of(location: ValuePointerRef<'_>) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut rest = &location;
    loop {
        match rest {
            ValuePointerRef::Origin => break,
            ValuePointerRef::Key { key, prev } => {
                segments.push(Segment::Key((*key).to_owned()));
                rest = prev;
            }
            ValuePointerRef::Index { index, prev } => {
                segments.push(Segment::Index(*index));
                rest = prev;
            }
        }
    }
    segments.reverse();
    segments
}

fn path_of(segments: &[Segment]) -> String {
    let mut path = String::new();
    for segment in segments {
        match segment {
            Segment::Index(index) => {
                path.push('[');
                path.push_str(&index.to_string());
                path.push(']');
            }
            Segment::Key(key) if is_plain(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
            Segment::Key(key) => {
                path.push('[');
                path.push_str(&text::quoted(key));
                path.push(']');
            }
        }
    }
    path
}

/// Whether a key stands in a path as it is.
fn is_plain(key: &str) -> bool {
    (1..=60).contains(&key.len())
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-:@/$".contains(&byte))
}

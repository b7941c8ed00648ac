//! A JSON document on its way: read strictly (RFC 8259), held to limits and rules, and masked.
//! It comes in pieces, cut anywhere; what goes on is what came, but for what is masked.

mod document;
mod field;
mod path;
mod scan;
#[cfg(test)]
mod tests;

pub use document::{Document, Found};
pub use field::{Broken, Choice, Field, Kind};
pub use path::Path;
pub(crate) use scan::Scan;

use std::hash::RandomState;
use std::rc::Rc;

use thiserror::Error;

use crate::redaction::{Patterns, Redaction};

/// Longer numbers are refused: nobody's arithmetic is that exact.
const LONGEST_NUMBER: usize = 1_000;

/// What a document may be.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How many objects and arrays may lie in each other.
    pub max_depth: usize,
    /// How many members an object may have.
    pub max_object_entries: usize,
    /// How many elements an array may have.
    pub max_array_elements: Option<usize>,
    /// How long a name may be, in bytes of UTF-8.
    pub max_name_length: usize,
    /// How long a text may be, in bytes of UTF-8.
    pub max_string_length: Option<usize>,
    /// Whether an object may have a name twice.
    pub allow_duplicate_names: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_depth: 64,
            max_object_entries: 10_000,
            max_array_elements: None,
            max_name_length: 1_024,
            max_string_length: None,
            allow_duplicate_names: false,
        }
    }
}

/// What is done with a document.
#[derive(Debug)]
pub struct Plan {
    limits: Limits,
    paths: Box<[(Path, Use)]>,
    patterns: Rc<Patterns>,
    /// Whether values are taken out.
    removes: bool,
    hasher: RandomState,
}

/// What is done with the values that a path leads to.
#[derive(Debug)]
pub enum Use {
    /// They keep to this.
    Field(Field),
    /// They do not pass as they are.
    Redact(Redaction),
}

impl Plan {
    /// A plan. Of several redactions of one value the first is done.
    pub fn new(limits: Limits, paths: Vec<(Path, Use)>, patterns: Rc<Patterns>) -> Self {
        let removes =
            |(_, with): &(Path, Use)| matches!(with, Use::Redact(redaction) if redaction.removes());
        Self {
            removes: paths.iter().any(removes),
            limits,
            paths: paths.into(),
            patterns,
            hasher: RandomState::new(),
        }
    }

    /// Whether it may change a document.
    pub fn changes(&self) -> bool {
        let redacts = |(_, with): &(Path, Use)| matches!(with, Use::Redact(_));
        !self.patterns.is_empty() || self.paths.iter().any(redacts)
    }

    /// The path of a rule, as it was written.
    pub fn path(&self, number: u16) -> Option<&Path> {
        self.paths.get(usize::from(number)).map(|(path, _)| path)
    }

    fn field(&self, number: u16) -> Option<&Field> {
        match self.paths.get(usize::from(number)) {
            Some((_, Use::Field(field))) => Some(field),
            _ => None,
        }
    }

    fn redaction(&self, number: u16) -> Option<&Redaction> {
        match self.paths.get(usize::from(number)) {
            Some((_, Use::Redact(redaction))) => Some(redaction),
            _ => None,
        }
    }
}

/// Why a document goes no further. Nothing of the document is in it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// It is no JSON, from this byte on.
    #[error("no valid JSON at byte {0}")]
    Syntax(u64),
    /// It ends too soon.
    #[error("the JSON ends too soon")]
    Incomplete,
    /// It is nested too deep.
    #[error("objects and arrays are nested deeper than {0} levels")]
    Depth(usize),
    /// An object has too many members.
    #[error("an object has more than {0} members")]
    ObjectEntries(usize),
    /// An array has too many elements.
    #[error("an array has more than {0} elements")]
    ArrayElements(usize),
    /// A name is too long.
    #[error("a name is longer than {0} bytes")]
    NameLength(usize),
    /// A text is too long.
    #[error("a text is longer than {0} bytes")]
    StringLength(usize),
    /// A number is too long.
    #[error("a number is longer than {LONGEST_NUMBER} characters")]
    NumberLength,
    /// An object has a name twice.
    #[error("an object has a name twice, the second time before byte {0}")]
    DuplicateName(u64),
    /// A value stands where none may.
    #[error("what must not be sent stands in the body")]
    Denied,
    /// What a pattern matches does not end.
    #[error("what a pattern matches is longer than can be looked at")]
    LongMatch,
    /// Values are not what rules say: the rules' paths by their numbers.
    #[error("values break the rules of their fields")]
    Fields(Vec<(u16, Broken)>),
}

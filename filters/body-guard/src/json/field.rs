//! What a value must be.

use std::fmt;

use deserr::Deserr;
use legation::config::{ConfigErrors, Schema};
use legation::matcher::Regex;

/// What kind of value something is: the types of JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors, rename_all = lowercase)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number.
    Number,
    /// A number that is whole, such as `1`, `1.0` or `1e3`. Documents are asked for it; what is found
    /// in them is a [`Number`](Self::Number).
    Integer,
    /// `true` or `false`
    Boolean,
    /// `null`
    Null,
}

/// One of the values that are allowed.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// This text.
    Text(Box<str>),
    /// This number.
    Number(f64),
    /// `true` or `false`
    Boolean(bool),
    /// `null`
    Null,
}

/// What the values must be that a path leads to.
#[derive(Debug, Clone, Default)]
pub struct Field {
    /// Whether there must be one.
    pub required: bool,
    /// Whether there may be none.
    pub forbidden: bool,
    /// What they are, if that is said.
    pub kinds: Option<Box<[Kind]>>,
    /// What a text matches as a whole.
    pub pattern: Option<Regex>,
    /// The values that are allowed.
    pub choices: Option<Box<[Choice]>>,
    /// How many characters a text has at least.
    pub min_length: Option<usize>,
    /// How many characters a text has at most.
    pub max_length: Option<usize>,
    /// The least that a number is.
    pub minimum: Option<f64>,
    /// The most that a number is.
    pub maximum: Option<f64>,
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// It is not there.
    Required,
    /// It is there.
    Forbidden,
    /// It is of another kind.
    Type,
    /// It does not match.
    Pattern,
    /// It is none of those allowed.
    Enum,
    /// It is too short.
    MinLength,
    /// It is too long.
    MaxLength,
    /// It is too small.
    Minimum,
    /// It is too large.
    Maximum,
}

impl Broken {
    /// The name of the option that says so.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Forbidden => "forbidden",
            Self::Type => "type",
            Self::Pattern => "pattern",
            Self::Enum => "enum",
            Self::MinLength => "min_length",
            Self::MaxLength => "max_length",
            Self::Minimum => "minimum",
            Self::Maximum => "maximum",
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Required => "the field is missing",
            Self::Forbidden => "the field must not be sent",
            Self::Type => "the value is of another type than it must be",
            Self::Pattern => "the value does not have the form that it must have",
            Self::Enum => "the value is none of those allowed",
            Self::MinLength => "the value is too short",
            Self::MaxLength => "the value is too long",
            Self::Minimum => "the value is too small",
            Self::Maximum => "the value is too large",
        })
    }
}

/// A value that holds no others.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scalar<'a> {
    /// A text, if it is not longer than can be looked at, and how many characters it has.
    Text(Option<&'a str>, usize),
    Number(f64),
    Boolean(bool),
    Null,
}

impl Field {
    /// Whether more than their beginning is looked at.
    pub(super) fn looks_inside(&self) -> bool {
        self.pattern.is_some() || self.choices.is_some()
    }

    /// What is wrong with a value of this kind, whatever is in it.
    pub(super) fn check_kind(&self, kind: Kind) -> Option<Broken> {
        if self.forbidden {
            return Some(Broken::Forbidden);
        }
        let is_it =
            |known: &Kind| *known == kind || (*known == Kind::Integer && kind == Kind::Number);
        match &self.kinds {
            Some(kinds) if !kinds.iter().any(is_it) => Some(Broken::Type),
            _ if matches!(kind, Kind::Object | Kind::Array) && self.choices.is_some() => {
                Some(Broken::Enum)
            }
            _ => None,
        }
    }

    /// What is wrong with a value of the right kind.
    pub(super) fn check(&self, value: Scalar<'_>) -> Option<Broken> {
        match value {
            Scalar::Text(text, length) => {
                if self.max_length.is_some_and(|max| length > max) {
                    return Some(Broken::MaxLength);
                }
                if self.min_length.is_some_and(|min| length < min) {
                    return Some(Broken::MinLength);
                }
                let is_it = |text: &str| match &self.pattern {
                    Some(pattern) => pattern.is_match(text.as_bytes()),
                    None => true,
                };
                match text {
                    Some(text) if !is_it(text) => return Some(Broken::Pattern),
                    None if self.looks_inside() => return Some(Broken::MaxLength),
                    _ => {}
                }
            }
            Scalar::Number(number) => {
                let only_whole = self.kinds.as_ref().is_some_and(|kinds| {
                    kinds.contains(&Kind::Integer) && !kinds.contains(&Kind::Number)
                });
                if only_whole && number.fract().abs() > 0.0 {
                    return Some(Broken::Type);
                }
                // What is no number at all is no less than any either.
                if self.minimum.is_some_and(|min| number < min) {
                    return Some(Broken::Minimum);
                }
                if self.maximum.is_some_and(|max| number > max) {
                    return Some(Broken::Maximum);
                }
            }
            Scalar::Boolean(_) | Scalar::Null => {}
        }
        let is_allowed = |choice: &Choice| match (choice, value) {
            (Choice::Text(choice), Scalar::Text(Some(text), _)) => **choice == *text,
            (Choice::Number(choice), Scalar::Number(number)) => {
                choice.total_cmp(&number).is_eq() || (*choice - number).abs() <= 0.0
            }
            (Choice::Boolean(choice), Scalar::Boolean(boolean)) => *choice == boolean,
            (Choice::Null, Scalar::Null) => true,
            _ => false,
        };
        let choices = self.choices.as_ref()?;
        (!choices.iter().any(is_allowed)).then_some(Broken::Enum)
    }
}

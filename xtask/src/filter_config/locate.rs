//! Where in a YAML or JSON file a field is.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::Step;

/// A place in a file; lines and columns count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// How many characters it is long, where it is on one line.
    pub(crate) length: usize,
}

/// The shape of a file, with the place of everything in it.
pub(super) struct Tree(Spanned<Node>);

enum Node {
    Scalar,
    Sequence(Vec<Spanned<Node>>),
    Mapping(Vec<(Spanned<String>, Spanned<Node>)>),
}

/// A value that was reached, and its key where it has one.
#[derive(Clone, Copy)]
struct Found<'a> {
    key: Option<&'a Spanned<String>>,
    value: &'a Spanned<Node>,
}

impl Tree {
    /// Reads the shape of a file, where that can be done.
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_saphyr::from_str(text).ok().map(Self)
    }

    /// The line where the value at the end of a way begins.
    pub(super) fn line(&self, way: &[Step]) -> Option<usize> {
        Some(number(self.at(way)?.value.referenced.line()))
    }

    fn at(&self, way: &[Step]) -> Option<Found<'_>> {
        let top = Found {
            key: None,
            value: &self.0,
        };
        way.iter()
            .try_fold(top, |found, step| found.value.value.step(step))
    }

    /// The place that a complaint `path: what is wrong` is about, its path beginning at
    /// `base`. The nearest that there is, if the path ends at what is missing.
    pub(super) fn find(&self, base: &[Step], complaint: &str) -> Option<Place> {
        let mut found = self.at(base)?;
        let mut rest = complaint;
        let mut moved = false;
        while let Some((inner, after)) = found.value.value.follow(rest) {
            (found, rest, moved) = (inner, after, true);
        }
        if !moved {
            return None;
        }
        let what = rest.strip_prefix(": ");
        let about_key = what
            .is_some_and(|what| what.starts_with("unknown field") || what.starts_with("duplicate"));
        Some(found.place(about_key || what.is_none()))
    }
}

impl Found<'_> {
    /// The place of the value, or of its key: where that is meant, or the value takes lines.
    fn place(&self, key_is_meant: bool) -> Place {
        let value = self.value.referenced;
        let location = match self.key {
            Some(key) if key_is_meant || key.referenced.line() != value.line() => key.referenced,
            _ => value,
        };
        let length = match &self.value.value {
            Node::Mapping(_) | Node::Sequence(_) if location == value => 1,
            _ => length(location),
        };
        Place {
            line: number(location.line()),
            column: number(location.column()),
            length,
        }
    }
}

impl Node {
    fn step(&self, step: &Step) -> Option<Found<'_>> {
        match (self, step) {
            (Self::Mapping(fields), Step::Key(name)) => {
                let mut fields = fields.iter();
                let (key, value) = fields.find(|(key, _)| key.value == *name)?;
                Some(Found {
                    key: Some(key),
                    value,
                })
            }
            (Self::Sequence(items), Step::Index(index)) => {
                let value = items.get(*index)?;
                Some(Found { key: None, value })
            }
            _ => None,
        }
    }

    /// The value that a path in a complaint leads to next, and the rest of the complaint.
    fn follow<'a, 'c>(&'a self, path: &'c str) -> Option<(Found<'a>, &'c str)> {
        match self {
            Self::Scalar => None,
            Self::Sequence(items) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                let value = items.get(index.parse::<usize>().ok()?)?;
                Some((Found { key: None, value }, rest))
            }
            Self::Mapping(fields) => {
                let plain = path.strip_prefix('.').unwrap_or(path);
                let matching = fields.iter().filter_map(|(key, value)| {
                    let rest = plain
                        .strip_prefix(key.value.as_str())
                        .or_else(|| path.strip_prefix(&quoted(&key.value)))?;
                    let ends = rest.is_empty() || rest.starts_with(['.', '[']);
                    let found = Found {
                        key: Some(key),
                        value,
                    };
                    (ends || rest.starts_with(": ")).then_some((found, rest))
                });
                matching.min_by_key(|(_, rest)| rest.len())
            }
        }
    }
}

/// A key that is no plain word, as the SDK writes it in a path.
fn quoted(key: &str) -> String {
    let mut quoted = String::from("[\"");
    for char in key.chars() {
        match char {
            '"' | '\'' => quoted.push(char),
            _ => quoted.extend(char.escape_debug()),
        }
    }
    quoted + "\"]"
}

fn number(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn length(location: Location) -> usize {
    usize::try_from(location.span().len()).unwrap_or(1).max(1)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNode)
    }
}

struct AnyNode;

impl<'de> Visitor<'de> for AnyNode {
    type Value = Node;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = access.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Mapping(fields))
    }
}

//! Names of headers that rules may change.

use std::fmt;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, HeaderName, Key, OrderedMap, Problem, Schema};
use legation::http::header::{self, HeaderName as HttpName};

use crate::grpc;

/// The name of a header that a rule may change.
///
/// Pseudo-headers and `host` are refused: they are the request line, on which
/// routes and access rules were decided. `content-length` and
/// `transfer-encoding` are refused: they say where a message ends, and one whose
/// header says otherwise is read as two.
#[derive(Debug, Clone, Schema)]
#[schema(as = HeaderName)]
pub struct Name {
    name: HttpName,
    /// As the document has it, to find it there again.
    written: Box<str>,
}

/// Whether a header of this name is one that rules may change without naming it.
pub(crate) fn may_change(name: &[u8]) -> bool {
    !name.starts_with(b":")
        && ![&b"host"[..], b"content-length", b"transfer-encoding"].contains(&name)
        && !grpc::is_outcome(name)
}

impl Name {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.name.as_str().as_bytes()
    }

    /// The name as the document has it.
    pub(super) fn written(&self) -> &str {
        &self.written
    }

    /// The name itself.
    pub fn into_inner(self) -> HttpName {
        self.name
    }

    fn check(name: HeaderName, written: &str) -> Result<Self, Problem> {
        let name = name.into_inner();
        if name == header::CONTENT_LENGTH || name == header::TRANSFER_ENCODING {
            return Err(Problem::new(format!("`{name}` may not be changed")).help(
                "it says where the message ends: Envoy alone knows, and a wrong one makes two messages of one",
            ));
        }
        Ok(Self {
            name,
            written: written.into(),
        })
    }
}

/// Spelling aside.
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Name {}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl Key for Name {
    fn from_key(key: &str) -> Result<Self, Problem> {
        Self::check(key.parse()?, key)
    }
}

impl Deserr<ConfigErrors> for Name {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = legation::config::string(value, location, "the name of a header")?;
        Self::from_key(&text).map_err(|problem| ConfigErrors::at(location, problem))
    }
}

/// The name of a filter's state: the access log has it as `wasm.NAME`.
#[derive(Debug, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "minLength": 1 })]
pub struct StateName(Box<str>);

impl StateName {
    /// The name.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name.
    pub fn into_inner(self) -> Box<str> {
        self.0
    }
}

impl Key for StateName {
    fn from_key(key: &str) -> Result<Self, Problem> {
        match legation::filter_state::check_name(key) {
            Ok(()) => Ok(Self(key.into())),
            Err(error) => Err(Problem::new(error.to_string())
                .help("it becomes `wasm.NAME`: write a word such as `release`")),
        }
    }
}

/// Old names and the new name of each.
#[derive(Debug, Default, Schema)]
#[schema(as = OrderedMap<Name, Name>)]
pub struct Renames(Vec<(Name, Name)>);

impl IntoIterator for Renames {
    type Item = (Name, Name);
    type IntoIter = std::vec::IntoIter<(Name, Name)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Renames {
    pub(super) fn iter(&self) -> impl Iterator<Item = &(Name, Name)> {
        self.0.iter()
    }
}

impl Deserr<ConfigErrors> for Renames {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let renames = OrderedMap::<Name, Name>::deserialize_from_value(value, location)?;
        let renames: Vec<_> = renames.into_iter().collect();
        let mut errors = None;
        for (from, to) in &renames {
            let problem = if from == to {
                Problem::new(format!("`{from}` is renamed to itself"))
                    .help("names are the same in upper and lower case")
            } else if renames.iter().any(|(other, _)| other == to) {
                Problem::new(format!("`{to}` is renamed too"))
                    .help("rename it in an earlier rule, so that it is plain which comes first")
            } else if renames
                .iter()
                .any(|(other, target)| other != from && target == to)
            {
                Problem::new(format!("two headers are renamed to `{to}`"))
                    .help("a rename replaces what has the new name: one of them would be lost")
            } else {
                continue;
            };
            let at = location.push_key(from.written());
            ConfigErrors::add(&mut errors, ConfigErrors::at(at, problem));
        }
        ConfigErrors::check(errors, Self(renames))
    }
}

//! Headers that are added.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Given, HeaderName, NonEmpty, Problem, Schema};
use legation::format::Format;
use legation::http::header::{self, HeaderName as HttpName};

use super::elsewhere::{Append, RawValue};
use super::text::request_format;

/// As in Envoy.
const MAX_HEADERS: usize = 10;

/// A header to add.
#[derive(Debug, Clone, Schema)]
#[schema(as = Written)]
pub struct HeaderToAdd {
    /// Its name.
    pub name: HttpName,
    /// Its value.
    pub value: Format,
    /// What becomes of those of that name which are there.
    pub append_action: AppendAction,
    /// Whether a value that came out empty is written too.
    pub keep_empty_value: bool,
}

/// What becomes of headers of the same name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors)]
pub enum AppendAction {
    /// They stay, and this one is added.
    #[default]
    #[deserr(rename = "APPEND_IF_EXISTS_OR_ADD")]
    AppendIfExistsOrAdd,
    /// They stay, and this one is not added.
    #[deserr(rename = "ADD_IF_ABSENT")]
    AddIfAbsent,
    /// This one takes their place.
    #[deserr(rename = "OVERWRITE_IF_EXISTS_OR_ADD")]
    OverwriteIfExistsOrAdd,
    /// The same, where they are there.
    #[deserr(rename = "OVERWRITE_IF_EXISTS")]
    OverwriteIfExists,
}

/// Headers to add, at most ten.
#[derive(Debug, Clone, Default, Schema)]
#[schema({
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_HEADERS,
    "items": generator.subschema_for::<HeaderToAdd>(),
})]
pub struct HeadersToAdd(pub Vec<HeaderToAdd>);

#[derive(Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Written {
    /// Its name and its value.
    header: Pair,
    /// What becomes of headers of the same name: `APPEND_IF_EXISTS_OR_ADD` unless given.
    #[deserr(default)]
    append_action: Given<AppendAction>,
    /// Whether a value that came out empty is written too.
    #[deserr(default)]
    keep_empty_value: bool,
    #[deserr(default, rename = "append")]
    _append: Append,
}

#[derive(Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Pair {
    /// The name.
    key: HeaderName,
    /// The value.
    value: Format,
    #[deserr(default, rename = "raw_value")]
    _raw_value: RawValue,
}

impl Deserr<ConfigErrors> for HeaderToAdd {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let written = Written::deserialize_from_value(value, location)?;
        let at = location.push_key("header");
        let name = written.header.key.into_inner();
        let mut errors = None;
        if name == header::CONTENT_LENGTH || name == header::TRANSFER_ENCODING {
            let problem = Problem::new(format!("`{name}` may not be set"))
                .help("it says where the message ends, which Envoy alone knows");
            ConfigErrors::add(&mut errors, ConfigErrors::at(at.push_key("key"), problem));
        }
        if let Err(problem) = request_format(&written.header.value) {
            ConfigErrors::add(&mut errors, ConfigErrors::at(at.push_key("value"), problem));
        }
        ConfigErrors::check(
            errors,
            Self {
                name,
                value: written.header.value,
                append_action: written.append_action.0.unwrap_or_default(),
                keep_empty_value: written.keep_empty_value,
            },
        )
    }
}

impl Deserr<ConfigErrors> for HeadersToAdd {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let list = NonEmpty::<HeaderToAdd>::deserialize_from_value(value, location)?;
        if list.len() > MAX_HEADERS {
            let problem = format!("{} headers, at most {MAX_HEADERS} are allowed", list.len());
            return Err(ConfigErrors::at(location, problem));
        }
        Ok(Self(list.into_iter().collect()))
    }
}

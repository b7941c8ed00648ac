//! Keys that stand in the configuration, or beside it.

use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Given, Problem, Schema, Secret, elsewhere, exactly_one};
use legation::format::environment_variable;

use crate::{KeySet, KeyUse};

/// `local_jwks`: keys that are there when the filter starts, a JWK set (RFC 7517), or
/// PEM with public keys and certificates.
///
/// | field | |
/// |---|---|
/// | `inline_string` | the text |
/// | `inline_bytes` | the text in base64 |
/// | `environment_variable` | the name of a variable of the VM's environment that holds the text |
///
/// Exactly one of them is given. A set may hold secrets (`oct`) for HS*. Envoy's
/// `filename` and `watched_directory` are refused: a module cannot read files.
#[derive(Debug, Schema)]
#[schema(as = Written)]
pub struct LocalJwks {
    /// The keys.
    pub keys: Rc<KeySet>,
}

#[derive(Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[schema({
    "oneOf": schema::exactly_one(&["inline_string", "inline_bytes", "environment_variable"]),
})]
struct Written {
    /// The text: a JWK set (RFC 7517), or PEM with public keys and certificates.
    #[deserr(default)]
    inline_string: Given<Secret>,
    /// The text in base64.
    #[deserr(default)]
    inline_bytes: Given<Secret>,
    /// The variable of the VM's environment that holds the text.
    #[deserr(default)]
    environment_variable: Given<String>,
    #[deserr(default, rename = "filename")]
    _filename: Filename,
    #[deserr(default, rename = "watched_directory")]
    _watched_directory: WatchedDirectory,
}

impl Deserr<ConfigErrors> for LocalJwks {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let written = Written::deserialize_from_value(value, location)?;
        let fields = [
            ("inline_string", written.inline_string.0.is_some()),
            ("inline_bytes", written.inline_bytes.0.is_some()),
            (
                "environment_variable",
                written.environment_variable.0.is_some(),
            ),
        ];
        exactly_one(location, &fields)?;
        let (field, keys) = if let Some(text) = written.inline_string.0 {
            ("inline_string", read(text.expose().as_bytes()))
        } else if let Some(text) = written.inline_bytes.0 {
            let bytes = STANDARD.decode(text.expose().as_bytes());
            let keys = bytes.map_err(|_| {
                Problem::new("not base64").help("write it with `+`, `/` and padding, on one line")
            });
            ("inline_bytes", keys.and_then(|bytes| read(&bytes)))
        } else {
            let name = written.environment_variable.0.unwrap_or_default();
            let keys = match environment_variable(&name) {
                Some(text) => read(text.as_bytes()),
                None => Err(Problem::new(format!("the variable `{name}` is not set"))
                    .help("name it under `vm_config.environment_variables` for the VM to see it")),
            };
            ("environment_variable", keys)
        };
        keys.map(|keys| Self {
            keys: Rc::new(keys),
        })
        .map_err(|problem| ConfigErrors::at(location.push_key(field), problem))
    }
}

/// Reads keys. No error holds any of them.
fn read(text: &[u8]) -> Result<KeySet, Problem> {
    let text = text.trim_ascii();
    let keys = if text.starts_with(b"-----BEGIN ") {
        KeySet::from_pem(text)
    } else {
        KeySet::from_jwks_for(text, KeyUse::PublicAndSecret)
    };
    keys.map_err(|error| Problem::new(error.to_string()))
}

elsewhere! {
    /// `filename`
    struct Filename:
        "a module cannot read files",
        "put the keys into `inline_string`, or into a variable of the VM's environment (`environment_variable`)";
    /// `watched_directory`
    struct WatchedDirectory:
        "a module cannot read files",
        "have the keys fetched by `remote_jwks`, which notices when they change";
}

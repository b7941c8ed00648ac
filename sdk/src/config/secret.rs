//! Secrets, and where they come from.

use deserr::{IntoValue, Value, ValuePointerRef};

use super::Schema;
use super::error::{ConfigErrors, Problem};
use super::one_of::only_entry;
use super::scalar::Secret;
use super::text::string;
use crate::format::environment_variable;

/// A [`Secret`] that stands in the configuration or in the environment of the VM:
/// `{inline_string: …}` or `{environment_variable: NAME}`, as Envoy's `DataSource`
/// has them.
///
/// A variable is read once, when the configuration is; one that is not set, or is
/// empty, is an error. `filename` is refused: a module cannot read files.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({
    "type": "object",
    "properties": {
        INLINE: {
            "type": "string",
            "minLength": 1,
            "description": "The secret itself.",
        },
        VARIABLE: {
            "type": "string",
            "description": "The variable of the VM's environment that holds it.",
        },
    },
    "additionalProperties": false,
    "minProperties": 1,
    "maxProperties": 1,
})]
pub struct SecretSource(Secret);

impl SecretSource {
    /// The text.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

const INLINE: &str = "inline_string";
const VARIABLE: &str = "environment_variable";

impl deserr::Deserr<ConfigErrors> for SecretSource {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let (key, value) = only_entry(value, location, &[INLINE, VARIABLE])?;
        let at = location.push_key(&key);
        let problem = match key.as_str() {
            INLINE => return Secret::deserialize_from_value(value, at).map(Self),
            VARIABLE => {
                let name = string(value, at, "the name of an environment variable")?;
                match environment_variable(&name).filter(|text| !text.is_empty()) {
                    Some(text) => return Ok(Self(Secret::new(text))),
                    None => Problem::new(format!("the environment variable `{name}` is not set"))
                        .help("list it in `vm_config.environment_variables`"),
                }
            }
            "filename" => Problem::new("a module cannot read files").help(format!(
                "give the secret by `{VARIABLE}`, which Envoy hands to the module"
            )),
            other => return Err(super::unknown_choice(other, location, &[INLINE, VARIABLE])),
        };
        Err(ConfigErrors::at(at, problem))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::config::parse_in;

    fn read(text: &str) -> Result<SecretSource, String> {
        let set = [("SECRET", "from outside"), ("EMPTY", "")];
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        parse_in(text.as_bytes(), Rc::new(BTreeMap::from(set))).map_err(|errors| errors.to_string())
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_secret_stands_in_the_configuration_or_in_the_environment() {
        for (text, secret) in [
            (r#"{"inline_string": "here"}"#, "here"),
            (r#"{"environment_variable": "SECRET"}"#, "from outside"),
        ] {
            let source = read(text).unwrap();
            assert_eq!(source.expose(), secret);
            assert!(!format!("{source:?}").contains(secret));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_secret_is_told_without_showing_it() {
        for (text, told) in [
            (
                r#""hush""#,
                "expected an object with one of inline_string, environment_variable, got a string",
            ),
            ("{}", "one of these must be given"),
            (
                r#"{"inline_string": ""}"#,
                "inline_string: a secret must not be empty",
            ),
            (
                r#"{"inline_string": 7}"#,
                "inline_string: expected a string, got a number",
            ),
            (
                r#"{"environment_variable": "EMPTY"}"#,
                "environment_variable: the environment variable `EMPTY` is not set",
            ),
            (r#"{"environment_variable": "A=B"}"#, "is not set"),
            (
                r#"{"filename": "/etc/secret"}"#,
                "filename: a module cannot read files",
            ),
            (
                r#"{"inline_sting": "hush"}"#,
                "did you mean `inline_string`?",
            ),
        ] {
            let errors = read(text).unwrap_err();
            assert!(errors.contains(told), "{text}: {errors}");
            assert!(!errors.contains("hush"), "{errors}");
        }
    }
}

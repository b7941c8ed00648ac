//! Values of which an object holds exactly one.

use deserr::{IntoValue, Map, Value, ValuePointerRef};

use super::error::{ConfigErrors, Problem, UNKNOWN};
use super::text::{Got, help_with_names, wrong_type};

/// Declares an enum that is written as an object with exactly one key, as Envoy
/// writes a `oneof`.
///
/// ```
/// use legation::config;
///
/// config::one_of! {
///     /// Where keys come from.
///     #[derive(Debug)]
///     pub enum Keys {
///         /// The keys themselves.
///         "inline" => Inline(String),
///         /// Where to fetch them.
///         "remote" => Remote(String),
///     }
/// }
///
/// assert!(matches!(config::parse(br#"{"inline": "k"}"#), Ok(Keys::Inline(keys)) if keys == "k"));
/// let errors = config::parse::<Keys>(br#"{"inline": "k", "remote": "u"}"#).unwrap_err();
/// assert_eq!(
///     errors.to_string(),
///     "configuration: only one of these may be given: inline, remote"
/// );
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __legation_one_of {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident {
            $( $(#[$variant_meta:meta])* $key:literal => $variant:ident($type:ty) ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive($crate::config::Schema)]
        $visibility enum $name {
            $( $(#[$variant_meta])* #[schema(key = $key)] $variant($type), )+
        }

        impl $crate::config::deserr::Deserr<$crate::config::ConfigErrors> for $name {
            fn deserialize_from_value<V: $crate::config::deserr::IntoValue>(
                value: $crate::config::deserr::Value<V>,
                location: $crate::config::deserr::ValuePointerRef<'_>,
            ) -> ::std::result::Result<Self, $crate::config::ConfigErrors> {
                const KEYS: &[&str] = &[$($key),+];
                let (key, value) = $crate::config::only_entry(value, location, KEYS)?;
                match key.as_str() {
                    $(
                        $key => $crate::config::deserr::Deserr::deserialize_from_value(
                            value,
                            location.push_key($key),
                        )
                        .map(Self::$variant),
                    )+
                    other => ::std::result::Result::Err(
                        $crate::config::unknown_choice(other, location, KEYS),
                    ),
                }
            }
        }
    };
}

/// Checks that exactly one of several optional fields is given, for structs in
/// which such fields stand among others.
pub fn exactly_one(
    location: ValuePointerRef<'_>,
    fields: &[(&str, bool)],
) -> Result<(), ConfigErrors> {
    let given: Vec<&str> = fields
        .iter()
        .filter(|(_, given)| *given)
        .map(|(name, _)| *name)
        .collect();
    let problem = match given.len() {
        1 => return Ok(()),
        0 => {
            let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
            format!("one of these must be given: {}", names.join(", "))
        }
        _ => format!("only one of these may be given: {}", given.join(", ")),
    };
    Err(ConfigErrors::at(location, Problem::new(problem)))
}

/// For [`one_of!`](crate::config::one_of).
#[doc(hidden)]
pub fn only_entry<V: IntoValue>(
    value: Value<V>,
    location: ValuePointerRef<'_>,
    keys: &[&str],
) -> Result<(String, Value<V>), ConfigErrors> {
    let Value::Map(map) = value else {
        let expected = format!("an object with one of {}", keys.join(", "));
        return Err(ConfigErrors::at(
            location,
            wrong_type(&expected, &Got::from(value)),
        ));
    };
    let mut entries: Vec<_> = map.into_iter().collect();
    if let (Some((key, value)), true) = (entries.pop(), entries.is_empty()) {
        return Ok((key, value.into_value()));
    } else if entries.is_empty() {
        let problem = format!("one of these must be given: {}", keys.join(", "));
        return Err(ConfigErrors::at(location, problem));
    }
    let problem = format!("only one of these may be given: {}", keys.join(", "));
    Err(ConfigErrors::at(location, problem))
}

/// For [`one_of!`](crate::config::one_of).
#[doc(hidden)]
pub fn unknown_choice(key: &str, location: ValuePointerRef<'_>, keys: &[&str]) -> ConfigErrors {
    let problem = Problem::new(UNKNOWN);
    ConfigErrors::at(
        location.push_key(key),
        match help_with_names(key, keys) {
            Some(help) => problem.help(help),
            None => problem,
        },
    )
}

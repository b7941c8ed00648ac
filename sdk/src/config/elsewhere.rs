//! Fields that are refused with what there is in their place.

/// Declares types of fields that another filter has and this one has not, or not there:
/// whoever writes one is told why, and what to write.
///
/// Such a field is `#[deserr(default)]` in its struct, under the name that users know.
///
/// ```
/// use deserr::Deserr;
/// use legation::config::{self, ConfigErrors};
///
/// config::elsewhere! {
///     /// `stage`
///     struct Stage:
///         "a module has no stages",
///         "have the filter twice";
/// }
///
/// #[derive(Debug, Deserr)]
/// #[deserr(error = ConfigErrors, deny_unknown_fields)]
/// struct Config {
///     #[deserr(default, rename = "stage")]
///     _stage: Stage,
/// }
///
/// let errors = config::parse::<Config>(br#"{"stage": 1}"#).unwrap_err();
/// assert_eq!(errors.to_string(), "stage: a module has no stages; have the filter twice");
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __legation_elsewhere {
    ($(
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident: $problem:literal, $help:literal;
    )*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, $crate::config::Schema)]
            #[schema(nothing)]
            $visibility struct $name;

            impl $crate::config::deserr::Deserr<$crate::config::ConfigErrors> for $name {
                fn deserialize_from_value<V: $crate::config::deserr::IntoValue>(
                    _: $crate::config::deserr::Value<V>,
                    location: $crate::config::deserr::ValuePointerRef<'_>,
                ) -> ::std::result::Result<Self, $crate::config::ConfigErrors> {
                    let problem = $crate::config::Problem::new($problem).help($help);
                    Err($crate::config::ConfigErrors::at(location, problem))
                }
            }
        )*
    };
}

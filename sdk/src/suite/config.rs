//! What users write for a suite.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use super::FilterSet;
use crate::config::object::{elements, fields};
use crate::config::{ConfigErrors, MISSING, Problem};

/// Which filters run, in which order, and how each is configured.
///
/// | option | meaning |
/// |---|---|
/// | `filters` | the filters, in order; at least one |
/// | `filters[].name` | which filter |
/// | `filters[].config` | its configuration, as it is alone; may be left out where it is empty |
pub struct SuiteConfig<S: FilterSet> {
    pub(super) filters: Vec<S::Config>,
}

impl<S: FilterSet> Deserr<ConfigErrors> for SuiteConfig<S> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let mut filters = None;
        fields(value, location, &["filters"], &mut |_, value, location| {
            let filters = filters.get_or_insert_with(Vec::new);
            elements(value, location, &mut |_, value, location| {
                filters.push(entry::<S, V>(value, location)?);
                Ok(())
            })
        })?;
        match filters {
            Some(filters) => Ok(Self { filters }),
            None => Err(missing(location, "filters", "name the filters to run")),
        }
    }
}

fn entry<S: FilterSet, V: IntoValue>(
    value: Value<V>,
    location: ValuePointerRef<'_>,
) -> Result<S::Config, ConfigErrors> {
    let (mut name, mut config) = (None, None);
    fields(
        value,
        location,
        &["name", "config"],
        &mut |key, value, location| {
            if key == "name" {
                name = Some(String::deserialize_from_value(value, location)?);
            } else {
                config = Some(value);
            }
            Ok(())
        },
    )?;
    let names = names::<S>();
    let Some(name) = name else {
        let help = format!("one of {}", names.join(", "));
        return Err(missing(location, "name", &help));
    };
    let at = location.push_key("config");
    let known = if let Some(config) = config {
        S::config(&name, config, at)
    } else {
        let empty = serde_json::Value::Object(serde_json::Map::new());
        S::config(&name, empty.into_value(), at)
    };
    known.unwrap_or_else(|| {
        let problem = Problem::new(format!("there is no filter `{name}` in this module"));
        let help = match crate::config::suggest(&name, names.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("it has {}", names.join(", ")),
        };
        Err(ConfigErrors::at(
            location.push_key("name"),
            problem.help(help),
        ))
    })
}

fn names<S: FilterSet>() -> Vec<&'static str> {
    let mut names = Vec::new();
    S::names(&mut names);
    names
}

fn missing(location: ValuePointerRef<'_>, field: &str, help: &str) -> ConfigErrors {
    ConfigErrors::at(location.push_key(field), Problem::new(MISSING).help(help))
}

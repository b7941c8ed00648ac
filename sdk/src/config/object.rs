//! Objects and lists read by hand. Derived code is made anew for every struct
//! and list; this is there once, which the module's size shows.

use deserr::{Deserr, IntoValue, Map, Sequence, Value, ValuePointerRef};

use super::error::{ConfigErrors, Problem, UNKNOWN};
use super::text::{Got, help_with_names, wrong_type};

/// What reads one entry or element.
pub(crate) type Reader<'a, V> =
    dyn FnMut(&str, Value<V>, ValuePointerRef<'_>) -> Result<(), ConfigErrors> + 'a;

/// Reads an object, entry by entry, with the errors of all.
pub(crate) fn entries<V: IntoValue>(
    value: Value<V>,
    location: ValuePointerRef<'_>,
    read: &mut Reader<'_, V>,
) -> Result<(), ConfigErrors> {
    let map = match value {
        Value::Map(map) => map,
        other => {
            let problem = wrong_type("an object", &Got::from(other));
            return Err(ConfigErrors::at(location, problem));
        }
    };
    let mut errors = None;
    for (key, value) in map.into_iter() {
        if let Err(error) = read(&key, value.into_value(), location.push_key(&key)) {
            ConfigErrors::add(&mut errors, error);
        }
    }
    ConfigErrors::check(errors, ())
}

/// Reads an object that has these fields at most.
pub(crate) fn fields<V: IntoValue>(
    value: Value<V>,
    location: ValuePointerRef<'_>,
    names: &[&str],
    read: &mut Reader<'_, V>,
) -> Result<(), ConfigErrors> {
    entries(value, location, &mut |key, value, location| {
        if names.contains(&key) {
            return read(key, value, location);
        }
        let problem = Problem::new(UNKNOWN);
        Err(ConfigErrors::at(
            location,
            match help_with_names(key, names) {
                Some(help) => problem.help(help),
                None => problem,
            },
        ))
    })
}

/// Reads a list that holds something.
pub(crate) fn elements<V: IntoValue>(
    value: Value<V>,
    location: ValuePointerRef<'_>,
    read: &mut Reader<'_, V>,
) -> Result<(), ConfigErrors> {
    let list = match value {
        Value::Sequence(list) if list.is_empty() => {
            let problem = Problem::new("an empty list");
            let problem = problem.help("name at least one, or leave the field out");
            return Err(ConfigErrors::at(location, problem));
        }
        Value::Sequence(list) => list,
        other => {
            let problem = wrong_type("a list", &Got::from(other));
            return Err(ConfigErrors::at(location, problem));
        }
    };
    let mut errors = None;
    for (index, value) in list.into_iter().enumerate() {
        if let Err(error) = read("", value.into_value(), location.push_index(index)) {
            ConfigErrors::add(&mut errors, error);
        }
    }
    ConfigErrors::check(errors, ())
}

/// Reads a value, or a list of them that holds something.
pub(crate) fn one_or_many<V: IntoValue>(
    value: Value<V>,
    location: ValuePointerRef<'_>,
    read: &mut Reader<'_, V>,
) -> Result<(), ConfigErrors> {
    match value {
        Value::Sequence(_) => elements(value, location, read),
        one => read("", one, location),
    }
}

/// Adds a value to a list.
pub(crate) fn push<T: Deserr<ConfigErrors>, V: IntoValue>(
    list: &mut Vec<T>,
    value: Value<V>,
    location: ValuePointerRef<'_>,
) -> Result<(), ConfigErrors> {
    list.push(T::deserialize_from_value(value, location)?);
    Ok(())
}

//! Lists, maps and optional values that say what is wrong inside them.

use std::ops::Deref;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use super::Schema;
use super::error::{ConfigErrors, Problem};
use super::object;
use super::scalar::HeaderName;

/// A value, or a list of them. A list that is written must hold something: an
/// empty one reads as "any" to one person and as "none" to another.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema(description = "", {
    "anyOf": [
        schema::without_default(generator.subschema_for::<T>()),
        generator.subschema_for::<NonEmpty<T>>(),
    ],
})]
pub struct OneOrMany<T>(Vec<T>);

/// A list that holds something when it is written.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema(description = "", {
    "type": "array",
    "minItems": 1,
    "items": schema::without_default(generator.subschema_for::<T>()),
})]
pub struct NonEmpty<T>(Vec<T>);

macro_rules! list {
    ($name:ident) => {
        impl<T> Default for $name<T> {
            fn default() -> Self {
                Self(Vec::new())
            }
        }

        impl<T> Deref for $name<T> {
            type Target = [T];

            fn deref(&self) -> &[T] {
                &self.0
            }
        }

        impl<T> IntoIterator for $name<T> {
            type Item = T;
            type IntoIter = std::vec::IntoIter<T>;

            fn into_iter(self) -> Self::IntoIter {
                self.0.into_iter()
            }
        }

        impl<'a, T> IntoIterator for &'a $name<T> {
            type Item = &'a T;
            type IntoIter = std::slice::Iter<'a, T>;

            fn into_iter(self) -> Self::IntoIter {
                self.0.iter()
            }
        }
    };
}

list!(OneOrMany);
list!(NonEmpty);

impl<T: Deserr<ConfigErrors>> Deserr<ConfigErrors> for OneOrMany<T> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let mut list = Vec::new();
        object::one_or_many(value, location, &mut |_, value, location| {
            object::push(&mut list, value, location)
        })?;
        Ok(Self(list))
    }
}

impl<T: Deserr<ConfigErrors>> Deserr<ConfigErrors> for NonEmpty<T> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let mut list = Vec::new();
        object::elements(value, location, &mut |_, value, location| {
            object::push(&mut list, value, location)
        })?;
        Ok(Self(list))
    }
}

/// An optional value that must not be `null`: absent is absent, and a field left
/// empty in YAML is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given<T>(pub Option<T>);

impl<T> Default for Given<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Deserr<ConfigErrors>> Deserr<ConfigErrors> for Given<T> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        if matches!(value, Value::Null) {
            let problem = Problem::new("null").help("give a value, or leave the field out");
            return Err(ConfigErrors::at(location, problem));
        }
        T::deserialize_from_value(value, location).map(|value| Self(Some(value)))
    }
}

/// What the keys of an [`OrderedMap`] are read as.
pub trait Key: PartialEq + Sized {
    /// Reads a key. Two keys that are equal when read are one key twice.
    fn from_key(key: &str) -> Result<Self, Problem>;
}

impl Key for String {
    fn from_key(key: &str) -> Result<Self, Problem> {
        Ok(key.to_owned())
    }
}

impl Key for HeaderName {
    fn from_key(key: &str) -> Result<Self, Problem> {
        key.parse()
    }
}

/// A map that keeps the document's order and has each key once.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema(description = "", {
    "type": "object",
    "propertyNames": schema::without_default(generator.subschema_for::<K>()),
    "additionalProperties": schema::without_default(generator.subschema_for::<V>()),
})]
pub struct OrderedMap<K, V>(Vec<(K, V)>);

impl<K, V> OrderedMap<K, V> {
    /// The entries in the document's order.
    pub fn iter(&self) -> std::slice::Iter<'_, (K, V)> {
        self.0.iter()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K, V> Default for OrderedMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K, V> IntoIterator for OrderedMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, K, V> IntoIterator for &'a OrderedMap<K, V> {
    type Item = &'a (K, V);
    type IntoIter = std::slice::Iter<'a, (K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Key, T: Deserr<ConfigErrors>> Deserr<ConfigErrors> for OrderedMap<K, T> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let mut map: Vec<(K, T)> = Vec::new();
        object::entries(value, location, &mut |name, value, location| {
            let key = K::from_key(name).and_then(|key| {
                if map.iter().any(|(known, _)| *known == key) {
                    return Err(Problem::new("duplicate key")
                        .help("another spelling of it is in this object already"));
                }
                Ok(key)
            });
            let value = T::deserialize_from_value(value, location);
            match (key, value) {
                (Ok(key), Ok(value)) => {
                    map.push((key, value));
                    Ok(())
                }
                (Ok(_), Err(errors)) => Err(errors),
                (Err(problem), value) => {
                    let mut errors = Some(ConfigErrors::at(location, problem));
                    if let Err(more) = value {
                        ConfigErrors::add(&mut errors, more);
                    }
                    ConfigErrors::check(errors, ())
                }
            }
        })?;
        Ok(Self(map))
    }
}

//! A filter's own conditions.

use deserr::{IntoValue, Value, ValuePointerRef};

use super::{Needs, Request, RequestView};
use crate::config::{ConfigErrors, Schema};

/// Conditions that a filter has beside those of all filters. A condition must hold
/// together with the others of its matcher. Its [schema](crate::config::schema) has them as
/// `properties`.
pub trait Conditions: Sized {
    /// The keys they stand under.
    const KEYS: &'static [&'static str];

    /// Reads what stands under one of the keys: all of it must hold.
    fn read<V: IntoValue>(
        key: &str,
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Vec<Self>, ConfigErrors>;

    /// What testing it may ask of a request.
    fn needs(&self) -> Needs;
}

/// [`Conditions`] that can be tested on such a request.
pub trait Holds<V: RequestView + ?Sized> {
    /// Whether it holds.
    fn holds(&self, request: &mut Request<'_, V>) -> Result<bool, V::Error>;
}

/// No conditions of one's own. There is no value of this type.
#[derive(Debug, Clone, Copy, Schema)]
#[schema({ "properties": {} })]
pub enum NoMore {}

impl Conditions for NoMore {
    const KEYS: &'static [&'static str] = &[];

    fn read<V: IntoValue>(
        _: &str,
        _: Value<V>,
        _: ValuePointerRef<'_>,
    ) -> Result<Vec<Self>, ConfigErrors> {
        Ok(Vec::new())
    }

    fn needs(&self) -> Needs {
        match *self {}
    }
}

impl<V: RequestView + ?Sized> Holds<V> for NoMore {
    fn holds(&self, _: &mut Request<'_, V>) -> Result<bool, V::Error> {
        match *self {}
    }
}

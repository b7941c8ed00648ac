//! State that other filters and the access log can read.
//!
//! Envoy keeps *filter state* beside each request: named objects that the
//! filters hand to one another. What a filter sets here under `NAME` is there
//! under `wasm.NAME`:
//!
//! - another Wasm filter reads it by [`get`], whatever SDK it is written with,
//!   on the same request and later in the chain (or in the response);
//! - the access log prints it by `%FILTER_STATE(wasm.NAME:PLAIN)%`. (Without
//!   `PLAIN` it is the base64 of a protobuf message. Use a JSON format where the
//!   value may come from outside: in a text format a line break is a line break.)
//! - native filters match it: a route's `filter_state`, RBAC, rate-limit
//!   descriptors, tracing tags.
//!
//! [`set_envoy`] sets what Envoy itself reads. The other way round, [`object`]
//! reads filter state of any filter, and [`metadata`] dynamic metadata, which
//! native filters such as `jwt_authn` leave behind; a Wasm filter cannot write
//! that.
//!
//! Setting is one host call of about 0.2 µs, reading one of about 0.7 µs.

use crate::abi;
use crate::attributes::FromAttribute;
use crate::error::{Error, HostError, Result};
use crate::foreign::{self, ForeignError};

pub use crate::foreign::{Kind, LifeSpan, Property};

/// The first words of the attributes that Envoy knows. State of such a name
/// could be set and not be read.
const ATTRIBUTES: [&str; 24] = [
    "cluster_metadata",
    "cluster_name",
    "connection",
    "connection_id",
    "destination",
    "filter_state",
    "listener_direction",
    "listener_metadata",
    "metadata",
    "node",
    "plugin_name",
    "plugin_root_id",
    "plugin_vm_id",
    "request",
    "response",
    "route_metadata",
    "route_name",
    "source",
    "upstream",
    "upstream_filter_state",
    "upstream_host_metadata",
    "upstream_locality",
    "wasm",
    "xds",
];

/// Sets the state `wasm.NAME` of this request.
///
/// It lives as long as the request's filter chain and may be set again, unless
/// [`declare`]d otherwise. An error where the name is empty, holds a NUL byte or
/// is the first word of an attribute (`request`), where the property is
/// declared read-only and set already, and outside of a request. One host call.
pub fn set(name: &str, value: impl AsRef<[u8]>) -> Result<()> {
    check(name)?;
    Ok(abi::set_property(name.as_bytes(), value.as_ref())?)
}

/// Reads the state `wasm.NAME` of this request, this filter's or another Wasm
/// filter's. `None` where nobody set it. One host call.
pub fn get<T: FromAttribute>(name: &str) -> Result<Option<T>> {
    check(name)?;
    Ok(read(name.as_bytes())?)
}

/// Says what a property is before it is first set: see [`Property`]. Only when
/// the filter is configured. `false` where it was declared before. One host call.
pub fn declare(property: &Property<'_>) -> Result<bool> {
    check(property.name)?;
    Ok(foreign::declare_property(property)?)
}

/// Sets filter state that Envoy itself reads: see
/// [`foreign::set_envoy_filter_state`].
pub fn set_envoy(key: &str, value: &str, life_span: LifeSpan) -> Result<(), ForeignError> {
    foreign::set_envoy_filter_state(key, value, life_span)
}

/// Reads filter state of any filter by its whole key, such as
/// `envoy.network.upstream_server_name` or `wasm.NAME`. `None` where there is no
/// such state, or it cannot be written out.
///
/// What holds a text or bytes comes as that, anything else as a protobuf
/// message: `Vec<u8>` takes whatever comes. One host call.
pub fn object<T: FromAttribute>(key: &str) -> Result<Option<T>> {
    read_path(["filter_state", key])
}

/// Reads dynamic metadata: of the filter `namespace`, the field that `path`
/// leads to. `None` where there is none.
///
/// ```no_run
/// # fn issuer() -> legation::Result<Option<String>> {
/// use legation::filter_state::metadata;
///
/// metadata::<String>("envoy.filters.http.jwt_authn", &["payload", "iss"])
/// # }
/// ```
///
/// A text is a `String` (or bytes), a number an `f64`, a flag a `bool`; Envoy
/// does not tell which, and null is `None`. An object or a list is nothing to be read as a whole: ask
/// for its fields, or by their numbers (`"0"`) for its elements. One host call.
pub fn metadata<T: FromAttribute>(namespace: &str, path: &[&str]) -> Result<Option<T>> {
    let start = ["metadata", "filter_metadata", namespace];
    read_path(start.into_iter().chain(path.iter().copied()))
}

fn read_path<'a, T: FromAttribute>(
    segments: impl IntoIterator<Item = &'a str>,
) -> Result<Option<T>> {
    let mut path = String::with_capacity(64);
    for segment in segments {
        if segment.is_empty() || segment.contains('\0') {
            return Err(Error::other(
                "a name in filter state or metadata is empty or holds a NUL byte",
            ));
        }
        if !path.is_empty() {
            path.push('\0');
        }
        path.push_str(segment);
    }
    Ok(read(path.as_bytes())?)
}

fn read<T: FromAttribute>(path: &[u8]) -> Result<Option<T>, HostError> {
    match abi::written_property(path)? {
        None => Ok(None),
        Some(bytes) => T::from_attribute(bytes)
            .map(Some)
            .ok_or(HostError::malformed("proxy_get_property")),
    }
}

/// Whether a name is one for [`set`]: for configurations, which had better be
/// refused than every request.
pub fn check_name(name: &str) -> Result<()> {
    check(name)
}

fn check(name: &str) -> Result<()> {
    if name.is_empty() || name.contains('\0') {
        return Err(Error::other(
            "the name of a filter's state is empty or holds a NUL byte",
        ));
    }
    if ATTRIBUTES.binary_search(&name).is_ok() {
        return Err(Error::other(format!(
            "`{name}` is an attribute of Envoy's and no name for a filter's state"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_attributes_are_sorted() {
        assert!(ATTRIBUTES.is_sorted());
    }

    #[test]
    fn a_name_that_could_not_be_read_is_refused() {
        for name in ["", "a\0b", "request", "xds", "filter_state"] {
            assert!(check(name).is_err(), "{name}");
        }
        for name in ["user", "request.user", "requests", "Request"] {
            assert!(check(name).is_ok(), "{name}");
        }
    }
}

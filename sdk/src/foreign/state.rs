//! Filter state, where `proxy_set_property` does not reach.

use prost::Message;

use super::message::{DeclarePropertyArguments, SetEnvoyFilterStateArguments};
use super::{ForeignError, Function, ask};
use crate::error::Status;

/// How long a value in filter state lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LifeSpan {
    /// As long as the request's filters: gone when it is redirected within
    /// Envoy and its filters run again.
    #[default]
    FilterChain,
    /// As long as the request, over redirects within Envoy.
    Request,
    /// As long as the client's connection: other requests see it. Mind that
    /// behind another proxy a connection is many clients'.
    Connection,
}

impl LifeSpan {
    const fn number(self) -> i32 {
        match self {
            Self::FilterChain => 0,
            Self::Request => 1,
            Self::Connection => 2,
        }
    }
}

/// What a value is to those who read it in an expression. The access log and
/// [`filter_state::get`](crate::filter_state::get) get the bytes in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// Bytes: `b"…"`.
    #[default]
    Bytes,
    /// Text: `"…"`.
    Text,
}

/// A property to declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Property<'a> {
    /// The name, as [`filter_state::set`](crate::filter_state::set) takes it.
    pub name: &'a str,
    /// What it is in expressions.
    pub kind: Kind,
    /// How long it lives.
    pub life_span: LifeSpan,
    /// Whether it can be set but once.
    pub read_only: bool,
}

/// Says what a property is before it is first set. Without it a property holds
/// bytes, lives as long as the filter chain and can be set again.
///
/// Only in [`HttpFilter::configure`](crate::HttpFilter::configure): Envoy keeps
/// what is declared with the configuration. `false` where this configuration
/// declared the name before; that declaration stands. One host call.
pub fn declare_property(property: &Property<'_>) -> Result<bool, ForeignError> {
    let arguments = DeclarePropertyArguments {
        name: property.name.to_owned(),
        readonly: property.read_only,
        kind: match property.kind {
            Kind::Bytes => 0,
            Kind::Text => 1,
        },
        schema: Vec::new(),
        span: property.life_span.number(),
    };
    let before = ForeignError::status(Function::DeclareProperty, Status::BAD_ARGUMENT);
    match ask(Function::DeclareProperty, &arguments.encode_to_vec()) {
        Ok(_) => Ok(true),
        Err(error) if error == before => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sets filter state that Envoy itself reads, under one of the keys that it
/// makes objects for, such as `envoy.network.upstream_server_name`
/// (<https://www.envoyproxy.io/docs/envoy/latest/configuration/advanced/well_known_filter_state>).
///
/// [`ForeignError::Refused`] where Envoy has no object of this key, or does not
/// take the value. One host call, and one more if the very first is refused.
pub fn set_envoy_filter_state(
    key: &str,
    value: &str,
    life_span: LifeSpan,
) -> Result<(), ForeignError> {
    let arguments = SetEnvoyFilterStateArguments {
        path: key.to_owned(),
        value: value.to_owned(),
        span: life_span.number(),
    };
    let answer = ask(Function::SetEnvoyFilterState, &arguments.encode_to_vec());
    answer.map(drop).map_err(|error| {
        error
            .explained(Status::NOT_FOUND, || {
                format!("there is no object `{key}`, or no request")
            })
            .explained(Status::BAD_ARGUMENT, || {
                format!("`{key}` does not take this value")
            })
    })
}

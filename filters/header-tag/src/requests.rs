//! The filter for configurations that change requests only: Envoy enters it once
//! less a request.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Schema};
use legation::{Configure, Flow, HttpFilter, RequestHeaders, Result};

use crate::config::{Config, Lacks};
use crate::filter::{HeaderTag, Stream};

/// [`HeaderTag`] without responses and trailers.
pub struct RequestTag(HeaderTag);

/// A [`Config`] without responses and trailers.
#[derive(Debug, Schema)]
#[schema(as = Config, {
    "allOf": [{
        "properties": { "rules": { "items": { "properties": {
            "request_trailers": false, "response": false, "response_trailers": false,
        } } } },
    }],
})]
pub struct RequestConfig(pub Config);

impl Deserr<ConfigErrors> for RequestConfig {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let config = Config::deserialize_from_value(value, location)?;
        config.without(Lacks::Responses, location).map(Self)
    }
}

#[legation::filter]
impl HttpFilter for RequestTag {
    const NAME: &'static str = HeaderTag::NAME;
    type Config = RequestConfig;
    type Stream = Stream;

    fn configure(config: RequestConfig, host: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self(HeaderTag::new(config.0, host)))
    }

    fn on_request_headers(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        self.0.tag_request(stream, request)
    }

    fn on_tick(&self) {
        self.0.flush_counts();
    }
}

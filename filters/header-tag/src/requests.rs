//! The filter for configurations that change requests only: Envoy enters it once
//! less a request.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Problem, Schema};
use legation::{Configure, Flow, HttpFilter, RequestHeaders, Result};

use crate::config::Config;
use crate::filter::{HeaderTag, Stream};

/// [`HeaderTag`] without responses.
pub struct RequestTag(HeaderTag);

/// A [`Config`] without responses.
#[derive(Debug, Schema)]
#[schema(as = Config, {
    "allOf": [{
        "properties": { "rules": { "items": { "properties": { "response": false } } } },
    }],
})]
pub struct RequestConfig(pub Config);

impl Deserr<ConfigErrors> for RequestConfig {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let config = Config::deserialize_from_value(value, location)?;
        let rules = location.push_key("rules");
        let with_response = config
            .rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| rule.response.0.is_some());
        let errors = with_response
            .map(|(index, _)| {
                let rule = rules.push_index(index);
                let problem = Problem::new("this module changes requests only")
                    .help("load header-tag.wasm in its place");
                ConfigErrors::at(rule.push_key("response"), problem)
            })
            .reduce(ConfigErrors::merge);
        match errors {
            None => Ok(Self(config)),
            Some(errors) => Err(errors),
        }
    }
}

#[legation::filter]
impl HttpFilter for RequestTag {
    const NAME: &'static str = HeaderTag::NAME;
    type Config = RequestConfig;
    type Stream = Stream;

    fn configure(config: RequestConfig, host: &mut Configure) -> Result<Self, ConfigErrors> {
        HeaderTag::configure(config.0, host).map(Self)
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

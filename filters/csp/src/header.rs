//! The filter for configurations that write headers only: Envoy enters it twice a request, and
//! it is less than half the size.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Problem, Schema};
use legation::{Configure, Flow, HttpFilter, RequestHeaders, ResponseHeaders, Result};

use crate::config::Config;
use crate::core::{Core, Seen};
use crate::filter::Csp;

/// [`Csp`] without bodies.
pub struct CspHeader(Core);

/// A [`Config`] without what looks into bodies.
#[derive(Debug, Schema)]
#[schema(as = Config, {
    "allOf": [{
        "properties": {
            "collector": false,
            "learning": false,
            "rules": {
                "items": {
                    "properties": {
                        "learn": { "const": false },
                        "nonce": { "properties": { "placeholder": false, "elements": false } },
                    },
                },
            },
        },
    }],
})]
pub struct HeaderConfig(pub Config);

impl Deserr<ConfigErrors> for HeaderConfig {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let config = Config::deserialize_from_value(value, location)?;
        let mut errors = None;
        let mut refuse = |at: ValuePointerRef<'_>| {
            let problem =
                Problem::new("this module writes headers only").help("load csp.wasm in its place");
            ConfigErrors::add(&mut errors, ConfigErrors::at(at, problem));
        };
        if config.collector.0.is_some() {
            refuse(location.push_key("collector"));
        }
        if config.learning.0.is_some() {
            refuse(location.push_key("learning"));
        }
        let rules = location.push_key("rules");
        for (index, rule) in config.rules.iter().enumerate() {
            let at = rules.push_index(index);
            if rule.learn {
                refuse(at.push_key("learn"));
            }
            let Some(nonce) = &rule.nonce.0 else { continue };
            let at = at.push_key("nonce");
            if nonce.placeholder.0.is_some() {
                refuse(at.push_key("placeholder"));
            }
            if !nonce.elements.is_empty() {
                refuse(at.push_key("elements"));
            }
        }
        ConfigErrors::check(errors, Self(config))
    }
}

#[legation::filter]
impl HttpFilter for CspHeader {
    const NAME: &'static str = Csp::NAME;
    type Config = HeaderConfig;
    type Stream = Seen;

    fn configure(mut config: HeaderConfig, host: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self(Core::new(&mut config.0, host)))
    }

    fn on_request_headers(&self, seen: &mut Seen, request: &mut RequestHeaders) -> Result<Flow> {
        let is_awaited = self.0.on_request(seen, request)?;
        Ok(if is_awaited {
            Flow::Continue
        } else {
            Flow::Finish
        })
    }

    fn on_response_headers(&self, seen: &mut Seen, response: &mut ResponseHeaders) -> Result<Flow> {
        self.0.on_response(seen, response)?;
        Ok(Flow::Continue)
    }

    fn on_tick(&self) {
        self.0.counts.flush();
    }
}

//! Answers with metadata that another filter of Envoy set.

use legation::attributes::Attribute;
use legation::config::{ConfigErrors, NoConfig};
use legation::{Configure, Flow, HttpFilter, LocalReply, RequestHeaders, Result};

/// What the Lua filter before this one sets.
const METADATA: Attribute<Vec<u8>> =
    Attribute::new("metadata\0filter_metadata\0envoy.filters.http.lua\0uppercased-custom-metadata");

/// The filter.
#[derive(Debug)]
pub struct Metadata;

#[legation::filter]
impl HttpFilter for Metadata {
    const NAME: &'static str = "envoy-filter-metadata";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let metadata = request.attribute(METADATA)?;
        let Some(text) = metadata.and_then(|bytes| String::from_utf8(bytes).ok()) else {
            return Ok(Flow::Continue);
        };
        let body = format!("Custom response with Envoy metadata: {text:?}\n");
        let reply = LocalReply::new(200).header("powered-by", "proxy-wasm");
        Ok(reply.header("uppercased-metadata", text).body(body).into())
    }
}

legation::register!(Metadata);

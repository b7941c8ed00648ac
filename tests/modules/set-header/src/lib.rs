//! A filter that sets one request header, always the same.

use legation::config::{ConfigErrors, NoConfig};
use legation::http::HeaderName;
use legation::{Configure, Flow, HttpFilter, RequestHeaders, Result};

/// The filter.
#[derive(Debug)]
pub struct SetHeader;

#[legation::filter]
impl HttpFilter for SetHeader {
    const NAME: &'static str = "set-header";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        const NAME: HeaderName = HeaderName::from_static("x-envoy-plugin");
        request.headers().set(&NAME, "header-tag")?;
        Ok(Flow::Continue)
    }
}

legation::register!(SetHeader);

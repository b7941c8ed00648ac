//! Adds a header with a configured value to every response.

use legation::config::{ConfigErrors, HeaderValue};
use legation::http::HeaderName;
use legation::{Configure, Flow, HttpFilter, ResponseHeaders, Result};

/// The filter: the header's value.
#[derive(Debug)]
pub struct HttpConfig(HeaderValue);

#[legation::filter]
impl HttpFilter for HttpConfig {
    const NAME: &'static str = "http-config";
    type Config = HeaderValue;
    type Stream = ();

    fn configure(value: HeaderValue, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self(value))
    }

    fn on_response_headers(&self, (): &mut (), response: &mut ResponseHeaders) -> Result<Flow> {
        let name = HeaderName::from_static("custom-header");
        response.headers().append(&name, &*self.0)?;
        Ok(Flow::Continue)
    }
}

legation::register!(HttpConfig);

//! When things happen.

use legation::config::ConfigErrors;
use legation::http::HeaderName;
use legation::metrics::Counter;
use legation::{Configure, Flow, HttpFilter, LocalReply, RequestHeaders, Result};

use crate::config::Config;

/// The filter. Made once for each configuration, on each worker.
#[derive(Debug)]
pub struct NewFilter {
    required: HeaderName,
    refused: Counter,
}

#[legation::filter]
impl HttpFilter for NewFilter {
    const NAME: &'static str = "new-filter";
    type Config = Config;
    // What is remembered from one callback of a request to the next.
    type Stream = ();

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self {
            required: config.required_header.into_inner(),
            refused: host.counter("refused"),
        })
    }

    // Envoy calls the callbacks that are written here, and no others.
    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let name = self.required.as_str();
        // What `?` returns has the request refused: a filter that fails, fails closed.
        let value = request.headers().get(name)?;
        if value.is_some_and(|value| !value.is_empty()) {
            return Ok(Flow::Continue);
        }
        self.refused.increment();
        log::info!(header = name; "request refused: it lacks a header");
        let reply = LocalReply::new(400)
            .body(format!("the header `{name}` is missing\n"))
            .details("new_filter_header_missing");
        Ok(reply.into())
    }
}

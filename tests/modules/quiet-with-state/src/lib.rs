//! A filter that has a configuration and remembers something of each request,
//! and does nothing else.

use legation::config::{ConfigErrors, NoConfig};
use legation::{Configure, Flow, HttpFilter, RequestHeaders, Result};

/// The filter.
#[derive(Debug)]
pub struct QuietWithState {
    mark: u64,
}

/// What the filter remembers of a request.
#[derive(Debug, Default)]
pub struct Stream {
    mark: u64,
}

#[legation::filter]
impl HttpFilter for QuietWithState {
    const NAME: &'static str = "quiet-with-state";
    type Config = NoConfig;
    type Stream = Stream;

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self { mark: 1 })
    }

    fn on_request_headers(&self, stream: &mut Stream, _: &mut RequestHeaders) -> Result<Flow> {
        stream.mark = self.mark;
        Ok(Flow::Continue)
    }
}

legation::register!(QuietWithState);

//! A filter that does nothing at the request's headers, and could await something there.

use legation::config::{ConfigErrors, NoConfig};
use legation::{Configure, Flow, HttpFilter, RequestHeaders, Result};

/// The filter.
#[derive(Debug)]
pub struct Quiet;

#[legation::filter]
impl HttpFilter for Quiet {
    const NAME: &'static str = "quiet-async";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    async fn on_request_headers(&self, (): &mut (), _: &mut RequestHeaders) -> Result<Flow> {
        Ok(Flow::Continue)
    }
}

legation::register!(Quiet);

//! A filter that lets requests pass at once, and could await something.

use legation::config::{ConfigErrors, NoConfig};
use legation::{Configure, Flow, HttpFilter, RequestHeaders, Result};

/// The filter.
#[derive(Debug)]
pub struct Quiet;

#[legation::filter]
impl HttpFilter for Quiet {
    const NAME: &'static str = "quiet-at-once";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn on_request_headers_at_once(
        &self,
        (): &mut (),
        _: &mut RequestHeaders,
    ) -> Option<Result<Flow>> {
        Some(Ok(Flow::Continue))
    }

    async fn on_request_headers(&self, (): &mut (), _: &mut RequestHeaders) -> Result<Flow> {
        Ok(Flow::Continue)
    }
}

legation::register!(Quiet);

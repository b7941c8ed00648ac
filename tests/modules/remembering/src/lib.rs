//! A filter that is not told when a stream ends, and shows how many it
//! remembers.

use legation::config::{ConfigErrors, NoConfig};
use legation::metrics::Gauge;
use legation::{Configure, Flow, HttpFilter, RequestHeaders, ResponseHeaders, Result};

/// The filter.
#[derive(Debug)]
pub struct Remembering {
    remembered: Gauge,
}

/// One more remembered, until dropped.
#[derive(Debug, Default)]
pub struct Remembered(Option<Gauge>);

impl Drop for Remembered {
    fn drop(&mut self) {
        if let Some(gauge) = self.0 {
            gauge.add(-1);
        }
    }
}

#[legation::filter]
impl HttpFilter for Remembering {
    const NAME: &'static str = "remembering";
    type Config = NoConfig;
    type Stream = Remembered;

    fn configure(_: NoConfig, host: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self {
            remembered: host.gauge("remembered"),
        })
    }

    fn on_request_headers(
        &self,
        stream: &mut Remembered,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        self.remembered.add(1);
        stream.0 = Some(self.remembered);
        if request.path()? == Some(b"/finish") {
            return Ok(Flow::Finish);
        }
        Ok(Flow::Continue)
    }

    fn on_response_headers(
        &self,
        _: &mut Remembered,
        response: &mut ResponseHeaders,
    ) -> Result<Flow> {
        response
            .headers()
            .set(&legation::http::header::VIA, "remembering")?;
        Ok(Flow::Continue)
    }
}

legation::register!(Remembering);

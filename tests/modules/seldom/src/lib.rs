//! A filter that seldom waits. A request with `x-wait: PATH` waits for an answer of the
//! cluster `other` to that path, and is then refused if it has `x-refuse`; every other
//! passes at once.

use legation::callout::HttpRequest;
use legation::config::{ConfigErrors, NoConfig};
use legation::metrics::Gauge;
use legation::{Configure, Flow, HttpFilter, LocalReply, RequestHeaders, Result};

/// The filter.
#[derive(Debug)]
pub struct Seldom {
    waiting: Gauge,
}

/// Counts a callback that waits.
struct Waiting<'a>(&'a Gauge);

impl<'a> Waiting<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        gauge.add(1);
        Self(gauge)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

#[legation::filter]
impl HttpFilter for Seldom {
    const NAME: &'static str = "seldom";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, host: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self {
            waiting: host.gauge("waiting"),
        })
    }

    fn on_request_headers_at_once(
        &self,
        (): &mut (),
        request: &mut RequestHeaders,
    ) -> Option<Result<Flow>> {
        match request.headers().contains("x-wait") {
            Ok(true) => None,
            Ok(false) => Some(Ok(Flow::Continue)),
            Err(error) => Some(Err(error.into())),
        }
    }

    async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let path = request.headers().get("x-wait")?.unwrap_or_default();
        let path = String::from_utf8_lossy(path).into_owned();
        let waiting = Waiting::new(&self.waiting);
        let answer = HttpRequest::get("other", path.as_str()).send().await?;
        drop(waiting);
        if request.headers().contains("x-refuse")? {
            return Ok(LocalReply::new(403).body(answer.body().to_vec()).into());
        }
        Ok(Flow::Continue)
    }
}

legation::register!(Seldom);

//! When things happen.

use std::time::Duration;

use legation::callout::HttpRequest;
use legation::config::ConfigErrors;
use legation::http::HeaderName;
use legation::matcher::{self, Matcher};
use legation::metrics::Counter;
use legation::{Configure, Flow, HttpFilter, LocalReply, RequestHeaders, Result};

use crate::config::Config;

/// Lets in whoever has a key that a service knows.
#[derive(Debug)]
pub struct Tutorial {
    header: HeaderName,
    cluster: String,
    timeout: Duration,
    open: Option<Matcher>,
    refused: Counter,
}

#[legation::filter]
impl HttpFilter for Tutorial {
    const NAME: &'static str = "tutorial";
    type Config = Config;
    type Stream = ();

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self {
            timeout: config.timeout(),
            header: config.header.into_inner(),
            cluster: config.cluster.as_str().to_owned(),
            open: config.open.0,
            refused: host.counter("refused"),
        })
    }

    async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        if self.is_open(request)? {
            return Ok(Flow::Continue);
        }
        let Some(key) = request.headers().get(self.header.as_str())? else {
            return Ok(self.refuse(401, "a key is missing"));
        };
        let question = HttpRequest::get(self.cluster.as_str(), "/check")
            .header("x-key", key)
            .timeout(self.timeout);
        match question.send().await {
            Ok(answer) if answer.status() == 200 => Ok(Flow::Continue),
            Ok(answer) if answer.status() == 404 => Ok(self.refuse(403, "the key is unknown")),
            _ => Ok(self.refuse(503, "keys cannot be checked now")),
        }
    }
}

impl Tutorial {
    /// Whether the request needs no key. One whose path servers read in several ways does.
    fn is_open(&self, request: &mut RequestHeaders) -> Result<bool> {
        let Some(open) = &self.open else {
            return Ok(false);
        };
        let mut request = matcher::Request::new(request);
        Ok(open.matches(&mut request)? && request.other_readings()?.is_empty())
    }

    fn refuse(&self, status: u16, why: &'static str) -> Flow {
        self.refused.increment();
        log::info!(status; "request refused: {why}");
        LocalReply::new(status).body(format!("{why}\n")).into()
    }
}

//! Replaces response bodies that hold a secret.

use legation::config::{ConfigErrors, NoConfig};
use legation::http::header::CONTENT_LENGTH;
use legation::{Configure, Flow, HttpFilter, ResponseBody, ResponseHeaders, Result};

/// The filter.
#[derive(Debug)]
pub struct HttpBody;

#[legation::filter]
impl HttpFilter for HttpBody {
    const NAME: &'static str = "http-body";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn on_response_headers(&self, (): &mut (), response: &mut ResponseHeaders) -> Result<Flow> {
        // The body may become another, and the headers go before it.
        response.headers().remove(&CONTENT_LENGTH)?;
        Ok(Flow::Continue)
    }

    fn on_response_body(&self, (): &mut (), body: &mut ResponseBody) -> Result<Flow> {
        if !body.is_end_of_stream() {
            // Held by Envoy, until all of it is there.
            return Ok(Flow::Pause);
        }
        let size = body.size();
        let text = body.read(0, size)?;
        if text.windows(6).any(|word| word == b"secret") {
            let notice = format!("Original message body ({size} bytes) redacted.\n");
            body.replace(notice.as_bytes())?;
        }
        Ok(Flow::Continue)
    }
}

legation::register!(HttpBody);

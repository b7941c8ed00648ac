//! Logs the headers of requests and responses, and answers `/hello` itself.

use legation::config::{ConfigErrors, NoConfig};
use legation::{
    Configure, Flow, HttpFilter, LocalReply, RequestHeaders, ResponseHeaders, Result, StreamLog,
};

/// The filter.
#[derive(Debug)]
pub struct HttpHeaders;

#[legation::filter]
impl HttpFilter for HttpHeaders {
    const NAME: &'static str = "http-headers";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        for (name, value) in request.headers().all()? {
            log::info!("-> {}: {}", name.escape_ascii(), value.escape_ascii());
        }
        if request.path()? != Some(b"/hello") {
            return Ok(Flow::Continue);
        }
        let reply = LocalReply::new(200).header("hello", "World");
        let reply = reply.header("powered-by", "proxy-wasm");
        Ok(reply.body("Hello, World!\n").into())
    }

    fn on_response_headers(&self, (): &mut (), response: &mut ResponseHeaders) -> Result<Flow> {
        for (name, value) in response.headers().all()? {
            log::info!("<- {}: {}", name.escape_ascii(), value.escape_ascii());
        }
        Ok(Flow::Continue)
    }

    fn on_log(&self, (): &mut (), _: &mut StreamLog) {
        log::info!("completed.");
    }
}

legation::register!(HttpHeaders);

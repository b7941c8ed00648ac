//! Lets requests through by what an HTTP callout answers: a byte that is even.

use std::time::Duration;

use legation::callout::HttpRequest;
use legation::config::{ConfigErrors, NoConfig};
use legation::http::HeaderName;
use legation::{Configure, Flow, HttpFilter, LocalReply, RequestHeaders, ResponseHeaders, Result};

/// The filter.
#[derive(Debug)]
pub struct HttpAuthRandom;

#[legation::filter]
impl HttpFilter for HttpAuthRandom {
    const NAME: &'static str = "http-auth-random";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    async fn on_request_headers(&self, (): &mut (), _: &mut RequestHeaders) -> Result<Flow> {
        let callout = HttpRequest::get("httpbin", "/bytes/1").authority("httpbin.org");
        let answer = callout.timeout(Duration::from_secs(1)).send().await;
        if answer.is_ok_and(|it| it.body().first().is_some_and(|byte| byte % 2 == 0)) {
            log::info!("Access granted.");
            return Ok(Flow::Continue);
        }
        log::info!("Access forbidden.");
        Ok(LocalReply::new(403).body("Access forbidden.\n").into())
    }

    // Of local replies too.
    fn on_response_headers(&self, (): &mut (), response: &mut ResponseHeaders) -> Result<Flow> {
        let name = HeaderName::from_static("powered-by");
        response.headers().set(&name, "proxy-wasm")?;
        Ok(Flow::Continue)
    }
}

legation::register!(HttpAuthRandom);

//! A suite of two filters: one that marks messages, and one that asks another
//! service about each request first.

use deserr::Deserr;
use legation::callout::HttpRequest;
use legation::config::ConfigErrors;
use legation::http::HeaderName;
use legation::{
    Configure, Flow, HttpFilter, LocalReply, RequestHeaders, ResponseHeaders, Result, Suite,
    filters,
};

const X_ORDER: HeaderName = HeaderName::from_static("x-order");

/// What users of [`Mark`] write.
#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct MarkConfig {
    mark: String,
}

/// Appends a mark to a header of each message.
#[derive(Debug)]
pub struct Mark(String);

#[legation::filter]
impl HttpFilter for Mark {
    const NAME: &'static str = "mark";
    type Config = MarkConfig;
    type Stream = ();

    fn configure(config: MarkConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self(config.mark))
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        request.headers().append(&X_ORDER, &self.0)?;
        Ok(Flow::Continue)
    }

    fn on_response_headers(&self, (): &mut (), response: &mut ResponseHeaders) -> Result<Flow> {
        response.headers().append(&X_ORDER, &self.0)?;
        Ok(Flow::Continue)
    }
}

/// What users of [`Ask`] write.
#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct AskConfig {
    cluster: String,
}

/// Asks a service, which says by its status whether a request may pass.
#[derive(Debug)]
pub struct Ask(String);

#[legation::filter]
impl HttpFilter for Ask {
    const NAME: &'static str = "ask";
    type Config = AskConfig;
    type Stream = ();

    fn configure(config: AskConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self(config.cluster))
    }

    async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let path = request.path()?.unwrap_or(b"/").to_vec();
        let answer = HttpRequest::get(&self.0, path).send().await?;
        if answer.status() != 200 {
            return Ok(LocalReply::new(403).into());
        }
        request.headers().append(&X_ORDER, answer.into_body())?;
        Ok(Flow::Continue)
    }
}

/// The two, in any order and number.
pub type Mixed = Suite<filters![Mark, Ask]>;

legation::register!(Mixed);

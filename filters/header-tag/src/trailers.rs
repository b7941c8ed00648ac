//! The filter for configurations that change trailers too. Envoy tells it of each trailer's
//! coming and of every stream's end, which is why it is a module of its own.

use legation::config::ConfigErrors;
use legation::headers::HeaderList;
use legation::{
    Configure, Flow, HttpFilter, RequestHeaders, RequestTrailers, ResponseHeaders,
    ResponseTrailers, Result,
};

use crate::block::Block;
use crate::config::Config;
use crate::filter::{HeaderTag, Stream};

/// [`HeaderTag`] with trailers.
pub struct TrailersTag(HeaderTag);

/// What is remembered of a request where a rule is to change what comes later.
#[derive(Debug, Default)]
pub struct TrailersStream {
    stream: Stream,
    /// The response's headers, where a trailer is made of them.
    response: Option<HeaderList>,
}

#[legation::filter]
impl HttpFilter for TrailersTag {
    const NAME: &'static str = HeaderTag::NAME;
    const REMOTE_CONFIG: bool = true;
    type Config = Config;
    type Stream = TrailersStream;

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self(HeaderTag::new(config, host)))
    }

    fn on_request_headers(
        &self,
        stream: &mut TrailersStream,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        self.0.tag_request(&mut stream.stream, request)
    }

    fn on_request_trailers(
        &self,
        stream: &mut TrailersStream,
        request: &mut RequestTrailers,
    ) -> Result<Flow> {
        self.0.tag_request_trailers(&stream.stream, request)
    }

    fn on_response_headers(
        &self,
        stream: &mut TrailersStream,
        response: &mut ResponseHeaders,
    ) -> Result<Flow> {
        let flow = self.0.tag_response(&stream.stream, response)?;
        let mut trailers = self.0.for_response_trailers(&stream.stream).peekable();
        if trailers.peek().is_none() {
            return Ok(flow);
        }
        if response.is_trailers_only()? {
            return self.0.tag_response_trailers(&stream.stream, response);
        }
        if !response.is_end_of_stream() && trailers.any(Block::asks_for_the_response) {
            stream.response = Some(response.copy_headers()?);
        }
        Ok(flow)
    }

    fn on_response_trailers(
        &self,
        stream: &mut TrailersStream,
        response: &mut ResponseTrailers,
    ) -> Result<Flow> {
        if let Some(headers) = stream.response.take() {
            response.remember_headers(headers);
        }
        self.0.tag_response_trailers(&stream.stream, response)
    }

    fn on_tick(&self) {
        self.0.flush_counts();
    }
}

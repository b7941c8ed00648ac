//! A filter that holds, replaces and streams bodies as a request's headers say:
//!
//! - `x-request: buffer BYTES` waits for the whole body; `x-request: replace BYTES
//!   SIZE` puts `SIZE` bytes in its place.
//! - `x-request: stream` puts every byte there twice, piece by piece.
//! - `x-response` says the same of the response.
//!
//! The path `/memory` is answered by the number of the module's pages.

use deserr::Deserr;
use legation::config::ConfigErrors;
use legation::http::HeaderName;
use legation::{
    Configure, Error, Flow, HttpFilter, LocalReply, RequestBody, RequestHeaders, ResponseBody,
    ResponseHeaders, Result,
};

/// What a test configures.
#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Config {
    /// What the plugin says in Envoy's configuration.
    #[deserr(default)]
    allow_on_headers_stop_iteration: bool,
}

/// The filter.
#[derive(Debug)]
pub struct Bodies;

/// What is done with a body.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Wish {
    #[default]
    Nothing,
    /// The whole body, of so many bytes at most.
    Buffer(usize),
    /// The whole body, and then another one of this size.
    Replace(usize, usize),
    /// Every byte twice, piece by piece.
    Stream,
}

impl Wish {
    fn read(text: Option<&[u8]>) -> Result<Self> {
        let text = String::from_utf8_lossy(text.unwrap_or_default()).into_owned();
        let words = text.split_whitespace().collect::<Vec<_>>();
        let number = |word: &str| word.parse().ok();
        let wish = match words.as_slice() {
            [] => Some(Self::Nothing),
            ["buffer", most] => number(most).map(Self::Buffer),
            ["replace", most, size] => number(most)
                .zip(number(size))
                .map(|(most, size)| Self::Replace(most, size)),
            ["stream"] => Some(Self::Stream),
            _ => None,
        };
        wish.ok_or_else(|| Error::other(format!("`{text}`?")))
    }
}

/// What a request asked for.
#[derive(Debug, Default)]
pub struct Stream {
    request: Wish,
    response: Wish,
}

#[legation::filter]
impl HttpFilter for Bodies {
    const NAME: &'static str = "bodies";
    type Config = Config;
    type Stream = Stream;

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        host.allow_on_headers_stop_iteration(config.allow_on_headers_stop_iteration);
        Ok(Self)
    }

    async fn on_request_headers(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        if request.path()? == Some(b"/memory") {
            let pages = memory_pages().to_string();
            return Ok(LocalReply::new(200).body(pages).into());
        }
        stream.request = Wish::read(request.headers().get("x-request")?)?;
        stream.response = Wish::read(request.headers().get("x-response")?)?;
        match stream.request {
            Wish::Nothing => {}
            Wish::Buffer(most) => {
                let body = request.buffer_body(most).await?;
                // Where the headers have gone, nobody is told.
                let _ = request.headers().set(&X_BUFFERED, summary(&body));
            }
            Wish::Replace(most, size) => {
                request.buffer_body(most).await?;
                request.replace_body(vec![b'R'; size])?;
            }
            Wish::Stream => request.remove_content_length()?,
        }
        Ok(Flow::Continue)
    }

    fn on_request_body(&self, stream: &mut Stream, request: &mut RequestBody) -> Result<Flow> {
        if stream.request == Wish::Stream {
            let piece = request.read(0, request.size())?;
            request.replace(&twice(&piece))?;
        }
        Ok(Flow::Continue)
    }

    async fn on_response_headers(
        &self,
        stream: &mut Stream,
        response: &mut ResponseHeaders,
    ) -> Result<Flow> {
        match stream.response {
            Wish::Nothing => {}
            Wish::Buffer(most) => {
                let body = response.buffer_body(most).await?;
                let _ = response.headers().set(&X_BUFFERED, summary(&body));
            }
            Wish::Replace(most, size) => {
                response.buffer_body(most).await?;
                response.replace_body(vec![b'R'; size])?;
            }
            Wish::Stream => response.remove_content_length()?,
        }
        Ok(Flow::Continue)
    }

    fn on_response_body(&self, stream: &mut Stream, response: &mut ResponseBody) -> Result<Flow> {
        if stream.response == Wish::Stream {
            let piece = response.read(0, response.size())?;
            response.replace(&twice(&piece))?;
        }
        Ok(Flow::Continue)
    }
}

legation::register!(Bodies);

const X_BUFFERED: HeaderName = HeaderName::from_static("x-buffered");

/// How long a body is, and what its bytes come to.
fn summary(body: &[u8]) -> String {
    let sum = body.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    format!("{} bytes, sum {sum}", body.len())
}

fn twice(piece: &[u8]) -> Vec<u8> {
    piece.iter().flat_map(|byte| [*byte, *byte]).collect()
}

fn memory_pages() -> usize {
    #[cfg(target_family = "wasm")]
    return core::arch::wasm32::memory_size::<0>();
    #[cfg(not(target_family = "wasm"))]
    return 0;
}

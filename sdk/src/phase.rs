//! What a callback may do: each phase of a stream has a type of its own, so
//! that what Envoy does not allow in a phase does not compile.

mod inbox;
mod view;

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use crate::abi::{self, BufferType, MapType};
use crate::attributes::{self, Attribute, FromAttribute};
use crate::error::{Error, HostError, Result};
use crate::headers::{HeaderList, Headers, HeadersMut};
pub(crate) use inbox::Inbox;

/// What every phase offers.
macro_rules! stream_services {
    () => {
        /// Reads an attribute. One host call.
        pub fn attribute<T: FromAttribute>(
            &self,
            attribute: Attribute<T>,
        ) -> Result<Option<T>, HostError> {
            attribute.read()
        }

        /// Reads an attribute by a dotted path known at configuration, as the
        /// bytes Envoy gives. One host call.
        pub fn attribute_bytes(&self, path: &str) -> Result<Option<Vec<u8>>, HostError> {
            attributes::read_dotted(path)
        }

        /// The client's address, as Envoy believes it. One host call.
        pub fn source_ip(&self) -> Result<Option<IpAddr>, HostError> {
            source_ip()
        }
    };
}

fn source_ip() -> Result<Option<IpAddr>, HostError> {
    let Some(address) = attributes::SOURCE_ADDRESS.read()? else {
        return Ok(None);
    };
    // A client on a Unix domain socket has an address and no IP.
    let Ok(address) = std::str::from_utf8(&address) else {
        return Ok(None);
    };
    let with_port = address.parse().map(|address: SocketAddr| address.ip());
    Ok(with_port.or_else(|_| address.parse()).ok())
}

/// The message's whole body, in the callback of its headers.
macro_rules! whole_body {
    ($buffer:ident) => {
        pub(crate) fn with_inbox(mut self, inbox: Rc<Inbox>) -> Self {
            self.inbox = Some(inbox);
            self
        }

        /// Waits for the whole body and gives it, if it is no larger than
        /// `max_bytes`.
        ///
        /// A larger one is [`Error::BodyTooLarge`]: passed on by `?`, it answers
        /// 413 to a request and 502 in the place of a response; a filter that
        /// would let it pass returns [`Flow::Finish`](crate::Flow::Finish)
        /// instead. A `content-length` that is too large is refused before the
        /// body is awaited. Only in an `async fn`; the callback for the body, if
        /// the filter has one, does not get what was given here.
        ///
        /// Whether the headers wait too is the plugin's to say, see
        /// [`Configure::allow_on_headers_stop_iteration`](crate::Configure::allow_on_headers_stop_iteration).
        /// Where they do not, they go on when this is first awaited: they can be
        /// read after it, and no longer changed.
        ///
        /// Envoy holds the body, within limits of its own
        /// (`per_connection_buffer_limit_bytes`, or `request_body_buffer_limit` of the
        /// route), past which it answers 413 or 500 by itself; where headers that do
        /// not wait were held by a callout before, it then waits until it times out.
        /// Have `max_bytes` below that limit. Host calls: one for headers that were
        /// not read before, and one that copies the body into the module (about
        /// 35 µs a MB).
        pub async fn buffer_body(&mut self, max_bytes: usize) -> Result<Vec<u8>> {
            if self.end_of_stream {
                return Ok(Vec::new());
            }
            let too_large = Error::BodyTooLarge { limit: max_bytes };
            let stated = self.headers.get("content-length")?;
            if stated.is_some_and(|stated| exceeds(stated, max_bytes)) {
                return Err(too_large);
            }
            let Some(inbox) = self.inbox.clone() else {
                return Err(Error::other("a body is awaited in an `async fn` only"));
            };
            let size = Rc::clone(&inbox).whole(max_bytes).await;
            if size > max_bytes {
                // Where it passes all the same, it is for the body's callback.
                inbox.set_taken(false);
                return Err(too_large);
            }
            if size == 0 {
                return Ok(Vec::new());
            }
            let body = abi::buffer(BufferType::$buffer, 0, size)?.unwrap_or_default();
            if body.len() == size {
                Ok(body)
            } else {
                Err(HostError::malformed("proxy_get_buffer_bytes").into())
            }
        }

        /// Puts `bytes` in the place of the body that
        /// [`buffer_body`](Self::buffer_body) gave, and states its length where
        /// a `content-length` stood. One or two host calls.
        ///
        /// Where the headers have gone on, a body of another length is an error
        /// unless [`remove_content_length`](Self::remove_content_length) was
        /// called before.
        pub fn replace_body(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
            let bytes = bytes.as_ref();
            let Some(inbox) = self.inbox.clone().filter(|inbox| inbox.is_taken()) else {
                return Err(Error::other(
                    "a body is replaced after `buffer_body` gave it",
                ));
            };
            if inbox.size() != bytes.len() && self.headers.contains("content-length")? {
                if inbox.is_released() {
                    return Err(Error::other(
                        "the headers have gone on with the length of the former body",
                    ));
                }
                self.headers
                    .set_raw("content-length", bytes.len().to_string().as_bytes())?;
            }
            abi::set_buffer(BufferType::$buffer, 0, inbox.size(), bytes)?;
            inbox.replaced(inbox.size(), bytes.len());
            Ok(())
        }

        /// Whether the body was given since it was left.
        pub(crate) fn has_taken_body(&self) -> bool {
            self.inbox.as_ref().is_some_and(|inbox| inbox.is_taken())
        }

        /// Has the body given to other callbacks, as if it had not been asked for.
        pub(crate) fn leave_body(&self) {
            if let Some(inbox) = &self.inbox {
                inbox.set_taken(false);
            }
        }

        /// Has no other callback get the body.
        pub(crate) fn take_body(&self) {
            if let Some(inbox) = &self.inbox {
                inbox.set_taken(true);
            }
        }

        /// The body, if all of it is here.
        pub(crate) fn whole_body(&self) -> Option<Rc<Inbox>> {
            self.inbox.clone().filter(|inbox| inbox.is_complete())
        }

        /// Takes the body's length out of the headers, so that the callbacks for
        /// the body may change it: it then goes on in chunks. One host call.
        pub fn remove_content_length(&mut self) -> Result<()> {
            self.headers.remove(&http::header::CONTENT_LENGTH)
        }
    };
}

/// Whether a `content-length` states more bytes than `max_bytes`. One that is no
/// number is Envoy's to refuse.
fn exceeds(stated: &[u8], max_bytes: usize) -> bool {
    let stated = std::str::from_utf8(stated).ok();
    let stated = stated.and_then(|stated| stated.parse::<u64>().ok());
    stated.is_some_and(|stated| usize::try_from(stated).map_or(true, |stated| stated > max_bytes))
}

/// The phase of the request's headers.
#[derive(Debug)]
pub struct RequestHeaders {
    headers: HeadersMut,
    end_of_stream: bool,
    inbox: Option<Rc<Inbox>>,
}

impl RequestHeaders {
    pub(crate) const fn new(end_of_stream: bool) -> Self {
        Self {
            headers: HeadersMut::new(MapType::HttpRequestHeaders),
            end_of_stream,
            inbox: None,
        }
    }

    stream_services!();
    whole_body!(HttpRequestBody);

    /// The headers.
    pub fn headers(&mut self) -> &mut HeadersMut {
        &mut self.headers
    }

    /// Has the headers kept for the stream's later callbacks, where the host has
    /// them no more. One host call, or none where they were read before:
    /// what is read is kept.
    pub fn keep_headers(&mut self) -> Result<(), HostError> {
        self.headers.keep()
    }

    pub(crate) fn take_copy(&mut self) -> Option<HeaderList> {
        self.headers.take_copy()
    }

    /// Whether the request ends here, with neither body nor trailers.
    pub fn is_end_of_stream(&self) -> bool {
        self.end_of_stream
    }

    /// `:path`: path and query as the client sent them, after what Envoy's own
    /// normalisation did.
    pub fn path(&mut self) -> Result<Option<&[u8]>, HostError> {
        self.headers.get(":path")
    }

    /// `:method`
    pub fn method(&mut self) -> Result<Option<&[u8]>, HostError> {
        self.headers.get(":method")
    }

    /// `:authority`, also of a request that had `host`.
    pub fn authority(&mut self) -> Result<Option<&[u8]>, HostError> {
        self.headers.get(":authority")
    }

    /// `:scheme`
    pub fn scheme(&mut self) -> Result<Option<&[u8]>, HostError> {
        self.headers.get(":scheme")
    }

    /// Sets `:path`; it starts with `/`. Envoy chooses the route anew.
    pub fn set_path(&mut self, path: impl AsRef<[u8]>) -> Result<()> {
        let path = path.as_ref();
        if path.first() != Some(&b'/') || path.contains(&b' ') {
            return Err(Error::other(
                "a path starts with `/` and holds no white space",
            ));
        }
        self.headers.set_raw(":path", path)
    }

    /// Sets `:method`. Envoy chooses the route anew.
    pub fn set_method(&mut self, method: &http::Method) -> Result<()> {
        self.headers.set_raw(":method", method.as_str().as_bytes())
    }

    /// Sets `:authority`. Envoy chooses the route anew.
    pub fn set_authority(&mut self, authority: &http::uri::Authority) -> Result<()> {
        self.headers
            .set_raw(":authority", authority.as_str().as_bytes())
    }

    /// Whether the client speaks gRPC, by Envoy's measure: `application/grpc` or
    /// `application/grpc+…`. Envoy gives it local replies in gRPC's form.
    pub fn is_grpc(&mut self) -> Result<bool, HostError> {
        let content_type = self.headers.get("content-type")?;
        Ok(content_type.is_some_and(|value| {
            value
                .strip_prefix(b"application/grpc")
                .is_some_and(|rest| matches!(rest.first(), None | Some(b'+')))
        }))
    }
}

/// The phase of the response's headers.
#[derive(Debug)]
pub struct ResponseHeaders {
    request: Option<HeaderList>,
    headers: HeadersMut,
    end_of_stream: bool,
    inbox: Option<Rc<Inbox>>,
}

impl ResponseHeaders {
    pub(crate) const fn new(request: Option<HeaderList>, end_of_stream: bool) -> Self {
        Self {
            request,
            headers: HeadersMut::new(MapType::HttpResponseHeaders),
            end_of_stream,
            inbox: None,
        }
    }

    stream_services!();
    whole_body!(HttpResponseBody);

    /// The headers.
    pub fn headers(&mut self) -> &mut HeadersMut {
        &mut self.headers
    }

    /// The request's headers as
    /// [`on_request_headers`](crate::HttpFilter::on_request_headers) left them.
    /// `None` unless that callback read any of them, or kept them
    /// ([`RequestHeaders::keep_headers`]): Envoy has them no more.
    pub fn request_headers(&self) -> Option<&HeaderList> {
        self.request.as_ref()
    }

    /// The headers as they are by now, for the filter to remember: in the stream's later
    /// callbacks the host has them no more. One host call, or none where they were read
    /// before; and a copy of them.
    pub fn copy_headers(&mut self) -> Result<HeaderList, HostError> {
        self.headers.copy()
    }

    /// Whether the response ends here, with neither body nor trailers.
    pub fn is_end_of_stream(&self) -> bool {
        self.end_of_stream
    }

    /// Whether these headers are a gRPC answer's trailers, as it has nothing else
    /// (`Trailers-Only`). By Envoy's measure: the response ends here, with a `grpc-status`.
    /// One host call where it ends here, or none where the headers were read before.
    pub fn is_trailers_only(&mut self) -> Result<bool, HostError> {
        Ok(self.end_of_stream && self.headers.contains("grpc-status")?)
    }

    /// `:status`. `None` where the host gives no number.
    pub fn status(&mut self) -> Result<Option<u16>, HostError> {
        let status = self.headers.get(":status")?;
        Ok(status.and_then(|status| std::str::from_utf8(status).ok()?.parse().ok()))
    }
}

/// The phase of the request's trailers.
#[derive(Debug)]
pub struct RequestTrailers {
    request: Option<HeaderList>,
    trailers: HeadersMut,
}

/// The phase of the response's trailers.
#[derive(Debug)]
pub struct ResponseTrailers {
    request: Option<HeaderList>,
    response: Option<HeaderList>,
    trailers: HeadersMut,
}

macro_rules! trailers {
    ($phase:ident, $map:ident $(, $more:ident)?) => {
        impl $phase {
            pub(crate) const fn new(request: Option<HeaderList>) -> Self {
                Self {
                    request,
                    $($more: None,)?
                    trailers: HeadersMut::new(MapType::$map),
                }
            }

            stream_services!();

            /// The request's headers as
            /// [`on_request_headers`](crate::HttpFilter::on_request_headers) left them.
            /// `None` unless that callback read any of them, or kept them
            /// ([`RequestHeaders::keep_headers`]): Envoy has them no more.
            pub fn request_headers(&self) -> Option<&HeaderList> {
                self.request.as_ref()
            }

            /// The trailers.
            pub fn trailers(&mut self) -> &mut HeadersMut {
                &mut self.trailers
            }
        }
    };
}

trailers!(RequestTrailers, HttpRequestTrailers);
trailers!(ResponseTrailers, HttpResponseTrailers, response);

impl ResponseTrailers {
    /// Has formats read the response's headers here, as the filter remembers them
    /// ([`ResponseHeaders::copy_headers`]).
    pub fn remember_headers(&mut self, headers: HeaderList) {
        self.response = Some(headers);
    }
}

/// The phase of a piece of the request's body.
#[derive(Debug)]
pub struct RequestBody {
    piece: Piece,
    inbox: Option<Rc<Inbox>>,
}

/// The phase of a piece of the response's body.
#[derive(Debug)]
pub struct ResponseBody {
    piece: Piece,
    inbox: Option<Rc<Inbox>>,
}

/// Where a piece of a body stands in what the host holds.
#[derive(Debug)]
struct Piece {
    offset: usize,
    size: usize,
    end_of_stream: bool,
}

macro_rules! body {
    ($phase:ident, $buffer:ident) => {
        impl $phase {
            pub(crate) const fn new(size: usize, end_of_stream: bool) -> Self {
                Self {
                    piece: Piece {
                        offset: 0,
                        size,
                        end_of_stream,
                    },
                    inbox: None,
                }
            }

            /// Leaves out the bytes before `offset`, which another callback had.
            pub(crate) fn from(mut self, offset: usize) -> Self {
                self.piece.offset = offset;
                self.piece.size = self.piece.size.saturating_sub(offset);
                self
            }

            pub(crate) fn with_inbox(mut self, inbox: Rc<Inbox>) -> Self {
                self.inbox = Some(inbox);
                self
            }

            /// The same body as another piece's.
            pub(crate) fn with_inbox_of(mut self, other: &Self) -> Self {
                self.inbox.clone_from(&other.inbox);
                self
            }

            /// Where the piece starts in what the host holds.
            pub(crate) fn start(&self) -> usize {
                self.piece.offset
            }

            /// Other pieces of the same body have been replaced: the host holds this
            /// many bytes of it now.
            pub(crate) fn resize_to(&mut self, end: usize) {
                self.piece.size = end.saturating_sub(self.piece.offset);
            }

            /// Where the piece ends in what the host holds.
            pub(crate) fn end(&self) -> usize {
                self.piece.offset.saturating_add(self.piece.size)
            }

            stream_services!();

            /// How many bytes are here: this piece and what was held by
            /// [`Flow::Pause`](crate::Flow::Pause) before it.
            pub fn size(&self) -> usize {
                self.piece.size
            }

            /// Whether nothing follows.
            pub fn is_end_of_stream(&self) -> bool {
                self.piece.end_of_stream
            }

            /// Up to `max_size` bytes from `start` on. One host call, which
            /// copies them into the module (about 35 µs a MB), or none where
            /// there are no such bytes.
            pub fn read(&self, start: usize, max_size: usize) -> Result<Vec<u8>, HostError> {
                let max_size = max_size.min(self.piece.size.saturating_sub(start));
                if max_size == 0 {
                    return Ok(Vec::new());
                }
                let start = self.piece.offset.saturating_add(start);
                abi::buffer(BufferType::$buffer, start, max_size)
                    .map(|bytes| bytes.unwrap_or_default())
            }

            /// Puts `bytes` in the place of all that is here. One host call.
            ///
            /// `content-length` is not mended: call `remove_content_length` when
            /// the headers pass.
            pub fn replace(&mut self, bytes: &[u8]) -> Result<(), HostError> {
                let former = self.piece.size;
                if self.piece.offset == 0 {
                    abi::set_buffer(BufferType::$buffer, 0, former, bytes)?;
                } else {
                    // The ABI replaces from the first byte only.
                    let offset = self.piece.offset;
                    let mut all = abi::buffer(BufferType::$buffer, 0, offset)?.unwrap_or_default();
                    all.extend_from_slice(bytes);
                    abi::set_buffer(BufferType::$buffer, 0, self.end(), &all)?;
                }
                if let Some(inbox) = &self.inbox {
                    inbox.replaced(former, bytes.len());
                }
                self.piece.size = bytes.len();
                Ok(())
            }
        }
    };
}

body!(RequestBody, HttpRequestBody);
body!(ResponseBody, HttpResponseBody);

/// The end of a stream, when Envoy writes its access log.
#[derive(Debug)]
pub struct StreamLog {
    request: Headers,
    response: Headers,
}

impl StreamLog {
    pub(crate) const fn new() -> Self {
        Self {
            request: Headers::new(MapType::HttpRequestHeaders),
            response: Headers::new(MapType::HttpResponseHeaders),
        }
    }

    stream_services!();

    /// The request's headers, as they went upstream.
    pub fn request_headers(&mut self) -> &mut Headers {
        &mut self.request
    }

    /// The response's headers. Empty or an error where none were sent.
    pub fn response_headers(&mut self) -> &mut Headers {
        &mut self.response
    }
}

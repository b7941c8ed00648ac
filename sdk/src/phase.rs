//! What a callback may do: each phase of a stream has a type of its own, so
//! that what Envoy does not allow in a phase does not compile.

mod view;

use std::net::{IpAddr, SocketAddr};

use crate::abi::{self, BufferType, MapType};
use crate::attributes::{self, Attribute, FromAttribute};
use crate::error::{Error, HostError, Result};
use crate::headers::{Headers, HeadersMut, RequestCopy};

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

/// The phase of the request's headers.
#[derive(Debug)]
pub struct RequestHeaders {
    headers: HeadersMut,
    end_of_stream: bool,
}

impl RequestHeaders {
    pub(crate) const fn new(end_of_stream: bool) -> Self {
        Self {
            headers: HeadersMut::new(MapType::HttpRequestHeaders),
            end_of_stream,
        }
    }

    stream_services!();

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

    pub(crate) fn into_copy(mut self) -> Option<RequestCopy> {
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
    request: Option<RequestCopy>,
    headers: HeadersMut,
    end_of_stream: bool,
}

impl ResponseHeaders {
    pub(crate) const fn new(request: Option<RequestCopy>, end_of_stream: bool) -> Self {
        Self {
            request,
            headers: HeadersMut::new(MapType::HttpResponseHeaders),
            end_of_stream,
        }
    }

    stream_services!();

    /// The headers.
    pub fn headers(&mut self) -> &mut HeadersMut {
        &mut self.headers
    }

    /// The request's headers as
    /// [`on_request_headers`](crate::HttpFilter::on_request_headers) left them.
    /// `None` unless that callback read any of them, or kept them
    /// ([`RequestHeaders::keep_headers`]): Envoy has them no more.
    pub fn request_headers(&self) -> Option<&RequestCopy> {
        self.request.as_ref()
    }

    /// Whether the response ends here, with neither body nor trailers.
    pub fn is_end_of_stream(&self) -> bool {
        self.end_of_stream
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
    trailers: HeadersMut,
}

/// The phase of the response's trailers.
#[derive(Debug)]
pub struct ResponseTrailers {
    trailers: HeadersMut,
}

macro_rules! trailers {
    ($phase:ident, $map:ident) => {
        impl $phase {
            pub(crate) const fn new() -> Self {
                Self {
                    trailers: HeadersMut::new(MapType::$map),
                }
            }

            stream_services!();

            /// The trailers.
            pub fn trailers(&mut self) -> &mut HeadersMut {
                &mut self.trailers
            }
        }
    };
}

trailers!(RequestTrailers, HttpRequestTrailers);
trailers!(ResponseTrailers, HttpResponseTrailers);

/// The phase of a piece of the request's body.
#[derive(Debug)]
pub struct RequestBody {
    size: usize,
    end_of_stream: bool,
}

/// The phase of a piece of the response's body.
#[derive(Debug)]
pub struct ResponseBody {
    size: usize,
    end_of_stream: bool,
}

macro_rules! body {
    ($phase:ident, $buffer:ident) => {
        impl $phase {
            pub(crate) const fn new(size: usize, end_of_stream: bool) -> Self {
                Self {
                    size,
                    end_of_stream,
                }
            }

            stream_services!();

            /// How many bytes are here: this piece and what was held by
            /// [`Flow::Pause`](crate::Flow::Pause) before it.
            pub fn size(&self) -> usize {
                self.size
            }

            /// Whether nothing follows.
            pub fn is_end_of_stream(&self) -> bool {
                self.end_of_stream
            }

            /// Up to `max_size` bytes from `start` on. One host call, which
            /// copies them into the module (about 35 µs a MB).
            pub fn read(&self, start: usize, max_size: usize) -> Result<Vec<u8>, HostError> {
                abi::buffer(BufferType::$buffer, start, max_size)
                    .map(|bytes| bytes.unwrap_or_default())
            }

            /// Puts `bytes` in the place of all that is here. One host call.
            ///
            /// `content-length` is not mended: remove it when the headers pass.
            pub fn replace(&mut self, bytes: &[u8]) -> Result<(), HostError> {
                abi::set_buffer(BufferType::$buffer, 0, self.size, bytes)?;
                self.size = bytes.len();
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

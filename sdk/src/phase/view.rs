//! What the request matcher and the value expressions read from a phase.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use super::{RequestHeaders, RequestTrailers, ResponseHeaders, ResponseTrailers, source_ip};
use crate::abi;
use crate::error::{Error, Result};
use crate::format::ValueSource;
use crate::format::attributes::Path;
use crate::headers::HeaderList;
use crate::matcher::RequestView;
use crate::random;

impl RequestView for RequestHeaders {
    type Error = Error;

    fn header(&mut self, name: &str) -> Result<Option<&[u8]>> {
        Ok(self.headers.get(name)?)
    }

    fn any_header(&mut self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> Result<bool> {
        Ok(self.headers.get_all(name)?.any(test))
    }

    fn source_address(&mut self) -> Result<Option<IpAddr>> {
        Ok(source_ip()?)
    }

    fn random(&mut self) -> Result<u64> {
        random::next_u64()
    }
}

/// There is no response yet.
impl ValueSource for RequestHeaders {
    fn response_header(&mut self, _: &str) -> Result<Option<&[u8]>> {
        Ok(None)
    }

    fn response_trailer(&mut self, _: &str) -> Result<Option<&[u8]>> {
        Ok(None)
    }

    fn attribute(&mut self, path: &Path) -> Result<Option<Cow<'_, [u8]>>> {
        attribute(path)
    }

    fn now(&mut self) -> Result<Duration> {
        now()
    }
}

/// Phases after the request's headers read the request from its copy: without one, reading
/// is an error.
macro_rules! view_of_copy {
    ($($phase:ident),*) => {
        $(impl RequestView for $phase {
            type Error = Error;

            fn header(&mut self, name: &str) -> Result<Option<&[u8]>> {
                Ok(request(self.request.as_ref())?.get(name))
            }

            fn any_header(
                &mut self,
                name: &str,
                test: &mut dyn FnMut(&[u8]) -> bool,
            ) -> Result<bool> {
                Ok(request(self.request.as_ref())?.get_all(name).any(test))
            }

            fn source_address(&mut self) -> Result<Option<IpAddr>> {
                Ok(source_ip()?)
            }

            fn random(&mut self) -> Result<u64> {
                random::next_u64()
            }
        })*
    };
}

view_of_copy!(RequestTrailers, ResponseHeaders, ResponseTrailers);

impl ValueSource for ResponseHeaders {
    fn response_header(&mut self, name: &str) -> Result<Option<&[u8]>> {
        Ok(self.headers.get(name)?)
    }

    /// They are yet to come, unless they are all there is.
    fn response_trailer(&mut self, name: &str) -> Result<Option<&[u8]>> {
        if self.is_trailers_only()? {
            Ok(self.headers.get(name)?)
        } else {
            Ok(None)
        }
    }

    fn attribute(&mut self, path: &Path) -> Result<Option<Cow<'_, [u8]>>> {
        later_attribute(self.request.as_ref(), path)
    }

    fn now(&mut self) -> Result<Duration> {
        now()
    }
}

/// There is no response yet.
impl ValueSource for RequestTrailers {
    fn request_trailer(&mut self, name: &str) -> Result<Option<&[u8]>> {
        Ok(self.trailers.get(name)?)
    }

    fn response_header(&mut self, _: &str) -> Result<Option<&[u8]>> {
        Ok(None)
    }

    fn response_trailer(&mut self, _: &str) -> Result<Option<&[u8]>> {
        Ok(None)
    }

    fn attribute(&mut self, path: &Path) -> Result<Option<Cow<'_, [u8]>>> {
        later_attribute(self.request.as_ref(), path)
    }

    fn now(&mut self) -> Result<Duration> {
        now()
    }
}

/// The response's headers are gone to the client: there are those that the filter remembers.
impl ValueSource for ResponseTrailers {
    fn response_header(&mut self, name: &str) -> Result<Option<&[u8]>> {
        let headers = self.response.as_ref();
        Ok(headers.and_then(|headers| headers.get(name)))
    }

    fn response_trailer(&mut self, name: &str) -> Result<Option<&[u8]>> {
        Ok(self.trailers.get(name)?)
    }

    fn attribute(&mut self, path: &Path) -> Result<Option<Cow<'_, [u8]>>> {
        later_attribute(self.request.as_ref(), path)
    }

    fn now(&mut self) -> Result<Duration> {
        now()
    }
}

/// An attribute after the request's headers have gone on. What Envoy took from them it has
/// forgotten with them: that is read from the copy.
fn later_attribute<'a>(copy: Option<&'a HeaderList>, path: &Path) -> Result<Option<Cow<'a, [u8]>>> {
    match copy.and_then(|copy| of_request(path, |name| copy.get(name))) {
        Some(value) => Ok(Some(Cow::Borrowed(value))),
        None => attribute(path),
    }
}

/// An attribute that is one of the request's headers, or part of one.
fn of_request<'a>(path: &Path, header: impl Fn(&str) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
    let query = |path: &[u8]| path.iter().position(|byte| *byte == b'?');
    match path.as_bytes() {
        b"request\0path" => header(":path"),
        b"request\0url_path" => {
            let path = header(":path")?;
            path.get(..query(path).unwrap_or(path.len()))
        }
        b"request\0query" => {
            let path = header(":path")?;
            path.get(query(path)?.checked_add(1)?..)
        }
        b"request\0host" => header(":authority"),
        b"request\0scheme" => header(":scheme"),
        b"request\0method" => header(":method"),
        b"request\0referer" => header("referer"),
        b"request\0useragent" => header("user-agent"),
        b"request\0id" => header("x-request-id"),
        _ => None,
    }
}

fn now() -> Result<Duration> {
    Ok(Duration::from_nanos(abi::now_nanoseconds()?))
}

fn request(copy: Option<&HeaderList>) -> Result<&HeaderList> {
    copy.ok_or_else(|| Error::other("the request's headers were not kept"))
}

fn attribute<'a>(path: &Path) -> Result<Option<Cow<'a, [u8]>>> {
    Ok(abi::written_property(path.as_bytes())?.map(Cow::Owned))
}

//! What rules read and change: a message's headers, or its trailers.

use legation::format::ValueSource;
use legation::headers::HeadersMut;
use legation::http::HeaderName;
use legation::{
    RequestHeaders, RequestTrailers, ResponseHeaders, ResponseTrailers, Result, filter_state,
    foreign,
};

/// A request or a response, or the trailers of one. All that is decided goes through this trait, so
/// that it can be tried on a message made of nothing but memory.
///
/// What a value takes from the request, a response has from its request's copy.
pub(crate) trait Message: ValueSource {
    /// Whether a header is there. `alone`: nothing else of the message is read.
    fn contains(&mut self, name: &HeaderName, alone: bool) -> Result<bool, Self::Error>;

    /// Hands over each value of a header.
    fn each_value(
        &mut self,
        name: &HeaderName,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Self::Error>;

    /// Hands over the name of each header, as often as the header is there.
    fn each_name(&mut self, take: &mut dyn FnMut(&[u8])) -> Result<(), Self::Error>;

    /// Puts this value in the place of all there are.
    fn set(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), Self::Error>;

    /// Adds this value to those there are.
    fn append(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), Self::Error>;

    /// Removes every value.
    fn remove(&mut self, name: &HeaderName) -> Result<(), Self::Error>;

    /// Sets the filter state `wasm.NAME`.
    fn set_state(&mut self, name: &str, value: &[u8]) -> Result<(), Self::Error>;

    /// Changes a request's `:path`.
    fn set_path(&mut self, path: &[u8]) -> Result<(), Self::Error>;

    /// Has the route chosen anew.
    fn clear_route_cache(&mut self) -> Result<(), Self::Error>;
}

/// A [`Message`] that is a request.
pub(crate) trait Request: Message {
    /// Keeps its headers, as they are by now, for its response: they will not
    /// be had from the host any more.
    fn keep(&mut self) -> Result<(), Self::Error>;
}

/// A [`Message`] that is a response.
pub(crate) trait Response: Message {
    /// Its status, where it has one.
    fn status(&mut self) -> Result<Option<u16>, Self::Error>;
}

macro_rules! message {
    ($phase:ident, $headers:ident, $set_path:expr) => {
        impl Message for $phase {
            fn contains(&mut self, name: &HeaderName, alone: bool) -> Result<bool> {
                contains(self.$headers(), name, alone)
            }

            fn each_value(&mut self, name: &HeaderName, take: &mut dyn FnMut(&[u8])) -> Result<()> {
                self.$headers().get_all(name.as_str())?.for_each(take);
                Ok(())
            }

            fn set(&mut self, name: &HeaderName, value: &[u8]) -> Result<()> {
                self.$headers().set(name, value)
            }

            fn append(&mut self, name: &HeaderName, value: &[u8]) -> Result<()> {
                self.$headers().append(name, value)
            }

            fn each_name(&mut self, take: &mut dyn FnMut(&[u8])) -> Result<()> {
                self.$headers().all()?.for_each(|(name, _)| take(name));
                Ok(())
            }

            fn remove(&mut self, name: &HeaderName) -> Result<()> {
                self.$headers().remove(name)
            }

            fn set_state(&mut self, name: &str, value: &[u8]) -> Result<()> {
                filter_state::set(name, value)
            }

            fn set_path(&mut self, path: &[u8]) -> Result<()> {
                let set_path: fn(&mut Self, &[u8]) -> Result<()> = $set_path;
                set_path(self, path)
            }

            fn clear_route_cache(&mut self) -> Result<()> {
                Ok(foreign::clear_route_cache()?)
            }
        }
    };
}

message!(RequestHeaders, headers, |request, path| request
    .set_path(path));
// These have none.
message!(RequestTrailers, trailers, |_, _| Ok(()));
message!(ResponseHeaders, headers, |_, _| Ok(()));
message!(ResponseTrailers, trailers, |_, _| Ok(()));

impl Request for RequestHeaders {
    fn keep(&mut self) -> Result<()> {
        Ok(self.keep_headers()?)
    }
}

impl Response for ResponseHeaders {
    fn status(&mut self) -> Result<Option<u16>> {
        Ok(Self::status(self)?)
    }
}

/// A single header is asked for alone: absent, it costs a tenth of what the
/// whole map does. With a second read the map is the cheaper.
fn contains(headers: &mut HeadersMut, name: &HeaderName, alone: bool) -> Result<bool> {
    Ok(if alone {
        headers.peek(name.as_str())?.is_some()
    } else {
        headers.contains(name.as_str())?
    })
}

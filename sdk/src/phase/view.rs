//! What the request matcher and the value expressions read from a phase.

use std::borrow::Cow;
use std::net::IpAddr;

use super::{RequestHeaders, ResponseHeaders, source_ip};
use crate::abi;
use crate::error::{Error, Result};
use crate::format::ValueSource;
use crate::format::attributes::Path;
use crate::headers::HeadersMut;
use crate::matcher::RequestView;
use crate::random;

/// A phase reads the request from one map, the response (if it has come) from
/// another; all else is the same in each.
macro_rules! view {
    ($phase:ident, request: $request:ident, response: $($response:ident)?) => {
        impl RequestView for $phase {
            type Error = Error;

            fn header(&mut self, name: &str) -> Result<Option<&[u8]>> {
                Ok(self.$request.get(name)?)
            }

            fn any_header(
                &mut self,
                name: &str,
                test: &mut dyn FnMut(&[u8]) -> bool,
            ) -> Result<bool> {
                Ok(self.$request.get_all(name)?.any(test))
            }

            fn source_address(&mut self) -> Result<Option<IpAddr>> {
                Ok(source_ip()?)
            }

            fn random(&mut self) -> Result<u64> {
                random::next_u64()
            }
        }

        impl ValueSource for $phase {
            fn response_header(&mut self, name: &str) -> Result<Option<&[u8]>> {
                first([$(&mut self.$response)?], name)
            }

            fn response_trailer(&mut self, _: &str) -> Result<Option<&[u8]>> {
                Ok(None)
            }

            fn attribute(&mut self, path: &Path) -> Result<Option<Cow<'_, [u8]>>> {
                Ok(abi::property(path.as_bytes())?.map(Cow::Owned))
            }
        }
    };
}

view!(RequestHeaders, request: headers, response:);
view!(ResponseHeaders, request: request, response: headers);

/// A header of the map that the phase has, if it has one.
fn first<'a, const MAPS: usize>(
    maps: [&'a mut HeadersMut; MAPS],
    name: &str,
) -> Result<Option<&'a [u8]>> {
    match maps.into_iter().next() {
        Some(headers) => Ok(headers.get(name)?),
        None => Ok(None),
    }
}

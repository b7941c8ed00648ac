//! Header and trailer maps, as bytes.
//!
//! The first read fetches the whole map in one host call and every later read
//! is served from that copy: one fetch of 30 headers costs Envoy about as much
//! as 1.6 reads of a single one. A write is one host call, goes to the host at
//! once, and is seen by the reads that follow. One read is cheaper alone:
//! [`Headers::peek`] for a header that is usually absent, and
//! [`Headers::read_alone`] where nothing else is read.

mod cookies;
mod map;

use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use http::HeaderName;
use http::header::COOKIE;

use crate::abi::{self, MapType};
use crate::error::{Error, HostError, Result};
use map::Map;

pub use cookies::{cookies, unquoted, without_cookies};

/// The headers or trailers of a message, to read.
///
/// Names are compared without regard to case. A header that was sent twice is
/// two headers: nothing here joins values by commas.
#[derive(Debug)]
pub struct Headers {
    kind: MapType,
    copy: Option<Map>,
    /// A header that was read alone, for as long as nothing is written.
    alone: Option<(HeaderName, Option<Vec<u8>>)>,
}

impl Headers {
    pub(crate) const fn new(kind: MapType) -> Self {
        Self {
            kind,
            copy: None,
            alone: None,
        }
    }

    /// The first value of a header, or `None`.
    ///
    /// Where trust hangs on the header, ask [`Headers::get_unique`] instead.
    /// Host calls: one for the first read of the map, none after it.
    pub fn get(&mut self, name: &str) -> Result<Option<&[u8]>, HostError> {
        let is_it = |(own, _): &(HeaderName, _)| own.as_str().eq_ignore_ascii_case(name);
        if self.copy.is_none() && self.alone.as_ref().is_some_and(is_it) {
            let alone = self.alone.as_ref();
            return Ok(alone.and_then(|(_, value)| value.as_deref()));
        }
        Ok(self.map()?.values(name).next())
    }

    /// Every value of a header, in the order they were sent.
    pub fn get_all<'a>(
        &'a mut self,
        name: &str,
    ) -> Result<impl Iterator<Item = &'a [u8]>, HostError> {
        Ok(self.map()?.values(name))
    }

    /// The value of a header that must not be sent more than once.
    pub fn get_unique(&mut self, name: &str) -> Result<Option<&[u8]>> {
        let mut values = self.map()?.values(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Error::other(format!("header `{name}` was sent twice")));
        }
        Ok(first)
    }

    /// Whether a header is there, with any value.
    pub fn contains(&mut self, name: &str) -> Result<bool, HostError> {
        Ok(self.map()?.values(name).next().is_some())
    }

    /// Every header, in the order they were sent.
    pub fn all(&mut self) -> Result<impl Iterator<Item = (&[u8], &[u8])>, HostError> {
        Ok(self.map()?.iter())
    }

    /// How many headers there are, counting each value of a repeated one.
    pub fn len(&mut self) -> Result<usize, HostError> {
        Ok(self.map()?.len())
    }

    /// Whether there are no headers.
    pub fn is_empty(&mut self) -> Result<bool, HostError> {
        Ok(self.len()? == 0)
    }

    /// The value of one header without fetching the map: for a header that is
    /// usually absent, when nothing else is read.
    ///
    /// Host calls: one, about a tenth the price of a map where the header is
    /// absent and two thirds of it where it is there. A repeated header
    /// answers as the host likes: Envoy gives the first value.
    pub fn peek(&mut self, name: &str) -> Result<Option<Vec<u8>>, HostError> {
        match &self.copy {
            Some(map) => Ok(map.values(name).next().map(<[u8]>::to_vec)),
            None => abi::header_map_value(self.kind, name.as_bytes()),
        }
    }

    /// Reads one header without fetching the map, for [`get`](Self::get) to give: where
    /// a filter knows that it reads no other. Another read fetches the map after all.
    ///
    /// Host calls: one, two thirds the price of a map.
    pub fn read_alone(&mut self, name: &HeaderName) -> Result<(), HostError> {
        if self.copy.is_none() {
            let value = abi::header_map_value(self.kind, name.as_str().as_bytes())?;
            self.alone = Some((name.clone(), value));
        }
        Ok(())
    }

    /// The copy, to write what is written to the host.
    fn changed(&mut self) -> Option<&mut Map> {
        self.alone = None;
        self.copy.as_mut()
    }

    fn map(&mut self) -> Result<&Map, HostError> {
        match &mut self.copy {
            Some(map) => Ok(map),
            empty => {
                let pairs = abi::header_map_pairs(self.kind)?.unwrap_or_default();
                let map =
                    Map::decode(pairs).ok_or(HostError::malformed("proxy_get_header_map_pairs"))?;
                Ok(empty.insert(map))
            }
        }
    }
}

/// Headers or trailers that are still on their way, and can be changed.
///
/// Reads are those of [`Headers`].
#[derive(Debug)]
pub struct HeadersMut(Headers);

impl Deref for HeadersMut {
    type Target = Headers;

    fn deref(&self) -> &Headers {
        &self.0
    }
}

impl DerefMut for HeadersMut {
    fn deref_mut(&mut self) -> &mut Headers {
        &mut self.0
    }
}

impl HeadersMut {
    pub(crate) const fn new(kind: MapType) -> Self {
        Self(Headers::new(kind))
    }

    pub(crate) fn keep(&mut self) -> Result<(), HostError> {
        self.0.map().map(|_| ())
    }

    pub(crate) fn copy(&mut self) -> Result<HeaderList, HostError> {
        let map = self.0.map()?.clone();
        Ok(HeaderList(Rc::new(map)))
    }

    /// What was fetched, if anything was.
    pub(crate) fn take_copy(&mut self) -> Option<HeaderList> {
        self.0.copy.take().map(|map| HeaderList(Rc::new(map)))
    }

    /// Sets a header to this one value, whatever was there. One host call.
    pub fn set(&mut self, name: &HeaderName, value: impl AsRef<[u8]>) -> Result<()> {
        self.set_raw(name.as_str(), value.as_ref())
    }

    /// Adds a value to a header, leaving those that are there. One host call.
    ///
    /// Envoy keeps a few headers (such as `content-type`) as one value and
    /// joins what is added to them by a comma.
    pub fn append(&mut self, name: &HeaderName, value: impl AsRef<[u8]>) -> Result<()> {
        let (name, value) = (name.as_str(), value.as_ref());
        check_value(name, value)?;
        abi::add_header_map_value(self.0.kind, name.as_bytes(), value)?;
        if let Some(map) = self.0.changed() {
            map.append(name, value);
        }
        Ok(())
    }

    /// Sets a header if it is there, and tells whether it was.
    pub fn overwrite_if_exists(
        &mut self,
        name: &HeaderName,
        value: impl AsRef<[u8]>,
    ) -> Result<bool> {
        let exists = self.contains(name.as_str())?;
        if exists {
            self.set(name, value)?;
        }
        Ok(exists)
    }

    /// Adds a header unless it is there, and tells whether it was added.
    pub fn add_if_absent(&mut self, name: &HeaderName, value: impl AsRef<[u8]>) -> Result<bool> {
        let absent = !self.contains(name.as_str())?;
        if absent {
            self.append(name, value)?;
        }
        Ok(absent)
    }

    /// Removes every value of a header. One host call.
    pub fn remove(&mut self, name: &HeaderName) -> Result<()> {
        abi::remove_header_map_value(self.0.kind, name.as_str().as_bytes())?;
        if let Some(map) = self.0.changed() {
            map.remove(name.as_str());
        }
        Ok(())
    }

    /// Takes the cookies out whose names `is_taken` holds for, of every `cookie` header.
    ///
    /// Host calls: the map, if it is not fetched; one write where such cookies are there
    /// and one header is left of all, or none.
    pub fn remove_cookies(&mut self, is_taken: impl Fn(&[u8]) -> bool) -> Result<()> {
        let of = |header: &[u8]| without_cookies(header, &is_taken);
        if !self
            .get_all(COOKIE.as_str())?
            .any(|header| of(header).is_some())
        {
            return Ok(());
        }
        let headers = self.get_all(COOKIE.as_str())?;
        let left: Vec<_> = headers
            .map(|header| of(header).unwrap_or_else(|| header.to_vec()))
            .filter(|header| !header.is_empty())
            .collect();
        if let [only] = left.as_slice() {
            return self.set(&COOKIE, only);
        }
        self.remove(&COOKIE)?;
        for header in left {
            self.append(&COOKIE, header)?;
        }
        Ok(())
    }

    /// Puts these headers in the place of all that are there. One host call,
    /// and a dear one: several single writes are usually cheaper.
    ///
    /// On request headers the list must hold the pseudo-headers (`:path`,
    /// `:method`, …) and `x-forwarded-proto` too: without them Envoy finds no
    /// route.
    pub fn replace_all<N: AsRef<str>, V: AsRef<[u8]>>(
        &mut self,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Result<()> {
        let mut map = Map::default();
        for (name, value) in headers {
            let (name, value) = (name.as_ref(), value.as_ref());
            check_name(name.strip_prefix(':').unwrap_or(name))?;
            check_value(name, value)?;
            map.append(name, value);
        }
        let pairs = map
            .encode()
            .ok_or_else(|| Error::other("the headers are larger than the ABI can carry"))?;
        abi::set_header_map_pairs(self.0.kind, &pairs)?;
        self.0.alone = None;
        self.0.copy = Some(map);
        Ok(())
    }

    pub(crate) fn set_raw(&mut self, name: &str, value: &[u8]) -> Result<()> {
        check_value(name, value)?;
        abi::replace_header_map_value(self.0.kind, name.as_bytes(), value)?;
        if let Some(map) = self.0.changed() {
            map.set(name, value);
        }
        Ok(())
    }
}

/// Headers or trailers that the module has for itself: a request's after they
/// have gone on, as the callback that had them left them, or those of an answer
/// to a callout. No host calls, and a clone costs nothing.
#[derive(Debug, Clone)]
pub struct HeaderList(Rc<Map>);

impl HeaderList {
    /// `None` where the bytes are not in the ABI's form.
    pub(crate) fn decode(bytes: Vec<u8>) -> Option<Self> {
        Map::decode(bytes).map(|map| Self(Rc::new(map)))
    }

    /// The first value of a header, or `None`.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.values(name).next()
    }

    /// Every value of a header, in the order they were sent.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.0.values(name)
    }

    /// Every header, in the order they were sent.
    pub fn all(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter()
    }
}

/// RFC 9110, section 5.5: no CR, LF or NUL in a value; other control
/// characters but tab are refused too.
fn check_value(name: &str, value: &[u8]) -> Result<()> {
    if value.iter().all(|&byte| is_value_byte(byte)) {
        return Ok(());
    }
    Err(Error::InvalidHeaderValue {
        name: name.to_owned(),
    })
}

const fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

/// RFC 9110, section 5.1: a name is a token. `HeaderName` checks the same, and
/// brings 12 KB of known names into the module.
fn check_name(name: &str) -> Result<()> {
    let is_token_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_token_byte) {
        return Ok(());
    }
    Err(Error::other(format!("`{name}` is not a header name")))
}

/// A list of headers in the ABI's form, for local replies and callouts.
pub(crate) fn encode<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Vec<u8>> {
    encode_request([], headers)
}

/// As [`encode`], after pseudo-headers, whose names are not checked.
pub(crate) fn encode_request<'a>(
    pseudo: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Vec<u8>> {
    let mut map = Map::default();
    for (name, value) in pseudo {
        check_value(name, value)?;
        map.append(name, value);
    }
    for (name, value) in headers {
        check_name(name)?;
        check_value(name, value)?;
        map.append(name, value);
    }
    map.encode()
        .ok_or_else(|| Error::other("the headers are larger than the ABI can carry"))
}

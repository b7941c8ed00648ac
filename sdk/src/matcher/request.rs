//! What a matcher knows of a request, asked for once.

use std::borrow::Cow;
use std::net::IpAddr;

use super::path::{Ambiguity, normalize_path};
use super::readings::other_readings;

/// A request as matchers and formats look at it.
///
/// Whatever an answer costs (a host call, most often) is paid only by a matcher
/// that asks. An error ends the matching: the caller decides what that means, and
/// a security filter refuses the request.
pub trait RequestView {
    /// Why a fact is not to be had.
    type Error;

    /// The first value of a header, or of a pseudo-header such as `:path`. Names
    /// are in lower case.
    fn header(&mut self, name: &str) -> Result<Option<&[u8]>, Self::Error>;

    /// Whether a test holds for one of a header's values. The test is given each
    /// value on its own, in order, until it holds.
    fn any_header(
        &mut self,
        name: &str,
        test: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<bool, Self::Error>;

    /// The address of the client. [`parse_address`] reads Envoy's
    /// `source.address`.
    fn source_address(&mut self) -> Result<Option<IpAddr>, Self::Error>;

    /// A random number, evenly from all. Asked for once a [`Request`].
    fn random(&mut self) -> Result<u64, Self::Error>;
}

/// Whether it is a preflight of CORS, which carries no credentials (Fetch, section 3.3.5).
pub fn is_cors_preflight<V: RequestView + ?Sized>(view: &mut V) -> Result<bool, V::Error> {
    if view.header(":method")? != Some(b"OPTIONS") {
        return Ok(false);
    }
    let mut has = |name: &str| -> Result<bool, V::Error> {
        Ok(view.header(name)?.is_some_and(|value| !value.is_empty()))
    };
    Ok(has("origin")? && has("access-control-request-method")?)
}

/// The IP address of `10.0.0.1:80`, `[::1]:80` or the like; `None` for what is
/// none, such as the path of a socket.
pub fn parse_address(address: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(address)
        .ok()
        .and_then(crate::format::ip)
}

/// A request with what has been found out about it. One is made for a request
/// and handed to each matcher, so that each fact is worked out once.
#[derive(Debug)]
pub struct Request<'a, V: ?Sized> {
    view: &'a mut V,
    path: Path,
    source: Source,
    random: Option<u64>,
}

#[derive(Debug)]
enum Source {
    Unknown,
    Known(Option<IpAddr>),
}

#[derive(Debug)]
enum Path {
    Unknown,
    Absent,
    /// In normal form as it is, up to this length.
    AsSent(usize),
    Normalized(Vec<u8>),
}

impl<'a, V: RequestView + ?Sized> Request<'a, V> {
    /// A request of which nothing is known yet.
    pub fn new(view: &'a mut V) -> Self {
        Self {
            view,
            path: Path::Unknown,
            source: Source::Unknown,
            random: None,
        }
    }

    /// The request itself.
    pub fn view(&mut self) -> &mut V {
        self.view
    }

    /// The path in [normal form](normalize_path).
    pub fn path(&mut self) -> Result<Option<&[u8]>, V::Error> {
        if matches!(self.path, Path::Unknown) {
            self.path = match self.view.header(":path")?.map(normalize_path) {
                None => Path::Absent,
                Some(Cow::Borrowed(path)) => Path::AsSent(path.len()),
                Some(Cow::Owned(path)) => Path::Normalized(path),
            };
        }
        Ok(match &self.path {
            Path::Unknown | Path::Absent => None,
            Path::AsSent(length) => self
                .view
                .header(":path")?
                .and_then(|raw| raw.get(..*length)),
            Path::Normalized(path) => Some(path),
        })
    }

    /// What servers may make of the path besides: its [other readings](other_readings).
    /// None where the path was not asked for so far, as whatever was found out then
    /// does not depend on it. For an ordinary path it allocates nothing.
    pub fn other_readings(&mut self) -> Result<Vec<Vec<u8>>, V::Error> {
        if matches!(self.path, Path::Unknown) {
            return Ok(Vec::new());
        }
        let raw = self.view.header(":path")?;
        Ok(raw.map(other_readings).unwrap_or_default())
    }

    /// Takes this for the path from now on, in normal form: one of the
    /// [other readings](Self::other_readings). What else is known stays.
    pub fn read_path_as(&mut self, path: Vec<u8>) {
        self.path = Path::Normalized(path);
    }

    /// What may be read differently behind the proxy.
    pub fn path_ambiguity(&mut self) -> Result<Ambiguity, V::Error> {
        let raw = self.view.header(":path")?;
        Ok(raw.map(Ambiguity::of).unwrap_or_default())
    }

    /// The client's address, an IPv4 address mapped into IPv6 as IPv4.
    pub fn source_address(&mut self) -> Result<Option<IpAddr>, V::Error> {
        if let Source::Known(address) = self.source {
            return Ok(address);
        }
        let address = self.view.source_address()?;
        let address = address.map(|address| address.to_canonical());
        self.source = Source::Known(address);
        Ok(address)
    }

    /// The request's random number: the same for each matcher.
    pub fn random(&mut self) -> Result<u64, V::Error> {
        if let Some(random) = self.random {
            return Ok(random);
        }
        let random = self.view.random()?;
        self.random = Some(random);
        Ok(random)
    }
}

//! A request made up for a test, which counts what is asked of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;

use legation::config;
use legation::format::{ValueSource, attributes};
use legation::matcher::{Matcher, Request, RequestView};

/// What a made-up request holds.
#[derive(Debug, Default, Clone)]
pub(super) struct Fake {
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) response: Vec<(String, Vec<u8>)>,
    pub(super) trailers: Vec<(String, Vec<u8>)>,
    pub(super) request_trailers: Vec<(String, Vec<u8>)>,
    pub(super) attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) source: Option<IpAddr>,
    pub(super) random: u64,
    pub(super) asked: Asked,
}

/// How often something was asked for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) headers: usize,
    pub(super) source: usize,
    pub(super) random: usize,
}

impl Fake {
    /// `GET` of a path at `example.com`.
    pub(super) fn get(path: impl AsRef<[u8]>) -> Self {
        Self::default()
            .with(":method", "GET")
            .with(":authority", "example.com")
            .with(":path", path)
    }

    pub(super) fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(super) fn attribute(mut self, path: &str, value: impl AsRef<[u8]>) -> Self {
        let path = path.replace('.', "\0").into_bytes();
        self.attributes.insert(path, value.as_ref().to_vec());
        self
    }

    pub(super) fn passes(&mut self, matcher: &Matcher) -> bool {
        let Ok(passes) = matcher.matches(&mut Request::new(self));
        passes
    }
}

fn first<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a [u8]> {
    let mut values = headers.iter().filter(|(known, _)| known == name);
    values.next().map(|(_, value)| value.as_slice())
}

impl RequestView for Fake {
    type Error = Infallible;

    fn header(&mut self, name: &str) -> Result<Option<&[u8]>, Infallible> {
        self.asked.headers += 1;
        Ok(first(&self.headers, name))
    }

    fn any_header(
        &mut self,
        name: &str,
        test: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<bool, Infallible> {
        self.asked.headers += 1;
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        Ok(values.any(|(_, value)| test(value)))
    }

    fn source_address(&mut self) -> Result<Option<IpAddr>, Infallible> {
        self.asked.source += 1;
        Ok(self.source)
    }

    fn random(&mut self) -> Result<u64, Infallible> {
        self.asked.random += 1;
        Ok(self.random)
    }
}

impl ValueSource for Fake {
    fn response_header(&mut self, name: &str) -> Result<Option<&[u8]>, Infallible> {
        Ok(first(&self.response, name))
    }

    fn request_trailer(&mut self, name: &str) -> Result<Option<&[u8]>, Infallible> {
        Ok(first(&self.request_trailers, name))
    }

    fn response_trailer(&mut self, name: &str) -> Result<Option<&[u8]>, Infallible> {
        Ok(first(&self.trailers, name))
    }

    fn attribute(&mut self, path: &attributes::Path) -> Result<Option<Cow<'_, [u8]>>, Infallible> {
        let value = self.attributes.get(path.as_bytes());
        Ok(value.map(|value| value.as_slice().into()))
    }
}

pub(super) fn matcher(text: &str) -> Matcher {
    config::parse(text.as_bytes()).unwrap_or_else(|errors| panic!("{text}: {errors}"))
}

/// Each request with what is expected of it.
#[track_caller]
pub(super) fn table(text: &str, requests: &mut [(Fake, bool)]) {
    let matcher = matcher(text);
    for (request, expected) in requests {
        assert_eq!(request.passes(&matcher), *expected, "{text}: {request:?}");
    }
}

pub(super) fn paths(text: &str, taken: &[&str], not: &[&str]) {
    let with = |paths: &[&str], expected| {
        let requests = paths.iter().map(|path| (Fake::get(path), expected));
        requests.collect::<Vec<_>>()
    };
    table(text, &mut [with(taken, true), with(not, false)].concat());
}

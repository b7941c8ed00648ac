//! A message made of nothing but memory, for tests.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use legation::config;
use legation::format::ValueSource;
use legation::format::attributes::Path;
use legation::http::HeaderName;
use legation::matcher::RequestView;

use crate::config::Config;
use crate::message::{Message, Request, Response};

/// A request, or a response with its request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fake {
    pub(crate) request: Vec<(String, Vec<u8>)>,
    pub(crate) response: Option<Vec<(String, Vec<u8>)>>,
    pub(crate) random: u64,
    pub(crate) draws: u32,
    /// Whether each `contains` was told that it reads alone.
    pub(crate) alone: Vec<bool>,
    /// Attributes, by their paths joined by dots.
    pub(crate) attributes: Vec<(String, Vec<u8>)>,
    /// `NAME=VALUE` of the filter state that was set, in order.
    pub(crate) states: Vec<String>,
    /// How often the route was to be chosen anew.
    pub(crate) cleared: u32,
    /// The headers as they were kept.
    pub(crate) kept: Option<Vec<String>>,
}

impl Fake {
    pub(crate) fn request(headers: &[(&str, &str)]) -> Self {
        let start = [(":method", "GET"), (":path", "/"), (":authority", "a.test")];
        Self {
            request: owned(&start).chain(owned(headers)).collect(),
            ..Self::default()
        }
    }

    pub(crate) fn response(status: &str, headers: &[(&str, &str)]) -> Self {
        Self {
            response: Some(
                owned(&[(":status", status)])
                    .chain(owned(headers))
                    .collect(),
            ),
            ..Self::request(&[])
        }
    }

    pub(crate) fn path(mut self, path: &str) -> Self {
        self.request.retain(|(name, _)| name != ":path");
        self.request.push((":path".to_owned(), path.into()));
        self
    }

    /// `name: value` of the message's ordinary headers, in order.
    pub(crate) fn headers(&self) -> Vec<String> {
        let headers = self.response.as_ref().unwrap_or(&self.request).iter();
        let headers = headers.filter(|(name, _)| !name.starts_with(':'));
        let line = |(name, value): &(String, Vec<u8>)| {
            format!("{name}: {}", String::from_utf8_lossy(value))
        };
        headers.map(line).collect()
    }

    fn own(&mut self) -> &mut Vec<(String, Vec<u8>)> {
        self.response.as_mut().unwrap_or(&mut self.request)
    }
}

fn owned(headers: &[(&str, &str)]) -> impl Iterator<Item = (String, Vec<u8>)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
    headers.iter().map(owned).collect::<Vec<_>>().into_iter()
}

fn values<'a>(
    headers: &'a [(String, Vec<u8>)],
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> + 'a {
    headers
        .iter()
        .filter(move |(own, _)| own == name)
        .map(|(_, value)| value.as_slice())
}

impl RequestView for Fake {
    type Error = Infallible;

    fn header(&mut self, name: &str) -> Result<Option<&[u8]>, Infallible> {
        let header = self.request.iter().find(|(own, _)| own == name);
        Ok(header.map(|(_, value)| value.as_slice()))
    }

    fn any_header(
        &mut self,
        name: &str,
        test: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<bool, Infallible> {
        Ok(values(&self.request, name).any(test))
    }

    fn source_address(&mut self) -> Result<Option<IpAddr>, Infallible> {
        Ok(Some(IpAddr::from([10, 0, 0, 1])))
    }

    fn random(&mut self) -> Result<u64, Infallible> {
        self.draws = self.draws.saturating_add(1);
        Ok(self.random)
    }
}

impl ValueSource for Fake {
    fn response_header(&mut self, name: &str) -> Result<Option<&[u8]>, Infallible> {
        let header = self.response.iter().flatten().find(|(own, _)| own == name);
        Ok(header.map(|(_, value)| value.as_slice()))
    }

    fn response_trailer(&mut self, _: &str) -> Result<Option<&[u8]>, Infallible> {
        Ok(None)
    }

    fn attribute(&mut self, path: &Path) -> Result<Option<Cow<'_, [u8]>>, Infallible> {
        Ok(match path.as_bytes() {
            b"source\0address" => Some(Cow::Borrowed(b"10.0.0.1:4000")),
            path => {
                let name = String::from_utf8_lossy(path).replace('\0', ".");
                let found = self.attributes.iter().find(|(own, _)| *own == name);
                found.map(|(_, value)| Cow::Borrowed(value.as_slice()))
            }
        })
    }

    fn now(&mut self) -> Result<Duration, Infallible> {
        Ok(Duration::from_millis(1_460_751_420_310))
    }
}

impl Message for Fake {
    fn contains(&mut self, name: &HeaderName, alone: bool) -> Result<bool, Infallible> {
        self.alone.push(alone);
        Ok(values(self.own(), name.as_str()).next().is_some())
    }

    fn each_value(
        &mut self,
        name: &HeaderName,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Infallible> {
        values(self.own(), name.as_str()).for_each(take);
        Ok(())
    }

    fn each_name(&mut self, take: &mut dyn FnMut(&[u8])) -> Result<(), Infallible> {
        let names = self.own().iter();
        names.for_each(|(name, _)| take(name.as_bytes()));
        Ok(())
    }

    fn set_state(&mut self, name: &str, value: &[u8]) -> Result<(), Infallible> {
        let value = String::from_utf8_lossy(value);
        self.states.push(format!("{name}={value}"));
        Ok(())
    }

    fn set_path(&mut self, path: &[u8]) -> Result<(), Infallible> {
        let header = self.request.iter_mut().find(|(name, _)| name == ":path");
        if let Some((_, value)) = header {
            *value = path.to_vec();
        }
        Ok(())
    }

    fn clear_route_cache(&mut self) -> Result<(), Infallible> {
        self.cleared = self.cleared.saturating_add(1);
        Ok(())
    }

    fn set(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), Infallible> {
        self.remove(name)?;
        self.append(name, value)
    }

    fn append(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), Infallible> {
        self.own().push((name.to_string(), value.to_vec()));
        Ok(())
    }

    fn remove(&mut self, name: &HeaderName) -> Result<(), Infallible> {
        self.own().retain(|(own, _)| own != name.as_str());
        Ok(())
    }
}

impl Request for Fake {
    fn keep(&mut self) -> Result<(), Infallible> {
        self.kept = Some(self.headers());
        Ok(())
    }
}

impl Response for Fake {
    fn status(&mut self) -> Result<Option<u16>, Infallible> {
        let status = self.response_header(":status")?;
        Ok(status.and_then(|status| std::str::from_utf8(status).ok()?.parse().ok()))
    }
}

/// A configuration that is right.
pub(crate) fn config(json: &str) -> Config {
    config::parse(json.as_bytes()).unwrap_or_else(|errors| panic!("{json}\n{errors}"))
}

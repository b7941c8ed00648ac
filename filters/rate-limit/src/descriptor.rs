//! What a request is counted under: the descriptors that the actions of
//! `rate_limits` make of it.

mod client;
mod facts;

use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;

use ipnet::IpNet;
use legation::format::{Format, Rendered, ValueSource};
use legation::http::HeaderName;
use legation::matcher;
use smallvec::SmallVec;

use crate::config::{Config, HitsAddend, Origin, Override, RateLimit, Test};
use facts::Facts;

/// As in Envoy.
const MAX_HITS: u32 = 1_000_000_000;

/// What a request is counted under.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) entries: SmallVec<[Entry; 2]>,
    /// How much the request counts.
    pub(crate) hits: u32,
    /// The limit that a rate limit service is told.
    pub(crate) limit: Option<Override>,
}

/// The descriptors of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Descriptors {
    /// Those that it has by its path in normal form, in the order of the configuration.
    first: List,
    /// Those that it has by what else servers make of its path, where they are others.
    others: Vec<List>,
}

type List = SmallVec<[Descriptor; 2]>;

impl Descriptors {
    /// Those by each way to read the path. There is one at least.
    pub(crate) fn readings(&self) -> impl Iterator<Item = &[Descriptor]> {
        let others = self.others.iter().map(|list| &**list);
        std::iter::once(&*self.first).chain(others)
    }

    /// Those by any way to read the path.
    pub(crate) fn all(&self) -> SmallVec<[&Descriptor; 2]> {
        let mut all: SmallVec<_> = self.first.iter().collect();
        for descriptor in self.others.iter().flatten() {
            if !all.contains(&descriptor) {
                all.push(descriptor);
            }
        }
        all
    }
}

/// An entry of a descriptor. Values are whole, however long: two that differ are
/// never one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Rc<str>,
    pub(crate) value: SmallVec<[u8; 24]>,
}

/// The actions, ready to be taken.
#[derive(Debug)]
pub(crate) struct Actions {
    rules: Box<[RateLimit]>,
    trusted_hops: u32,
    lone_header: Option<HeaderName>,
}

impl Actions {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            rules: config.rate_limits.clone().into(),
            trusted_hops: config.xff_num_trusted_hops,
            lone_header: lone_header(&config.rate_limits, config.xff_num_trusted_hops),
        }
    }

    /// The only header that they read, where they read one and that once: it costs less
    /// than all of them.
    pub(crate) fn lone_header(&self) -> Option<&HeaderName> {
        self.lone_header.as_ref()
    }

    /// Makes the descriptors of a request in `out`, which has none. Nothing is asked for
    /// that no action names, and no attribute twice.
    ///
    /// Where servers may read its path in other ways, those that it has then are found
    /// too: `/login;x` would go round a limit of `/login`.
    pub(crate) fn descriptors<V: ValueSource>(
        &self,
        request: &mut matcher::Request<'_, V>,
        out: &mut Descriptors,
    ) -> Result<(), V::Error> {
        let mut maker = Maker {
            facts: Facts::default(),
            client: Client::Unknown,
            trusted_hops: self.trusted_hops,
            text: Vec::new(),
        };
        self.make_all(&mut maker, request, &mut out.first)?;
        for reading in request.other_readings()? {
            request.read_path_as(reading);
            let mut list = List::new();
            self.make_all(&mut maker, request, &mut list)?;
            if list != out.first && !out.others.contains(&list) {
                out.others.push(list);
            }
        }
        Ok(())
    }

    /// Makes those by one way to read the path.
    fn make_all<V: ValueSource>(
        &self,
        maker: &mut Maker,
        request: &mut matcher::Request<'_, V>,
        out: &mut List,
    ) -> Result<(), V::Error> {
        for rate_limit in &self.rules {
            if !rate_limit.matcher.matches(request)? {
                continue;
            }
            // Made where it stays.
            out.push(Descriptor::default());
            let is_made = match out.last_mut() {
                Some(descriptor) => maker.make(rate_limit, request, descriptor)?,
                None => false,
            };
            if !is_made {
                out.pop();
            }
        }
        Ok(())
    }
}

fn lone_header(rules: &[RateLimit], trusted_hops: u32) -> Option<HeaderName> {
    let reads_headers = |format: &Format| format.uses().request_header_reads > 0;
    let mut lone = None;
    for rule in rules {
        let hits = rule.hits_addend.0.as_ref().and_then(HitsAddend::format);
        if rule.matcher.needs().header_reads > 0 || hits.is_some_and(reads_headers) {
            return None;
        }
        for action in &rule.actions {
            let name = match &action.from {
                Origin::Header(name) => name,
                Origin::Attribute(_) | Origin::Claim(..) => continue,
                Origin::RemoteAddress | Origin::MaskedRemoteAddress(..) if trusted_hops == 0 => {
                    continue;
                }
                Origin::Format(format) if !reads_headers(format) => continue,
                _ => return None,
            };
            if lone.replace(name).is_some() {
                return None;
            }
        }
    }
    // Pseudo-headers are none.
    HeaderName::from_bytes(lone?.as_bytes()).ok()
}

/// What is known of a request while its descriptors are made.
struct Maker {
    facts: Facts,
    client: Client,
    trusted_hops: u32,
    /// Room for what formats give.
    text: Vec<u8>,
}

/// The client's address, once it was asked for.
#[derive(Clone, Copy)]
enum Client {
    Unknown,
    Known(Option<IpAddr>),
}

type Value = SmallVec<[u8; 24]>;

impl Maker {
    /// Makes a descriptor, which has no entries yet. Whether there is one.
    fn make<V: ValueSource>(
        &mut self,
        rate_limit: &RateLimit,
        request: &mut matcher::Request<'_, V>,
        out: &mut Descriptor,
    ) -> Result<bool, V::Error> {
        for action in &rate_limit.actions {
            if !self.applies(&action.from, request)? {
                return Ok(false);
            }
            let value = self.value(&action.from, request)?;
            let default = || {
                let default = action.default_value.as_ref()?;
                Some(Value::from_slice(default.as_bytes()))
            };
            // Empty metadata is none, as in Envoy.
            let is_none = |value: &Value| {
                value.is_empty()
                    && !matches!(action.from, Origin::Header(_) | Origin::QueryParameter(_))
            };
            match value.filter(|value| !is_none(value)).or_else(default) {
                Some(value) => out.entries.push(Entry {
                    key: Rc::clone(&action.key),
                    value,
                }),
                None if action.skip_if_absent => {}
                None => return Ok(false),
            }
        }
        if out.entries.is_empty() {
            return Ok(false);
        }
        out.hits = match &rate_limit.hits_addend.0 {
            None => 1,
            Some(addend) => self.hits(addend, request)?,
        };
        out.limit = rate_limit.limit.0;
        Ok(true)
    }

    /// Where a format gives no number it is one. Envoy has no descriptor then, so that
    /// whoever writes `x-cost: free` is not limited.
    fn hits<V: ValueSource>(
        &mut self,
        addend: &HitsAddend,
        request: &mut matcher::Request<'_, V>,
    ) -> Result<u32, V::Error> {
        let Some(format) = addend.format() else {
            return Ok(addend.number().unwrap_or(1));
        };
        Ok(match self.render(format, request)? {
            Rendered::Missing => 1,
            _ => number(&self.text).unwrap_or(1),
        })
    }

    fn value<V: ValueSource>(
        &mut self,
        from: &Origin,
        request: &mut matcher::Request<'_, V>,
    ) -> Result<Option<Value>, V::Error> {
        Ok(match from {
            Origin::Header(name) => request.view().header(name)?.map(Value::from_slice),
            Origin::QueryParameter(name) => {
                let path = request.view().header(":path")?;
                let value = path.and_then(|path| query_parameter(path, name));
                value.map(|value| Value::from_slice(value.as_bytes()))
            }
            Origin::RemoteAddress => self.client(request)?.map(written),
            Origin::MaskedRemoteAddress(v4, v6) => {
                let client = self.client(request)?;
                let network = client.and_then(|address| {
                    let length = if address.is_ipv4() { *v4 } else { *v6 };
                    IpNet::new(address, length).ok()
                });
                network.map(|network| written(network.trunc()))
            }
            Origin::Attribute(path) => {
                let value = self.facts.attribute(request.view(), path)?;
                value.map(Value::from_slice)
            }
            Origin::Claim(path, claim) => self.facts.claim(request.view(), path, claim)?,
            Origin::Template(templates) => {
                let path = request.path()?;
                let value = path.and_then(|path| templates.iter().find_map(|one| one.value(path)));
                value.map(Value::from_slice)
            }
            Origin::Format(format) | Origin::When(_, _, format) => self.format(format, request)?,
        })
    }

    /// Whether the action's test of the request, if it has one, came out as it should.
    fn applies<V: ValueSource>(
        &mut self,
        from: &Origin,
        request: &mut matcher::Request<'_, V>,
    ) -> Result<bool, V::Error> {
        let Origin::When(test, expected, _) = from else {
            return Ok(true);
        };
        let holds = match test {
            Test::Request(matcher) => matcher.matches(request)?,
            Test::RemoteAddress(networks) => {
                // A client without an address is in no network and outside of none.
                let Some(client) = self.client(request)? else {
                    return Ok(false);
                };
                networks.iter().any(|network| network.contains(&client))
            }
        };
        Ok(holds == *expected)
    }

    fn client<V: ValueSource>(
        &mut self,
        request: &mut matcher::Request<'_, V>,
    ) -> Result<Option<IpAddr>, V::Error> {
        if let Client::Known(address) = self.client {
            return Ok(address);
        }
        let address = client::address(request, self.trusted_hops)?;
        self.client = Client::Known(address);
        Ok(address)
    }

    /// `None` where none of the operators in it has a value.
    fn format<V: ValueSource>(
        &mut self,
        format: &Format,
        request: &mut matcher::Request<'_, V>,
    ) -> Result<Option<Value>, V::Error> {
        if let Some(text) = format.as_literal() {
            return Ok(Some(Value::from_slice(text)));
        }
        Ok(match self.render(format, request)? {
            Rendered::Missing => None,
            Rendered::Complete | Rendered::Partial => Some(Value::from_slice(&self.text)),
        })
    }

    fn render<V: ValueSource>(
        &mut self,
        format: &Format,
        request: &mut matcher::Request<'_, V>,
    ) -> Result<Rendered, V::Error> {
        self.text.clear();
        format.render(&mut self.facts.over(request.view()), &mut self.text)
    }
}

fn written(value: impl std::fmt::Display) -> Value {
    Value::from_slice(value.to_string().as_bytes())
}

/// The first parameter of that name, decoded.
fn query_parameter<'a>(path: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
    let path = path.split(|byte| *byte == b'#').next()?;
    let mark = path.iter().position(|byte| *byte == b'?')?;
    let query = path.get(mark.checked_add(1)?..)?;
    let mut parameters = form_urlencoded::parse(query);
    parameters.find_map(|(own, value)| (own == name).then_some(value))
}

/// A number that is not negative, without what follows its point.
fn number(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    whole.parse().ok().filter(|number| *number <= MAX_HITS)
}

#[cfg(test)]
mod tests;

//! Where tokens are in a request: headers, query parameters and cookies.

use std::borrow::Cow;

use legation::headers::{cookies, unquoted};
use legation::http::header::{AUTHORIZATION, HeaderName};
use legation_jose::dpop::Scheme;
use legation_jose::trusted::Lengths;
use smallvec::SmallVec;

use crate::config::Config;

/// The places that tokens are taken from, of all providers.
#[derive(Debug)]
pub(crate) struct Locations {
    /// In the order in which Envoy looks: headers, then parameters, then
    /// cookies, each by name.
    places: Box<[Location]>,
    names: Lengths,
    has_parameters: bool,
    has_cookies: bool,
}

/// A place that tokens are taken from.
#[derive(Debug)]
struct Location {
    place: Place,
    /// The providers that look there, by their number.
    providers: Vec<usize>,
    scheme: Scheme,
}

/// A place that a token came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// A header, after a prefix.
    Header(OrderedName, Box<str>),
    /// A query parameter.
    Parameter(Box<str>),
    /// A cookie.
    Cookie(Box<str>),
}

/// A header's name, ordered as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderedName(pub(crate) HeaderName);

impl PartialOrd for OrderedName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OrderedName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

/// What a request holds.
pub(crate) struct Seen<'a> {
    /// The tokens, in the order in which Envoy looks.
    pub(crate) tokens: SmallVec<[Found<'a>; 2]>,
    pub(crate) beside: Beside<'a>,
}

/// What shows beside a token whose it is.
#[derive(Default)]
pub(crate) struct Beside<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) scheme: &'a [u8],
    pub(crate) authority: &'a [u8],
    pub(crate) path: &'a [u8],
    pub(crate) proofs: SmallVec<[&'a [u8]; 1]>,
    pub(crate) forwarded_certificates: SmallVec<[&'a [u8]; 1]>,
}

/// A token of a request, unread.
pub(crate) struct Found<'a> {
    /// The number of its location.
    pub(crate) location: usize,
    /// What stands there.
    pub(crate) text: Cow<'a, [u8]>,
}

impl Locations {
    pub(crate) fn new(config: &Config) -> Self {
        let mut places: Vec<Location> = Vec::new();
        let mut add = |place: Place, provider: usize| match places
            .iter_mut()
            .find(|known| known.place == place)
        {
            Some(known) if known.providers.contains(&provider) => {}
            Some(known) => known.providers.push(provider),
            None => places.push(Location {
                scheme: place.scheme(),
                place,
                providers: vec![provider],
            }),
        };
        for (number, (_, provider)) in config.providers.iter().enumerate() {
            for (name, prefix) in provider.header_locations() {
                add(
                    Place::Header(OrderedName(name.clone()), prefix.into()),
                    number,
                );
            }
            if provider.takes_dpop() {
                let place = Place::Header(OrderedName(AUTHORIZATION), DPOP.into());
                add(place, number);
            }
            for name in provider.parameter_locations() {
                add(Place::Parameter(name.into()), number);
            }
            for name in &provider.from_cookies {
                add(Place::Cookie(name.as_str().into()), number);
            }
        }
        places.sort_by(|one, other| one.place.cmp(&other.place));
        let names = places.iter().filter_map(|location| match &location.place {
            Place::Header(name, _) => Some(name.0.as_str().len()),
            _ => None,
        });
        Self {
            names: names.collect(),
            has_parameters: places
                .iter()
                .any(|location| matches!(location.place, Place::Parameter(_))),
            has_cookies: places
                .iter()
                .any(|location| matches!(location.place, Place::Cookie(_))),
            places: places.into(),
        }
    }

    /// Where a location is.
    pub(crate) fn place(&self, location: usize) -> Option<&Place> {
        self.places.get(location).map(|location| &location.place)
    }

    /// How a token from there is shown.
    pub(crate) fn scheme(&self, location: usize) -> Scheme {
        let location = self.places.get(location);
        location.map_or(Scheme::Elsewhere, |location| location.scheme)
    }

    /// Whether a provider looks at a location.
    pub(crate) fn looks(&self, provider: usize, location: usize) -> bool {
        let location = self.places.get(location);
        location.is_some_and(|location| location.providers.contains(&provider))
    }

    /// Finds the tokens in a request's headers: one pass, and no allocation but
    /// for more than two tokens or an escape within one.
    pub(crate) fn find<'a>(&self, headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Seen<'a> {
        let mut tokens = SmallVec::new();
        let mut beside = Beside::default();
        for (name, value) in headers {
            match name {
                b":path" => {
                    beside.path = value;
                    if self.has_parameters {
                        self.find_parameters(value, &mut tokens);
                    }
                }
                b":method" => beside.method = value,
                b":scheme" => beside.scheme = value,
                b":authority" => beside.authority = value,
                b"dpop" => beside.proofs.push(value),
                b"x-forwarded-client-cert" => beside.forwarded_certificates.push(value),
                b"cookie" if self.has_cookies => self.find_cookies(value, &mut tokens),
                _ => {}
            }
            if self.names.contains(name.len()) {
                self.find_header(name, value, &mut tokens);
            }
        }
        // Envoy's order is that of its locations, not of the request.
        if !tokens.is_sorted_by_key(|found: &Found<'a>| found.location) {
            tokens.sort_by_key(|found| found.location);
        }
        Seen { tokens, beside }
    }

    fn find_header<'a>(&self, name: &[u8], value: &'a [u8], tokens: &mut SmallVec<[Found<'a>; 2]>) {
        for (location, known) in self.places.iter().enumerate() {
            if let Place::Header(own, prefix) = &known.place
                && own.0.as_str().as_bytes().eq_ignore_ascii_case(name)
                && let Some(text) = after(value, prefix, known.scheme == Scheme::Dpop)
            {
                let text = if prefix.is_empty() {
                    text
                } else {
                    text.trim_ascii_start()
                };
                tokens.push(Found {
                    location,
                    text: Cow::Borrowed(text),
                });
            }
        }
    }

    fn find_parameters<'a>(&self, path: &'a [u8], tokens: &mut SmallVec<[Found<'a>; 2]>) {
        for (_, query) in raw_parameters(path) {
            let (name, value) = parameter(query);
            for (location, known) in self.places.iter().enumerate() {
                if matches!(&known.place, Place::Parameter(own) if own.as_bytes() == &*name) {
                    tokens.push(Found {
                        location,
                        text: value.clone(),
                    });
                }
            }
        }
    }

    fn find_cookies<'a>(&self, header: &'a [u8], tokens: &mut SmallVec<[Found<'a>; 2]>) {
        for (name, value) in cookies(header) {
            for (location, known) in self.places.iter().enumerate() {
                if matches!(&known.place, Place::Cookie(own) if own.as_bytes() == name) {
                    tokens.push(Found {
                        location,
                        text: Cow::Borrowed(unquoted(value)),
                    });
                }
            }
        }
    }
}

/// The prefix of bound tokens (RFC 9449, section 7.1).
const DPOP: &str = "DPoP ";

impl Place {
    fn scheme(&self) -> Scheme {
        match self {
            Self::Header(name, prefix) if name.0 == AUTHORIZATION => match &**prefix {
                "Bearer " => Scheme::Bearer,
                DPOP => Scheme::Dpop,
                _ => Scheme::Elsewhere,
            },
            _ => Scheme::Elsewhere,
        }
    }
}

/// What stands after a prefix. Envoy compares `Bearer ` with its case.
fn after<'a>(value: &'a [u8], prefix: &str, ignore_case: bool) -> Option<&'a [u8]> {
    let (start, rest) = value.split_at_checked(prefix.len())?;
    let same = if ignore_case {
        start.eq_ignore_ascii_case(prefix.as_bytes())
    } else {
        start == prefix.as_bytes()
    };
    same.then_some(rest)
}

/// A `:path` without these query parameters, or `None` where it has none of
/// them. What else stands in it stays as it is.
pub(crate) fn path_without(path: &[u8], names: &[&str]) -> Option<Vec<u8>> {
    let (start, end) = query_of(path)?;
    let query = path.get(start..end)?;
    let taken = |part: &[u8]| {
        let (name, _) = parameter(part);
        names.iter().any(|own| own.as_bytes() == &*name)
    };
    if !query.split(|byte| *byte == b'&').any(taken) {
        return None;
    }
    let mut out = Vec::with_capacity(path.len());
    out.extend_from_slice(path.get(..start.saturating_sub(1))?);
    let mut separator = b'?';
    for part in query.split(|byte| *byte == b'&') {
        if !taken(part) {
            out.push(separator);
            out.extend_from_slice(part);
            separator = b'&';
        }
    }
    out.extend_from_slice(path.get(end..)?);
    Some(out)
}

/// Where the query begins (after its mark) and ends.
fn query_of(path: &[u8]) -> Option<(usize, usize)> {
    let end = path.iter().position(|byte| *byte == b'#');
    let end = end.unwrap_or(path.len());
    let mark = path.get(..end)?.iter().position(|byte| *byte == b'?')?;
    Some((mark.checked_add(1)?, end))
}

fn raw_parameters(path: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let query = query_of(path).and_then(|(start, end)| path.get(start..end));
    let parts = query.unwrap_or_default().split(|byte| *byte == b'&');
    parts.enumerate().filter(|(_, part)| !part.is_empty())
}

/// The name and the value of `name=value`, decoded. Nothing is allocated where
/// nothing is escaped.
fn parameter(part: &[u8]) -> (Cow<'_, [u8]>, Cow<'_, [u8]>) {
    match form_urlencoded::parse(part).next() {
        Some((name, value)) => (into_bytes(name), into_bytes(value)),
        None => (Cow::Borrowed(b""), Cow::Borrowed(b"")),
    }
}

fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn text(bytes: Option<Vec<u8>>) -> Option<String> {
        bytes.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn parameters_are_taken_out_of_a_path_and_nothing_else_changes() {
        for (path, expected) in [
            ("/a?t=1", Some("/a")),
            ("/a?t=1&b=2", Some("/a?b=2")),
            ("/a?b=2&t=1", Some("/a?b=2")),
            ("/a?b=%2f&t=1&c&t=2&&d=+", Some("/a?b=%2f&c&&d=+")),
            ("/a?%74=1", Some("/a")),
            ("/a?t", Some("/a")),
            ("/a?t=1#t=2", Some("/a#t=2")),
            ("/a?T=1&tt=2", None),
            ("/a#?t=1", None),
            ("/t=1", None),
            ("", None),
        ] {
            let without = text(path_without(path.as_bytes(), &["t"]));
            assert_eq!(without.as_deref(), expected, "{path}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_prefix_stands_at_the_start() {
        let after = |value: &'static str, ignore_case| {
            let rest = after(value.as_bytes(), "DPoP ", ignore_case)?;
            Some(std::str::from_utf8(rest).unwrap())
        };
        assert_eq!(after("DPoP a", false), Some("a"));
        assert_eq!(after("dpop a", true), Some("a"));
        assert_eq!(after("dpop a", false), None);
        assert_eq!(after("x DPoP a", true), None);
        assert_eq!(after("DPoP", true), None);
    }
}

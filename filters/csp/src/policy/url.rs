use super::host::{HostSource, Port, Scheme};
use super::source::{Keyword, Source};

/// A URL, as far as policies look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    scheme: Scheme,
    /// None of `data:` and the like.
    host: Option<Box<str>>,
    /// None for the scheme's own.
    port: Option<u16>,
    path: Box<str>,
}

impl Url {
    /// Reads an absolute URL, as a browser has written it. Anything else is none; user
    /// information is not known here.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let scheme = Scheme::parse(scheme)?;
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let Some(rest) = rest.strip_prefix("//") else {
            return Some(Self {
                scheme,
                host: None,
                port: None,
                path: rest.into(),
            });
        };
        let (authority, path) = match rest.find('/').and_then(|at| rest.split_at_checked(at)) {
            Some((authority, path)) => (authority, path),
            None => (rest, "/"),
        };
        let (host, port) = match authority.rsplit_once(':') {
            // Not the colons of an address.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
            _ => (authority, None),
        };
        if host.is_empty() || host.contains('@') {
            return None;
        }
        Some(Self {
            port: port.filter(|port| Some(*port) != default_port(scheme.as_str())),
            host: Some(host.to_ascii_lowercase().into()),
            path: path.into(),
            scheme,
        })
    }

    fn effective_port(&self) -> Option<u16> {
        self.port.or_else(|| default_port(self.scheme.as_str()))
    }
}

pub(super) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

impl Source {
    /// Whether a URL is one of this expression, on a page of an origin (section 6.7.2.8).
    pub(super) fn matches(&self, url: &Url, origin: &Url, redirected: bool) -> bool {
        match self {
            Self::Any => {
                // A socket's scheme is `http` or `https` by the time a policy is asked.
                let of_http = matches!(url.scheme.as_str(), "http" | "https" | "ws" | "wss");
                of_http || url.scheme == origin.scheme
            }
            Self::Scheme(scheme) => scheme_matches(scheme.as_str(), url.scheme.as_str()),
            Self::Host(host) => host.matches(url, origin, redirected),
            Self::Keyword(Keyword::Own) => is_own(url, origin),
            _ => false,
        }
    }
}

/// `scheme-part` matching (section 6.7.2.9): itself, and what is safer.
pub(super) fn scheme_matches(scheme: &str, url: &str) -> bool {
    scheme == url
        || matches!(
            (scheme, url),
            ("http" | "wss", "https") | ("ws", "wss" | "http" | "https")
        )
}

/// `'self'`
fn is_own(url: &Url, origin: &Url) -> bool {
    let same_port = url.effective_port() == origin.effective_port();
    if url.host.is_none() || url.host != origin.host {
        return false;
    }
    if url.scheme == origin.scheme && same_port {
        return true;
    }
    let safe = match url.scheme.as_str() {
        "https" | "wss" => true,
        "http" | "ws" => origin.scheme.as_str() == "http",
        _ => false,
    };
    safe && (same_port || url.port.is_none() && origin.port.is_none())
}

impl HostSource {
    fn matches(&self, url: &Url, origin: &Url, redirected: bool) -> bool {
        let Some(host) = &url.host else {
            return false;
        };
        let scheme = self.scheme.as_ref().unwrap_or(&origin.scheme);
        let port = match self.port {
            Some(Port::Any) => true,
            Some(Port::Number(port)) => url.effective_port() == Some(port),
            None => url.port.is_none(),
        };
        let path = self.path.as_deref().filter(|_| !redirected);
        scheme_matches(scheme.as_str(), url.scheme.as_str())
            && self.host.matches(host)
            && port
            && path.is_none_or(|path| path_matches(path, &url.path))
    }
}

/// `path-part` matching (section 6.7.2.12).
pub(super) fn path_matches(pattern: &str, path: &str) -> bool {
    if pattern.is_empty() || pattern == "/" && path.is_empty() {
        return true;
    }
    let mut pieces = path.split('/');
    let (above, takes_all_below) = match pattern.strip_suffix('/') {
        Some(above) => (above, true),
        None => (pattern, false),
    };
    let mut patterns = above.split('/');
    let alike = patterns.all(|pattern| {
        let piece = pieces.next();
        piece.is_some_and(|piece| decoded(pattern).eq(decoded(piece)))
    });
    // Below `/a/` is `/a/`, and is not `/a`.
    alike && takes_all_below == pieces.next().is_some()
}

/// The bytes of a text, percent-decoded.
fn decoded(text: &str) -> impl Iterator<Item = u8> {
    percent_decode(text.as_bytes()).into_iter()
}

fn percent_decode(mut bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    while let Some((&first, rest)) = bytes.split_first() {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let escape = match rest {
            [high, low, rest @ ..] if first == b'%' => {
                digit(*high).zip(digit(*low)).map(|pair| (pair, rest))
            }
            _ => None,
        };
        bytes = rest;
        decoded.push(match escape {
            Some(((high, low), rest)) => {
                bytes = rest;
                u8::try_from(high << 4 | low).unwrap_or(first)
            }
            None => first,
        });
    }
    decoded
}

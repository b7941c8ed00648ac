//! Where a browser may be sent, and what it brings back.

use std::fmt;

use thiserror::Error;

/// The longest URL that a browser is sent back to, in bytes.
pub(crate) const LONGEST_URL: usize = 2_000;
/// The longest `:path` of a callback that is read, in bytes.
const LONGEST_CALLBACK: usize = 16 << 10;
/// The longest `code`, in bytes: those of some providers are sealed tokens.
const LONGEST_CODE: usize = 8 << 10;
/// The longest `state`, in bytes. Ours has 43.
const LONGEST_STATE: usize = 128;
/// The longest `error`, in bytes.
const LONGEST_ERROR: usize = 128;
/// What is kept of an `error_description`, in bytes.
const LONGEST_DESCRIPTION: usize = 512;
/// The longest `iss`, in bytes.
const LONGEST_ISSUER: usize = 2_048;

/// The URL of a request, to send the browser back to: scheme and authority are those
/// that are trusted to be the browser's. `None` where they make no URL that every
/// browser reads alike, or one longer than [`LONGEST_URL`].
pub(crate) fn original_url(scheme: &[u8], authority: &[u8], path: &[u8]) -> Option<String> {
    let mut url = origin(scheme, authority)?;
    let path = str::from_utf8(path)
        .ok()
        .filter(|path| path.starts_with('/'))?;
    url.push_str(path);
    (is_plain(&url) && !url.contains('#') && url.len() <= LONGEST_URL).then_some(url)
}

/// The origin of a request, in lower case and without a port that goes without saying
/// (RFC 6454, section 6.2). `None` where it is none.
pub(crate) fn origin(scheme: &[u8], authority: &[u8]) -> Option<String> {
    let scheme = Scheme::read(str::from_utf8(scheme).ok()?)?;
    let origin = Origin::read(scheme, str::from_utf8(authority).ok()?)?;
    Some(origin.to_string())
}

/// The origin of an absolute URL, in the same form.
pub(crate) fn origin_of(url: &str) -> Option<String> {
    is_plain(url)
        .then(|| Origin::of(url))
        .flatten()
        .map(|origin| origin.to_string())
}

/// Whether a browser may be sent to a URL: to a path of ours, to our own origin, or to
/// an allowed domain, all read as browsers read them. Where in doubt, it may not.
///
/// `allowed_domains` are hosts, such as `app.example.com`, or all below one, such as
/// `.example.com` or `*.example.com`, with a port unless it is that of the scheme. To
/// another host it goes by `https`, unless our own origin is `http`.
pub(crate) fn is_allowed_redirect<D: AsRef<str>>(
    url: &str,
    own_origin: &str,
    allowed_domains: &[D],
) -> bool {
    if !is_plain(url) || url.len() > LONGEST_URL {
        return false;
    }
    if let Some(rest) = url.strip_prefix('/') {
        // `//host` is another host.
        return !rest.starts_with('/');
    }
    let (Some(target), Some(own)) = (Origin::of(url), Origin::of(own_origin)) else {
        return false;
    };
    let mut allowed = allowed_domains.iter();
    target == own
        || (target.scheme >= own.scheme && allowed.any(|domain| target.is_within(domain.as_ref())))
}

/// Whether a URL is of letters that all readers read alike: browsers take backslashes
/// for slashes, and drop tabs and line breaks (WHATWG URL, section 4.4).
fn is_plain(url: &str) -> bool {
    url.bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

/// The schemes of the web, the better one greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn read(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("https") {
            Some(Self::Https)
        } else if text.eq_ignore_ascii_case("http") {
            Some(Self::Http)
        } else {
            None
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// An origin (RFC 6454).
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    scheme: Scheme,
    /// In lower case.
    host: String,
    port: u16,
}

impl Origin {
    /// Of an absolute URL.
    fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        Self::read(Scheme::read(scheme)?, rest.get(..end)?)
    }

    /// Of an authority, which names no user.
    fn read(scheme: Scheme, authority: &str) -> Option<Self> {
        let (host, port) = host_and_port(authority)?;
        Some(Self {
            scheme,
            host,
            port: port.unwrap_or(scheme.port()),
        })
    }

    /// Whether it is one of a domain.
    fn is_within(&self, domain: &str) -> bool {
        let below = domain.strip_prefix('*').unwrap_or(domain);
        let (is_below, domain) = match below.strip_prefix('.') {
            Some(domain) => (true, domain),
            None => (false, domain),
        };
        let Some((domain, port)) = host_and_port(domain) else {
            return false;
        };
        let is_host = if is_below {
            let before = self.host.strip_suffix(&*domain);
            before.is_some_and(|before| before.len() > 1 && before.ends_with('.'))
        } else {
            self.host == domain
        };
        is_host && self.port == port.unwrap_or(self.scheme.port())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != self.scheme.port() {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

/// The host, in lower case, and the port. Nothing else may be there: no user, no
/// escapes, no letters beyond ASCII.
fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']')?.checked_add(1)?;
        let (host, rest) = authority.split_at_checked(end)?;
        let address = host.strip_prefix('[')?.strip_suffix(']')?;
        address.parse::<std::net::Ipv6Addr>().ok()?;
        (host, rest)
    } else {
        let end = authority.find(':').unwrap_or(authority.len());
        let (host, rest) = authority.split_at_checked(end)?;
        // An empty label stands between two dots, and before the first.
        let is_label = |label: &str| {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !label.is_empty() && label.bytes().all(is_letter)
        };
        if !host.split('.').all(is_label) {
            return None;
        }
        (host, rest)
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0)?)
        }
        _ => return None,
    };
    Some((host.to_ascii_lowercase(), port))
}

/// What a browser brings back from the identity provider (RFC 6749, section 4.1.2): all
/// of it may be anyone's. A parameter without a value is none (section 3.1).
#[derive(Default)]
pub(crate) struct Callback {
    pub(crate) code: Option<String>,
    pub(crate) state: Option<String>,
    /// A word of RFC 6749, section 4.1.2.1, or another.
    pub(crate) error: Option<String>,
    /// For people; no more than 512 bytes of it, control characters made spaces.
    pub(crate) error_description: Option<String>,
    /// Who sent the browser (RFC 9207, section 2).
    pub(crate) iss: Option<String>,
}

/// Why a callback is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum BadCallback {
    /// A parameter is there twice (RFC 6749, section 3.1).
    #[error("`{0}` is there twice")]
    Repeated(&'static str),
    /// A value has too many letters, or others than it may have.
    #[error("`{0}` is not what a provider sends")]
    Unreadable(&'static str),
    /// Both a code and an error.
    #[error("`code` and `error` are both there")]
    Both,
    /// The query as a whole.
    #[error("the query is too long")]
    TooLong,
}

impl Callback {
    /// Reads a `:path`. Parameters that are not ours to know are passed over.
    pub(crate) fn read(path_and_query: &[u8]) -> Result<Self, BadCallback> {
        if path_and_query.len() > LONGEST_CALLBACK {
            return Err(BadCallback::TooLong);
        }
        let mut parts = path_and_query.split(|byte| *byte == b'#');
        let path = parts.next().unwrap_or_default();
        let mark = path.iter().position(|byte| *byte == b'?');
        let query = mark.and_then(|mark| path.get(mark.checked_add(1)?..));
        let mut read = Self::default();
        let mut seen = Vec::new();
        for pair in query.unwrap_or_default().split(|byte| *byte == b'&') {
            let at = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = pair
                .split_at_checked(at.unwrap_or(pair.len()))
                .unwrap_or((pair, b""));
            let decoded = decode(name);
            let Some((name, parameter)) = Parameter::by_name(&decoded) else {
                continue;
            };
            if seen.contains(&name) {
                return Err(BadCallback::Repeated(name));
            }
            seen.push(name);
            let value = decode(value.strip_prefix(b"=").unwrap_or_default());
            if value.is_empty() {
                continue;
            }
            let text = parameter
                .read(&value)
                .ok_or(BadCallback::Unreadable(name))?;
            *read.place(parameter) = Some(text);
        }
        if read.code.is_some() && read.error.is_some() {
            return Err(BadCallback::Both);
        }
        Ok(read)
    }

    fn place(&mut self, parameter: Parameter) -> &mut Option<String> {
        match parameter {
            Parameter::Code => &mut self.code,
            Parameter::State => &mut self.state,
            Parameter::Error => &mut self.error,
            Parameter::Description => &mut self.error_description,
            Parameter::Issuer => &mut self.iss,
        }
    }
}

/// Without the values, which are secret or anyone's.
impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback")
            .field("code", &self.code.is_some())
            .field("state", &self.state.is_some())
            .field("error", &self.error.is_some())
            .field("iss", &self.iss.is_some())
            .finish_non_exhaustive()
    }
}

/// A parameter of a callback.
#[derive(Debug, Clone, Copy)]
enum Parameter {
    Code,
    State,
    Error,
    Description,
    Issuer,
}

impl Parameter {
    fn by_name(name: &[u8]) -> Option<(&'static str, Self)> {
        Some(match name {
            b"code" => ("code", Self::Code),
            b"state" => ("state", Self::State),
            b"error" => ("error", Self::Error),
            b"error_description" => ("error_description", Self::Description),
            b"iss" => ("iss", Self::Issuer),
            _ => return None,
        })
    }

    /// The value, of letters that it may have (RFC 6749, appendix A).
    fn read(self, value: &[u8]) -> Option<String> {
        let longest = match self {
            Self::Code => LONGEST_CODE,
            Self::State => LONGEST_STATE,
            Self::Error => LONGEST_ERROR,
            Self::Issuer => LONGEST_ISSUER,
            Self::Description => return Some(description(value)),
        };
        let is_letter = |byte: &u8| match self {
            Self::Error => matches!(byte, b' '..=b'~') && !b"\"\\".contains(byte),
            _ => matches!(byte, b' '..=b'~'),
        };
        if value.len() > longest || !value.iter().all(is_letter) {
            return None;
        }
        String::from_utf8(value.to_vec()).ok()
    }
}

/// What is shown of a description: some providers write line breaks and letters beyond
/// ASCII into it, which is no reason to say nothing.
fn description(value: &[u8]) -> String {
    let mut out = String::new();
    for character in String::from_utf8_lossy(value).chars() {
        if out.len().saturating_add(character.len_utf8()) > LONGEST_DESCRIPTION {
            break;
        }
        out.push(if character.is_control() {
            ' '
        } else {
            character
        });
    }
    out
}

/// Of a form (WHATWG URL, section 5.1).
fn decode(text: &[u8]) -> Vec<u8> {
    let spaced = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte });
    percent_encoding::percent_decode(&spaced.collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests;

use std::fmt;

/// A scheme, in lower case and without its colon.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scheme(Box<str>);

impl Scheme {
    /// A scheme of RFC 3986, section 3.1, in whatever case.
    pub fn parse(text: &str) -> Option<Self> {
        is_scheme(text).then(|| Self::lower(text))
    }

    pub(super) fn lower(text: &str) -> Self {
        Self(text.to_ascii_lowercase().into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `scheme` of RFC 3986, section 3.1.
pub(super) fn is_scheme(text: &str) -> bool {
    let may = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(may)
}

/// The host of a [`HostSource`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// `*`
    Any,
    /// `*.example.com`: what stands behind `*.`. Not `example.com` itself.
    Below(Box<str>),
    /// `example.com`
    Exactly(Box<str>),
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let below = text.strip_prefix("*.");
        let name = below.unwrap_or(text);
        let is_label = |label: &str| {
            let may = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !label.is_empty() && label.bytes().all(may)
        };
        if !name.split('.').all(is_label) {
            return None;
        }
        let name = name.to_ascii_lowercase().into();
        Some(if below.is_some() {
            Self::Below(name)
        } else {
            Self::Exactly(name)
        })
    }

    /// Whether every host of `other` is one of its own.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Below(parent), Self::Below(name)) => name == parent || is_below(name, parent),
            (Self::Below(parent), Self::Exactly(name)) => is_below(name, parent),
            (Self::Exactly(name), Self::Exactly(other)) => name == other,
            (Self::Below(_) | Self::Exactly(_), _) => false,
        }
    }

    /// `host-part` matching (section 6.7.2.10). Of addresses, only `127.0.0.1` ever matches.
    pub(super) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Below(parent) => is_below(host, parent),
            Self::Exactly(name) => **name == *host && (host == "127.0.0.1" || !is_ipv4(host)),
        }
    }
}

fn is_below(name: &str, parent: &str) -> bool {
    let front = name.strip_suffix(parent);
    front.is_some_and(|front| front.ends_with('.'))
}

/// Whether a text is four numbers with dots between them.
pub(super) fn is_ipv4(host: &str) -> bool {
    let is_part = |part: &str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    host.split('.').count() == 4 && host.split('.').all(is_part)
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Below(name) => write!(f, "*.{name}"),
            Self::Exactly(name) => f.write_str(name),
        }
    }
}

/// The port of a [`HostSource`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Port {
    /// `*`
    Any,
    /// A number.
    Number(u16),
}

impl Port {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).map(Self::Number)
    }
}

/// `https://*.example.com:443/path`, of which only the host has to be there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostSource {
    /// Without one, the scheme of the page, and what is safer than that.
    pub(super) scheme: Option<Scheme>,
    pub(super) host: Host,
    /// Without one, the default port of the URL's scheme.
    pub(super) port: Option<Port>,
    /// Begins with `/`. One that ends in `/` takes all below; another, only itself.
    pub(super) path: Option<Box<str>>,
}

impl HostSource {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(Scheme::parse(scheme)?), rest),
            None => (None, text),
        };
        let (authority, path) = match rest.find('/').and_then(|at| rest.split_at_checked(at)) {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(Port::parse(port)?)),
            None => (authority, None),
        };
        if !path.is_none_or(is_path_absolute) {
            return None;
        }
        Some(Self {
            scheme,
            host: Host::parse(host)?,
            port,
            path: path.map(Into::into),
        })
    }

    /// Its scheme; without one, the scheme of the page.
    pub fn scheme(&self) -> Option<&Scheme> {
        self.scheme.as_ref()
    }

    /// Its host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Its port; without one, the default port of the URL's scheme.
    pub fn port(&self) -> Option<Port> {
        self.port
    }

    /// Its path, which begins with `/`.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }
}

/// `path-absolute` of RFC 3986, section 3.3, without `;` and `,`.
fn is_path_absolute(path: &str) -> bool {
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => {
                let mut is_hex = || bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit());
                is_hex() && is_hex()
            }
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+=:@/".contains(&byte),
        };
        if !fits {
            return false;
        }
    }
    path.starts_with('/') && !path.starts_with("//")
}

impl fmt::Display for HostSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}://")?;
        }
        fmt::Display::fmt(&self.host, f)?;
        match self.port {
            Some(Port::Any) => f.write_str(":*")?,
            Some(Port::Number(port)) => write!(f, ":{port}")?,
            None => {}
        }
        f.write_str(self.path.as_deref().unwrap_or_default())
    }
}

use std::fmt;

use super::host::{HostSource, Scheme, is_scheme};

/// A source expression (section 2.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// `*`: every URL of `http`, `https`, `ws` and `wss`.
    Any,
    /// `https:`
    Scheme(Scheme),
    /// `https://*.example.com:443/path`
    Host(HostSource),
    /// `'self'`
    Keyword(Keyword),
    /// `'nonce-…'`: its value, base64 or base64url.
    Nonce(Box<str>),
    /// `'sha256-…'`
    Hash(Hash),
    /// A place that [`Template`](super::Template) fills.
    Slot(Slot),
    /// What a browser ignores, as it was written.
    Invalid(Box<str>),
}

/// A place in a policy that each response fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    /// `'nonce-{nonce}'`: the nonce of the response.
    Nonce,
    /// `'sha256-{hash}'`: hashes of scripts or styles, none or several.
    Hashes,
}

impl Slot {
    /// How it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nonce => "'nonce-{nonce}'",
            Self::Hashes => "'sha256-{hash}'",
        }
    }
}

macro_rules! keywords {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// A keyword of a source list, written in single quotation marks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Keyword {
            $($(#[$doc])* #[doc = concat!("`", $text, "`")] $variant,)*
        }

        impl Keyword {
            /// All that browsers know.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// How it is written, quotation marks included.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

keywords! {
    None = "'none'",
    Own = "'self'",
    UnsafeInline = "'unsafe-inline'",
    UnsafeEval = "'unsafe-eval'",
    UnsafeHashes = "'unsafe-hashes'",
    StrictDynamic = "'strict-dynamic'",
    ReportSample = "'report-sample'",
    WasmUnsafeEval = "'wasm-unsafe-eval'",
    UnsafeAllowRedirects = "'unsafe-allow-redirects'",
    /// Of Trusted Types.
    TrustedTypesEval = "'trusted-types-eval'",
    /// Of the speculation rules.
    InlineSpeculationRules = "'inline-speculation-rules'",
    /// A report of the hash of each script that runs.
    ReportSha256 = "'report-sha256'",
    /// The same, of SHA-384.
    ReportSha384 = "'report-sha384'",
    /// The same, of SHA-512.
    ReportSha512 = "'report-sha512'",
}

/// The hash function of a [`Hash`](struct@Hash).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Sha256, Self::Sha384, Self::Sha512];

    /// How it is written in a policy.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The length of its base64, padding included.
    pub(super) const fn base64_len(self) -> usize {
        match self {
            Self::Sha256 => 44,
            Self::Sha384 => 64,
            Self::Sha512 => 88,
        }
    }

    /// How much of that is padding.
    const fn padding(self) -> usize {
        match self {
            Self::Sha256 => 1,
            Self::Sha384 => 0,
            Self::Sha512 => 2,
        }
    }
}

/// `'sha256-…'`: the hash of a script or a style.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash {
    algorithm: Algorithm,
    /// In base64, though it may have been written in base64url: to a browser they are the same
    /// (section 6.7.3.3).
    value: Box<str>,
}

impl Hash {
    /// `sha256-…`, as in an `integrity` attribute.
    pub fn parse(text: &str) -> Option<Self> {
        let (algorithm, value) = text.split_once('-')?;
        let mut all = Algorithm::ALL.iter();
        let algorithm = *all.find(|known| algorithm.eq_ignore_ascii_case(known.as_str()))?;
        let value = is_base64(value).then(|| value.replace('-', "+").replace('_', "/"))?;
        Some(Self {
            algorithm,
            value: value.into(),
        })
    }

    /// Its hash function.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its value, in base64.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether it is as long as hashes of its function are, with their padding. One that is not
    /// matches nothing.
    pub fn is_whole(&self) -> bool {
        let padding = self
            .value
            .bytes()
            .rev()
            .take_while(|byte| *byte == b'=')
            .count();
        self.value.len() == self.algorithm.base64_len() && padding == self.algorithm.padding()
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.algorithm.as_str(), self.value)
    }
}

/// The grammar's `base64-value`: either alphabet, and up to two `=`.
pub(crate) fn is_base64(text: &str) -> bool {
    let value = text.strip_suffix('=').unwrap_or(text);
    let value = value.strip_suffix('=').unwrap_or(value);
    let in_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
    !value.is_empty() && value.bytes().all(in_alphabet)
}

impl Source {
    /// Reads one expression, as a browser does; whatever it is not able to read is
    /// [`Invalid`](Self::Invalid).
    pub fn parse(text: &str) -> Self {
        Self::quoted(text)
            .or_else(|| (text == "*").then_some(Self::Any))
            .or_else(|| {
                let scheme = text.strip_suffix(':').filter(|scheme| is_scheme(scheme))?;
                Some(Self::Scheme(Scheme::lower(scheme)))
            })
            .or_else(|| HostSource::parse(text).map(Self::Host))
            .unwrap_or_else(|| Self::Invalid(text.into()))
    }

    fn quoted(text: &str) -> Option<Self> {
        let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
        let mut keywords = Keyword::ALL.iter();
        if let Some(keyword) = keywords.find(|known| text.eq_ignore_ascii_case(known.as_str())) {
            return Some(Self::Keyword(*keyword));
        }
        for slot in [Slot::Nonce, Slot::Hashes] {
            if text == slot.as_str() {
                return Some(Self::Slot(slot));
            }
        }
        if let Some((prefix, value)) = inner.split_once('-')
            && prefix.eq_ignore_ascii_case("nonce")
        {
            return is_base64(value).then(|| Self::Nonce(value.into()));
        }
        Hash::parse(inner).map(Self::Hash)
    }

    /// Whether it is this keyword.
    pub fn is(&self, keyword: Keyword) -> bool {
        *self == Self::Keyword(keyword)
    }

    /// Whether it lets in what carries a nonce, now or in the response to come.
    pub(crate) fn is_nonce(&self) -> bool {
        matches!(self, Self::Nonce(_) | Self::Slot(Slot::Nonce))
    }

    /// The same of hashes.
    pub(crate) fn is_hash(&self) -> bool {
        matches!(self, Self::Hash(_) | Self::Slot(Slot::Hashes))
    }

    /// Whether it names URLs.
    pub(crate) fn is_of_urls(&self) -> bool {
        matches!(self, Self::Any | Self::Scheme(_) | Self::Host(_)) || self.is(Keyword::Own)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Scheme(scheme) => write!(f, "{scheme}:"),
            Self::Host(host) => fmt::Display::fmt(host, f),
            Self::Keyword(keyword) => f.write_str(keyword.as_str()),
            Self::Nonce(value) => write!(f, "'nonce-{value}'"),
            Self::Hash(hash) => write!(f, "'{hash}'"),
            Self::Slot(slot) => f.write_str(slot.as_str()),
            Self::Invalid(text) => f.write_str(text),
        }
    }
}

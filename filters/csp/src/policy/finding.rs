use std::fmt;

/// How bad a [`Finding`] is; the worst comes first. The steps and their meaning are those of
/// Google's CSP Evaluator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The policy does not protect.
    High,
    /// It is not read as it was meant.
    Syntax,
    /// It is weaker than it should be.
    Medium,
    /// It may not protect, which depends on what is served.
    HighMaybe,
    /// It is no strict policy yet, or not one for old browsers.
    StrictCsp,
    /// It may be weaker than it should be.
    MediumMaybe,
    /// Good to know.
    Info,
    /// Nothing: why something that looks bad is not.
    None,
}

impl Severity {
    /// Its name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Syntax => "syntax",
            Self::Medium => "medium",
            Self::HighMaybe => "high-maybe",
            Self::StrictCsp => "strict-csp",
            Self::MediumMaybe => "medium-maybe",
            Self::Info => "info",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What a [`Finding`] is about. The first are known to Google's CSP Evaluator, by the
        /// same names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$doc])* $variant,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name, in lower case.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

kinds! {
    /// A value is the name of a directive: a semicolon is missing before it.
    MissingSemicolon = "missing-semicolon",
    /// No browser knows the directive.
    UnknownDirective = "unknown-directive",
    /// A keyword that there is not, or one without its quotation marks.
    InvalidKeyword = "invalid-keyword",
    /// A nonce of other characters than base64's.
    NonceCharset = "nonce-charset",
    /// A directive without which the policy does not protect.
    MissingDirectives = "missing-directives",
    /// `'unsafe-inline'` for scripts.
    ScriptUnsafeInline = "script-unsafe-inline",
    /// `'unsafe-eval'`
    ScriptUnsafeEval = "script-unsafe-eval",
    /// `data:`, `http:` or `https:` where scripts come from.
    PlainUrlSchemes = "plain-url-schemes",
    /// `*` where scripts come from.
    PlainWildcard = "plain-wildcard",
    /// A host of scripts that serves what undoes the policy, or may.
    ScriptAllowlistBypass = "script-allowlist-bypass",
    /// The same of plugins.
    ObjectAllowlistBypass = "object-allowlist-bypass",
    /// A nonce that is too short.
    NonceLength = "nonce-length",
    /// An address in place of a host.
    IpSource = "ip-source",
    /// A directive that browsers have given up.
    DeprecatedDirective = "deprecated-directive",
    /// A source, or where to report to, over `http`.
    SrcHttp = "src-http",
    /// `'unsafe-hashes'`
    ScriptUnsafeHashes = "script-unsafe-hashes",
    /// Hosts of scripts are listed, without `'strict-dynamic'`.
    StrictDynamic = "strict-dynamic",
    /// `'strict-dynamic'` without a nonce or a hash, so that no script runs.
    StrictDynamicNotStandalone = "strict-dynamic-not-standalone",
    /// A nonce or hash without `'unsafe-inline'` for browsers that know neither.
    UnsafeInlineFallback = "unsafe-inline-fallback",
    /// `'strict-dynamic'` without hosts or schemes for browsers that do not know it.
    AllowlistFallback = "allowlist-fallback",
    /// What another value switches off.
    Ignored = "ignored",
    /// Trusted Types are not required.
    RequireTrustedTypesForScripts = "require-trusted-types-for-scripts",
    /// Nobody gets reports.
    ReportingDestinationMissing = "reporting-destination-missing",
    /// `report-to` without `report-uri`, which some browsers still want.
    ReportToOnly = "report-to-only",

    /// A directive that is there already, so that a browser ignores it.
    DuplicateDirective = "duplicate-directive",
    /// A value that is there already.
    DuplicateValue = "duplicate-value",
    /// A directive with a character beyond ASCII, which a browser drops as a whole.
    NonAscii = "non-ascii",
    /// A comma, at which the policy ends in a header.
    Comma = "comma",
    /// A control character, which no header can carry.
    ControlCharacter = "control-character",
    /// A source that no browser can read.
    InvalidSource = "invalid-source",
    /// `'none'` beside other sources, where it does nothing.
    NoneBesideOthers = "none-beside-others",
    /// A hash that is not as long as hashes of its function are, so that it matches nothing.
    HashLength = "hash-length",
    /// A directive or keyword that does nothing where it stands, or in what the policy is sent.
    NoEffect = "no-effect",
    /// A value that its directive does not know.
    InvalidValue = "invalid-value",
    /// An endpoint of `report-to` that no `Reporting-Endpoints` names.
    UnknownEndpoint = "unknown-endpoint",
    /// A nonce that is the same in every response.
    StaticNonce = "static-nonce",
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something to know about a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub kind: Kind,
    /// The directive, in lower case; the one to add, where one is missing.
    pub directive: Box<str>,
    /// The value, in its canonical form, where it is about one.
    pub value: Option<Box<str>>,
    /// What it is, and what would be right.
    pub message: String,
}

impl Finding {
    pub(super) fn new(
        severity: Severity,
        kind: Kind,
        directive: &str,
        value: Option<&str>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            kind,
            directive: directive.into(),
            value: value.map(Into::into),
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.directive)?;
        if let Some(value) = &self.value {
            write!(f, " {value}")?;
        }
        write!(f, ": {} ({}, {})", self.message, self.severity, self.kind)
    }
}

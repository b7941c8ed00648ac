use std::fmt;

macro_rules! names {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// The name of a directive.
        ///
        /// Known are those of CSP3, of the documents that add to it, and those that browsers
        /// have given up.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Name {
            $($(#[$doc])* #[doc = concat!("`", $text, "`")] $variant,)*
            /// A name that no browser knows, in lower case.
            Unknown(Box<str>),
        }

        impl Name {
            /// All that are known.
            pub const KNOWN: &[Self] = &[$(Self::$variant,)*];

            /// The name, in lower case.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unknown(name) => name,
                }
            }

            /// The name of a text, in whatever case.
            pub fn parse(text: &str) -> Self {
                let text = text.to_ascii_lowercase();
                match text.as_str() {
                    $($text => Self::$variant,)*
                    _ => Self::Unknown(text.into()),
                }
            }
        }
    };
}

names! {
    BaseUri = "base-uri",
    BlockAllMixedContent = "block-all-mixed-content",
    ChildSrc = "child-src",
    ConnectSrc = "connect-src",
    DefaultSrc = "default-src",
    DisownOpener = "disown-opener",
    FencedFrameSrc = "fenced-frame-src",
    FontSrc = "font-src",
    FormAction = "form-action",
    FrameAncestors = "frame-ancestors",
    FrameSrc = "frame-src",
    ImgSrc = "img-src",
    ManifestSrc = "manifest-src",
    MediaSrc = "media-src",
    NavigateTo = "navigate-to",
    ObjectSrc = "object-src",
    PluginTypes = "plugin-types",
    PrefetchSrc = "prefetch-src",
    Referrer = "referrer",
    ReflectedXss = "reflected-xss",
    ReportTo = "report-to",
    ReportUri = "report-uri",
    RequireSriFor = "require-sri-for",
    RequireTrustedTypesFor = "require-trusted-types-for",
    Sandbox = "sandbox",
    ScriptSrc = "script-src",
    ScriptSrcAttr = "script-src-attr",
    ScriptSrcElem = "script-src-elem",
    StyleSrc = "style-src",
    StyleSrcAttr = "style-src-attr",
    StyleSrcElem = "style-src-elem",
    TrustedTypes = "trusted-types",
    UpgradeInsecureRequests = "upgrade-insecure-requests",
    Webrtc = "webrtc",
    WorkerSrc = "worker-src",
}

/// What stands behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Sources,
    Tokens,
    Nothing,
}

impl Name {
    /// The directives that are asked in turn where it is not there (section 6.8.3).
    pub(crate) fn falls_back_to(&self) -> &'static [Self] {
        match self {
            Self::ScriptSrcElem | Self::ScriptSrcAttr => &[Self::ScriptSrc, Self::DefaultSrc],
            Self::StyleSrcElem | Self::StyleSrcAttr => &[Self::StyleSrc, Self::DefaultSrc],
            Self::WorkerSrc => &[Self::ChildSrc, Self::ScriptSrc, Self::DefaultSrc],
            Self::FrameSrc => &[Self::ChildSrc, Self::DefaultSrc],
            Self::FencedFrameSrc => &[Self::FrameSrc, Self::ChildSrc, Self::DefaultSrc],
            Self::ChildSrc
            | Self::ConnectSrc
            | Self::FontSrc
            | Self::ImgSrc
            | Self::ManifestSrc
            | Self::MediaSrc
            | Self::ObjectSrc
            | Self::PrefetchSrc
            | Self::ScriptSrc
            | Self::StyleSrc => &[Self::DefaultSrc],
            _ => &[],
        }
    }

    pub(crate) fn takes(&self) -> Takes {
        match self {
            Self::BaseUri
            | Self::ChildSrc
            | Self::ConnectSrc
            | Self::DefaultSrc
            | Self::FencedFrameSrc
            | Self::FontSrc
            | Self::FormAction
            | Self::FrameAncestors
            | Self::FrameSrc
            | Self::ImgSrc
            | Self::ManifestSrc
            | Self::MediaSrc
            | Self::NavigateTo
            | Self::ObjectSrc
            | Self::PrefetchSrc
            | Self::ScriptSrc
            | Self::ScriptSrcAttr
            | Self::ScriptSrcElem
            | Self::StyleSrc
            | Self::StyleSrcAttr
            | Self::StyleSrcElem
            | Self::WorkerSrc => Takes::Sources,
            Self::BlockAllMixedContent | Self::UpgradeInsecureRequests | Self::DisownOpener => {
                Takes::Nothing
            }
            _ => Takes::Tokens,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! What a policy allows: the matching algorithms of section 6.7.

use super::name::Name;
use super::source::{Hash, Keyword, Source};
use super::url::Url;
use super::{Directive, Policy};

/// What a page attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attempt<'a> {
    /// To fetch or to go to a URL.
    Url(Fetch<'a>),
    /// To run a script or to use a style that stands in the page.
    Inline(Inline<'a>),
    /// To run a text: `eval()`.
    Eval,
    /// To compile WebAssembly.
    WasmEval,
}

/// A URL, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch<'a> {
    /// The most particular directive that decides about it: `script-src-elem` for a script,
    /// `img-src` for an image, `base-uri` for a base.
    pub directive: &'a Name,
    /// The URL.
    pub url: &'a Url,
    /// Whether a redirect led there: paths are not looked at then.
    pub redirected: bool,
    /// The nonce of the element; empty without one.
    pub nonce: &'a str,
    /// What its `integrity` says.
    pub integrity: &'a [Hash],
    /// Whether the page's text has put it there, and not a script.
    pub parser_inserted: bool,
}

/// A script or a style that stands in the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inline<'a> {
    /// The most particular directive that decides about it: `script-src-elem` for an element
    /// and for a `javascript:` URL, `script-src-attr` for an event handler, `style-src-elem` and
    /// `style-src-attr`.
    pub directive: &'a Name,
    /// The nonce of the element; empty without one.
    pub nonce: &'a str,
    /// The hashes of its text.
    pub hashes: &'a [Hash],
    /// Whether it is a `javascript:` URL.
    pub navigation: bool,
}

impl Policy {
    /// Whether a page of an origin may do something under this policy.
    pub fn allows(&self, attempt: &Attempt<'_>, origin: &Url) -> bool {
        match attempt {
            Attempt::Url(fetch) => {
                let decides = self.effective(fetch.directive);
                decides.is_none_or(|directive| fetch_allowed(directive, fetch, origin))
            }
            Attempt::Inline(inline) => {
                let sources = self.sources(inline.directive);
                sources.is_none_or(|sources| inline_allowed(sources, inline))
            }
            Attempt::Eval => self.has_script_keyword(&[Keyword::UnsafeEval]),
            Attempt::WasmEval => {
                self.has_script_keyword(&[Keyword::UnsafeEval, Keyword::WasmUnsafeEval])
            }
        }
    }

    /// Whether scripts are not restricted, or one of these keywords is there.
    fn has_script_keyword(&self, keywords: &[Keyword]) -> bool {
        let has = |sources: &[Source]| keywords.iter().any(|keyword| has(sources, *keyword));
        self.sources(&Name::ScriptSrc).is_none_or(has)
    }
}

pub(super) fn has(sources: &[Source], keyword: Keyword) -> bool {
    sources.iter().any(|source| source.is(keyword))
}

fn fetch_allowed(decides: &Directive, fetch: &Fetch<'_>, origin: &Url) -> bool {
    let sources = decides.sources().unwrap_or_default();
    let nonce = !fetch.nonce.is_empty() && has_nonce(sources, fetch.nonce);
    let by_url = || {
        let mut sources = sources.iter();
        sources.any(|source| source.matches(fetch.url, origin, fetch.redirected))
    };
    match fetch.directive {
        Name::ScriptSrc | Name::ScriptSrcElem => scripts_allowed(sources, fetch, nonce, by_url),
        // A worker is a script to `script-src`; to the others it is a URL (section 6.1.17).
        Name::WorkerSrc if *decides.name() == Name::ScriptSrc => {
            scripts_allowed(sources, fetch, nonce, by_url)
        }
        Name::StyleSrc | Name::StyleSrcElem => nonce || by_url(),
        _ => by_url(),
    }
}

/// Section 6.7.1.1.
fn scripts_allowed(
    sources: &[Source],
    fetch: &Fetch<'_>,
    nonce: bool,
    by_url: impl Fn() -> bool,
) -> bool {
    let mut integrity = fetch.integrity.iter();
    let known = !fetch.integrity.is_empty() && integrity.all(|hash| has_hash(sources, hash));
    if nonce || known {
        true
    } else if has(sources, Keyword::StrictDynamic) {
        !fetch.parser_inserted
    } else {
        by_url()
    }
}

fn has_nonce(sources: &[Source], nonce: &str) -> bool {
    let mut sources = sources.iter();
    sources.any(|source| matches!(source, Source::Nonce(value) if **value == *nonce))
}

fn has_hash(sources: &[Source], hash: &Hash) -> bool {
    let mut sources = sources.iter();
    sources.any(|source| matches!(source, Source::Hash(known) if known == hash))
}

/// Sections 6.7.3.2 and 6.7.3.3.
fn inline_allowed(sources: &[Source], inline: &Inline<'_>) -> bool {
    let is_script = matches!(
        inline.directive,
        Name::ScriptSrc | Name::ScriptSrcElem | Name::ScriptSrcAttr
    );
    let is_element =
        !inline.navigation && !matches!(inline.directive, Name::ScriptSrcAttr | Name::StyleSrcAttr);
    if all_inline(sources, is_script) {
        return true;
    }
    let by_nonce = is_element && !inline.nonce.is_empty() && has_nonce(sources, inline.nonce);
    let hashes_count = is_element || has(sources, Keyword::UnsafeHashes);
    let mut hashes = inline.hashes.iter();
    by_nonce || hashes_count && hashes.any(|hash| has_hash(sources, hash))
}

/// Section 6.7.3.2.
pub(super) fn all_inline(sources: &[Source], of_scripts: bool) -> bool {
    let switches_off = |source: &Source| {
        source.is_nonce() || source.is_hash() || of_scripts && source.is(Keyword::StrictDynamic)
    };
    has(sources, Keyword::UnsafeInline) && !sources.iter().any(switches_off)
}

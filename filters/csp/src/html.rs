//! A page on its way to the browser: who in it gets the nonce, and what it loads.
//!
//! A [`Plan`] says what is to be done with pages, and a [`Page`] does it with one of them,
//! chunk by chunk. Nothing waits for the page's end, what comes out does not depend on how the page
//! is cut, and nothing but nonces is changed:
//!
//! - each place of a [`Placeholder`] becomes the nonce, wherever in the bytes it is;
//! - elements of [`Selector`]s get it as their attribute `nonce`, or have it replaced;
//! - what the page loads and what it has inline is [collected](Seen), for a policy to be made of.
//!
//! # What is certain
//!
//! *Where a page cannot be read, it passes as it is*, from there on ([`Skipped`]). There are
//! fewer nonces in it then, so less of it runs, never more. A nonce is written without quotes
//! and consists of what means nothing anywhere, so even if a browser took the place for a value or
//! for part of a script, nothing would end by it.
//!
//! *An element that only looks like one gets no nonce*, as far as a tokenizer can know: in comments,
//! in the text of other elements, in values. So does one of which browsers would ignore it
//! (an unclosed tag before it took it over, or an attribute is there twice), and any within SVG
//! and `MathML`, where a browser's tree decides what it is.
//!
//! *Memory is bounded*, whatever the page: what is held back of one tag (64 KiB, or 256 KiB while
//! collecting), the same again in the parser with 512 KiB for open elements, what the parser makes
//! of one tag's attributes (up to some 50 bytes for each of its bytes while it looks at it), 16 KiB and
//! a window of 32 KiB for decompressing, [`Seen`]. What comes out of one chunk goes into `out`;
//! a compressed chunk may be there 100 times its size, beyond which and the first MiB the page is
//! [refused](Failure::Inflated).
//!
//! # What is not
//!
//! Time is bounded for each byte, not for the page: reading goes at some 100 MiB in a second, and at 1
//! MiB where a page is made to be slow ([`Page::give_up`]).
//!
//! Only bytes of the page are looked at: not `srcdoc`, not what scripts write. Elements in
//! `noscript` are text, as for browsers that run scripts, and get no nonce. A page without a
//! `charset` can be read in more than one way (ISO-2022-JP hides tags from who reads ASCII);
//! upstreams should name one.

use std::rc::Rc;

pub use legation::coding::Coding;

pub use self::nonce::Nonce;
pub use self::page::Page;
pub use self::placeholder::{Placeholder, PlaceholderError};
pub use self::seen::{Seen, Sighting, What};
pub use self::selector::{Breadth, Selector, SelectorError};

mod charset;
mod coding;
mod entities;
mod markup;
mod nonce;
mod page;
mod placeholder;
mod seen;
mod selector;
mod tag;
#[cfg(test)]
mod tests;
mod url;

use crate::policy::Algorithm;

/// The elements whose content is text for the tokenizer.
const TEXT_ELEMENTS: &str =
    "script, style, textarea, title, iframe, xmp, noembed, noframes, noscript, plaintext";

/// What is to be done with pages.
#[derive(Debug, Clone)]
pub struct Plan {
    placeholder: Option<Placeholder>,
    elements: Rc<[Selector]>,
    collect: Option<Algorithm>,
    /// The elements of text, after whose tags the parser may go astray.
    doubted: Option<lol_html::Selector>,
    /// All elements.
    all: Option<lol_html::Selector>,
}

impl Plan {
    /// Replaces that, gives elements of these selectors the nonce, and collects what is there,
    /// with hashes by that algorithm.
    pub fn new(
        placeholder: Option<Placeholder>,
        elements: Vec<Selector>,
        collect: Option<Algorithm>,
    ) -> Self {
        Self {
            placeholder,
            elements: elements.into(),
            collect,
            doubted: TEXT_ELEMENTS.parse().ok(),
            all: "*".parse().ok(),
        }
    }

    /// Whether there is nothing to do: pages need not be looked at.
    pub fn is_idle(&self) -> bool {
        self.placeholder.is_none() && self.elements.is_empty() && self.collect.is_none()
    }
}

/// Why a page cannot go on. What is out is out: all that is safe is to end the response, as one
/// that was cut off (a reset), so that nobody keeps it as a whole page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Its compressed body ends too early.
    #[error("the compressed body is cut off")]
    Truncated,
    /// Its body is not what its `content-encoding` says, or is damaged.
    #[error("the compressed body is corrupt, or of another kind than its content-encoding says")]
    Corrupt,
    /// It decompresses to more than 100 times its size, beyond the first MiB.
    #[error("the compressed body becomes more than 100 times its size")]
    Inflated,
}

/// Why a page, or the rest of it, passed without nonces but for the placeholder's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Skipped {
    /// It is UTF-16, ISO-2022-JP or the like, where tags are not written in ASCII.
    Charset,
    /// A tag is longer than is held back, or too many elements are within each other.
    Large,
    /// There is markup of which only a browser's tree tells how it goes on (such as
    /// `<select><xmp>`).
    Ambiguous,
    /// [It took too long](Page::give_up).
    Slow,
}

/// What there was in a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Elements that got the nonce.
    pub nonces: u32,
    /// Placeholders that became the nonce.
    pub placeholders: u32,
    /// Elements that were selected and did not get it: an unclosed tag before them may have taken
    /// them over, an attribute is there twice, or they are within SVG or `MathML`.
    pub refused: u32,
    /// Why the page passed as it is, from some place on.
    pub skipped: Option<Skipped>,
    /// What was collected, where that was asked for.
    pub seen: Option<Seen>,
}

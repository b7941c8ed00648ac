//! Content Security Policy Level 3: what a policy is, what it allows, and what is wrong with it.
//!
//! Sections named here are those of <https://www.w3.org/TR/CSP3/>. The module knows no host: it
//! takes text and gives values.
//!
//! - [`Policy::parse`] reads a policy as a browser does, [`PolicyList::parse`] a header of several;
//! - [`Directive::new`] and [`Policy::new`] make one from its parts, and refuse what a browser
//!   would drop;
//! - [`Policy::allows`] asks a policy about an attempt of a page;
//! - [`lint()`] says what is wrong with one;
//! - [`intersect()`] makes one policy of two;
//! - [`Template`] writes one with the nonce of a response.
//!
//! ```
//! use csp::policy::{Delivery, Kind, Policy, Template, lint};
//!
//! let (policy, findings) = Policy::parse("Script-Src 'SELF' 'nonce-{nonce}'; script-src *");
//! assert_eq!(policy.to_string(), "script-src 'self' 'nonce-{nonce}'");
//! assert_eq!(findings[0].kind, Kind::DuplicateDirective);
//!
//! let findings = lint(&policy, &Delivery::default());
//! assert!(findings.iter().any(|finding| finding.kind == Kind::MissingDirectives));
//!
//! let mut header = String::new();
//! Template::new(&policy).write("4gPZkCxVYUGBjTTl1qfJOw==", &[], &mut header)?;
//! assert_eq!(header, "script-src 'self' 'nonce-4gPZkCxVYUGBjTTl1qfJOw=='");
//! # Ok::<(), csp::policy::NotBase64>(())
//! ```

mod allow;
mod directive;
mod finding;
mod host;
mod intersect;
mod lint;
mod list;
mod name;
mod parse;
mod source;
mod template;
mod url;

pub use allow::{Attempt, Fetch, Inline};
pub use directive::{Directive, DirectiveError, Reason, Value};
pub use finding::{Finding, Kind, Severity};
pub use host::{Host, HostSource, Port, Scheme};
pub use intersect::intersect;
pub use lint::{By, Delivery, lint};
pub use list::PolicyList;
pub use name::Name;
pub use source::{Algorithm, Hash, Keyword, Slot, Source};
pub use template::{NotBase64, Template};
pub use url::Url;

use std::fmt;

/// A policy: directives in their order, each name once (section 2.2).
///
/// `Display` writes the canonical form: names, keywords, schemes and hosts in lower case, one
/// space between values, `; ` between directives. Reading that gives the same policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    directives: Vec<Directive>,
}

impl Policy {
    /// A policy of these directives, in this order.
    ///
    /// # Errors
    ///
    /// The name of the first directive that is there twice: a browser would ignore the second.
    pub fn new(directives: Vec<Directive>) -> Result<Self, Name> {
        let mut policy = Self::default();
        for directive in directives {
            if policy.get(directive.name()).is_some() {
                return Err(directive.into_name());
            }
            policy.directives.push(directive);
        }
        Ok(policy)
    }

    /// The directives, in their order.
    pub fn directives(&self) -> &[Directive] {
        &self.directives
    }

    /// Whether there is no directive, and so no policy: a browser drops it (section 2.2.2).
    pub fn is_empty(&self) -> bool {
        self.directives.is_empty()
    }

    /// The directive of a name.
    pub fn get(&self, name: &Name) -> Option<&Directive> {
        self.directives
            .iter()
            .find(|directive| directive.name() == name)
    }

    /// The directive that decides for a name: itself, or the first there is of those it falls
    /// back to (section 6.8.3).
    pub fn effective(&self, name: &Name) -> Option<&Directive> {
        let falls_back_to = name.falls_back_to().iter();
        std::iter::once(name)
            .chain(falls_back_to)
            .find_map(|name| self.get(name))
    }

    /// The source list that decides for a name; none where nothing restricts it.
    pub(crate) fn sources(&self, name: &Name) -> Option<&[Source]> {
        self.effective(name).and_then(Directive::sources)
    }

    /// Whether it has a place of this kind.
    pub fn has_slot(&self, slot: Slot) -> bool {
        let mut sources = self
            .directives
            .iter()
            .filter_map(Directive::sources)
            .flatten();
        sources.any(|source| *source == Source::Slot(slot))
    }

    fn push(&mut self, directive: Directive) {
        self.directives.push(directive);
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, directive) in self.directives.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            fmt::Display::fmt(directive, f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

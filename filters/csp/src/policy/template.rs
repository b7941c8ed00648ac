use std::fmt::Write as _;

use thiserror::Error;

use super::Policy;
use super::source::{Hash, Slot, Source, is_base64};

/// A policy whose nonce is another in each response.
///
/// Where the nonce is to be, the policy says `'nonce-{nonce}'`, whether it is written as one text
/// or from its parts; in as many directives as are to have it. Where hashes of scripts or
/// styles are to be, it says `'sha256-{hash}'`, whatever their function.
///
/// Made once; written for each response, with no allocation beyond the room in `out`.
///
/// ```
/// use csp::policy::{Policy, Template};
///
/// let (policy, _) = Policy::parse("script-src 'strict-dynamic' 'nonce-{nonce}'; base-uri 'none'");
/// let template = Template::new(&policy);
/// let mut header = String::with_capacity(template.len(24, &[]));
/// template.write("jM3lcFoLRLGsRPKmuuD1bA==", &[], &mut header)?;
/// assert_eq!(
///     header,
///     "script-src 'strict-dynamic' 'nonce-jM3lcFoLRLGsRPKmuuD1bA=='; base-uri 'none'"
/// );
/// # Ok::<(), csp::policy::NotBase64>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// What stands before each slot.
    parts: Vec<(Box<str>, Slot)>,
    end: Box<str>,
}

/// A nonce of other characters than base64's and base64url's, or of none: a browser would
/// not know it for one. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a nonce is one or more characters of base64 or base64url")]
pub struct NotBase64;

impl Template {
    /// Looks for the slots of a policy, which may have none.
    pub fn new(policy: &Policy) -> Self {
        let mut parts = Vec::new();
        let mut text = String::new();
        for (index, directive) in policy.directives().iter().enumerate() {
            if index > 0 {
                text.push_str("; ");
            }
            let Some(sources) = directive.sources() else {
                // A `String` takes whatever is written to it.
                let _ = write!(text, "{directive}");
                continue;
            };
            text.push_str(directive.name().as_str());
            for source in sources {
                match source {
                    Source::Slot(Slot::Nonce) => {
                        text.push_str(" 'nonce-");
                        parts.push((std::mem::take(&mut text).into(), Slot::Nonce));
                        text.push('\'');
                    }
                    Source::Slot(Slot::Hashes) => {
                        parts.push((std::mem::take(&mut text).into(), Slot::Hashes));
                    }
                    source => {
                        let _ = write!(text, " {source}");
                    }
                }
            }
        }
        Self {
            parts,
            end: text.into(),
        }
    }

    /// Whether it is the same in each response.
    pub fn is_fixed(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether a nonce is part of it.
    pub fn has_nonce(&self) -> bool {
        self.parts.iter().any(|(_, slot)| *slot == Slot::Nonce)
    }

    /// How long it will be, in bytes, with a nonce of a length and these hashes.
    pub fn len(&self, nonce: usize, hashes: &[Hash]) -> usize {
        let hashes = hashes.iter().map(|hash| {
            // ` '`, `-` and `'`.
            let name = hash.algorithm().as_str().len();
            name.saturating_add(hash.value().len()).saturating_add(4)
        });
        let hashes: usize = hashes.fold(0, usize::saturating_add);
        let parts = self.parts.iter().map(|(text, slot)| {
            text.len().saturating_add(match slot {
                Slot::Nonce => nonce,
                Slot::Hashes => hashes,
            })
        });
        parts.fold(self.end.len(), usize::saturating_add)
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.end.is_empty()
    }

    /// Appends the policy with a nonce and these hashes, which no policy needs to have a place
    /// for.
    ///
    /// # Errors
    ///
    /// [`NotBase64`] where there is a place for a nonce and it is none.
    pub fn write(&self, nonce: &str, hashes: &[Hash], out: &mut String) -> Result<(), NotBase64> {
        if self.has_nonce() && !is_base64(nonce) {
            return Err(NotBase64);
        }
        out.reserve(self.len(nonce.len(), hashes));
        for (text, slot) in &self.parts {
            out.push_str(text);
            match slot {
                Slot::Nonce => out.push_str(nonce),
                Slot::Hashes => {
                    for hash in hashes {
                        out.push_str(" '");
                        out.push_str(hash.algorithm().as_str());
                        out.push('-');
                        out.push_str(hash.value());
                        out.push('\'');
                    }
                }
            }
        }
        out.push_str(&self.end);
        Ok(())
    }
}

use std::collections::HashSet;

use super::directive::Directive;
use super::finding::{Finding, Kind, Severity};
use super::name::Name;
use super::{Policy, Slot};

impl Policy {
    /// Reads a policy as a browser does (section 2.2.1): whatever it is, it is read, and what a
    /// browser would pass over is a finding. A comma is a character like another here, as in a
    /// `<meta>`; a header is [`PolicyList::parse`](super::PolicyList::parse)'s.
    ///
    /// One thing a browser does not know: `'nonce-{nonce}'` and `'sha256-{hash}'`, which
    /// [`Template`](super::Template) fills, are read as what they will be.
    pub fn parse(text: &str) -> (Self, Vec<Finding>) {
        let mut policy = Self::default();
        let mut findings = Vec::new();
        // What a server sends may be long: it is read in one go.
        let mut names: HashSet<Name> = HashSet::new();
        for token in text.split(';') {
            let token = token.trim_matches(is_ascii_whitespace);
            let mut parts = token
                .split(is_ascii_whitespace)
                .filter(|part| !part.is_empty());
            let Some(first) = parts.next() else {
                continue;
            };
            let name = Name::parse(first);
            if !token.is_ascii() {
                findings.push(Finding::new(
                    Severity::Syntax,
                    Kind::NonAscii,
                    name.as_str(),
                    None,
                    "has a character beyond ASCII, and a browser drops the directive: write hosts \
                     in Punycode, and percent-encode paths",
                ));
                continue;
            }
            if !names.insert(name.clone()) {
                findings.push(Finding::new(
                    Severity::Syntax,
                    Kind::DuplicateDirective,
                    name.as_str(),
                    None,
                    "is there already, and a browser ignores the second: make one of both",
                ));
                continue;
            }
            let (directive, repeated) = Directive::read(name, parts);
            findings.extend(repeated.into_iter().map(|value| {
                Finding::new(
                    Severity::Info,
                    Kind::DuplicateValue,
                    directive.name().as_str(),
                    Some(value),
                    "is there already",
                )
            }));
            policy.push(directive);
        }
        (policy, findings)
    }

    /// Whether a response has to fill something in.
    pub fn is_template(&self) -> bool {
        self.has_slot(Slot::Nonce) || self.has_slot(Slot::Hashes)
    }
}

/// ASCII whitespace as the Infra standard has it, which is what separates values.
pub(super) fn is_ascii_whitespace(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\x0c' | '\r' | ' ')
}

//! Who is told of a response's nonce.

use deserr::{Deserr, ValuePointerRef};
use legation::config::{ConfigErrors, Given, HeaderName, OneOrMany, Problem, Schema, Text};

/// Who is told of a response's nonce.
#[derive(Debug, Default, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check -> ConfigErrors)]
#[schema(readme = "Nonces", { "minProperties": 1 })]
pub struct Nonce {
    /// The upstream, in this header of the request.
    #[deserr(default)]
    pub request_header: Given<HeaderName>,
    /// The page, wherever this stands in it.
    #[deserr(default)]
    pub placeholder: Given<Text>,
    /// The page's elements that these selectors mean.
    #[deserr(default)]
    pub elements: OneOrMany<Text>,
}

impl Nonce {
    /// Whether pages are changed for it.
    pub fn rewrites(&self) -> bool {
        self.placeholder.0.is_some() || !self.elements.is_empty()
    }
}

fn check(nonce: Nonce, at: ValuePointerRef<'_>) -> Result<Nonce, ConfigErrors> {
    if nonce.request_header.0.is_some() || nonce.rewrites() {
        return Ok(nonce);
    }
    let problem = Problem::new("nobody is told of the nonce").help(
        "name the `request_header` that tells the upstream, the `placeholder` that stands in its pages, or the `elements` that are trusted",
    );
    Err(ConfigErrors::at(at, problem))
}

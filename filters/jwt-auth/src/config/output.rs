//! What becomes of a token that was accepted.

use deserr::{Deserr, ValuePointerRef};
use legation::config::{ConfigErrors, Given, NonEmpty, Problem, exactly_one};

use super::names::{ClaimPath, TrustedHeader};

/// A claim, and the header that it is put into.
#[derive(Debug)]
pub struct ClaimToHeader {
    /// The header.
    pub header_name: TrustedHeader,
    /// The claim.
    pub claim: ClaimPath,
    /// What stands between the values of a claim that is a list.
    pub list_separator: Separator,
}

/// What stands between the values of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Separator(Box<str>);

impl Separator {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// As in Envoy's documentation of headers with lists (RFC 9110, section 5.6.1).
impl Default for Separator {
    fn default() -> Self {
        Self(",".into())
    }
}

#[derive(Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Written {
    header_name: TrustedHeader,
    #[deserr(default)]
    claim_name: Given<String>,
    #[deserr(default)]
    claim_path: NonEmpty<String>,
    #[deserr(default)]
    list_separator: Given<String>,
}

impl Deserr<ConfigErrors> for ClaimToHeader {
    fn deserialize_from_value<V: deserr::IntoValue>(
        value: deserr::Value<V>,
        at: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let written = Written::deserialize_from_value(value, at)?;
        Ok(Self {
            header_name: written.header_name,
            claim: claim(written.claim_name, written.claim_path, at)?,
            list_separator: separator(written.list_separator, at)?,
        })
    }
}

/// The claim that is given by `claim_name` or `claim_path`.
pub(crate) fn claim(
    name: Given<String>,
    path: NonEmpty<String>,
    at: ValuePointerRef<'_>,
) -> Result<ClaimPath, ConfigErrors> {
    let fields = [
        ("claim_name", name.0.is_some()),
        ("claim_path", !path.is_empty()),
    ];
    exactly_one(at, &fields)?;
    match name.0 {
        Some(name) => ClaimPath::dotted(&name)
            .map_err(|problem| ConfigErrors::at(at.push_key("claim_name"), problem)),
        None => ClaimPath::of(path.into_iter().map(Into::into).collect())
            .map_err(|problem| ConfigErrors::at(at.push_key("claim_path"), problem)),
    }
}

fn separator(given: Given<String>, at: ValuePointerRef<'_>) -> Result<Separator, ConfigErrors> {
    let Some(text) = given.0 else {
        return Ok(Separator::default());
    };
    if text.is_empty() || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        let problem = Problem::new("a separator is printable ASCII, and not empty");
        return Err(ConfigErrors::at(at.push_key("list_separator"), problem));
    }
    Ok(Separator(text.into()))
}

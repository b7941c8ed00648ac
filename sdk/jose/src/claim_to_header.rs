//! Claims as headers.

use std::fmt::Write as _;

use deserr::{Deserr, ValuePointerRef};
use legation::config::{ConfigErrors, Given, NonEmpty, Problem, Schema};
use legation::http::HeaderValue;
use serde_json::{Map, Number, Value};

use crate::claim_path::ClaimPath;
use crate::trusted::TrustedHeader;

/// A claim, and the header that it is put into.
#[derive(Debug, Clone, Schema)]
#[schema(as = Written)]
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

#[derive(Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[schema({ "oneOf": schema::exactly_one(&["claim_name", "claim_path"]) })]
struct Written {
    /// The header. It is stripped from every request that comes in.
    header_name: TrustedHeader,
    /// The claim: `a.b` is member `b` of claim `a`.
    #[deserr(default)]
    claim_name: Given<String>,
    /// The same by the names of the members that lead to it, for those with dots in them.
    #[deserr(default)]
    claim_path: NonEmpty<String>,
    /// What stands between the values of a claim that is a list: printable ASCII, `,`
    /// unless given.
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
            claim: ClaimPath::given(written.claim_name, written.claim_path, at)?,
            list_separator: separator(written.list_separator, at)?,
        })
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

impl ClaimToHeader {
    /// What the header says of these claims: `None` where the claim is not there, and
    /// where no header can be made of it.
    ///
    /// A text, a number, a truth value or a list of these has a form; an object, an
    /// empty value, and what could not be told apart from something else has none: text
    /// with control characters, and a list of which an element holds the separator.
    pub fn value(&self, claims: &Map<String, Value>) -> Option<String> {
        text(self.claim.find(claims)?, self.list_separator.as_str())
    }
}

/// A claim as a header's value.
fn text(value: &Value, separator: &str) -> Option<String> {
    let text = match value {
        Value::Array(list) => {
            let mut text = String::new();
            for (index, element) in list.iter().enumerate() {
                let element = scalar(element)?;
                if element.contains(separator) {
                    return None;
                }
                let before = if index > 0 { separator } else { "" };
                write!(text, "{before}{element}").ok()?;
            }
            text
        }
        value => scalar(value)?,
    };
    let is_value = HeaderValue::from_bytes(text.as_bytes()).is_ok();
    (is_value && !text.is_empty()).then_some(text)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(decimal(number)),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whole numbers without a fraction: JSON's `1.0` is the number 1.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the number is whole and below 2^53"
)]
fn decimal(number: &Number) -> String {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT => {
            (float as i64).to_string()
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_claim_is_written_as_what_it_is() {
        for (claim, expected) in [
            (json!("text"), Some("text")),
            (json!("\u{e4} b"), Some("\u{e4} b")),
            (json!(""), None),
            (json!("a\r\nb"), None),
            (json!("a\u{0}"), None),
            (json!(7), Some("7")),
            (json!(-7), Some("-7")),
            (json!(7.0), Some("7")),
            (json!(-0.5), Some("-0.5")),
            (json!(u64::MAX), Some("18446744073709551615")),
            (json!(1e300), Some("1e+300")),
            (json!(true), Some("true")),
            (json!(null), None),
            (json!({"a": 1}), None),
            (json!([]), None),
            (json!(["a"]), Some("a")),
            (json!(["a", 1, false]), Some("a,1,false")),
            (json!(["a", "b,c"]), None),
            (json!(["a", null]), None),
            (json!(["a", ["b"]]), None),
        ] {
            assert_eq!(text(&claim, ",").as_deref(), expected, "{claim}");
        }
        assert_eq!(
            text(&json!(["a", "b,c"]), " | ").as_deref(),
            Some("a | b,c")
        );
    }
}

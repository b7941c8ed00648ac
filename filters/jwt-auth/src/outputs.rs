//! What an accepted token has upstreams and later filters get, made ready once.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use legation::http::{HeaderName, HeaderValue};
use legation_jose::{Claims, Token};
use serde_json::{Map, Number, Value};

use crate::accepted::{Headers, States};
use crate::config::{ClaimToHeader, Provider};

/// What a provider's tokens are turned into.
#[derive(Debug)]
pub(crate) struct Outputs {
    payload_header: Option<HeaderName>,
    pad_payload: bool,
    claims: Box<[ClaimHeader]>,
    payload_state: Option<Box<str>>,
    header_state: Option<Box<str>>,
}

#[derive(Debug)]
struct ClaimHeader {
    header: HeaderName,
    path: Box<[Box<str>]>,
    separator: Box<str>,
}

/// A token's own part in it.
pub(crate) struct Source<'a> {
    pub(crate) claims: &'a Claims,
    /// The payload as it was sent, where the token had one.
    pub(crate) payload: Option<&'a str>,
    pub(crate) header: Option<&'a Map<String, Value>>,
}

impl<'a> Source<'a> {
    pub(crate) fn of(token: &'a Token<'_>) -> Self {
        Self {
            claims: token.claims(),
            payload: Some(token.payload_text()),
            header: Some(token.header()),
        }
    }
}

impl Outputs {
    pub(crate) fn new(provider: &Provider) -> Self {
        let state = |name: &legation::config::Given<crate::config::StateName>| {
            name.0.as_ref().map(|name| name.as_str().into())
        };
        let claim = |claim: &ClaimToHeader| ClaimHeader {
            header: claim.header_name.name().clone(),
            path: claim.claim.segments().into(),
            separator: claim.list_separator.as_str().into(),
        };
        let payload_header = provider.forward_payload_header.0.as_ref();
        Self {
            payload_header: payload_header.map(|header| header.name().clone()),
            pad_payload: provider.pad_forward_payload_header,
            claims: provider.claim_to_headers.iter().map(claim).collect(),
            payload_state: state(&provider.payload_in_filter_state),
            header_state: state(&provider.header_in_filter_state),
        }
    }

    /// The headers of a token, in the order they are added.
    pub(crate) fn headers(&self, source: &Source<'_>) -> Headers {
        let payload = self.payload_header.iter().map(|name| {
            let mut payload = match source.payload {
                Some(payload) => payload.to_owned(),
                None => URL_SAFE_NO_PAD.encode(source.claims.json()),
            };
            while self.pad_payload && !payload.len().is_multiple_of(4) {
                payload.push('=');
            }
            (name.clone(), payload.into_bytes().into())
        });
        let claims = self.claims.iter().filter_map(|claim| {
            let value = source.claims.at(&claim.path)?;
            let text = text(value, &claim.separator)?;
            Some((claim.header.clone(), text.into_bytes().into()))
        });
        payload.chain(claims).collect()
    }

    /// The state that a token leaves behind.
    pub(crate) fn states(&self, source: &Source<'_>) -> States {
        let payload = self.payload_state.iter();
        let payload = payload.map(|name| (name.clone(), source.claims.json().into()));
        let header = self.header_state.iter().filter_map(|name| {
            let json = serde_json::to_vec(source.header?).ok()?;
            Some((name.clone(), json.into()))
        });
        payload.chain(header).collect()
    }
}

/// A claim as a header's value: a string, a number, a truth value, or a list of
/// them. `None` for what is empty, for what has no such form, and for what could
/// not be told apart from something else: text with control characters, and a list
/// of which an element holds the separator.
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

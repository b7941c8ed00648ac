//! Ways to claims within claims.

use std::fmt;

use deserr::{Deserr, IntoValue, Sequence, Value as Written, ValuePointerRef};
use legation::config::{ConfigErrors, Given, NonEmpty, Problem, Schema, exactly_one, string};
use serde_json::{Map, Value};

/// A way into a token's payload: the names of its members, outermost first; or `a.b` for
/// member `b` of claim `a`.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({
    "anyOf": [
        { "type": "string", "pattern": r"^[^.]+(\.[^.]+)*$" },
        { "type": "array", "minItems": 1, "items": { "type": "string", "minLength": 1 } },
    ],
})]
pub struct ClaimPath(Box<[Box<str>]>);

impl ClaimPath {
    /// What it leads to, through objects alone.
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(claims.get(&**first)?, |value, name| {
            value.as_object()?.get(&**name)
        })
    }

    /// The names.
    pub fn segments(&self) -> &[Box<str>] {
        &self.0
    }

    /// That of a field `claim_name` or of a field `claim_path`, of which exactly one
    /// is given in the object at this place.
    pub fn given(
        name: Given<String>,
        path: NonEmpty<String>,
        at: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let fields = [
            ("claim_name", name.0.is_some()),
            ("claim_path", !path.is_empty()),
        ];
        exactly_one(at, &fields)?;
        match name.0 {
            Some(name) => Self::dotted(&name)
                .map_err(|problem| ConfigErrors::at(at.push_key("claim_name"), problem)),
            None => Self::of(path.into_iter().map(Into::into).collect())
                .map_err(|problem| ConfigErrors::at(at.push_key("claim_path"), problem)),
        }
    }

    /// The claim of this name.
    pub fn named(name: &str) -> Self {
        Self([name.into()].into())
    }

    /// `a.b` is `b` of `a`, as in Envoy.
    fn dotted(name: &str) -> Result<Self, Problem> {
        Self::of(name.split('.').map(Into::into).collect())
    }

    fn of(segments: Vec<Box<str>>) -> Result<Self, Problem> {
        if segments.is_empty() || segments.iter().any(|segment| segment.is_empty()) {
            return Err(Problem::new("the name of a claim is missing"));
        }
        Ok(Self(segments.into()))
    }
}

/// `a.b` in one text, or the names in a list, for those with dots in them.
impl Deserr<ConfigErrors> for ClaimPath {
    fn deserialize_from_value<V: IntoValue>(
        value: Written<V>,
        at: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let path = match value {
            Written::Sequence(names) if Sequence::is_empty(&names) => Self::of(Vec::new()),
            names @ Written::Sequence(_) => {
                let names: NonEmpty<String> = NonEmpty::deserialize_from_value(names, at)?;
                Self::of(names.into_iter().map(Into::into).collect())
            }
            name => Self::dotted(&string(
                name,
                at,
                "the name of a claim, or a list of names",
            )?),
        };
        path.map_err(|problem| ConfigErrors::at(at, problem))
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

#[cfg(test)]
mod tests {
    use legation::config;
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_path_is_a_text_with_dots_or_a_list() {
        let claims = json!({"a": {"b.c": 1, "b": {"c": 2}}, "a.b": 3});
        let claims = claims.as_object().unwrap();
        for (written, found) in [
            (json!("a.b.c"), Some(json!(2))),
            (json!(["a", "b.c"]), Some(json!(1))),
            (json!(["a.b"]), Some(json!(3))),
            (json!("a.b.c.d"), None),
            (json!("d"), None),
        ] {
            let path: ClaimPath = config::parse(written.to_string().as_bytes()).unwrap();
            assert_eq!(path.find(claims), found.as_ref(), "{written}");
        }
        for (written, told) in [
            (json!(""), "the name of a claim is missing"),
            (json!("a..b"), "the name of a claim is missing"),
            (json!([]), "the name of a claim is missing"),
            (json!(["a", ""]), "the name of a claim is missing"),
            (json!(7), "expected the name of a claim, or a list of names"),
            (json!(["a", 7]), "expected a string"),
        ] {
            let error = config::parse::<ClaimPath>(written.to_string().as_bytes()).unwrap_err();
            assert!(error.to_string().contains(told), "{written}: {error}");
        }
    }
}

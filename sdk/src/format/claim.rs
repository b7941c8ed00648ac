//! Claims of a JSON Web Token, in the state that the filter which verified it left.

use serde_json::Value as Json;

use super::ValueSource;
use super::attributes::{Path, segments};
use crate::config::{Problem, decimal, quoted};
use crate::filter_state;

/// A claim: `user:realm_access.roles` is what `realm_access` and in it `roles` lead to,
/// in the payload that `wasm.user` holds as JSON. A name with other characters than
/// letters, digits, `_` and `-` is written as `['name']`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    state: Path,
    names: Box<[Box<str>]>,
}

impl Claim {
    /// Reads a claim.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let example = "write `STATE:CLAIM`, such as `user:sub`, where STATE is what jwt-auth's \
                       `payload_in_filter_state` names";
        let Some((state, claim)) = text.split_once(':') else {
            let problem = Problem::new(format!("{} names no claim", quoted(text)));
            return Err(problem.help(example));
        };
        if filter_state::check_name(state).is_err() {
            let problem = Problem::new(format!("{} is no filter state's name", quoted(state)));
            return Err(problem.help(example));
        }
        let state = format!("wasm.{state}");
        Ok(Self {
            state: Path::of(&["filter_state", &state])?,
            names: segments(claim)?.into_iter().map(Box::from).collect(),
        })
    }

    /// The claim's values: one of a text, a number or a truth value, and of a list
    /// each element that is such. None where the claim is not there, is an object or
    /// null, or where there was no token. One host call.
    pub fn values<S: ValueSource + ?Sized>(&self, source: &mut S) -> Result<Vec<String>, S::Error> {
        let Some(payload) = source.attribute(&self.state)? else {
            return Ok(Vec::new());
        };
        let payload: Option<Json> = serde_json::from_slice(&payload).ok();
        let mut names = self.names.iter();
        let claim = names.try_fold(payload.as_ref(), |value, name| Some(value?.get(&**name)));
        Ok(match claim.flatten() {
            Some(Json::Array(elements)) => elements.iter().filter_map(text).collect(),
            Some(value) => text(value).into_iter().collect(),
            None => Vec::new(),
        })
    }
}

fn text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Some(number.to_string()),
            (None, Some(number)) => Some(number.to_string()),
            (None, None) => decimal(number.as_f64()?),
        },
        Json::Bool(flag) => Some(flag.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

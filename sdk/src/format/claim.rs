//! Claims of a JSON Web Token, in the state that the filter which verified it left.

use serde_json::Value as Json;

use super::ValueSource;
use super::attributes::{Path, segments};
use super::write::is_safe;
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
    /// null, or where there was no token. One host call, unless the source
    /// [keeps](ValueSource::json) payloads.
    pub fn values<S: ValueSource + ?Sized>(&self, source: &mut S) -> Result<Vec<String>, S::Error> {
        let payload = source.json(&self.state)?;
        Ok(match self.find(payload.as_deref()) {
            Some(Json::Array(elements)) => elements.iter().filter_map(text).collect(),
            Some(value) => text(value).into_iter().collect(),
            None => Vec::new(),
        })
    }

    /// The same as one text, a list's values with commas between them. `None` where that would read as another
    /// claim once it stands in a header: of a list of which an element holds a comma, and where a value holds a
    /// control character, or begins or ends with a space.
    pub fn text<S: ValueSource + ?Sized>(
        &self,
        source: &mut S,
    ) -> Result<Option<String>, S::Error> {
        let payload = source.json(&self.state)?;
        Ok(self.find(payload.as_deref()).and_then(|value| match value {
            Json::Array(elements) => {
                let values: Vec<_> = elements.iter().filter_map(text).collect();
                let is_clear = |value: &String| stays_itself(value) && !value.contains(',');
                values.iter().all(is_clear).then(|| values.join(","))
            }
            value => text(value).filter(|value| stays_itself(value)),
        }))
    }

    fn find<'a>(&self, payload: Option<&'a Json>) -> Option<&'a Json> {
        let mut names = self.names.iter();
        names.try_fold(payload?, |value, name| value.get(&**name))
    }
}

/// Whether a header has it as it is: control characters would become spaces there, and spaces around it be gone.
fn stays_itself(text: &str) -> bool {
    text.bytes().all(is_safe) && text.trim_matches([' ', '\t']) == text
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

//! From text to parts.

use std::fmt;

use super::environment::Environment;
use super::operators::{self, Operator, OwnOperator};
use super::write::{is_safe, push_safe, trim};
use super::{DEFAULT_LIMIT, Format, MAX_LENGTH, Part};
use crate::config::Problem;

/// Why a text is not a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatError {
    /// The column, from 1, in characters.
    column: usize,
    problem: Box<Problem>,
}

impl FormatError {
    /// The column, from 1, where the mistake begins.
    pub fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.problem)
    }
}

impl std::error::Error for FormatError {}

impl From<FormatError> for Problem {
    fn from(error: FormatError) -> Self {
        error.problem.before(&format!("column {}: ", error.column))
    }
}

pub(super) fn parse(
    text: &str,
    environment: &dyn Environment,
    own: &'static [OwnOperator],
) -> Result<Format, FormatError> {
    let mut parts = Parts::default();
    let mut rest = text;
    loop {
        let fail = |at: &str, problem| {
            let before = text.len().saturating_sub(at.len());
            let before = text.get(..before).unwrap_or(text);
            FormatError {
                column: before.chars().count().saturating_add(1),
                problem: Box::new(problem),
            }
        };
        let (literal, operator) = match rest.split_once('%') {
            Some((literal, operator)) => (literal, Some(operator)),
            None => (rest, None),
        };
        if let Some(at) = literal.bytes().position(|byte| !is_safe(byte)) {
            let at = rest.get(at..).unwrap_or(rest);
            let problem =
                Problem::new("a control character").help("a header's value holds none but tabs");
            return Err(fail(at, problem));
        }
        parts.push_literal(literal.as_bytes());
        let Some(operator) = operator else {
            break;
        };
        if let Some(after) = operator.strip_prefix('%') {
            parts.push_literal(b"%");
            rest = after;
            continue;
        }
        let start = rest.get(literal.len()..).unwrap_or(rest);
        let (part, after) =
            read_operator(operator, environment, own).map_err(|problem| fail(start, problem))?;
        match part {
            Part::Literal(value) => parts.push_literal(&value),
            operator @ Part::Operator { .. } => parts.0.push(operator),
        }
        rest = after;
    }
    Ok(Format {
        parts: parts.done(),
    })
}

#[derive(Default)]
struct Parts(Vec<Part>);

impl Parts {
    fn push_literal(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Some(Part::Literal(last)) = self.0.last_mut() {
            last.extend_from_slice(bytes);
        } else {
            self.0.push(Part::Literal(bytes.to_vec()));
        }
    }

    fn done(mut self) -> Box<[Part]> {
        if let [Part::Literal(only)] = self.0.as_mut_slice() {
            only.truncate(MAX_LENGTH);
            trim(only, 0);
        }
        self.0.into_boxed_slice()
    }
}

/// Reads from behind an operator's first percent sign to behind its last.
fn read_operator<'a>(
    text: &'a str,
    environment: &dyn Environment,
    own: &'static [OwnOperator],
) -> Result<(Part, &'a str), Problem> {
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let end = text.find(|char| !is_name(char)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return Err(
            Problem::new("a percent sign without an operator").help("a plain percent sign is `%%`")
        );
    }
    let (argument, rest) = match rest.strip_prefix('(') {
        None => (None, rest),
        Some(inside) => match split_argument(name, inside) {
            Some((argument, rest)) => (Some(argument), rest),
            None => return Err(Problem::new(format!("`{name}(` is not closed by `)`"))),
        },
    };
    let (limit, rest) = match rest.strip_prefix(':') {
        None => (None, rest),
        Some(length) => {
            let end = length.find(|char: char| !char.is_ascii_digit());
            let (digits, rest) = length.split_at(end.unwrap_or(length.len()));
            let limit = digits
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LENGTH).contains(limit));
            let Some(limit) = limit else {
                return Err(Problem::new(format!(
                    "what follows `:` is a length from 1 to {MAX_LENGTH}"
                )));
            };
            (Some(limit), rest)
        }
    };
    let Some(rest) = rest.strip_prefix('%') else {
        let problem = Problem::new(format!("`%{name}` is not closed by `%`"));
        return Err(problem.help("a plain percent sign is `%%`"));
    };
    let operator = operators::read(name, argument, own)?;
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    let part = match operator {
        Operator::Environment(variable) => Part::Literal(resolve(&variable, environment, limit)?),
        operator => Part::Operator { operator, limit },
    };
    Ok((part, rest))
}

/// The argument and what follows its parenthesis. One that is an operator has
/// parentheses of its own.
fn split_argument<'a>(name: &str, inside: &'a str) -> Option<(&'a str, &'a str)> {
    if !operators::takes_operator(name) {
        return inside.split_once(')');
    }
    let mut depth = 1_usize;
    for (at, char) in inside.char_indices() {
        match char {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            let (argument, rest) = inside.split_at_checked(at)?;
            return Some((argument, rest.strip_prefix(')')?));
        }
    }
    None
}

fn resolve(
    variable: &str,
    environment: &dyn Environment,
    limit: usize,
) -> Result<Vec<u8>, Problem> {
    let Some(value) = environment.get(variable) else {
        let name = crate::config::quoted(variable);
        return Err(
            Problem::new(format!("the environment variable {name} is not set")).help(
                "a module sees only what its plugin's `vm_config.environment_variables` names: \
             `host_env_keys` (of Envoy's own environment) or `key_values`",
            ),
        );
    };
    let mut out = Vec::new();
    push_safe(&mut out, value.as_bytes(), limit);
    Ok(out)
}

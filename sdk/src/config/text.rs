//! The words that errors are made of.

use deserr::{ErrorKind, IntoValue, Value, ValueKind, ValuePointerRef};

use super::error::{ConfigErrors, MEANT, MISSING, Problem, UNKNOWN};

/// Longer values are cut in messages.
const SHOWN: usize = 60;
/// More names than these are not listed.
const LISTED: usize = 40;

/// A text as a message shows it: quoted, on one line, not too long.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    let mut chars = text.chars();
    for char in chars.by_ref().take(SHOWN) {
        match char {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if is_shown(char) => out.push(char),
            _ => out.extend(char.escape_unicode()),
        }
    }
    if chars.next().is_some() {
        out.push('…');
    }
    out.push('"');
    out
}

/// RFC 9110, section 5.6.2: what names of headers and methods are.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// What has a shape of its own and does not turn what stands around it: no
/// control characters, line separators or marks of direction.
fn is_shown(char: char) -> bool {
    !char.is_control()
        && !matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A number in at most nine decimals; none where it has more digits than that
/// can tell.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the number is whole and below 10^18"
)]
pub(crate) fn decimal(number: f64) -> Option<String> {
    // The formatting of floats of the standard library is 15 KB of module.
    let whole = number.trunc();
    if number.is_nan() || whole.abs() >= 1e15 {
        return None;
    }
    let fraction = ((number - whole).abs() * 1e9).round() as i64;
    let (whole, fraction) = match fraction {
        1_000_000_000 => (whole + number.signum(), 0),
        fraction => (whole, fraction),
    };
    let negative = number < 0.0 && (whole != 0.0 || fraction != 0);
    let sign = if negative { "-" } else { "" };
    let mut text = format!("{sign}{}.{fraction:09}", whole.abs() as i64);
    text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    Some(text)
}

/// The candidate that a misspelt word most likely means.
///
/// ```
/// use legation::config::suggest;
///
/// assert_eq!(suggest("prefx", ["exact", "prefix"]), Some("prefix"));
/// assert_eq!(suggest("safe_regex", ["exact", "regex"]), Some("regex"));
/// assert_eq!(suggest("colour", ["exact", "prefix"]), None);
/// ```
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = fold(word);
    // A distance a third of the word's length still looks like a slip.
    let limit = (word.len() / 3).clamp(1, 3);
    let mut best = None;
    let mut within = None;
    for candidate in candidates {
        let folded = fold(candidate);
        let distance = strsim::osa_distance(&word, &folded);
        if distance <= limit && best.is_none_or(|(closest, _)| distance < closest) {
            best = Some((distance, candidate));
        }
        let (short, long) = if folded.len() < word.len() {
            (&folded, &word)
        } else {
            (&word, &folded)
        };
        let mut parts = long.as_bytes().windows(short.len().max(4));
        if within.is_none() && parts.any(|part| part == short.as_bytes()) {
            within = Some(candidate);
        }
    }
    best.map(|(_, candidate)| candidate).or(within)
}

fn fold(word: &str) -> String {
    // Words come from the configuration: what is compared stays short.
    word.chars()
        .take(SHOWN)
        .map(|char| match char {
            '-' => '_',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

/// Says which word was probably meant, and which there are.
pub(super) fn help_with_names(word: &str, names: &[&str]) -> Option<String> {
    let (first, rest) = names.split_first()?;
    let mut known = String::from(*first);
    for name in rest.iter().take(LISTED) {
        known.push_str(", ");
        known.push_str(name);
    }
    if rest.len() > LISTED {
        known.push_str(", …");
    }
    Some(match suggest(word, names.iter().copied()) {
        Some(meant) => format!("{MEANT}{meant}`? (known: {known})"),
        None => format!("known: {known}"),
    })
}

/// What the document holds where something else was wanted.
pub(super) enum Got {
    Null,
    Boolean(bool),
    Integer(u64),
    Negative(i64),
    Float(f64),
    String(String),
    List,
    Object,
}

impl Got {
    pub(super) fn from<V: IntoValue>(value: Value<V>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Boolean(value) => Self::Boolean(value),
            Value::Integer(value) => Self::Integer(value),
            Value::NegativeInteger(value) => Self::Negative(value),
            Value::Float(value) => Self::Float(value),
            Value::String(value) => Self::String(value),
            Value::Sequence(_) => Self::List,
            Value::Map(_) => Self::Object,
        }
    }

    /// With the value itself: not for secrets.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Boolean(value) => format!("`{value}`"),
            Self::Integer(value) => format!("the number {value}"),
            Self::Negative(value) => format!("the number {value}"),
            Self::Float(value) => match decimal(*value) {
                Some(text) => format!("the number {text}"),
                None => "a huge number".to_owned(),
            },
            Self::String(value) => format!("the string {}", quoted(value)),
            Self::Null | Self::List | Self::Object => self.named().to_owned(),
        }
    }

    pub(super) fn named(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) | Self::Negative(_) | Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::List => "a list",
            Self::Object => "an object",
        }
    }

    fn is_scalar(&self) -> bool {
        matches!(
            self,
            Self::Boolean(_) | Self::Integer(_) | Self::Negative(_) | Self::Float(_)
        )
    }
}

/// `expected …, got …`, with a hint where a hint is to be had.
pub(super) fn wrong_type(expected: &str, got: &Got) -> Problem {
    // Where a structure belongs, a string may be a credential put one level too
    // high, and seeing it helps nobody.
    let structure = expected.starts_with("an object") || expected.starts_with("a list");
    let got = match got {
        Got::String(_) if structure => got.named().to_owned(),
        got => got.shown(),
    };
    Problem::new(format!("expected {expected}, got {got}"))
}

/// The same for the kinds of value that `deserr` names.
pub(super) fn wrong_kind(accepted: &[ValueKind], got: &Got) -> Problem {
    let accepts = |kind| accepted.contains(&kind);
    if let (Got::Negative(value), true) = (got, accepts(ValueKind::Integer)) {
        return Problem::new(format!("must not be negative, got {value}"));
    }
    let mut expected = String::new();
    for (kind, name) in [
        (ValueKind::Map, "an object"),
        (ValueKind::Sequence, "a list"),
        (ValueKind::String, "a string"),
        (ValueKind::Float, "a number"),
        (ValueKind::Integer, "a whole number"),
        (ValueKind::Boolean, "`true` or `false`"),
        (ValueKind::Null, "null"),
    ] {
        let integer_too = kind == ValueKind::Integer && accepts(ValueKind::Float);
        if accepts(kind) && !integer_too {
            if !expected.is_empty() {
                expected.push_str(" or ");
            }
            expected.push_str(name);
        }
    }
    let problem = wrong_type(&expected, got);
    let number = accepts(ValueKind::Integer) || accepts(ValueKind::Float);
    match got {
        Got::String(text) if number && looks_like_a_number(text) => {
            problem.help("write the number without quotes")
        }
        Got::String(text) if accepts(ValueKind::Boolean) && (text == "true" || text == "false") => {
            problem.help(format!("write {text} without quotes"))
        }
        got if got.is_scalar() && accepts(ValueKind::String) => problem.help("put it in quotes"),
        _ => problem,
    }
}

fn looks_like_a_number(text: &str) -> bool {
    text.starts_with(|char: char| char.is_ascii_digit() || char == '-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b".-+eE".contains(&byte))
}

/// `deserr` writes the range of an integer type in words of its own.
pub(super) fn unexpected(message: String) -> Problem {
    let reworded = message.strip_prefix("value: `").and_then(|rest| {
        let (value, rest) = rest.split_once('`')?;
        let (_, limit) = rest.split_once("authorized is `")?;
        let limit = limit.strip_suffix('`')?;
        let bound = if rest.contains("maximum") {
            "most"
        } else {
            "least"
        };
        Some(format!("out of range: {value}, at {bound} {limit} allowed"))
    });
    Problem::new(reworded.unwrap_or(message))
}

/// The string at this place, or an error that says what was expected there. For
/// `Deserr` implementations of types that are written as text.
pub fn string<V: IntoValue>(
    value: Value<V>,
    location: ValuePointerRef<'_>,
    expected: &str,
) -> Result<String, ConfigErrors> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(ConfigErrors::at(
            location,
            wrong_type(expected, &Got::from(other)),
        )),
    }
}

/// An error of `deserr`'s as ours.
pub(super) fn problem_of<V: IntoValue>(error: ErrorKind<'_, V>) -> (Problem, Option<&str>) {
    match error {
        ErrorKind::IncorrectValueKind { actual, accepted } => {
            (wrong_kind(accepted, &Got::from(actual)), None)
        }
        ErrorKind::MissingField { field } => (Problem::new(MISSING), Some(field)),
        ErrorKind::UnknownKey { key, accepted } => {
            let problem = Problem::new(UNKNOWN);
            (
                match help_with_names(key, accepted) {
                    Some(help) => problem.help(help),
                    None => problem.help("no field is known here"),
                },
                Some(key),
            )
        }
        ErrorKind::UnknownValue { value, accepted } => {
            let problem = Problem::new(format!("unknown value {}", quoted(value)));
            (
                match help_with_names(value, accepted) {
                    Some(help) => problem.help(help),
                    None => problem,
                },
                None,
            )
        }
        ErrorKind::BadSequenceLen { actual, expected } => {
            let got = deserr::Sequence::len(&actual);
            (
                Problem::new(format!("expected {expected} elements, got {got}")),
                None,
            )
        }
        ErrorKind::Unexpected { msg } => (unexpected(msg), None),
    }
}

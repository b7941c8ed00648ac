//! Values that many filters are configured with.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use deserr::{Deserr, IntoValue, Map, Value, ValuePointerRef};

use super::Schema;
use super::error::{ConfigErrors, Problem};
use super::text::{Got, quoted, string, wrong_type};

/// Reads a type that is written as a string through its `FromStr`.
macro_rules! from_text {
    ($name:ty, $expected:expr) => {
        impl Deserr<ConfigErrors> for $name {
            fn deserialize_from_value<V: IntoValue>(
                value: Value<V>,
                location: ValuePointerRef<'_>,
            ) -> Result<Self, ConfigErrors> {
                string(value, location, $expected)?
                    .parse()
                    .map_err(|problem: Problem| ConfigErrors::at(location, problem))
            }
        }
    };
}

const A_DURATION: &str = r#"a duration with its unit, such as "1.5s" or "250ms""#;

/// A length of time, written as Envoy writes it (`"1.5s"`) or in `ms`, `us`, `m`
/// or `h`. Never negative, at most 100 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Schema)]
#[schema({ "type": "string", "pattern": schema::DURATION })]
pub struct Duration(std::time::Duration);

impl Duration {
    /// The length.
    pub const fn get(self) -> std::time::Duration {
        self.0
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

from_text!(Duration, A_DURATION);

impl FromStr for Duration {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let unit_at = text
            .find(|char: char| char.is_ascii_alphabetic())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let nanoseconds: u64 = match unit {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60 * 1_000_000_000,
            "h" => 3_600 * 1_000_000_000,
            _ => 0,
        };
        if number.starts_with('-') && nanoseconds > 0 {
            return Err(Problem::new(format!(
                "must not be negative, got {}",
                quoted(text)
            )));
        }
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if nanoseconds == 0
            || whole.is_empty()
            || fraction.is_empty()
            || !digits(whole)
            || !digits(fraction)
        {
            let got = quoted(text);
            return Err(Problem::new(format!("expected {A_DURATION}, got {got}")));
        }
        exact(whole, fraction, nanoseconds)
            .filter(|duration| duration.0 <= MAX_DURATION)
            .ok_or_else(|| {
                Problem::new(format!("out of range: {}, at most 100 years", quoted(text)))
            })
    }
}

const MAX_DURATION: std::time::Duration = std::time::Duration::from_hours(100 * 366 * 24);

fn exact(whole: &str, fraction: &str, unit: u64) -> Option<Duration> {
    let mut nanoseconds = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let mut part = unit;
    for digit in fraction.bytes() {
        // What is finer than a nanosecond falls away.
        part = part.checked_div(10)?;
        let digit = u64::from(digit.checked_sub(b'0')?);
        nanoseconds = nanoseconds.checked_add(digit.checked_mul(part)?)?;
    }
    Some(Duration(std::time::Duration::from_nanos(nanoseconds)))
}

/// A [`Duration`] from `MIN` to `MAX` milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Schema)]
#[schema(description = "", {
    "type": "string",
    "pattern": schema::DURATION,
    schema::NOTE: between(MIN, MAX),
})]
pub struct BoundedDuration<const MIN: u64, const MAX: u64>(Duration);

impl<const MIN: u64, const MAX: u64> BoundedDuration<MIN, MAX> {
    /// So many milliseconds, if they are in bounds.
    pub const fn from_millis(milliseconds: u64) -> Option<Self> {
        if MIN <= milliseconds && milliseconds <= MAX {
            let duration = std::time::Duration::from_millis(milliseconds);
            Some(Self(Duration(duration)))
        } else {
            None
        }
    }

    /// The length.
    pub const fn get(self) -> std::time::Duration {
        self.0.get()
    }
}

impl<const MIN: u64, const MAX: u64> Deserr<ConfigErrors> for BoundedDuration<MIN, MAX> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        duration_between(value, location, MIN, MAX).map(Self)
    }
}

/// Reads a duration from `min` to `max` milliseconds. There once, whatever bounds
/// there are.
#[inline(never)]
fn duration_between<V: IntoValue>(
    value: Value<V>,
    location: ValuePointerRef<'_>,
    min: u64,
    max: u64,
) -> Result<Duration, ConfigErrors> {
    let duration = Duration::deserialize_from_value(value, location)?;
    let [min, max] = [min, max].map(std::time::Duration::from_millis);
    if (min..=max).contains(&duration.0) {
        return Ok(duration);
    }
    let [got, min, max] = [duration.0, min, max].map(in_words);
    let problem = format!("out of range: {got}, allowed are {min} to {max}");
    Err(ConfigErrors::at(location, problem))
}

#[cfg(not(target_family = "wasm"))]
fn between(min: u64, max: u64) -> String {
    let [min, max] = [min, max].map(std::time::Duration::from_millis);
    let [min, max] = [min, max].map(in_words);
    format!("A duration with its unit, such as `1.5s` or `250ms`: {min} to {max}.")
}

/// `250ms`, `5s`, `2h`.
fn in_words(duration: std::time::Duration) -> String {
    let nanoseconds = duration.as_nanos();
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    for (unit, length) in [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
    ] {
        if nanoseconds.checked_rem(length) == Some(0) {
            let count = nanoseconds.checked_div(length).unwrap_or_default();
            return format!("{count}{unit}");
        }
    }
    format!("{nanoseconds}ns")
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Schema)]
#[schema(description = "", { "type": "integer", "minimum": MIN, "maximum": MAX })]
pub struct Bounded<const MIN: i64, const MAX: i64>(i64);

impl<const MIN: i64, const MAX: i64> Bounded<MIN, MAX> {
    /// The number, if it is in range.
    pub const fn new(number: i64) -> Option<Self> {
        if MIN <= number && number <= MAX {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl<const MIN: i64, const MAX: i64> Deserr<ConfigErrors> for Bounded<MIN, MAX> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        number_between(value, location, MIN, MAX).map(Self)
    }
}

/// Reads a whole number from `min` to `max`. There once, whatever bounds there are.
#[inline(never)]
fn number_between<V: IntoValue>(
    value: Value<V>,
    location: ValuePointerRef<'_>,
    min: i64,
    max: i64,
) -> Result<i64, ConfigErrors> {
    let got = Got::from(value);
    let number = match &got {
        Got::Integer(number) => i64::try_from(*number).ok(),
        Got::Negative(number) => Some(*number),
        _ => {
            let expected = format!("a whole number from {min} to {max}");
            return Err(ConfigErrors::at(location, wrong_type(&expected, &got)));
        }
    };
    let in_range = number.filter(|number| (min..=max).contains(number));
    in_range.ok_or_else(|| {
        let problem = format!("out of range: {}, allowed are {min} to {max}", got.shown());
        ConfigErrors::at(location, problem.replace("the number ", ""))
    })
}

/// A text that is not empty.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema(description = "", { "type": "string", "minLength": 1 })]
pub struct Text(Box<str>);

impl Text {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0.into()
    }
}

impl Deserr<ConfigErrors> for Text {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a string")?;
        if text.is_empty() {
            return Err(ConfigErrors::at(location, "must not be empty"));
        }
        Ok(Self(text.into()))
    }
}

/// A percentage from 0 to 100 with up to four decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Schema)]
#[schema({ "type": "number", "minimum": 0, "maximum": 100 })]
pub struct Percent(u32);

impl Percent {
    /// All of it.
    pub const ALL: Self = Self(1_000_000);

    /// So many parts per million; `None` where that is more than all.
    pub const fn from_ppm(parts: u32) -> Option<Self> {
        if parts <= Self::ALL.0 {
            Some(Self(parts))
        } else {
            None
        }
    }

    /// In parts per million.
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// Whether a random number falls into this share. One number admits to a
    /// larger share whenever it admits to a smaller.
    pub fn admits(self, random: u64) -> bool {
        random % 1_000_000 < u64::from(self.0)
    }
}

impl Deserr<ConfigErrors> for Percent {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let got = Got::from(value);
        let problem = match &got {
            Got::Integer(number) => match u32::try_from(*number) {
                Ok(number @ 0..=100) => return Ok(Self(number.saturating_mul(10_000))),
                _ => OUT_OF_RANGE,
            },
            Got::Float(number) if (0.0..=100.0).contains(number) => match ppm(*number) {
                Some(percent) => return Ok(percent),
                None => "at most four decimals",
            },
            Got::Negative(_) | Got::Float(_) => OUT_OF_RANGE,
            _ => {
                let problem = wrong_type("a percentage from 0 to 100, such as 12.5", &got);
                return Err(ConfigErrors::at(location, problem));
            }
        };
        let got = got.shown();
        let got = got.strip_prefix("the number ").unwrap_or(&got);
        Err(ConfigErrors::at(location, format!("{problem}, got {got}")))
    }
}

const OUT_OF_RANGE: &str = "out of range: a percentage is from 0 to 100";

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number is whole and from 0 to 1000000"
)]
fn ppm(percent: f64) -> Option<Percent> {
    let ppm = percent * 10_000.0;
    // A decimal fraction is rarely exact in binary.
    ((ppm - ppm.round()).abs() < 1e-6).then_some(Percent(ppm.round() as u32))
}

/// The name of an ordinary header, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Schema)]
#[schema({ "type": "string", "pattern": schema::TOKEN, "not": { "pattern": "^[Hh][Oo][Ss][Tt]$" } })]
pub struct HeaderName(http::HeaderName);

impl HeaderName {
    /// The name as the `http` crate's type.
    pub fn into_inner(self) -> http::HeaderName {
        self.0
    }
}

impl Deref for HeaderName {
    type Target = http::HeaderName;

    fn deref(&self) -> &http::HeaderName {
        &self.0
    }
}

from_text!(HeaderName, "the name of a header");

impl FromStr for HeaderName {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        if text.starts_with(':') {
            let problem = format!("{} is a pseudo-header, not a header", quoted(text));
            return Err(Problem::new(problem).help(
                "it is part of the request line (method, path, host) and is not reached this way",
            ));
        }
        let name = http::HeaderName::from_bytes(text.as_bytes()).map_err(|_| {
            Problem::new(format!("{} is not the name of a header", quoted(text)))
                .help("names are letters, digits and !#$%&'*+-.^_`|~")
        })?;
        if name == http::header::HOST {
            return Err(Problem::new("`host` is not a header here").help(
                "Envoy keeps it as the pseudo-header `:authority`: it is part of the request line",
            ));
        }
        Ok(Self(name))
    }
}

/// The value of a header: no control characters, no space at its ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Schema)]
#[schema({ "type": "string", "pattern": "^([^\\x00-\\x20\\x7f]([^\\x00-\\x08\\x0a-\\x1f\\x7f]*[^\\x00-\\x20\\x7f])?)?$" })]
pub struct HeaderValue(http::HeaderValue);

impl HeaderValue {
    /// The value as the `http` crate's type.
    pub fn into_inner(self) -> http::HeaderValue {
        self.0
    }
}

impl Deref for HeaderValue {
    type Target = http::HeaderValue;

    fn deref(&self) -> &http::HeaderValue {
        &self.0
    }
}

from_text!(HeaderValue, "a header's value");

impl FromStr for HeaderValue {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        if text.trim_matches([' ', '\t']) != text {
            return Err(Problem::new(
                "a header's value must not begin or end with a space",
            ));
        }
        http::HeaderValue::from_bytes(text.as_bytes())
            .map(Self)
            .map_err(|_| Problem::new("a header's value must not hold control characters"))
    }
}

/// Text that appears in no message and no log.
#[derive(Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "minLength": 1 })]
pub struct Secret(String);

impl Secret {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Deserr<ConfigErrors> for Secret {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let problem = match Got::from(value) {
            Got::String(text) if !text.is_empty() => return Ok(Self(text)),
            Got::String(_) => "a secret must not be empty".to_owned(),
            // Named, not shown.
            other => format!("expected a string, got {}", other.named()),
        };
        Err(ConfigErrors::at(location, problem))
    }
}

/// The configuration of a filter that has none: absent, empty or `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Schema)]
#[schema({ "type": ["object", "null", "string"], "maxProperties": 0, "maxLength": 0 })]
pub struct NoConfig;

impl Deserr<ConfigErrors> for NoConfig {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        match value {
            Value::Null => Ok(Self),
            Value::Map(map) if map.is_empty() => Ok(Self),
            Value::String(text) if text.is_empty() => Ok(Self),
            _ => Err(ConfigErrors::at(
                location,
                "this filter takes no configuration: leave it out",
            )),
        }
    }
}

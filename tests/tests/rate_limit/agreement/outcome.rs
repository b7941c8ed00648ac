//! What came of a request.

use std::fmt;

use legation_tests::{Received, Response};
use serde::Deserialize;

/// How many seconds a table may take. They are a small part of the time in which any of its buckets gets
/// a token.
const SLACK: u64 = 120;

/// Headers that differ between any two answers, or are compared in another way.
const APART: &[&str] = &[
    "date",
    "retry-after",
    "x-envoy-upstream-service-time",
    "x-ratelimit-reset",
];

/// `passes`, or `denied 3/0/3600 again 3600`: whether a request gets to the upstream, and what the client
/// is told of the limit: how many, how many are left, and in how many seconds there is one again; then, where
/// a table says it, the seconds in `retry-after`, or `unsaid`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Outcome {
    pub(super) passes: bool,
    told: Option<[u64; 3]>,
    again: Option<Again>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    After(u64),
    Unsaid,
}

impl TryFrom<String> for Outcome {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not like \"passes\" or \"denied 3/0/3600\"");
        let (rest, again) = match text.split_once(" again ") {
            Some((rest, "unsaid")) => (rest, Some(Again::Unsaid)),
            Some((rest, seconds)) => {
                let seconds = seconds.parse().map_err(|_| wrong())?;
                (rest, Some(Again::After(seconds)))
            }
            None => (&*text, None),
        };
        let (word, told) = match rest.split_once(' ') {
            Some((word, told)) => (word, Some(told)),
            None => (rest, None),
        };
        let passes = match word {
            "passes" => true,
            "denied" => false,
            _ => return Err(wrong()),
        };
        let numbers = |text: &str| {
            let numbers = text.split('/').map(|number| number.parse().ok());
            let numbers: Option<Vec<u64>> = numbers.collect();
            numbers?.try_into().ok()
        };
        let told = told
            .map(|told| numbers(told).ok_or_else(wrong))
            .transpose()?;
        Ok(Self {
            passes,
            told,
            again,
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.passes { "passes" } else { "denied" })?;
        if let Some([limit, remaining, reset]) = self.told {
            write!(out, " {limit}/{remaining}/{reset}")?;
        }
        match self.again {
            Some(Again::After(seconds)) => write!(out, " again {seconds}"),
            Some(Again::Unsaid) => out.write_str(" again unsaid"),
            None => Ok(()),
        }
    }
}

impl Outcome {
    /// Whether this came of it; less of the time until a token may be left.
    fn is(&self, got: &Self) -> bool {
        let in_time = |time: u64, got: u64| {
            let left = time.saturating_sub(SLACK).max(1)..=time;
            time == got || left.contains(&got)
        };
        let told = match (&self.told, &got.told) {
            (Some([limit, remaining, reset]), Some([got_limit, got_remaining, got_reset])) => {
                (limit, remaining) == (got_limit, got_remaining) && in_time(*reset, *got_reset)
            }
            (told, got) => told == got,
        };
        let again = match (self.again, got.again) {
            (None, _) => true,
            (Some(Again::After(time)), Some(Again::After(got))) => in_time(time, got),
            (again, got) => again == got,
        };
        self.passes == got.passes && told && again
    }
}

/// A request at one of the two filters.
pub(super) struct Seen {
    pub(super) response: Response,
    pub(super) received: Option<Received>,
}

impl Seen {
    fn outcome(&self) -> Outcome {
        let number = |name: &str| {
            let values = self.response.headers.all(&format!("x-ratelimit-{name}"));
            // The upstream's come first.
            std::str::from_utf8(values.last()?).ok()?.parse().ok()
        };
        let told = || Some([number("limit")?, number("remaining")?, number("reset")?]);
        let retry_after = self.response.headers.all("retry-after");
        let seconds = || std::str::from_utf8(retry_after.first()?).ok()?.parse().ok();
        Outcome {
            passes: self.received.is_some(),
            told: told(),
            again: Some(seconds().map_or(Again::Unsaid, Again::After)),
        }
    }

    /// What is wrong about it, where this should have come of it.
    pub(super) fn problem(&self, expected: &Outcome, denied_with: u16) -> Option<String> {
        let status = self.response.status;
        let is_grpc = self.response.headers.contains("grpc-status");
        let right = if expected.passes || is_grpc {
            200
        } else {
            denied_with
        };
        let got = self.outcome();
        if expected.is(&got) && status == right {
            return None;
        }
        Some(format!("{status}, {got}, and not {right}, {expected}"))
    }

    /// The answer, without what differs between any two, and if so without what it says of the limit.
    pub(super) fn answer(&self, without_limit: bool) -> String {
        let headers = &self.response.headers;
        let mut lines: Vec<_> = headers
            .iter()
            .filter(|(name, _)| !APART.contains(name))
            .filter(|(name, _)| !(without_limit && name.starts_with("x-ratelimit-")))
            .map(|(name, value)| format!("{name}: {}\n", value.escape_ascii()))
            .collect();
        // The order among different names means nothing, that of equal ones stays.
        lines.sort_by(|a, b| a.split(':').next().cmp(&b.split(':').next()));
        let (status, body) = (self.response.status, self.response.text());
        format!("{status}\n{}\n{body}", lines.concat())
    }

    /// The request at the upstream, without what differs between any two.
    pub(super) fn request(&self) -> Option<String> {
        self.received.as_ref().map(Received::comparable)
    }
}

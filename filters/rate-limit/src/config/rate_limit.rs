//! What makes one descriptor of a request.

use deserr::{Deserr, ValuePointerRef};
use legation::config::{Bounded, ConfigErrors, Given, NonEmpty, Problem, Schema, exactly_one};
use legation::format::Format;
use legation::matcher::Matcher;

use super::action::Action;
use super::elsewhere::{
    ApplyOnStreamDone, DisableKey, IsNegativeHits, LimitOfLimit, LimitOfMetadata, Stage,
    XRateLimitOption,
};
use super::text::request_format;

/// One of `rate_limits`: it makes one descriptor of a request, or none.
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[schema(readme = "Descriptors of a request")]
pub struct RateLimit {
    /// Which requests it is for: all, unless given.
    #[deserr(default, rename = "match")]
    pub matcher: Matcher,
    /// What the descriptor's entries are made of, in order.
    pub actions: NonEmpty<Action>,
    /// How much a request counts: one, unless given.
    #[deserr(default)]
    pub hits_addend: Given<HitsAddend>,
    /// The limit that a rate-limit service is told.
    #[deserr(default)]
    pub limit: Given<Override>,
    #[deserr(default, rename = "stage")]
    _stage: Stage,
    #[deserr(default, rename = "disable_key")]
    _disable_key: DisableKey,
    #[deserr(default, rename = "apply_on_stream_done")]
    _apply_on_stream_done: ApplyOnStreamDone,
    #[deserr(default, rename = "x_ratelimit_option")]
    _x_ratelimit_option: XRateLimitOption,
}

/// How much a request counts. Zero looks at a limit and takes nothing of it.
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check_hits -> ConfigErrors)]
#[schema({ "oneOf": schema::exactly_one(&["number", "format"]) })]
pub struct HitsAddend {
    /// So much; 0 looks at a limit and takes nothing of it.
    #[deserr(default)]
    number: Given<Bounded<0, 1_000_000>>,
    /// Where it stands in the request: `%REQ(x-cost)%`. A fraction is cut off, and what is
    /// no number counts 1.
    #[deserr(default)]
    format: Given<Format>,
    #[deserr(default, rename = "is_negative_hits")]
    _is_negative_hits: IsNegativeHits,
}

impl HitsAddend {
    /// So much, where it is written down.
    pub fn number(&self) -> Option<u32> {
        let number = self.number.0?;
        u32::try_from(number.get()).ok()
    }

    /// What gives the number otherwise.
    pub fn format(&self) -> Option<&Format> {
        self.format.0.as_ref()
    }
}

fn check_hits(hits: HitsAddend, at: ValuePointerRef<'_>) -> Result<HitsAddend, ConfigErrors> {
    let fields = [
        ("number", hits.number.0.is_some()),
        ("format", hits.format.0.is_some()),
    ];
    exactly_one(at, &fields)?;
    if let Some(format) = &hits.format.0 {
        let at = at.push_key("format");
        request_format(format).map_err(|problem| ConfigErrors::at(at, problem))?;
        if format.as_literal().is_some() {
            let problem = Problem::new("it is the same for all requests")
                .help("write `number: 5`, or take the number from the request: `%REQ(x-cost)%`");
            return Err(ConfigErrors::at(at, problem));
        }
    }
    Ok(hits)
}

/// The limit that a rate-limit service is told, in the place of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Override {
    /// How many may pass.
    requests_per_unit: Bounded<0, 4_294_967_295>,
    /// In which time.
    pub unit: Unit,
    #[deserr(default, rename = "rate_limit")]
    _rate_limit: LimitOfLimit,
    #[deserr(default, rename = "dynamic_metadata")]
    _dynamic_metadata: LimitOfMetadata,
}

impl Override {
    /// How many may pass.
    pub fn requests_per_unit(&self) -> u32 {
        u32::try_from(self.requests_per_unit.get()).unwrap_or(u32::MAX)
    }
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors)]
pub enum Unit {
    /// `SECOND`
    #[deserr(rename = "SECOND")]
    Second,
    /// `MINUTE`
    #[deserr(rename = "MINUTE")]
    Minute,
    /// `HOUR`
    #[deserr(rename = "HOUR")]
    Hour,
    /// `DAY`
    #[deserr(rename = "DAY")]
    Day,
    /// `MONTH`
    #[deserr(rename = "MONTH")]
    Month,
    /// `YEAR`
    #[deserr(rename = "YEAR")]
    Year,
}

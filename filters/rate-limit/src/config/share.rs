//! Shares of requests.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{Bounded, ConfigErrors, Percent, Problem};

use super::elsewhere::RuntimeKey;

/// A share of requests, as a percentage or as Envoy writes it:
/// `{default_value: {numerator: 5, denominator: HUNDRED}}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    ppm: u32,
}

impl Share {
    /// In parts per million.
    pub const fn ppm(self) -> u32 {
        self.ppm
    }

    /// Whether a random number falls into this share. One number admits to a larger
    /// share whenever it admits to a smaller.
    pub fn admits(self, random: u64) -> bool {
        random % 1_000_000 < u64::from(self.ppm)
    }
}

/// All of them.
impl Default for Share {
    fn default() -> Self {
        Self { ppm: 1_000_000 }
    }
}

#[derive(Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Written {
    default_value: Fraction,
    #[deserr(default, rename = "runtime_key")]
    _runtime_key: RuntimeKey,
}

#[derive(Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check -> ConfigErrors)]
struct Fraction {
    numerator: Bounded<0, 1_000_000>,
    #[deserr(default)]
    denominator: Denominator,
}

#[derive(Clone, Copy, Default, Deserr)]
#[deserr(error = ConfigErrors)]
enum Denominator {
    #[default]
    #[deserr(rename = "HUNDRED")]
    Hundred,
    #[deserr(rename = "TEN_THOUSAND")]
    TenThousand,
    #[deserr(rename = "MILLION")]
    Million,
}

impl Fraction {
    fn ppm(&self) -> u32 {
        let parts = match self.denominator {
            Denominator::Hundred => 10_000,
            Denominator::TenThousand => 100,
            Denominator::Million => 1,
        };
        let numerator = u32::try_from(self.numerator.get()).unwrap_or(u32::MAX);
        numerator.saturating_mul(parts)
    }
}

fn check(fraction: Fraction, at: ValuePointerRef<'_>) -> Result<Fraction, ConfigErrors> {
    if fraction.ppm() <= 1_000_000 {
        return Ok(fraction);
    }
    let problem = Problem::new("more than all requests")
        .help("the denominator is HUNDRED unless given, and the numerator no larger");
    Err(ConfigErrors::at(at.push_key("numerator"), problem))
}

impl Deserr<ConfigErrors> for Share {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let ppm = match value {
            Value::Map(_) => {
                let written = Written::deserialize_from_value(value, location)?;
                written.default_value.ppm()
            }
            value => Percent::deserialize_from_value(value, location)?.ppm(),
        };
        Ok(Self { ppm })
    }
}

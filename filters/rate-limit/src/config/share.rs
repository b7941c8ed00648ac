//! Shares of requests.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{Bounded, ConfigErrors, Percent, Problem, Schema};

use super::elsewhere::RuntimeKey;

/// A share of requests, as a percentage or as Envoy writes it:
/// `{default_value: {numerator: 5, denominator: HUNDRED}}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Schema)]
#[schema({
    "anyOf": [
        generator.subschema_for::<Percent>(),
        generator.subschema_for::<Written>(),
    ],
})]
pub struct Share(pub Percent);

/// All of them.
impl Default for Share {
    fn default() -> Self {
        Self(Percent::ALL)
    }
}

#[derive(Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Written {
    /// The share, in the parts of `denominator`.
    default_value: Fraction,
    #[deserr(default, rename = "runtime_key")]
    _runtime_key: RuntimeKey,
}

#[derive(Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Fraction {
    /// So many parts.
    numerator: Bounded<0, 1_000_000>,
    /// Of so many.
    #[deserr(default)]
    denominator: Denominator,
}

#[derive(Clone, Copy, Default, Deserr, Schema)]
#[deserr(error = ConfigErrors)]
enum Denominator {
    /// Percents.
    #[default]
    #[deserr(rename = "HUNDRED")]
    Hundred,
    /// Hundredths of a percent.
    #[deserr(rename = "TEN_THOUSAND")]
    TenThousand,
    /// Parts per million.
    #[deserr(rename = "MILLION")]
    Million,
}

impl Fraction {
    fn percent(&self) -> Option<Percent> {
        let parts = match self.denominator {
            Denominator::Hundred => 10_000,
            Denominator::TenThousand => 100,
            Denominator::Million => 1,
        };
        let numerator = u32::try_from(self.numerator.get()).ok()?;
        Percent::from_ppm(numerator.checked_mul(parts)?)
    }
}

impl Deserr<ConfigErrors> for Share {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        if !matches!(value, Value::Map(_)) {
            return Percent::deserialize_from_value(value, location).map(Self);
        }
        let written = Written::deserialize_from_value(value, location)?;
        written.default_value.percent().map(Self).ok_or_else(|| {
            let problem = Problem::new("more than all requests")
                .help("the denominator is HUNDRED unless given, and the numerator no larger");
            let at = location.push_key("default_value");
            ConfigErrors::at(at.push_key("numerator"), problem)
        })
    }
}

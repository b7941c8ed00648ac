//! Where reports are taken in.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{Bounded, ConfigErrors, Given, Problem, Schema, string};
use legation::matcher::normalize_path;

/// Takes reports in.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[schema(readme = "Reports", prefix = "collector.")]
pub struct Collector {
    /// The path that browsers send them to.
    pub path: Path,
    /// A longer body is answered 413: 1 to 1,048,576 bytes, 65,536 unless given.
    #[deserr(default)]
    pub max_bytes: Given<Bounded<1, 1_048_576>>,
    /// How many reports a worker reads in a second; the rest is counted and dropped.
    /// 1 to 10,000, 100 unless given.
    #[deserr(default)]
    pub max_reports_per_second: Given<Bounded<1, 10_000>>,
}

/// A page with a hundred violations, sent at once.
const MAX_BYTES: i64 = 65_536;
const MAX_PER_SECOND: i64 = 100;

impl Collector {
    /// How long a body may be.
    pub fn max_bytes(&self) -> usize {
        let bytes = self.max_bytes.0.map_or(MAX_BYTES, Bounded::get);
        usize::try_from(bytes).unwrap_or_default()
    }

    /// How many reports a worker reads in a second.
    pub fn max_reports_per_second(&self) -> u32 {
        let reports = self
            .max_reports_per_second
            .0
            .map_or(MAX_PER_SECOND, Bounded::get);
        u32::try_from(reports).unwrap_or_default()
    }
}

/// A path of the filter's own.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "minLength": 2, "pattern": r#"^/[^;,?#"'<>\\\s]+$"# })]
pub struct Path(Box<str>);

impl Path {
    /// The path, in normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deserr<ConfigErrors> for Path {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a path")?;
        // What stands in a policy ends at these.
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b";,?#\"'<>\\".contains(&byte);
        if text.starts_with('/')
            && text.len() > 1
            && text.bytes().all(is_plain)
            && normalize_path(text.as_bytes()).as_ref() == text.as_bytes()
        {
            return Ok(Self(text.into()));
        }
        let problem = Problem::new(format!("`{text}` is not a path of the filter's own"));
        let problem =
            problem.help("such as `/.well-known/csp-reports`: in its normal form, without a query");
        Err(ConfigErrors::at(location, problem))
    }
}

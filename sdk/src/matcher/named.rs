//! Tests of a header, a query parameter or a cookie.

use deserr::{IntoValue, Value, ValuePointerRef};

use super::fields::Fields;
use super::parameters::query_parameters;
use super::request::RequestView;
use super::string::{COMPARISONS, StringMatch};
use crate::config::{ConfigErrors, MISSING, Problem, Schema, is_token, quoted};
use crate::headers::{cookies, unquoted};

/// A test of all values of one name: one of `exact`, `prefix`, `suffix`, `contains`,
/// `regex`, `present` and `range`.
///
/// The name is that of a header, a query parameter, a cookie, or of what a filter's own
/// condition looks at.
#[derive(Debug, Clone, Schema)]
#[schema(definition, with = super::schema::named)]
pub struct Named {
    name: Box<str>,
    test: Test,
    invert: bool,
}

#[derive(Debug, Clone)]
enum Test {
    Present(bool),
    Range { start: i64, end: i64 },
    Text(StringMatch),
}

impl Named {
    pub(super) fn header<V: RequestView + ?Sized>(&self, view: &mut V) -> Result<bool, V::Error> {
        if let Test::Present(_) = self.test {
            let found = view.header(&self.name)?.is_some();
            return Ok(self.presence(found));
        }
        let mut seen = Seen::new(self);
        view.any_header(&self.name, &mut |value| seen.is_enough(value))?;
        Ok(seen.passes())
    }

    pub(super) fn query<V: RequestView + ?Sized>(&self, view: &mut V) -> Result<bool, V::Error> {
        let path = view.header(":path")?.unwrap_or_default();
        let mut seen = Seen::new(self);
        for (name, value) in query_parameters(path) {
            if *name == *self.name && seen.is_enough(value.as_bytes()) {
                break;
            }
        }
        Ok(seen.passes())
    }

    pub(super) fn cookie<V: RequestView + ?Sized>(&self, view: &mut V) -> Result<bool, V::Error> {
        let mut seen = Seen::new(self);
        view.any_header("cookie", &mut |header| {
            cookies(header).any(|(name, value)| {
                name == self.name.as_bytes() && seen.is_enough(unquoted(value))
            })
        })?;
        Ok(seen.passes())
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether these values of the name pass.
    pub fn passes<'v>(&self, values: impl IntoIterator<Item = &'v [u8]>) -> bool {
        let mut seen = Seen::new(self);
        for value in values {
            if seen.is_enough(value) {
                break;
            }
        }
        seen.passes()
    }

    fn presence(&self, found: bool) -> bool {
        matches!(self.test, Test::Present(wanted) if wanted == found) != self.invert
    }

    fn holds(&self, value: &[u8]) -> bool {
        match &self.test {
            Test::Present(_) => true,
            Test::Text(test) => test.matches(value),
            Test::Range { start, end } => std::str::from_utf8(value.trim_ascii())
                .ok()
                .and_then(|text| text.parse().ok())
                .is_some_and(|number: i64| (*start..*end).contains(&number)),
        }
    }
}

/// What the values seen so far say.
struct Seen<'a> {
    test: &'a Named,
    any: bool,
    holds: bool,
}

impl<'a> Seen<'a> {
    fn new(test: &'a Named) -> Self {
        Self {
            test,
            any: false,
            holds: false,
        }
    }

    /// Looks at a value and tells whether no other needs to be.
    fn is_enough(&mut self, value: &[u8]) -> bool {
        self.any = true;
        self.holds = self.test.holds(value);
        self.holds
    }

    /// A test of a value fails where there is none, inverted or not.
    fn passes(&self) -> bool {
        if let Test::Present(_) = self.test.test {
            return self.test.presence(self.any);
        }
        self.any && self.holds != self.test.invert
    }
}

/// How a header may be tested beside the comparisons of strings.
pub(super) const HEADER_TESTS: &[&str] = &["present", "range"];
pub(super) const OTHERS: &[&str] = &["name", "ignore_case", "invert_match"];

impl Named {
    /// A test of a header.
    pub(super) fn read_header<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let mut test = Self::read(value, location)?;
        let at_name = |problem| ConfigErrors::at(location.push_key("name"), problem);
        let instead = match test.name.to_ascii_lowercase().as_str() {
            ":path" => "test the path with `path`, the query with `query`",
            ":method" => "test the method with `method`",
            ":authority" | "host" => "test the host with `host`",
            name if is_token(name) => {
                test.name = name.into();
                return Ok(test);
            }
            name => {
                let name = quoted(name);
                return Err(at_name(Problem::new(format!(
                    "{name} is not the name of a header"
                ))));
            }
        };
        Err(at_name(
            Problem::new("not tested as a header").help(instead),
        ))
    }

    /// A test of a query parameter or a cookie, or a filter's own: an object with `name`
    /// and one of the comparisons, `present` or `range`.
    pub fn read<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let tests = [COMPARISONS, HEADER_TESTS].concat();
        let fields = Fields::read(value, location, &tests, OTHERS)?;
        let Some(name) = &fields.name else {
            let location = location.push_key("name");
            return Err(ConfigErrors::at(location, MISSING));
        };
        let test = match (fields.comparison(location)?, fields.range) {
            (Some(comparison), _) => Test::Text(comparison),
            (None, Some((start, end))) => Test::Range { start, end },
            (None, None) => Test::Present(fields.present.unwrap_or(true)),
        };
        Ok(Self {
            name: name.as_str().into(),
            test,
            invert: fields.invert_match,
        })
    }
}

//! Tests of a header, a query parameter or a cookie.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use super::parameters::{cookies, query_parameters};
use super::request::RequestView;
use super::string::{StringMatch, given};
use crate::config::{Bounded, ConfigErrors, Given, HeaderName, Problem, exactly_one};

/// A test of all values of one name.
#[derive(Debug, Clone)]
pub(super) struct Named {
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
            cookies(header)
                .any(|(name, value)| name == self.name.as_bytes() && seen.is_enough(value))
        })?;
        Ok(seen.passes())
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

type Number = Bounded<{ i64::MIN }, { i64::MAX }>;

#[derive(Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Range {
    start: Number,
    end: Number,
}

#[derive(Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Fields {
    name: String,
    #[deserr(default)]
    exact: Given<String>,
    #[deserr(default)]
    prefix: Given<String>,
    #[deserr(default)]
    suffix: Given<String>,
    #[deserr(default)]
    contains: Given<String>,
    #[deserr(default)]
    regex: Given<String>,
    #[deserr(default)]
    present: Given<bool>,
    #[deserr(default)]
    range: Given<Range>,
    #[deserr(default)]
    ignore_case: bool,
    #[deserr(default)]
    invert_match: bool,
}

impl Fields {
    fn read(self, location: ValuePointerRef<'_>) -> Result<Named, ConfigErrors> {
        let written = [
            self.exact,
            self.prefix,
            self.suffix,
            self.contains,
            self.regex,
        ];
        let mut choices = given(&written);
        choices.push(("present", self.present.0.is_some()));
        choices.push(("range", self.range.0.is_some()));
        let mut errors = exactly_one(location, &choices).err();
        if self.name.is_empty() {
            let error = ConfigErrors::at(location.push_key("name"), "must not be empty");
            ConfigErrors::add(&mut errors, error);
        }
        let comparison = match StringMatch::written(location, written, self.ignore_case) {
            Ok(comparison) => comparison,
            Err(error) => {
                ConfigErrors::add(&mut errors, error);
                None
            }
        };
        let range = self
            .range
            .0
            .map(|range| (range.start.get(), range.end.get()));
        let test = match (comparison, range) {
            (Some(comparison), _) => Test::Text(comparison),
            (None, Some((start, end))) => {
                if start >= end {
                    let problem = Problem::new("an empty range")
                        .help("`start` is in the range, `end` is the first number behind it");
                    let error = ConfigErrors::at(location.push_key("range"), problem);
                    ConfigErrors::add(&mut errors, error);
                }
                Test::Range { start, end }
            }
            (None, None) => Test::Present(self.present.0.unwrap_or(true)),
        };
        ConfigErrors::check(
            errors,
            Named {
                name: self.name.into(),
                test,
                invert: self.invert_match,
            },
        )
    }
}

/// A test of a header.
pub(super) struct HeaderMatch(pub(super) Named);

impl Deserr<ConfigErrors> for HeaderMatch {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let fields = Fields::deserialize_from_value(value, location)?;
        let instead = match fields.name.to_ascii_lowercase().as_str() {
            ":path" => Some("test the path with `path`, the query with `query`"),
            ":method" => Some("test the method with `method`"),
            ":authority" | "host" => Some("test the host with `host`"),
            _ => None,
        };
        let at_name = |problem| ConfigErrors::at(location.push_key("name"), problem);
        let name: Result<HeaderName, _> = match instead {
            Some(instead) => Err(at_name(
                Problem::new("not tested as a header").help(instead),
            )),
            None => fields.name.parse().map_err(at_name),
        };
        match (name, fields.read(location)) {
            (Ok(name), Ok(test)) => Ok(Self(Named {
                name: name.as_str().into(),
                ..test
            })),
            (Err(error), Err(more)) => Err(error.merge(more)),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }
}

/// A test of a query parameter or a cookie.
pub(super) struct ParameterMatch(pub(super) Named);

impl Deserr<ConfigErrors> for ParameterMatch {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        Fields::deserialize_from_value(value, location)?
            .read(location)
            .map(Self)
    }
}

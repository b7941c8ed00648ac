//! The fields of tests, as they are written.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use super::path_match::PATH_TESTS;
use super::string::{COMPARISONS, StringMatch};
use crate::config::{self, Bounded, ConfigErrors, MISSING, Problem, exactly_one, object};

type Number = Bounded<{ i64::MIN }, { i64::MAX }>;

/// The fields of a test of a string, a path, a header, a parameter or a cookie.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) name: Option<String>,
    /// What is given of [`COMPARISONS`] and [`PATH_TESTS`].
    texts: Vec<(&'static str, String)>,
    pub(super) present: Option<bool>,
    pub(super) range: Option<(i64, i64)>,
    pub(super) ignore_case: bool,
    pub(super) invert_match: bool,
}

impl Fields {
    /// Reads an object with these fields at most, and checks that one of its
    /// `tests` is given.
    pub(super) fn read<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
        tests: &[&'static str],
        others: &[&'static str],
    ) -> Result<Self, ConfigErrors> {
        let mut read = Self::default();
        let mut given: Vec<_> = tests.iter().map(|test| (*test, false)).collect();
        let names = [others, tests].concat();
        let mut errors = object::fields(value, location, &names, &mut |key, value, location| {
            for (test, given) in &mut given {
                *given |= *test == key;
            }
            read.take(key, value, location)
        })
        .err();
        // Where a field was wrong, it may be the test that is missing.
        let several = given.iter().filter(|(_, given)| *given).count() > 1;
        if (several || errors.is_none())
            && let Err(error) = exactly_one(location, &given)
        {
            ConfigErrors::add(&mut errors, error);
        }
        ConfigErrors::check(errors, read)
    }

    fn take<V: IntoValue>(
        &mut self,
        key: &str,
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<(), ConfigErrors> {
        let flag = |value| bool::deserialize_from_value(value, location);
        match key {
            "ignore_case" => self.ignore_case = flag(value)?,
            "invert_match" => self.invert_match = flag(value)?,
            "present" => self.present = Some(flag(value)?),
            "range" => self.range = Some(range(value, location)?),
            "name" => {
                let name = config::string(value, location, "a string")?;
                if name.is_empty() {
                    return Err(ConfigErrors::at(location, "must not be empty"));
                }
                self.name = Some(name);
            }
            other => {
                let mut texts = COMPARISONS.iter().chain(PATH_TESTS);
                if let Some(test) = texts.find(|test| **test == other) {
                    let text = config::string(value, location, "a string")?;
                    self.texts.push((test, text));
                }
            }
        }
        Ok(())
    }

    /// The text given for one of [`PATH_TESTS`].
    pub(super) fn text(&self, test: &str) -> Option<&str> {
        let mut texts = self.texts.iter();
        texts
            .find(|(known, _)| *known == test)
            .map(|(_, text)| text.as_str())
    }

    /// The test of a string, if one of [`COMPARISONS`] is given.
    pub(super) fn comparison(
        &self,
        location: ValuePointerRef<'_>,
    ) -> Result<Option<StringMatch>, ConfigErrors> {
        let mut given = COMPARISONS.iter().map(|how| (how, self.text(how)));
        match given.find_map(|(how, text)| Some((how, text?))) {
            None => Ok(None),
            Some((how, text)) => match StringMatch::written(how, text, self.ignore_case) {
                Ok(comparison) => Ok(Some(comparison)),
                Err(problem) => Err(ConfigErrors::at(location.push_key(how), problem)),
            },
        }
    }
}

fn range<V: IntoValue>(
    value: Value<V>,
    location: ValuePointerRef<'_>,
) -> Result<(i64, i64), ConfigErrors> {
    let (mut start, mut end) = (None, None);
    object::fields(
        value,
        location,
        &["start", "end"],
        &mut |key, value, location| {
            let number = Number::deserialize_from_value(value, location)?.get();
            *(if key == "start" { &mut start } else { &mut end }) = Some(number);
            Ok(())
        },
    )?;
    match (start, end) {
        (Some(start), Some(end)) if start < end => Ok((start, end)),
        (Some(_), Some(_)) => {
            let problem = Problem::new("an empty range")
                .help("`start` is in the range, `end` is the first number behind it");
            Err(ConfigErrors::at(location, problem))
        }
        (start, _) => {
            let missing = if start.is_none() { "start" } else { "end" };
            Err(ConfigErrors::at(location.push_key(missing), MISSING))
        }
    }
}

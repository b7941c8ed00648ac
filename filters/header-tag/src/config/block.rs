//! What a rule changes of one part of a message.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Given, OneOrMany, OrderedMap, Problem, Schema};
use legation::matcher::{RegexRewrite, StringMatch};

use super::conflict::{Checks, Place};
use super::name::{Name, Renames, StateName};
use super::query::{QueryChanges, Traceparent};
use super::scalar::{HeaderValue, Statuses};
use super::side::Side;

/// What is done to one part of a message. Each part has some fields alone; one type has all,
/// so that the code that reads it is there once.
///
/// The changes are made in the order of the fields here.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[schema(readme = "Changes")]
pub struct Changes {
    /// Which responses: those with one of these statuses; all, unless given.
    #[deserr(default)]
    pub when_status: Statuses,
    /// Gives the request a `traceparent` where it has none that is valid.
    #[deserr(default)]
    pub traceparent: Given<Traceparent>,
    /// Headers to remove.
    #[deserr(default)]
    pub remove: OneOrMany<Name>,
    /// Headers to remove whose names pass one of these tests.
    #[deserr(default)]
    pub remove_on_match: OneOrMany<NameMatch>,
    /// Headers to rename, with all their values.
    #[deserr(default)]
    pub rename: Renames,
    /// Headers in whose values something is replaced.
    #[deserr(default)]
    pub regex_rewrite: OrderedMap<Name, RegexRewrite>,
    /// Headers that have these values and no others afterwards.
    #[deserr(default)]
    pub set: OrderedMap<Name, OneOrMany<HeaderValue>>,
    /// The same, of headers that are there.
    #[deserr(default)]
    pub overwrite_if_exists: OrderedMap<Name, OneOrMany<HeaderValue>>,
    /// Headers to add where they are not there.
    #[deserr(default)]
    pub add_if_absent: OrderedMap<Name, OneOrMany<HeaderValue>>,
    /// Values to add to what is there.
    #[deserr(default)]
    pub append: OrderedMap<Name, OneOrMany<HeaderValue>>,
    /// Headers of which some values are dropped.
    #[deserr(default)]
    pub dedupe: OrderedMap<Name, Dedupe>,
    /// Changes of the query.
    #[deserr(default)]
    pub query: Given<QueryChanges>,
    /// State to set, which the access log and routes can see.
    #[deserr(default)]
    pub filter_state: OrderedMap<StateName, HeaderValue>,
    /// Whether Envoy chooses the route anew. After a change of a header it does so
    /// anyway.
    #[deserr(default)]
    pub clear_route_cache: Given<bool>,
    /// Whether a value that came out empty is written too.
    #[deserr(default)]
    pub keep_empty_value: bool,
}

/// The [`Changes`] of one part, without the fields that are others' alone.
macro_rules! of {
    ($side:ident: $(#[$doc:meta])* $changes:ident without $($field:literal),*) => {
        $(#[$doc])*
        #[derive(Debug, Schema)]
        #[schema(as = Changes, { "allOf": [{ "properties": { $($field: false),* } }] })]
        pub struct $changes(pub Changes);

        impl Deserr<ConfigErrors> for $changes {
            fn deserialize_from_value<V: IntoValue>(
                value: Value<V>,
                location: ValuePointerRef<'_>,
            ) -> Result<Self, ConfigErrors> {
                let changes = Changes::deserialize_from_value(value, location)?;
                changes.check(Side::$side, location).map(Self)
            }
        }
    };
}

of! {
    Request:
    /// What is done to the request's headers.
    RequestChanges without "when_status"
}

of! {
    Response:
    /// What is done to the response's headers.
    ResponseChanges without "traceparent", "query", "clear_route_cache"
}

of! {
    ResponseTrailers:
    /// What is done to trailers, of a request or a response.
    TrailerChanges without "when_status", "traceparent", "query", "clear_route_cache"
}

impl Changes {
    fn check(self, side: Side, at: ValuePointerRef<'_>) -> Result<Self, ConfigErrors> {
        let mut checks = Checks::new(at, side);
        let of_requests = [
            ("traceparent", self.traceparent.0.is_some()),
            ("query", self.query.0.is_some()),
            ("clear_route_cache", self.clear_route_cache.0.is_some()),
        ];
        for (field, is_given) in of_requests {
            checks.field(Side::Request, field, is_given);
        }
        checks.field(Side::Response, "when_status", !self.when_status.is_any());
        for name in &self.remove {
            checks.note(Place::Remove, name, None);
        }
        for (from, to) in self.rename.iter() {
            checks.note(Place::RenamedFrom, from, Some(from));
            checks.note(Place::RenamedTo, to, Some(from));
        }
        for (name, _) in &self.regex_rewrite {
            checks.note(Place::Rewritten, name, Some(name));
        }
        for (place, puts) in [
            (Place::Set, &self.set),
            (Place::OverwriteIfExists, &self.overwrite_if_exists),
            (Place::AddIfAbsent, &self.add_if_absent),
            (Place::Append, &self.append),
        ] {
            for (name, values) in puts {
                checks.note(place, name, Some(name));
                checks.values(place, name, values.iter().map(HeaderValue::as_literal));
                if !self.keep_empty_value && values.iter().any(HeaderValue::is_written_empty) {
                    checks.empty_value(place, name);
                }
            }
        }
        for (name, _) in &self.dedupe {
            checks.note(Place::Deduped, name, Some(name));
        }
        checks.changes(!self.remove_on_match.is_empty() || !self.filter_state.is_empty());
        checks.changes(self.query.0.is_some() || self.traceparent.0.is_some());
        checks.changes(self.clear_route_cache.0 == Some(true));
        ConfigErrors::check(checks.done(), self)
    }

    /// Its values, each with where it stands.
    pub(super) fn values(&self) -> impl Iterator<Item = Spot<'_>> {
        let puts = [
            ("set", &self.set),
            ("overwrite_if_exists", &self.overwrite_if_exists),
            ("add_if_absent", &self.add_if_absent),
            ("append", &self.append),
        ];
        let headers = puts.into_iter().flat_map(|(field, puts)| {
            puts.iter().flat_map(move |(name, values)| {
                let is_list = values.len() > 1;
                let values = values.iter().enumerate();
                values.map(move |(index, value)| Spot {
                    within: None,
                    field,
                    name: name.written(),
                    index: is_list.then_some(index),
                    value,
                })
            })
        });
        let states = self.filter_state.iter();
        let states = states.map(|(name, value)| Spot {
            within: None,
            field: "filter_state",
            name: name.as_str(),
            index: None,
            value,
        });
        let parameters = self.query.0.iter().flat_map(|query| {
            let set = query.set.iter().map(|one| ("set", one));
            set.chain(query.append.iter().map(|one| ("append", one)))
        });
        let parameters = parameters.map(|(field, (name, value))| Spot {
            within: Some("query"),
            field,
            name: name.as_str(),
            index: None,
            value,
        });
        headers.chain(states).chain(parameters)
    }
}

/// Where a value stands in a block.
pub(super) struct Spot<'a> {
    /// What the field is in.
    within: Option<&'static str>,
    field: &'static str,
    name: &'a str,
    /// Its place among several.
    index: Option<usize>,
    pub(super) value: &'a HeaderValue,
}

impl Spot<'_> {
    /// Says what is wrong with the value, where it stands.
    pub(super) fn add(
        &self,
        block: ValuePointerRef<'_>,
        problem: Problem,
        add: &mut dyn FnMut(ValuePointerRef<'_>, Problem),
    ) {
        let within = self.within.map(|field| block.push_key(field));
        let block = within.unwrap_or(block);
        let at = block.push_key(self.field);
        let at = at.push_key(self.name);
        let element = self.index.map(|index| at.push_index(index));
        let at = element.unwrap_or(at);
        match self.value.field() {
            Some(field) => add(at.push_key(field), problem),
            None => add(at, problem),
        }
    }
}

/// A test of a header's name, which has no case: of one that rules may change.
#[derive(Debug, Schema)]
#[schema(as = StringMatch)]
pub struct NameMatch(StringMatch);

impl Deserr<ConfigErrors> for NameMatch {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        if matches!(value, Value::String(_)) {
            let problem = Problem::new("a name stands under `remove`")
                .help("here is a test of names, such as `{prefix: x-internal-}`");
            return Err(ConfigErrors::at(location, problem));
        }
        // Envoy has the names in lower case, whatever a client sends.
        let test = StringMatch::deserialize_from_value(value, location)?;
        let test = test.ignoring_case();
        test.map(Self)
            .map_err(|problem| ConfigErrors::at(location, problem))
    }
}

impl NameMatch {
    /// The test.
    pub fn into_inner(self) -> StringMatch {
        self.0
    }
}

/// Which values of a repeated header are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors)]
pub enum Dedupe {
    /// The first.
    #[deserr(rename = "RETAIN_FIRST")]
    RetainFirst,
    /// The last.
    #[deserr(rename = "RETAIN_LAST")]
    RetainLast,
    /// Each once, in the order of the first of each.
    #[deserr(rename = "RETAIN_UNIQUE")]
    RetainUnique,
}

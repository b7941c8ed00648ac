//! What a rule changes on one side.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Given, OneOrMany, OrderedMap, Problem, Schema};
use legation::format::Format;
use legation::http::HeaderName;
use legation::matcher::{RegexRewrite, StringMatch};

use super::conflict::{Checks, Place};
use super::name::{Name, Renames, StateName};
use super::query::{Parameter, QueryChanges, Traceparent};
use super::scalar::{Made, RequestValue, ResponseValue, Statuses};

/// Requests and responses are changed alike; only values and conditions differ.
macro_rules! changes {
    ($(#[$doc:meta])* $changes:ident, $value:ident $(, $(#[$condition_doc:meta])* $condition:ident: $type:ty)*; $changes_more:expr) => {
        $(#[$doc])*
        ///
        /// They are made in the order of the fields here.
        #[derive(Debug, Deserr, Schema)]
        #[deserr(error = ConfigErrors, deny_unknown_fields, validate = Self::check -> ConfigErrors)]
        #[schema(readme = "Changes")]
        pub struct $changes {
            $(
                $(#[$condition_doc])*
                #[deserr(default)]
                pub $condition: $type,
            )*
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
            pub set: OrderedMap<Name, OneOrMany<$value>>,
            /// The same, of headers that are there.
            #[deserr(default)]
            pub overwrite_if_exists: OrderedMap<Name, OneOrMany<$value>>,
            /// Headers to add where they are not there.
            #[deserr(default)]
            pub add_if_absent: OrderedMap<Name, OneOrMany<$value>>,
            /// Values to add to what is there.
            #[deserr(default)]
            pub append: OrderedMap<Name, OneOrMany<$value>>,
            /// Headers of which some values are dropped.
            #[deserr(default)]
            pub dedupe: OrderedMap<Name, Dedupe>,
            /// State to set, which the access log and routes can see.
            #[deserr(default)]
            pub filter_state: OrderedMap<StateName, $value>,
            /// Whether a value that came out empty is written too.
            #[deserr(default)]
            pub keep_empty_value: bool,
        }

        impl $changes {
            fn check(self, at: ValuePointerRef<'_>) -> Result<Self, ConfigErrors> {
                let mut checks = Checks::new(at);
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
                        if !self.keep_empty_value && values.iter().any($value::is_written_empty) {
                            checks.empty_value(place, name);
                        }
                    }
                }
                for (name, _) in &self.dedupe {
                    checks.note(Place::Deduped, name, Some(name));
                }
                let changes_more: fn(&Self) -> bool = $changes_more;
                checks.changes(
                    !self.remove_on_match.is_empty()
                        || !self.filter_state.is_empty()
                        || changes_more(&self),
                );
                match checks.done() {
                    None => Ok(self),
                    Some(errors) => Err(errors),
                }
            }

            /// The formats of its values, each with where it stands.
            pub(super) fn formats(&self) -> impl Iterator<Item = (&'static str, String, &Format)> {
                let puts = [
                    ("set", &self.set),
                    ("overwrite_if_exists", &self.overwrite_if_exists),
                    ("add_if_absent", &self.add_if_absent),
                    ("append", &self.append),
                ];
                let headers = puts.into_iter().flat_map(|(field, puts)| {
                    puts.iter().flat_map(move |(name, values)| {
                        let written = name.written().to_owned();
                        values.iter().map(move |value| (field, written.clone(), value.format()))
                    })
                });
                let states = self.filter_state.iter();
                let states = states
                    .map(|(name, value)| ("filter_state", name.as_str().to_owned(), value.format()));
                headers.chain(states)
            }

            /// What is left to do when it is known that it is to be done.
            pub(crate) fn into_changes(self) -> Changes {
                fn puts(map: OrderedMap<Name, OneOrMany<$value>>) -> Vec<Put> {
                    let put = |(name, values): (Name, OneOrMany<$value>)| Put {
                        name: name.into_inner(),
                        values: values.into_iter().map(Made::from).collect(),
                    };
                    map.into_iter().map(put).collect()
                }

                let renames = self.rename.into_iter();
                let rewrites = self.regex_rewrite.into_iter();
                let dedupes = self.dedupe.into_iter();
                let states = self.filter_state.into_iter();
                Changes {
                    remove_on_match: self.remove_on_match.into_iter().map(|test| test.0).collect(),
                    regex_rewrite: rewrites.map(|(name, rule)| (name.into_inner(), rule)).collect(),
                    dedupe: dedupes.map(|(name, kept)| (name.into_inner(), kept)).collect(),
                    filter_state: states
                        .map(|(name, value)| (name.into_inner(), Made::from(value)))
                        .collect(),
                    query: Vec::new(),
                    traceparent: None,
                    clear_route_cache: false,
                    remove: self.remove.into_iter().map(Name::into_inner).collect(),
                    rename: renames.map(|(from, to)| (from.into_inner(), to.into_inner())).collect(),
                    set: puts(self.set),
                    overwrite_if_exists: puts(self.overwrite_if_exists),
                    add_if_absent: puts(self.add_if_absent),
                    append: puts(self.append),
                    keep_empty_value: self.keep_empty_value,
                }
            }
        }
    };
}

changes! {
    /// What is done to the request's headers.
    RequestChanges, RequestValue,
    /// Whether Envoy chooses the route anew. After a change of a header it does so
    /// anyway.
    clear_route_cache: bool,
    /// Changes of the query.
    query: Given<QueryChanges>,
    /// Gives the request a `traceparent` where it has none that is valid.
    traceparent: Given<Traceparent>;
    |changes| changes.clear_route_cache || changes.query.0.is_some() || changes.traceparent.0.is_some()
}

changes! {
    /// What is done to the response's headers.
    ResponseChanges, ResponseValue,
    /// Which responses: those with one of these statuses; all, unless given.
    when_status: Statuses;
    |_| false
}

impl RequestChanges {
    /// The formats of the query's values, each with where it stands.
    pub(super) fn query_formats(&self) -> impl Iterator<Item = (&'static str, String, &Format)> {
        let given = self.query.0.iter();
        let all = given.flat_map(|query| query.set.iter().chain(query.append.iter()));
        all.map(|(name, value)| ("query", name.as_str().to_owned(), value.format()))
    }

    /// All that is left to do.
    pub(crate) fn into_all_changes(mut self) -> Changes {
        let clear_route_cache = self.clear_route_cache;
        let traceparent = self.traceparent.0.take();
        let mut query = Vec::new();
        if let Some(given) = self.query.0.take() {
            let removed = given.remove.into_iter().map(Parameter::into_inner);
            query.extend(removed.map(QueryChange::Remove));
            query.extend(
                given
                    .rename
                    .into_iter()
                    .map(|(from, to)| QueryChange::Rename(from.into_inner(), to.into_inner())),
            );
            let set = given.set.into_iter();
            query
                .extend(set.map(|(name, value)| QueryChange::Set(name.into_inner(), value.into())));
            let appended = given.append.into_iter();
            query.extend(
                appended.map(|(name, value)| QueryChange::Append(name.into_inner(), value.into())),
            );
        }
        Changes {
            query,
            traceparent,
            clear_route_cache,
            ..self.into_changes()
        }
    }
}

/// A change of the query.
#[derive(Debug)]
pub(crate) enum QueryChange {
    Remove(Box<str>),
    Rename(Box<str>, Box<str>),
    Set(Box<str>, Made),
    Append(Box<str>, Made),
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

/// The changes of either side.
#[derive(Debug)]
pub(crate) struct Changes {
    pub(crate) remove: Vec<HeaderName>,
    pub(crate) remove_on_match: Vec<StringMatch>,
    pub(crate) rename: Vec<(HeaderName, HeaderName)>,
    pub(crate) regex_rewrite: Vec<(HeaderName, RegexRewrite)>,
    pub(crate) set: Vec<Put>,
    pub(crate) overwrite_if_exists: Vec<Put>,
    pub(crate) add_if_absent: Vec<Put>,
    pub(crate) append: Vec<Put>,
    pub(crate) dedupe: Vec<(HeaderName, Dedupe)>,
    pub(crate) query: Vec<QueryChange>,
    /// The share of new traces that are recorded, where new ones are to be made.
    pub(crate) traceparent: Option<Traceparent>,
    pub(crate) filter_state: Vec<(Box<str>, Made)>,
    pub(crate) clear_route_cache: bool,
    pub(crate) keep_empty_value: bool,
}

/// A header and its values.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) name: HeaderName,
    pub(crate) values: Vec<Made>,
}

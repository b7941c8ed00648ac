//! Descriptors that have limits.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Given, NonEmpty, Problem, Schema, Text};

use super::limit::{Concurrency, Fields, Limit, TokenBucket, Window};
use super::text::Label;

/// A descriptor, and how much of the requests that have it may pass.
#[derive(Debug, Clone)]
pub struct Descriptor {
    /// What it is called.
    pub name: Label,
    /// Its entries, in order.
    pub entries: Vec<Entry>,
    /// The limits. Of several, all must let a request pass.
    pub limits: Vec<Limit>,
    /// Whether it is counted alone, and never stops a request.
    pub shadow_mode: bool,
}

/// An entry of a descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: Box<str>,
    /// Its value; without one it stands for any, each with a limit of its own.
    pub value: Option<Box<str>>,
}

/// As it is written, with its place in the document.
#[derive(Schema)]
#[schema(as = Written)]
pub(super) struct Unnamed {
    pub(super) name: Option<Label>,
    pub(super) entries: Vec<Entry>,
    limits: Vec<Limit>,
    shadow_mode: bool,
}

#[derive(Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[schema(readme = "Limits", {
    "oneOf": schema::exactly_one(&[
        "token_bucket",
        "fixed_window",
        "sliding_window",
        "concurrency",
        "limits",
    ]),
})]
struct Written {
    #[deserr(default)]
    name: Given<Label>,
    entries: NonEmpty<WrittenEntry>,
    #[deserr(default)]
    token_bucket: Given<TokenBucket>,
    #[deserr(default)]
    fixed_window: Given<Window>,
    #[deserr(default)]
    sliding_window: Given<Window>,
    #[deserr(default)]
    concurrency: Given<Concurrency>,
    #[deserr(default)]
    limits: Given<NonEmpty<Limit>>,
    #[deserr(default)]
    shadow_mode: bool,
}

#[derive(Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct WrittenEntry {
    /// Its key, as the action that makes it has it.
    key: Text,
    /// Its value; without one it stands for any, each with a limit of its own.
    #[deserr(default)]
    value: Given<String>,
}

impl Deserr<ConfigErrors> for Unnamed {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let written = Written::deserialize_from_value(value, location)?;
        let fields = Fields {
            token_bucket: written.token_bucket,
            fixed_window: written.fixed_window,
            sliding_window: written.sliding_window,
            concurrency: written.concurrency,
            limits: written.limits,
        };
        let limits = fields.check(location)?;
        if limits.is_empty() {
            let problem = Problem::new("the descriptor has no limit").help(
                "give it one of token_bucket, fixed_window, sliding_window, concurrency or limits",
            );
            return Err(ConfigErrors::at(location, problem));
        }
        let entry = |entry: WrittenEntry| {
            let value = entry.value.0.filter(|value| !value.is_empty());
            Entry {
                key: entry.key.as_str().into(),
                value: value.map(String::into_boxed_str),
            }
        };
        Ok(Self {
            name: written.name.0,
            entries: written.entries.into_iter().map(entry).collect(),
            limits,
            shadow_mode: written.shadow_mode,
        })
    }
}

impl Unnamed {
    pub(super) fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// With its own name, or one that no other has.
    pub(super) fn named(list: NonEmpty<Self>) -> Vec<Descriptor> {
        let mut names: Vec<Label> = list.iter().filter_map(|one| one.name.clone()).collect();
        let descriptors = list.into_iter().map(|one| {
            let name = one.name.unwrap_or_else(|| {
                let keys = one.entries.iter().map(|entry| &*entry.key);
                let taken = |name: &str| names.iter().any(|other| other.as_str() == name);
                let name = Label::of_keys(keys, taken);
                names.push(name.clone());
                name
            });
            Descriptor {
                name,
                entries: one.entries,
                limits: one.limits,
                shadow_mode: one.shadow_mode,
            }
        });
        descriptors.collect()
    }
}

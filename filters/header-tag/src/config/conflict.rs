//! Which changes of one block get in each other's way.

use deserr::ValuePointerRef;
use legation::config::{ConfigErrors, Problem};

use super::name::Name;
use super::side::Side;

/// Where a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Remove,
    RenamedFrom,
    RenamedTo,
    Rewritten,
    Set,
    OverwriteIfExists,
    AddIfAbsent,
    Append,
    Deduped,
}

impl Place {
    fn field(self) -> &'static str {
        match self {
            Self::Remove => "remove",
            Self::RenamedFrom | Self::RenamedTo => "rename",
            Self::Set => "set",
            Self::OverwriteIfExists => "overwrite_if_exists",
            Self::AddIfAbsent => "add_if_absent",
            Self::Append => "append",
            Self::Rewritten => "regex_rewrite",
            Self::Deduped => "dedupe",
        }
    }

    /// What to do about a name that stood in this place last, or `None` where
    /// the two make sense together.
    fn conflict(self, last: Self) -> Option<&'static str> {
        use Place::{
            AddIfAbsent, Append, Deduped, OverwriteIfExists, Remove, RenamedFrom, RenamedTo,
            Rewritten, Set,
        };
        match (last, self) {
            // The old name gets a new value; the new name is cleared first, or
            // has a default, or gets one value more. Renames among themselves
            // were looked at when they were read.
            (RenamedFrom, Set)
            | (Remove, RenamedTo)
            | (RenamedTo, AddIfAbsent | Append | Rewritten)
            | (Rewritten, AddIfAbsent | Append)
            | (RenamedTo | Rewritten | Set | OverwriteIfExists | AddIfAbsent | Append, Deduped)
            | (RenamedFrom | RenamedTo, RenamedFrom | RenamedTo) => None,
            (Remove, Remove) => Some("name it once"),
            (Remove, RenamedFrom) => {
                Some("it is removed before it could be renamed: take it out of `remove`")
            }
            (Remove, Set) => {
                Some("`set` leaves nothing of what was there: take it out of `remove`")
            }
            (Remove | RenamedFrom, OverwriteIfExists) => {
                Some("by then it is not there to be overwritten")
            }
            (Remove | RenamedFrom, Rewritten | Deduped) => {
                Some("by then it is not there: name the header it has become, or leave it out")
            }
            (Rewritten, Set | OverwriteIfExists) => Some("what was rewritten would be lost"),
            (Remove | RenamedFrom, AddIfAbsent | Append) => {
                Some("by then it is not there: write `set`")
            }
            (RenamedTo, Set | OverwriteIfExists) => Some("what was renamed would be lost"),
            _ => Some("write it once; several values of one header are a list"),
        }
    }
}

/// The names of a block as they are read, and what is wrong with them.
pub(super) struct Checks<'a> {
    at: ValuePointerRef<'a>,
    side: Side,
    noted: Vec<(Place, &'a Name)>,
    changes: bool,
    errors: Option<ConfigErrors>,
}

impl<'a> Checks<'a> {
    pub(super) fn new(at: ValuePointerRef<'a>, side: Side) -> Self {
        Self {
            at,
            side,
            noted: Vec::new(),
            changes: false,
            errors: None,
        }
    }

    /// Notes a name, and the key it stands at or under.
    pub(super) fn note(&mut self, place: Place, name: &'a Name, key: Option<&Name>) {
        let last = self.noted.iter().rev().find(|(_, other)| *other == name);
        let conflict = last.and_then(|(last, _)| Some((*last, place.conflict(*last)?)));
        if let Some((last, help)) = conflict {
            let problem = if last == place {
                format!("`{name}` is named twice")
            } else {
                format!("`{name}` stands under `{}` too", last.field())
            };
            self.add(place, key, Problem::new(problem).help(help));
        } else if let Some(problem) = self.side.check_name(place, name) {
            self.add(place, key, problem);
        }
        self.noted.push((place, name));
    }

    /// Notes a field that is `of` one part of a message alone, if it is given.
    pub(super) fn field(&mut self, of: Side, field: &str, is_given: bool) {
        if is_given && self.side != of {
            let problem = Problem::new("unknown field");
            let problem = problem.help(format!("it is for `{}` alone", of.field()));
            ConfigErrors::add(
                &mut self.errors,
                ConfigErrors::at(self.at.push_key(field), problem),
            );
        }
    }

    /// Notes that a value under this name is empty.
    pub(super) fn empty_value(&mut self, place: Place, name: &Name) {
        let help = match place {
            Place::Set => "to be rid of the header, put it under `remove`",
            _ => "an empty value adds nothing, unless `keep_empty_value: true` stands beside",
        };
        self.add(
            place,
            Some(name),
            Problem::new("the value is empty").help(help),
        );
    }

    /// Notes the values under a name, as far as they are the same for all messages.
    pub(super) fn values<'v>(
        &mut self,
        place: Place,
        name: &Name,
        values: impl ExactSizeIterator<Item = Option<&'v [u8]>>,
    ) {
        if let Some(problem) = self.side.check_values(name, values) {
            self.add(place, Some(name), problem);
        }
    }

    /// Notes that something else than a named header is changed, if it is.
    pub(super) fn changes(&mut self, something: bool) {
        self.changes |= something;
    }

    /// What is wrong with the block.
    pub(super) fn done(mut self) -> Option<ConfigErrors> {
        if self.noted.is_empty() && !self.changes {
            let problem = Problem::new("nothing is changed here").help(
                "name headers under `remove`, `rename`, `set`, `overwrite_if_exists`, `add_if_absent`, `append`, …",
            );
            ConfigErrors::add(&mut self.errors, ConfigErrors::at(self.at, problem));
        }
        self.errors
    }

    fn add(&mut self, place: Place, key: Option<&Name>, problem: Problem) {
        let field = self.at.push_key(place.field());
        let error = match key {
            Some(key) => ConfigErrors::at(field.push_key(key.written()), problem),
            None => ConfigErrors::at(field, problem),
        };
        ConfigErrors::add(&mut self.errors, error);
    }
}

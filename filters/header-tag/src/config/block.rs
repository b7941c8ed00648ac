//! What a rule changes on one side.

use deserr::{Deserr, ValuePointerRef};
use legation::config::{ConfigErrors, OneOrMany, OrderedMap};
use legation::format::Format;
use legation::http::HeaderName;

use super::conflict::{Checks, Place};
use super::name::{Name, Renames};
use super::scalar::{RequestValue, ResponseValue, Statuses};

/// Requests and responses are changed alike; only values and conditions differ.
macro_rules! changes {
    ($(#[$doc:meta])* $changes:ident, $value:ident $(, $(#[$condition_doc:meta])* $condition:ident: $type:ty)?) => {
        $(#[$doc])*
        ///
        /// They are made in the order of the fields here.
        #[derive(Debug, Deserr)]
        #[deserr(error = ConfigErrors, deny_unknown_fields, validate = Self::check -> ConfigErrors)]
        pub struct $changes {
            $(
                $(#[$condition_doc])*
                #[deserr(default)]
                pub $condition: $type,
            )?
            /// Headers to remove.
            #[deserr(default)]
            pub remove: OneOrMany<Name>,
            /// Headers to rename, with all their values.
            #[deserr(default)]
            pub rename: Renames,
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
                match checks.done() {
                    None => Ok(self),
                    Some(errors) => Err(errors),
                }
            }

            /// What is left to do when it is known that it is to be done.
            pub(crate) fn into_changes(self) -> Changes {
                fn puts(map: OrderedMap<Name, OneOrMany<$value>>) -> Vec<Put> {
                    let put = |(name, values): (Name, OneOrMany<$value>)| Put {
                        name: name.into_inner(),
                        values: values.into_iter().map(Format::from).collect(),
                    };
                    map.into_iter().map(put).collect()
                }

                let renames = self.rename.into_iter();
                Changes {
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
    RequestChanges, RequestValue
}

changes! {
    /// What is done to the response's headers.
    ResponseChanges, ResponseValue,
    /// Which responses: those with one of these statuses; all, unless given.
    when_status: Statuses
}

/// The changes of either side.
#[derive(Debug)]
pub(crate) struct Changes {
    pub(crate) remove: Vec<HeaderName>,
    pub(crate) rename: Vec<(HeaderName, HeaderName)>,
    pub(crate) set: Vec<Put>,
    pub(crate) overwrite_if_exists: Vec<Put>,
    pub(crate) add_if_absent: Vec<Put>,
    pub(crate) append: Vec<Put>,
    pub(crate) keep_empty_value: bool,
}

/// A header and its values.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) name: HeaderName,
    pub(crate) values: Vec<Format>,
}

//! The changes that a rule makes to a message.

use legation::format::Format;
use legation::http::HeaderName;

use crate::config::{Changes, Put};
use crate::message::Message;
use crate::strings::Strings;

/// What a rule does to one message: operations in their order.
///
/// All values are made before the first operation, from the message as the rule
/// found it. So it does not matter in which order the headers of one operation
/// stand in the document (a `google.protobuf.Struct` has none), and a value may
/// be made from a header that the same rule removes.
#[derive(Debug)]
pub(crate) struct Block {
    operations: Box<[Operation]>,
    /// The values that differ from message to message.
    formats: Box<[Format]>,
    keep_empty: bool,
    /// Whether its one read of the message is the only one there will be.
    reads_alone: bool,
}

#[derive(Debug)]
enum Operation {
    Remove(HeaderName),
    Rename {
        from: HeaderName,
        to: HeaderName,
    },
    Put {
        how: How,
        name: HeaderName,
        values: Box<[Value]>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Set,
    OverwriteIfExists,
    AddIfAbsent,
    Append,
}

#[derive(Debug)]
enum Value {
    Literal(Box<[u8]>),
    /// The format of this number.
    Rendered(usize),
}

impl Block {
    pub(crate) fn new(changes: Changes) -> Self {
        let mut formats = Vec::new();
        let mut operations = Vec::new();
        operations.extend(changes.remove.into_iter().map(Operation::Remove));
        let renames = changes.rename.into_iter();
        operations.extend(renames.map(|(from, to)| Operation::Rename { from, to }));
        for (how, puts) in [
            (How::Set, changes.set),
            (How::OverwriteIfExists, changes.overwrite_if_exists),
            (How::AddIfAbsent, changes.add_if_absent),
            (How::Append, changes.append),
        ] {
            for Put { name, values } in puts {
                let values = values
                    .into_iter()
                    .map(|format| Value::new(format, &mut formats));
                operations.push(Operation::Put {
                    how,
                    name,
                    values: values.collect(),
                });
            }
        }
        Self {
            operations: operations.into(),
            formats: formats.into(),
            keep_empty: changes.keep_empty_value,
            reads_alone: false,
        }
    }

    /// How often the changed message's headers are read, at most, where it is a
    /// request.
    pub(crate) fn request_reads(&self) -> usize {
        let uses = self
            .formats
            .iter()
            .map(|format| format.uses().request_header_reads);
        uses.fold(self.own_reads(), usize::saturating_add)
    }

    /// The same where it is a response.
    pub(crate) fn response_reads(&self) -> usize {
        let uses = self
            .formats
            .iter()
            .map(|format| usize::from(format.uses().response_headers));
        uses.fold(self.own_reads(), usize::saturating_add)
    }

    /// Whether, on a response, it may ask for what Envoy knows of the request at
    /// the request's headers only.
    pub(crate) fn asks_for_the_request(&self) -> bool {
        self.formats.iter().any(|format| {
            let uses = format.uses();
            // Some attributes are the request's headers by another name.
            uses.request_header_reads > 0 || uses.attributes > 0
        })
    }

    fn own_reads(&self) -> usize {
        self.operations
            .iter()
            .filter(|operation| operation.reads())
            .count()
    }

    /// Notes that nothing but this block reads the message, and that once.
    pub(crate) fn read_alone(&mut self) {
        self.reads_alone = true;
    }

    /// Makes the changes. Gives the number of values that came out empty, so
    /// that nothing was written for them.
    pub(crate) fn apply<M: Message>(
        &self,
        message: &mut M,
        scratch: &mut Strings,
    ) -> Result<u64, M::Error> {
        scratch.clear();
        let mut empty = 0_u64;
        for format in &self.formats {
            let came_out_empty =
                scratch.push_with(|out| format.render(message, out).map(|_| ()))?;
            if came_out_empty && !self.keep_empty {
                empty = empty.saturating_add(1);
            }
        }
        for operation in &self.operations {
            match operation {
                Operation::Remove(name) => message.remove(name)?,
                Operation::Rename { from, to } => rename(message, from, to, scratch)?,
                Operation::Put { how, name, values } => {
                    let values = values.iter().map(|value| value.get(scratch));
                    let values = values.filter(|value| self.keep_empty || !value.is_empty());
                    self.put(message, *how, name, values)?;
                }
            }
        }
        Ok(empty)
    }

    fn put<'v, M: Message>(
        &self,
        message: &mut M,
        how: How,
        name: &HeaderName,
        values: impl Iterator<Item = &'v [u8]>,
    ) -> Result<(), M::Error> {
        let mut values = values.peekable();
        match how {
            How::Append => append(message, name, values),
            How::AddIfAbsent => {
                if values.peek().is_some() && !message.contains(name, self.reads_alone)? {
                    append(message, name, values)?;
                }
                Ok(())
            }
            How::OverwriteIfExists if !message.contains(name, self.reads_alone)? => Ok(()),
            How::Set | How::OverwriteIfExists => replace(message, name, values),
        }
    }
}

impl Operation {
    /// Whether it must look at the message before it changes it.
    fn reads(&self) -> bool {
        match self {
            Self::Remove(_) => false,
            Self::Rename { .. } => true,
            Self::Put { how, .. } => matches!(how, How::OverwriteIfExists | How::AddIfAbsent),
        }
    }
}

impl Value {
    fn new(format: Format, formats: &mut Vec<Format>) -> Self {
        if let Some(literal) = format.as_literal() {
            return Self::Literal(literal.into());
        }
        formats.push(format);
        Self::Rendered(formats.len().saturating_sub(1))
    }

    fn get<'a>(&'a self, rendered: &'a Strings) -> &'a [u8] {
        match self {
            Self::Literal(value) => value,
            Self::Rendered(index) => rendered.get(*index),
        }
    }
}

fn append<'v, M: Message>(
    message: &mut M,
    name: &HeaderName,
    values: impl Iterator<Item = &'v [u8]>,
) -> Result<(), M::Error> {
    for value in values {
        message.append(name, value)?;
    }
    Ok(())
}

/// Leaves nothing of what was there, also where there is nothing to put in its
/// place: a header that a client sent must not pass for one that was set here.
fn replace<'v, M: Message>(
    message: &mut M,
    name: &HeaderName,
    mut values: impl Iterator<Item = &'v [u8]>,
) -> Result<(), M::Error> {
    match values.next() {
        None => message.remove(name),
        Some(value) => {
            message.set(name, value)?;
            append(message, name, values)
        }
    }
}

/// Moves every value, in order, over what has the new name.
fn rename<M: Message>(
    message: &mut M,
    from: &HeaderName,
    to: &HeaderName,
    scratch: &mut Strings,
) -> Result<(), M::Error> {
    let start = scratch.len();
    message.each_value(from, &mut |value| scratch.push(value))?;
    let values = start..scratch.len();
    if values.is_empty() {
        return Ok(());
    }
    message.remove(from)?;
    replace(message, to, values.map(|index| scratch.get(index)))
}

#[cfg(test)]
mod tests;

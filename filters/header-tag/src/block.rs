//! The changes that a rule makes to a message.

use legation::config::Percent;
use legation::format::trace_id;
use legation::http::HeaderName;
use legation::matcher::{Effort, RegexRewrite, StringMatch};

use crate::config::{
    BUCKET, Changes, Dedupe, HeaderValue, Made, Name, NameMatch, QueryChanges, may_be_trailer,
    may_change,
};
use crate::grpc;
use crate::message::Message;
use crate::query::{self, Edit};
use crate::strings::Strings;
use crate::trace;

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What a rule does to one message: operations in their order.
///
/// All values are made before the first operation, from the message as the rule
/// found it. So it does not matter in which order the headers of one operation
/// stand in the document (a `google.protobuf.Struct` has none), and a value may
/// be made from a header that the same rule removes.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is something else to look at"
)]
pub(crate) struct Block {
    operations: Box<[Operation]>,
    /// The values that differ from message to message.
    formats: Box<[Made]>,
    keep_empty: bool,
    in_trailers: bool,
    /// Whether a value needs the request's headers, and what Envoy knows by them.
    asks_for_request: bool,
    /// Whether a value needs the response's headers.
    asks_for_response: bool,
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
    RemoveOnMatch(Box<[StringMatch]>),
    Rewrite(HeaderName, RegexRewrite),
    Put {
        how: How,
        name: HeaderName,
        values: Box<[Value]>,
    },
    Dedupe(HeaderName, Dedupe),
    Query(Box<[Query]>),
    /// The share of new traces that are recorded.
    Traceparent(Option<Percent>),
    State(Box<str>, Value),
    ClearRouteCache,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Set,
    OverwriteIfExists,
    AddIfAbsent,
    Append,
}

#[derive(Debug)]
enum Query {
    Remove(Box<str>),
    Rename(Box<str>, Box<str>),
    Set(Box<str>, Value),
    Append(Box<str>, Value),
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
        if let Some(traceparent) = changes.traceparent.0 {
            operations.push(Operation::Traceparent(traceparent.sampled.0));
        }
        let removed = changes.remove.into_iter().map(Name::into_inner);
        operations.extend(removed.map(Operation::Remove));
        if !changes.remove_on_match.is_empty() {
            let tests = changes.remove_on_match.into_iter();
            let tests = tests.map(NameMatch::into_inner).collect();
            operations.push(Operation::RemoveOnMatch(tests));
        }
        operations.extend(
            changes
                .rename
                .into_iter()
                .map(|(from, to)| Operation::Rename {
                    from: from.into_inner(),
                    to: to.into_inner(),
                }),
        );
        let rewrites = changes.regex_rewrite.into_iter();
        operations.extend(rewrites.map(|(name, rule)| Operation::Rewrite(name.into_inner(), rule)));
        for (how, puts) in [
            (How::Set, changes.set),
            (How::OverwriteIfExists, changes.overwrite_if_exists),
            (How::AddIfAbsent, changes.add_if_absent),
            (How::Append, changes.append),
        ] {
            for (name, values) in puts {
                let values = values.into_iter();
                operations.push(Operation::Put {
                    how,
                    name: name.into_inner(),
                    values: values.map(|made| Value::new(made, &mut formats)).collect(),
                });
            }
        }
        let dedupes = changes.dedupe.into_iter();
        operations.extend(dedupes.map(|(name, kept)| Operation::Dedupe(name.into_inner(), kept)));
        if let Some(query) = changes.query.0 {
            operations.push(Operation::Query(Query::all(query, &mut formats)));
        }
        for (name, value) in changes.filter_state {
            let value = Value::new(value, &mut formats);
            operations.push(Operation::State(name.into_inner(), value));
        }
        if changes.clear_route_cache.0 == Some(true) {
            operations.push(Operation::ClearRouteCache);
        }
        let uses = || formats.iter().map(|made: &Made| made.format.uses());
        Self {
            // Some attributes are the request's headers by another name.
            asks_for_request: uses()
                .any(|uses| uses.request_header_reads > 0 || uses.attributes > 0),
            asks_for_response: uses().any(|uses| uses.response_headers),
            operations: operations.into(),
            formats: formats.into(),
            keep_empty: changes.keep_empty_value,
            in_trailers: false,
            reads_alone: false,
        }
    }

    /// The same, of trailers.
    pub(crate) fn of_trailers(changes: Changes) -> Self {
        Self {
            in_trailers: true,
            ..Self::new(changes)
        }
    }

    /// How often the changed message's headers are read, at most, where it is a
    /// request.
    pub(crate) fn request_reads(&self) -> usize {
        let uses = self
            .formats
            .iter()
            .map(|made| made.format.uses().request_header_reads);
        uses.fold(self.own_reads(), usize::saturating_add)
    }

    /// The same where it is a response.
    pub(crate) fn response_reads(&self) -> usize {
        let uses = self
            .formats
            .iter()
            .map(|made| usize::from(made.format.uses().response_headers));
        uses.fold(self.own_reads(), usize::saturating_add)
    }

    /// Whether, after the request's headers, it may ask for what Envoy knows of the request
    /// at these only.
    pub(crate) fn asks_for_the_request(&self) -> bool {
        self.asks_for_request
    }

    /// Whether, after the response's headers, it asks for them.
    pub(crate) fn asks_for_the_response(&self) -> bool {
        self.asks_for_response
    }

    /// The divisions into buckets that its values name.
    pub(crate) fn experiments(&self) -> impl Iterator<Item = &str> {
        let own = self.formats.iter().flat_map(|made| made.format.own());
        own.filter(|(operator, _)| operator.name == BUCKET)
            .map(|(_, name)| name)
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
        for made in &self.formats {
            let came_out_empty = scratch.push_with(|out| {
                let start = out.len();
                made.format.render(message, out)?;
                if let Some(finish) = &made.finish {
                    finish.apply(out, start);
                }
                Ok(())
            })?;
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
                Operation::RemoveOnMatch(tests) => self.remove_on_match(message, tests)?,
                Operation::Rewrite(name, rule) => rewrite(message, name, rule, scratch)?,
                Operation::Dedupe(name, kept) => dedupe(message, name, *kept, scratch)?,
                Operation::Query(changes) => self.edit_query(message, changes, scratch)?,
                Operation::Traceparent(sampled) => trace(message, *sampled)?,
                Operation::State(name, value) => {
                    let value = value.get(scratch);
                    if self.keep_empty || !value.is_empty() {
                        message.set_state(name, value)?;
                    }
                }
                Operation::ClearRouteCache => message.clear_route_cache()?,
            }
        }
        Ok(empty)
    }

    fn edit_query<M: Message>(
        &self,
        message: &mut M,
        changes: &[Query],
        scratch: &Strings,
    ) -> Result<(), M::Error> {
        let written = |value| {
            let value = Value::get(value, scratch);
            (self.keep_empty || !value.is_empty()).then_some(value)
        };
        let edits = changes.iter().map(|change| match change {
            Query::Remove(name) => Edit::Remove(name),
            Query::Rename(from, to) => Edit::Rename(from, to),
            Query::Set(name, value) => Edit::Set(name, written(value)),
            Query::Append(name, value) => Edit::Append(name, written(value)),
        });
        let edits: Vec<_> = edits.collect();
        let path = message.header(":path")?;
        match path.and_then(|path| query::edit(path, &edits)) {
            Some(path) => message.set_path(&path),
            None => Ok(()),
        }
    }

    /// Removes the headers whose names pass one of the tests, but for those that are not a
    /// rule's to change, or not without being named.
    fn remove_on_match<M: Message>(
        &self,
        message: &mut M,
        tests: &[StringMatch],
    ) -> Result<(), M::Error> {
        let mut found: Vec<HeaderName> = Vec::new();
        message.each_name(&mut |name| {
            if may_change(name)
                && (!self.in_trailers || may_be_trailer(name))
                && tests.iter().any(|test| test.matches(name))
                && let Ok(name) = HeaderName::from_bytes(name)
                && !found.contains(&name)
            {
                found.push(name);
            }
        })?;
        found.iter().try_for_each(|name| message.remove(name))
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
            // A call's outcome stays what it was, rather than become none.
            How::OverwriteIfExists if name.as_str().as_bytes() == grpc::STATUS => {
                match values.next().filter(|value| grpc::is_status(value)) {
                    Some(status) => message.set(name, status),
                    None => Ok(()),
                }
            }
            How::Set | How::OverwriteIfExists => replace(message, name, values),
        }
    }
}

impl Operation {
    /// Whether it must look at the message before it changes it.
    fn reads(&self) -> bool {
        match self {
            Self::Remove(_) | Self::State(..) | Self::ClearRouteCache => false,
            Self::Rename { .. }
            | Self::RemoveOnMatch(_)
            | Self::Rewrite(..)
            | Self::Query(_)
            | Self::Traceparent(_)
            | Self::Dedupe(..) => true,
            Self::Put { how, .. } => matches!(how, How::OverwriteIfExists | How::AddIfAbsent),
        }
    }
}

impl Query {
    fn all(changes: QueryChanges, formats: &mut Vec<Made>) -> Box<[Self]> {
        let mut all = Vec::new();
        let removed = changes.remove.into_iter();
        all.extend(removed.map(|name| Self::Remove(name.into_inner())));
        let renamed = changes.rename.into_iter();
        all.extend(renamed.map(|(from, to)| Self::Rename(from.into_inner(), to.into_inner())));
        for (name, value) in changes.set {
            all.push(Self::Set(name.into_inner(), Value::new(value, formats)));
        }
        for (name, value) in changes.append {
            all.push(Self::Append(name.into_inner(), Value::new(value, formats)));
        }
        all.into()
    }
}

impl Value {
    fn new(value: HeaderValue, formats: &mut Vec<Made>) -> Self {
        if let Some(literal) = value.as_literal() {
            return Self::Literal(literal.into());
        }
        formats.push(value.into());
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

/// Replaces in each value what the pattern finds. Where it finds nothing, nothing is written.
fn rewrite<M: Message>(
    message: &mut M,
    name: &HeaderName,
    rule: &RegexRewrite,
    scratch: &mut Strings,
) -> Result<(), M::Error> {
    let is_status = name.as_str().as_bytes() == grpc::STATUS;
    let start = scratch.len();
    let mut found = false;
    let mut effort = Effort::default();
    message.each_value(name, &mut |value| {
        let rewritten = rule.rewrite_within(value, &mut effort);
        let is_allowed = |new: &_| !is_status || grpc::is_status(new);
        let rewritten = rewritten.filter(|new| is_allowed(new));
        found |= rewritten.is_some();
        scratch.push(rewritten.as_deref().unwrap_or(value));
    })?;
    if !found {
        return Ok(());
    }
    let values = start..scratch.len();
    replace(message, name, values.map(|index| scratch.get(index)))
}

/// Makes a trace for a request that is in none. What vendors noted of a trace that cannot be
/// read goes with it.
fn trace<M: Message>(message: &mut M, sampled: Option<Percent>) -> Result<(), M::Error> {
    let mut valid = Vec::new();
    message.each_value(&TRACEPARENT, &mut |value| {
        valid.push(trace_id(value).is_some());
    })?;
    if valid == [true] {
        return Ok(());
    }
    let ids = (message.random()?, message.random()?);
    let parent = message.random()?;
    let sampled = match sampled {
        None => false,
        Some(share) => share.admits(message.random()?),
    };
    let traceparent = trace::new(ids, parent, sampled);
    message.set(&TRACEPARENT, traceparent.as_bytes())?;
    message.remove(&TRACESTATE)
}

/// Drops values of a header that is there several times.
fn dedupe<M: Message>(
    message: &mut M,
    name: &HeaderName,
    kept: Dedupe,
    scratch: &mut Strings,
) -> Result<(), M::Error> {
    let start = scratch.len();
    message.each_value(name, &mut |value| scratch.push(value))?;
    let all = start..scratch.len();
    let is_kept = |index: &usize| match kept {
        Dedupe::RetainFirst => *index == all.start,
        Dedupe::RetainLast => index.checked_add(1) == Some(all.end),
        Dedupe::RetainUnique => {
            let value = scratch.get(*index);
            !(all.start..*index).any(|earlier| scratch.get(earlier) == value)
        }
    };
    let left: Vec<usize> = all.clone().filter(is_kept).collect();
    if left.len() == all.len() {
        return Ok(());
    }
    replace(
        message,
        name,
        left.into_iter().map(|index| scratch.get(index)),
    )
}

#[cfg(test)]
mod tests;

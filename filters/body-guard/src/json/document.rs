//! Reading a document, byte by byte, whatever the pieces it comes in.

mod number;
mod text;

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::rc::Rc;

use smallvec::SmallVec;

use super::field::Scalar;
use super::path::{self, Child, Places};
use super::scan::Scan;
use super::{Broken, Fault, Kind, LONGEST_NUMBER, Plan};
use crate::redaction::{Hash, Redaction, Stop};
use number::Number;
use text::Inside;

/// More of a text is not kept to be compared with a pattern or with allowed values.
const LONGEST_COMPARED: usize = 64 * 1024;

/// More than so much of a masked text is not kept for its last characters: 64 of four bytes.
const LONGEST_KEPT: usize = 256;

/// So much white space before a member that may be taken out is kept with it; more is left out.
const WHITE_SPACE: usize = 1_024;

/// A document on its way.
#[derive(Debug)]
pub struct Document {
    plan: Rc<Plan>,
    state: State,
    stack: Vec<Frame>,
    /// Bytes read.
    offset: u64,
    /// The name that is read or was read last.
    name: Vec<u8>,
    /// The text, or part of it, that fields look at.
    compared: Vec<u8>,
    /// Characters and bytes of the text that is read.
    characters: usize,
    length: usize,
    /// The end of a text that is masked.
    tail: String,
    /// The value that is hashed: an object or an array as it stands, another by what it says.
    hash: Option<Hash>,
    number: Vec<u8>,
    is_true: bool,
    value: Value,
    pub(super) scan: Scan,
    /// What stands before a value, until it is known whether the value stays.
    held: Vec<u8>,
    holds: bool,
    /// The depth from which on nothing goes on: of what is masked or taken out.
    hidden_from: Option<usize>,
    /// How many values each path has led to.
    counts: Vec<u32>,
    broken: Vec<(u16, Broken)>,
    redacted: u64,
}

/// What has become of a document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// How many values were masked or taken out, and places in texts.
    pub redacted: u64,
}

#[derive(Debug)]
enum State {
    /// Before a value.
    Value,
    /// After `[`.
    FirstElement,
    /// After `{`.
    FirstName,
    /// After a comma in an object.
    Name,
    /// After a name.
    Colon,
    /// After a value.
    After,
    /// In a name or a text.
    Text {
        is_name: bool,
        inside: Inside,
    },
    Number(Number),
    /// In `true`, `false` or `null`, before these bytes.
    Literal(&'static [u8]),
}

/// An object or an array that is open.
#[derive(Debug)]
struct Frame {
    is_object: bool,
    count: usize,
    places: Places,
    names: HashSet<u64>,
    /// Whether anything in it has gone on.
    has_written: bool,
    required: Required,
}

/// The fields that must be in a value, and whether they are.
type Required = SmallVec<[(u16, bool); 2]>;

/// What is known of the value that is read.
#[derive(Debug, Default)]
struct Value {
    kind: Option<Kind>,
    /// The fields whose rules it keeps.
    fields: SmallVec<[u16; 4]>,
    compares: bool,
    /// The path of its redaction.
    redacted: Option<u16>,
    scans: bool,
}

impl Document {
    /// A document of which nothing is read yet.
    pub fn new(plan: &Rc<Plan>) -> Self {
        Self {
            plan: Rc::clone(plan),
            state: State::Value,
            stack: Vec::new(),
            offset: 0,
            name: Vec::new(),
            compared: Vec::new(),
            characters: 0,
            length: 0,
            tail: String::new(),
            hash: None,
            number: Vec::new(),
            is_true: false,
            value: Value::default(),
            scan: Scan::default(),
            held: Vec::new(),
            holds: false,
            hidden_from: None,
            counts: vec![0; plan.paths.len()],
            broken: Vec::new(),
            redacted: 0,
        }
    }

    /// Reads what comes next, and gives what can go on.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        while let Some((&byte, rest)) = bytes.split_first() {
            let read = match &mut self.state {
                State::Text { .. } => self.text(bytes, out)?,
                State::Number(number) => match number.next(byte) {
                    Some(next) => {
                        *number = next;
                        if self.number.len() == LONGEST_NUMBER {
                            return Err(Fault::NumberLength);
                        }
                        self.number.push(byte);
                        if !self.value.scans {
                            self.put(&[byte], out);
                        }
                        1
                    }
                    None if number.is_whole() => {
                        self.end_number(out)?;
                        0
                    }
                    None => return Err(Fault::Syntax(self.offset)),
                },
                State::Literal(left) => match left.split_first() {
                    Some((expected, left)) if *expected == byte => {
                        self.state = State::Literal(left);
                        self.put(&[byte], out);
                        if left.is_empty() {
                            self.end_literal(out);
                        }
                        1
                    }
                    _ => return Err(Fault::Syntax(self.offset)),
                },
                _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => {
                    let all = bytes.iter();
                    let white = all.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
                    let white = white.count();
                    self.put(bytes.get(..white).unwrap_or_default(), out);
                    white
                }
                _ => {
                    self.structure(byte, out)?;
                    1
                }
            };
            self.offset = self.offset.saturating_add(u64::try_from(read).unwrap_or(0));
            bytes = match read {
                1 => rest,
                _ => bytes.get(read..).unwrap_or_default(),
            };
        }
        Ok(())
    }

    /// The document is over: whether all of it was there, and what it was.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<Found, Fault> {
        if let State::Number(number) = &self.state
            && number.is_whole()
            && self.stack.is_empty()
        {
            self.end_number(out)?;
        }
        if !(matches!(self.state, State::After) && self.stack.is_empty()) {
            return Err(Fault::Incomplete);
        }
        for (number, count) in (0_u16..).zip(&self.counts) {
            let is_missed = |path: &super::Path| path.is_singular() || path.ever_descends();
            if *count == 0
                && self.plan.field(number).is_some_and(|field| field.required)
                && self.plan.path(number).is_some_and(is_missed)
            {
                note(&mut self.broken, number, Broken::Required);
            }
        }
        if self.broken.is_empty() {
            let redacted = self.redacted;
            Ok(Found { redacted })
        } else {
            Err(Fault::Fields(std::mem::take(&mut self.broken)))
        }
    }

    /// Whether values already break rules of their fields: the document will be refused.
    pub fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// Lets bytes go on, or keeps them until that is known.
    fn put(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.hidden_from.is_some() || self.value.redacted.is_some() {
            let is_container = matches!(self.value.kind, Some(Kind::Object | Kind::Array));
            if let Some(hash) = &mut self.hash
                && (self.hidden_from.is_some() || is_container)
            {
                hash.update(bytes);
            }
            return;
        }
        if !self.holds {
            out.extend_from_slice(bytes);
            return;
        }
        let is_white = bytes.first().is_some_and(u8::is_ascii_whitespace);
        let room = WHITE_SPACE.saturating_sub(self.held.len());
        let take = if is_white {
            room.min(bytes.len())
        } else {
            bytes.len()
        };
        self.held
            .extend_from_slice(bytes.get(..take).unwrap_or_default());
    }

    /// What was kept goes on: without its comma, where nothing stands before it.
    fn release(&mut self, out: &mut Vec<u8>) {
        self.holds = false;
        if self.hidden_from.is_none() {
            let has_written = self.stack.last().is_some_and(|frame| frame.has_written);
            let held = match self.held.split_first() {
                Some((b',', rest)) if !has_written => rest,
                _ => &self.held,
            };
            out.extend_from_slice(held);
        }
        self.held.clear();
    }

    fn structure(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
        match (&self.state, byte) {
            (State::FirstElement, b']') | (State::FirstName, b'}') => {
                self.release(out);
                self.close(out);
            }
            (State::After, b']' | b'}')
                if self
                    .stack
                    .last()
                    .is_some_and(|frame| frame.is_object == (byte == b'}')) =>
            {
                self.close(out);
            }
            (State::FirstName | State::Name, b'"') => {
                self.name.clear();
                self.length = 0;
                self.characters = 0;
                self.value = Value::default();
                self.put(b"\"", out);
                self.state = State::Text {
                    is_name: true,
                    inside: Inside::Plain,
                };
            }
            (State::Colon, b':') => {
                self.put(b":", out);
                self.state = State::Value;
            }
            (State::After, b',') => {
                let Some(frame) = self.stack.last() else {
                    return Err(Fault::Syntax(self.offset));
                };
                self.state = if frame.is_object {
                    State::Name
                } else {
                    State::Value
                };
                self.holds = self.plan.removes;
                self.put(b",", out);
            }
            (State::Value | State::FirstElement, _) => self.begin(byte, out)?,
            _ => return Err(Fault::Syntax(self.offset)),
        }
        Ok(())
    }

    /// Begins a value.
    fn begin(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
        let kind = match byte {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b'-' | b'0'..=b'9' => Kind::Number,
            b't' | b'f' => Kind::Boolean,
            b'n' => Kind::Null,
            _ => return Err(Fault::Syntax(self.offset)),
        };
        let places = self.place()?;
        self.value = Value {
            kind: Some(kind),
            ..Value::default()
        };
        let redaction = self.match_paths(&places, kind)?;
        let is_container = matches!(kind, Kind::Object | Kind::Array);
        match redaction.and_then(|number| Some((number, self.plan.redaction(number)?))) {
            Some((_, Redaction::Deny)) => return Err(Fault::Denied),
            Some((number, Redaction::Remove)) if self.hidden_from.is_none() => {
                self.held.clear();
                self.holds = false;
                self.value.redacted = Some(number);
                self.redacted = self.redacted.saturating_add(1);
            }
            Some((number, mask)) if self.hidden_from.is_none() => {
                let hash = match mask {
                    Redaction::Hash(hasher) => Some(hasher.begin()),
                    _ => None,
                };
                // A hash is known when all of the value was here.
                let masked = (is_container && hash.is_none()).then(|| quoted(&mask.of("", 0)));
                self.release(out);
                self.wrote();
                out.extend_from_slice(masked.unwrap_or_default().as_bytes());
                self.hash = hash;
                self.value.redacted = Some(number);
                self.redacted = self.redacted.saturating_add(1);
            }
            _ => {
                self.release(out);
                self.wrote();
            }
        }
        let is_shown = self.hidden_from.is_none() && self.value.redacted.is_none();
        self.value.scans = is_shown
            && !self.plan.patterns.is_empty()
            && matches!(kind, Kind::String | Kind::Number);
        let required = self.required(&places);
        if is_container {
            return self.open(kind == Kind::Object, places, required, out);
        }
        self.miss(&required);
        self.compared.clear();
        self.tail.clear();
        self.length = 0;
        self.characters = 0;
        self.is_true = byte == b't';
        self.state = match byte {
            b'"' => {
                self.put(b"\"", out);
                State::Text {
                    is_name: false,
                    inside: Inside::Plain,
                }
            }
            b't' => State::Literal(b"rue"),
            b'f' => State::Literal(b"alse"),
            b'n' => State::Literal(b"ull"),
            _ => {
                self.number.clear();
                self.number.push(byte);
                State::Number(match byte {
                    b'-' => Number::Sign,
                    b'0' => Number::Zero,
                    _ => Number::Digits,
                })
            }
        };
        if byte != b'"' && !self.value.scans {
            self.put(&[byte], out);
        }
        Ok(())
    }

    /// Where the value is that begins.
    fn place(&mut self) -> Result<Places, Fault> {
        let plan = &self.plan;
        let Some(frame) = self.stack.last_mut() else {
            return Ok(path::root(plan.paths.len()));
        };
        let child = if frame.is_object {
            Child::Name(&self.name)
        } else {
            let index = frame.count;
            frame.count = frame.count.saturating_add(1);
            if let Some(max) = plan.limits.max_array_elements
                && frame.count > max
            {
                return Err(Fault::ArrayElements(max));
            }
            Child::Index(index)
        };
        Ok(path::below(
            &frame.places,
            |number| plan.path(number),
            child,
        ))
    }

    /// Takes note of the paths that lead to a value. Gives that of its redaction.
    fn match_paths(&mut self, places: &Places, kind: Kind) -> Result<Option<u16>, Fault> {
        let mut redaction: Option<u16> = None;
        for (number, done) in places {
            if !self
                .plan
                .path(*number)
                .is_some_and(|path| path.is_whole(*done))
            {
                continue;
            }
            if let Some(count) = self.counts.get_mut(usize::from(*number)) {
                *count = count.saturating_add(1);
            }
            match self.plan.redaction(*number) {
                // Whatever else is to be done with it.
                Some(Redaction::Deny) => return Err(Fault::Denied),
                Some(_) => redaction = Some(redaction.map_or(*number, |one| one.min(*number))),
                None => {}
            }
            if let Some(frame) = self.stack.last_mut() {
                let required = frame.required.iter_mut();
                for (_, seen) in required.filter(|(field, _)| field == number) {
                    *seen = true;
                }
            }
            if let Some(field) = self.plan.field(*number) {
                if let Some(broken) = field.check_kind(kind) {
                    note(&mut self.broken, *number, broken);
                } else {
                    self.value.compares |= field.looks_inside();
                    self.value.fields.push(*number);
                }
            }
        }
        Ok(redaction)
    }

    /// The fields that must be in a value at these places.
    fn required(&self, places: &Places) -> Required {
        let holds = |(number, done): &(u16, u16)| {
            let path = self.plan.path(*number)?;
            let field = self.plan.field(*number)?;
            (field.required && path.is_holder(*done)).then_some((*number, false))
        };
        places.iter().filter_map(holds).collect()
    }

    fn miss(&mut self, required: &Required) {
        for (number, _) in required.iter().filter(|(_, seen)| !seen) {
            note(&mut self.broken, *number, Broken::Required);
        }
    }

    /// Something of the value that is open goes on.
    fn wrote(&mut self) {
        if let Some(frame) = self.stack.last_mut() {
            frame.has_written = true;
        }
    }

    fn open(
        &mut self,
        is_object: bool,
        places: Places,
        required: Required,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let max = self.plan.limits.max_depth;
        if self.stack.len() >= max {
            return Err(Fault::Depth(max));
        }
        self.put(if is_object { b"{" } else { b"[" }, out);
        self.stack.push(Frame {
            is_object,
            count: 0,
            places,
            names: HashSet::new(),
            has_written: false,
            required,
        });
        if self.value.redacted.take().is_some() {
            self.hidden_from = Some(self.stack.len());
        }
        self.holds = self.plan.removes && self.hidden_from.is_none();
        self.state = if is_object {
            State::FirstName
        } else {
            State::FirstElement
        };
        Ok(())
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let depth = self.stack.len();
        let Some(frame) = self.stack.pop() else {
            return;
        };
        self.miss(&frame.required);
        self.value = Value::default();
        self.put(if frame.is_object { b"}" } else { b"]" }, out);
        if self.hidden_from == Some(depth) {
            self.hidden_from = None;
            if let Some(hash) = self.hash.take() {
                out.extend_from_slice(quoted(&hash.finish()).as_bytes());
            }
        }
        self.state = State::After;
    }

    fn end_text(&mut self, is_name: bool, out: &mut Vec<u8>) -> Result<(), Fault> {
        if is_name {
            self.put(b"\"", out);
            self.end_name()?;
            self.state = State::Colon;
            return Ok(());
        }
        if self.value.scans {
            self.settle(true, out)?;
        }
        self.put(b"\"", out);
        let compared = (self.length <= LONGEST_COMPARED)
            .then(|| std::str::from_utf8(&self.compared).unwrap_or_default());
        let scalar = Scalar::Text(compared, self.characters);
        check(&self.plan, &self.value, scalar, &mut self.broken);
        self.end_scalar(out);
        Ok(())
    }

    fn end_name(&mut self) -> Result<(), Fault> {
        let limits = &self.plan.limits;
        let Some(frame) = self.stack.last_mut() else {
            return Ok(());
        };
        frame.count = frame.count.saturating_add(1);
        if frame.count > limits.max_object_entries {
            return Err(Fault::ObjectEntries(limits.max_object_entries));
        }
        // By a hash that none but this worker knows: two names that share it are found once in ages.
        if !limits.allow_duplicate_names
            && !frame.names.insert(self.plan.hasher.hash_one(&self.name))
        {
            return Err(Fault::DuplicateName(self.offset));
        }
        Ok(())
    }

    fn end_number(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let text = std::str::from_utf8(&self.number).unwrap_or_default();
        if self.value.scans {
            let scanned = self.plan.patterns.scan(text, 0, true)?;
            if scanned.edits.is_empty() {
                out.extend_from_slice(text.as_bytes());
            } else {
                // It is no number any more.
                let mut masked = String::new();
                let mut at = 0;
                for edit in &scanned.edits {
                    masked.push_str(text.get(at..edit.start).unwrap_or_default());
                    masked.push_str(&edit.text);
                    at = edit.end;
                    self.redacted = self.redacted.saturating_add(1);
                }
                masked.push_str(text.get(at..).unwrap_or_default());
                out.extend_from_slice(quoted(&masked).as_bytes());
            }
        }
        if !self.value.fields.is_empty() {
            let number = Scalar::Number(text.parse().unwrap_or(f64::NAN));
            check(&self.plan, &self.value, number, &mut self.broken);
        }
        self.characters = self.number.len();
        self.tail.clear();
        let last = self.number.len().saturating_sub(LONGEST_KEPT);
        let last = self.number.get(last..).unwrap_or_default();
        self.tail.push_str(str::from_utf8(last).unwrap_or_default());
        self.hash_scalar(|document| document.number.as_slice());
        self.end_scalar(out);
        Ok(())
    }

    fn end_literal(&mut self, out: &mut Vec<u8>) {
        let scalar = match self.value.kind {
            Some(Kind::Boolean) => Scalar::Boolean(self.is_true),
            _ => Scalar::Null,
        };
        check(&self.plan, &self.value, scalar, &mut self.broken);
        let text: &[u8] = match (self.value.kind, self.is_true) {
            (Some(Kind::Boolean), true) => b"true",
            (Some(Kind::Boolean), false) => b"false",
            _ => b"null",
        };
        self.hash_scalar(|_| text);
        self.end_scalar(out);
    }

    /// Hashes what a value says that is no text.
    fn hash_scalar(&mut self, text: impl FnOnce(&Self) -> &[u8]) {
        if self.value.redacted.is_some()
            && let Some(mut hash) = self.hash.take()
        {
            hash.update(text(self));
            self.hash = Some(hash);
        }
    }

    /// After a value that holds no others.
    fn end_scalar(&mut self, out: &mut Vec<u8>) {
        let redaction = self.value.redacted.take();
        if let Some(mask) = redaction.and_then(|number| self.plan.redaction(number))
            && !mask.removes()
        {
            let masked = match self.hash.take() {
                Some(hash) => hash.finish(),
                None => mask.of(&self.tail, self.characters),
            };
            out.extend_from_slice(quoted(&masked).as_bytes());
        }
        self.value = Value::default();
        self.state = State::After;
    }
}

fn check(plan: &Plan, value: &Value, scalar: Scalar<'_>, broken: &mut Vec<(u16, Broken)>) {
    for number in &value.fields {
        let found = plan.field(*number).and_then(|field| field.check(scalar));
        if let Some(found) = found {
            note(broken, *number, found);
        }
    }
}

/// Notes what is wrong, once.
fn note(broken: &mut Vec<(u16, Broken)>, number: u16, found: Broken) {
    if !broken.contains(&(number, found)) {
        broken.push((number, found));
    }
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Denied => Self::Denied,
            Stop::TooLong => Self::LongMatch,
        }
    }
}

//! What a message's body must be, and reading it: free of host calls.

use std::rc::Rc;

use legation::coding::Coding;
use legation::config::SecretSource;

use crate::coding::Decoder;
use crate::config;
use crate::json::{Document, Fault, Field, Kind, Limits, Plan, Use};
use crate::media::{Form, MediaRange, MediaType};
use crate::redaction::{Hasher, Patterns, Preset, Redaction, Stop};
use crate::refusal::{Reason, Refusal};
use crate::text::{Broken, Text};

/// How many bytes a request may have that is held until it is read. Below the 1 MiB that Envoy holds
/// unless it is told otherwise.
const MOST_HELD: u64 = 1_000_000;

/// How much of a body may come out of each compressed byte, and up to how many bytes that is not looked
/// at: as Envoy's own decompressor has it (`max_inflate_ratio`).
const RATIO: u64 = 100;
const FREE: u64 = 1 << 20;

const REPLACEMENT: &str = "[redacted]";

/// How many hexadecimal digits stand for what is hashed: 128 bits, of which no two are the same.
const DIGITS: usize = 32;

/// What the bodies of one direction must be.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is asked for alone, and none follows from another"
)]
pub(crate) struct Guard {
    pub(crate) required: bool,
    pub(crate) max_bytes: Option<u64>,
    content_types: Option<Box<[MediaRange]>>,
    plan: Rc<Plan>,
    patterns: Rc<Patterns>,
    /// Whether it is read, and not only measured.
    pub(crate) reads: bool,
    /// Whether it may be another afterwards.
    changes: bool,
    /// Whether anything that is no JSON is read.
    reads_text: bool,
    /// Whether somebody else judges it.
    is_shown: bool,
}

/// What headers say of a body.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) length: Option<Vec<u8>>,
    pub(crate) media_type: Once,
    pub(crate) coding: Once,
}

/// A header that may stand once.
#[derive(Debug)]
pub(crate) enum Once {
    Absent,
    Value(Vec<u8>),
    /// It stands more than once: who reads which is not known.
    Repeated,
}

/// A body that is read.
pub(crate) struct Reader {
    decoder: Decoder,
    measure: Measure,
    form: Reading,
    /// Whether what comes out of it goes on in its place.
    pub(crate) changes: bool,
    pub(crate) is_decoded: bool,
}

/// How large a body has been.
struct Measure {
    max_bytes: Option<u64>,
    came: u64,
    read: u64,
}

enum Reading {
    Json(Box<Document>, Rc<Plan>),
    Text(Box<Text>),
    /// It is measured.
    Other,
}

impl Guard {
    pub(crate) fn new(body: &config::Body, is_request: bool) -> Self {
        let mut paths = Vec::new();
        let mut patterns = Patterns::default();
        for field in &body.fields {
            paths.push((field.path.0.clone(), Use::Field(rule_of(field))));
        }
        for redact in &body.redact {
            let redaction = redaction_of(redact);
            if let Some(path) = &redact.path.0 {
                paths.push((path.0.clone(), Use::Redact(redaction)));
            } else if let Some(preset) = redact.preset.0 {
                let preset = match preset {
                    config::PresetName::CreditCard => Preset::CreditCard,
                    config::PresetName::Iban => Preset::Iban,
                    config::PresetName::Email => Preset::Email,
                    config::PresetName::Jwt => Preset::Jwt,
                };
                patterns.add_preset(preset, redaction);
            } else if let Some(pattern) = &redact.pattern.0 {
                patterns.add_regex(pattern.0.clone(), redaction);
            }
        }
        let reads_text = !patterns.is_empty();
        let is_json = body.json.0.is_some() || !paths.is_empty();
        let reads = is_json || reads_text;
        let patterns = Rc::new(patterns);
        let limits = body.json.0.as_ref().map(limits_of).unwrap_or_default();
        let plan = Rc::new(Plan::new(limits, paths, Rc::clone(&patterns)));
        let given = body.content_types.0.as_ref();
        let given = given.map(|types| types.iter().map(|kind| kind.0.clone()).collect());
        let read: &[&str] = match (is_json, reads_text) {
            (true, _) => &["application/json", "application/*+json"],
            (false, true) => &["application/json", "application/*+json", "text/*"],
            (false, false) => &[],
        };
        let read = || {
            read.iter()
                .filter_map(|range| MediaRange::parse(range))
                .collect()
        };
        let max_bytes = body
            .max_bytes
            .0
            .and_then(|max| u64::try_from(max.get()).ok());
        let holds = is_request && (reads || body.ext_authz.0.is_some());
        let max_bytes = max_bytes.or(holds.then_some(MOST_HELD));
        // What is not read is shown as it comes: what is too large for that need not come.
        let most_shown = body.ext_authz.0.as_ref();
        let most_shown = most_shown
            .map(|check| check.with_request_body)
            .filter(|shown| !reads && !shown.allow_partial_message)
            .and_then(|shown| u64::try_from(shown.max_request_bytes()).ok());
        Self {
            required: body.required,
            max_bytes: max_bytes.map(|max| max.min(most_shown.unwrap_or(u64::MAX))),
            content_types: given.or_else(|| reads.then(read)),
            changes: plan.changes(),
            plan,
            patterns,
            reads,
            reads_text,
            is_shown: body.ext_authz.0.is_some(),
        }
    }

    /// Looks at what is said of a body: whether it may go on, and how it is read.
    pub(crate) fn look(&self, said: &Said) -> Result<Reader, Refusal> {
        if let Some(max_bytes) = self.max_bytes
            && (said.length.as_ref()).is_some_and(|length| exceeds(length, max_bytes))
        {
            return Err(Refusal::too_large(max_bytes));
        }
        let media = match &said.media_type {
            Once::Value(value) => MediaType::parse(value),
            Once::Absent | Once::Repeated => None,
        };
        if let Some(ranges) = &self.content_types {
            let takes_all = ranges.iter().any(MediaRange::is_any);
            let is_taken = media.as_ref().is_some_and(|media| media.is_in(ranges));
            if !is_taken && !takes_all {
                let detail = "the body's content-type is none of those that are taken";
                return Err(Refusal::new(Reason::ContentType, detail));
            }
        }
        let form = media.as_ref().map_or(Form::Other, MediaType::form);
        let form = match form {
            Form::Json if self.reads => {
                Reading::Json(Box::new(Document::new(&self.plan)), Rc::clone(&self.plan))
            }
            Form::Text if self.reads_text => Reading::Text(Box::new(Text::new(&self.patterns))),
            _ => Reading::Other,
        };
        let is_read = !matches!(form, Reading::Other);
        if is_read && media.is_some_and(|media| !media.is_utf8()) {
            let detail = "the body's charset is not UTF-8";
            return Err(Refusal::new(Reason::ContentType, detail));
        }
        let coding = match &said.coding {
            // Who judges it sees what the upstream will, and not what it is wrapped in.
            _ if !is_read && !self.is_shown => Some(Coding::Identity),
            Once::Absent => Some(Coding::Identity),
            Once::Value(value) => Coding::named(value),
            Once::Repeated => None,
        };
        let Some(coding) = coding else {
            let detail = "the body's content-encoding is neither gzip nor deflate";
            return Err(Refusal::new(Reason::Coding, detail));
        };
        Ok(Reader {
            decoder: Decoder::new(coding),
            measure: Measure {
                max_bytes: self.max_bytes,
                came: 0,
                read: 0,
            },
            form,
            changes: (is_read && self.changes) || coding != Coding::Identity,
            is_decoded: coding != Coding::Identity,
        })
    }
}

impl Reader {
    /// Of a body that may have no byte.
    pub(crate) fn of_nothing() -> Self {
        Self {
            decoder: Decoder::new(Coding::Identity),
            measure: Measure {
                max_bytes: Some(0),
                came: 0,
                read: 0,
            },
            form: Reading::Other,
            changes: false,
            is_decoded: false,
        }
    }

    /// Whether it is only measured.
    pub(crate) fn measures_only(&self) -> bool {
        matches!(self.form, Reading::Other)
    }

    /// Whether nothing has come.
    pub(crate) fn is_empty(&self) -> bool {
        self.measure.read == 0
    }

    /// Reads what comes next, and gives what goes on.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let Self {
            decoder,
            measure,
            form,
            ..
        } = self;
        measure.came = measure.came.saturating_add(length(bytes));
        decoder.push(bytes, &mut |piece| {
            measure.add(piece)?;
            form.push(piece, out)
        })
    }

    /// So many bytes have come that are not read.
    pub(crate) fn pass(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.measure
            .add_length(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    /// The body is over. Gives how many values and places were redacted.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<u64, Refusal> {
        let Self {
            decoder,
            measure,
            form,
            ..
        } = self;
        decoder.finish(&mut |piece| {
            measure.add(piece)?;
            form.push(piece, out)
        })?;
        match form {
            Reading::Json(document, plan) => {
                let found = document
                    .finish(out)
                    .map_err(|fault| refusal(&fault, plan))?;
                Ok(found.redacted)
            }
            Reading::Text(text) => text.finish(out).map_err(Refusal::from),
            Reading::Other => Ok(0),
        }
    }
}

impl Measure {
    fn add(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        self.add_length(length(piece))?;
        if self.read > FREE && self.read > self.came.saturating_mul(RATIO) {
            let detail = "the body is more than a hundred times as large as it comes compressed";
            return Err(Refusal::new(Reason::TooLarge, detail));
        }
        Ok(())
    }

    fn add_length(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.read = self.read.saturating_add(bytes);
        match self.max_bytes {
            Some(max_bytes) if self.read > max_bytes => Err(Refusal::too_large(max_bytes)),
            _ => Ok(()),
        }
    }
}

impl Reading {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        match self {
            Self::Json(document, plan) => document
                .push(bytes, out)
                .map_err(|fault| refusal(&fault, plan)),
            Self::Text(text) => text.push(bytes, out).map_err(Refusal::from),
            Self::Other => {
                out.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

fn refusal(fault: &Fault, plan: &Plan) -> Refusal {
    Refusal::of(fault, |number| {
        plan.path(number)
            .map(ToString::to_string)
            .unwrap_or_default()
    })
}

impl From<Broken> for Refusal {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::NotUtf8 => Self::new(Reason::NotText, "the body is not UTF-8"),
            Broken::Found(stop) => Self::of(&Fault::from(stop), |_| String::new()),
        }
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Whether a `content-length` is more than `max_bytes`. One that is no number is Envoy's to refuse.
fn exceeds(stated: &[u8], max_bytes: u64) -> bool {
    let digits = stated.trim_ascii();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number = str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse::<u64>().ok());
    is_number && number.is_none_or(|number| number > max_bytes)
}

fn limits_of(json: &config::Json) -> Limits {
    let usual = Limits::default();
    let size = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    Limits {
        max_depth: json
            .max_depth
            .0
            .map_or(usual.max_depth, |max| size(max.get())),
        max_object_entries: (json.max_object_entries.0)
            .map_or(usual.max_object_entries, |max| size(max.get())),
        max_array_elements: json.max_array_elements.0.map(|max| size(max.get())),
        max_name_length: (json.max_name_length.0)
            .map_or(usual.max_name_length, |max| size(max.get())),
        max_string_length: json.max_string_length.0.map(|max| size(max.get())),
        allow_duplicate_names: json.allow_duplicate_names,
    }
}

fn redaction_of(redact: &config::Redact) -> Redaction {
    match redact.action {
        config::Action::Remove => Redaction::Remove,
        config::Action::Deny => Redaction::Deny,
        config::Action::Hash => {
            let secret = redact.secret.0.as_ref().map(SecretSource::expose);
            let digits = redact.digits.0.map(|digits| usize::try_from(digits.get()));
            let digits = digits.and_then(Result::ok).unwrap_or(DIGITS);
            Redaction::Hash(Rc::new(Hasher::new(secret.unwrap_or_default(), digits)))
        }
        config::Action::Mask => Redaction::Mask {
            replacement: redact
                .replacement
                .0
                .as_deref()
                .unwrap_or(REPLACEMENT)
                .into(),
            keep_last: redact
                .keep_last
                .0
                .map_or(0, |keep| usize::try_from(keep.get()).unwrap_or_default()),
        },
    }
}

fn rule_of(field: &config::Field) -> Field {
    let size = |number: i64| usize::try_from(number).unwrap_or_default();
    let kinds = field.kinds.to_vec();
    let of_text =
        field.pattern.0.is_some() || field.min_length.0.is_some() || field.max_length.0.is_some();
    let of_number = field.minimum.0.is_some() || field.maximum.0.is_some();
    // Bounds of texts are for texts: what is none does not pass under them.
    let kinds = match kinds.is_empty() {
        false => Some(kinds),
        true if of_text => Some(vec![Kind::String]),
        true if of_number => Some(vec![Kind::Number]),
        true => None,
    };
    Field {
        required: field.required,
        forbidden: field.forbidden,
        kinds: kinds.map(Into::into),
        pattern: field.pattern.0.clone(),
        choices: (!field.choices.is_empty()).then(|| {
            field
                .choices
                .iter()
                .map(|choice| choice.0.clone())
                .collect()
        }),
        min_length: field.min_length.0.map(|min| size(min.get())),
        max_length: field.max_length.0.map(|max| size(max.get())),
        minimum: field.minimum.0.map(|min| min.0),
        maximum: field.maximum.0.map(|max| max.0),
    }
}

/// For a text that is no JSON.
impl From<Stop> for Broken {
    fn from(stop: Stop) -> Self {
        Self::Found(stop)
    }
}

//! What is read, held to limits and masked; `serde_json` is the judge of what is JSON.

mod masks;
#[cfg(not(target_family = "wasm"))]
mod random;
mod rules;

use super::*;
use crate::redaction::Preset;

/// What is done with the values that a path leads to.
fn mask(path: &str, replacement: &str, keep_last: usize) -> (Path, Use) {
    let redaction = Redaction::Mask {
        replacement: replacement.into(),
        keep_last,
    };
    (Path::parse(path).unwrap(), Use::Redact(redaction))
}

fn remove(path: &str) -> (Path, Use) {
    (Path::parse(path).unwrap(), Use::Redact(Redaction::Remove))
}

fn field(path: &str, field: Field) -> (Path, Use) {
    (Path::parse(path).unwrap(), Use::Field(field))
}

fn plan(paths: Vec<(Path, Use)>) -> Rc<Plan> {
    Rc::new(Plan::new(Limits::default(), paths, Rc::default()))
}

fn limited(limits: Limits) -> Rc<Plan> {
    Rc::new(Plan::new(limits, Vec::new(), Rc::default()))
}

fn looking_for(presets: &[Preset], keep_last: usize) -> Rc<Plan> {
    let mut patterns = Patterns::default();
    for preset in presets {
        let replacement = "***".into();
        let redaction = Redaction::Mask {
            replacement,
            keep_last,
        };
        patterns.add_preset(*preset, redaction);
    }
    Rc::new(Plan::new(Limits::default(), Vec::new(), Rc::new(patterns)))
}

/// What becomes of a document that comes in these pieces.
fn read<'a>(
    plan: &Rc<Plan>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<u8>, u64), Fault> {
    let mut document = Document::new(plan);
    let mut out = Vec::new();
    for piece in pieces {
        document.push(piece, &mut out)?;
    }
    let found = document.finish(&mut out)?;
    Ok((out, found.redacted))
}

/// The same, whole, byte by byte and cut at each byte: the same, always.
fn reads(plan: &Rc<Plan>, document: &[u8]) -> Result<(Vec<u8>, u64), Fault> {
    let whole = read(plan, [document]);
    assert_eq!(read(plan, document.chunks(1)), whole, "byte by byte");
    if document.len() < 500 {
        for at in 0..document.len() {
            let (one, other) = document.split_at(at);
            assert_eq!(read(plan, [one, other]), whole, "cut at {at}");
        }
    }
    whole
}

/// What goes on.
fn text(plan: &Rc<Plan>, document: &str) -> String {
    let (out, _) = reads(plan, document.as_bytes()).unwrap();
    String::from_utf8(out).unwrap()
}

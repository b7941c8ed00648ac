//! A text that is looked through for patterns while it comes.

use crate::redaction::{Edit, LONGEST_MATCH, Patterns, Stop};

/// A text is looked through when so much of it is here. By its own bytes, not by how they came: it
/// is found the same however the body is cut.
const WINDOW: usize = 4 * LONGEST_MATCH;

/// How much of what is done with is kept, to tell what stands before what comes.
const CONTEXT: usize = 8;

/// A text, as it is read and as it is written.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// What it says, with some of what went before.
    text: String,
    /// How much of that went before.
    from: usize,
    /// How it is written, but for what went before.
    raw: Vec<u8>,
    /// Where escapes end, in both.
    escapes: Vec<(usize, usize)>,
    /// How many places were edited.
    edited: u64,
}

impl Scan {
    /// Adds what is written as it reads.
    pub(crate) fn plain(&mut self, text: &str) {
        self.text.push_str(text);
        self.raw.extend_from_slice(text.as_bytes());
    }

    /// Adds a part of how it is written, of which what it says comes by [`Self::escape`].
    pub(crate) fn raw(&mut self, byte: u8) {
        self.raw.push(byte);
    }

    /// Adds what an escape says that has been written.
    pub(crate) fn escape(&mut self, character: char) {
        self.text.push(character);
        self.escapes.push((self.text.len(), self.raw.len()));
    }

    /// How many more bytes it takes before it is to be looked through.
    pub(crate) fn room(&self) -> usize {
        let held = self.text.len().saturating_sub(self.from);
        WINDOW.saturating_sub(held)
    }

    /// Looks through what is here, and gives what can go on. `escape` writes what takes another's place.
    pub(crate) fn settle(
        &mut self,
        patterns: &Patterns,
        is_last: bool,
        escape: impl Fn(&str, &mut Vec<u8>),
        out: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let scanned = patterns.scan(&self.text, self.from, is_last)?;
        let mut at = self.from;
        for Edit { start, end, text } in &scanned.edits {
            out.extend_from_slice(self.written(at, *start));
            escape(text, out);
            at = *end;
            self.edited = self.edited.saturating_add(1);
        }
        out.extend_from_slice(self.written(at, scanned.settled));
        if is_last {
            // What they took is there for the next text.
            self.text.clear();
            self.from = 0;
            self.raw.clear();
            self.escapes.clear();
            return Ok(());
        }
        let raw = self.raw_place(scanned.settled);
        self.raw.drain(..raw.min(self.raw.len()));
        let kept = scanned.settled.saturating_sub(CONTEXT);
        let kept = self.text.floor_char_boundary(kept);
        self.text.drain(..kept);
        self.from = scanned.settled.saturating_sub(kept);
        self.escapes.retain_mut(|(text, written)| {
            if *text <= scanned.settled {
                return false;
            }
            *text = text.saturating_sub(kept);
            *written = written.saturating_sub(raw);
            true
        });
        Ok(())
    }

    /// How many places were edited, since the last time.
    pub(crate) fn take_edited(&mut self) -> u64 {
        std::mem::take(&mut self.edited)
    }

    /// How a part of the text is written.
    fn written(&self, from: usize, to: usize) -> &[u8] {
        let places = self.raw_place(from)..self.raw_place(to);
        self.raw.get(places).unwrap_or_default()
    }

    /// Where in what is written a place of the text is.
    fn raw_place(&self, place: usize) -> usize {
        let before = self.escapes.partition_point(|(text, _)| *text <= place);
        let last = before
            .checked_sub(1)
            .and_then(|last| self.escapes.get(last));
        let (text, raw) = last.copied().unwrap_or((self.from, 0));
        raw.saturating_add(place.saturating_sub(text))
    }
}

#[cfg(test)]
impl Scan {
    /// How many bytes are kept.
    pub(crate) fn held(&self) -> usize {
        self.text.len().saturating_add(self.raw.len())
    }
}

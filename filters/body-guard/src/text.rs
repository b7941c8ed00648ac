//! A text on its way that is no JSON: patterns are looked for in its lines as they stand.

use std::rc::Rc;

use crate::json::Scan;
use crate::redaction::{Patterns, Stop};

/// A text of which nothing is read yet, or some.
#[derive(Debug)]
pub(crate) struct Text {
    patterns: Rc<Patterns>,
    scan: Scan,
    /// The beginning of a character.
    begun: Vec<u8>,
}

/// Why a text goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It is no UTF-8.
    NotUtf8,
    /// By what was found in it.
    Found(Stop),
}

impl Text {
    pub(crate) fn new(patterns: &Rc<Patterns>) -> Self {
        Self {
            patterns: Rc::clone(patterns),
            scan: Scan::default(),
            begun: Vec::new(),
        }
    }

    /// Reads what comes next, and gives what can go on.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        let mut bytes = bytes;
        while !self.begun.is_empty() {
            let Some((byte, rest)) = bytes.split_first() else {
                return Ok(());
            };
            self.begun.push(*byte);
            bytes = rest;
            match str::from_utf8(&self.begun) {
                Ok(_) => {
                    let begun = std::mem::take(&mut self.begun);
                    self.add(str::from_utf8(&begun).unwrap_or_default(), out)?;
                }
                Err(error) if error.error_len().is_some() => return Err(Broken::NotUtf8),
                Err(_) => {}
            }
        }
        match str::from_utf8(bytes) {
            Ok(text) => self.add(text, out),
            Err(error) if error.error_len().is_some() => Err(Broken::NotUtf8),
            Err(error) => {
                let (text, begun) = bytes
                    .split_at_checked(error.valid_up_to())
                    .unwrap_or_default();
                self.begun = begun.to_vec();
                self.add(str::from_utf8(text).unwrap_or_default(), out)
            }
        }
    }

    /// The text is over.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<u64, Broken> {
        if !self.begun.is_empty() {
            return Err(Broken::NotUtf8);
        }
        self.settle(true, out)?;
        Ok(self.scan.take_edited())
    }

    /// Looks through each line for itself: so that one can go on when it is here.
    fn add(&mut self, mut text: &str, out: &mut Vec<u8>) -> Result<(), Broken> {
        while let Some((line, rest)) = text.split_once('\n') {
            self.add_to_line(line, out)?;
            self.settle(true, out)?;
            out.push(b'\n');
            text = rest;
        }
        self.add_to_line(text, out)
    }

    fn add_to_line(&mut self, mut text: &str, out: &mut Vec<u8>) -> Result<(), Broken> {
        while !text.is_empty() {
            let room = text.floor_char_boundary(self.scan.room());
            // A character that is larger than the room goes in all the same.
            let first = text.chars().next().map_or(0, char::len_utf8);
            let (fits, rest) = text.split_at_checked(room.max(first)).unwrap_or((text, ""));
            self.scan.plain(fits);
            text = rest;
            if self.scan.room() == 0 {
                self.settle(false, out)?;
            }
        }
        Ok(())
    }

    fn settle(&mut self, is_last: bool, out: &mut Vec<u8>) -> Result<(), Broken> {
        let plain = |text: &str, out: &mut Vec<u8>| out.extend_from_slice(text.as_bytes());
        self.scan
            .settle(&self.patterns, is_last, plain, out)
            .map_err(Broken::Found)
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::redaction::{self, Preset, Redaction};

    fn patterns() -> Rc<Patterns> {
        let mask = || Redaction::Mask {
            replacement: "***".into(),
            keep_last: 0,
        };
        let mut patterns = Patterns::default();
        patterns.add_preset(Preset::Email, mask());
        patterns.add_regex(redaction::regex("^key: .+").unwrap(), mask());
        patterns.add_regex(redaction::regex("forbidden").unwrap(), Redaction::Deny);
        Rc::new(patterns)
    }

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(Vec<u8>, u64), Broken> {
        let mut text = Text::new(&patterns());
        let mut out = Vec::new();
        for piece in pieces {
            text.push(piece, &mut out)?;
        }
        let edited = text.finish(&mut out)?;
        Ok((out, edited))
    }

    fn reads(text: &[u8]) -> Result<(Vec<u8>, u64), Broken> {
        let whole = read([text]);
        assert_eq!(read(text.chunks(1)), whole);
        for at in 0..text.len() {
            let (one, other) = text.split_at(at);
            assert_eq!(read([one, other]), whole, "cut at {at}");
        }
        whole
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn lines_are_looked_through_each_for_itself() {
        let text = "key: a b\r\nkäthe@müller.example\n\nno key: €\nkey: c";
        let masked = "***\n***\n\nno key: €\n***";
        assert_eq!(reads(text.as_bytes()), Ok((masked.into(), 3)));
        assert_eq!(reads(b""), Ok((Vec::new(), 0)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_line_goes_on_when_it_is_here() {
        let mut text = Text::new(&Rc::default());
        let mut out = Vec::new();
        text.push(b"data: 1\n\ndata: 2", &mut out).unwrap();
        assert_eq!(out, b"data: 1\n\n");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_would_take_minutes_to_find_is_refused() {
        let scan = |pattern: &str, text: &str| {
            let mut patterns = Patterns::default();
            patterns.add_regex(redaction::regex(pattern).unwrap(), Redaction::Remove);
            let mut text_read = Text::new(&Rc::new(patterns));
            let mut out = Vec::new();
            text_read.push(text.as_bytes(), &mut out)?;
            text_read.finish(&mut out).map(|edited| (out.len(), edited))
        };
        let long = "a".repeat(20_000);
        // Each `a` looks for a `b` in all that follows.
        assert_eq!(scan("a(.*b)?", &long), Err(Broken::Found(Stop::TooLong)));
        assert_eq!(scan("a(.*b)?", &"a".repeat(200)), Ok((0, 200)));
        // What looks no further than it matches may match as often as it likes.
        assert_eq!(scan("a", &long), Ok((0, 20_000)));
        assert_eq!(scan("a{4}", &long), Ok((0, 5_000)));
        let words = "ab ".repeat(7_000);
        assert_eq!(scan(r"[a-z]+", &words), Ok((7_000, 7_000)));
        // What does is found as often as texts have it.
        let lines = format!("{}ann@mail.example", " ".repeat(100)).repeat(150);
        assert_eq!(scan(r"[^@\s]+@[^@\s]+", &lines), Ok((15_000, 150)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_denied_or_no_text_ends_it() {
        assert_eq!(reads(b"a forbidden word"), Err(Broken::Found(Stop::Denied)));
        for bytes in [&b"a\xff"[..], b"\xe2\x82", b"\xc0\x80"] {
            assert_eq!(reads(bytes), Err(Broken::NotUtf8), "{bytes:?}");
        }
    }
}

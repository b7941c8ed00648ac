//! Reading names and texts: their characters, their escapes, what they say.

use super::{Document, LONGEST_COMPARED, LONGEST_KEPT, State, quoted};
use crate::json::Fault;

/// Where in a text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Inside {
    Plain,
    /// In a character of several bytes, of which so many are here.
    Character {
        bytes: [u8; 4],
        have: usize,
        all: usize,
    },
    /// After `\`.
    Escape {
        high: Option<u16>,
    },
    /// After `\u` and so many digits.
    Unicode {
        high: Option<u16>,
        digits: u8,
        value: u16,
    },
    /// After the first half of a pair of surrogates.
    Pair(u16),
}

impl Document {
    /// Reads what comes next of a name or a text: how many bytes.
    pub(super) fn text(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let (State::Text { is_name, inside }, Some(&byte)) = (&self.state, bytes.first()) else {
            return Ok(0);
        };
        let (is_name, inside) = (*is_name, *inside);
        let inside = match inside {
            Inside::Plain => {
                let is_plain =
                    |byte: &u8| (0x20..0x80).contains(byte) && !matches!(byte, b'"' | b'\\');
                let end = bytes.iter().position(|byte| !is_plain(byte));
                let plain = end.unwrap_or(bytes.len());
                if plain > 0 {
                    let room = self.scan.room().max(1);
                    let plain = if self.scans(is_name) {
                        plain.min(room)
                    } else {
                        plain
                    };
                    self.plain(bytes.get(..plain).unwrap_or_default(), is_name, out)?;
                    return Ok(plain);
                }
                let all = match byte {
                    b'"' => {
                        self.end_text(is_name, out)?;
                        return Ok(1);
                    }
                    b'\\' => {
                        self.raw(byte, is_name, out);
                        0
                    }
                    0xC2..=0xDF => 2,
                    0xE0..=0xEF => 3,
                    0xF0..=0xF4 => 4,
                    _ => return Err(Fault::Syntax(self.offset)),
                };
                match all {
                    0 => Inside::Escape { high: None },
                    // It goes on when it is known to be one.
                    _ => Inside::Character {
                        bytes: [byte, 0, 0, 0],
                        have: 1,
                        all,
                    },
                }
            }
            Inside::Character {
                bytes: mut character,
                have,
                all,
            } => {
                if let Some(place) = character.get_mut(have) {
                    *place = byte;
                }
                let have = have.saturating_add(1);
                if have < all && byte & 0xC0 == 0x80 {
                    Inside::Character {
                        bytes: character,
                        have,
                        all,
                    }
                } else {
                    self.plain(character.get(..have).unwrap_or_default(), is_name, out)?;
                    Inside::Plain
                }
            }
            Inside::Escape { .. } | Inside::Unicode { .. } | Inside::Pair(_) => {
                self.escape(inside, byte, is_name, out)?
            }
        };
        self.state = State::Text { is_name, inside };
        Ok(1)
    }

    /// Whether patterns are looked for in what is read.
    fn scans(&self, is_name: bool) -> bool {
        self.value.scans && !is_name
    }

    /// Reads characters that are written as they are.
    fn plain(&mut self, bytes: &[u8], is_name: bool, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Ok(text) = str::from_utf8(bytes) else {
            return Err(Fault::Syntax(self.offset));
        };
        if self.scans(is_name) {
            self.scan.plain(text);
        } else {
            self.put(bytes, out);
        }
        self.says(text, is_name)?;
        self.settle_if_full(is_name, out)
    }

    /// Reads a byte of an escape (RFC 8259, section 7).
    fn escape(
        &mut self,
        inside: Inside,
        byte: u8,
        is_name: bool,
        out: &mut Vec<u8>,
    ) -> Result<Inside, Fault> {
        let wrong = Err(Fault::Syntax(self.offset));
        let (next, says) = match (inside, byte) {
            (Inside::Pair(high), b'\\') => (Inside::Escape { high: Some(high) }, None),
            (Inside::Escape { high }, b'u') => {
                let (digits, value) = (0, 0);
                (
                    Inside::Unicode {
                        high,
                        digits,
                        value,
                    },
                    None,
                )
            }
            (Inside::Escape { high: None }, _) => {
                let says = match byte {
                    b'"' | b'\\' | b'/' => char::from(byte),
                    b'b' => '\u{8}',
                    b'f' => '\u{c}',
                    b'n' => '\n',
                    b'r' => '\r',
                    b't' => '\t',
                    _ => return wrong,
                };
                (Inside::Plain, Some(says))
            }
            (
                Inside::Unicode {
                    high,
                    digits,
                    value,
                },
                _,
            ) => {
                let Some(digit) = char::from(byte).to_digit(16) else {
                    return wrong;
                };
                let value = (value << 4) | u16::try_from(digit).unwrap_or_default();
                let digits = digits.saturating_add(1);
                if digits < 4 {
                    (
                        Inside::Unicode {
                            high,
                            digits,
                            value,
                        },
                        None,
                    )
                } else if high.is_none() && (0xD800..0xDC00).contains(&value) {
                    (Inside::Pair(value), None)
                } else {
                    let mut units = char::decode_utf16(high.into_iter().chain([value]));
                    let (Some(Ok(says)), None) = (units.next(), units.next()) else {
                        return wrong;
                    };
                    (Inside::Plain, Some(says))
                }
            }
            _ => return wrong,
        };
        self.raw(byte, is_name, out);
        if let Some(says) = says {
            if self.scans(is_name) {
                self.scan.escape(says);
            }
            self.says(says.encode_utf8(&mut [0; 4]), is_name)?;
            self.settle_if_full(is_name, out)?;
        }
        Ok(next)
    }

    /// A byte of an escape goes on, or is kept with its text.
    fn raw(&mut self, byte: u8, is_name: bool, out: &mut Vec<u8>) {
        if self.scans(is_name) {
            self.scan.raw(byte);
        } else {
            self.put(&[byte], out);
        }
    }

    /// What a name or a text says.
    fn says(&mut self, text: &str, is_name: bool) -> Result<(), Fault> {
        self.length = self.length.saturating_add(text.len());
        let limits = &self.plan.limits;
        if is_name {
            if self.length > limits.max_name_length {
                return Err(Fault::NameLength(limits.max_name_length));
            }
            self.name.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        if let Some(max) = limits.max_string_length
            && self.length > max
        {
            return Err(Fault::StringLength(max));
        }
        if !self.value.fields.is_empty() || self.value.redacted.is_some() {
            self.characters = self.characters.saturating_add(text.chars().count());
        }
        if self.value.compares && self.length <= LONGEST_COMPARED {
            self.compared.extend_from_slice(text.as_bytes());
        }
        if self.value.redacted.is_some() {
            if let Some(hash) = &mut self.hash {
                hash.update(text.as_bytes());
            }
            let last = text.floor_char_boundary(text.len().saturating_sub(LONGEST_KEPT));
            self.tail.push_str(text.get(last..).unwrap_or_default());
            if self.tail.len() > LONGEST_KEPT.saturating_mul(4) {
                let first = self.tail.len().saturating_sub(LONGEST_KEPT);
                let first = self.tail.floor_char_boundary(first);
                self.tail.drain(..first);
            }
        }
        Ok(())
    }

    fn settle_if_full(&mut self, is_name: bool, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.scans(is_name) && self.scan.room() == 0 {
            self.settle(false, out)?;
        }
        Ok(())
    }

    /// Looks for patterns in what is here of a text.
    pub(super) fn settle(&mut self, is_last: bool, out: &mut Vec<u8>) -> Result<(), Fault> {
        let escape = |text: &str, out: &mut Vec<u8>| {
            let quoted = quoted(text);
            let inside = quoted
                .strip_prefix('"')
                .and_then(|text| text.strip_suffix('"'));
            out.extend_from_slice(inside.unwrap_or_default().as_bytes());
        };
        self.scan
            .settle(&self.plan.patterns, is_last, escape, out)?;
        self.redacted = self.redacted.saturating_add(self.scan.take_edited());
        Ok(())
    }
}

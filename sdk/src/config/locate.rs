//! Finds the places of errors in the text. Runs only when there are errors, on
//! text that is known to be JSON.

use super::error::{ConfigError, ConfigErrors, Place, Segment};

/// Puts the errors in the document's order, with their lines where it has lines.
pub(super) fn settle(mut errors: ConfigErrors, text: &[u8]) -> ConfigErrors {
    let mut placed: Vec<(usize, ConfigError)> = Vec::new();
    for error in std::mem::take(&mut errors.errors) {
        let offset = offset(text, &error.segments, error.occurrence);
        let at = placed.partition_point(|(known, _)| *known <= offset);
        placed.insert(at, (offset, error));
    }
    let has_lines = text.trim_ascii().contains(&b'\n');
    for (offset, mut error) in placed {
        if has_lines && error.place.is_none() {
            error.place = Some(place(text, offset));
        }
        errors.errors.push(error);
    }
    errors
}

/// Where the value with this path begins; for an entry of an object, where its
/// key does. Where the path leads nowhere, the place where it ends.
fn offset(text: &[u8], segments: &[Segment], occurrence: usize) -> usize {
    let mut cursor = Cursor { text, at: 0 };
    cursor.skip_space();
    let mut found = cursor.at;
    for (index, segment) in segments.iter().enumerate() {
        let last = index.saturating_add(1) == segments.len();
        let skip = if last { occurrence } else { 0 };
        let entry = match segment {
            Segment::Key(key) => cursor.enter_key(key, skip),
            Segment::Index(index) => cursor.enter_index(*index),
        };
        match entry {
            Some(at) => found = at,
            None => break,
        }
    }
    found
}

pub(super) fn place(text: &[u8], offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let (line, rest) = before
        .iter()
        .enumerate()
        .fold((1_usize, 0), |(line, start), (at, byte)| {
            if *byte == b'\n' {
                (line.saturating_add(1), at.saturating_add(1))
            } else {
                (line, start)
            }
        });
    let column = String::from_utf8_lossy(before.get(rest..).unwrap_or_default())
        .chars()
        .count()
        .saturating_add(1);
    Place { line, column }
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.step();
        }
        there
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.step();
        }
    }

    /// Goes to the value of an entry and tells where its key begins.
    fn enter_key(&mut self, key: &str, mut skip: usize) -> Option<usize> {
        if !self.take(b'{') {
            return None;
        }
        loop {
            self.skip_space();
            let at = self.at;
            let name = self.string()?;
            self.skip_space();
            self.take(b':');
            self.skip_space();
            if is_key(name, key) {
                match skip.checked_sub(1) {
                    None => return Some(at),
                    Some(fewer) => skip = fewer,
                }
            }
            self.skip_value();
            self.skip_space();
            if !self.take(b',') {
                return None;
            }
        }
    }

    fn enter_index(&mut self, index: usize) -> Option<usize> {
        if !self.take(b'[') {
            return None;
        }
        for _ in 0..index {
            self.skip_space();
            self.skip_value();
            self.skip_space();
            if !self.take(b',') {
                return None;
            }
        }
        self.skip_space();
        Some(self.at)
    }

    /// The string here, quotes included.
    fn string(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        if !self.take(b'"') {
            return None;
        }
        while let Some(byte) = self.peek() {
            self.step();
            match byte {
                b'\\' => self.step(),
                b'"' => return self.text.get(start..self.at),
                _ => {}
            }
        }
        None
    }

    fn skip_value(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.string();
                }
                b'[' | b'{' => {
                    depth = depth.saturating_add(1);
                    self.step();
                }
                b']' | b'}' | b',' if depth == 0 => return,
                b']' | b'}' => {
                    depth = depth.saturating_sub(1);
                    self.step();
                }
                _ => self.step(),
            }
        }
    }
}

/// Whether this string, quotes included, says `key`.
fn is_key(written: &[u8], key: &str) -> bool {
    serde_json::from_slice::<String>(written).is_ok_and(|name| name == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_values_by_their_path() {
        let text = br#" {"a": [1, {"b,}": "\"]", "c\u0064": 2}], "a": null} "#;
        let key = |key: &str| Segment::Key(key.to_owned());
        let rest = |segments: &[Segment], occurrence| {
            let offset = offset(text, segments, occurrence);
            String::from_utf8_lossy(text.get(offset..).unwrap()).into_owned()
        };

        assert!(rest(&[], 0).starts_with("{\"a\""));
        assert!(rest(&[key("a")], 0).starts_with("\"a\": [1"));
        assert!(rest(&[key("a")], 1).starts_with("\"a\": null"));
        assert!(rest(&[key("a"), Segment::Index(1)], 0).starts_with("{\"b,}\""));
        assert!(rest(&[key("a"), Segment::Index(1), key("cd")], 0).starts_with("\"c\\u0064\""));
        assert!(rest(&[key("a"), Segment::Index(7)], 0).starts_with("\"a\": [1"));
        assert!(rest(&[key("a"), Segment::Index(1), key("no")], 0).starts_with("{\"b,}\""));
    }

    #[test]
    fn counts_columns_in_characters() {
        assert_eq!(place("a\né\"x".as_bytes(), 5), Place { line: 2, column: 3 });
    }
}

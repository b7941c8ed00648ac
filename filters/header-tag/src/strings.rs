//! Many byte strings in two allocations.

/// What is kept from request to request.
const KEPT_BYTES: usize = 16 * 1024;
const KEPT_STRINGS: usize = 1024;

/// A list of byte strings, end to end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Strings {
    /// Forgets the strings and keeps their memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds what `write` appends, and tells whether that was nothing.
    pub(crate) fn push_with<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let start = self.bytes.len();
        write(&mut self.bytes)?;
        self.ends.push(self.bytes.len());
        Ok(self.bytes.len() == start)
    }

    pub(crate) fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn get(&self, index: usize) -> &[u8] {
        let start = match index.checked_sub(1) {
            None => Some(&0),
            Some(before) => self.ends.get(before),
        };
        match (start, self.ends.get(index)) {
            (Some(start), Some(end)) => self.bytes.get(*start..*end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Gives up memory that a request with long or many values took.
    #[inline]
    pub(crate) fn trim(&mut self) {
        if self.bytes.capacity() > KEPT_BYTES || self.ends.capacity() > KEPT_STRINGS {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn gives_back_each_string_and_nothing_beyond() {
        let mut strings = Strings::default();
        for value in ["one", "", "three"] {
            strings.push(value.as_bytes());
        }
        let values: Vec<_> = (0..5).map(|index| strings.get(index)).collect();
        assert_eq!(values, [b"one".as_slice(), b"", b"three", b"", b""]);
        assert_eq!(strings.len(), 3);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn keeps_ordinary_memory_and_gives_up_a_lot() {
        let mut strings = Strings::default();
        strings.push(&[b'a'; 1_000]);
        strings.trim();
        assert!(strings.bytes.capacity() >= 1_000);

        strings.push(&vec![b'a'; KEPT_BYTES + 1]);
        strings.trim();
        assert_eq!(strings.bytes.capacity(), 0);
    }
}

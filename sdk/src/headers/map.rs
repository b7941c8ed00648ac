//! A header map in the form the ABI gives it: the number of headers, the sizes
//! of each name and value, then names and values, each ended by a NUL byte.
//! Numbers are 32 bits, little endian.

use std::iter;
use std::ops::Range;

/// Size of a number in the ABI's form.
const WORD: usize = 4;

/// Headers over one buffer. A fetched map is read where the host put it; the
/// first change writes down where each header stands.
#[derive(Debug, Default)]
pub(super) struct Map {
    bytes: Vec<u8>,
    /// Where each name and value stands, once the map differs from `bytes`.
    changed: Option<Vec<Entry>>,
    count: usize,
}

#[derive(Debug, Clone)]
struct Entry {
    name: Range<usize>,
    value: Range<usize>,
}

impl Map {
    /// `None` where the bytes are not a map. Checked once here, so that
    /// reading needs no errors.
    pub(super) fn decode(bytes: Vec<u8>) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let count = word(&bytes, 0)?;
        let mut map = Self {
            bytes,
            changed: None,
            count,
        };
        let mut found = 0_usize;
        for entry in map.fetched() {
            map.bytes.get(entry.name)?;
            map.bytes.get(entry.value)?;
            found = found.checked_add(1)?;
        }
        map.count = found;
        (found == count).then_some(map)
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let (changed, fetched) = match &self.changed {
            Some(entries) => (Some(entries.iter().cloned()), None),
            None => (None, Some(self.fetched())),
        };
        let entries = changed
            .into_iter()
            .flatten()
            .chain(fetched.into_iter().flatten());
        entries
            .filter_map(|entry| Some((self.bytes.get(entry.name)?, self.bytes.get(entry.value)?)))
    }

    pub(super) fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |(own, _)| own.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    pub(super) fn append(&mut self, name: &str, value: &[u8]) {
        // What was fetched is laid out by `count`: note it before `bytes` grows.
        self.entries();
        self.bytes.reserve(name.len().saturating_add(value.len()));
        let name = self.store(name.as_bytes());
        let value = self.store(value);
        self.entries().push(Entry { name, value });
        self.count = self.entries().len();
    }

    pub(super) fn set(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        self.append(name, value);
    }

    pub(super) fn remove(&mut self, name: &str) {
        let mut entries = std::mem::take(self.entries());
        let bytes = &self.bytes;
        entries.retain(|entry| {
            !bytes
                .get(entry.name.clone())
                .is_some_and(|own| own.eq_ignore_ascii_case(name.as_bytes()))
        });
        self.count = entries.len();
        self.changed = Some(entries);
    }

    /// The map in the ABI's form, or `None` where a size does not fit.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        out.extend_from_slice(&u32::try_from(self.count).ok()?.to_le_bytes());
        for (name, value) in self.iter() {
            out.extend_from_slice(&u32::try_from(name.len()).ok()?.to_le_bytes());
            out.extend_from_slice(&u32::try_from(value.len()).ok()?.to_le_bytes());
        }
        for (name, value) in self.iter() {
            out.extend_from_slice(name);
            out.push(0);
            out.extend_from_slice(value);
            out.push(0);
        }
        Some(out)
    }

    /// The headers as fetched. Ends early where the sizes do not add up.
    fn fetched(&self) -> impl Iterator<Item = Entry> {
        let mut sizes = WORD;
        let mut data = self
            .count
            .checked_mul(WORD)
            .and_then(|size| size.checked_mul(2))
            .and_then(|size| size.checked_add(WORD))
            .unwrap_or(usize::MAX);
        let mut left = self.count;
        iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let name = span(data, word(&self.bytes, sizes)?)?;
            let value = span(
                name.end.checked_add(1)?,
                word(&self.bytes, sizes.checked_add(WORD)?)?,
            )?;
            sizes = sizes.checked_add(WORD)?.checked_add(WORD)?;
            data = value.end.checked_add(1)?;
            (value.end < self.bytes.len()).then_some(Entry { name, value })
        })
    }

    fn entries(&mut self) -> &mut Vec<Entry> {
        if self.changed.is_none() {
            // Room for the change, and a few to follow.
            let mut entries = Vec::with_capacity(self.count.saturating_add(4));
            entries.extend(self.fetched());
            self.changed = Some(entries);
        }
        self.changed.get_or_insert_with(Vec::new)
    }

    fn store(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..at.checked_add(WORD)?)?;
    usize::try_from(u32::from_le_bytes(word.try_into().ok()?)).ok()
}

fn span(start: usize, size: usize) -> Option<Range<usize>> {
    Some(start..start.checked_add(size)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&str, &str)]) -> Map {
        let mut map = Map::default();
        for (name, value) in headers {
            map.append(name, value.as_bytes());
        }
        Map::decode(map.encode().unwrap()).unwrap()
    }

    fn pairs(map: &Map) -> Vec<(String, String)> {
        map.iter()
            .map(|(name, value)| {
                (
                    String::from_utf8_lossy(name).into_owned(),
                    String::from_utf8_lossy(value).into_owned(),
                )
            })
            .collect()
    }

    fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
        headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn reads_back_what_was_encoded() {
        let headers = [(":path", "/"), ("x-a", ""), ("x-b", "2"), ("x-b", "3")];
        let map = map(&headers);
        assert_eq!(pairs(&map), owned(&headers));
        assert_eq!(map.len(), 4);
        assert_eq!(map.values("X-B").collect::<Vec<_>>(), [b"2", b"3"]);
    }

    #[test]
    fn changes_are_seen_by_later_reads() {
        let mut map = map(&[("x-a", "1"), ("x-b", "2"), ("x-a", "3")]);
        map.set("x-a", b"4");
        map.append("x-c", b"5");
        map.remove("X-B");
        assert_eq!(pairs(&map), owned(&[("x-a", "4"), ("x-c", "5")]));
        assert_eq!(map.len(), 2);
        assert_eq!(
            pairs(&Map::decode(map.encode().unwrap()).unwrap()),
            pairs(&map)
        );
    }

    #[test]
    fn an_empty_answer_is_an_empty_map() {
        let mut map = Map::decode(Vec::new()).unwrap();
        assert_eq!(map.len(), 0);
        map.append("x-a", b"1");
        assert_eq!(pairs(&map), owned(&[("x-a", "1")]));
    }

    #[test]
    fn refuses_every_truncation_of_a_map() {
        let whole = map(&[("x-a", "one"), ("x-b", "two")]).encode().unwrap();
        for size in 1..whole.len() {
            let cut = whole.get(..size).unwrap().to_vec();
            assert!(Map::decode(cut).is_none(), "cut to {size} bytes");
        }
    }

    #[test]
    fn refuses_sizes_that_reach_outside_the_bytes() {
        for sizes in [[u32::MAX, 0], [0, u32::MAX], [u32::MAX, u32::MAX], [5, 5]] {
            let mut bytes = 1_u32.to_le_bytes().to_vec();
            bytes.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
            bytes.extend_from_slice(b"a\0b\0");
            assert!(Map::decode(bytes).is_none(), "sizes {sizes:?}");
        }
        assert!(Map::decode(u32::MAX.to_le_bytes().to_vec()).is_none());
    }
}

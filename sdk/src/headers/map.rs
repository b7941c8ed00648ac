//! A header map in the form the ABI gives it: the number of headers, the sizes
//! of each name and value, then names and values, each ended by a NUL byte.
//! Numbers are 32 bits, little endian.

use std::ops::Range;
use std::slice;

/// Size of a number in the ABI's form.
const WORD: usize = 4;

/// What the name of a header that was removed begins with: no name does.
const REMOVED: u8 = 0;

/// Headers over one buffer. A fetched map is read where the host put it, and what is
/// removed is crossed out there; the first addition writes down where each header stands.
#[derive(Debug, Default, Clone)]
pub(super) struct Map {
    bytes: Vec<u8>,
    /// Where each name and value stands, once the map has more than `bytes`.
    changed: Option<Vec<Entry>>,
    /// How many headers were fetched.
    fetched: usize,
    /// How many there are.
    count: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
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
        let fetched = word(&bytes)?;
        let map = Self {
            count: Fetched::of(&bytes, fetched)?.count(),
            bytes,
            changed: None,
            fetched,
        };
        (map.count == fetched).then_some(map)
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn iter(&self) -> Pairs<'_> {
        let bytes = &self.bytes;
        match &self.changed {
            Some(entries) => Pairs::Changed(bytes, entries.iter()),
            None => Pairs::Fetched(self.fetched()),
        }
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
        let is_it = |own: &[u8]| own.eq_ignore_ascii_case(name.as_bytes());
        if let Some(entries) = &mut self.changed {
            let bytes = &self.bytes;
            entries.retain(|entry| !bytes.get(entry.name.clone()).is_some_and(is_it));
            self.count = entries.len();
            return;
        }
        let mut at = Fetched::start(self.fetched);
        let mut fetched = self.fetched();
        let mut found = smallvec::SmallVec::<[usize; 2]>::new();
        while let Some((own, value)) = fetched.next_of_all() {
            if is_it(own) {
                found.push(at);
            }
            at = at.saturating_add(own.len()).saturating_add(value.len());
            at = at.saturating_add(2);
        }
        for at in found {
            if let Some(first) = self.bytes.get_mut(at) {
                *first = REMOVED;
                self.count = self.count.saturating_sub(1);
            }
        }
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

    fn fetched(&self) -> Fetched<'_> {
        Fetched::of(&self.bytes, self.fetched).unwrap_or_default()
    }

    fn entries(&mut self) -> &mut Vec<Entry> {
        if self.changed.is_none() {
            // Room for the change, and a few to follow.
            let mut entries = Vec::with_capacity(self.count.saturating_add(4));
            let mut at = Fetched::start(self.fetched);
            let mut fetched = self.fetched();
            while let Some((name, value)) = fetched.next_of_all() {
                let is_there = name.first() != Some(&REMOVED);
                let name = at..at.saturating_add(name.len());
                let start = name.end.saturating_add(1);
                let value = start..start.saturating_add(value.len());
                at = value.end.saturating_add(1);
                if is_there {
                    entries.push(Entry { name, value });
                }
            }
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

/// Names and values, in the order they were sent.
pub(super) enum Pairs<'a> {
    Fetched(Fetched<'a>),
    Changed(&'a [u8], slice::Iter<'a, Entry>),
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Fetched(fetched) => fetched.next(),
            Self::Changed(bytes, entries) => {
                let entry = entries.next()?;
                Some((
                    bytes.get(entry.name.clone())?,
                    bytes.get(entry.value.clone())?,
                ))
            }
        }
    }
}

/// The headers as fetched. Ends early where the sizes do not add up.
#[derive(Default)]
pub(super) struct Fetched<'a> {
    sizes: &'a [u8],
    data: &'a [u8],
}

impl<'a> Fetched<'a> {
    fn of(bytes: &'a [u8], count: usize) -> Option<Self> {
        let (sizes, data) = bytes.split_at_checked(Self::start(count))?;
        Some(Self {
            sizes: sizes.get(WORD..)?,
            data,
        })
    }

    /// Where the first name stands of so many headers.
    fn start(count: usize) -> usize {
        let sizes = count.saturating_mul(WORD).saturating_mul(2);
        sizes.saturating_add(WORD)
    }

    /// The next, also where it is removed.
    #[inline]
    fn next_of_all(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let (name, sizes) = self.sizes.split_at_checked(WORD)?;
        let (value, sizes) = sizes.split_at_checked(WORD)?;
        let (name, data) = self.data.split_at_checked(word(name)?)?;
        let (value, data) = data.get(1..)?.split_at_checked(word(value)?)?;
        self.sizes = sizes;
        self.data = data.get(1..)?;
        Some((name, value))
    }
}

impl<'a> Iterator for Fetched<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (name, value) = self.next_of_all()?;
            if name.first() != Some(&REMOVED) {
                return Some((name, value));
            }
        }
    }
}

#[inline]
fn word(bytes: &[u8]) -> Option<usize> {
    let (word, _) = bytes.split_first_chunk::<WORD>()?;
    usize::try_from(u32::from_le_bytes(*word)).ok()
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
    fn what_is_removed_is_gone_before_and_after_other_changes() {
        let headers = [
            ("x-a", "1"),
            ("x-b", ""),
            ("x-a", "3"),
            ("", "4"),
            ("x-c", "5"),
        ];
        let mut map = map(&headers);
        map.remove("X-A");
        map.remove("x-none");
        let left = owned(&[("x-b", ""), ("", "4"), ("x-c", "5")]);
        assert_eq!((map.len(), pairs(&map)), (3, left.clone()));
        assert_eq!(map.values("x-a").count(), 0);
        assert_eq!(pairs(&Map::decode(map.encode().unwrap()).unwrap()), left);

        map.append("x-a", b"6");
        map.remove("x-b");

        let left = owned(&[("", "4"), ("x-c", "5"), ("x-a", "6")]);
        assert_eq!((map.len(), pairs(&map)), (3, left));
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

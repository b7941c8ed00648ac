//! The buckets of a map, as bytes: where an entry stands, and which one goes
//! when there is no room. Nothing here calls the host.
//!
//! A bucket is a head (format, ways, size of a value, number of buckets) and up
//! to so many entries as there are ways: a fingerprint of the key, and the value.
//! Numbers have their least significant byte first. The entry written last stands
//! last, so that their order tells which one was not written to for the longest
//! time, whatever the clock does.

use super::codec::Malformed;

/// How large a map is: `buckets` times `ways` entries.
///
/// A key belongs to one bucket, and competes with the keys of that bucket only,
/// at most `ways` of them. More ways use the room better and make each update
/// copy more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// How many buckets: 1 to 16,777,216. Each is a key of shared data.
    pub buckets: u32,
    /// How many entries a bucket holds: 1 to 64.
    pub ways: u8,
}

const MAX_BUCKETS: u32 = 1 << 24;
const MAX_WAYS: u8 = 64;
/// The largest value of an entry, in bytes.
const MAX_VALUE: usize = 1024;

/// The first byte of each bucket. Another one when the form changes.
const FORMAT: u8 = 1;
const HEAD: usize = 8;
/// An entry's fingerprint.
const ENTRY_HEAD: usize = 8;

impl Geometry {
    /// Room for this many keys, with little crowding: 16 ways, twice as many
    /// entries as keys. With that many keys in it, a new one meets a full
    /// bucket with a probability of 0.8 % (Poisson, mean 8, 16 or more).
    pub const fn for_keys(keys: u32) -> Self {
        let buckets = keys.div_ceil(8);
        Self {
            buckets: match buckets {
                0 => 1,
                1..=MAX_BUCKETS => buckets,
                _ => MAX_BUCKETS,
            },
            ways: 16,
        }
    }

    /// How many entries there is room for.
    pub fn entries(self) -> u64 {
        u64::from(self.buckets).saturating_mul(u64::from(self.ways))
    }
}

/// A geometry for values of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    geometry: Geometry,
    value: u16,
}

impl Layout {
    pub(super) fn new(geometry: Geometry, value: usize) -> Result<Self, &'static str> {
        if !(1..=MAX_BUCKETS).contains(&geometry.buckets) {
            return Err("the number of buckets is out of range: 1 to 16777216 are allowed");
        }
        if !(1..=MAX_WAYS).contains(&geometry.ways) {
            return Err("the number of ways is out of range: 1 to 64 are allowed");
        }
        match u16::try_from(value) {
            Ok(size) if value <= MAX_VALUE => Ok(Self {
                geometry,
                value: size,
            }),
            _ => Err("a value has more than 1024 bytes"),
        }
    }

    pub(super) fn geometry(self) -> Geometry {
        self.geometry
    }

    fn head(self) -> [u8; HEAD] {
        let [v0, v1] = self.value.to_le_bytes();
        let [b0, b1, b2, b3] = self.geometry.buckets.to_le_bytes();
        [FORMAT, self.geometry.ways, v0, v1, b0, b1, b2, b3]
    }

    fn entry_size(self) -> usize {
        ENTRY_HEAD.saturating_add(usize::from(self.value))
    }

    /// The bytes of a bucket that is full.
    pub(super) fn bucket_size(self) -> usize {
        self.entry_size()
            .saturating_mul(usize::from(self.geometry.ways))
            .saturating_add(HEAD)
    }

    /// The bucket of a key with this hash, each as likely.
    pub(super) fn bucket_of(self, hash: u64) -> u32 {
        // The upper half of the product of two numbers of 32 bits.
        let [.., a, b, c, d] = hash.to_le_bytes();
        let upper = u64::from(u32::from_le_bytes([a, b, c, d]));
        let product = upper.saturating_mul(u64::from(self.geometry.buckets));
        u32::try_from(product >> 32).unwrap_or(0)
    }
}

/// What had to make room for an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Displaced {
    /// There was room, or the entry was there.
    Nothing,
    /// An entry that was expendable.
    Expendable,
    /// One that was not: the one not written to for the longest time.
    Live,
}

/// The bytes of one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bucket {
    layout: Layout,
    bytes: Vec<u8>,
}

impl Bucket {
    pub(super) fn empty(layout: Layout) -> Self {
        Self {
            layout,
            bytes: layout.head().to_vec(),
        }
    }

    /// What is stored. A bucket of another geometry, which an earlier
    /// configuration left, counts as empty.
    pub(super) fn read(layout: Layout, stored: Option<Vec<u8>>) -> Result<Self, Malformed> {
        let Some(bytes) = stored else {
            return Ok(Self::empty(layout));
        };
        let Some((head, entries)) = bytes.split_first_chunk::<HEAD>() else {
            return Err(Malformed::new("a bucket without a head"));
        };
        if *head != layout.head() {
            return Ok(Self::empty(layout));
        }
        let whole = entries.len().is_multiple_of(layout.entry_size());
        if !whole || bytes.len() > layout.bucket_size() {
            return Err(Malformed::new(format!(
                "a bucket of {} bytes, which is no number of entries of {}",
                bytes.len(),
                layout.entry_size()
            )));
        }
        Ok(Self { layout, bytes })
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The value of the entry with this fingerprint.
    pub(super) fn get(&self, fingerprint: u64) -> Option<&[u8]> {
        self.entries()
            .find(|(other, _)| *other == fingerprint)
            .map(|(_, value)| value)
    }

    /// Writes an entry. Where there is no room for it, the one goes that weighs
    /// the least; of several, the one not written to for the longest time. What
    /// weighs nothing is expendable.
    pub(super) fn put(
        &mut self,
        fingerprint: u64,
        value: &[u8],
        weight: impl Fn(&[u8]) -> u128,
    ) -> Displaced {
        let mut displaced = Displaced::Nothing;
        if !self.remove(fingerprint) && self.is_full() {
            let weights = self.entries().map(|(_, value)| weight(value)).enumerate();
            // Of equals the first, which was written first.
            let lightest = weights.min_by_key(|(_, weight)| *weight);
            let (at, weight) = lightest.unwrap_or_default();
            displaced = match weight {
                0 => Displaced::Expendable,
                _ => Displaced::Live,
            };
            self.remove_at(at);
        }
        self.bytes.extend(fingerprint.to_le_bytes());
        self.bytes.extend(value);
        displaced
    }

    /// Takes an entry out. Whether it was there.
    pub(super) fn remove(&mut self, fingerprint: u64) -> bool {
        let mut entries = self.entries();
        match entries.position(|(other, _)| other == fingerprint) {
            Some(at) => {
                drop(entries);
                self.remove_at(at)
            }
            None => false,
        }
    }

    fn remove_at(&mut self, at: usize) -> bool {
        let size = self.layout.entry_size();
        let start = at.saturating_mul(size).saturating_add(HEAD);
        let end = start.saturating_add(size);
        let is_there = end <= self.bytes.len();
        if is_there {
            self.bytes.drain(start..end);
        }
        is_there
    }

    fn is_full(&self) -> bool {
        self.bytes.len().saturating_add(self.layout.entry_size()) > self.layout.bucket_size()
    }

    /// Fingerprints and values.
    fn entries(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let entries = self.bytes.get(HEAD..).unwrap_or_default();
        let entries = entries.chunks_exact(self.layout.entry_size());
        entries.filter_map(|entry| {
            let (fingerprint, value) = entry.split_first_chunk()?;
            Some((u64::from_le_bytes(*fingerprint), value))
        })
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    pub(super) fn layout(buckets: u32, ways: u8, value: usize) -> Layout {
        Layout::new(Geometry { buckets, ways }, value).unwrap()
    }

    fn alike(_: &[u8]) -> u128 {
        1
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_geometry_has_bounds() {
        for (buckets, ways, value, allowed) in [
            (1, 1, 0, true),
            (1 << 24, 64, 1024, true),
            (0, 1, 8, false),
            ((1 << 24) + 1, 1, 8, false),
            (1, 0, 8, false),
            (1, 65, 8, false),
            (1, 1, 1025, false),
            (1, 1, 1 << 16, false),
        ] {
            let layout = Layout::new(Geometry { buckets, ways }, value);
            assert_eq!(layout.is_ok(), allowed, "{buckets} {ways} {value}");
        }
        for keys in [0, 1, 7, 8, 100_000, u32::MAX] {
            assert!(Layout::new(Geometry::for_keys(keys), 16).is_ok(), "{keys}");
        }
        assert_eq!(Geometry::for_keys(100_000).entries(), 200_000);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn every_bucket_is_as_likely() {
        let layout = layout(3, 1, 8);
        assert_eq!(layout.bucket_of(0), 0);
        assert_eq!(layout.bucket_of(u64::MAX), 2);
        assert_eq!(layout.bucket_of(u64::MAX / 3), 0);
        assert_eq!(layout.bucket_of(u64::MAX / 2), 1);
        assert_eq!(layout.bucket_of(u64::MAX / 3 * 2 + (1 << 40)), 2);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_entry_is_written_over_and_taken_out() {
        let mut bucket = Bucket::empty(layout(1, 2, 1));
        assert_eq!(bucket.put(1, b"a", alike), Displaced::Nothing);
        assert_eq!(bucket.put(2, b"b", alike), Displaced::Nothing);
        assert_eq!(bucket.put(1, b"c", alike), Displaced::Nothing);
        assert_eq!(bucket.get(1), Some(b"c".as_slice()));
        assert_eq!(bucket.get(2), Some(b"b".as_slice()));
        assert_eq!(bucket.get(3), None);

        assert!(bucket.remove(1));
        assert!(!bucket.remove(1));
        assert_eq!(bucket.get(1), None);
        assert_eq!(bucket.get(2), Some(b"b".as_slice()));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_one_not_written_to_the_longest_goes_first() {
        let mut bucket = Bucket::empty(layout(1, 3, 1));
        for fingerprint in [1, 2, 3, 1] {
            bucket.put(fingerprint, b"x", alike);
        }
        assert_eq!(bucket.put(4, b"x", alike), Displaced::Live);
        assert_eq!(bucket.get(2), None);
        for kept in [1, 3, 4] {
            assert!(bucket.get(kept).is_some(), "{kept}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_expendable_goes_before_what_is_older() {
        let mut bucket = Bucket::empty(layout(1, 3, 1));
        for (fingerprint, value) in [(1, b"x"), (3, b"e"), (2, b"e")] {
            bucket.put(fingerprint, value, alike);
        }
        let is_expendable = |value: &[u8]| u128::from(value != b"e");
        assert_eq!(bucket.put(4, b"x", is_expendable), Displaced::Expendable);
        assert_eq!(bucket.get(3), None, "the older of the two");
        assert_eq!(bucket.put(5, b"x", is_expendable), Displaced::Expendable);
        assert_eq!(bucket.get(2), None);
        assert_eq!(bucket.put(6, b"x", is_expendable), Displaced::Live);
        assert_eq!(bucket.get(1), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_lightest_goes_first_and_of_equals_the_oldest() {
        let mut bucket = Bucket::empty(layout(1, 3, 1));
        let weight = |value: &[u8]| u128::from(value[0]);
        for (fingerprint, value) in [(1, 9), (2, 5), (3, 5)] {
            bucket.put(fingerprint, &[value], weight);
        }
        assert_eq!(bucket.put(4, &[7], weight), Displaced::Live);
        assert_eq!(bucket.get(2), None, "the older of the two");
        assert_eq!(bucket.put(5, &[1], weight), Displaced::Live);
        assert_eq!(bucket.get(3), None);
        for kept in [1, 4, 5] {
            assert!(bucket.get(kept).is_some(), "{kept}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_bucket_of_another_geometry_is_empty() {
        let mut bucket = Bucket::empty(layout(4, 2, 1));
        bucket.put(1, b"a", alike);
        let stored = bucket.clone().into_bytes();
        assert_eq!(
            Bucket::read(layout(4, 2, 1), Some(stored.clone())),
            Ok(bucket)
        );
        for other in [layout(5, 2, 1), layout(4, 3, 1), layout(4, 2, 2)] {
            assert_eq!(
                Bucket::read(other, Some(stored.clone())),
                Ok(Bucket::empty(other))
            );
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_bucket_is_refused() {
        let layout = layout(4, 2, 1);
        let mut bucket = Bucket::empty(layout);
        bucket.put(1, b"a", alike);
        bucket.put(2, b"a", alike);
        let stored = bucket.into_bytes();
        assert_eq!(stored.len(), layout.bucket_size());
        for wrong in [
            Vec::new(),
            vec![FORMAT; HEAD - 1],
            stored[..stored.len() - 1].to_vec(),
            stored[..=HEAD].to_vec(),
            [&stored[..], &stored[HEAD..]].concat(),
        ] {
            let read = Bucket::read(layout, Some(wrong.clone()));
            assert!(read.is_err(), "{wrong:?}");
        }
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod properties {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::tests::layout;
    use super::*;

    proptest! {
        /// A bucket is a small map that forgets by one rule.
        #[test]
        fn a_bucket_does_as_its_model(
            ways in 1..5_u8,
            steps in prop::collection::vec((0..8_u64, any::<bool>(), 0..6_u8), 0..60),
        ) {
            let layout = layout(7, ways, 1);
            let mut bucket = Bucket::empty(layout);
            let mut model = BTreeMap::<u64, (u64, u8)>::new();
            let weight = |value: &[u8]| u128::from(value[0]);
            for (time, (key, removed, value)) in (0_u64..).zip(steps) {
                if removed {
                    prop_assert_eq!(bucket.remove(key), model.remove(&key).is_some());
                } else {
                    let mut wanted = Displaced::Nothing;
                    if !model.contains_key(&key) && model.len() == usize::from(ways) {
                        let (_, _, victim) = model
                            .iter()
                            .map(|(key, (time, value))| (*value, *time, *key))
                            .min()
                            .unwrap();
                        wanted = match model.remove(&victim) {
                            Some((_, 0)) => Displaced::Expendable,
                            _ => Displaced::Live,
                        };
                    }
                    model.insert(key, (time, value));
                    prop_assert_eq!(bucket.put(key, &[value], weight), wanted);
                }
                let stored = bucket.into_bytes();
                prop_assert!(stored.len() <= layout.bucket_size());
                bucket = Bucket::read(layout, Some(stored)).unwrap();
                for key in 0..8 {
                    let wanted = model.get(&key).map(|(_, value)| vec![*value]);
                    prop_assert_eq!(bucket.get(key).map(<[u8]>::to_vec), wanted);
                }
            }
        }

        #[test]
        fn any_bytes_are_a_bucket_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            headed in any::<bool>(),
            key in any::<u64>(),
        ) {
            let layout = layout(3, 2, 4);
            let mut stored = if headed { layout.head().to_vec() } else { Vec::new() };
            stored.extend(bytes);
            if let Ok(mut bucket) = Bucket::read(layout, Some(stored)) {
                bucket.put(key, &[1, 2, 3, 4], |_| 0);
                prop_assert_eq!(bucket.get(key), Some([1, 2, 3, 4].as_slice()));
                prop_assert!(bucket.remove(key));
                prop_assert!(bucket.into_bytes().len() <= layout.bucket_size());
            }
        }

        #[test]
        fn any_hash_has_a_bucket(hash in any::<u64>(), buckets in 1..=MAX_BUCKETS) {
            prop_assert!(layout(buckets, 1, 1).bucket_of(hash) < buckets);
        }
    }
}

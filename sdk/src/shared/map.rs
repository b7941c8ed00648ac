//! A table of bounded size, for keys that clients choose.

use std::fmt;
use std::hash::Hasher as _;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::time::SystemTime;

use siphasher::sip128::{Hasher128, SipHasher13};

use super::bucket::{Bucket, Displaced, Geometry, Layout};
use super::codec::{Malformed, exactly};
use super::error::SharedError;
use super::store::{self, Host, Store, TRIES};
use crate::random;

/// A value of a [`SharedMap`], which has the same number of bytes always.
pub trait MapValue: Sized {
    /// An array of bytes: `[u8; 16]`.
    type Bytes: Block;

    /// The value as bytes.
    fn to_bytes(&self) -> Self::Bytes;

    /// The value that these bytes are; `None` where they are none.
    fn from_bytes(bytes: Self::Bytes) -> Option<Self>;

    /// Whether the value says no more than its absence would, as a full token
    /// bucket does. Such entries go first where room is needed.
    fn is_expendable(&self, now: SystemTime) -> bool {
        let _ = now;
        false
    }

    /// How much would be lost with it, in any unit: where room is needed and nothing
    /// is expendable, the least goes first, and of equals the one not updated for the
    /// longest time.
    fn weight(&self) -> u128 {
        0
    }
}

/// An array of bytes.
pub trait Block: AsRef<[u8]> + for<'a> TryFrom<&'a [u8]> {
    /// How many.
    const SIZE: usize;
}

impl<const N: usize> Block for [u8; N] {
    const SIZE: usize = N;
}

macro_rules! numbers {
    ($($type:ty)*) => {$(
        impl MapValue for $type {
            type Bytes = [u8; size_of::<$type>()];

            fn to_bytes(&self) -> Self::Bytes {
                self.to_le_bytes()
            }

            fn from_bytes(bytes: Self::Bytes) -> Option<Self> {
                Some(Self::from_le_bytes(bytes))
            }
        }
    )*};
}

numbers!(u32 u64 i64 u128);

impl<const N: usize> MapValue for [u8; N] {
    type Bytes = Self;

    fn to_bytes(&self) -> Self {
        *self
    }

    fn from_bytes(bytes: Self) -> Option<Self> {
        Some(bytes)
    }
}

/// A map that all workers share, with room for a fixed number of entries,
/// whatever keys come.
///
/// A key belongs to one of the [`Geometry`]'s buckets, and a bucket is one value
/// of shared data with up to `ways` entries. A key that is new to a full bucket
/// takes the place of an entry that [is expendable](MapValue::is_expendable), or
/// else of the one that [weighs](MapValue::weight) the least, or of the one not
/// updated for the longest time.
///
/// **Memory.** Keys and values in shared data are never more bytes than
/// [`max_bytes`](Self::max_bytes),
///
/// ```text
/// buckets × (name + 5 + 8 + ways × (8 + size of a value)) + name + 20
/// ```
///
/// whatever number of distinct keys was seen, to which Envoy adds about 100
/// bytes a bucket for its own table. It is taken as buckets come into use. A
/// map of one name keeps what it took when it is configured smaller: shared
/// data cannot be removed.
///
/// **Keys.** Of a key only its keyed hash is kept (SipHash-1-3, 128 bits): 64
/// bits to choose the bucket by, and 64 as a fingerprint. The secret is random,
/// the same on all workers, and not known to clients, who so cannot choose keys
/// that collide. Two keys of one bucket are taken for one with a probability of
/// 2⁻⁶⁴: that a lookup meets another key's entry is no likelier than
/// `ways` × 2⁻⁶⁴, or 1 in 10¹⁸ with 16 ways.
///
/// **Another geometry.** Two configurations that use one name with other
/// geometries, or values of other sizes, at the same time (while the old one
/// still has connections) take each other's buckets for empty. Give them names
/// of their own if that matters.
///
/// **Cost.** A get is about 0.8 µs and an update about 1 µs: 1.2 times that of a
/// value of its own, with buckets of 8 entries of 24 bytes that are full.
pub struct SharedMap<V> {
    name: Box<[u8]>,
    layout: Layout,
    secret: [u8; 16],
    tries: NonZeroU32,
    value: PhantomData<fn() -> V>,
}

/// What came of an update of a map's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapUpdated<V> {
    /// What was written; `None` where the entry was left as it is.
    pub value: Option<V>,
    /// How often it was tried. Beyond 1, others were quicker that many times.
    pub tries: u32,
    /// Whether an entry had to go for it that was not expendable. Where that
    /// happens much, the map is too small for its keys.
    pub displaced: bool,
}

/// Behind a map's name: the secret's key, and each bucket's with its number.
const SECRET: &[u8] = b"#key";
const BUCKET: &[u8] = b"#";

impl<V: MapValue> SharedMap<V> {
    /// The map of this name, with its secret, which the first worker that asks
    /// makes. For `configure`: one to three host calls.
    pub fn open(name: impl AsRef<[u8]>, geometry: Geometry) -> Result<Self, SharedError> {
        Self::open_in(&Host, name.as_ref(), geometry, |secret| {
            random::fill(secret).map_err(|error| error.to_string())
        })
    }

    /// How often [`update`](Self::update) tries before it gives up, from 1 on.
    /// 64 where nothing is said.
    #[must_use]
    pub fn tries(mut self, tries: u32) -> Self {
        self.tries = NonZeroU32::new(tries).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// The value of a key. One host call.
    ///
    /// To be read keeps no entry from being displaced.
    pub fn get(&self, key: &[u8]) -> Result<Option<V>, SharedError> {
        self.get_in(&Host, key)
    }

    /// Changes the value of a key: gets the old one (`None` where there is none,
    /// or where it had to go) and gives the new one, or `None` to leave it as it
    /// is.
    ///
    /// No update is lost, as with [`SharedValue::update`](super::SharedValue::update);
    /// where others were quicker, `change` is called again. After
    /// [`tries`](Self::tries) times it gives up with [`SharedError::Contended`],
    /// and has written nothing. Other keys of the bucket count among the others.
    ///
    /// `now` is for [`MapValue::is_expendable`]. An entry that is left as it is
    /// does not count as updated: give back the old value to keep a client that
    /// is being refused from being forgotten.
    ///
    /// Two host calls a try; one where the entry is left as it is.
    pub fn update(
        &self,
        key: &[u8],
        now: SystemTime,
        change: impl FnMut(Option<V>) -> Option<V>,
    ) -> Result<MapUpdated<V>, SharedError> {
        self.update_in(&Host, key, now, change)
    }

    /// Takes a key's entry out. Whether there was one. Two host calls a try, one
    /// where there is none.
    ///
    /// What is [malformed](SharedError::Malformed) is so repaired: an entry goes,
    /// whatever its value; of a bucket that is none, everything.
    pub fn remove(&self, key: &[u8]) -> Result<bool, SharedError> {
        self.remove_in(&Host, key)
    }

    /// How large the map is.
    pub fn geometry(&self) -> Geometry {
        self.layout.geometry()
    }

    /// The most bytes that its keys and values in shared data ever have.
    pub fn max_bytes(&self) -> u64 {
        let long = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let name = long(self.name.len());
        let bucket = name
            .saturating_add(long(BUCKET.len()))
            .saturating_add(4)
            .saturating_add(long(self.layout.bucket_size()));
        bucket
            .saturating_mul(u64::from(self.geometry().buckets))
            .saturating_add(name)
            .saturating_add(long(SECRET.len()))
            .saturating_add(long(self.secret.len()))
    }

    fn open_in(
        store: &impl Store,
        name: &[u8],
        geometry: Geometry,
        fill: impl Fn(&mut [u8]) -> Result<(), String>,
    ) -> Result<Self, SharedError> {
        let text = || name.escape_ascii().to_string();
        let layout = Layout::new(geometry, V::Bytes::SIZE)
            .map_err(|why| SharedError::Geometry { name: text(), why })?;
        let key = [name, SECRET].concat();
        let secret = store::get_or_insert(store, &key, TRIES, || {
            let mut secret = [0; 16];
            fill(&mut secret).map_err(|why| SharedError::NoRandomness { name: text(), why })?;
            Ok(secret.to_vec())
        })?;
        Ok(Self {
            name: name.into(),
            layout,
            secret: exactly(&secret).map_err(|why| SharedError::malformed(&key, why))?,
            tries: TRIES,
            value: PhantomData,
        })
    }

    fn get_in(&self, store: &impl Store, key: &[u8]) -> Result<Option<V>, SharedError> {
        let (bucket_key, fingerprint) = self.place(key);
        let stored = store.get(&bucket_key)?.map(|(bytes, _)| bytes);
        let bucket = self.read(&bucket_key, stored)?;
        value(&bucket_key, &bucket, fingerprint)
    }

    fn update_in(
        &self,
        store: &impl Store,
        key: &[u8],
        now: SystemTime,
        mut change: impl FnMut(Option<V>) -> Option<V>,
    ) -> Result<MapUpdated<V>, SharedError> {
        let (bucket_key, fingerprint) = self.place(key);
        let ((value, displaced), tries) =
            store::update(store, &bucket_key, self.tries, |stored| {
                let mut bucket = self.read(&bucket_key, stored)?;
                let old = value(&bucket_key, &bucket, fingerprint)?;
                let Some(new) = change(old) else {
                    return Ok((None, (None, Displaced::Nothing)));
                };
                let bytes = new.to_bytes();
                let displaced = bucket.put(fingerprint, bytes.as_ref(), |value| {
                    match read::<V>(value) {
                        Some(value) if !value.is_expendable(now) => value.weight().max(1),
                        // What cannot be read is of no use to anyone.
                        _ => 0,
                    }
                });
                Ok((Some(bucket.into_bytes()), (Some(new), displaced)))
            })?;
        Ok(MapUpdated {
            value,
            tries,
            displaced: displaced == Displaced::Live,
        })
    }

    fn remove_in(&self, store: &impl Store, key: &[u8]) -> Result<bool, SharedError> {
        let (bucket_key, fingerprint) = self.place(key);
        let (removed, _) = store::update(store, &bucket_key, self.tries, |stored| {
            let Ok(mut bucket) = self.read(&bucket_key, stored) else {
                let empty = Bucket::empty(self.layout);
                return Ok((Some(empty.into_bytes()), true));
            };
            let removed = bucket.remove(fingerprint);
            Ok((removed.then(|| bucket.into_bytes()), removed))
        })?;
        Ok(removed)
    }

    /// The key of the bucket that a key belongs to, and its fingerprint there.
    fn place(&self, key: &[u8]) -> (Vec<u8>, u64) {
        let mut hasher = SipHasher13::new_with_key(&self.secret);
        hasher.write(key);
        let hash = hasher.finish128();
        let bucket = self.layout.bucket_of(hash.h1).to_le_bytes();
        ([&*self.name, BUCKET, &bucket].concat(), hash.h2)
    }

    fn read(&self, bucket_key: &[u8], stored: Option<Vec<u8>>) -> Result<Bucket, SharedError> {
        let bucket = Bucket::read(self.layout, stored);
        bucket.map_err(|why| SharedError::malformed(bucket_key, why))
    }
}

fn value<V: MapValue>(
    bucket_key: &[u8],
    bucket: &Bucket,
    fingerprint: u64,
) -> Result<Option<V>, SharedError> {
    match bucket.get(fingerprint) {
        None => Ok(None),
        Some(bytes) => read(bytes).map(Some).ok_or_else(|| {
            SharedError::malformed(bucket_key, Malformed::new("an entry that is no value"))
        }),
    }
}

fn read<V: MapValue>(bytes: &[u8]) -> Option<V> {
    V::from_bytes(V::Bytes::try_from(bytes).ok()?)
}

impl<V> fmt::Debug for SharedMap<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMap")
            .field("name", &self.name.escape_ascii().to_string())
            .field("geometry", &self.layout.geometry())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "tests")]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use wasm_bindgen_test::wasm_bindgen_test;

    use super::super::store::fake::Fake;
    use super::*;

    const SMALL: Geometry = Geometry {
        buckets: 16,
        ways: 4,
    };

    pub(super) fn open<V: MapValue>(store: &Fake, geometry: Geometry, byte: u8) -> SharedMap<V> {
        let fill = |secret: &mut [u8]| {
            secret.fill(byte);
            Ok(())
        };
        SharedMap::open_in(store, b"map", geometry, fill).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    pub(super) fn add(map: &SharedMap<u64>, store: &Fake, key: &[u8]) -> u64 {
        let updated = map.update_in(store, key, at(0), |old| Some(old.unwrap_or(0) + 1));
        updated.unwrap().value.unwrap()
    }

    /// Counts in the value of a key, which says whose it is: that.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn touch(map: &SharedMap<u128>, store: &Fake, key: u64) -> u64 {
        let updated = map.update_in(store, &key.to_le_bytes(), at(0), |old| {
            Some(old.unwrap_or(u128::from(key) << 64) + 1)
        });
        u64::try_from(updated.unwrap().value.unwrap() >> 64).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_value_is_changed_read_and_removed() {
        let store = Fake::default();
        let map = open::<u64>(&store, SMALL, 1);

        assert_eq!(map.get_in(&store, b"a"), Ok(None));
        assert_eq!(add(&map, &store, b"a"), 1);
        assert_eq!(add(&map, &store, b"a"), 2);
        assert_eq!(add(&map, &store, b"b"), 1);
        assert_eq!(map.get_in(&store, b"a"), Ok(Some(2)));
        assert_eq!(map.remove_in(&store, b"a"), Ok(true));
        assert_eq!(map.remove_in(&store, b"a"), Ok(false));
        assert_eq!(map.get_in(&store, b"a"), Ok(None));
        assert_eq!(map.get_in(&store, b"b"), Ok(Some(1)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn workers_use_the_secret_of_the_first() {
        let store = Fake::default();
        let one = open::<u64>(&store, SMALL, 1);
        let two = open::<u64>(&store, SMALL, 2);

        assert_eq!(add(&one, &store, b"a"), 1);
        assert_eq!(add(&two, &store, b"a"), 2);

        let elsewhere = open::<u64>(&Fake::default(), SMALL, 2);
        assert_ne!(one.place(b"a").1, elsewhere.place(b"a").1);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_map_without_a_secret_is_none() {
        let store = Fake::default();
        let open = |name: &[u8], geometry, filled: Result<(), String>| {
            SharedMap::<u64>::open_in(&store, name, geometry, |_| filled.clone())
        };
        let no_randomness = open(b"map", SMALL, Err("none".to_owned())).unwrap_err();
        assert_eq!(no_randomness.to_string(), "shared `map`: none");
        store.put(b"map#key", b"short").unwrap();
        let malformed = open(b"map", SMALL, Ok(())).unwrap_err();
        assert_eq!(
            malformed.to_string(),
            "shared `map#key`: 5 bytes where 16 belong"
        );
        let geometry = Geometry {
            buckets: 0,
            ways: 1,
        };
        let refused = open(b"other", geometry, Ok(())).unwrap_err();
        assert!(refused.to_string().contains("buckets"), "{refused}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn any_number_of_keys_stays_within_the_bytes_stated() {
        let store = Fake::default();
        let map = open::<u64>(&store, SMALL, 3);

        let mut displaced = 0_u64;
        for number in 0_u64..10_000 {
            let updated = map.update_in(&store, &number.to_le_bytes(), at(0), |old| old);
            assert_eq!(updated.unwrap().value, None, "nothing to leave");
            let updated = map
                .update_in(&store, &number.to_le_bytes(), at(0), |_| Some(number))
                .unwrap();
            displaced += u64::from(updated.displaced);
            assert!(u64::try_from(store.bytes()).unwrap() <= map.max_bytes());
        }

        // Full: the bound is exact.
        assert_eq!(u64::try_from(store.bytes()).unwrap(), map.max_bytes());
        assert_eq!(map.max_bytes(), 16 * (3 + 5 + 8 + 4 * (8 + 8)) + 3 + 20);
        assert_eq!(displaced, 10_000 - 16 * 4);
        assert_eq!(store.keys().len(), 16 + 1);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_in_use_outlives_any_number_of_others() {
        let store = Fake::default();
        let map = open::<u64>(&store, SMALL, 4);
        for number in 0_u64..5_000 {
            add(&map, &store, &number.to_le_bytes());
            if number % 3 == 0 {
                let counted = add(&map, &store, b"hot");
                assert_eq!(counted, number / 3 + 1);
            }
        }
    }

    /// Expendable from its second on.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Until(u64);

    impl MapValue for Until {
        type Bytes = [u8; 8];

        fn to_bytes(&self) -> [u8; 8] {
            self.0.to_le_bytes()
        }

        fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
            let second = u64::from_le_bytes(bytes);
            (second != u64::MAX).then_some(Self(second))
        }

        fn is_expendable(&self, now: SystemTime) -> bool {
            now >= at(self.0)
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_its_value_says_is_expendable_goes_first() {
        let store = Fake::default();
        let geometry = Geometry {
            buckets: 1,
            ways: 2,
        };
        let map = open::<Until>(&store, geometry, 5);
        let set = |key: &[u8], now, until| {
            let updated = map.update_in(&store, key, at(now), |_| Some(Until(until)));
            updated.unwrap().displaced
        };
        assert!(!set(b"long", 1, 100));
        assert!(!set(b"short", 2, 10));
        assert!(!set(b"new", 10, 100));
        assert_eq!(map.get_in(&store, b"short"), Ok(None));
        assert!(set(b"newer", 11, 100), "both are live now");
        assert_eq!(map.get_in(&store, b"long"), Ok(None));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_entry_that_is_no_value_is_an_error_until_it_is_removed() {
        let store = Fake::default();
        let geometry = Geometry {
            buckets: 1,
            ways: 2,
        };
        let numbers = open::<u64>(&store, geometry, 6);
        let map = open::<Until>(&store, geometry, 6);
        numbers
            .update_in(&store, b"a", at(1), |_| Some(u64::MAX))
            .unwrap();

        let error = map.get_in(&store, b"a").unwrap_err();
        assert!(matches!(error, SharedError::Malformed { .. }), "{error}");
        let updated = map.update_in(&store, b"a", at(1), |_| Some(Until(1)));
        assert_eq!(updated.unwrap_err(), error);
        assert_eq!(map.remove_in(&store, b"a"), Ok(true));
        assert_eq!(map.get_in(&store, b"a"), Ok(None));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_bucket_that_is_none_is_an_error_until_a_key_of_it_is_removed() {
        let store = Fake::default();
        let map = open::<u64>(&store, SMALL, 7);
        let (bucket_key, _) = map.place(b"a");
        add(&map, &store, b"a");
        let mut stored = store.stored(&bucket_key).unwrap();
        stored.pop();
        store.put(&bucket_key, &stored).unwrap();

        let error = map.get_in(&store, b"a").unwrap_err();
        assert!(matches!(error, SharedError::Malformed { .. }), "{error}");
        assert!(map.update_in(&store, b"a", at(1), |old| old).is_err());
        assert_eq!(map.remove_in(&store, b"a"), Ok(true));
        assert_eq!(add(&map, &store, b"a"), 1);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_secret_is_not_shown() {
        let map = open::<u64>(&Fake::default(), SMALL, 8);
        let shown = format!("{map:?}");
        assert_eq!(
            shown,
            "SharedMap { name: \"map\", geometry: Geometry { buckets: 16, ways: 4 }, .. }"
        );
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
#[expect(clippy::arithmetic_side_effects, reason = "tests")]
mod properties {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::store::fake::Fake;
    use super::tests::{add, open, touch};
    use super::*;

    proptest! {
        /// An entry is its key's and never another's, also where another worker
        /// updates the same bucket between each read and write.
        #[test]
        fn entries_are_never_anothers(
            keys in prop::collection::vec(0..40_u64, 1..120),
            rival in prop::collection::vec(0..40_u64, 0..60),
            ways in 1..6_u8,
        ) {
            let store = Fake::default();
            let geometry = Geometry { buckets: 3, ways };
            let map = open::<u128>(&store, geometry, 9);
            let rivals = open::<u128>(&store, geometry, 9);
            let mut schedule = rival.into_iter();
            store.after_each_read(move |store| {
                if let Some(key) = schedule.next() {
                    assert_eq!(touch(&rivals, store, key), key);
                }
            });
            for key in keys {
                prop_assert_eq!(touch(&map, &store, key), key);
                prop_assert!(u64::try_from(store.bytes()).unwrap() <= map.max_bytes());
            }
        }

        #[test]
        fn nothing_is_forgotten_where_there_is_room(
            keys in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..30),
        ) {
            let store = Fake::default();
            let map = open::<u64>(&store, Geometry { buckets: 4, ways: 64 }, 10);
            let mut model = HashMap::<Vec<u8>, u64>::new();
            for key in &keys {
                let wanted = model.entry(key.clone()).or_default();
                *wanted += 1;
                prop_assert_eq!(add(&map, &store, key), *wanted);
            }
            for (key, wanted) in model {
                prop_assert_eq!(map.get_in(&store, &key).unwrap(), Some(wanted));
            }
        }
    }
}

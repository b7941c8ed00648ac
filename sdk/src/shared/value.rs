//! One value.

use std::marker::PhantomData;
use std::num::NonZeroU32;

use super::codec::Shared;
use super::error::SharedError;
use super::store::{self, Host, Store, TRIES};

/// A value that all workers share, under a name.
///
/// Making one costs nothing and asks the host nothing: keep it in the filter.
/// There is no way to remove a value (see [the module](super)); share an
/// `Option` as [`Json`](super::Json) where it has to be able to go.
#[derive(Debug, Clone)]
pub struct SharedValue<T> {
    key: Box<[u8]>,
    tries: NonZeroU32,
    value: PhantomData<fn() -> T>,
}

/// What came of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Updated<T> {
    /// What was written; `None` where the value was left as it is.
    pub value: Option<T>,
    /// How often it was tried. Beyond 1, others were quicker that many times.
    pub tries: u32,
}

impl<T: Shared> SharedValue<T> {
    /// The value of this name. Filters of one `vm_id` share their names: begin
    /// it with the filter's.
    pub fn new(name: impl AsRef<[u8]>) -> Self {
        Self {
            key: name.as_ref().into(),
            tries: TRIES,
            value: PhantomData,
        }
    }

    /// How often [`update`](Self::update) tries before it gives up, from 1 on.
    /// 64 where nothing is said.
    #[must_use]
    pub fn tries(mut self, tries: u32) -> Self {
        self.tries = NonZeroU32::new(tries).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Reads the value; `None` where nobody has set it. One host call, about
    /// 0.7 µs.
    pub fn get(&self) -> Result<Option<T>, SharedError> {
        self.get_in(&Host)
    }

    /// Sets the value, whatever it was: what others write at the same time is
    /// lost. One host call, about 0.17 µs.
    pub fn set(&self, value: &T) -> Result<(), SharedError> {
        let bytes = self.encode(value)?;
        Ok(Host.put(&self.key, &bytes)?)
    }

    /// Changes the value: gets the old one (`None` where nobody has set it) and
    /// gives the new one, or `None` to leave it as it is.
    ///
    /// No update is lost, not even of several first ones at once: where another
    /// worker has written between the read and the write, `change` is called
    /// again with what is there now. After [`tries`](Self::tries) times it gives
    /// up with [`SharedError::Contended`], and has written nothing.
    ///
    /// Two host calls a try, about 0.82 µs; one where the value is left as it is.
    pub fn update(
        &self,
        change: impl FnMut(Option<T>) -> Option<T>,
    ) -> Result<Updated<T>, SharedError> {
        self.update_in(&Host, change)
    }

    /// Reads the value, which is `make`'s if nobody has set one: all workers get
    /// the same. One host call where it is there, two where it is made.
    pub fn get_or_insert_with(&self, mut make: impl FnMut() -> T) -> Result<T, SharedError> {
        let bytes = store::get_or_insert(&Host, &self.key, self.tries, || self.encode(&make()))?;
        self.decode(bytes)
    }

    pub(super) fn get_in(&self, store: &impl Store) -> Result<Option<T>, SharedError> {
        match store.get(&self.key)? {
            Some((bytes, _)) => self.decode(bytes).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn update_in(
        &self,
        store: &impl Store,
        mut change: impl FnMut(Option<T>) -> Option<T>,
    ) -> Result<Updated<T>, SharedError> {
        let (value, tries) = store::update(store, &self.key, self.tries, |old| {
            let old = old.map(|bytes| self.decode(bytes)).transpose()?;
            let new = change(old);
            let bytes = new.as_ref().map(|new| self.encode(new)).transpose()?;
            Ok((bytes, new))
        })?;
        Ok(Updated { value, tries })
    }

    fn encode(&self, value: &T) -> Result<Vec<u8>, SharedError> {
        let encoded = value.encode();
        encoded.map_err(|why| SharedError::malformed(&self.key, why))
    }

    fn decode(&self, bytes: Vec<u8>) -> Result<T, SharedError> {
        T::decode(bytes).map_err(|why| SharedError::malformed(&self.key, why))
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::super::store::fake::Fake;
    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_malformed_value_is_an_error_and_stays_as_it_is() {
        let store = Fake::default();
        store.put(b"count", b"seven").unwrap();
        let count = SharedValue::<u64>::new("count");

        let read = count.get_in(&store).unwrap_err();
        let updated = count.update_in(&store, |_| Some(1)).unwrap_err();

        assert_eq!(read.to_string(), "shared `count`: 5 bytes where 8 belong");
        assert_eq!(updated, read);
        assert_eq!(store.stored(b"count").unwrap(), b"seven");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_tries_are_one_try() {
        let store = Fake::default();
        let count = SharedValue::<u64>::new("count").tries(0);
        let updated = count.update_in(&store, |old| Some(old.unwrap_or(0) + 1));
        assert_eq!(
            updated,
            Ok(Updated {
                value: Some(1),
                tries: 1
            })
        );
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
#[expect(clippy::arithmetic_side_effects, reason = "tests")]
mod properties {
    use proptest::prelude::*;

    use super::super::store::fake::Fake;
    use super::*;

    proptest! {
        /// Whatever of the rivals' updates falls into this one's, the sum is
        /// that of all that succeeded.
        #[test]
        fn the_sum_is_exact(rivals in prop::collection::vec(0..4_u8, 1..60), tries in 1..4_u32) {
            let store = Fake::default();
            let count = SharedValue::<u64>::new("count").tries(tries);
            let mut schedule = rivals.clone().into_iter();
            let rival = SharedValue::<u64>::new("count");
            store.after_each_read(move |store| {
                for _ in 0..schedule.next().unwrap_or(0) {
                    rival.update_in(store, |old| Some(old.unwrap_or(0) + 1)).unwrap();
                }
            });
            let (mut own, mut reads) = (0, 0_usize);
            while reads < rivals.len() {
                match count.update_in(&store, |old| Some(old.unwrap_or(0) + 1)) {
                    Ok(updated) => {
                        own += 1;
                        reads += usize::try_from(updated.tries).unwrap();
                    }
                    Err(SharedError::Contended { tries, .. }) => {
                        reads += usize::try_from(tries).unwrap();
                    }
                    Err(error) => prop_assert!(false, "{error}"),
                }
            }
            let others: u64 = rivals.iter().copied().map(u64::from).sum();
            prop_assert_eq!(count.get_in(&store).unwrap(), Some(own + others));
        }
    }
}

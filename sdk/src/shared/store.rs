//! Shared data as the host keeps it, and the one way to change it that loses
//! nothing.

use std::num::NonZeroU32;

use super::error::SharedError;
use crate::abi;
use crate::error::{HostError, Status};

/// Tries of an update before it gives up.
///
/// A try fails only where another worker's succeeded, so with `n` workers that
/// do nothing else, to fail this often takes that many updates by the others
/// while this one is between its read and its write, time after time.
pub(super) const TRIES: NonZeroU32 = NonZeroU32::new(64).unwrap();

/// A value that is there, and the number of its version.
pub(super) type Versioned = (Vec<u8>, NonZeroU32);

/// Keys and values with versions: the host, or what stands in for it in tests.
pub(super) trait Store {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Versioned>, HostError>;

    /// Sets the value of a key that has this version, or of a key that is not
    /// there. Whether it was set.
    fn set(&self, key: &[u8], value: &[u8], version: NonZeroU32) -> Result<bool, HostError>;

    /// Sets the value of a key, whatever is there.
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), HostError>;
}

/// The version that a key is set by that was not there when it was read.
///
/// What the ABI calls `cas` has no number for "not there": 0 stands for
/// "whatever it is", with which the second of two workers that both saw nothing
/// overwrites what the first one wrote. Envoy (`SharedData::set` of
/// proxy-wasm-cpp-host) compares the number only where the key exists, and
/// inserts where it does not, whatever the number. So a number that no value
/// has inserts a missing key and leaves alone one that came into being
/// meanwhile, which is what is wanted.
///
/// Versions are counted up from 1, over all keys of the process: this one is in
/// use only for the 4,294,967,295th write of shared data since Envoy began, and
/// does harm only where that write is the very one that creates the key between
/// another worker's read and write of it.
///
/// A host that refuses to insert by a number has each such try fail, so that an
/// update of a missing key ends as contended there, and loses nothing.
pub(super) const NOT_THERE: NonZeroU32 = NonZeroU32::MAX;

/// The host's shared data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Host;

impl Store for Host {
    fn get(&self, key: &[u8]) -> Result<Option<Versioned>, HostError> {
        let Some((value, version)) = abi::shared_data(key)? else {
            return Ok(None);
        };
        // A write with the version 0 would overwrite anything.
        match NonZeroU32::new(version) {
            Some(version) => Ok(Some((value, version))),
            None => Err(HostError::malformed("proxy_get_shared_data")),
        }
    }

    fn set(&self, key: &[u8], value: &[u8], version: NonZeroU32) -> Result<bool, HostError> {
        abi::set_shared_data(key, value, version.get())
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), HostError> {
        if abi::set_shared_data(key, value, 0)? {
            return Ok(());
        }
        // There is nothing that it could have been compared with.
        let mismatch = Status::CAS_MISMATCH;
        Err(HostError::status("proxy_set_shared_data", mismatch))
    }
}

/// Reads a value, has it changed, and writes what came of it if nobody wrote
/// meanwhile; else does all of that again, up to so many times.
///
/// `change` gets the bytes that are there, and gives those that are to be
/// there, or `None` to leave them as they are. With its answer comes the number
/// of tries. Two host calls a try.
pub(super) fn update<R>(
    store: &impl Store,
    key: &[u8],
    tries: NonZeroU32,
    mut change: impl FnMut(Option<Vec<u8>>) -> Result<(Option<Vec<u8>>, R), SharedError>,
) -> Result<(R, u32), SharedError> {
    for tried in 1..=tries.get() {
        let (old, version) = match store.get(key)? {
            Some((old, version)) => (Some(old), version),
            None => (None, NOT_THERE),
        };
        let (new, answer) = change(old)?;
        let done = match new {
            Some(new) => store.set(key, &new, version)?,
            None => true,
        };
        if done {
            return Ok((answer, tried));
        }
    }
    Err(SharedError::contended(key, tries.get()))
}

/// The value of a key, which is made if it is not there. Whoever asks, on
/// whatever worker, gets the same one.
pub(super) fn get_or_insert(
    store: &impl Store,
    key: &[u8],
    tries: NonZeroU32,
    mut make: impl FnMut() -> Result<Vec<u8>, SharedError>,
) -> Result<Vec<u8>, SharedError> {
    let (value, _) = update(store, key, tries, |old| match old {
        Some(old) => Ok((None, old)),
        None => make().map(|new| (Some(new.clone()), new)),
    })?;
    Ok(value)
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "tests")]
pub(super) mod fake {
    //! Shared data in memory, with others that write between two calls.

    use std::cell::{Cell, RefCell};
    use std::collections::HashMap;

    use super::*;

    type Rival = Box<dyn FnMut(&Fake)>;

    /// Does what Envoy's `SharedData` does.
    #[derive(Default)]
    pub(in crate::shared) struct Fake {
        values: RefCell<HashMap<Vec<u8>, Versioned>>,
        last: Cell<u32>,
        rival: RefCell<Option<Rival>>,
        pub(in crate::shared) gets: Cell<u32>,
        pub(in crate::shared) sets: Cell<u32>,
    }

    impl Fake {
        /// What happens after each read, before whoever read can write.
        pub(in crate::shared) fn after_each_read(&self, rival: impl FnMut(&Self) + 'static) {
            *self.rival.borrow_mut() = Some(Box::new(rival));
        }

        pub(in crate::shared) fn stored(&self, key: &[u8]) -> Option<Vec<u8>> {
            let values = self.values.borrow();
            values.get(key).map(|(value, _)| value.clone())
        }

        pub(in crate::shared) fn keys(&self) -> Vec<Vec<u8>> {
            self.values.borrow().keys().cloned().collect()
        }

        /// Key and value bytes of all that is stored.
        pub(in crate::shared) fn bytes(&self) -> usize {
            let values = self.values.borrow();
            values
                .iter()
                .map(|(key, (value, _))| key.len() + value.len())
                .sum()
        }
    }

    impl Store for Fake {
        fn get(&self, key: &[u8]) -> Result<Option<Versioned>, HostError> {
            self.gets.set(self.gets.get() + 1);
            let found = self.values.borrow().get(key).cloned();
            let rival = self.rival.borrow_mut().take();
            if let Some(mut rival) = rival {
                rival(self);
                *self.rival.borrow_mut() = Some(rival);
            }
            Ok(found)
        }

        fn set(&self, key: &[u8], value: &[u8], version: NonZeroU32) -> Result<bool, HostError> {
            self.sets.set(self.sets.get() + 1);
            if let Some((_, current)) = self.values.borrow().get(key)
                && *current != version
            {
                return Ok(false);
            }
            self.put(key, value)?;
            Ok(true)
        }

        fn put(&self, key: &[u8], value: &[u8]) -> Result<(), HostError> {
            self.last.set(self.last.get() + 1);
            let version = NonZeroU32::new(self.last.get()).unwrap();
            let mut values = self.values.borrow_mut();
            values.insert(key.to_vec(), (value.to_vec(), version));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use wasm_bindgen_test::wasm_bindgen_test;

    use super::fake::Fake;
    use super::*;

    fn tries(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    /// Adds a letter.
    fn add(store: &impl Store, letter: u8) -> Result<u32, SharedError> {
        let ((), tries) = update(store, b"word", TRIES, |old| {
            let mut word = old.unwrap_or_default();
            word.push(letter);
            Ok((Some(word), ()))
        })?;
        Ok(tries)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_undisturbed_update_is_one_read_and_one_write() {
        let store = Fake::default();

        assert_eq!(add(&store, b'a'), Ok(1));
        assert_eq!(add(&store, b'b'), Ok(1));

        assert_eq!(store.stored(b"word").unwrap(), b"ab");
        assert_eq!((store.gets.get(), store.sets.get()), (2, 2));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_update_that_was_overtaken_is_made_again_on_what_is_there_then() {
        let store = Fake::default();
        add(&store, b'a').unwrap();
        let mut left = 3;
        store.after_each_read(move |store| {
            if left > 0 {
                left -= 1;
                let word = [store.stored(b"word").unwrap(), vec![b'r']].concat();
                store.put(b"word", &word).unwrap();
            }
        });

        assert_eq!(add(&store, b'b'), Ok(4));

        assert_eq!(store.stored(b"word").unwrap(), b"arrrb");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn of_two_that_insert_at_once_neither_is_lost() {
        let store = Fake::default();
        let mut first = true;
        store.after_each_read(move |store| {
            if std::mem::take(&mut first) {
                add(store, b'r').unwrap();
            }
        });

        assert_eq!(add(&store, b'b'), Ok(2));

        assert_eq!(store.stored(b"word").unwrap(), b"rb");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn gives_up_after_the_tries_it_has_and_says_so() {
        let store = Fake::default();
        let number = Rc::new(Cell::new(0_u8));
        let counted = Rc::clone(&number);
        store.after_each_read(move |store| {
            counted.set(counted.get() + 1);
            store.put(b"word", &[counted.get()]).unwrap();
        });

        let given_up = update(&store, b"word", tries(5), |_| Ok((Some(vec![]), ())));

        assert_eq!(
            given_up,
            Err(SharedError::Contended {
                name: "word".to_owned(),
                tries: 5
            })
        );
        assert_eq!(number.get(), 5);
        assert_eq!(store.stored(b"word").unwrap(), [5], "it wrote nothing");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_left_alone_is_not_written() {
        let store = Fake::default();
        let (seen, tries) = update(&store, b"word", TRIES, |old| Ok((None, old))).unwrap();
        assert_eq!((seen, tries), (None, 1));
        assert_eq!(store.sets.get(), 0);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn all_who_make_a_missing_value_get_the_one_that_was_first() {
        let store = Fake::default();
        let mut first = true;
        store.after_each_read(move |store| {
            if std::mem::take(&mut first) {
                let rivals = get_or_insert(store, b"secret", TRIES, || Ok(b"rival".to_vec()));
                assert_eq!(rivals.unwrap(), b"rival");
            }
        });

        let mine = get_or_insert(&store, b"secret", TRIES, || Ok(b"mine".to_vec())).unwrap();

        assert_eq!(mine, b"rival");
    }
}

//! Tokens that were accepted before.

use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroUsize;
use std::rc::Rc;

use legation::{Result, random};
use lru::LruCache;
use siphasher::sip128::SipHasher24;

use crate::accepted::Accepted;

/// What a token is remembered by: 128 bits of a keyed hash. Without the key
/// nobody makes two tokens of one hash, and no token is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    high: u64,
    low: u64,
}

impl std::hash::Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // One half places it in the table: it is as good as random already.
        state.write_u64(self.low);
    }
}

/// The key of this VM's fingerprints.
#[derive(Clone)]
pub(crate) struct Fingerprints([u8; 16]);

impl Fingerprints {
    /// With a key of its own. Fails where the host has no randomness.
    pub(crate) fn new() -> Result<Self> {
        let mut key = [0; 16];
        random::fill(&mut key)?;
        Ok(Self(key))
    }

    pub(crate) fn of(&self, token: &[u8]) -> Fingerprint {
        let hash = SipHasher24::new_with_key(&self.0).hash(token);
        Fingerprint {
            high: hash.h1,
            low: hash.h2,
        }
    }
}

impl fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprints(…)")
    }
}

/// The hash of a fingerprint: its own half.
#[derive(Debug, Default)]
struct Half(u64);

impl Hasher for Half {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, half: u64) {
        self.0 = half;
    }
}

/// The tokens of one provider that were accepted, for as long as its keys stay
/// as they are. What was used least recently is forgotten first.
pub(crate) struct TokenCache {
    tokens: Option<LruCache<Fingerprint, Rc<Accepted>, BuildHasherDefault<Half>>>,
    max_token_size: usize,
    /// The keys by which they were accepted.
    generation: u64,
}

impl TokenCache {
    /// For so many tokens, of at most this length. Nothing is allocated ahead.
    pub(crate) fn new(size: usize, max_token_size: usize) -> Self {
        let tokens = NonZeroUsize::new(size)
            .map(|size| LruCache::with_hasher(size, BuildHasherDefault::default()));
        Self {
            tokens,
            max_token_size,
            generation: 0,
        }
    }

    /// Whether it holds anything, ever.
    pub(crate) fn is_on(&self) -> bool {
        self.tokens.is_some()
    }

    /// A token that was accepted by these keys.
    pub(crate) fn get(&mut self, token: Fingerprint, generation: u64) -> Option<&Rc<Accepted>> {
        if self.generation != generation {
            self.forget(generation);
            return None;
        }
        self.tokens.as_mut()?.get(&token)
    }

    /// The same, without its being used.
    pub(crate) fn peek(&self, token: Fingerprint, generation: u64) -> Option<&Rc<Accepted>> {
        if self.generation != generation {
            return None;
        }
        self.tokens.as_ref()?.peek(&token)
    }

    /// Remembers a token of this length that was accepted by these keys.
    pub(crate) fn insert(
        &mut self,
        token: Fingerprint,
        length: usize,
        accepted: &Rc<Accepted>,
        generation: u64,
    ) {
        if length > self.max_token_size {
            return;
        }
        if self.generation != generation {
            self.forget(generation);
        }
        if let Some(tokens) = &mut self.tokens {
            tokens.put(token, Rc::clone(accepted));
        }
    }

    /// Forgets a token.
    pub(crate) fn remove(&mut self, token: Fingerprint) {
        if let Some(tokens) = &mut self.tokens {
            tokens.pop(&token);
        }
    }

    fn forget(&mut self, generation: u64) {
        if let Some(tokens) = &mut self.tokens {
            tokens.clear();
        }
        self.generation = generation;
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.tokens.as_ref().map(LruCache::len);
        f.debug_struct("TokenCache")
            .field("tokens", &tokens)
            .finish_non_exhaustive()
    }
}

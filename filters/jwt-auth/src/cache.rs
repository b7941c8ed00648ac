//! Tokens that were accepted before.

use std::fmt;
use std::num::NonZeroUsize;
use std::rc::Rc;

use legation::fingerprint::{Fingerprint, FingerprintState};
use lru::LruCache;

use crate::accepted::Accepted;

/// The tokens of one provider that were accepted, for as long as its keys stay
/// as they are. What was used least recently is forgotten first.
pub(crate) struct TokenCache {
    tokens: Option<LruCache<Fingerprint, Rc<Accepted>, FingerprintState>>,
    max_token_size: usize,
    /// The keys by which they were accepted.
    generation: u64,
}

impl TokenCache {
    /// For so many tokens, of at most this length. The room for them is there from the
    /// beginning, that for what they say is not.
    pub(crate) fn new(size: usize, max_token_size: usize) -> Self {
        let tokens = NonZeroUsize::new(size)
            .map(|size| LruCache::with_hasher(size, FingerprintState::default()));
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

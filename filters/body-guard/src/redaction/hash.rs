//! What stands for a value that must not pass, and is the same for equal ones.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Hashes with a secret (HMAC-SHA-256, RFC 2104). Without the secret nobody finds out by trying what
/// was hashed, however few values there are: cards, telephone numbers.
#[derive(Clone)]
pub struct Hasher {
    /// With the secret, and nothing after it. `None` for a secret that no hash takes: there is none.
    begun: Option<Hmac<Sha256>>,
    digits: usize,
}

/// A value of which some is hashed.
#[derive(Clone)]
pub(crate) struct Hash {
    begun: Option<Hmac<Sha256>>,
    digits: usize,
}

impl Hasher {
    /// With this secret, and so many hexadecimal digits of the hash: 64 are all.
    pub fn new(secret: &str, digits: usize) -> Self {
        Self {
            begun: Hmac::new_from_slice(secret.as_bytes()).ok(),
            digits,
        }
    }

    /// Begins a value.
    pub(crate) fn begin(&self) -> Hash {
        Hash {
            begun: self.begun.clone(),
            digits: self.digits,
        }
    }

    /// The hash of a whole value.
    pub fn of(&self, text: &str) -> String {
        let mut hash = self.begin();
        hash.update(text.as_bytes());
        hash.finish()
    }
}

impl Hash {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if let Some(begun) = &mut self.begun {
            begun.update(bytes);
        }
    }

    /// The value is over: its hash, in hexadecimal.
    pub(crate) fn finish(self) -> String {
        let Some(begun) = self.begun else {
            return String::new();
        };
        let mut text = format!("{:x}", begun.finalize().into_bytes());
        text.truncate(self.digits);
        text
    }
}

/// Without the secret.
impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hash").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn hashes_as_rfc_4231_has_them() {
        let text = "what do ya want for nothing?";
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        for digits in [64, 32, 16] {
            let hasher = Hasher::new("Jefe", digits);
            let expected = expected.get(..digits).unwrap();
            assert_eq!(hasher.of(text), expected);
            let mut hash = hasher.begin();
            text.bytes().for_each(|byte| hash.update(&[byte]));
            assert_eq!(hash.finish(), expected);
        }
        assert_eq!(format!("{:?}", Hasher::new("s3cret", 32)), "Hasher { .. }");
    }
}

//! Short stand-ins for what is not to be kept itself: tokens, and keys that clients
//! choose.

use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use siphasher::sip128::SipHasher24;

use crate::error::Result;
use crate::random;

/// What a text is remembered by: 128 bits of a keyed hash. Without the key nobody
/// makes two texts of one hash, nor the text of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    high: u64,
    low: u64,
}

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // One half places it in the table: it is as good as random already.
        state.write_u64(self.low);
    }
}

/// Makes the fingerprints of one VM, with a key of its own (SipHash-2-4).
///
/// ```
/// # fn example() -> legation::Result<()> {
/// use legation::fingerprint::Fingerprints;
///
/// let fingerprints = Fingerprints::new()?;
/// assert_eq!(fingerprints.of(b"a"), fingerprints.of(b"a"));
/// assert_ne!(fingerprints.of(b"a"), fingerprints.of(b"b"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Fingerprints([u8; 16]);

impl Fingerprints {
    /// With a key of its own. Fails where the host has no randomness.
    pub fn new() -> Result<Self> {
        let mut key = [0; 16];
        random::fill(&mut key)?;
        Ok(Self(key))
    }

    /// The fingerprint of a text.
    pub fn of(&self, text: &[u8]) -> Fingerprint {
        let hash = SipHasher24::new_with_key(&self.0).hash(text);
        Fingerprint {
            high: hash.h1,
            low: hash.h2,
        }
    }
}

/// Without the key.
impl fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprints(…)")
    }
}

/// For tables whose keys are fingerprints: they are not hashed again.
pub type FingerprintState = BuildHasherDefault<Half>;

/// The hash of a fingerprint: its own half.
#[derive(Debug, Clone, Copy, Default)]
pub struct Half(u64);

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

//! Numbers used once.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use legation::{Result, random};

/// 144 bits: 16 more than CSP3 asks for (section 7.1), so that base64 ends without padding.
const BYTES: usize = 18;
const LETTERS: usize = BYTES / 3 * 4;

/// A response's nonce, in the alphabet that needs no escape in a URL, a script or an attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nonce([u8; LETTERS]);

impl Nonce {
    /// Draws one.
    pub(crate) fn draw() -> Result<Self> {
        let mut bytes = [0; BYTES];
        random::fill(&mut bytes)?;
        let mut letters = [0; LETTERS];
        BASE64_URL_SAFE_NO_PAD
            .encode_slice(bytes, &mut letters)
            .map_err(|_| legation::Error::other("a nonce of the wrong length"))?;
        Ok(Self(letters))
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

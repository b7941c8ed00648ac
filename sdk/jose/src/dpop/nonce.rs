//! Nonces that the server gives (RFC 9449, section 9).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac as _};
use legation::random;
use legation::shared::{Malformed, SharedError, SharedValue};
use sha2::{Digest as _, Sha256};

use crate::base64url;

/// Nonces that need no memory: the number of a span of time, and a MAC of it by a
/// secret that all workers know. A nonce is good for the span in which it was
/// given and the one after.
#[derive(Clone)]
pub struct Nonces {
    /// HMAC-SHA-256 with the secret in it, and what it is used for.
    mac: Hmac<Sha256>,
    span: Duration,
}

/// 128 bits: what is guessed is good for minutes.
const MAC_LENGTH: usize = 16;
const PURPOSE: &[u8] = b"legation DPoP nonce\0";

/// What is made of a `DPoP-Nonce`, and asked of a proof's `nonce`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceState {
    /// Given in this span.
    Fresh,
    /// Given in the span before this: good still, and to be replaced.
    Aging,
    /// Not good.
    Refused,
}

impl Nonces {
    /// Nonces by this secret, good for `lifetime` at least half and at most all.
    pub fn new(secret: &[u8], lifetime: Duration) -> Self {
        // A key that is as long as a block needs no look at its length.
        let mut key = hmac::digest::Key::<Hmac<Sha256>>::default();
        for (byte, digest) in key.iter_mut().zip(Sha256::digest(secret)) {
            *byte = digest;
        }
        let mac = Hmac::<Sha256>::new(&key).chain_update(PURPOSE);
        let span = Duration::from_secs(lifetime.as_secs().div_ceil(2).max(1));
        Self { mac, span }
    }

    /// Nonces by a secret that the first worker makes and the others find in shared
    /// data under this name. For `configure`.
    pub fn shared(name: &str, lifetime: Duration) -> Result<Self, SharedError> {
        let mut made = [0; 32];
        random::fill(&mut made).map_err(|error| SharedError::NoRandomness {
            name: name.to_owned(),
            why: error.to_string(),
        })?;
        let secret = SharedValue::<Vec<u8>>::new(name).get_or_insert_with(|| made.to_vec())?;
        if secret.len() == made.len() {
            return Ok(Self::new(&secret, lifetime));
        }
        Err(SharedError::Malformed {
            name: name.to_owned(),
            why: Malformed::new("no secret"),
        })
    }

    /// The nonce of this time, to be sent as `DPoP-Nonce`: 32 characters.
    pub fn give(&self, now: SystemTime) -> String {
        let number = self.number(now).to_be_bytes();
        let mac = self
            .mac
            .clone()
            .chain_update(number)
            .finalize()
            .into_bytes();
        let mut nonce = number.to_vec();
        nonce.extend(mac.iter().take(MAC_LENGTH));
        base64url::encode(&nonce)
    }

    /// Whether a proof's nonce is one that was given, and of late. Compares in
    /// constant time.
    pub fn check(&self, nonce: &str, now: SystemTime) -> NonceState {
        let current = self.number(now);
        let given = base64url::decode(nonce.as_bytes()).and_then(|bytes| {
            let (number, mac) = bytes.split_first_chunk::<8>()?;
            if mac.len() != MAC_LENGTH {
                return None;
            }
            let ours = self.mac.clone().chain_update(number);
            ours.verify_truncated_left(mac).ok()?;
            Some(u64::from_be_bytes(*number))
        });
        match given {
            Some(number) if number == current => NonceState::Fresh,
            Some(number) if number.checked_add(1) == Some(current) => NonceState::Aging,
            _ => NonceState::Refused,
        }
    }

    fn number(&self, now: SystemTime) -> u64 {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        now.as_secs().checked_div(self.span.as_secs()).unwrap_or(0)
    }
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces")
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "tests"
)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    const LIFETIME: Duration = Duration::from_mins(5);

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn nonces(secret: &str) -> Nonces {
        Nonces::new(secret.as_bytes(), LIFETIME)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_nonce_is_good_for_its_span_and_the_next() {
        let nonces = nonces("secret");
        // Spans of 150 s: from 1,500,000 on.
        let nonce = nonces.give(at(1_500_010));
        assert_eq!(nonce.len(), 32);
        assert_eq!(nonce, nonces.give(at(1_500_149)));
        for (seconds, expected) in [
            (1_500_000, NonceState::Fresh),
            (1_500_149, NonceState::Fresh),
            (1_500_150, NonceState::Aging),
            (1_500_299, NonceState::Aging),
            (1_500_300, NonceState::Refused),
            (1_499_999, NonceState::Refused),
            (0, NonceState::Refused),
        ] {
            assert_eq!(nonces.check(&nonce, at(seconds)), expected, "{seconds}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_what_was_given_is_taken() {
        let (ours, theirs) = (nonces("secret"), nonces("other secret"));
        let now = at(1_500_010);
        let nonce = ours.give(now);
        assert_eq!(ours.check(&nonce, now), NonceState::Fresh);
        assert_eq!(nonces("secret").check(&nonce, now), NonceState::Fresh);
        assert_eq!(theirs.check(&nonce, now), NonceState::Refused);
        let cut = &nonce[..nonce.len() - 4];
        let longer = format!("{nonce}AAAA");
        let number_alone = &nonce[..11];
        let zeros = "A".repeat(32);
        for wrong in [
            "",
            "AAAA",
            "not base64!",
            cut,
            &longer,
            number_alone,
            &zeros,
        ] {
            assert_eq!(ours.check(wrong, now), NonceState::Refused, "{wrong}");
        }
        // Any one character of it changed.
        for index in 0..nonce.len() {
            let mut bytes = nonce.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(ours.check(&changed, now), NonceState::Refused, "{changed}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_secret_is_in_no_debug_text() {
        let shown = format!("{:?}", nonces("secret"));
        assert_eq!(shown, "Nonces { span: 150s, .. }");
    }
}

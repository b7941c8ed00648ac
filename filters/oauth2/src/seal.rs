//! Texts that only we can make and read.
//!
//! A sealed text is base64url (RFC 4648, section 5, without padding) of
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the version of this format, 1 |
//! | 4 | which key |
//! | 24 | the nonce, random |
//! | any | XChaCha20-Poly1305 of the content, with its tag of 16 bytes |
//!
//! Nonces of 192 bits are drawn without a count of what was sealed: workers and
//! hosts share the keys and know nothing of each other
//! (draft-irtf-cfrg-xchacha, section 3.1).

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use legation::random;
use sha2::Sha256;
use thiserror::Error;

/// The shortest secret, in bytes: what the cipher's keys have.
pub(crate) const SHORTEST_SECRET: usize = 32;
/// The longest content, in bytes.
pub(crate) const LARGEST_CONTENT: usize = 64 << 10;

const VERSION: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;
/// The version, and which key.
const HEAD: usize = 1 + KEY_ID;
const KEY_ID: usize = 4;
/// What a sealed text has beside its content, in bytes before base64.
pub(crate) const OVERHEAD: usize = HEAD + NONCE + TAG;
/// The longest sealed text.
const LONGEST_TEXT: usize = (LARGEST_CONTENT + OVERHEAD).div_ceil(3) * 4;

/// What a text is sealed for. Each has a key of its own, so that none is taken
/// for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Who is signed in.
    Session,
    /// A sign-in under way.
    Flow,
    /// How often a browser was sent to sign in.
    Attempts,
}

impl Purpose {
    const fn label(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Flow => "flow",
            Self::Attempts => "attempts",
        }
    }
}

/// Why secrets make no [`Keyring`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum KeyringError {
    /// There is none.
    #[error("at least one secret is needed")]
    None,
    /// One is too short.
    #[error(
        "a secret has at least {SHORTEST_SECRET} bytes, got {length}; `openssl rand -base64 32` makes a good one"
    )]
    Short {
        /// Which, counted from 0.
        index: usize,
        /// Its length, in bytes.
        length: usize,
    },
    /// One is there before.
    #[error("the same secret is there twice")]
    Repeated {
        /// Which, counted from 0.
        index: usize,
    },
}

/// The keys that texts are sealed with: the first seals, all of them open.
pub(crate) struct Keyring {
    keys: Box<[Keys]>,
    client_id: Box<str>,
}

/// The keys that are made of one secret.
struct Keys {
    id: [u8; KEY_ID],
    session: XChaCha20Poly1305,
    flow: XChaCha20Poly1305,
    attempts: XChaCha20Poly1305,
}

/// What was sealed.
pub(crate) struct Opened {
    pub(crate) plain: Vec<u8>,
    /// Whether a text sealed now would be sealed with the same key. If not, it is
    /// time to seal it anew.
    pub(crate) by_first_key: bool,
}

impl Keyring {
    /// With these secrets, for this client of the identity provider: what is sealed
    /// for one client is nothing to another.
    pub(crate) fn new(secrets: &[&[u8]], client_id: &str) -> Result<Self, KeyringError> {
        if secrets.is_empty() {
            return Err(KeyringError::None);
        }
        let keys = secrets.iter().enumerate().map(|(index, secret)| {
            let length = secret.len();
            if length < SHORTEST_SECRET {
                return Err(KeyringError::Short { index, length });
            }
            if secrets.iter().take(index).any(|other| other == secret) {
                return Err(KeyringError::Repeated { index });
            }
            Keys::new(secret).ok_or(KeyringError::None)
        });
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
            client_id: client_id.into(),
        })
    }

    /// Seals a content under a name, such as its cookie's. Fails where the host has
    /// no randomness, and for more than [`LARGEST_CONTENT`].
    pub(crate) fn seal(
        &self,
        purpose: Purpose,
        name: &str,
        plain: &[u8],
    ) -> legation::Result<String> {
        let no_key = || legation::Error::other("no key to seal with");
        let too_large = || legation::Error::other("more than can be sealed");
        let keys = self.keys.first().ok_or_else(no_key)?;
        if plain.len() > LARGEST_CONTENT {
            return Err(too_large());
        }
        let mut nonce = [0; NONCE];
        random::fill(&mut nonce)?;
        let head = head(keys.id);
        let payload = Payload {
            msg: plain,
            aad: &self.associated(head, purpose, name),
        };
        let sealed = keys.cipher(purpose).encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| too_large())?;
        let whole = [&head[..], &nonce, &sealed].concat();
        Ok(BASE64_URL_SAFE_NO_PAD.encode(whole))
    }

    /// What was sealed for this purpose under this name. `None` for whatever else,
    /// and no word of why.
    pub(crate) fn open(&self, purpose: Purpose, name: &str, text: &[u8]) -> Option<Opened> {
        if text.len() > LONGEST_TEXT {
            return None;
        }
        // One text says the same: no padding, and no bits left over.
        let whole = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (head, rest) = whole.split_first_chunk::<HEAD>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        let [version, id @ ..] = *head;
        if version != VERSION {
            return None;
        }
        let aad = self.associated(*head, purpose, name);
        let nonce = XNonce::from(*nonce);
        // Rarely, two keys have one id.
        let mut named = self
            .keys
            .iter()
            .enumerate()
            .filter(|(_, keys)| keys.id == id);
        named.find_map(|(index, keys)| {
            let payload = Payload {
                msg: sealed,
                aad: &aad,
            };
            let plain = keys.cipher(purpose).decrypt(&nonce, payload).ok()?;
            Some(Opened {
                plain,
                by_first_key: index == 0,
            })
        })
    }

    /// What is sealed along. Each part stands behind its length: parts that run into
    /// each other would let one stand for another (CVE-2023-35941).
    fn associated(&self, head: [u8; HEAD], purpose: Purpose, name: &str) -> Vec<u8> {
        let mut out = head.to_vec();
        for part in [purpose.label(), &self.client_id, name] {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(part.as_bytes());
        }
        out
    }
}

impl Keys {
    /// By HKDF-SHA256 (RFC 5869), each with a label of its own. `None` never: no
    /// more is drawn than HKDF has.
    fn new(secret: &[u8]) -> Option<Self> {
        let hkdf = Hkdf::<Sha256>::new(Some(b"legation oauth2"), secret);
        let cipher = |purpose: Purpose| {
            let mut key = [0; 32];
            let label = format!("seal {}", purpose.label());
            hkdf.expand(label.as_bytes(), &mut key).ok()?;
            Some(XChaCha20Poly1305::new(&Key::from(key)))
        };
        let mut id = [0; KEY_ID];
        hkdf.expand(b"key id", &mut id).ok()?;
        Some(Self {
            id,
            session: cipher(Purpose::Session)?,
            flow: cipher(Purpose::Flow)?,
            attempts: cipher(Purpose::Attempts)?,
        })
    }

    fn cipher(&self, purpose: Purpose) -> &XChaCha20Poly1305 {
        match purpose {
            Purpose::Session => &self.session,
            Purpose::Flow => &self.flow,
            Purpose::Attempts => &self.attempts,
        }
    }
}

/// Without the keys.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} secrets)", self.keys.len())
    }
}

fn head(id: [u8; KEY_ID]) -> [u8; HEAD] {
    let [a, b, c, d] = id;
    [VERSION, a, b, c, d]
}

#[cfg(test)]
mod tests;

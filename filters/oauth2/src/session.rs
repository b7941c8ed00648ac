//! Who is signed in.

use std::fmt;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde_json::{Map, Value};

use self::wire::{Reader, Writer};

pub(crate) mod wire;

/// The largest session, in bytes before it is deflated.
const LARGEST: u64 = 64 << 10;

/// How a session is written.
mod version {
    /// As it is.
    pub(super) const PLAIN: u8 = 1;
    /// Deflated (RFC 1951).
    pub(super) const DEFLATED: u8 = 2;
}

/// What is known of who is signed in. Times are in seconds since 1970.
#[derive(Clone, Default)]
#[cfg_attr(test, derive(PartialEq))]
#[expect(clippy::struct_field_names, reason = "what `sid` is short for")]
pub(crate) struct Session {
    /// `sub`: who, to the identity provider.
    pub(crate) subject: Box<str>,
    /// `sid`: the session at the identity provider, by which it signs out.
    pub(crate) session_id: Option<Box<str>>,
    /// When the browser came back from the identity provider.
    pub(crate) signed_in_at: u64,
    /// From when on this session is none, whatever is refreshed.
    pub(crate) ends_at: u64,
    pub(crate) access_token: Option<Box<str>>,
    /// From when on the access token is worthless.
    pub(crate) access_expires_at: u64,
    pub(crate) refresh_token: Option<Box<str>>,
    /// From when on the refresh token is worthless.
    pub(crate) refresh_expires_at: u64,
    pub(crate) id_token: Option<Box<str>>,
    /// What is kept of the claims.
    pub(crate) claims: Map<String, Value>,
    /// Those among them that `UserInfo` told, and no ID token: they go for as long as it does.
    pub(crate) told: Vec<Box<str>>,
}

impl Session {
    /// The session as bytes, deflated where that makes them fewer. Nobody else puts
    /// text of their choice into a session and sees its length change: deflating
    /// tells nothing of what stands beside it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut plain = Writer::new(version::PLAIN);
        plain.text(&self.subject);
        plain.number(self.signed_in_at);
        plain.number(self.ends_at);
        plain.number(self.access_expires_at);
        plain.number(self.refresh_expires_at);
        plain.optional(self.session_id.as_deref());
        plain.optional(self.access_token.as_deref());
        plain.optional(self.refresh_token.as_deref());
        plain.optional(self.id_token.as_deref());
        if self.claims.is_empty() {
            plain.bytes(b"");
        } else {
            // Maps with names of text are always written.
            plain.bytes(&serde_json::to_vec(&self.claims).unwrap_or_default());
        }
        if !self.told.is_empty() {
            plain.number(u64::try_from(self.told.len()).unwrap_or(u64::MAX));
        }
        for name in &self.told {
            plain.text(name);
        }
        let plain = plain.into_bytes();
        match deflate(&plain) {
            Some(deflated) if deflated.len() < plain.len() => deflated,
            _ => plain,
        }
    }

    /// The session that was written so. `None` for whatever else, and for one that is
    /// larger than 64 KiB when it is inflated.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        match *version {
            version::PLAIN => Self::read(rest),
            version::DEFLATED => Self::read(&inflate(rest)?),
            _ => None,
        }
    }

    /// Whether it is none any more.
    pub(crate) fn is_over(&self, now: u64) -> bool {
        self.ends_at <= now
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        if u64::try_from(bytes.len()).ok()? > LARGEST {
            return None;
        }
        let mut reader = Reader::new(bytes);
        let mut session = Self {
            subject: reader.text()?.into(),
            signed_in_at: reader.number()?,
            ends_at: reader.number()?,
            access_expires_at: reader.number()?,
            refresh_expires_at: reader.number()?,
            ..Self::default()
        };
        reader.optional(&mut session.session_id)?;
        reader.optional(&mut session.access_token)?;
        reader.optional(&mut session.refresh_token)?;
        reader.optional(&mut session.id_token)?;
        let claims = reader.bytes()?;
        if !claims.is_empty() {
            session.claims = serde_json::from_slice(claims).ok()?;
        }
        if !reader.is_at_end() {
            // None is not written: a session is written in one way.
            let count = reader.number().filter(|count| *count > 0)?;
            for _ in 0..count {
                session.told.push(reader.text()?.into());
            }
        }
        reader.is_at_end().then_some(session)
    }
}

/// Without the tokens, and without who it is.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |text: &Option<Box<str>>| text.as_ref().map(|_| "…");
        f.debug_struct("Session")
            .field("signed_in_at", &self.signed_in_at)
            .field("ends_at", &self.ends_at)
            .field("access_token", &hidden(&self.access_token))
            .field("access_expires_at", &self.access_expires_at)
            .field("refresh_token", &hidden(&self.refresh_token))
            .field("refresh_expires_at", &self.refresh_expires_at)
            .field("id_token", &hidden(&self.id_token))
            .finish_non_exhaustive()
    }
}

fn deflate(plain: &[u8]) -> Option<Vec<u8>> {
    let rest = plain.get(1..)?;
    let mut encoder = DeflateEncoder::new(vec![version::DEFLATED], Compression::best());
    encoder.write_all(rest).ok()?;
    encoder.finish().ok()
}

fn inflate(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(bytes.len().saturating_mul(2));
    let mut rest = bytes;
    let mut decoder = DeflateDecoder::new(&mut rest).take(LARGEST.saturating_add(1));
    decoder.read_to_end(&mut plain).ok()?;
    // One stream, and nothing behind it.
    let read = decoder.into_inner().total_in();
    (read == u64::try_from(bytes.len()).ok()?).then_some(plain)
}

#[cfg(test)]
mod tests;

//! A sign-in under way.
//!
//! Each has a cookie of its own, so that several tabs sign in at once: its name ends in
//! a mark, which is made of the `state` that comes back with the browser.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use legation::{Error, Result, random};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::cookies::{self, CookieJar};
use crate::place;
use crate::seal::{Keyring, Purpose};
use crate::session::wire::{Reader, Writer};

/// The most sign-ins that a browser has under way.
pub(crate) const MOST_FLOWS: usize = 8;
/// The longest redirect URI, in bytes: with the longest original URL, a sign-in fits
/// into one cookie.
pub(crate) const LONGEST_REDIRECT_URI: usize = 500;
/// The most cookies of sign-ins that are looked into; those beyond are deleted unread.
const MOST_LOOKED_INTO: usize = 32;

const VERSION: u8 = 1;
const RANDOM: usize = 32;

/// What we remember, in the browser, of a sign-in until it comes back.
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct Flow {
    state: [u8; RANDOM],
    nonce: [u8; RANDOM],
    verifier: [u8; RANDOM],
    /// Where the browser wanted to go.
    pub(crate) original_url: Box<str>,
    /// Where the identity provider was told to send the browser.
    pub(crate) redirect_uri: Box<str>,
    /// In seconds since 1970.
    pub(crate) started_at: u64,
}

impl Flow {
    /// A new one. Fails where the host has no randomness, and where a URL is too long:
    /// [`place::LONGEST_URL`], [`LONGEST_REDIRECT_URI`].
    pub(crate) fn start(original_url: &str, redirect_uri: &str, now: u64) -> Result<Self> {
        if original_url.len() > place::LONGEST_URL {
            return Err(Error::other("the URL to return to is too long"));
        }
        if redirect_uri.len() > LONGEST_REDIRECT_URI {
            return Err(Error::other(format!(
                "the redirect URI is longer than {LONGEST_REDIRECT_URI} bytes"
            )));
        }
        let mut flow = Self {
            state: [0; RANDOM],
            nonce: [0; RANDOM],
            verifier: [0; RANDOM],
            original_url: original_url.into(),
            redirect_uri: redirect_uri.into(),
            started_at: now,
        };
        random::fill(&mut flow.state)?;
        random::fill(&mut flow.nonce)?;
        random::fill(&mut flow.verifier)?;
        Ok(flow)
    }

    /// `state` (RFC 6749, section 4.1.1): 256 random bits in 43 letters that say nothing
    /// and need no escape anywhere.
    pub(crate) fn state(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.state)
    }

    /// `nonce` (`OpenID` Connect Core 1.0, section 3.1.2.1).
    pub(crate) fn nonce(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.nonce)
    }

    /// `code_verifier`, of 43 letters (RFC 7636, section 4.1).
    pub(crate) fn verifier(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.verifier)
    }

    /// `code_challenge`, by S256 (RFC 7636, section 4.2).
    pub(crate) fn challenge(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier()))
    }

    /// The name of its cookie. `base` is that of all of them.
    pub(crate) fn cookie_name(&self, base: &str) -> String {
        marked(base, self.state().as_bytes())
    }

    /// Whether the browser came back with our `state`; in constant time.
    pub(crate) fn is_for(&self, state: &[u8]) -> bool {
        self.state().as_bytes().ct_eq(state).into()
    }

    /// Whether it has taken longer than it may, in seconds.
    pub(crate) fn is_over(&self, now: u64, lifetime: u64) -> bool {
        // Clocks differ a little. One that is far ahead of ours says nothing.
        now.abs_diff(self.started_at) >= lifetime
    }

    /// The value of its cookie.
    pub(crate) fn seal(&self, keyring: &Keyring, base: &str) -> Result<String> {
        let name = self.cookie_name(base);
        keyring.seal(Purpose::Flow, &name, &self.encode())
    }

    /// What was sealed for the cookie of this name.
    pub(crate) fn open(keyring: &Keyring, name: &str, value: &[u8]) -> Option<Self> {
        Self::decode(&keyring.open(Purpose::Flow, name, value)?.plain)
    }

    /// The sign-in that a browser comes back from with this `state`, and the name of its
    /// cookie. `None` where the browser has none of them.
    pub(crate) fn find(
        jar: &CookieJar<'_>,
        keyring: &Keyring,
        base: &str,
        state: &[u8],
    ) -> Option<(Self, String)> {
        let name = marked(base, state);
        let flow = Self::open(keyring, &name, &jar.join(&name)?)?;
        flow.is_for(state).then_some((flow, name))
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new(VERSION);
        writer.array(&self.state);
        writer.array(&self.nonce);
        writer.array(&self.verifier);
        writer.number(self.started_at);
        writer.text(&self.original_url);
        writer.text(&self.redirect_uri);
        writer.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != VERSION {
            return None;
        }
        let flow = Self {
            state: reader.array()?,
            nonce: reader.array()?,
            verifier: reader.array()?,
            started_at: reader.number()?,
            original_url: reader.text()?.into(),
            redirect_uri: reader.text()?.into(),
        };
        reader.is_at_end().then_some(flow)
    }
}

/// Without what is secret, and without where the browser goes.
impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("started_at", &self.started_at)
            .finish_non_exhaustive()
    }
}

/// The names of the cookies to delete before one more sign-in starts: those that are
/// over or are not ours to read, and the oldest where there would be more than
/// [`MOST_FLOWS`]. `lifetime` is in seconds.
pub(crate) fn too_many(
    jar: &CookieJar<'_>,
    keyring: &Keyring,
    base: &str,
    now: u64,
    lifetime: u64,
) -> Vec<String> {
    let mut names = flow_names(jar, base);
    let mut gone = names.split_off(names.len().min(MOST_LOOKED_INTO));
    let mut living = Vec::new();
    for name in names {
        let flow = jar
            .join(&name)
            .and_then(|value| Flow::open(keyring, &name, &value))
            .filter(|flow| !flow.is_over(now, lifetime));
        match flow {
            Some(flow) => living.push((flow.started_at, name)),
            None => gone.push(name),
        }
    }
    living.sort_unstable();
    let spare = living.len().saturating_sub(MOST_FLOWS.saturating_sub(1));
    gone.extend(living.drain(..spare).map(|(_, name)| name));
    gone
}

/// The names of all cookies of sign-ins that a browser has, each once.
pub(crate) fn flow_names(jar: &CookieJar<'_>, base: &str) -> Vec<String> {
    let mut names = jar
        .names()
        .filter_map(|name| {
            let rest = name.strip_prefix(base.as_bytes())?.strip_prefix(b".")?;
            let mark = rest
                .get(..cookies::MARK)
                .filter(|mark| cookies::is_mark(mark))?;
            let is_whole = matches!(rest.get(cookies::MARK), None | Some(b'.'));
            let mark = str::from_utf8(mark).ok()?;
            is_whole.then(|| format!("{base}.{mark}"))
        })
        .collect::<Vec<_>>();
    names.sort_unstable();
    names.dedup();
    names
}

/// The name of the cookie for a `state`.
fn marked(base: &str, state: &[u8]) -> String {
    let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(state));
    let mark = hash.get(..cookies::MARK).unwrap_or_default();
    format!("{base}.{mark}")
}

#[cfg(test)]
mod tests;

//! Cookies: theirs and ours.
//!
//! A value that is too long for one cookie is cut into several: `NAME`, `NAME.1`,
//! `NAME.2` and so on, with the number of them as the first letter of the first. A
//! browser keeps 4,096 bytes of a cookie's name and value (RFC 6265, section 6.1).

use std::borrow::Cow;
use std::ops::RangeInclusive;

use deserr::Deserr;
use legation::config::{ConfigErrors, Schema};
use legation::headers::cookies;
use smallvec::SmallVec;

/// The longest `set-cookie` line, in bytes.
pub(crate) const LONGEST_LINE: usize = 3_900;
/// The most cookies that one value is cut into.
pub(crate) const MOST_CHUNKS: usize = 8;
/// The most cookies that a request may have, of whomever: browsers keep 180 of a
/// site.
const MOST_COOKIES: usize = 512;
/// The most bytes of cookies that a request may have: what Envoy takes of headers.
const MOST_BYTES: usize = 96 << 10;
/// The letters of a cookie's mark: what stands behind the dot where a sign-in has a
/// cookie of its own.
pub(crate) const MARK: usize = 8;

/// With which requests that other sites cause a browser sends a cookie (RFC 6265bis,
/// section 4.1.2.7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors)]
#[allow(unreachable_pub, reason = "users write it")]
pub enum SameSite {
    /// With none.
    #[deserr(rename = "STRICT")]
    Strict,
    /// Where one follows a link.
    #[default]
    #[deserr(rename = "LAX")]
    Lax,
    /// With all; only with `Secure`.
    #[deserr(rename = "NONE")]
    None,
    /// The cookie does not say, and the browser decides.
    #[deserr(rename = "DISABLED")]
    Disabled,
}

/// How a cookie is set. It is always `HttpOnly`.
#[derive(Debug, Clone)]
pub(crate) struct Attributes {
    pub(crate) same_site: SameSite,
    pub(crate) path: Box<str>,
    pub(crate) domain: Option<Box<str>>,
    pub(crate) partitioned: bool,
    pub(crate) secure: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            same_site: SameSite::Lax,
            path: "/".into(),
            domain: None,
            partitioned: false,
            secure: true,
        }
    }
}

impl Attributes {
    /// What a cookie's name begins with, so that browsers keep others from setting it
    /// (RFC 6265bis, section 4.1.3): the strictest that these attributes fit.
    pub(crate) fn prefix(&self) -> &'static str {
        match (self.secure, &self.domain, &*self.path) {
            (true, None, "/") => "__Host-",
            (true, ..) => "__Secure-",
            _ => "",
        }
    }

    /// Whether a browser takes a cookie of this name with these attributes. It reads
    /// the prefixes in any case.
    #[cfg(test)]
    pub(crate) fn fit(&self, name: &str) -> bool {
        let begins = |prefix: &str| {
            let start = name.as_bytes().get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        if begins("__Host-") {
            self.prefix() == "__Host-"
        } else {
            self.secure || !begins("__Secure-")
        }
    }

    /// A `set-cookie` line.
    fn line(&self, name: &str, value: &str, max_age: Option<u64>) -> String {
        let mut line = format!("{name}={value}");
        match max_age {
            Some(0) => line.push_str("; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"),
            Some(seconds) => line.extend(["; Max-Age=", &seconds.to_string()]),
            None => {}
        }
        line.extend(["; Path=", &self.path]);
        if let Some(domain) = &self.domain {
            line.extend(["; Domain=", domain]);
        }
        if self.secure {
            line.push_str("; Secure");
        }
        line.push_str("; HttpOnly");
        line.push_str(match self.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
            SameSite::Disabled => "",
        });
        if self.partitioned {
            line.push_str("; Partitioned");
        }
        line
    }
}

/// The cookies of a request.
pub(crate) struct CookieJar<'a> {
    pairs: SmallVec<[(&'a [u8], &'a [u8]); 16]>,
    /// Whether there are more than were read.
    is_over: bool,
}

impl<'a> CookieJar<'a> {
    /// Reads all `cookie` headers.
    pub(crate) fn read(headers: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut jar = Self {
            pairs: SmallVec::new(),
            is_over: false,
        };
        let mut left = MOST_BYTES;
        for header in headers {
            let Some(rest) = left.checked_sub(header.len()) else {
                jar.is_over = true;
                break;
            };
            left = rest;
            for pair in cookies(header) {
                if jar.pairs.len() == MOST_COOKIES {
                    jar.is_over = true;
                    return jar;
                }
                jar.pairs.push(pair);
            }
        }
        jar
    }

    /// The names of all cookies.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a [u8]> {
        self.pairs.iter().map(|(name, _)| *name)
    }

    /// The value that [`Self::set_lines`] has set by this name. `None` where it is not
    /// there whole: a chunk is missing, there twice, or beyond the last. With more
    /// cookies than a browser sends, there is none.
    pub(crate) fn join(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        if self.is_over {
            return None;
        }
        let mut chunks = [None; MOST_CHUNKS];
        for (own, value) in &self.pairs {
            if let Some(number) = chunk_of(own, name) {
                // Each once, and none that is never set.
                let chunk = chunks.get_mut(number)?;
                if chunk.replace(*value).is_some() {
                    return None;
                }
            }
        }
        let (first, others) = chunks.split_first()?;
        let (count, first) = (*first)?.split_first()?;
        let count = usize::from(count.checked_sub(b'0')?);
        let (others, beyond) = others.split_at_checked(count.checked_sub(1)?)?;
        if beyond.iter().any(Option::is_some) {
            return None;
        }
        if others.is_empty() {
            return Some(Cow::Borrowed(first));
        }
        let mut whole = first.to_vec();
        for other in others {
            whole.extend_from_slice((*other)?);
        }
        Some(Cow::Owned(whole))
    }

    /// The `set-cookie` lines that set a value, and those that delete what chunks the
    /// browser has beyond. `max_age` is in seconds; without it, the cookie is gone when
    /// the browser is closed.
    ///
    /// `None` where the value is too long for [`MOST_CHUNKS`] cookies, and where it is
    /// not base64url.
    pub(crate) fn set_lines(
        &self,
        name: &str,
        value: &str,
        attributes: &Attributes,
        max_age: Option<u64>,
    ) -> Option<Vec<String>> {
        // A cookie that lives no second would be none.
        let max_age = max_age.map(|seconds| seconds.max(1));
        if !value.bytes().all(is_letter) {
            return None;
        }
        let longest = chunk_name(name, MOST_CHUNKS);
        let beside = attributes.line(&longest, "0", max_age);
        let room = LONGEST_LINE
            .checked_sub(beside.len())
            .filter(|&room| room > 0)?;
        let count = value.len().div_ceil(room).max(1);
        if count > MOST_CHUNKS {
            return None;
        }
        let mut lines = Vec::with_capacity(count);
        let mut rest = value;
        for number in 0..count {
            let (chunk, after) = rest.split_at_checked(room).unwrap_or((rest, ""));
            rest = after;
            let name = chunk_name(name, number);
            lines.push(if number == 0 {
                attributes.line(&name, &format!("{count}{chunk}"), max_age)
            } else {
                attributes.line(&name, chunk, max_age)
            });
        }
        lines.extend(self.deletions(name, count..=HIGHEST_CHUNK, attributes));
        Some(lines)
    }

    /// The `set-cookie` lines that delete a value, with every chunk of it that the
    /// browser has.
    pub(crate) fn clear_lines(&self, name: &str, attributes: &Attributes) -> Vec<String> {
        let mut lines = vec![attributes.line(name, "", Some(0))];
        lines.extend(self.deletions(name, 1..=HIGHEST_CHUNK, attributes));
        lines
    }

    /// The lines that delete chunks with these numbers. A browser deletes only what it
    /// is told by the same `Path`, `Domain` and `Partitioned` (CVE-2025-55162).
    fn deletions(
        &self,
        name: &str,
        numbers: RangeInclusive<usize>,
        attributes: &Attributes,
    ) -> Vec<String> {
        let mut found = [false; HIGHEST_CHUNK + 1];
        if self.is_over {
            // What was not read may be any that we set.
            found
                .iter_mut()
                .take(MOST_CHUNKS)
                .for_each(|found| *found = true);
        }
        for number in self.names().filter_map(|own| chunk_of(own, name)) {
            if let Some(found) = found.get_mut(number) {
                *found = true;
            }
        }
        let found = found.iter().enumerate().filter(|(_, found)| **found);
        let numbers = found.filter(|(number, _)| numbers.contains(number));
        let lines =
            numbers.map(|(number, _)| attributes.line(&chunk_name(name, number), "", Some(0)));
        lines.collect()
    }
}

/// The names of our cookies, which no upstream is to see.
#[derive(Debug, Default)]
pub(crate) struct OurCookies(Box<[Box<str>]>);

impl OurCookies {
    /// Those by these names, their chunks, and those with marks.
    pub(crate) fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// Whether a cookie of this name is one of ours.
    pub(crate) fn contain(&self, name: &[u8]) -> bool {
        self.0.iter().any(|own| {
            let Some(rest) = name.strip_prefix(own.as_bytes()) else {
                return false;
            };
            if rest.is_empty() || chunk_number(rest).is_some() {
                return true;
            }
            let rest = rest.strip_prefix(b".").unwrap_or_default();
            let Some((mark, rest)) = rest.split_at_checked(MARK) else {
                return false;
            };
            is_mark(mark) && (rest.is_empty() || chunk_number(rest).is_some())
        })
    }
}

/// The highest number that is read as a chunk's, and so deleted.
const HIGHEST_CHUNK: usize = 99;

/// Whether it is of the letters of a mark.
pub(crate) fn is_mark(text: &[u8]) -> bool {
    text.len() == MARK && text.iter().copied().all(is_letter)
}

/// A letter of base64url.
const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// The name of a chunk.
fn chunk_name(name: &str, number: usize) -> Cow<'_, str> {
    match number {
        0 => Cow::Borrowed(name),
        number => Cow::Owned(format!("{name}.{number}")),
    }
}

/// Which chunk of the value by this name a cookie is.
fn chunk_of(cookie: &[u8], name: &str) -> Option<usize> {
    match cookie.strip_prefix(name.as_bytes())? {
        b"" => Some(0),
        rest => chunk_number(rest),
    }
}

/// The number in `.NUMBER`.
fn chunk_number(rest: &[u8]) -> Option<usize> {
    let digit = |byte: u8| Some(usize::from(byte.checked_sub(b'0')?)).filter(|digit| *digit <= 9);
    match *rest.strip_prefix(b".")? {
        [one] => digit(one).filter(|number| *number > 0),
        [ten, one] => {
            let ten = digit(ten).filter(|number| *number > 0)?;
            ten.checked_mul(10)?.checked_add(digit(one)?)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;

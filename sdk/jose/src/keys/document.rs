//! A key set as workers hand it to one another.

use crate::url::{self, ServiceUrl};

/// Another one when the form changes.
const FORMAT: u8 = 1;
/// Format, number, and the length of the URL.
const HEAD: usize = 11;

/// A key set that was fetched and found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    /// The same as [`State::document`](super::state::State::document), as a rule.
    pub(super) number: u64,
    /// Where the issuer's metadata says that the keys are.
    pub(super) jwks_uri: Option<String>,
    /// The set as it was sent.
    pub(super) jwks: Vec<u8>,
}

impl Document {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let url = self.jwks_uri.as_deref().unwrap_or_default().as_bytes();
        let (length, url) = match u16::try_from(url.len()) {
            Ok(length) => (length, url),
            Err(_) => (0, b"".as_slice()),
        };
        let mut bytes = Vec::with_capacity(
            HEAD.saturating_add(url.len())
                .saturating_add(self.jwks.len()),
        );
        bytes.push(FORMAT);
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(url);
        bytes.extend(&self.jwks);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (format, bytes) = bytes.split_first()?;
        let (number, bytes) = bytes.split_first_chunk()?;
        let (length, bytes) = bytes.split_first_chunk()?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (url, jwks) = bytes.split_at_checked(length)?;
        let url = std::str::from_utf8(url).ok()?;
        (*format == FORMAT).then(|| Self {
            number: u64::from_le_bytes(*number),
            jwks_uri: (!url.is_empty()).then(|| url.to_owned()),
            jwks: jwks.to_vec(),
        })
    }

    /// Where the keys are, if that is known.
    pub(super) fn jwks_url(&self) -> Option<ServiceUrl> {
        url::parse(self.jwks_uri.as_deref()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        for jwks_uri in [None, Some("https://issuer.example/keys".to_owned())] {
            let document = Document {
                number: 7,
                jwks_uri,
                jwks: b"{}".to_vec(),
            };
            let bytes = document.to_bytes();
            assert_eq!(Document::from_bytes(&bytes), Some(document));
        }
        for wrong in [
            &b""[..],
            b"\x01",
            b"\x02\0\0\0\0\0\0\0\0\0\0",
            b"\x01\0\0\0\0\0\0\0\0\x01\0",
            b"\x01\0\0\0\0\0\0\0\0\x01\0\xff",
        ] {
            assert_eq!(Document::from_bytes(wrong), None, "{wrong:?}");
        }
    }
}

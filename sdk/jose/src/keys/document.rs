//! A key set as workers hand it to one another.

use super::metadata::Metadata;

/// Another one when the form changes.
const FORMAT: u8 = 2;
/// Format, number, and the length of the metadata.
const HEAD: usize = 13;

/// A key set that was fetched and found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    /// The same as [`State::document`](super::state::State::document), as a rule.
    pub(super) number: u64,
    /// The issuer's metadata, which says where the keys are.
    pub(super) metadata: Option<Metadata>,
    /// The set as it was sent.
    pub(super) jwks: Vec<u8>,
}

impl Document {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let metadata = self.metadata.as_ref();
        let metadata = metadata.and_then(|metadata| serde_json::to_vec(metadata).ok());
        let metadata = metadata.unwrap_or_default();
        let (length, metadata) = match u32::try_from(metadata.len()) {
            Ok(length) => (length, metadata.as_slice()),
            Err(_) => (0, b"".as_slice()),
        };
        let mut bytes = Vec::with_capacity(
            HEAD.saturating_add(metadata.len())
                .saturating_add(self.jwks.len()),
        );
        bytes.push(FORMAT);
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(metadata);
        bytes.extend(&self.jwks);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (format, bytes) = bytes.split_first()?;
        let (number, bytes) = bytes.split_first_chunk()?;
        let (length, bytes) = bytes.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (metadata, jwks) = bytes.split_at_checked(length)?;
        let metadata = match metadata {
            [] => None,
            text => Some(serde_json::from_slice(text).ok()?),
        };
        (*format == FORMAT).then(|| Self {
            number: u64::from_le_bytes(*number),
            metadata,
            jwks: jwks.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let metadata = r#"{"issuer": "a", "jwks_uri": "https://a/keys", "token_endpoint": "https://a/t",
            "userinfo_endpoint": 7, "authorization_response_iss_parameter_supported": true}"#;
        let metadata: Metadata = serde_json::from_str(metadata).unwrap();
        assert_eq!(metadata.token_endpoint.as_deref(), Some("https://a/t"));
        assert_eq!(metadata.userinfo_endpoint, None);
        assert!(metadata.authorization_response_iss_parameter_supported);
        for metadata in [None, Some(metadata)] {
            let document = Document {
                number: 7,
                metadata,
                jwks: b"{}".to_vec(),
            };
            let bytes = document.to_bytes();
            assert_eq!(Document::from_bytes(&bytes), Some(document));
        }
        for wrong in [
            &b""[..],
            b"\x02",
            b"\x01\0\0\0\0\0\0\0\0\0\0\0\0",
            b"\x02\0\0\0\0\0\0\0\0\x01\0\0\0",
            b"\x02\0\0\0\0\0\0\0\0\x01\0\0\0\xff",
            b"\x02\0\0\0\0\0\0\0\0\x02\0\0\0{}",
        ] {
            assert_eq!(Document::from_bytes(wrong), None, "{wrong:?}");
        }
    }
}

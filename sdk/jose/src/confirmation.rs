//! What the sender of a token must show beside it: the token's `cnf` (RFC 7800).
//!
//! Two kinds are understood: `jkt`, a key that signs a proof with each request
//! ([`dpop`](crate::dpop), RFC 9449), and `x5t#S256`, the certificate of the
//! client's TLS connection (RFC 8705). A token that names anything else cannot be
//! said to be in the right hands.

use std::fmt;

use deserr::Deserr;
use legation::config::{ConfigErrors, Schema};
use serde_json::Value;
use thiserror::Error;

use crate::base64url;

/// A SHA-256: of a key ([`thumbprint`](crate::thumbprint)) or of a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// From the bytes themselves.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// From base64url without padding, as tokens have it: 43 characters.
    pub fn from_base64url(text: &str) -> Option<Self> {
        let bytes = base64url::decode(text.as_bytes())?;
        bytes.try_into().ok().map(Self)
    }

    /// From hexadecimal of either case, as Envoy has it: 64 digits.
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        let mut digest = [0; 32];
        let (pairs, []) = text.as_chunks::<2>() else {
            return None;
        };
        if pairs.len() != digest.len() {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            let value = digit(*high)?.checked_mul(16)?.checked_add(digit(*low)?)?;
            *byte = u8::try_from(value).ok()?;
        }
        Some(Self(digest))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", base64url::encode(self.0))
    }
}

/// A token's `cnf`, read. That of a token which is bound to nothing is the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// `jkt`: the key that signs its proofs.
    pub key: Option<Digest>,
    /// `x5t#S256`: the client's certificate.
    pub certificate: Option<Digest>,
    /// Whether it names something that is not understood here, such as `jwk` or
    /// `kid`. RFC 7800 (section 3.1) would have that passed over; but a token of
    /// which nobody knows whose it is, is anybody's.
    pub unknown: bool,
}

impl Confirmation {
    /// Reads the claim `cnf`; `None` where the token has none.
    pub fn read(cnf: Option<&Value>) -> Result<Self, ConfirmationError> {
        let Some(cnf) = cnf else {
            return Ok(Self::default());
        };
        let members = cnf.as_object().ok_or(ConfirmationError::Malformed)?;
        let mut confirmation = Self::default();
        for (name, value) in members {
            let kind = match name.as_str() {
                "jkt" => &mut confirmation.key,
                "x5t#S256" => &mut confirmation.certificate,
                _ => {
                    confirmation.unknown = true;
                    continue;
                }
            };
            let digest = value.as_str().and_then(Digest::from_base64url);
            *kind = Some(digest.ok_or(ConfirmationError::Malformed)?);
        }
        // `{}` binds to something that it forgot to name.
        confirmation.unknown |= members.is_empty();
        Ok(confirmation)
    }

    /// Whether the token is bound to anything.
    pub const fn is_bound(&self) -> bool {
        self.key.is_some() || self.certificate.is_some() || self.unknown
    }

    /// Whether this is the certificate that the token is bound to, as far as `mode`
    /// asks for one. Ask for the `certificate` only where
    /// [`needs_certificate`](Self::needs_certificate).
    pub fn check_certificate(
        &self,
        mode: Binding,
        certificate: Option<Digest>,
    ) -> Result<(), ConfirmationError> {
        if mode == Binding::Ignore {
            return Ok(());
        }
        match (self.certificate, certificate) {
            (None, _) if mode == Binding::Required => Err(ConfirmationError::NotBound),
            (None, _) => Ok(()),
            (Some(_), None) => Err(ConfirmationError::NoCertificate),
            (Some(bound), Some(shown)) if bound == shown => Ok(()),
            (Some(_), Some(_)) => Err(ConfirmationError::OtherCertificate),
        }
    }

    /// Whether [`check_certificate`](Self::check_certificate) will look at the
    /// client's certificate.
    pub fn needs_certificate(&self, mode: Binding) -> bool {
        mode != Binding::Ignore && self.certificate.is_some()
    }

    /// Refuses a token bound to something that is not understood, unless nobody
    /// asks what tokens are bound to.
    pub fn check_known(&self, key: Binding, certificate: Binding) -> Result<(), ConfirmationError> {
        if self.unknown && (key, certificate) != (Binding::Ignore, Binding::Ignore) {
            return Err(ConfirmationError::Unknown);
        }
        Ok(())
    }
}

/// What is asked of tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors)]
pub enum Binding {
    /// Those that are bound must be shown by the one they are bound to.
    #[default]
    #[deserr(rename = "when_bound")]
    WhenBound,
    /// All must be bound.
    #[deserr(rename = "required")]
    Required,
    /// Nothing: a bound token is taken from anybody.
    #[deserr(rename = "ignore")]
    Ignore,
}

/// Tokens bound to the client's certificate (RFC 8705).
#[derive(Debug, Clone, Copy, Default, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct CertificateConfig {
    /// What is asked of tokens; `when_bound` unless given.
    #[deserr(default)]
    pub mode: Binding,
    /// Where the certificate is seen; on the `connection` unless given.
    #[deserr(default)]
    pub source: CertificateSource,
}

/// Where the client's certificate is seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors)]
pub enum CertificateSource {
    /// On the TLS connection to this Envoy, by the attribute
    /// `connection.sha256_peer_certificate_digest` ([`Digest::from_hex`]): SHA-256
    /// of the certificate's DER, in lower-case hexadecimal (Envoy's
    /// `ConnectionInfoImplBase::sha256PeerCertificateDigest`).
    #[default]
    #[deserr(rename = "connection")]
    Connection,
    /// By the proxy before this one, in `x-forwarded-client-cert`
    /// ([`forwarded_certificate`]). Envoy must be told to trust that header
    /// (`forward_client_cert_details: ALWAYS_FORWARD_ONLY`), and nobody but that
    /// proxy may reach it.
    #[deserr(rename = "x_forwarded_client_cert")]
    ForwardedClientCert,
}

/// The certificate's `Hash` in the values of `x-forwarded-client-cert`, if they
/// speak of one certificate only: of several, nobody knows which is the client's.
///
/// The form is Envoy's: elements separated by commas, in each `Key=value` pairs
/// separated by semicolons, values in double quotes where they hold one of both.
pub fn forwarded_certificate<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Digest> {
    let mut values = values.into_iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let mut found = None;
    for pair in split_unquoted(value)? {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (key, hash) = pair.split_at_checked(at)?;
        if key.trim_ascii().eq_ignore_ascii_case(b"hash") {
            let hash = hash.strip_prefix(b"=")?;
            if found.replace(Digest::from_hex(hash)?).is_some() {
                return None;
            }
        }
    }
    found
}

/// The pairs of one element; `None` where there is another one, or a quote is left
/// open.
fn split_unquoted(element: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut quoted, mut escaped) = (false, false);
    let mut more = false;
    let pairs = element.split(|byte| {
        let was_escaped = std::mem::take(&mut escaped);
        match byte {
            b'"' if !was_escaped => quoted = !quoted,
            b'\\' if quoted && !was_escaped => escaped = true,
            b',' if !quoted => more = true,
            b';' if !quoted => return true,
            _ => {}
        }
        false
    });
    let pairs = pairs.collect();
    (!quoted && !more).then_some(pairs)
}

/// Why a token is not in the right hands, as far as certificates go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConfirmationError {
    /// `cnf` is no object, or a digest in it is none.
    #[error("the claim `cnf` is malformed")]
    Malformed,
    /// `cnf` names something else than `jkt` and `x5t#S256`.
    #[error("the token is bound to something that is not understood")]
    Unknown,
    /// Every token must be bound, and this one is not.
    #[error("the token is not bound to a certificate")]
    NotBound,
    /// The client has shown no certificate.
    #[error("the token is bound to a certificate, and the client has shown none")]
    NoCertificate,
    /// The client has shown another certificate.
    #[error("the token is bound to another certificate")]
    OtherCertificate,
}

#[cfg(test)]
#[expect(clippy::string_slice, reason = "tests")]
mod tests {
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    /// RFC 8705, section 3.1 and appendix A: the token's thumbprint and that
    /// certificate's digest as `openssl x509 -fingerprint -sha256` says it.
    const RFC_8705: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";
    const RFC_8705_HEX: &str = "0380ed2f626650c840b2f263e6d2b29fae12ab39ae5db32b25ad27efad72e6fd";
    /// RFC 9449, section 6.1.
    const RFC_9449: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

    fn digest(text: &str) -> Digest {
        Digest::from_base64url(text).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_digest_is_one_in_base64url_and_in_hexadecimal() {
        let of_token = digest(RFC_8705);
        assert_eq!(Digest::from_hex(RFC_8705_HEX.as_bytes()), Some(of_token));
        let upper = RFC_8705_HEX.to_ascii_uppercase();
        assert_eq!(Digest::from_hex(upper.as_bytes()), Some(of_token));

        for text in [
            "",
            &RFC_8705[1..],
            "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v1",
            &format!("{RFC_8705}="),
            &format!("{RFC_8705}A"),
        ] {
            assert_eq!(Digest::from_base64url(text), None, "{text}");
        }
        for text in [
            "",
            &RFC_8705_HEX[1..],
            &RFC_8705_HEX[2..],
            &format!("{RFC_8705_HEX}00"),
            &RFC_8705_HEX.replace('f', "g"),
            &RFC_8705_HEX.replacen("80", "+8", 1),
        ] {
            assert_eq!(Digest::from_hex(text.as_bytes()), None, "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_confirmation_says_what_the_token_is_bound_to() {
        let bound = |key: Option<&str>, certificate: Option<&str>, unknown| Confirmation {
            key: key.map(digest),
            certificate: certificate.map(digest),
            unknown,
        };
        for (cnf, expected) in [
            (
                json!({"jkt": RFC_9449}),
                Ok(bound(Some(RFC_9449), None, false)),
            ),
            (
                json!({"x5t#S256": RFC_8705}),
                Ok(bound(None, Some(RFC_8705), false)),
            ),
            (
                json!({"jkt": RFC_9449, "x5t#S256": RFC_8705}),
                Ok(bound(Some(RFC_9449), Some(RFC_8705), false)),
            ),
            (json!({"kid": "a"}), Ok(bound(None, None, true))),
            (
                json!({"jwk": {"kty": "EC"}, "jkt": RFC_9449}),
                Ok(bound(Some(RFC_9449), None, true)),
            ),
            (json!({"JKT": RFC_9449}), Ok(bound(None, None, true))),
            (json!({}), Ok(bound(None, None, true))),
            (json!({"jkt": ""}), Err(ConfirmationError::Malformed)),
            (
                json!({"jkt": [RFC_9449]}),
                Err(ConfirmationError::Malformed),
            ),
            (json!({"jkt": null}), Err(ConfirmationError::Malformed)),
            (
                json!({"x5t#S256": RFC_8705_HEX}),
                Err(ConfirmationError::Malformed),
            ),
            (json!(RFC_9449), Err(ConfirmationError::Malformed)),
            (json!(null), Err(ConfirmationError::Malformed)),
        ] {
            assert_eq!(Confirmation::read(Some(&cnf)), expected, "{cnf}");
        }
        assert_eq!(Confirmation::read(None), Ok(Confirmation::default()));
        assert!(!Confirmation::default().is_bound());
        assert!(bound(None, None, true).is_bound());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_token_is_taken_from_the_certificate_that_it_is_bound_to() {
        use Binding::{Ignore, Required, WhenBound};
        use ConfirmationError::{NoCertificate, NotBound, OtherCertificate};
        let (this, other) = (Some(digest(RFC_8705)), Some(digest(RFC_9449)));
        for (bound_to, mode, shown, expected) in [
            (None, WhenBound, None, Ok(())),
            (None, WhenBound, this, Ok(())),
            (None, Required, this, Err(NotBound)),
            (None, Ignore, None, Ok(())),
            (this, WhenBound, this, Ok(())),
            (this, WhenBound, other, Err(OtherCertificate)),
            (this, WhenBound, None, Err(NoCertificate)),
            (this, Required, this, Ok(())),
            (this, Required, other, Err(OtherCertificate)),
            (this, Required, None, Err(NoCertificate)),
            (this, Ignore, other, Ok(())),
        ] {
            let confirmation = Confirmation {
                certificate: bound_to,
                ..Confirmation::default()
            };
            let verdict = confirmation.check_certificate(mode, shown);
            assert_eq!(verdict, expected, "{bound_to:?} {mode:?} {shown:?}");
            assert!(
                confirmation.needs_certificate(mode)
                    || verdict == confirmation.check_certificate(mode, None)
            );
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_token_bound_to_something_else_is_refused_unless_nobody_asks() {
        use Binding::{Ignore, Required, WhenBound};
        let unknown = Confirmation {
            unknown: true,
            ..Confirmation::default()
        };
        for (key, certificate) in [
            (WhenBound, WhenBound),
            (Ignore, WhenBound),
            (Required, Ignore),
        ] {
            assert_eq!(
                unknown.check_known(key, certificate),
                Err(ConfirmationError::Unknown)
            );
            assert_eq!(
                Confirmation::default().check_known(key, certificate),
                Ok(())
            );
        }
        assert_eq!(unknown.check_known(Ignore, Ignore), Ok(()));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_certificate_of_another_proxys_client_is_read_if_there_is_one_only() {
        let hash = format!("Hash={RFC_8705_HEX}");
        let one = Some(digest(RFC_8705));
        for (value, expected) in [
            (hash.clone(), one),
            (
                format!("By=spiffe://a/b;{hash};Subject=\"CN=x\";URI=spiffe://c/d"),
                one,
            ),
            (
                format!(
                    "By=spiffe://a/b; hash={}",
                    RFC_8705_HEX.to_ascii_uppercase()
                ),
                one,
            ),
            (format!("Subject=\"O=a, b;Hash=0\\\"\";{hash}"), one),
            (format!("{hash},{hash}"), None),
            (format!("By=spiffe://a,{hash}"), None),
            (format!("{hash};{hash}"), None),
            (format!("Subject=\"{hash}\""), None),
            (format!("Subject=\"a;{hash}"), None),
            ("By=spiffe://a/b".to_owned(), None),
            ("Hash=".to_owned(), None),
            ("Hash".to_owned(), None),
            (String::new(), None),
        ] {
            let read = forwarded_certificate([value.as_bytes()]);
            assert_eq!(read, expected, "{value}");
        }
        assert_eq!(forwarded_certificate([]), None);
        assert_eq!(
            forwarded_certificate([hash.as_bytes(), hash.as_bytes()]),
            None
        );
    }
}

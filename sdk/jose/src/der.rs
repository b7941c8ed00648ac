//! As much of DER (X.690) as keys and signatures need.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

/// The NULL that stands for RSA's parameters.
const NULL: [u8; 2] = [0x05, 0x00];

/// rsaEncryption, 1.2.840.113549.1.1.1
pub(crate) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// id-ecPublicKey, 1.2.840.10045.2.1
pub(crate) const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// id-Ed25519, 1.3.101.112
pub(crate) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// secp256r1, 1.2.840.10045.3.1.7
pub(crate) const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// secp384r1, 1.3.132.0.34
pub(crate) const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// secp521r1, 1.3.132.0.35
pub(crate) const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];

/// What is left of a DER text.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(der: &'a [u8]) -> Self {
        Self(der)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The next element: its tag and content.
    pub(crate) fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        // A tag of several bytes is in nothing that is read here.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes
                    .iter()
                    .fold(0usize, |length, &byte| (length << 8) | usize::from(byte));
                // The shortest form is the only one.
                let shortest = match bytes.first()? {
                    0 => false,
                    _ => length > 0x7f,
                };
                if !shortest {
                    return None;
                }
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The content of the next element, which has this tag.
    pub(crate) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let (found, content) = ahead.any()?;
        (found == tag).then(|| {
            *self = ahead;
            content
        })
    }

    pub(crate) fn sequence(&mut self) -> Option<Self> {
        self.take(SEQUENCE).map(Self)
    }

    /// A positive integer, without zeros in front.
    pub(crate) fn positive(&mut self) -> Option<&'a [u8]> {
        let content = self.take(INTEGER)?;
        match *content {
            [] | [0] => None,
            [0, next, ..] => (next & 0x80 != 0).then(|| content.get(1..)).flatten(),
            [first, ..] => (first & 0x80 == 0).then_some(content),
        }
    }

    /// A string of bits that are whole bytes.
    pub(crate) fn bytes_of_bits(&mut self) -> Option<&'a [u8]> {
        self.take(BIT_STRING)?.strip_prefix(&[0])
    }
}

/// One element.
pub(crate) fn element(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let length = content.iter().map(|piece| piece.len()).sum::<usize>();
    let mut der = Vec::with_capacity(length.saturating_add(5));
    der.push(tag);
    if let Ok(short @ 0..=0x7f) = u8::try_from(length) {
        der.push(short);
    } else {
        let bytes = length.to_be_bytes();
        let significant = without_zeros(&bytes);
        // At most the eight bytes of a `usize`.
        der.push(0x80 | u8::try_from(significant.len()).unwrap_or_default());
        der.extend_from_slice(significant);
    }
    for piece in content {
        der.extend_from_slice(piece);
    }
    der
}

/// An integer that is not negative, of its big-endian bytes.
pub(crate) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let digits = without_zeros(bytes);
    match digits.first() {
        Some(first) if first & 0x80 == 0 => element(INTEGER, &[digits]),
        _ => element(INTEGER, &[&[0], digits]),
    }
}

/// A number's bytes without the zeros in front.
pub(crate) fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

/// A public key as it stands in a `SubjectPublicKeyInfo` (RFC 5280 section
/// 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublicKey<'a> {
    /// Modulus and exponent, big-endian, without zeros in front.
    Rsa { n: &'a [u8], e: &'a [u8] },
    /// The curve's identifier, and the point as SEC 1 writes it.
    Ec { curve: &'a [u8], point: &'a [u8] },
    /// The point's 32 bytes.
    Ed25519(&'a [u8]),
}

impl<'a> PublicKey<'a> {
    /// Reads a `SubjectPublicKeyInfo`, and nothing after it.
    pub(crate) fn from_spki(der: &'a [u8]) -> Option<Self> {
        let mut outer = Reader::new(der);
        let mut info = outer.sequence()?;
        let mut algorithm = info.sequence()?;
        let bits = info.bytes_of_bits()?;
        if !outer.is_empty() || !info.is_empty() {
            return None;
        }
        match algorithm.take(OBJECT_IDENTIFIER)? {
            RSA => Self::from_pkcs1(bits),
            EC => Some(Self::Ec {
                curve: algorithm.take(OBJECT_IDENTIFIER)?,
                point: bits,
            }),
            ED25519 => Some(Self::Ed25519(bits)),
            _ => None,
        }
    }

    /// Reads an `RSAPublicKey` (RFC 8017 appendix A.1.1), and nothing after it.
    pub(crate) fn from_pkcs1(der: &'a [u8]) -> Option<Self> {
        let mut outer = Reader::new(der);
        let mut key = outer.sequence()?;
        let found = Self::Rsa {
            n: key.positive()?,
            e: key.positive()?,
        };
        (outer.is_empty() && key.is_empty()).then_some(found)
    }

    /// The key of an X.509 certificate. Nothing else of it is looked at: neither
    /// its time nor who signed it.
    pub(crate) fn spki_of_certificate(der: &'a [u8]) -> Option<Vec<u8>> {
        let mut outer = Reader::new(der);
        let mut certificate = outer.sequence()?;
        let mut signed = certificate.sequence()?;
        // [0] version, which may be absent.
        signed.take(0xa0);
        signed.take(INTEGER)?;
        // Signature algorithm, issuer, validity, subject.
        for _ in 0..4 {
            signed.sequence()?;
        }
        let key = signed.take(SEQUENCE)?;
        outer.is_empty().then(|| element(SEQUENCE, &[key]))
    }

    /// As a `SubjectPublicKeyInfo`.
    pub(crate) fn to_spki(self) -> Vec<u8> {
        let (algorithm, bits) = match self {
            Self::Rsa { n, e } => (
                element(SEQUENCE, &[&element(OBJECT_IDENTIFIER, &[RSA]), &NULL]),
                element(SEQUENCE, &[&unsigned(n), &unsigned(e)]),
            ),
            Self::Ec { curve, point } => (
                element(
                    SEQUENCE,
                    &[
                        &element(OBJECT_IDENTIFIER, &[EC]),
                        &element(OBJECT_IDENTIFIER, &[curve]),
                    ],
                ),
                point.to_vec(),
            ),
            Self::Ed25519(point) => (
                element(SEQUENCE, &[&element(OBJECT_IDENTIFIER, &[ED25519])]),
                point.to_vec(),
            ),
        };
        element(
            SEQUENCE,
            &[&algorithm, &element(BIT_STRING, &[&[0], &bits])],
        )
    }
}

//! Keys of every kind, and what they sign.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::Signer as _;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::crypto::rust_crypto;
use legation_jose::Algorithm;
use rsa::BigUint;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;

/// Keys that sign by all algorithms. Those of RSA are RFC 7515's (A.2), which
/// everybody has; making one takes long in a debug build.
pub(crate) struct Signer {
    rsa: rsa::RsaPrivateKey,
    p256: p256::ecdsa::SigningKey,
    p384: p384::ecdsa::SigningKey,
    p521: p521::ecdsa::SigningKey,
    ed25519: ed25519_dalek::SigningKey,
    secret: [u8; 64],
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    pub(crate) fn new() -> Self {
        Self::of(1)
    }

    /// Different ones for each seed, but for RSA's.
    pub(crate) fn of(seed: u8) -> Self {
        let number = |text: &str| BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(text).unwrap());
        let mut scalar = [seed; 66];
        scalar[0] = 0;
        Self {
            rsa: rsa::RsaPrivateKey::from_components(
                number(N),
                number("AQAB"),
                number(D),
                vec![number(P), number(Q)],
            )
            .unwrap(),
            p256: p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap(),
            p384: p384::ecdsa::SigningKey::from_slice(&[seed; 48]).unwrap(),
            p521: p521::ecdsa::SigningKey::from_slice(&scalar).unwrap(),
            ed25519: ed25519_dalek::SigningKey::from_bytes(&[seed; 32]),
            secret: [seed; 64],
        }
    }

    pub(crate) fn rsa(&self) -> &rsa::RsaPrivateKey {
        &self.rsa
    }

    /// The key that verifies.
    pub(crate) fn jwk(&self, algorithm: Algorithm) -> String {
        use Algorithm as A;
        let ec = |curve: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            let (x, y) = (encode(x), encode(y));
            format!(r#"{{"kty":"EC","crv":"{curve}","x":"{x}","y":"{y}"}}"#)
        };
        match algorithm {
            A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512 => {
                let (n, e) = (self.rsa.n().to_bytes_be(), self.rsa.e().to_bytes_be());
                format!(r#"{{"kty":"RSA","n":"{}","e":"{}"}}"#, encode(n), encode(e))
            }
            A::ES256 => {
                let point = self.p256.verifying_key().to_encoded_point(false);
                ec("P-256", point.as_bytes())
            }
            A::ES384 => {
                let point = self.p384.verifying_key().to_encoded_point(false);
                ec("P-384", point.as_bytes())
            }
            A::ES512 => {
                let key = p521::ecdsa::VerifyingKey::from(&self.p521);
                ec("P-521", key.to_encoded_point(false).as_bytes())
            }
            A::EdDSA => {
                let x = encode(self.ed25519.verifying_key());
                format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#)
            }
            A::HS256 | A::HS384 | A::HS512 => {
                format!(r#"{{"kty":"oct","k":"{}"}}"#, encode(self.secret))
            }
        }
    }

    /// The signature of a text, in base64url: by `jsonwebtoken`'s own provider,
    /// but for ES512, which it does not know.
    pub(crate) fn sign(&self, algorithm: Algorithm, text: &str) -> String {
        use Algorithm as A;
        let key = match algorithm {
            A::ES512 => {
                let signature: p521::ecdsa::Signature = self.p521.sign(text.as_bytes());
                return encode(signature.to_bytes());
            }
            A::ES256 => EncodingKey::from_ec_der(self.p256.to_pkcs8_der().unwrap().as_bytes()),
            A::ES384 => EncodingKey::from_ec_der(self.p384.to_pkcs8_der().unwrap().as_bytes()),
            A::EdDSA => EncodingKey::from_ed_der(self.ed25519.to_pkcs8_der().unwrap().as_bytes()),
            A::HS256 | A::HS384 | A::HS512 => EncodingKey::from_secret(&self.secret),
            _ => EncodingKey::from_rsa_der(self.rsa.to_pkcs1_der().unwrap().as_bytes()),
        };
        let known = algorithm.name().parse().unwrap();
        let signer = (rust_crypto::DEFAULT_PROVIDER.signer_factory)(&known, &key).unwrap();
        encode(signer.try_sign(text.as_bytes()).unwrap())
    }

    /// A token with these claims.
    pub(crate) fn token(&self, algorithm: Algorithm, claims: &str) -> String {
        let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#);
        let text = format!("{}.{}", encode(header), encode(claims));
        format!("{text}.{}", self.sign(algorithm, &text))
    }
}

const N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const D: &str = "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ";
const P: &str = "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc";
const Q: &str = "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc";

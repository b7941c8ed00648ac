//! Keys that sign, and how they are published.

use std::fmt;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use p521::ecdsa::signature::Signer as _;
use p521::pkcs8::DecodePrivateKey as _;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use ring::{digest, hmac};
use serde_json::{Value, json};

use super::{base64, base64url};

/// A private key or a secret, with what a JWK says beside it. Clones share the key.
///
/// The named ones are the test keys of `tests/keys/`, read once.
#[derive(Clone)]
pub struct Key {
    secret: Arc<Secret>,
    id: Option<String>,
    algorithm: Option<String>,
}

enum Secret {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    P521(p521::ecdsa::SigningKey),
    Ed25519(Ed25519KeyPair),
    Hmac(Vec<u8>),
}

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident = $file:literal, $read:expr;)*) => {
        impl Key {
            $($(#[$doc])*
            pub fn $name() -> Self {
                static SECRET: OnceLock<Arc<Secret>> = OnceLock::new();
                let pem = include_str!(concat!("../../keys/", $file, ".test-key.pem"));
                let read: fn(&[u8]) -> Secret = $read;
                Self::new(Arc::clone(SECRET.get_or_init(|| Arc::new(read(&der(pem))))))
            })*
        }
    };
}

named! {
    /// RSA, 2048 bits.
    rsa = "rsa-2048-a", rsa;
    /// Another of RSA, 2048 bits.
    other_rsa = "rsa-2048-b", rsa;
    /// RSA, 3072 bits.
    long_rsa = "rsa-3072", rsa;
    /// P-256.
    p256 = "p256-a", |der| Secret::P256(ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, der));
    /// Another of P-256.
    other_p256 = "p256-b", |der| Secret::P256(ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, der));
    /// P-384.
    p384 = "p384", |der| Secret::P384(ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING, der));
    /// P-521.
    p521 = "p521", |der| {
        let key = p521::SecretKey::from_pkcs8_der(der).expect("a P-521 key");
        Secret::P521(p521::ecdsa::SigningKey::from_slice(&key.to_bytes()).expect("a P-521 key"))
    };
    /// Ed25519.
    ed25519 = "ed25519-a", ed25519;
    /// Another of Ed25519.
    other_ed25519 = "ed25519-b", ed25519;
}

impl Key {
    fn new(secret: Arc<Secret>) -> Self {
        Self {
            secret,
            id: None,
            algorithm: None,
        }
    }

    /// A secret for HS256, HS384, HS512.
    pub fn hmac(secret: impl AsRef<[u8]>) -> Self {
        Self::new(Arc::new(Secret::Hmac(secret.as_ref().to_vec())))
    }

    /// A P-256 key that nobody has seen before: for rotation.
    pub fn fresh() -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new());
        let document = document.expect("the system has random bytes");
        Self::new(Arc::new(Secret::P256(ecdsa(algorithm, document.as_ref()))))
    }

    /// The same key under a `kid`.
    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// The same key for this `alg`: its JWK says so, and it signs by it. What it cannot sign by may
    /// stand here too; see [`Key::sign`].
    #[must_use]
    pub fn with_algorithm(mut self, algorithm: &str) -> Self {
        self.algorithm = Some(algorithm.to_owned());
        self
    }

    /// Its `kid`.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The algorithm it signs by: the one of [`Key::with_algorithm`], else the first of its type.
    pub fn algorithm(&self) -> &str {
        self.algorithm
            .as_deref()
            .unwrap_or_else(|| self.own_algorithm())
    }

    fn own_algorithm(&self) -> &'static str {
        match &*self.secret {
            Secret::Rsa(_) => "RS256",
            Secret::P256(_) => "ES256",
            Secret::P384(_) => "ES384",
            Secret::P521(_) => "ES512",
            Secret::Ed25519(_) => "EdDSA",
            Secret::Hmac(_) => "HS256",
        }
    }

    /// The signature of these bytes by this algorithm, as a JWS has it. A name that the key cannot sign
    /// by gives the signature that its own algorithm makes.
    pub fn sign(&self, algorithm: &str, bytes: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &*self.secret {
            Secret::Rsa(key) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public().modulus_len()];
                let signed = key.sign(encoding, &random, bytes, &mut signature);
                signed.expect("an RSA key signs");
                signature
            }
            Secret::P256(key) | Secret::P384(key) => {
                let signature = key.sign(&random, bytes);
                signature.expect("an EC key signs").as_ref().to_vec()
            }
            Secret::P521(key) => {
                let signature: p521::ecdsa::Signature = key.sign(bytes);
                signature.to_bytes().to_vec()
            }
            Secret::Ed25519(key) => key.sign(bytes).as_ref().to_vec(),
            Secret::Hmac(secret) => {
                let algorithm = match algorithm {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                let key = hmac::Key::new(algorithm, secret);
                hmac::sign(&key, bytes).as_ref().to_vec()
            }
        }
    }

    /// The JWK that is published: of an asymmetric key the public half, of a secret the secret.
    pub fn jwk(&self) -> Value {
        let mut jwk = self.required_members();
        if let Some(id) = &self.id {
            jwk["kid"] = json!(id);
        }
        if let Some(algorithm) = &self.algorithm {
            jwk["alg"] = json!(algorithm);
        }
        jwk
    }

    fn required_members(&self) -> Value {
        let ec = |curve: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at((point.len() - 1) / 2);
            json!({"kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y)})
        };
        match &*self.secret {
            Secret::Rsa(key) => {
                let public: PublicKeyComponents<Vec<u8>> = key.public().into();
                json!({"kty": "RSA", "n": base64url(public.n), "e": base64url(public.e)})
            }
            Secret::P256(key) => ec("P-256", key.public_key().as_ref()),
            Secret::P384(key) => ec("P-384", key.public_key().as_ref()),
            Secret::P521(key) => ec("P-521", &point_of_p521(key)),
            Secret::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(key.public_key())})
            }
            Secret::Hmac(secret) => json!({"kty": "oct", "k": base64url(secret)}),
        }
    }

    /// Its thumbprint by RFC 7638, as `cnf.jkt` has it.
    pub fn thumbprint(&self) -> String {
        // Sorted members without spaces: what the RFC wants is what serde_json writes.
        let members = self.required_members().to_string();
        base64url(digest::digest(&digest::SHA256, members.as_bytes()))
    }

    /// Its public half as DER `SubjectPublicKeyInfo`; panics for a secret.
    pub fn public_der(&self) -> Vec<u8> {
        const RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
        const EC: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
        let ec = |curve: &[u8]| element(0x30, &[EC, curve].concat());
        let (algorithm, key) = match &*self.secret {
            Secret::Rsa(key) => (RSA.to_vec(), key.public().as_ref().to_vec()),
            Secret::P256(key) => (
                ec(b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"),
                key.public_key().as_ref().to_vec(),
            ),
            Secret::P384(key) => (
                ec(b"\x06\x05\x2b\x81\x04\x00\x22"),
                key.public_key().as_ref().to_vec(),
            ),
            Secret::P521(key) => (ec(b"\x06\x05\x2b\x81\x04\x00\x23"), point_of_p521(key)),
            Secret::Ed25519(key) => (
                element(0x30, b"\x06\x03\x2b\x65\x70"),
                key.public_key().as_ref().to_vec(),
            ),
            Secret::Hmac(_) => panic!("a secret has no public half"),
        };
        let key = element(0x03, &[&[0], key.as_slice()].concat());
        element(0x30, &[algorithm, key].concat())
    }

    /// Its public half as PEM, `-----BEGIN PUBLIC KEY-----`; panics for a secret.
    pub fn public_pem(&self) -> String {
        let text = base64(self.public_der());
        let lines = text.as_bytes().chunks(64);
        let lines: Vec<_> = lines.map(String::from_utf8_lossy).collect();
        let lines = lines.join("\n");
        format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Key({:?}, {})", self.id, self.algorithm())
    }
}

/// The key set of these keys.
pub fn jwks(keys: &[&Key]) -> Value {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()})
}

fn der(pem: &str) -> Vec<u8> {
    let body = pem
        .lines()
        .skip_while(|line| !line.starts_with("-----BEGIN"))
        .filter(|line| !line.starts_with("-----"));
    let text: String = body.collect();
    let der = BASE64_STANDARD.decode(text);
    der.expect("the test keys are PEM")
}

fn rsa(der: &[u8]) -> Secret {
    Secret::Rsa(RsaKeyPair::from_pkcs8(der).expect("an RSA key"))
}

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm, der: &[u8]) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(algorithm, der, &SystemRandom::new()).expect("an EC key")
}

fn ed25519(der: &[u8]) -> Secret {
    let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
    Secret::Ed25519(key.expect("an Ed25519 key"))
}

fn point_of_p521(key: &p521::ecdsa::SigningKey) -> Vec<u8> {
    let public = p521::ecdsa::VerifyingKey::from(key);
    public.to_encoded_point(false).as_bytes().to_vec()
}

/// A DER element: tag, length, content.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut der = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => der.push(short),
        Ok(byte) => der.extend([0x81, byte]),
        Err(_) => {
            let length = u16::try_from(length).expect("a key has less than 64 KiB");
            der.push(0x82);
            der.extend(length.to_be_bytes());
        }
    }
    der.extend(content);
    der
}

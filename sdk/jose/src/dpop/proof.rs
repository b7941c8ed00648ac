//! One proof.

use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use super::DpopError;
use super::target::Target;
use crate::confirmation::Digest;
use crate::{Algorithms, KeySet, Limits, Token, base64url, thumbprint};

/// What a proof must be for (RFC 9449, section 4.3).
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The request's method.
    pub method: &'a [u8],
    /// The request's address.
    pub target: &'a Target<'a>,
    /// The access token beside it: `ath` must be its hash. `None` where there is
    /// none, as at a token endpoint.
    pub token: Option<&'a [u8]>,
    /// The key that the token is bound to.
    pub key: Option<Digest>,
    /// How old a proof may be.
    pub max_age: Duration,
    /// How far the client's clock may be off, either way.
    pub clock_skew: Duration,
    /// The algorithms allowed; symmetric ones never are.
    pub algorithms: Algorithms,
}

/// A proof that was read, and not checked.
pub struct Proof<'a> {
    token: Token<'a>,
}

/// What tells one proof from another; longer ones are refused. In bytes.
const MAX_ID: usize = 256;
/// Members of a JSON Web Key that make it a private or a symmetric one (RFC 7518,
/// sections 6.2.2, 6.3.2 and 6.4; RFC 8037, section 2).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl<'a> Proof<'a> {
    /// Reads a value of the header `DPoP`.
    pub fn parse(compact: &'a [u8], limits: &Limits) -> Result<Self, DpopError> {
        let token = Token::parse(compact, limits)?;
        Ok(Self { token })
    }

    /// The thumbprint of the key that it carries (RFC 7638).
    pub fn key(&self) -> Result<Digest, DpopError> {
        let jwk = self.jwk()?;
        let thumbprint = thumbprint(jwk).map_err(|_| DpopError::Key)?;
        Digest::from_base64url(&thumbprint).ok_or(DpopError::Key)
    }

    /// What tells it from other proofs of its key: `jti`.
    pub fn id(&self) -> Result<&str, DpopError> {
        let id = self.text("jti")?;
        if id.is_empty() || id.len() > MAX_ID {
            return Err(DpopError::Claim("jti"));
        }
        Ok(id)
    }

    /// The server's nonce in it.
    pub fn nonce(&self) -> Result<Option<&str>, DpopError> {
        match self.token.claims().get("nonce") {
            None => Ok(None),
            Some(_) => self.text("nonce").map(Some),
        }
    }

    /// Whether it is a proof for this. Says until when it could be shown again.
    ///
    /// Not part of it: whether it was seen before, and the nonce.
    pub fn check(&self, expected: &Expected<'_>, now: SystemTime) -> Result<SystemTime, DpopError> {
        let token = &self.token;
        // RFC 7515, section 4.1.9: media types are compared without case.
        if !token
            .typ()
            .is_some_and(|typ| typ.eq_ignore_ascii_case("dpop+jwt"))
        {
            return Err(DpopError::Type);
        }
        let algorithms = expected.algorithms.intersection(Algorithms::ASYMMETRIC);
        if !algorithms.contains(token.algorithm()) {
            return Err(DpopError::Algorithm);
        }
        let key = self.key()?;
        self.id()?;
        if self.text("htm")?.as_bytes() != expected.method {
            return Err(DpopError::Method);
        }
        if !expected.target.is(self.text("htu")?) {
            return Err(DpopError::Target);
        }
        let until = self.check_time(expected, now)?;
        if let Some(access_token) = expected.token {
            let hash = base64url::encode(Sha256::digest(access_token));
            if self.text("ath")? != hash {
                return Err(DpopError::OtherToken);
            }
        }
        if expected.key.is_some_and(|expected| expected != key) {
            return Err(DpopError::OtherKey);
        }
        self.check_signature(algorithms)?;
        Ok(until)
    }

    fn check_time(
        &self,
        expected: &Expected<'_>,
        now: SystemTime,
    ) -> Result<SystemTime, DpopError> {
        let made = self
            .token
            .claims()
            .issued_at()
            .ok_or(DpopError::Claim("iat"))?;
        let shift = |time: SystemTime, by| time.checked_add(by).ok_or(DpopError::Claim("iat"));
        let until = shift(shift(made, expected.max_age)?, expected.clock_skew)?;
        if now > until {
            return Err(DpopError::TooOld);
        }
        if made > shift(now, expected.clock_skew)? {
            return Err(DpopError::TooNew);
        }
        Ok(until)
    }

    /// By the key in the header, which is followed here and nowhere else: it proves
    /// nothing by itself, only together with the token that names its thumbprint.
    fn check_signature(&self, algorithms: Algorithms) -> Result<(), DpopError> {
        let mut jwk = self.jwk()?.clone();
        match self.token.key_id() {
            Some(id) => jwk.insert("kid".to_owned(), id.into()),
            None => jwk.remove("kid"),
        };
        let set = serde_json::json!({ "keys": [jwk] }).to_string();
        let keys = KeySet::from_jwks(set.as_bytes()).map_err(|_| DpopError::Key)?;
        keys.verify(&self.token, algorithms)
            .map_err(DpopError::Signature)
    }

    fn jwk(&self) -> Result<&serde_json::Map<String, serde_json::Value>, DpopError> {
        let jwk = self
            .token
            .header()
            .get("jwk")
            .and_then(|jwk| jwk.as_object());
        jwk.filter(|jwk| PRIVATE.iter().all(|member| !jwk.contains_key(*member)))
            .ok_or(DpopError::Key)
    }

    fn text(&self, claim: &'static str) -> Result<&str, DpopError> {
        let value = self
            .token
            .claims()
            .get(claim)
            .and_then(|value| value.as_str());
        value.ok_or(DpopError::Claim(claim))
    }
}

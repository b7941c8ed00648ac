//! What a refused client is told in `WWW-Authenticate`: RFC 6750, section 3, with
//! what RFC 9449 (section 7.1) and RFC 9470 (section 3) add to it.

use std::fmt::{self, Write as _};
use std::time::Duration;

use legation_jose::{Algorithm, Algorithms};

/// A challenge. What is empty or `None` is left out.
#[derive(Debug, Clone, Default)]
pub struct Challenge<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// What the client's credentials are for.
    pub realm: &'a str,
    /// What is wrong with the token; nothing where there was none.
    pub error: Option<ErrorCode>,
    /// The same, for people.
    pub description: &'a str,
    /// The scopes that access needs, separated by spaces.
    pub scope: &'a str,
    /// The `acr` of which one is needed.
    pub acr_values: &'a [String],
    /// How long ago the sign-in may be.
    pub max_age: Option<Duration>,
    /// The algorithms of proofs, for [`Scheme::Dpop`].
    pub algorithms: Algorithms,
}

/// How the client may try again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scheme {
    /// With a token that is enough by itself.
    #[default]
    Bearer,
    /// With a token and a proof.
    Dpop,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// The request is malformed: 400 (RFC 6750, section 3.1).
    InvalidRequest,
    /// The token is expired, revoked, malformed or otherwise not valid: 401 (there).
    InvalidToken,
    /// The token is valid and not enough: 403 (there).
    InsufficientScope,
    /// The subject must sign in again, or better: 401 (RFC 9470, section 3).
    InsufficientUserAuthentication,
    /// The proof is missing or not valid: 401 (RFC 9449, section 7.1).
    InvalidDpopProof,
    /// The proof needs the nonce in `DPoP-Nonce`: 401 (RFC 9449, section 9).
    UseDpopNonce,
}

impl ErrorCode {
    /// As it stands in a challenge.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::InsufficientUserAuthentication => "insufficient_user_authentication",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
        }
    }

    /// The status of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::InsufficientScope => 403,
            _ => 401,
        }
    }
}

impl fmt::Display for Challenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.scheme {
            Scheme::Bearer => "Bearer",
            Scheme::Dpop => "DPoP",
        })?;
        let mut parameters = Parameters { f, any: false };
        parameters.quoted("realm", self.realm)?;
        parameters.quoted("error", self.error.map_or("", ErrorCode::as_str))?;
        parameters.quoted("error_description", self.description)?;
        parameters.quoted("scope", self.scope)?;
        parameters.list("acr_values", self.acr_values.iter().map(String::as_str))?;
        if let Some(max_age) = self.max_age {
            parameters.name("max_age")?;
            // RFC 9470 has it as a quoted string in its own example.
            write!(parameters.f, "\"{}\"", max_age.as_secs())?;
        }
        if self.scheme == Scheme::Dpop {
            parameters.list("algs", self.algorithms.iter().map(Algorithm::name))?;
        }
        Ok(())
    }
}

struct Parameters<'f, 'g> {
    f: &'f mut fmt::Formatter<'g>,
    any: bool,
}

impl Parameters<'_, '_> {
    fn name(&mut self, name: &str) -> fmt::Result {
        let before = if self.any { ", " } else { " " };
        self.any = true;
        write!(self.f, "{before}{name}=")
    }

    fn quoted(&mut self, name: &str, text: &str) -> fmt::Result {
        self.list(name, (!text.is_empty()).then_some(text).into_iter())
    }

    /// Words in one quoted string (RFC 9110, section 5.6.4). What may not stand
    /// there, or in a header at all, becomes a question mark.
    fn list<'a>(&mut self, name: &str, words: impl Iterator<Item = &'a str>) -> fmt::Result {
        let mut words = words.peekable();
        if words.peek().is_none() {
            return Ok(());
        }
        self.name(name)?;
        self.f.write_char('"')?;
        let mut first = true;
        for word in words {
            if !first {
                self.f.write_char(' ')?;
            }
            first = false;
            for char in word.chars() {
                match char {
                    '"' | '\\' => write!(self.f, "\\{char}")?,
                    ' '..='~' => self.f.write_char(char)?,
                    _ => self.f.write_char('?')?,
                }
            }
        }
        self.f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn challenges_are_those_of_the_rfcs() {
        let algorithms = Algorithms::of(&[Algorithm::ES256, Algorithm::PS256]);
        let acr_values = ["urn:a".to_owned(), "urn:b".to_owned()];
        for (challenge, expected) in [
            // RFC 6750, section 3.
            (
                Challenge {
                    realm: "example",
                    ..Challenge::default()
                },
                r#"Bearer realm="example""#,
            ),
            (
                Challenge {
                    realm: "example",
                    error: Some(ErrorCode::InvalidToken),
                    description: "The access token expired",
                    ..Challenge::default()
                },
                r#"Bearer realm="example", error="invalid_token", error_description="The access token expired""#,
            ),
            (
                Challenge {
                    error: Some(ErrorCode::InsufficientScope),
                    scope: "orders:read orders:write",
                    algorithms,
                    ..Challenge::default()
                },
                r#"Bearer error="insufficient_scope", scope="orders:read orders:write""#,
            ),
            // RFC 9449, sections 7.1 (its order) and 9.
            (
                Challenge {
                    scheme: Scheme::Dpop,
                    algorithms,
                    ..Challenge::default()
                },
                r#"DPoP algs="PS256 ES256""#,
            ),
            (
                Challenge {
                    scheme: Scheme::Dpop,
                    error: Some(ErrorCode::InvalidToken),
                    description: "Invalid DPoP key binding",
                    algorithms: Algorithms::of(&[Algorithm::ES256]),
                    ..Challenge::default()
                },
                r#"DPoP error="invalid_token", error_description="Invalid DPoP key binding", algs="ES256""#,
            ),
            (
                Challenge {
                    scheme: Scheme::Dpop,
                    error: Some(ErrorCode::UseDpopNonce),
                    description: "Resource server requires nonce in DPoP proof",
                    ..Challenge::default()
                },
                r#"DPoP error="use_dpop_nonce", error_description="Resource server requires nonce in DPoP proof""#,
            ),
            // RFC 9470, section 3.
            (
                Challenge {
                    error: Some(ErrorCode::InsufficientUserAuthentication),
                    description: "A different authentication level is required",
                    acr_values: &acr_values[..1],
                    ..Challenge::default()
                },
                r#"Bearer error="insufficient_user_authentication", error_description="A different authentication level is required", acr_values="urn:a""#,
            ),
            (
                Challenge {
                    error: Some(ErrorCode::InsufficientUserAuthentication),
                    acr_values: &acr_values,
                    max_age: Some(Duration::from_secs(5)),
                    ..Challenge::default()
                },
                r#"Bearer error="insufficient_user_authentication", acr_values="urn:a urn:b", max_age="5""#,
            ),
            (Challenge::default(), "Bearer"),
        ] {
            assert_eq!(challenge.to_string(), expected);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn nothing_breaks_out_of_its_quotes() {
        let challenge = Challenge {
            realm: "a\", error=\"none\\",
            description: "b\r\nset-cookie: c\0é",
            ..Challenge::default()
        };
        assert_eq!(
            challenge.to_string(),
            r#"Bearer realm="a\", error=\"none\\", error_description="b??set-cookie: c??""#
        );
    }
}

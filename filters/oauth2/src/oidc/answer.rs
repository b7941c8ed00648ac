//! What is read of a provider's answers: no more than the standards have in them, and
//! nothing that two readers could understand differently.

use std::fmt;

use legation::callout::HttpResponse;
use legation_jose::{Limits, json};
use serde_json::{Map, Value};

use super::error::{ClientError, Flaw, Why};

/// The longest token that is taken, in bytes.
const LONGEST_TOKEN: usize = 16_384;

/// The longest `request_uri`, in bytes.
const LONGEST_REQUEST_URI: usize = 2_048;

/// The longest that a token is said to live: 100 years, in seconds.
const LONGEST_LIFE: u64 = 3_155_760_000;

/// Words for a refusal: RFC 6749 sections 4.1.2.1 and 5.2, RFC 8707 section 2, RFC 9126
/// section 2.3 and RFC 6750 section 3.1. Behind them, what GitHub says in their place.
const WORDS: [(&str, &str); 15] = [
    ("invalid_request", "invalid_request"),
    ("invalid_client", "invalid_client"),
    ("invalid_grant", "invalid_grant"),
    ("unauthorized_client", "unauthorized_client"),
    ("unsupported_grant_type", "unsupported_grant_type"),
    ("unsupported_response_type", "unsupported_response_type"),
    ("invalid_scope", "invalid_scope"),
    ("access_denied", "access_denied"),
    ("invalid_target", "invalid_target"),
    ("invalid_redirect_uri", "invalid_redirect_uri"),
    ("invalid_token", "invalid_token"),
    ("insufficient_scope", "insufficient_scope"),
    ("bad_verification_code", "invalid_grant"),
    ("bad_refresh_token", "invalid_grant"),
    ("incorrect_client_credentials", "invalid_client"),
];

/// An answer, unread.
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) content_type: &'a [u8],
    pub(super) body: &'a [u8],
}

/// What the token endpoint gave.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// The access token, whose type is `Bearer`: visible ASCII.
    pub(crate) access_token: Box<str>,
    /// In how many seconds it expires, if that is said.
    pub(crate) expires_in: Option<u64>,
    /// The refresh token, if there is one: printable ASCII.
    pub(crate) refresh_token: Option<Box<str>>,
    /// In how many seconds that expires, if it is said: `refresh_expires_in` (Keycloak,
    /// whose 0 is never) or `refresh_token_expires_in` (GitHub, Microsoft).
    pub(crate) refresh_expires_in: Option<u64>,
    /// The ID token, unverified.
    pub(crate) id_token: Option<Box<str>>,
    /// What was granted, where that is not what was asked for.
    pub(crate) scope: Option<Box<str>>,
}

/// Says nothing of the tokens themselves.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("expires_in", &self.expires_in)
            .field("has_refresh_token", &self.refresh_token.is_some())
            .field("has_id_token", &self.id_token.is_some())
            .finish_non_exhaustive()
    }
}

impl<'a> Answer<'a> {
    pub(super) fn of(response: &'a HttpResponse) -> Self {
        Self {
            status: response.status(),
            content_type: response.header("content-type").unwrap_or_default(),
            body: response.body(),
        }
    }

    /// Of the token endpoint (RFC 6749 sections 5.1 and 5.2).
    pub(super) fn tokens(&self) -> Result<Tokens, ClientError> {
        let members = self.granted(&[200])?;
        let members = Members(&members);
        let kind = members.text("token_type", 64)?;
        let kind = kind.ok_or(Flaw::Missing("token_type"))?;
        if !kind.eq_ignore_ascii_case("Bearer") {
            return Err(Flaw::Member("token_type").into());
        }
        let visible = |text: &&str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let printable = |text: &&str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let token = |name, is_allowed: fn(&&str) -> bool| {
            let text = members.text(name, LONGEST_TOKEN)?;
            match text {
                Some(text) if text.is_empty() || !is_allowed(&text) => Err(Flaw::Member(name)),
                text => Ok(text.map(Box::from)),
            }
        };
        let refresh_expires_in = match members.seconds("refresh_expires_in")? {
            None => members.seconds("refresh_token_expires_in")?,
            given => given,
        };
        Ok(Tokens {
            access_token: token("access_token", visible)?.ok_or(Flaw::Missing("access_token"))?,
            expires_in: members.seconds("expires_in")?,
            refresh_token: token("refresh_token", printable)?,
            refresh_expires_in: refresh_expires_in.filter(|seconds| *seconds > 0),
            id_token: token("id_token", visible)?,
            scope: members.text("scope", LONGEST_TOKEN)?.map(Box::from),
        })
    }

    /// Of the endpoint that requests are pushed to (RFC 9126 section 2.2).
    pub(super) fn request_uri(&self) -> Result<String, ClientError> {
        let members = self.granted(&[201, 200])?;
        let uri = Members(&members).text("request_uri", LONGEST_REQUEST_URI)?;
        let uri = uri.ok_or(Flaw::Missing("request_uri"))?;
        if uri.is_empty() || !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Flaw::Member("request_uri").into());
        }
        Ok(uri.to_owned())
    }

    /// Of the `UserInfo` endpoint (`OpenID` Connect Core 1.0 section 5.3.2). One that is
    /// signed is not read.
    pub(super) fn userinfo(
        &self,
        subject: Option<&str>,
    ) -> Result<Map<String, Value>, ClientError> {
        match self.status {
            // RFC 6750 section 3.1. What stands in the body is up to anyone.
            401 => return Err(refused("invalid_token")),
            403 => return Err(refused("insufficient_scope")),
            _ => {}
        }
        let mut claims = self.granted(&[200])?;
        match (subject, claims.get("sub")) {
            (Some(subject), Some(Value::String(sub))) if sub == subject => {}
            (Some(_), Some(Value::String(_))) => return Err(Flaw::Subject.into()),
            (None, Some(Value::String(sub))) if !sub.is_empty() => {}
            (None, None) => {
                let id = match claims.get("id") {
                    Some(Value::String(id)) if !id.is_empty() => id.clone(),
                    Some(Value::Number(id)) if id.is_u64() => id.to_string(),
                    _ => return Err(Flaw::Missing("sub").into()),
                };
                claims.insert("sub".to_owned(), id.into());
            }
            (_, None) => return Err(Flaw::Missing("sub").into()),
            _ => return Err(Flaw::Member("sub").into()),
        }
        Ok(claims)
    }

    /// The members of an answer that grants something, by one of these statuses.
    fn granted(&self, statuses: &[u16]) -> Result<Map<String, Value>, ClientError> {
        match self.status {
            status if statuses.contains(&status) => {
                let members = self.object()?;
                // GitHub refuses by a status that grants.
                match members.get("error") {
                    None | Some(Value::Null) => Ok(members),
                    Some(word) => Err(refusal(word, status)),
                }
            }
            status @ (408 | 429 | 500..) => Err(ClientError::Unavailable(Why::Status(status))),
            status @ 400..=499 => {
                // A page of whoever stands before the provider is no word of the provider's.
                let members = self.object().map_err(|_| Flaw::Status(status))?;
                let word = members.get("error").ok_or(Flaw::Status(status))?;
                Err(refusal(word, status))
            }
            status => Err(Flaw::Status(status).into()),
        }
    }

    fn object(&self) -> Result<Map<String, Value>, Flaw> {
        let media_type = self.content_type.split(|byte| *byte == b';').next();
        let media_type = media_type.unwrap_or_default().trim_ascii();
        if !media_type.eq_ignore_ascii_case(b"application/json") {
            return Err(Flaw::ContentType);
        }
        json::object(self.body, Limits::default().max_depth).map_err(Flaw::Json)
    }
}

/// What an `error` of this answer stands for.
fn refusal(word: &Value, status: u16) -> ClientError {
    match word.as_str() {
        // RFC 6749 section 4.1.2.1, which some say here too: nothing is decided.
        Some("server_error" | "temporarily_unavailable") => {
            ClientError::Unavailable(Why::Status(status))
        }
        Some(word) => {
            let known = WORDS.iter().find(|(written, _)| *written == word);
            ClientError::Refused {
                error: known.map(|(_, meant)| *meant),
            }
        }
        None => Flaw::Member("error").into(),
    }
}

fn refused(word: &'static str) -> ClientError {
    ClientError::Refused { error: Some(word) }
}

/// An answer's members, each read as what it must be. `null` is absent.
struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &'static str, longest: usize) -> Result<Option<&'a str>, Flaw> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= longest => Ok(Some(text)),
            Some(_) => Err(Flaw::Member(name)),
        }
    }

    /// A number of seconds, which some write as text.
    fn seconds(&self, name: &'static str) -> Result<Option<u64>, Flaw> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let seconds = match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok()
            }
            _ => None,
        };
        let seconds = seconds.ok_or(Flaw::Member(name))?;
        Ok(Some(seconds.min(LONGEST_LIFE)))
    }
}

#[cfg(test)]
mod tests;

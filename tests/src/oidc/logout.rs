//! What it tells its clients of those who have left (OpenID Connect Back-Channel Logout 1.0).

use serde_json::json;

use super::FakeProvider;
use crate::jwt::{Claims, now};

/// The member of `events` that makes a token one of logout.
pub const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

impl FakeProvider {
    /// A good logout token to be: of nobody yet, so add `sid` or `sub`. It says by its header that it is one.
    pub fn logout_claims(&self) -> Claims {
        let mut state = self.state();
        state.count += 1;
        let id = format!("logout-{}-{}", state.count, now());
        Claims::from(json!({
            "iss": state.issuer,
            "aud": state.behaviour.client_id,
            "iat": now(),
            "exp": now() + 120,
            "jti": id,
            "events": {(LOGOUT_EVENT): {}},
        }))
        .header("typ", "logout+jwt")
    }

    /// A token signed by its key.
    pub fn signed(&self, claims: &Claims) -> String {
        claims.signed_by(&self.key())
    }
}

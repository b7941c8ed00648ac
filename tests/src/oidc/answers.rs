//! What each endpoint answers.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{Endpoint, Form, Grant, RefreshTokens, State, challenge, form, hash};
use crate::jwt::{Claims, base64url, jwks, now};
use crate::message::Received;
use crate::upstream::Reply;
use crate::visitor::Url;

/// An error as RFC 6749, section 5.2, has it, and what a person reads.
type Refusal = (&'static str, &'static str);

impl State {
    pub(super) fn reply(&mut self, received: &Received) -> Reply {
        let Some(endpoint) = Endpoint::of(&received.path) else {
            return Reply::status(404).body("no such page");
        };
        let mode = self.modes.get(&endpoint).cloned().unwrap_or_default();
        // The text of an answer that is cut or filled up is that of a good one.
        let text = match endpoint {
            Endpoint::Discovery => self.metadata(),
            Endpoint::Keys => self.jwks(),
            _ => json!({"access_token": "x", "token_type": "Bearer", "expires_in": 60}),
        };
        mode.reply(|| self.right(endpoint, received), || text.to_string())
    }

    fn right(&mut self, endpoint: Endpoint, received: &Received) -> Reply {
        let form = form(received);
        match endpoint {
            Endpoint::Discovery => Reply::json(&self.metadata()),
            Endpoint::Keys => Reply::json(&self.jwks()),
            Endpoint::Authorization => self.authorize(&form),
            Endpoint::Token => answer(self.token(received, &form)),
            Endpoint::UserInfo => self.userinfo(received),
            Endpoint::PushedRequests => match self.push(received, form) {
                Ok(value) => Reply::status(201)
                    .header("content-type", "application/json")
                    .body(value.to_string()),
                refusal => answer(refusal),
            },
            Endpoint::EndSession => end_session(&form),
        }
    }

    fn jwks(&self) -> Value {
        jwks(&self.published.iter().collect::<Vec<_>>())
    }

    fn metadata(&self) -> Value {
        let uri = |endpoint: Endpoint| format!("{}{}", self.issuer, endpoint.path());
        let mut metadata = json!({
            "issuer": self.issuer,
            "authorization_endpoint": uri(Endpoint::Authorization),
            "token_endpoint": uri(Endpoint::Token),
            "userinfo_endpoint": uri(Endpoint::UserInfo),
            "jwks_uri": uri(Endpoint::Keys),
            "pushed_authorization_request_endpoint": uri(Endpoint::PushedRequests),
            "end_session_endpoint": uri(Endpoint::EndSession),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256", "RS256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "backchannel_logout_supported": true,
            "backchannel_logout_session_supported": true,
        });
        for (name, value) in &self.behaviour.metadata {
            metadata[name] = value.clone();
        }
        if let Value::Object(members) = &mut metadata {
            members.retain(|_, value| !value.is_null());
        }
        metadata
    }

    fn next(&mut self, what: &str) -> String {
        self.count += 1;
        // Long enough that no log has it by chance, and with letters that have to be escaped.
        let random = base64url(hash(&format!("{}{}{:?}", self.issuer, self.count, now())));
        format!("{what}+{random}/{}=", self.count)
    }

    fn authorize(&mut self, form: &Form) -> Reply {
        let page = |why: &str| Reply::status(400).body(why);
        let pushed = form.get("request_uri").map(|uri| self.pushed.remove(uri));
        let form = match pushed {
            Some(None) => return page("no such request_uri"),
            Some(Some(pairs)) => &Form(pairs),
            None => form,
        };
        if form.get("client_id") != Some(&self.behaviour.client_id) {
            return page("no such client");
        }
        let Some(redirect_uri) = form.get("redirect_uri") else {
            return page("no redirect_uri");
        };
        let Ok(back) = Url::parse(redirect_uri) else {
            return page("redirect_uri is no address");
        };
        if form.get("response_type") != Some("code") {
            return page("response_type is not `code`");
        }
        let mut back = back.with_parameter("iss", self.behaviour.iss.as_deref());
        if let Some(state) = form.get("state") {
            back = back.with_parameter("state", Some(state));
        }
        if let Some(error) = &self.behaviour.refuses {
            back = back.with_parameter("error", Some(error));
            back = back.with_parameter("error_description", Some("<b>no</b> entry"));
        } else {
            let code = self.next("code");
            let own = |name: &str| form.get(name).map(str::to_owned);
            let grant = Grant {
                subject: self.behaviour.subject.clone(),
                nonce: own("nonce"),
                redirect_uri: redirect_uri.to_owned(),
                challenge: own("code_challenge"),
                scope: own("scope").unwrap_or_default(),
            };
            self.codes.insert(code.clone(), grant);
            back = back.with_parameter("code", Some(&code));
        }
        Reply::status(302).header("location", back.to_string())
    }

    fn push(&mut self, received: &Received, form: Form) -> Result<Value, Refusal> {
        self.authenticate(received, &form)?;
        // However it is authenticated (RFC 9126, section 2.1).
        if form.get("client_id") != Some(&self.behaviour.client_id) {
            return Err(("invalid_request", "no client_id"));
        }
        let uri = format!("urn:ietf:params:oauth:request_uri:{}", self.next("pushed"));
        self.pushed.insert(uri.clone(), form.0);
        Ok(json!({"request_uri": uri, "expires_in": 60}))
    }

    fn token(&mut self, received: &Received, form: &Form) -> Result<Value, Refusal> {
        if received.method != "POST" {
            return Err(("invalid_request", "it is no POST"));
        }
        self.authenticate(received, form)?;
        let grant = match form.get("grant_type") {
            Some("authorization_code") => self.exchange(form)?,
            Some("refresh_token") => self.refreshed(form)?,
            _ => return Err(("unsupported_grant_type", "")),
        };
        Ok(self.tokens(form, &grant))
    }

    /// RFC 6749, section 2.3.1; a client without a secret names itself.
    fn authenticate(&self, received: &Received, form: &Form) -> Result<(), Refusal> {
        let id = self.behaviour.client_id.as_str();
        let Some(secret) = self.behaviour.client_secret.as_deref() else {
            let named = form.get("client_id") == Some(id);
            return if named {
                Ok(())
            } else {
                Err(("invalid_client", "another client"))
            };
        };
        let escape =
            |text| form_urlencoded::byte_serialize(str::as_bytes(text)).collect::<String>();
        let basic = BASE64_STANDARD.encode(format!("{}:{}", escape(id), escape(secret)));
        let by_header = received.headers.text("authorization") == Some(format!("Basic {basic}"));
        let by_body =
            form.get("client_id") == Some(id) && form.get("client_secret") == Some(secret);
        match (by_header, by_body) {
            (true, false) | (false, true) => Ok(()),
            (true, true) => Err(("invalid_request", "two ways to authenticate")),
            (false, false) => Err(("invalid_client", "another client, or another secret")),
        }
    }

    fn exchange(&mut self, form: &Form) -> Result<Grant, Refusal> {
        let code = form.get("code").unwrap_or_default();
        let Some(grant) = self.codes.get(code).cloned() else {
            return Err(("invalid_grant", "no such code"));
        };
        if !self.behaviour.takes_codes_again {
            self.codes.remove(code);
        }
        self.used_codes.insert(code.to_owned(), grant.clone());
        if form.get("redirect_uri") != Some(&grant.redirect_uri) {
            return Err(("invalid_grant", "another redirect_uri"));
        }
        let verifier = form.get("code_verifier").unwrap_or_default();
        if grant.challenge.as_deref() != Some(&challenge(verifier)) {
            return Err(("invalid_grant", "another code_verifier"));
        }
        Ok(grant)
    }

    fn refreshed(&mut self, form: &Form) -> Result<Grant, Refusal> {
        let token = form.get("refresh_token").unwrap_or_default();
        let found = match self.behaviour.refresh_tokens {
            RefreshTokens::Rotating => self.refresh.remove(token),
            RefreshTokens::Kept => self.refresh.get(token).cloned(),
            RefreshTokens::None => None,
        };
        found.ok_or(("invalid_grant", "no such refresh token"))
    }

    fn tokens(&mut self, form: &Form, grant: &Grant) -> Value {
        let first = form.get("grant_type") == Some("authorization_code");
        let access_token = self.next("access");
        self.access.insert(access_token.clone(), grant.clone());
        let mut answer = json!({"access_token": access_token, "token_type": "Bearer"});
        if let Some(seconds) = self.behaviour.expires_in {
            answer["expires_in"] = json!(seconds);
            let ends = Instant::now() + Duration::from_secs(seconds);
            self.ends.insert(access_token.clone(), ends);
        }
        let gives = match self.behaviour.refresh_tokens {
            RefreshTokens::None => false,
            RefreshTokens::Rotating => true,
            RefreshTokens::Kept => first,
        };
        if gives {
            let token = self.next("refresh");
            self.refresh.insert(token.clone(), grant.clone());
            answer["refresh_token"] = json!(token);
        }
        if grant.scope.split(' ').any(|scope| scope == "openid") {
            answer["id_token"] = json!(self.id_token(grant, &access_token, first));
        }
        if let Some(edit) = &self.edit_answer {
            edit(&mut answer);
        }
        answer
    }

    fn id_token(&self, grant: &Grant, access_token: &str, first: bool) -> String {
        let behaviour = &self.behaviour;
        let at_hash = hash(access_token);
        let mut claims = Claims::of(&self.issuer)
            .claim("sub", grant.subject.clone())
            .audience(behaviour.client_id.clone())
            .claim("iat", now())
            .claim("auth_time", now())
            .claim("at_hash", base64url(&at_hash[..16]));
        // A refreshed one should have none (OpenID Connect Core, section 12.2).
        let asked = grant.nonce.clone().filter(|_| first);
        if let Some(nonce) = behaviour.nonce.clone().or(asked) {
            claims = claims.claim("nonce", nonce);
        }
        if let Some(session) = &behaviour.session {
            claims = claims.claim("sid", session.clone());
        }
        for (name, value) in &behaviour.claims {
            claims = claims.claim(name, value.clone());
        }
        if let Some(edit) = &self.edit_id_token {
            claims = edit(claims);
        }
        claims.signed_by(behaviour.signs_by.as_ref().unwrap_or(&self.key))
    }

    fn userinfo(&self, received: &Received) -> Reply {
        let authorization = received.headers.text("authorization").unwrap_or_default();
        let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
        let Some(grant) = self.access.get(token) else {
            let challenge = r#"Bearer error="invalid_token""#;
            return Reply::status(401).header("www-authenticate", challenge);
        };
        let mut claims = self.behaviour.claims.clone();
        claims.insert("sub".to_owned(), json!(grant.subject));
        Reply::json(&Value::Object(claims))
    }
}

fn answer(outcome: Result<Value, Refusal>) -> Reply {
    match outcome {
        Ok(value) => Reply::json(&value).header("cache-control", "no-store"),
        Err((error, description)) => {
            let status = if error == "invalid_client" { 401 } else { 400 };
            Reply::status(status)
                .header("content-type", "application/json")
                .body(json!({"error": error, "error_description": description}).to_string())
        }
    }
}

/// OpenID Connect RP-Initiated Logout 1.0, section 2.
fn end_session(form: &Form) -> Reply {
    let Some(back) = form.get("post_logout_redirect_uri") else {
        return Reply::ok().body("signed out");
    };
    match Url::parse(back) {
        Ok(back) => {
            let state = form.get("state");
            let back = match state {
                Some(_) => back.with_parameter("state", state),
                None => back,
            };
            Reply::status(302).header("location", back.to_string())
        }
        Err(_) => Reply::status(400).body("post_logout_redirect_uri is no address"),
    }
}

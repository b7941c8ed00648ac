use legation_jose::json::JsonError;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

fn answer(status: u16, body: &str) -> Answer<'_> {
    Answer {
        status,
        content_type: b"application/json;charset=UTF-8",
        body: body.as_bytes(),
    }
}

fn tokens(body: &str) -> Result<Tokens, ClientError> {
    answer(200, body).tokens()
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_are_read_as_providers_write_them() {
    let all = tokens(
        r#"{"access_token": "a.b", "token_type": "bearer", "expires_in": 300, "scope": "openid",
            "refresh_token": "r f", "refresh_expires_in": 1800, "id_token": "x.y.z",
            "not-before-policy": 0, "session_state": "s", "authorization_details": [{"type": "t"}]}"#,
    )
    .unwrap();
    assert_eq!(&*all.access_token, "a.b");
    assert_eq!(all.refresh_token.as_deref(), Some("r f"));
    assert_eq!(all.id_token.as_deref(), Some("x.y.z"));
    assert_eq!(all.scope.as_deref(), Some("openid"));
    assert_eq!(
        (all.expires_in, all.refresh_expires_in),
        (Some(300), Some(1800))
    );

    // Lifetimes as text (Microsoft), a refresh token that is for ever (Keycloak), and
    // members that are there and nothing.
    let odd = tokens(
        r#"{"access_token": "a", "token_type": "Bearer", "expires_in": "3599",
            "refresh_expires_in": 0, "refresh_token": null, "id_token": null}"#,
    )
    .unwrap();
    assert_eq!((odd.expires_in, odd.refresh_expires_in), (Some(3599), None));
    assert_eq!((odd.refresh_token, odd.id_token), (None, None));

    let endless = tokens(
        r#"{"access_token": "a", "token_type": "Bearer", "expires_in": 18446744073709551615}"#,
    );
    assert_eq!(endless.unwrap().expires_in, Some(LONGEST_LIFE));
}

#[wasm_bindgen_test(unsupported = test)]
fn no_token_is_in_the_debug_text() {
    let tokens = tokens(
        r#"{"access_token": "hush1", "token_type": "Bearer", "refresh_token": "hush2", "id_token": "hush3"}"#,
    );
    let text = format!("{:?}", tokens.unwrap());
    assert!(
        text.contains("has_refresh_token: true") && !text.contains("hush"),
        "{text}"
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_answer_with_tokens_is_refused() {
    let long = "a".repeat(LONGEST_TOKEN + 1);
    let too_long = format!(r#"{{"access_token": "{long}", "token_type": "Bearer"}}"#);
    for (body, flaw) in [
        ("", Flaw::Json(JsonError::Malformed)),
        ("<html>", Flaw::Json(JsonError::Malformed)),
        ("[]", Flaw::Json(JsonError::NoObject)),
        ("{}", Flaw::Missing("token_type")),
        (r#"{"token_type": "Bearer"}"#, Flaw::Missing("access_token")),
        (r#"{"access_token": "a"}"#, Flaw::Missing("token_type")),
        (
            r#"{"access_token": "a", "token_type": "DPoP"}"#,
            Flaw::Member("token_type"),
        ),
        (
            r#"{"access_token": "a", "access_token": "b", "token_type": "Bearer"}"#,
            Flaw::Json(JsonError::Duplicate),
        ),
        (
            r#"{"access_token": "", "token_type": "Bearer"}"#,
            Flaw::Member("access_token"),
        ),
        (
            r#"{"access_token": ["a"], "token_type": "Bearer"}"#,
            Flaw::Member("access_token"),
        ),
        (
            r#"{"access_token": "a\r\nx: y", "token_type": "Bearer"}"#,
            Flaw::Member("access_token"),
        ),
        (
            r#"{"access_token": "ä", "token_type": "Bearer"}"#,
            Flaw::Member("access_token"),
        ),
        (&too_long, Flaw::Member("access_token")),
        (
            r#"{"access_token": "a", "token_type": "Bearer", "refresh_token": ""}"#,
            Flaw::Member("refresh_token"),
        ),
        (
            r#"{"access_token": "a", "token_type": "Bearer", "id_token": {}}"#,
            Flaw::Member("id_token"),
        ),
        (
            r#"{"access_token": "a", "token_type": "Bearer", "expires_in": -1}"#,
            Flaw::Member("expires_in"),
        ),
        (
            r#"{"access_token": "a", "token_type": "Bearer", "expires_in": "soon"}"#,
            Flaw::Member("expires_in"),
        ),
        (
            r#"{"access_token": "a", "token_type": "Bearer", "expires_in": ""}"#,
            Flaw::Member("expires_in"),
        ),
    ] {
        assert_eq!(tokens(body), Err(ClientError::Answer(flaw)), "{body}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_not_said_to_be_json_is_not_read() {
    let body = br#"{"access_token": "a", "token_type": "Bearer"}"#;
    for (content_type, is_read) in [
        ("application/json", true),
        ("Application/JSON ; charset=utf-8", true),
        ("text/html", false),
        ("application/jwt", false),
        ("application/json-seq", false),
        ("", false),
    ] {
        let answer = Answer {
            status: 200,
            content_type: content_type.as_bytes(),
            body,
        };
        assert_eq!(answer.tokens().is_ok(), is_read, "{content_type}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refusal_is_told_by_words_that_are_known() {
    let refused = |error| Err(ClientError::Refused { error });
    let unavailable = |status| Err(ClientError::Unavailable(Why::Status(status)));
    for (status, body, told) in [
        (
            400,
            r#"{"error": "invalid_grant"}"#,
            refused(Some("invalid_grant")),
        ),
        (
            401,
            r#"{"error": "invalid_client"}"#,
            refused(Some("invalid_client")),
        ),
        (400, r#"{"error": "<script>"}"#, refused(None)),
        (
            200,
            r#"{"error": "bad_verification_code"}"#,
            refused(Some("invalid_grant")),
        ),
        (400, r#"{"error": "server_error"}"#, unavailable(400)),
        (408, "", unavailable(408)),
        (429, r#"{"error": "invalid_grant"}"#, unavailable(429)),
        (500, r#"{"error": "invalid_grant"}"#, unavailable(500)),
        (503, "<html>", unavailable(503)),
        (404, "<html>", Err(Flaw::Status(404).into())),
        (403, r#"{"message": "no"}"#, Err(Flaw::Status(403).into())),
        (302, "", Err(Flaw::Status(302).into())),
        (204, "", Err(Flaw::Status(204).into())),
        (400, r#"{"error": 7}"#, Err(Flaw::Member("error").into())),
    ] {
        assert_eq!(answer(status, body).tokens(), told, "{status} {body}");
    }
    let gone = answer(400, r#"{"error": "invalid_grant"}"#)
        .tokens()
        .unwrap_err();
    assert!(gone.is_invalid_grant());
    assert_eq!(gone.reason(), "invalid_grant");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_pushed_request_has_a_name() {
    let body = r#"{"request_uri": "urn:ietf:params:oauth:request_uri:6", "expires_in": 60}"#;
    for status in [200, 201] {
        let uri = answer(status, body).request_uri().unwrap();
        assert_eq!(uri, "urn:ietf:params:oauth:request_uri:6");
    }
    for body in [
        "{}",
        r#"{"request_uri": ""}"#,
        r#"{"request_uri": "a b"}"#,
        r#"{"request_uri": 6}"#,
    ] {
        assert!(answer(201, body).request_uri().is_err(), "{body}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn userinfo_is_about_whom_it_was_asked() {
    let about = |body, subject| answer(200, body).userinfo(subject);
    let ann = r#"{"sub": "ann", "email": "ann@a.example"}"#;

    assert_eq!(about(ann, Some("ann")).unwrap().len(), 2);
    assert_eq!(about(ann, Some("bob")), Err(Flaw::Subject.into()));
    assert_eq!(about("{}", Some("ann")), Err(Flaw::Missing("sub").into()));
    assert_eq!(
        about(r#"{"sub": 7}"#, Some("7")),
        Err(Flaw::Member("sub").into())
    );
    // Who has no `sub` is known by `id`, where there is no other to hold it to.
    assert_eq!(about(r#"{"id": 583231}"#, None).unwrap()["sub"], "583231");
    assert_eq!(about(ann, None).unwrap()["sub"], "ann");
    for body in [
        "{}",
        r#"{"id": ""}"#,
        r#"{"id": 1.5}"#,
        r#"{"sub": "", "id": 1}"#,
    ] {
        assert!(about(body, None).is_err(), "{body}");
    }
    let told = |status| answer(status, "").userinfo(None).unwrap_err();
    assert_eq!(told(401), refused("invalid_token"));
    assert_eq!(told(503).reason(), "status");
}

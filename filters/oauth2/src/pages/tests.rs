use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::sent::Sent;

const ALL: [Trouble; 13] = [
    Trouble::Unauthorized,
    Trouble::FlowMissing,
    Trouble::FlowExpired,
    Trouble::AccessDenied,
    Trouble::ProviderRefused,
    Trouble::ProviderUnavailable,
    Trouble::TokenInvalid,
    Trouble::Forbidden,
    Trouble::Loop,
    Trouble::BadCallback,
    Trouble::BadPlace,
    Trouble::NotReady,
    Trouble::ForcedSignOut,
];

#[wasm_bindgen_test(unsupported = test)]
fn a_navigation_is_told_from_what_a_script_waits_for() {
    const CHROME: (&str, &str) = (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
    );
    type Case = (&'static [(&'static str, &'static str)], Wants, bool);
    let cases: [Case; 17] = [
        (&[(":method", "GET")], Wants::Page, true),
        (&[(":method", "HEAD")], Wants::Page, true),
        (&[(":method", "GET"), CHROME], Wants::Page, true),
        (
            &[(":method", "GET"), CHROME, ("sec-fetch-mode", "navigate")],
            Wants::Page,
            true,
        ),
        (&[(":method", "GET"), ("accept", "*/*")], Wants::Page, true),
        // A form that was open for too long: its data would be lost on the way.
        (
            &[(":method", "POST"), CHROME, ("sec-fetch-mode", "navigate")],
            Wants::Page,
            false,
        ),
        (&[(":method", "PUT")], Wants::Page, false),
        (&[(":method", "get")], Wants::Page, false),
        (&[], Wants::Page, false),
        (
            &[
                (":method", "GET"),
                ("sec-fetch-mode", "cors"),
                ("accept", "*/*"),
            ],
            Wants::Json,
            false,
        ),
        (
            &[(":method", "GET"), ("sec-fetch-mode", "no-cors"), CHROME],
            Wants::Json,
            false,
        ),
        (
            &[
                (":method", "GET"),
                CHROME,
                ("x-requested-with", "xmlhttprequest"),
            ],
            Wants::Json,
            false,
        ),
        (
            &[
                (":method", "GET"),
                ("accept", "application/json, text/plain, */*"),
            ],
            Wants::Json,
            false,
        ),
        (
            &[(":method", "GET"), ("upgrade", "websocket")],
            Wants::Page,
            false,
        ),
        (
            &[
                (":method", "POST"),
                ("content-type", "application/grpc"),
                CHROME,
            ],
            Wants::Grpc,
            false,
        ),
        (
            &[
                (":method", "GET"),
                ("content-type", "application/grpc+proto"),
            ],
            Wants::Grpc,
            false,
        ),
        (
            &[
                (":method", "POST"),
                ("content-type", "application/grpc-web"),
                ("accept", "application/grpc-web"),
            ],
            Wants::Json,
            false,
        ),
    ];
    for (headers, wants, navigates) in cases {
        let mut sent = Sent(headers.to_vec());
        assert_eq!(Wants::of(&mut sent), Ok(wants), "{headers:?}");
        assert_eq!(is_navigation(&mut sent), Ok(navigates), "{headers:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn each_trouble_has_its_status_and_its_words() {
    let statuses = ALL.map(|trouble| trouble.told().status);
    assert_eq!(
        statuses,
        [
            401, 400, 400, 403, 502, 503, 502, 403, 400, 400, 400, 503, 403
        ]
    );
    for trouble in &ALL {
        for wants in [Wants::Page, Wants::Json, Wants::Grpc] {
            let answer = Answer::failure(trouble, wants, Some("id-1".to_owned()), None);
            let has = |name: &str| answer.headers.iter().find(|(own, _)| *own == name);
            assert_eq!(answer.status, trouble.told().status);
            assert_eq!(has("cache-control"), Some(&("cache-control", "no-store")));
            let challenge = has("www-authenticate").is_some();
            assert_eq!(challenge, answer.status == 401, "{trouble:?}");
            let retries = has("retry-after").is_some();
            assert_eq!(retries, answer.status == 503, "{trouble:?}");
            let is_page = wants == Wants::Page;
            assert_eq!(has("content-security-policy").is_some(), is_page);
            assert_eq!(answer.body.starts_with("<!doctype html>"), is_page);
            let reply = LocalReply::from(answer);
            assert_eq!(reply.status(), trouble.told().status);
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn programs_get_json() {
    let answer = Answer::failure(
        &Trouble::FlowExpired,
        Wants::Json,
        Some("id-1".to_owned()),
        Some("https://a.example/"),
    );
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        body,
        json!({
            "error": "flow_expired",
            "error_description": "For your safety a sign-in has to be finished within a few minutes.",
            "request_id": "id-1"
        })
    );
    let answer = Answer::failure(&Trouble::Unauthorized, Wants::Json, None, None);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body.as_object().unwrap().len(), 2);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_page_goes_on_by_itself_only_to_where_a_link_may_lead() {
    let page = Answer::signed_in("/a?b=1&c=\"x").body;
    let refresh = r#"<meta http-equiv="refresh" content="0;url=/a?b=1&amp;c=&quot;x">"#;
    assert!(page.contains(refresh), "{page}");
    assert!(page.contains(">Go on</a>"));
    assert!(!Answer::signed_in("//evil.example").body.contains("evil"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_page_leads_back_and_nothing_breaks_out_of_it() {
    let page = |url: Option<&str>, id: Option<&str>| {
        Answer::failure(&Trouble::Loop, Wants::Page, id.map(str::to_owned), url).body
    };
    let whole = page(
        Some("https://a.example/b?c=1&d='\"<script>"),
        Some("id\"<>&'"),
    );
    assert!(whole.contains(
        "<a href=\"https://a.example/b?c=1&amp;d=&#39;&quot;&lt;script&gt;\">Try again</a>"
    ));
    assert!(whole.contains("<code>id&quot;&lt;&gt;&amp;&#39;</code>"));
    assert!(whole.contains("<html lang=\"en\">") && whole.contains("<title>"));
    assert!(!whole.contains("<script"));
    for url in ["/a?b", "http://localhost:8080/"] {
        assert!(page(Some(url), None).contains(&format!("href=\"{url}\"")));
    }
    for url in [
        "javascript:alert(1)",
        "//evil.example",
        "/\\evil.example",
        "data:text/html,x",
        "https:evil.example",
        " /a",
        "/a\nb",
        "",
    ] {
        assert!(!page(Some(url), None).contains("href"), "{url}");
    }
    let long = "x".repeat(129);
    for id in ["a b", "\u{e4}", long.as_str()] {
        assert!(!page(None, Some(id)).contains("Request"), "{id}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_policy_lets_the_pages_own_style_through_and_nothing_else() {
    let body = Answer::signed_out(Wants::Page).body;
    let (_, rest) = body.split_once("<style>").unwrap();
    let (style, _) = rest.split_once("</style>").unwrap();
    let hash = BASE64_STANDARD.encode(Sha256::digest(style));
    assert!(
        POLICY.contains(&format!("style-src 'sha256-{hash}';")),
        "{hash}"
    );
    assert!(POLICY.starts_with("default-src 'none';"));
}

#[wasm_bindgen_test(unsupported = test)]
fn who_is_signed_out_is_told_so() {
    let page = Answer::signed_out(Wants::Page);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<h1>You are signed out</h1>"));
    assert_eq!(
        Answer::signed_out(Wants::Json).body,
        r#"{"signed_out":true}"#
    );
    assert_eq!(signed_out(Wants::Page).status(), 200);
    assert_eq!(unauthorized(Wants::Json, None).status(), 401);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_the_provider_says_is_told_apart() {
    for (error, trouble) in [
        ("access_denied", Trouble::AccessDenied),
        ("login_required", Trouble::AccessDenied),
        ("consent_required", Trouble::AccessDenied),
        ("temporarily_unavailable", Trouble::ProviderUnavailable),
        ("server_error", Trouble::ProviderRefused),
        ("invalid_scope", Trouble::ProviderRefused),
        ("<script>", Trouble::ProviderRefused),
    ] {
        assert_eq!(Trouble::refused_by_provider(error), trouble, "{error}");
    }
}

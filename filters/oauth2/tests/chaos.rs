//! A host that answers anything at all, and a provider that does: the filter never panics, and lets no
//! request through of which it could not decide. Configurations of any kind.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use legation_testing::chaos::{Spoiler, case};
use legation_testing::{Answer, Host, Outcome, Request, chaos};
use oauth2::OAuth2;
use serde_json::{Value, json};

/// Cases for each configuration; there are four.
const CASES: u64 = 5_000;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// RFC 7517, appendix A.1.
const KEYS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "kid": "1",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

fn credentials(more: &Value) -> Value {
    let mut credentials = json!({
        "client_id": "gateway",
        "client_secret": {"inline_string": "hush"},
        "cookie_secrets": [{"inline_string": SECRET}, {"inline_string": "another secret of thirty-two bytes"}]
    });
    let members = credentials.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    credentials
}

fn endpoint(path: &str) -> Value {
    json!({"uri": format!("https://login.example{path}"), "cluster": "login", "timeout": "1s"})
}

fn configurations() -> [Value; 4] {
    [
        json!({
            "issuer": "https://login.example",
            "openid_configuration": {"cluster": "login"},
            "credentials": credentials(&json!({})),
            "redirect_uri": "https://app.example/callback",
            "signout_path": "/signout",
            "back_channel_logout": {"path": "/logout"},
            "use_userinfo": true,
            "claim_to_headers": [{"header_name": "x-user", "claim_name": "email"}],
            "allowed_groups": ["staff"],
            "session_lifetime": "12h"
        }),
        json!({
            "issuer": "https://login.example",
            "local_jwks": {"inline_string": KEYS},
            "authorization_endpoint": "https://login.example/authorize?a=b",
            "token_endpoint": endpoint("/token"),
            "userinfo_endpoint": endpoint("/userinfo"),
            "pushed_authorization_request_endpoint": endpoint("/par"),
            "end_session_endpoint": "https://login.example/end",
            "use_pushed_authorization_requests": true,
            "auth_type": "BASIC_AUTH",
            "auth_scopes": ["openid", "email"],
            "authorization_parameters": {"prompt": "login"},
            "resources": ["https://api.example"],
            "id_token": {"allowed_algorithms": ["ES256"], "max_age": "1h"},
            "retry_policy": {"num_retries": 2},
            "circuit_breaker": {"consecutive_failures": 3},
            "credentials": credentials(&json!({"cookie_domain": "example.com", "cookie_names": {"session": "s", "flow": "f"}})),
            "redirect_uri": "https://%REQ(:authority)%/callback",
            "signout_path": "/signout",
            "post_logout_redirect_uri": "https://%REQ(:authority)%/",
            "allowed_redirect_domains": [".example.com"],
            "forward_id_token": {"header": "x-id-token"},
            "preserve_authorization_header": true,
            "pass_through_matcher": [{"path": {"prefix": "/public/"}}],
            "allow_failed_matcher": [{"path": "/a"}],
            "deny_redirect_matcher": [{"headers": [{"name": "x-1", "present": true}]}],
            "rules": [
                {"match": {"path": {"prefix": "/admin/"}}, "allowed_emails": ["a@example.com"]},
                {"match": {"path": "/b"}, "disabled": true},
                {"match": {"percentage": 50}, "required_claims": [{"claim_path": ["a", "b"], "exists": true}]}
            ],
            "groups_claim": "realm.roles",
            "allowed_groups": ["a"],
            "cookie_configs": {"session": {"same_site": "NONE", "partitioned": true}},
            "session_cache": {"size": 1},
            "bypass_cors_preflight": true
        }),
        json!({
            "authorization_endpoint": "https://login.example/authorize",
            "token_endpoint": endpoint("/token"),
            "userinfo_endpoint": endpoint("/user"),
            "credentials": credentials(&json!({})),
            "redirect_uri": "http://localhost/callback",
            "cookie_configs": {"session": {"secure": false}, "flow": {"secure": false}},
            "forward_bearer_token": true,
            "use_refresh_token": false,
            "allowed_email_domains": ["example.com", ".example.org"],
            "stat_prefix": "edge"
        }),
        json!({
            "mode": "report",
            "issuer": "https://login.example",
            "remote_jwks": {"http_uri": {"uri": "https://login.example/keys", "cluster": "keys"}},
            "authorization_endpoint": "https://login.example/authorize",
            "token_endpoint": endpoint("/token"),
            "auth_type": "NONE",
            "credentials": {"client_id": "gateway", "cookie_secrets": [{"inline_string": SECRET}]}
        }),
    ]
}

#[test]
fn no_answer_of_the_host_makes_it_panic_or_let_a_failure_pass() {
    for (number, configuration) in configurations().into_iter().enumerate() {
        let report = chaos::run::<OAuth2>(configuration, CASES, 1);
        println!("{number}: {report}");
        assert_eq!(report.cases, CASES);
        assert!(report.failures > CASES / 100, "{number}: {report}");
        // Where nothing is exempt, nobody comes in: nobody is signed in.
        let has_exemptions = [1, 3].contains(&number);
        assert_eq!(report.let_through > 0, has_exemptions, "{number}: {report}");
    }
}

#[test]
fn no_answer_while_it_is_configured_makes_it_panic() {
    chaos::configure::<OAuth2>(&configurations(), 1_000);
}

/// Loads spoilt configurations. Those that are taken are shown a browser, one that comes back,
/// one that signs out, and a logout token.
fn fuzz_configurations(seeds: std::ops::Range<u64>) -> u64 {
    let donors = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("\u{0}"),
        json!("/"),
        json!("1s"),
        json!("%REQ(:path)%"),
        json!("https://%REQ(x-1)%/callback"),
        json!({}),
        json!([]),
    ];
    let names = &[
        "issuer",
        "rules",
        "redirect_uri",
        "path",
        "credentials",
        "x",
    ];
    let spoiler = Spoiler::new(&configurations(), &donors, names);
    let mut taken = 0;
    for seed in seeds {
        case(seed, |rng| {
            if let Ok(host) = Host::<OAuth2>::configure(spoiler.configuration(rng)) {
                taken += 1;
                host.set_allow_on_headers_stop_iteration(true);
                for path in ["/a?b", "/callback?code=c&state=s", "/signout"] {
                    let request = Request::get(path)
                        .header(":authority", "app.example")
                        .header("x-forwarded-proto", "https")
                        .header("cookie", "__Host-oauth2_session=1x; s=2x; s.1=y");
                    host.exchange(request).run();
                }
                let logout = Request::post("/logout").body("logout_token=a.b.c");
                host.exchange(logout).run();
            }
        });
    }
    taken
}

#[test]
fn no_configuration_makes_it_panic() {
    let taken = fuzz_configurations(0..3_000);
    println!("{taken} taken");
    assert!(taken > 30, "{taken}");
}

mod soak {
    /// `cargo xtask soak`
    #[test]
    #[ignore = "takes minutes"]
    fn none_of_a_million_configurations_makes_it_panic() {
        super::fuzz_configurations(1_000_000..2_000_000);
    }
}

#[test]
fn a_request_of_which_it_could_not_decide_is_refused() {
    let [_, configuration, ..] = configurations();
    for (path, call) in [
        ("/", "proxy_get_header_map_pairs"),
        // What a client made up would stay on it.
        ("/public/", "proxy_remove_header_map_value"),
    ] {
        for status in [2, 10, 12, 99, u32::MAX] {
            let host = Host::<OAuth2>::configure(configuration.clone()).unwrap();
            let request = || {
                Request::get(path)
                    .header("accept", "application/json")
                    .header("x-id-token", "forged")
            };
            host.answer_nth(call, 1, Answer::Status(status));

            let refused = host.exchange(request()).run();
            let next = host.exchange(request()).run();

            let case = format!("{path} {call} {status}");
            assert_eq!(refused.outcome, Outcome::Replied, "{case}");
            assert_eq!(refused.status(), 500, "{case}");
            assert!(refused.upstream.is_none(), "{case}");
            let expected = if path == "/" { 401 } else { 200 };
            assert_eq!(next.status(), expected, "{case}");
        }
    }
}

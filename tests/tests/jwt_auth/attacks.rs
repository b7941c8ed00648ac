//! Attacks that have been made on others, by their names.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use legation_tests::jwt::{Claims, Key, compact, hostile, jwks};
use legation_tests::{Client, Config, RawConnection, Request, Response, Stage};
use serde_json::{Value, json};

use super::{ISSUER, bearer, local, ours};

fn key() -> Key {
    Key::p256().with_id("k")
}

fn good() -> String {
    Claims::of(ISSUER).signed_by(&key())
}

/// The keys of the chains `RS256`, `ES256` and `EdDSA`.
fn keys() -> [Key; 3] {
    [Key::rsa(), Key::p256(), Key::ed25519()].map(|key| key.with_id("k"))
}

/// A provider `p` with a key of its own and more, and these rules.
fn with(more: Value, rules: Value) -> Value {
    let mut provider = json!({"issuer": ISSUER, "local_jwks": local(&jwks(&[&key()]))});
    let all = provider.as_object_mut().expect("an object");
    all.extend(more.as_object().expect("an object").clone());
    json!({"providers": {"p": provider}, "rules": rules})
}

fn everywhere() -> Value {
    json!([{"requires": {"provider_name": "p"}}])
}

/// Every configuration that is attacked here, each a chain of one Envoy, which does nothing by itself with
/// paths and with the names of headers.
fn configurations() -> Vec<(String, Value)> {
    let p = || json!({"provider_name": "p"});
    let mut all: Vec<(String, Value)> = Vec::new();
    for key in keys() {
        let provider = json!({"local_jwks": local(&jwks(&[&key]))});
        all.push((key.algorithm().to_owned(), with(provider, everywhere())));
        if key.algorithm() != "EdDSA" {
            let provider = json!({"local_jwks": {"inline_string": key.public_pem()}});
            let name = format!("{} by PEM", key.algorithm());
            all.push((name, with(provider, everywhere())));
        }
    }
    let chains = [
        (
            "missing",
            with(json!({}), json!([{"requires": {"allow_missing": {}}}])),
        ),
        (
            "any or missing",
            with(
                json!({}),
                json!([{"requires": {"requires_any": {"requirements": [p(), {"allow_missing": {}}]}}}]),
            ),
        ),
        (
            "outputs",
            with(
                json!({
                    "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}],
                    "forward_payload_header": "x-payload",
                }),
                json!([
                    {"match": {"path": {"prefix": "/open"}}, "disabled": true},
                    {"match": {"path": {"prefix": "/optional"}}, "requires": {"allow_missing": {}}},
                    {"match": {"path": {"prefix": "/closed"}}, "requires": p()},
                ]),
            ),
        ),
        (
            "kinds",
            with(
                json!({}),
                json!([
                    {"match": {"headers": [{"name": "x-kind", "exact": "secret"}]}, "requires": p()},
                    {"disabled": true},
                ]),
            ),
        ),
        (
            "places",
            with(
                json!({
                    "from_headers": [{"name": "x-token"}],
                    "from_params": ["t"],
                    "from_cookies": ["c"],
                }),
                everywhere(),
            ),
        ),
        // Only `/admin` is protected.
        (
            "protected",
            with(
                json!({}),
                json!([
                    {"match": {"path": {"prefix": "/admin/"}}, "requires": p()},
                    {"match": {"path": {"exact": "/admin"}}, "requires": p()},
                ]),
            ),
        ),
        // All but `/public/` and some of `/foo/` is protected.
        (
            "open",
            with(
                json!({}),
                json!([
                    {"match": {"path": {"prefix": "/public/"}}, "disabled": true},
                    {"match": {"path": {"regex": "/foo/.*/bar"}}, "disabled": true},
                    {"requires": p()},
                ]),
            ),
        ),
        (
            "hosts",
            with(
                json!({}),
                json!([
                    {"match": {"host": "api.example.com"}, "requires": p()},
                    {"match": {"host": "*.secret.example.com"}, "requires": p()},
                ]),
            ),
        ),
    ];
    all.extend(chains.map(|(name, configuration)| (name.to_owned(), configuration)));
    all
}

fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let mut config = Config::plain()
            .expect("the shipped file is there")
            .header_limits(100, 1024);
        for (name, configuration) in configurations() {
            config = config.add_chain(&name, &[ours(&configuration)]);
        }
        let config = config.hcm(&json!({
            "normalize_path": false,
            "merge_slashes": false,
            "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
            "common_http_protocol_options": {"headers_with_underscores_action": "ALLOW"},
        }));
        Stage::start(&config.shared()).unwrap_or_else(|error| panic!("{error}"))
    })
}

/// A chain of the stage.
struct Chain(Client);

impl Chain {
    fn of(name: &str) -> Result<Self> {
        Ok(Self(Client::http1(stage().envoy().listener(name)?)))
    }

    /// The answer to a request; one that is not 200 did not reach the upstream.
    fn send(&self, request: Request) -> Result<Response> {
        let id = next_id();
        let response = self.0.send(request.id(&id))?;
        let arrived = stage().upstream().with_id(&id);
        assert_eq!(arrived.is_some(), response.status == 200, "{response}");
        Ok(response)
    }

    fn status(&self, request: Request) -> Result<u16> {
        Ok(self.send(request)?.status)
    }

    /// None of these paths gets to the upstream without a token.
    fn assert_closed(&self, paths: &[&str]) -> Result<()> {
        for path in paths {
            let id = next_id();
            // As no client would send it.
            let request = format!(
                "GET {path} HTTP/1.1\r\nhost: localhost\r\nx-legation-test: {id}\r\nconnection: close\r\n\r\n"
            );
            let mut connection = RawConnection::open(self.0.address())?;
            connection.send(request.as_bytes())?;
            let answer = connection.read_to_end()?;
            let answer = String::from_utf8_lossy(&answer);
            let status: u16 = answer.split(' ').nth(1).unwrap_or_default().parse()?;
            assert!([400, 401, 403].contains(&status), "{path}: {status}");
            assert!(stage().upstream().with_id(&id).is_none(), "{path}");
        }
        Ok(())
    }

    /// It takes this request still, and no VM has been lost.
    fn assert_well(&self, request: Request) -> Result<()> {
        assert_eq!(self.status(request)?, 200);
        let reloads = stage().admin().stat("wasm.jwt-auth.vm_reload")?;
        assert_eq!(reloads.unwrap_or(0), 0);
        Ok(())
    }
}

fn next_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("attack-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

// ── Tokens

#[test]
fn cve_2021_21378_a_token_of_an_unknown_issuer_does_not_pass_where_one_may_be_missing() -> Result<()>
{
    for name in ["missing", "any or missing"] {
        let chain = Chain::of(name)?;
        let unknown = Claims::of("https://evil.example");
        let without = Claims::of(ISSUER).without("iss");
        for claims in [unknown, without] {
            for key in [key(), Key::fresh()] {
                let status = chain.status(bearer("/", &claims.signed_by(&key)))?;
                assert_eq!(status, 401, "{claims:?}");
            }
        }
        assert_eq!(chain.status(Request::get("/"))?, 200);
        chain.assert_well(bearer("/", &good()))?;
    }
    Ok(())
}

#[test]
fn cve_2015_9235_no_hmac_is_verified_with_a_public_key() -> Result<()> {
    for key in keys() {
        let pem = key.public_pem();
        // All ways to write the key down that the verifier may have at hand.
        let secrets = [
            pem.as_bytes(),
            pem.trim_end().as_bytes(),
            &key.public_der(),
            key.jwk().to_string().as_bytes(),
            jwks(&[&key]).to_string().as_bytes(),
            b"",
        ]
        .map(<[u8]>::to_vec);
        for name in [
            key.algorithm().to_owned(),
            format!("{} by PEM", key.algorithm()),
        ] {
            if name == "EdDSA by PEM" {
                continue;
            }
            let chain = Chain::of(&name)?;
            for secret in &secrets {
                for algorithm in ["HS256", "HS384", "HS512"] {
                    let token = Claims::of(ISSUER)
                        .header("kid", "k")
                        .signed_as(&Key::hmac(secret), algorithm);
                    assert_eq!(chain.status(bearer("/", &token))?, 401, "{name}");
                }
            }
            chain.assert_well(bearer("/", &Claims::of(ISSUER).signed_by(&key)))?;
        }
    }
    Ok(())
}

/// The tokens of these kinds, of [`hostile`].
fn assert_refused(kinds: &[&str]) -> Result<()> {
    for key in keys() {
        let chain = Chain::of(key.algorithm())?;
        let mut seen = BTreeSet::new();
        for one in hostile(&Claims::of(ISSUER), &key) {
            if kinds.contains(&one.what) {
                seen.insert(one.what);
                assert_eq!(chain.status(bearer("/", &one.token))?, 401, "{}", one.what);
            }
        }
        assert_eq!(seen.len(), kinds.len(), "{seen:?}");
        chain.assert_well(bearer("/", &Claims::of(ISSUER).signed_by(&key)))?;
    }
    Ok(())
}

#[test]
fn cve_2015_2951_an_unsigned_token_is_none() -> Result<()> {
    assert_refused(&[
        "alg none",
        "alg None",
        "alg NONE",
        "alg nOnE",
        "no alg",
        "empty alg",
    ])
}

#[test]
fn cve_2018_0114_a_token_brings_no_key_along() -> Result<()> {
    assert_refused(&["an embedded jwk", "jku", "x5u"])
}

#[test]
fn cve_2022_21449_a_signature_of_zeros_is_none() -> Result<()> {
    assert_refused(&["signature of zeros", "short signature", "long signature"])
}

#[test]
fn cve_2026_48042_json_without_a_floor_costs_nothing() -> Result<()> {
    let chain = Chain::of("ES256")?;
    let sign = |input: &[u8]| key().sign("ES256", input);
    let header = Claims::of(ISSUER).complete_header(&key(), "ES256");
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        for depth in [100, 1_000, 100_000] {
            let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let unclosed = open.repeat(depth);
            for deep in [deep, unclosed] {
                let payload = format!(r#"{{"iss":"{ISSUER}","deep":{deep}}}"#);
                let header_too = format!(r#"{{"alg":"ES256","kid":"k","deep":{deep}}}"#);
                for token in [
                    compact(&header, &payload, sign),
                    compact(&header_too, "{}", sign),
                ] {
                    let status = chain.status(bearer("/", &token))?;
                    // Envoy itself refuses what is too long for it.
                    assert!([401, 431].contains(&status), "{status}");
                }
            }
        }
    }
    chain.assert_well(bearer("/", &good()))
}

// ── Requests

#[test]
fn cve_2025_64484_no_spelling_of_a_trusted_header_passes() -> Result<()> {
    let chain = Chain::of("outputs")?;
    let forged = |request: Request| {
        let mut request = request;
        for name in [
            "x-user-id",
            "x_user_id",
            "X-User_Id",
            "x-user_id",
            "x_payload",
            "X-PAYLOAD",
        ] {
            request = request.header(name, "forged");
        }
        request
    };
    for request in [
        Request::get("/open"),
        Request::get("/optional"),
        Request::get("/no-rule"),
        bearer("/closed", &good()),
    ] {
        let id = next_id();
        assert_eq!(chain.0.send(forged(request).id(&id))?.status, 200);
        let arrived = stage().upstream().with_id(&id);
        let arrived = arrived.expect("it was answered by the upstream").headers;
        let forged: Vec<_> = arrived
            .iter()
            .filter(|(_, value)| *value == b"forged")
            .collect();
        assert!(forged.is_empty(), "{forged:?}");
    }
    chain.assert_well(bearer("/closed", &good()))
}

#[test]
fn cve_2026_26308_a_header_sent_twice_is_two() -> Result<()> {
    let chain = Chain::of("kinds")?;
    for kinds in [
        ["secret", "other"],
        ["other", "secret"],
        ["secret", "secret"],
    ] {
        let request = kinds.iter().fold(Request::get("/"), |request, kind| {
            request.header("x-kind", kind)
        });
        assert_eq!(chain.status(request)?, 401, "{kinds:?}");
    }
    chain.assert_well(Request::get("/").header("x-kind", "secret,other"))
}

#[test]
fn a_second_token_is_never_one_that_nobody_looked_at() -> Result<()> {
    let chain = Chain::of("places")?;
    let (good, bad) = (
        good(),
        Claims::of(ISSUER).signed_by(&Key::fresh().with_id("k")),
    );
    let get = |path: &str| Request::get(path);
    for request in [
        get("/").header("x-token", &good).header("x-token", &bad),
        get("/").header("x-token", &bad).header("x-token", &good),
        get(&format!("/?t={bad}")).header("x-token", &good),
        get(&format!("/?t={good}")).header("x-token", &bad),
        get(&format!("/?t={good}&t={bad}")),
        get(&format!("/?t={bad}&t={good}")),
        get("/").header("cookie", format!("c={good}; c={bad}")),
        get("/").header("cookie", format!("c={bad}; c={good}")),
        get("/")
            .header("cookie", format!("c={good}"))
            .header("cookie", format!("c={bad}")),
        get(&format!("/?t={good}")).header("cookie", format!("c={bad}")),
    ] {
        let shown = request.to_string();
        assert_eq!(chain.status(request)?, 401, "{shown}");
    }
    chain.assert_well(get("/").header("x-token", &good))
}

#[test]
fn cve_2026_73551_dots_with_parameters_lead_nowhere() -> Result<()> {
    Chain::of("open")?.assert_closed(&[
        "/public/..;/admin/x",
        "/public/..;a=b/admin/x",
        "/public/x/..;/..;/admin/x",
        "/public/.;/..;/admin/x",
        "/public/%2e%2e;/admin/x",
        "/public/..%3b/admin/x",
        "/public/..%3Ba=b/admin/x",
    ])?;
    Chain::of("protected")?.assert_closed(&[
        "/x/..;/admin/x",
        "/.;/admin/x",
        "/x/..;a=b/admin/x",
        "/%2e;/admin/x",
    ])
}

#[test]
fn cve_2026_73511_parameters_of_a_segment_hide_no_path() -> Result<()> {
    Chain::of("protected")?.assert_closed(&[
        "/admin;x/y",
        "/admin;x=y/z",
        "/admin;/x",
        "/admin;x=y",
        "/;x/admin/y",
        "/admin%3Bx/y",
    ])
}

#[test]
fn cve_2021_29492_an_escaped_slash_hides_no_path() -> Result<()> {
    Chain::of("protected")?.assert_closed(&[
        "/admin%2Fx",
        "/admin%2fx",
        "/admin%5Cx",
        "/admin%5cx",
        "/admin\\x",
        "/admin%252Fx",
        "/x%2F..%2Fadmin%2Fx",
        "/x/..%2Fadmin/y",
    ])?;
    Chain::of("open")?.assert_closed(&[
        "/public/..%2fadmin",
        "/public/..%5cadmin",
        "/public/..\\admin",
        "/public/%2e%2e%2fadmin",
        "/public/%252e%252e/admin",
        "/public/..%252fadmin",
    ])
}

#[test]
fn other_spellings_of_a_path_lead_to_the_same_rule() -> Result<()> {
    Chain::of("protected")?.assert_closed(&[
        "/admin/x",
        "//admin/x",
        "///admin//x",
        "/./admin/x",
        "/x/../admin/x",
        "/x/%2e%2e/admin/x",
        "/%61dmin/x",
        "/%61%64%6D%69%6E/x",
        "/admin/../admin/x",
        "http://localhost/admin/x",
        "http://other.example/admin/x",
        "http://localhost//admin/x",
    ])?;
    Chain::of("open")?.assert_closed(&[
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/%2E./admin",
        "/public/x/../../admin",
        "/public//../../admin",
        "/publicx",
        "http://localhost/admin?/public/",
        "http://localhost/public/../admin",
    ])
}

#[test]
fn ghsa_7rh7_c77v_6434_a_query_meets_no_rule_for_paths() -> Result<()> {
    Chain::of("open")?.assert_closed(&[
        "/admin?/public/",
        "/admin?x=/foo/y/bar",
        "/foo/secret?/bar",
        "/foo/secret?x=/bar",
        "/foo/secret?/x/bar",
        "/foo?/x/bar",
    ])
}

#[test]
fn ghsa_pxq7_h93f_9jrg_a_fragment_meets_no_rule_for_paths() -> Result<()> {
    Chain::of("open")?.assert_closed(&[
        "/foo/secret#/bar",
        "/foo/secret#/x/bar",
        "/admin#/public/",
        "/foo/secret%23/bar",
        "/foo/secret%3F/bar",
    ])
}

#[test]
fn hosts_in_capitals_and_with_ports_meet_the_same_rule() -> Result<()> {
    let chain = Chain::of("hosts")?;
    let http2 = Client::http2(chain.0.address());
    for host in [
        "api.example.com",
        "API.EXAMPLE.COM",
        "api.example.com:80",
        "api.example.com:8443",
        "Api.Example.Com:1",
        "api.example.com.",
        "api.example.com.:80",
        "a.secret.example.com",
        "A.SECRET.example.com:80",
        "a.b.secret.example.com",
    ] {
        assert_eq!(chain.status(Request::get("/").host(host))?, 401, "{host}");
        assert_eq!(
            http2.send(Request::get("/").host(host))?.status,
            401,
            "{host}"
        );
    }
    chain.assert_well(Request::get("/").host("other.example.com"))
}

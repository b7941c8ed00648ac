//! Which rule a path meets, where Envoy was told to leave paths alone; and CORS preflights.

use anyhow::Result;
use legation_tests::Request;
use legation_tests::jwt::{Claims, Key, jwks};
use serde_json::{Value, json};

use super::reasons::{ESCAPED_LETTER, PATHS, QUERY};
use super::{Case, Group, case};
use crate::{ISSUER, bearer, local, rule};

fn key() -> Key {
    Key::p256().with_id("k")
}

fn provider() -> Value {
    json!({"issuer": ISSUER, "local_jwks": local(&jwks(&[&key()]))})
}

/// As little as Envoy can do with a path.
fn as_sent() -> Value {
    json!({
        "normalize_path": false,
        "merge_slashes": false,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "common_http_protocol_options": {"headers_with_underscores_action": "ALLOW"},
    })
}

/// What is named is protected, the rest is open.
pub(super) fn protected() -> Group {
    let requires = json!({"provider_name": "p"});
    let configuration = json!({
        "providers": {"p": provider()},
        "rules": [
            rule("/admin/", "p"),
            {"match": {"path": "/exact"}, "requires": requires},
            {"match": {"path_separated_prefix": "/part"}, "requires": requires},
            {"match": {"safe_regex": {"regex": "/number/[0-9]+"}}, "requires": requires},
            {"match": {"prefix": "/by-header", "headers": [{"name": "x-kind", "string_match": {"exact": "secret"}}]}, "requires": requires},
            {"match": {"prefix": "/by-presence", "headers": [{"name": "x-kind", "present_match": true}]}, "requires": requires},
            {"match": {"prefix": "/by-query", "query_parameters": [{"name": "kind", "string_match": {"exact": "secret"}}]}, "requires": requires},
        ],
    });
    let get = |path: &str, status: u16| {
        case(format!("protected, {path}"), Request::get(path)).both(status)
    };
    let kind = |path: &str, value: &str, status: u16| {
        case(
            format!("{path} with x-kind: {value}"),
            Request::get(path).header("x-kind", value),
        )
        .both(status)
    };
    let token = Claims::of(ISSUER).signed_by(&key());
    let cases = vec![
        case(
            "protected, /admin/x with a token",
            bearer("/admin/x", &token),
        )
        .both(200),
        get("/admin/", 401),
        get("/admin/x", 401),
        get("/admin/x?y", 401),
        get("/admin", 200),
        get("/admin?x", 200),
        get("/administrator", 200),
        get("/admin;x/y", 200).but(401, PATHS),
        get("/admin/;x", 401),
        get("/admin/x;y=z", 401),
        get("/ADMIN/x", 200),
        get("//admin/x", 200).but(401, PATHS),
        get("/.//admin/x", 200).but(401, PATHS),
        get("/./admin/x", 200).but(401, PATHS),
        get("/x/../admin/y", 200).but(401, PATHS),
        get("/x/%2e%2e/admin/y", 200).but(401, PATHS),
        get("/%61dmin/x", 200).but(401, ESCAPED_LETTER),
        get("/admin%2Fx", 200).but(401, PATHS),
        get("/admin%2fx", 200).but(401, PATHS),
        get("/admin%5Cx", 200).but(401, PATHS),
        get("/admin/../x", 401),
        get("/admin//x", 401),
        get("/x?/admin/", 200),
        get("/x?y=/../admin/", 200),
        get("/exact", 401),
        get("/exact?x=y", 401),
        get("/exact/", 200),
        get("/exact;x", 200).but(401, PATHS),
        get("/exac%74", 200).but(401, ESCAPED_LETTER),
        get("//exact", 200).but(401, PATHS),
        get("/EXACT", 200),
        get("/part", 401),
        get("/part/x", 401),
        get("/part?x", 401),
        get("/party", 200),
        get("/part;x", 200).but(401, PATHS),
        get("/part%2Fx", 200).but(401, PATHS),
        get("/number/12", 401),
        get("/number/12?x", 401),
        get("/number/12/", 200),
        get("/number/x", 200),
        get("/number/%31", 200).but(401, ESCAPED_LETTER),
        get("/x/number/12", 200),
        kind("/by-header", "secret", 401),
        kind("/by-header", "SECRET", 200),
        kind("/by-header", "secrets", 200),
        get("/by-header", 200),
        case(
            "a header twice",
            Request::get("/by-header")
                .header("x-kind", "secret")
                .header("x-kind", "other"),
        )
        .both(401),
        case(
            "a header twice, the other first",
            Request::get("/by-header")
                .header("x-kind", "other")
                .header("x-kind", "secret"),
        )
        .both(401),
        kind("/by-presence", "", 401),
        kind("/by-presence", "x", 401),
        get("/by-presence", 200),
        get("/by-query?kind=secret", 401),
        get("/by-query?a=b&kind=secret", 401),
        get("/by-query?kind=secrets", 200),
        get("/by-query?kind=%73ecret", 200).but(401, QUERY),
        get("/by-query?kind=other&kind=secret", 200).but(401, QUERY),
        get("/by-query?kind=secret&kind=other", 401),
        get("/by-query", 200),
    ];
    let mut group = Group::new(configuration, cases);
    group.hcm = as_sent();
    group
}

/// What is named is open, the rest is protected.
pub(super) fn opened() -> Group {
    let configuration = json!({
        "providers": {"p": provider()},
        "rules": [
            {"match": {"prefix": "/public/"}},
            {"match": {"path": "/health"}},
            {"match": {"safe_regex": {"regex": "/files/.*\\.css"}}},
            rule("/", "p"),
        ],
    });
    let get =
        |path: &str, status: u16| case(format!("opened, {path}"), Request::get(path)).both(status);
    let cases = vec![
        get("/", 401),
        get("/public/x", 200),
        get("/public", 401),
        get("/public/../admin", 200).but(401, PATHS),
        get("/public/./x", 200),
        get("/public/%2e%2e/admin", 200).but(401, PATHS),
        get("/public/%2E%2E/admin", 200).but(401, PATHS),
        get("/public/.%2e/admin", 200).but(401, PATHS),
        get("/public/..%2fadmin", 200).but(401, PATHS),
        get("/public/..%5cadmin", 200).but(401, PATHS),
        get("/public/..;/admin", 200).but(401, PATHS),
        get("/public/x/../../admin", 200).but(401, PATHS),
        get("/public//../admin", 200).but(401, PATHS),
        get("/public/x?../../admin", 200),
        get("//public/x", 401),
        get("/Public/x", 401),
        get("/public%2Fx", 401),
        get("/admin/../public/x", 401),
        get("/health", 200),
        get("/health?x", 200),
        get("/health/", 401),
        get("/health/x", 401),
        get("/health;x", 401),
        get("/health%2Fx", 401),
        get("/healt%68", 401).but(200, ESCAPED_LETTER),
        get("/x/../health", 401),
        get("/files/a.css", 200),
        get("/files/a.css/x", 401),
        get("/files/a.css?x", 200),
        get("/files/../admin?.css", 401),
        get("/files/../admin/.css", 200).but(401, PATHS),
        get("/files/..%2fadmin.css", 200).but(401, PATHS),
        get("/admin?/public/", 401),
    ];
    let mut group = Group::new(configuration, cases);
    group.hcm = as_sent();
    group
}

/// Preflights, with the bypass and without it.
pub(super) fn preflights(bypass: bool) -> Group {
    let configuration = json!({
        "providers": {"p": provider()},
        "rules": [rule("/", "p")],
        "bypass_cors_preflight": bypass,
    });
    let one = |name: &str, method: &str, headers: &[(&str, &str)], passes: bool| -> Case {
        let request = Request::new(method, "/").headers(headers.iter().copied());
        let with = if bypass { "bypassed" } else { "not bypassed" };
        let status = if bypass && passes { 200 } else { 401 };
        case(format!("{name} ({with})"), request).both(status)
    };
    let origin = ("origin", "https://page.example");
    let method = ("access-control-request-method", "PUT");
    let cases = vec![
        one("a preflight", "OPTIONS", &[origin, method], true),
        one(
            "a preflight with a bad token",
            "OPTIONS",
            &[origin, method, ("authorization", "Bearer x")],
            true,
        ),
        one("OPTIONS alone", "OPTIONS", &[], false),
        one("a preflight without an origin", "OPTIONS", &[method], false),
        one("a preflight without a method", "OPTIONS", &[origin], false),
        one(
            "a preflight of an empty origin",
            "OPTIONS",
            &[("origin", ""), method],
            false,
        ),
        one(
            "a preflight of an empty method",
            "OPTIONS",
            &[origin, ("access-control-request-method", "")],
            false,
        ),
        one("a preflight by GET", "GET", &[origin, method], false),
        one("a preflight by POST", "POST", &[origin, method], false),
        one(
            "a preflight that names another method",
            "GET",
            &[origin, method, ("x-http-method-override", "OPTIONS")],
            false,
        ),
    ];
    Group::new(configuration, cases)
}

#[test]
fn paths_that_are_protected() -> Result<()> {
    protected().run()
}

#[test]
fn paths_that_are_open() -> Result<()> {
    opened().run()
}

#[test]
fn cors_preflights() -> Result<()> {
    preflights(true).run()?;
    preflights(false).run()
}

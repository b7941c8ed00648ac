//! Tokens checked: by Envoy's own `jwt_authn`, and by jwt-auth.

use legation_tests::jwt::jwks;
use serde_json::{Value, json};

use super::cases::Case;
use super::filters::{Filter, Module, native, wasm};
use super::tokens::{AUDIENCE, ISSUER, Tokens, Variety, key};

/// What browsers and gateways put into a request, besides what every request has.
const HEADERS: [(&str, &str); 7] = [
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("cache-control", "no-cache"),
    ("cookie", "theme=dark; consent=all; visit=7c1f0a52"),
    ("origin", "https://www.shop.example"),
    ("referer", "https://www.shop.example/orders?page=2"),
    (
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
    ("x-correlation-id", "3b7e8a1c-52d4-4f0e-9c6b-1a2b3c4d5e6f"),
];

/// Tokens that a cache has room for.
const CACHED: usize = 1_000;

/// Names and words for what is measured of an algorithm.
struct Row {
    algorithm: &'static str,
    native: [&'static str; 2],
    own: [&'static str; 2],
    own_uncached: [&'static str; 2],
}

macro_rules! rows {
    ($($algorithm:literal as $name:literal,)*) => {
        [$(Row {
            algorithm: $algorithm,
            native: [
                concat!("jwt-native-", $name),
                concat!("Envoy's own jwt_authn without its cache, ", $algorithm, ", each token new"),
            ],
            own: [
                concat!("jwt-auth-", $name),
                concat!("jwt-auth, ", $algorithm, ", each token new"),
            ],
            own_uncached: [
                concat!("jwt-auth-", $name, "-without-cache"),
                "the same without its cache",
            ],
        }),*]
    };
}

const ALGORITHMS: [Row; 5] = rows![
    "RS256" as "rs256",
    "ES256" as "es256",
    "HS256" as "hs256",
    "PS256" as "ps256",
    "EdDSA" as "eddsa",
];

/// Whether and how a filter remembers tokens.
#[derive(Clone, Copy)]
enum Cache {
    /// As it is by itself.
    Usual,
    On,
    Off,
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = seen_before();
    cases.extend(ALGORITHMS.iter().flat_map(first_seen));
    cases
}

/// A token that was seen before.
fn seen_before() -> Vec<Case> {
    let tokens = Tokens {
        algorithm: "RS256",
        variety: Variety::One,
    };
    let [native_cached, own] = [
        (native_filter as Maker, Cache::On),
        (own_filter, Cache::Usual),
    ]
    .map(|(filter, cache)| filter("RS256", cache));
    vec![
        case(
            [
                "jwt-native-cached",
                "Envoy's own jwt_authn with its cache, RS256, one token",
            ],
            native_cached,
            tokens,
            None,
        ),
        case(
            [
                "floor-jwt-cached",
                "hand-written Wasm that only fetches the headers and removes the token",
            ],
            wasm(Module::Text("floor-jwt")),
            tokens,
            Some("jwt-native-cached"),
        ),
        case(
            ["jwt-auth-cached", "jwt-auth, RS256, one token"],
            own,
            tokens,
            Some("jwt-native-cached"),
        ),
    ]
}

/// Tokens that were never seen before.
fn first_seen(row: &Row) -> Vec<Case> {
    let tokens = Tokens {
        algorithm: row.algorithm,
        variety: Variety::Distinct,
    };
    let [native, _] = row.native;
    let of = |filter: Maker, cache| filter(row.algorithm, cache);
    vec![
        case(row.native, of(native_filter, Cache::Off), tokens, None),
        case(row.own, of(own_filter, Cache::Usual), tokens, Some(native)),
        case(
            row.own_uncached,
            of(own_filter, Cache::Off),
            tokens,
            Some(native),
        ),
    ]
}

fn case(
    [name, what]: [&'static str; 2],
    filter: Filter,
    tokens: Tokens,
    peer: Option<&'static str>,
) -> Case {
    Case {
        name,
        what,
        filters: vec![filter],
        request_headers: HEADERS.to_vec(),
        tokens: Some(tokens),
        peer,
        ..Case::default()
    }
}

type Maker = fn(&str, Cache) -> Filter;

fn native_filter(algorithm: &str, cache: Cache) -> Filter {
    native(
        "envoy.filters.http.jwt_authn",
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        config(
            algorithm,
            &json!({ "prefix": "/" }),
            matches!(cache, Cache::On).then_some(CACHED),
        ),
    )
}

fn own_filter(algorithm: &str, cache: Cache) -> Filter {
    let size = match cache {
        Cache::Usual => None,
        Cache::On => Some(CACHED),
        Cache::Off => Some(0),
    };
    wasm(Module::Built("jwt-auth")).configured(config(algorithm, &json!({}), size))
}

/// The same for both: a provider with one key, for every request. Without a size of its cache, Envoy's own
/// has none, and jwt-auth has one.
fn config(algorithm: &str, matching: &Value, cache_size: Option<usize>) -> Value {
    let keys = jwks(&[&key(algorithm)]).to_string();
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": { "inline_string": keys },
    });
    if let Some(size) = cache_size {
        provider["jwt_cache_config"] = json!({ "jwt_cache_size": size });
    }
    json!({
        "providers": { "shop": provider },
        "rules": [{ "match": matching, "requires": { "provider_name": "shop" } }],
    })
}

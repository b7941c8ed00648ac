//! Where tokens are found, and what is left of them.

use anyhow::Result;
use legation_tests::Request;
use legation_tests::jwt::{Claims, Key, jwks};
use serde_json::{Value, json};

use super::reasons::{AGAIN, COOKIES, LENGTH, PARAMETERS, PREFIX};
use super::{Case, Group, case};
use crate::{ISSUER, bearer, local, rule};

fn key() -> Key {
    Key::p256().with_id("k")
}

fn good() -> String {
    Claims::of(ISSUER).signed_by(&key())
}

/// Another good one.
fn second() -> String {
    Claims::of(ISSUER).claim("sub", "bob").signed_by(&key())
}

fn bad() -> String {
    Claims::of(ISSUER).signed_by(&Key::other_p256().with_id("k"))
}

/// A good one of about so many bytes.
fn long(bytes: usize) -> String {
    let fill = "x".repeat(bytes * 3 / 4);
    Claims::of(ISSUER).claim("fill", fill).signed_by(&key())
}

pub(super) fn group() -> Group {
    let provider = |more: Value| {
        let mut provider = json!({"issuer": ISSUER, "local_jwks": local(&jwks(&[&key()]))});
        let all = provider.as_object_mut().expect("an object");
        all.extend(more.as_object().expect("an object").clone());
        provider
    };
    let everywhere = json!({
        "from_headers": [{"name": "x-token"}, {"name": "x-auth", "value_prefix": "Token "}],
        "from_params": ["jwt", "t"],
        "from_cookies": ["session", "id"],
    });
    let mut forwarded = everywhere.clone();
    forwarded["forward"] = json!(true);
    let configuration = json!({
        "providers": {
            "default": provider(json!({})),
            "default-forwarded": provider(json!({"forward": true})),
            "places": provider(everywhere),
            "places-forwarded": provider(forwarded),
        },
        "rules": [
            rule("/places-forwarded", "places-forwarded"),
            rule("/places", "places"),
            rule("/forwarded", "default-forwarded"),
            rule("/", "default"),
        ],
    });
    let mut cases = authorization();
    cases.extend(query());
    cases.extend(own_headers());
    cases.extend(cookies());
    Group::new(configuration, cases)
}

fn with(value: impl AsRef<[u8]>) -> Request {
    Request::get("/").header("authorization", value)
}

fn authorization() -> Vec<Case> {
    let (good, second, bad) = (good(), second(), bad());
    vec![
        case("nothing", Request::get("/")).both(401),
        case("a bearer token", bearer("/", &good)).both(200),
        case("a bearer token, forwarded", bearer("/forwarded", &good)).both(200),
        case("a bad token", bearer("/", &bad)).both(401),
        case("`bearer`", with(format!("bearer {good}"))).both(401),
        case("`BEARER`", with(format!("BEARER {good}"))).both(401),
        case("`Bearer` and two spaces", with(format!("Bearer  {good}"))).both(200),
        case("`Bearer` and a tab", with(format!("Bearer\t{good}"))).both(401),
        case("`Bearer:`", with(format!("Bearer: {good}"))).both(401),
        case("`Bearer=`", with(format!("Bearer={good}"))).both(401),
        case("`Bearer` alone", with("Bearer")).both(401),
        case("`Bearer` and a space", with("Bearer ")).both(401),
        case("a token without a scheme", with(&good)).both(401),
        case("`Basic`", with("Basic YWxpY2U6c2VjcmV0")).both(401),
        case("`Basic` with a token", with(format!("Basic {good}"))).both(401),
        case("`Token`", with(format!("Token {good}"))).both(401),
        case(
            "`Bearer` behind something",
            with(format!("x Bearer {good}")),
        )
        .both(200)
        .but(401, PREFIX),
        case("`Bearer` behind letters", with(format!("NotBearer {good}")))
            .both(200)
            .but(401, PREFIX),
        case("`Bearer` twice", with(format!("Bearer Bearer {good}"))).both(401),
        case("a comma before the token", with(format!("Bearer ,{good}")))
            .both(200)
            .but(401, PREFIX),
        case(
            "quotes around the token",
            with(format!("Bearer \"{good}\"")),
        )
        .both(401),
        case("a comma behind the token", with(format!("Bearer {good},"))).both(401),
        case("a word behind the token", with(format!("Bearer {good} x")))
            .both(200)
            .but(401, PREFIX),
        case(
            "two tokens in one value",
            with(format!("Bearer {good}, Bearer {second}")),
        )
        .both(401),
        case(
            "two headers",
            bearer("/", &good).header("authorization", format!("Bearer {second}")),
        )
        .both(401),
        case(
            "two headers of one token",
            bearer("/", &good).header("authorization", format!("Bearer {good}")),
        )
        .both(401),
        case(
            "two headers, the second bad",
            bearer("/", &good).header("authorization", format!("Bearer {bad}")),
        )
        .both(401),
        case(
            "two headers, the first bad",
            bearer("/", &bad).header("authorization", format!("Bearer {good}")),
        )
        .both(401),
        case(
            "two headers, the first `Basic`",
            with("Basic YTpi").header("authorization", format!("Bearer {good}")),
        )
        .both(200)
        .but(401, PREFIX),
        case(
            "two headers, the second `Basic`",
            bearer("/", &good).header("authorization", "Basic YTpi"),
        )
        .both(401),
        case(
            "bytes that are not text",
            with([b"Bearer ", good.as_bytes(), b"\xff"].concat()),
        )
        .both(401),
        case("a token of 7 KB", bearer("/", &long(7_000))).both(200),
        case("a token of 20 KB", bearer("/", &long(20_000)))
            .both(200)
            .but(401, LENGTH),
        case("a token of 100 KB", bearer("/", &long(100_000)))
            .both(200)
            .but(401, LENGTH),
        case(
            "100 KB that are no token",
            bearer("/", &"x".repeat(100_000)),
        )
        .both(401),
        case("100 KB of dots", bearer("/", &".".repeat(100_000))).both(401),
    ]
}

fn query() -> Vec<Case> {
    let (good, second, bad) = (good(), second(), bad());
    let get = |query: &str| Request::get(&format!("/?{query}"));
    let escaped = good.replace('.', "%2E").replace('_', "%5f");
    vec![
        case("a parameter", get(&format!("access_token={good}"))).both(200),
        case(
            "a parameter, forwarded",
            Request::get(&format!("/forwarded?access_token={good}")),
        )
        .both(200),
        case(
            "a parameter among others",
            get(&format!("a=1&access_token={good}&b=2")),
        )
        .both(200),
        case(
            "a parameter of a path",
            Request::get(&format!("/a/b?access_token={good}&c=d")),
        )
        .both(200),
        case(
            "a parameter, escaped",
            get(&format!("access_token={escaped}")),
        )
        .both(200),
        case(
            "a parameter whose name is escaped",
            get(&format!("access%5Ftoken={good}")),
        )
        .both(200),
        case(
            "a parameter in capitals",
            get(&format!("ACCESS_TOKEN={good}")),
        )
        .both(401),
        case("an empty parameter", get("access_token=")).both(401),
        case("a parameter without a value", get("access_token")).both(401),
        case(
            "a parameter that is bad",
            get(&format!("access_token={bad}")),
        )
        .both(401),
        case(
            "a parameter, first good, then bad",
            get(&format!("access_token={good}&access_token={bad}")),
        )
        .both(200)
        .but(401, AGAIN),
        case(
            "a parameter, first bad, then good",
            get(&format!("access_token={bad}&access_token={good}")),
        )
        .both(401),
        case(
            "a parameter, first empty, then good",
            get(&format!("access_token=&access_token={good}")),
        )
        .both(401),
        case(
            "a parameter with `Bearer`",
            get(&format!("access_token=Bearer+{good}")),
        )
        .both(401),
        case(
            "a parameter with a plus behind",
            get(&format!("access_token={good}+")),
        )
        .both(401),
        case(
            "a parameter behind a semicolon",
            get(&format!("a=1;access_token={good}")),
        )
        .both(401),
        case(
            "a parameter behind two marks",
            get(&format!("?access_token={good}")),
        )
        .both(401),
        case(
            "a parameter in another's value",
            get(&format!("a=access_token={good}")),
        )
        .both(401),
        case(
            "a parameter of another name",
            get(&format!("xaccess_token={good}")),
        )
        .both(401),
        case(
            "others that are escaped",
            get(&format!("z=%2F%20a+b&access_token={good}&e=%C3%A9")),
        )
        .both(400)
        .but(200, PARAMETERS),
        case(
            "others twice and empty",
            get(&format!("b=2&a=1&access_token={good}&b=1&c&d=")),
        )
        .both(200)
        .differs("sorts and completes them", "lets them stand", PARAMETERS),
        case(
            "header and parameter",
            bearer(&format!("/?access_token={second}"), &good),
        )
        .both(200),
        case(
            "header and parameter, which is bad",
            bearer(&format!("/?access_token={bad}"), &good),
        )
        .both(401),
        case(
            "header, which is bad, and parameter",
            bearer(&format!("/?access_token={good}"), &bad),
        )
        .both(401),
        case(
            "header and parameter, which is empty",
            bearer("/?access_token=", &good),
        )
        .both(401),
    ]
}

fn own_headers() -> Vec<Case> {
    let (good, second, bad) = (good(), second(), bad());
    let get = |name: &str, value: &str| Request::get("/places").header(name, value);
    let prefixed = format!("Token {good}");
    vec![
        case(
            "the default place where others are named",
            bearer("/places", &good),
        )
        .both(401),
        case(
            "the default parameter where others are named",
            Request::get(&format!("/places?access_token={good}")),
        )
        .both(401),
        case("a header of its own", get("x-token", &good)).both(200),
        case("a header of its own, in capitals", get("X-TOKEN", &good)).both(200),
        case("a header of its own, bad", get("x-token", &bad)).both(401),
        case("a header of its own, empty", get("x-token", "")).both(401),
        case(
            "a header of its own with `Bearer`",
            get("x-token", &format!("Bearer {good}")),
        )
        .both(401),
        case(
            "a header of its own, twice",
            get("x-token", &good).header("x-token", &second),
        )
        .both(200),
        case(
            "a header of its own, twice, one bad",
            get("x-token", &good).header("x-token", &bad),
        )
        .both(401),
        case(
            "a header of its own, two in one",
            get("x-token", &format!("{good}, {second}")),
        )
        .both(401),
        case("a header with a prefix", get("x-auth", &prefixed)).both(200),
        case("a header without its prefix", get("x-auth", &good)).both(401),
        case(
            "a header with its prefix later",
            get("x-auth", &format!("x {prefixed}")),
        )
        .both(200)
        .but(401, PREFIX),
        case(
            "a header with another prefix",
            get("x-auth", &format!("Bearer {good}")),
        )
        .both(401),
        case(
            "two headers of their own",
            get("x-token", &second).header("x-auth", &prefixed),
        )
        .both(200),
        case(
            "two headers of their own, one bad",
            get("x-token", &bad).header("x-auth", &prefixed),
        )
        .both(401),
        case(
            "a header of its own and a stranger in Authorization",
            get("x-token", &good).header("authorization", "Basic YTpi"),
        )
        .both(200),
        case(
            "a header of its own and a bad one in Authorization",
            get("x-token", &good).header("authorization", format!("Bearer {bad}")),
        )
        .both(200),
        case(
            "headers of their own, forwarded",
            Request::get("/places-forwarded")
                .header("x-token", &second)
                .header("x-auth", &prefixed),
        )
        .both(200),
        case(
            "parameters of their own",
            Request::get(&format!("/places?jwt={good}&x=1")),
        )
        .both(200),
        case(
            "two parameters of their own",
            Request::get(&format!("/places?t={good}&jwt={second}&x=1")),
        )
        .both(200),
        case(
            "two parameters of their own, one bad",
            Request::get(&format!("/places?t={bad}&jwt={second}")),
        )
        .both(401),
        case(
            "parameters of their own, forwarded",
            Request::get(&format!("/places-forwarded?jwt={good}&x=1")),
        )
        .both(200),
    ]
}

fn cookies() -> Vec<Case> {
    let (good, second, bad) = (good(), second(), bad());
    let get = |cookie: &str| Request::get("/places").header("cookie", cookie);
    let stripped = |case: Case| {
        case.both(200)
            .differs("lets it stand", "takes it out", COOKIES)
    };
    vec![
        stripped(case("a cookie", get(&format!("session={good}")))),
        stripped(case(
            "a cookie among others",
            get(&format!("a=1; session={good}; b=2")),
        )),
        stripped(case(
            "a cookie without a space before",
            get(&format!("a=1;session={good}")),
        )),
        stripped(case(
            "two cookies",
            get(&format!("session={good}; id={second}")),
        )),
        stripped(case(
            "a cookie in quotes",
            get(&format!("session=\"{good}\"")),
        )),
        stripped(case(
            "a cookie with spaces around it",
            get(&format!(" session={good} ; a=1")),
        )),
        case(
            "a cookie, forwarded",
            Request::get("/places-forwarded").header("cookie", format!("session={good}; a=1")),
        )
        .both(200),
        case("a cookie that is bad", get(&format!("session={bad}"))).both(401),
        case("a cookie that is empty", get("session=")).both(401),
        case(
            "two cookies, one bad",
            get(&format!("session={good}; id={bad}")),
        )
        .both(401),
        case("a cookie in capitals", get(&format!("SESSION={good}"))).both(401),
        case("a cookie of another name", get(&format!("xsession={good}"))).both(401),
        case(
            "one cookie twice, the first good",
            get(&format!("session={good}; session={bad}")),
        )
        .both(200)
        .but(401, AGAIN),
        case(
            "one cookie twice, the first bad",
            get(&format!("session={bad}; session={good}")),
        )
        .both(401),
        case(
            "two cookie headers, the first with it",
            get(&format!("session={good}")).header("cookie", "a=1"),
        )
        .both(200)
        .differs("lets it stand", "takes it out", COOKIES),
        case(
            "two cookie headers, the second with it",
            get("a=1").header("cookie", format!("session={good}")),
        )
        .both(200)
        .differs("lets it stand", "takes it out", COOKIES),
        case(
            "a cookie beside a header",
            get(&format!("session={good}")).header("x-token", &second),
        )
        .both(200)
        .differs("lets it stand", "takes it out", COOKIES),
        case(
            "a cookie beside a header that is bad",
            get(&format!("session={good}")).header("x-token", &bad),
        )
        .both(401),
    ]
}

#[test]
fn where_tokens_are_found() -> Result<()> {
    group().run()
}

//! What the demo shows of each filter: requests, and what is promised of them.
//!
//! A new filter in the chain adds its shows to [`all`]; the demo fails for a filter
//! that has none.

use std::fmt;

use legation_tests::jwt::{Claims, Key};
use legation_tests::{Exchange, Headers, Received, Reply, Request, Response};

/// Where the upstream of the demo has a page: all else it answers with what it received.
const PAGE: &str = "/shop";
/// Where it has one for people who are signed in.
pub(super) const MEMBERS: &str = "/app/";
/// Where it has an account, as JSON with numbers that are nobody's to see.
const ACCOUNT: &str = "/api/account";
/// Where they sign out.
const SIGN_OUT: &str = "/oauth2/sign-out";
/// Where the nonce stands that the upstream is told.
const NONCE: &str = "x-csp-nonce";
/// Characters of a nonce: 144 bits in base64url.
const NONCE_LENGTH: usize = 24;

/// One request, and what a filter does to it.
pub(super) struct Show {
    pub(super) filter: &'static str,
    pub(super) title: &'static str,
    pub(super) request: fn() -> Request,
    /// Whether it comes from a browser that is signed in.
    pub(super) signed_in: bool,
    /// How often it was sent before, without being shown.
    pub(super) after: usize,
    pub(super) promises: Vec<Promise>,
}

/// What a filter promises.
#[derive(Clone, Copy, Debug)]
#[allow(
    dead_code,
    reason = "a vocabulary for every filter, not all of it spoken yet"
)]
pub(super) enum Promise {
    /// The request arrives with this header, once.
    Arrives(&'static str, &'static str),
    /// The request arrives without this header.
    ArrivesWithout(&'static str),
    /// Envoy answers by itself.
    NeverArrives,
    /// The answer has this status.
    Status(u16),
    /// The answer comes back with this header, once.
    ComesBack(&'static str, &'static str),
    /// The answer comes back with this header, once, and it begins so.
    ComesBackBeginning(&'static str, &'static str),
    /// The answer comes back without this header.
    ComesBackWithout(&'static str),
    /// The answer's body has this text.
    Says(&'static str),
    /// The answer's body does not have this text.
    SaysNot(&'static str),
    /// The answer's policy has the nonce that the upstream was told, and the page has it too.
    PageHasNonce,
    /// This counter has come to that.
    Counts(&'static str, u64),
}

/// Everything that the demo shows, in the order of the chain.
pub(super) fn all() -> Vec<Show> {
    let mut shows = csp();
    shows.extend(oauth2());
    shows.extend(jwt_auth());
    shows.extend(rate_limit());
    shows.extend(body_guard());
    shows.extend(header_tag());
    shows
}

/// The issuer and the audience of the tokens, as the chain's file has them.
const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "api";

/// The key that the issuer signs with. It stands in the tests, for all to read: the demo
/// puts its public half into the place of the one in the file, which nobody can sign
/// with.
pub(super) fn key() -> Key {
    Key::p256().with_id("demo")
}

fn token() -> Claims {
    Claims::of(ISSUER).audience(AUDIENCE)
}

/// One that may write.
fn writer() -> Claims {
    token().claim("scope", "read write")
}

fn order(body: &str) -> Request {
    Request::post("/api/orders", body).header("content-type", "application/json")
}

const COFFEE: &str = r#"{"coffees": 1}"#;

fn with_token(request: Request, claims: &Claims) -> Request {
    let token = claims.signed_by(&key());
    request
        .header("user-agent", "demo")
        .header("authorization", format!("Bearer {token}"))
}

fn csp() -> Vec<Show> {
    use Promise::{
        ComesBack, ComesBackBeginning, ComesBackWithout, Counts, NeverArrives, PageHasNonce, Status,
    };
    const POLICY: &str = "content-security-policy";
    const OF_THE_API: &str =
        "default-src 'none'; frame-ancestors 'none'; report-uri /.well-known/csp-reports";
    const REPORT: &str = r#"{"csp-report": {
  "document-uri": "http://localhost/shop",
  "effective-directive": "script-src-elem",
  "blocked-uri": "https://evil.example/x.js"
}}"#;
    let page = || Request::get(PAGE).header("user-agent", "demo");
    vec![
        Show {
            filter: "csp",
            title: "Scripts of a page run by a nonce, of which the upstream is told",
            request: page,
            signed_in: false,
            after: 0,
            promises: vec![
                ComesBackBeginning(POLICY, "default-src 'self'; script-src 'nonce-"),
                PageHasNonce,
                ComesBack("cache-control", "no-store"),
                Status(200),
            ],
        },
        Show {
            filter: "csp",
            title: "Nobody brings a nonce of his own",
            request: || {
                Request::get(PAGE)
                    .header("user-agent", "demo")
                    .header(NONCE, "forged")
            },
            signed_in: false,
            after: 0,
            promises: vec![PageHasNonce, Status(200)],
        },
        Show {
            filter: "csp",
            title: "Pages are safe from frames and guessed types, and silent on what serves them",
            request: page,
            signed_in: false,
            after: 0,
            promises: vec![
                ComesBack("x-frame-options", "DENY"),
                ComesBack("x-content-type-options", "nosniff"),
                ComesBack("referrer-policy", "no-referrer"),
                ComesBackWithout("x-powered-by"),
            ],
        },
        Show {
            filter: "csp",
            title: "An answer of the API may do nothing as a page",
            request: || with_token(Request::get("/api/orders"), &token()),
            signed_in: false,
            after: 0,
            promises: vec![ComesBack(POLICY, OF_THE_API), Status(200)],
        },
        Show {
            filter: "csp",
            title: "Nor may a refusal of another filter",
            request: || Request::get("/api/orders").header("user-agent", "demo"),
            signed_in: false,
            after: 0,
            promises: vec![
                NeverArrives,
                ComesBack(POLICY, OF_THE_API),
                ComesBack("x-content-type-options", "nosniff"),
                Status(401),
            ],
        },
        Show {
            filter: "csp",
            title: "What browsers did not run they report, and it is counted",
            request: || {
                Request::post("/.well-known/csp-reports", REPORT)
                    .header("user-agent", "demo")
                    .header("content-type", "application/csp-report")
            },
            signed_in: false,
            after: 0,
            promises: vec![
                NeverArrives,
                Counts(
                    "csp.reports.directive=script-src-elem;.disposition=enforce;",
                    1,
                ),
                Status(204),
            ],
        },
    ]
}

fn oauth2() -> Vec<Show> {
    use Promise::{Arrives, ArrivesWithout, ComesBack, ComesBackBeginning, NeverArrives, Status};
    let page = || {
        Request::get(MEMBERS)
            .header("user-agent", "demo")
            .header("accept", "text/html")
    };
    let show = |title, request, promises| Show {
        filter: "oauth2",
        title,
        request,
        signed_in: false,
        after: 0,
        promises,
    };
    vec![
        show(
            "A browser that nobody has signed in is sent to the identity provider",
            page,
            vec![
                NeverArrives,
                ComesBackBeginning("location", "http://127.0.0.1:"),
                ComesBackBeginning("set-cookie", "__Host-oauth2_flow."),
                ComesBack("cache-control", "no-store"),
                Status(302),
            ],
        ),
        show(
            "A program is told so",
            || {
                Request::get(MEMBERS)
                    .header("user-agent", "demo")
                    .header("accept", "application/json")
            },
            vec![NeverArrives, Status(401)],
        ),
        show(
            "A code that somebody else asked for signs nobody in",
            || {
                Request::get("/oauth2/callback?code=stolen&state=forged")
                    .header("user-agent", "demo")
                    .header("accept", "text/html")
            },
            vec![NeverArrives, Status(400)],
        ),
        Show {
            signed_in: true,
            ..show(
                "Whoever comes back from there is let in, and named to the upstream",
                page,
                vec![
                    Arrives("x-email", "alice@users.example"),
                    ArrivesWithout("cookie"),
                    Status(200),
                ],
            )
        },
        show(
            "Nobody else is, whatever he says",
            || {
                Request::get("/hello")
                    .header("user-agent", "demo")
                    .header("x-email", "alice@users.example")
            },
            vec![ArrivesWithout("x-email"), Status(200)],
        ),
    ]
}

fn jwt_auth() -> Vec<Show> {
    use Promise::{Arrives, ArrivesWithout, NeverArrives, Status};
    vec![
        Show {
            filter: "jwt-auth",
            title: "A good token lets its bearer in, and goes no further",
            request: || with_token(Request::get("/api/orders"), &token()),
            signed_in: false,
            after: 0,
            promises: vec![
                Arrives("x-user", "alice"),
                ArrivesWithout("authorization"),
                Status(200),
            ],
        },
        Show {
            filter: "jwt-auth",
            title: "Without a token nobody gets in",
            request: || Request::get("/api/orders").header("user-agent", "demo"),
            signed_in: false,
            after: 0,
            promises: vec![NeverArrives, Status(401)],
        },
        Show {
            filter: "jwt-auth",
            title: "A token that another key has signed is none",
            request: || {
                let forged = token().signed_by(&Key::other_p256().with_id("demo"));
                Request::get("/api/orders")
                    .header("user-agent", "demo")
                    .header("authorization", format!("Bearer {forged}"))
            },
            signed_in: false,
            after: 0,
            promises: vec![NeverArrives, Status(401)],
        },
        Show {
            filter: "jwt-auth",
            title: "A token that has run out is none",
            request: || with_token(Request::get("/api/orders"), &token().expires_in(-3600)),
            signed_in: false,
            after: 0,
            promises: vec![NeverArrives, Status(401)],
        },
        Show {
            filter: "jwt-auth",
            title: "A good token that may only read does not write",
            request: || {
                let reader = token().claim("scope", "read");
                with_token(order(COFFEE), &reader)
            },
            signed_in: false,
            after: 0,
            promises: vec![NeverArrives, Status(403)],
        },
        Show {
            filter: "jwt-auth",
            title: "One that may write does",
            request: || with_token(order(COFFEE), &writer()),
            signed_in: false,
            after: 0,
            promises: vec![Arrives("x-user", "alice"), Status(200)],
        },
        Show {
            filter: "jwt-auth",
            title: "Nobody says by himself who he is",
            request: || {
                Request::get("/hello")
                    .header("user-agent", "demo")
                    .header("x-user", "admin")
            },
            signed_in: false,
            after: 0,
            promises: vec![ArrivesWithout("x-user"), Status(200)],
        },
    ]
}

fn rate_limit() -> Vec<Show> {
    use Promise::{ComesBack, ComesBackBeginning, ComesBackWithout, NeverArrives, Status};
    const POLICY: &str = "\"login\";q=5;w=60";
    let sign_in = || Request::post("/login", "a guess").header("user-agent", "demo");
    vec![
        Show {
            filter: "rate-limit",
            title: "A client is told how much it has left",
            request: || Request::get("/hello").header("user-agent", "demo"),
            signed_in: false,
            after: 0,
            promises: vec![
                ComesBack("ratelimit-policy", "\"client\";q=200;w=2"),
                ComesBackBeginning("ratelimit", "\"client\";r=1"),
                ComesBackWithout("retry-after"),
                Status(200),
            ],
        },
        Show {
            filter: "rate-limit",
            title: "Signing in has a limit of its own",
            request: sign_in,
            signed_in: false,
            after: 0,
            promises: vec![
                ComesBack("ratelimit-policy", POLICY),
                ComesBackBeginning("ratelimit", "\"login\";r=4;"),
                Status(200),
            ],
        },
        Show {
            filter: "rate-limit",
            title: "Whoever goes on guessing is told when to come back",
            request: sign_in,
            signed_in: false,
            after: 4,
            promises: vec![
                NeverArrives,
                ComesBack("ratelimit-policy", POLICY),
                ComesBackBeginning("ratelimit", "\"login\";r=0;"),
                ComesBackBeginning("retry-after", ""),
                Status(429),
            ],
        },
        Show {
            filter: "rate-limit",
            title: "And may do all else meanwhile",
            request: || Request::get("/hello").header("user-agent", "demo"),
            signed_in: false,
            after: 0,
            promises: vec![Status(200)],
        },
    ]
}

fn body_guard() -> Vec<Show> {
    use Promise::{Arrives, ComesBack, ComesBackWithout, NeverArrives, Says, SaysNot, Status};
    const PROBLEM: Promise = ComesBack("content-type", "application/problem+json");
    let show = |title, request, promises| Show {
        filter: "body-guard",
        title,
        request,
        signed_in: false,
        after: 0,
        promises,
    };
    vec![
        show(
            "An order in JSON arrives as it was sent",
            || with_token(order(COFFEE), &writer()),
            vec![Arrives("content-length", "14"), Status(200)],
        ),
        show(
            "One that servers would read in two ways does not arrive",
            || with_token(order(r#"{"coffees": 1, "coffees": 100}"#), &writer()),
            vec![
                NeverArrives,
                PROBLEM,
                Says("duplicate_name"),
                SaysNot("coffees"),
                Status(400),
            ],
        ),
        show(
            "Nor one that ends too soon",
            || with_token(order(r#"{"coffees": 1"#), &writer()),
            vec![NeverArrives, PROBLEM, Says("invalid_json"), Status(400)],
        ),
        show(
            "Nor one that is nested deeper than anybody needs",
            || {
                let deep = "[".repeat(21) + &"]".repeat(21);
                with_token(order(&deep), &writer())
            },
            vec![NeverArrives, PROBLEM, Says("json_limit"), Status(400)],
        ),
        show(
            "What is no JSON is told what is taken",
            || {
                let request = Request::post("/api/orders", "one coffee");
                with_token(request.header("content-type", "text/plain"), &writer())
            },
            vec![NeverArrives, PROBLEM, Says("content_type"), Status(415)],
        ),
        show(
            "Of a card and an account the last characters come back, and no more",
            || with_token(Request::get(ACCOUNT), &token()),
            vec![
                Says("[redacted]1111"),
                Says("[redacted]3000"),
                SaysNot("4111 1111"),
                SaysNot("DE89"),
                ComesBackWithout("etag"),
                Status(200),
            ],
        ),
    ]
}

fn header_tag() -> Vec<Show> {
    use Promise::{Arrives, ComesBackWithout, Status};
    vec![
        Show {
            filter: "header-tag",
            title: "Every request is tagged",
            request: || Request::get("/hello").header("user-agent", "demo"),
            signed_in: false,
            after: 0,
            promises: vec![Arrives("x-envoy-plugin", "header-tag"), Status(200)],
        },
        Show {
            filter: "header-tag",
            title: "How long the upstream took stays inside",
            request: || Request::get("/orders/1").header("user-agent", "demo"),
            signed_in: false,
            after: 0,
            promises: vec![ComesBackWithout("x-runtime"), Status(200)],
        },
        Show {
            filter: "header-tag",
            title: "A tag that the client forged is overwritten",
            request: || {
                Request::post("/orders", "one coffee")
                    .header("user-agent", "demo")
                    .header("x-envoy-plugin", "forged")
            },
            signed_in: false,
            after: 0,
            promises: vec![Arrives("x-envoy-plugin", "header-tag"), Status(200)],
        },
        Show {
            filter: "header-tag",
            title: "Bytes that are no text pass unharmed",
            request: || {
                Request::get("/hello")
                    .header("user-agent", "demo")
                    .header("x-bytes", b"caf\xe9 \xff")
            },
            signed_in: false,
            after: 0,
            promises: vec![Arrives("x-envoy-plugin", "header-tag"), Status(200)],
        },
    ]
}

/// What the upstream answers: a page, or what it received.
pub(super) fn upstream_reply(received: &Received) -> Reply {
    let mut reply = Reply::ok();
    for (name, value) in upstream_headers(received) {
        reply = reply.header(name, value);
    }
    reply.body(page(received).unwrap_or_else(|| format!("{:#}\n", received.to_json())))
}

/// The upstream's answer line by line, without a body that says what arrived: that stands above.
pub(super) fn upstream_answer(received: &Received) -> Vec<String> {
    let headers = upstream_headers(received).into_iter();
    let headers = headers.map(|(name, value)| format!("{name}: {value}"));
    let head = std::iter::once("200".to_owned()).chain(headers);
    let page = page(received).map(|page| format!("\n{page}"));
    head.chain(page.iter().flat_map(|page| page.lines().map(str::to_owned)))
        .collect()
}

fn upstream_headers(received: &Received) -> Vec<(&'static str, &'static str)> {
    let kind = match received.path.as_str() {
        PAGE | MEMBERS => "text/html",
        _ => "application/json",
    };
    let mut headers = vec![
        ("content-type", kind),
        ("x-powered-by", "the upstream"),
        ("x-runtime", "0.003"),
    ];
    if received.path == ACCOUNT {
        headers.push(("etag", "\"1\""));
    }
    headers
}

/// A page with a script, one that says who is signed in, or an account, in lines that a column has room for.
fn page(received: &Received) -> Option<String> {
    match received.path.as_str() {
        PAGE => {
            let nonce = received.headers.text(NONCE).unwrap_or_default();
            Some(format!(
                "<!doctype html>\n<script\n  nonce=\"{nonce}\">\n  greet()\n</script>\n"
            ))
        }
        MEMBERS => {
            let email = received.headers.text("x-email").unwrap_or_default();
            let email = email.replace('&', "&amp;").replace('<', "&lt;");
            Some(format!(
                "<!doctype html>\n<p>You are {email}\n<p><a href=\"{SIGN_OUT}\">\n  Sign out</a>\n"
            ))
        }
        ACCOUNT => Some(
            "{\n  \"card\": \"4111 1111 1111 1111\",\n  \"iban\": \"DE89370400440532013000\"\n}\n"
                .to_owned(),
        ),
        _ => None,
    }
}

impl Promise {
    /// Whether it holds of an exchange; what is counted is looked up by `counted`, which waits for it.
    pub(super) fn holds(
        self,
        exchange: &Exchange,
        counted: impl FnOnce(&str, u64) -> bool,
    ) -> bool {
        let arrived = exchange.received.as_ref().map(|received| &received.headers);
        let back = &exchange.response.headers;
        match self {
            Self::Arrives(name, value) => arrived.is_some_and(|it| has_only(it, name, value)),
            Self::ArrivesWithout(name) => arrived.is_some_and(|it| !it.contains(name)),
            Self::NeverArrives => arrived.is_none(),
            Self::Status(status) => exchange.response.status == status,
            Self::ComesBack(name, value) => has_only(back, name, value),
            Self::ComesBackBeginning(name, start) => {
                matches!(back.all(name)[..], [value] if value.starts_with(start.as_bytes()))
            }
            Self::ComesBackWithout(name) => !back.contains(name),
            Self::Says(text) => exchange.response.text().contains(text),
            Self::SaysNot(text) => !exchange.response.text().contains(text),
            Self::PageHasNonce => {
                matches!(arrived.map(|it| it.all(NONCE)).as_deref(), Some([nonce])
                    if has_nonce(&exchange.response, &String::from_utf8_lossy(nonce)))
            }
            Self::Counts(name, count) => counted(name, count),
        }
    }

    /// The line that it promises on the way in.
    pub(super) fn arriving_line(self) -> Option<String> {
        match self {
            Self::Arrives(name, value) => Some(format!("{name}: {value}")),
            _ => None,
        }
    }

    /// The line that it promises on the way back.
    pub(super) fn returning_line(self) -> Option<String> {
        match self {
            Self::ComesBack(name, value) => Some(format!("{name}: {value}")),
            Self::Status(status) => Some(status.to_string()),
            _ => None,
        }
    }
}

/// Whether a page and its policy have this nonce, and it is one that the filter has drawn.
fn has_nonce(response: &Response, nonce: &str) -> bool {
    let policy = response.headers.text("content-security-policy");
    nonce.len() == NONCE_LENGTH
        && policy.is_some_and(|policy| policy.contains(&format!("'nonce-{nonce}'")))
        && response.text().contains(&format!("nonce=\"{nonce}\""))
}

fn has_only(headers: &Headers, name: &str, value: &str) -> bool {
    headers.all(name) == [value.as_bytes()]
}

impl fmt::Display for Promise {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arrives(name, value) => write!(out, "arrives with {name}: {value}"),
            Self::ArrivesWithout(name) => write!(out, "arrives without {name}"),
            Self::NeverArrives => write!(out, "does not arrive: Envoy answers by itself"),
            Self::Status(status) => write!(out, "is answered {status}"),
            Self::ComesBack(name, value) => write!(out, "comes back with {name}: {value}"),
            Self::ComesBackBeginning(name, "") => write!(out, "comes back with a {name}"),
            Self::ComesBackBeginning(name, start) => {
                write!(out, "comes back with {name}: {start}…")
            }
            Self::ComesBackWithout(name) => write!(out, "comes back without {name}"),
            Self::Says(text) => write!(out, "says {text}"),
            Self::SaysNot(text) => write!(out, "does not say {text}"),
            Self::PageHasNonce => {
                write!(
                    out,
                    "comes back with the nonce that the upstream was told, in the policy and in the page"
                )
            }
            Self::Counts(name, count) => write!(out, "counts {name} {count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(promise: Promise, exchange: &Exchange) -> bool {
        promise.holds(exchange, |_, _| false)
    }

    fn exchange(arrived: Option<&[(&str, &str)]>) -> Exchange {
        Exchange {
            response: Response {
                status: 200,
                headers: [("server", "envoy")].into_iter().collect(),
                body: Vec::new(),
                trailers: Headers::new(),
            },
            received: arrived.map(|headers| Received {
                method: "GET".to_owned(),
                path: "/".to_owned(),
                authority: "a".to_owned(),
                version: "HTTP/1.1".to_owned(),
                headers: headers.iter().copied().collect(),
                body: Vec::new(),
                trailers: Headers::new(),
                complete: true,
            }),
        }
    }

    #[test]
    fn a_header_must_arrive_once_with_its_value() {
        let promise = Promise::Arrives("x-a", "1");

        assert!(holds(promise, &exchange(Some(&[("x-a", "1")]))));
        assert!(!holds(promise, &exchange(Some(&[("x-a", "2")]))));
        assert!(!holds(
            promise,
            &exchange(Some(&[("x-a", "1"), ("x-a", "1")]))
        ));
        assert!(!holds(promise, &exchange(Some(&[]))));
        assert!(!holds(promise, &exchange(None)));
    }

    #[test]
    fn what_never_arrives_breaks_promises_about_its_arrival() {
        assert!(holds(Promise::NeverArrives, &exchange(None)));
        assert!(!holds(Promise::NeverArrives, &exchange(Some(&[]))));
        assert!(!holds(Promise::ArrivesWithout("x-a"), &exchange(None)));
    }

    #[test]
    fn promises_about_the_answer_look_at_the_answer() {
        let exchange = exchange(None);

        assert!(holds(Promise::Status(200), &exchange));
        assert!(!holds(Promise::Status(503), &exchange));
        assert!(holds(Promise::ComesBack("server", "envoy"), &exchange));
        assert!(holds(
            Promise::ComesBackBeginning("server", "env"),
            &exchange
        ));
        assert!(!holds(
            Promise::ComesBackBeginning("server", "nginx"),
            &exchange
        ));
        assert!(!holds(
            Promise::ComesBackBeginning("retry-after", ""),
            &exchange
        ));
        assert!(!holds(Promise::ComesBackWithout("server"), &exchange));
        assert!(holds(Promise::ComesBackWithout("x-powered-by"), &exchange));
    }

    #[test]
    fn promises_about_the_body_look_at_the_body() {
        let mut exchange = exchange(None);
        exchange.response.body = b"a card".to_vec();

        assert!(holds(Promise::Says("card"), &exchange));
        assert!(!holds(Promise::Says("iban"), &exchange));
        assert!(holds(Promise::SaysNot("iban"), &exchange));
        assert!(!holds(Promise::SaysNot("card"), &exchange));
    }

    #[test]
    fn the_nonce_is_one_that_the_upstream_was_told_and_nobody_brought() {
        let drawn = "0123456789abcdefghijklmn";
        let page = |told: &str, policy: &str, body: &str| {
            let mut exchange = exchange(Some(&[(NONCE, told)]));
            let policy = format!("script-src 'nonce-{policy}'");
            exchange.response.headers = [("content-security-policy", policy.as_str())]
                .into_iter()
                .collect();
            exchange.response.body = format!("<script nonce=\"{body}\">").into_bytes();
            holds(Promise::PageHasNonce, &exchange)
        };

        assert!(page(drawn, drawn, drawn));
        assert!(!page(drawn, "another", drawn));
        assert!(!page(drawn, drawn, "another"));
        assert!(!page("forged", "forged", "forged"));
        assert!(!holds(Promise::PageHasNonce, &exchange(None)));
    }

    #[test]
    fn what_is_counted_is_looked_up() {
        let promise = Promise::Counts("csp.reports", 2);

        assert!(
            promise.holds(&exchange(None), |name, count| name == "csp.reports"
                && count == 2)
        );
        assert!(!promise.holds(&exchange(None), |_, _| false));
    }

    #[test]
    fn every_show_promises_something() {
        for show in all() {
            assert!(!show.promises.is_empty(), "{}", show.title);
        }
    }
}

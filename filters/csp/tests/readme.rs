//! The README's configurations do what the README says, and its tables hold what there is.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use csp::Csp;
use legation_testing::{Exchange, Host, Request, Response, readme};
use serde_json::{Value, json};

const README: &str = include_str!("../README.md");
const POLICY: &str = "content-security-policy";
const REPORT_ONLY: &str = "content-security-policy-report-only";

fn host(configuration: &Value) -> Host<Csp> {
    let host = Host::configure(configuration.clone())
        .unwrap_or_else(|refused| panic!("{configuration:#}\n{refused}"));
    // As the shipped file has it, for the collector.
    host.set_allow_on_headers_stop_iteration(true);
    host
}

/// The host with one of the README's configurations.
fn example(number: usize) -> Host<Csp> {
    host(&readme::configurations(README)[number])
}

fn page(html: &str) -> Response {
    Response::ok()
        .header("content-type", "text/html; charset=utf-8")
        .body(html)
}

fn over_tls(path: &str) -> Request {
    Request::get(path).header("x-forwarded-proto", "https")
}

/// What a rule sends with a page over TLS.
fn sent_by(rule: &Value) -> Exchange {
    let host = host(&json!({"rules": [rule], "lint": "off"}));
    host.exchange(over_tls("/")).upstream(page(""))
}

/// The nonce in a response's policy.
fn nonce(exchange: &Exchange) -> String {
    let policy = exchange.response().header(POLICY).unwrap().to_owned();
    let (_, rest) = policy.split_once("'nonce-").unwrap();
    rest.split_once('\'').unwrap().0.to_owned()
}

/// The rows of the first table below a line that begins so, as their cells.
fn table(heading: &str) -> Vec<Vec<String>> {
    let (_, rest) = README
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("no {heading}"));
    let lines = rest.lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| {
        let cells = row.trim_matches('|').split(" | ");
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    rows.map(cells).collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The names in the first cells of a table.
fn names(heading: &str) -> Vec<String> {
    let rows = table(heading);
    let first = rows.iter().flat_map(|row| quoted(&row[0]));
    let names = first.map(|name| name.rsplit('.').next().unwrap_or(name).to_owned());
    names.collect()
}

/// The fields that are known where an unknown one stands.
fn fields(configuration: &Value) -> Vec<String> {
    let refused = Host::<Csp>::configure(configuration.clone()).unwrap_err();
    let mut lines = refused.lines.iter();
    let line = lines.find(|line| line.contains("zzz")).unwrap();
    let (_, known) = line.split_once("known: ").unwrap();
    let known = known.split(')').next().unwrap().split(", ");
    known.map(str::to_owned).collect()
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[test]
fn every_configuration_is_taken() {
    let configurations = readme::configurations(README);
    // Two first examples, a policy by its parts, learning, and four recipes.
    assert_eq!(configurations.len(), 8, "{configurations:#?}");
    for configuration in &configurations {
        host(configuration);
    }
}

#[test]
fn the_tables_have_every_option_and_no_other() {
    for (heading, configuration) in [
        ("## Options", json!({"zzz": 1})),
        ("### A rule", json!({"rules": [{"zzz": 1}]})),
        ("## Nonces", json!({"rules": [{"nonce": {"zzz": 1}}]})),
        ("## Reports", json!({"collector": {"zzz": 1}})),
        ("## Learning", json!({"learning": {"zzz": 1}})),
    ] {
        assert_eq!(
            sorted(names(heading)),
            sorted(fields(&configuration)),
            "{heading}"
        );
    }
}

#[test]
fn values_of_the_tables_are_taken() {
    for (heading, option) in [
        ("## Options", "lint"),
        ("## Options", "mode"),
        ("### A rule", "preset"),
        ("### A rule", "existing_policy"),
        ("### A rule", "existing_headers"),
    ] {
        let rows = table(heading);
        let row = rows.iter().find(|row| quoted(&row[0]) == [option]).unwrap();
        let values = quoted(&row[1]);
        assert!(values.len() >= 2, "{row:?}");
        for value in values {
            host(&if heading == "## Options" {
                json!({option: value, "rules": [{"preset": "api"}]})
            } else {
                json!({"rules": [{option: value, "remove_headers": "x-a"}]})
            });
        }
    }
}

#[test]
fn the_mistake_is_said_so() {
    let (_, said) = README.split_once("\n\n    rules[0].policy: ").unwrap();
    let said = format!("rules[0].policy: {}", said.lines().next().unwrap());
    let refused = Host::<Csp>::configure(json!({"rules": [{"policy": "script-source 'self'"}]}));
    assert_eq!(refused.unwrap_err().lines, [said]);
}

#[test]
fn the_first_example_gives_pages_a_policy_and_headers() {
    assert_eq!(readme::blocks(README).next().unwrap().lines().count(), 2);
    let exchange = example(0).exchange(over_tls("/")).upstream(page(""));
    assert!(exchange.response().header(POLICY).is_some());
    assert!(
        exchange
            .response()
            .header("strict-transport-security")
            .is_some()
    );
}

#[test]
fn the_strict_example_tells_the_upstream_and_treats_the_api_by_itself() {
    let host = example(1);
    let forged = Request::get("/").header("x-csp-nonce", "forged");
    let exchange = host.exchange(forged).upstream(page(""));
    let told = exchange.upstream().values("x-csp-nonce");
    assert_eq!(told, [nonce(&exchange)]);
    assert_eq!(told[0].len(), 24);
    let policy = exchange.response().header(POLICY).unwrap().to_owned();
    assert!(policy.contains("'strict-dynamic'"), "{policy}");
    assert!(
        policy.ends_with("; report-uri /.well-known/csp-reports"),
        "{policy}"
    );
    let other = host.exchange(Request::get("/")).upstream(page(""));
    assert_ne!(nonce(&other), nonce(&exchange));

    let json = Response::ok().header("content-type", "application/json");
    let api = host.exchange(Request::get("/api/x")).upstream(json);
    let policy = api.response().header(POLICY).unwrap().to_owned();
    assert!(
        policy.starts_with("default-src 'none'; frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(api.upstream().header("x-csp-nonce").is_none());

    let report = json!({"csp-report": {"effective-directive": "img-src", "disposition": "report"}});
    let taken = host
        .exchange(Request::post("/.well-known/csp-reports").body(report.to_string()))
        .run();
    assert_eq!(taken.status(), 204);
    assert!(taken.upstream.is_none());
    let name = quoted_texts(README, "| `reports").remove(0);
    let name = name.split('`').next().unwrap();
    let name = name.replace("=D", "=img-src").replace("=P", "=report");
    assert_eq!(host.counter(&format!("csp.reports{name}")), 1);
}

#[test]
fn the_policy_of_parts_is_written_and_its_placeholder_replaced() {
    let html = "<script nonce=\"{{csp-nonce-8f3b1c}}\">a()</script>";
    let exchange = example(2).exchange(Request::get("/")).upstream(page(html));
    let nonce = nonce(&exchange);
    // In whatever order: a configuration has none.
    let policy = exchange.response().header(POLICY).unwrap().to_owned();
    assert_eq!(
        sorted(policy.split("; ").map(str::to_owned).collect()),
        [
            "base-uri 'none'",
            "default-src 'self'",
            "frame-ancestors 'none'",
            "img-src 'self' data: https://images.example",
            "object-src 'none'",
            &format!("script-src 'nonce-{nonce}' 'strict-dynamic'"),
            "upgrade-insecure-requests",
        ]
    );
    assert_eq!(
        exchange.response().text(),
        html.replace("{{csp-nonce-8f3b1c}}", &nonce)
    );
    assert_eq!(
        exchange.response().header("cache-control"),
        Some("no-store")
    );
}

#[test]
fn the_learning_example_notes_what_pages_use_for_its_operator() {
    let host = example(3);
    let exchange = host
        .exchange(Request::get("/"))
        .upstream(page("<img src=https://images.example/a.png>"));
    assert_eq!(exchange.response().header(POLICY), None);
    assert!(exchange.response().header(REPORT_ONLY).is_some());

    let read = || Request::get("/.well-known/csp-proposal");
    let proposal = host
        .exchange(read().header("x-operator", "a long secret"))
        .run();
    let proposal: Value = serde_json::from_str(&proposal.response().text()).unwrap();
    let policy = proposal["policy"].as_str().unwrap();
    assert!(
        policy.contains("img-src https://images.example"),
        "{policy}"
    );
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert_eq!(proposal["seen"][0]["page"], "/");
    assert_eq!(host.exchange(read()).run().status(), 404);
}

#[test]
fn each_header_has_its_usual_value() {
    let rows = table("### Security headers");
    for row in &rows {
        let field = quoted(&row[0])[0];
        // The first cell's backticks are those of the value.
        let usual = quoted(&row[1])[0];
        let name = field.replace('_', "-");
        let exchange = sent_by(&json!({"security_headers": {field: true}}));
        assert_eq!(exchange.response().header(&name), Some(usual), "{field}");
        // `false` leaves it out of a preset.
        let exchange = sent_by(&json!({"preset": "strict", "security_headers": {field: false}}));
        assert_eq!(exchange.response().header(&name), None, "{field}");
        // And what the upstream has sent goes or stays.
        let rule = |existing: &str| json!({"security_headers": {field: true}, "existing_headers": existing});
        for (existing, expected) in [("replace", usual), ("keep", "own")] {
            let host = host(&json!({"rules": [rule(existing)]}));
            let own = page("").header(name.as_str(), "own");
            let exchange = host.exchange(over_tls("/")).upstream(own);
            assert_eq!(exchange.response().values(&name), [expected], "{field}");
        }
    }
    // All that there are: each is taken, and there is no other.
    assert_eq!(rows.len(), 14);
}

#[test]
fn presets_send_what_is_said_of_them() {
    let rows = table("### Presets");
    let presets: Vec<_> = rows.iter().map(|row| quoted(&row[0])[0]).collect();
    assert_eq!(presets, ["strict", "helmet", "api"]);

    let strict = sent_by(&json!({"preset": "strict"}));
    let policy = strict.response().header(POLICY).unwrap().to_owned();
    for part in [
        "default-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(
        strict.response().header("cross-origin-embedder-policy"),
        Some("require-corp")
    );
    let told = sent_by(&json!({"preset": "strict", "nonce": {"request_header": "x-nonce"}}));
    let policy = told.response().header(POLICY).unwrap().to_owned();
    assert!(policy.contains(&format!(
        "script-src 'nonce-{}' 'strict-dynamic'",
        nonce(&told)
    )));

    let api = sent_by(&json!({"preset": "api"}));
    let said = quoted(&rows[2][1]);
    assert_eq!(api.response().header(POLICY), Some(said[0]));

    let leaking = || {
        [
            "server",
            "x-powered-by",
            "x-aspnet-version",
            "x-aspnetmvc-version",
        ]
        .into_iter()
        .fold(page(""), |page, name| page.header(name, "secret"))
    };
    for (preset, left) in [
        ("strict", &[][..]),
        ("api", &[]),
        (
            "helmet",
            &["server", "x-aspnet-version", "x-aspnetmvc-version"],
        ),
    ] {
        let host = host(&json!({"rules": [{"preset": preset}], "lint": "off"}));
        let exchange = host.exchange(over_tls("/")).upstream(leaking());
        let response = exchange.response();
        for name in [
            "server",
            "x-powered-by",
            "x-aspnet-version",
            "x-aspnetmvc-version",
        ] {
            assert_eq!(
                response.header(name).is_some(),
                left.contains(&name),
                "{preset} {name}"
            );
        }
    }
}

#[test]
fn helmet_is_helmets() {
    // Helmet 8.1.0, `app.use(helmet())`.
    let exchange = sent_by(&json!({"preset": "helmet"}));
    let response = exchange.response();
    for (name, value) in [
        (
            POLICY,
            "default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';frame-ancestors 'self';img-src 'self' data:;object-src 'none';script-src 'self';script-src-attr 'none';style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests",
        ),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("origin-agent-cluster", "?1"),
        ("referrer-policy", "no-referrer"),
        (
            "strict-transport-security",
            "max-age=31536000; includeSubDomains",
        ),
        ("x-content-type-options", "nosniff"),
        ("x-dns-prefetch-control", "off"),
        ("x-download-options", "noopen"),
        ("x-frame-options", "SAMEORIGIN"),
        ("x-permitted-cross-domain-policies", "none"),
        ("x-xss-protection", "0"),
    ] {
        assert_eq!(
            response.header(name),
            Some(value.replace(';', "; ").replace(";  ", "; ").as_str()),
            "{name}"
        );
    }
}

#[test]
fn hsts_is_sent_over_tls_alone() {
    let host = host(&json!({"rules": [{"security_headers": {"strict_transport_security": true}}]}));
    for (scheme, is_sent) in [("https", true), ("http", false)] {
        let request = Request::get("/").header("x-forwarded-proto", scheme);
        let exchange = host.exchange(request).upstream(page(""));
        let sent = exchange.response().header("strict-transport-security");
        assert_eq!(sent.is_some(), is_sent, "{scheme}");
    }
}

#[test]
fn every_counter_is_in_the_table() {
    let names = names("## Counters");
    let source = include_str!("../src/counts.rs");
    let mut counted: Vec<_> = quoted_texts(source, "tally(\"");
    for source in [
        include_str!("../src/collector.rs"),
        include_str!("../src/learning.rs"),
    ] {
        counted.extend(quoted_texts(source, "counter(\""));
    }
    assert_eq!(counted.len(), 13);
    for name in &counted {
        assert!(names.contains(name), "{name} is not in the README");
    }
    // And the one with tags.
    assert_eq!(names.len(), counted.len() + 1);
}

/// What stands between a beginning and the next quotation mark.
fn quoted_texts(source: &str, begin: &str) -> Vec<String> {
    let texts = source.split(begin).skip(1);
    texts
        .map(|rest| rest.split('"').next().unwrap_or(rest).to_owned())
        .collect()
}

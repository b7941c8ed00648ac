//! Formats: read, or refused; and what they give.

use std::collections::BTreeMap;
use std::rc::Rc;

use legation::config::{self, OneOrMany};
use legation::format::{Environment, Format, ProcessEnvironment, Rendered, Uses};
use wasm_bindgen_test::wasm_bindgen_test;

use super::request::Fake;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn environment() -> BTreeMap<String, String> {
    let pairs = [("POD", "pod-1"), ("EMPTY", ""), ("WIDE", " a\r\nb ")];
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn format(text: &str) -> Format {
    Format::parse(text, &environment()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn render(text: &str, request: &mut Fake) -> (String, Rendered) {
    let mut out = b"before:".to_vec();
    let Ok(rendered) = format(text).render(request, &mut out);
    let out = String::from_utf8_lossy(&out).into_owned();
    (out.strip_prefix("before:").unwrap().to_owned(), rendered)
}

fn request() -> Fake {
    let mut request = Fake::get("/a/b?tag=x+y&tag=z&e=%C3%A9%0d%0aevil: 1#f")
        .with("x-a", "first")
        .with("x-a", "second")
        .with("x-empty", "")
        .with("x-wide", "a\u{1}b\tc")
        .with("x-encoded", "w6kgMQ0KeDogMg==")
        .with("x-of-url", "Pz8_")
        .with("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .with("x-envoy-original-path", "/original?q")
        .with("cookie", "a=1; b=\"two\"")
        .with("cookie", "c=3")
        .attribute("source.address", "10.1.2.3:4567")
        .attribute("source.port", 4567_i64.to_le_bytes())
        .attribute("connection.mtls", [1])
        .attribute("connection.id", u64::MAX.to_le_bytes())
        .attribute("request.time", 1_460_751_420_310_000_000_i64.to_le_bytes())
        .attribute("request.duration", 1_500_000_000_i64.to_le_bytes())
        .attribute("request.protocol", "HTTP/1.1")
        .attribute("response.code", [1, 2, 3])
        .attribute("metadata.filter_metadata.n.w", 0.5_f64.to_le_bytes())
        .attribute("metadata.filter_metadata.n.t", "text");
    request.response = vec![
        ("x-r".to_owned(), b"r".to_vec()),
        (":status".to_owned(), b"200".to_vec()),
    ];
    request.trailers = vec![("x-t".to_owned(), b"t".to_vec())];
    request.request_trailers = vec![("x-q".to_owned(), b"q".to_vec())];
    request
}

#[wasm_bindgen_test(unsupported = test)]
fn gives_values_of_a_request() {
    use Rendered::{Complete, Missing, Partial};
    for (text, value, rendered) in [
        ("text", "text", Complete),
        ("", "", Complete),
        ("100%% sure", "100% sure", Complete),
        ("%REQ(X-A)%", "first", Complete),
        ("%REQUEST_HEADER(x-a)%", "first", Complete),
        ("%REQ(x-none?x-a)%", "first", Complete),
        ("%REQ(x-a):3%", "fir", Complete),
        ("%REQ(x-none)%", "", Missing),
        ("%REQ(x-empty)%", "", Missing),
        ("%REQ(x-empty?x-a)%", "", Missing),
        ("[%REQ(x-none)%]", "[]", Missing),
        ("%REQ(x-none)%-%REQ(x-a)%", "-first", Partial),
        (
            "%REQ(:method)% %REQ(:AUTHORITY)%%REQ(host)%",
            "GET example.comexample.com",
            Complete,
        ),
        ("%REQ(x-wide)%", "a b\tc", Complete),
        ("%RESP(x-r)%%RESPONSE_HEADER(:status)%", "r200", Complete),
        ("%TRAILER(x-t)%", "t", Complete),
        ("%QUERY_PARAM(tag)%", "x y", Complete),
        ("%QUERY_PARAM(e)%", "é  evil: 1", Complete),
        ("%QUERY_PARAM(e):1%", "", Missing),
        ("%QUERY_PARAM(none)%", "", Missing),
        (
            "%QUERY_PARAMS%",
            "tag=x+y&tag=z&e=%C3%A9%0d%0aevil: 1",
            Complete,
        ),
        ("%QUERY_PARAMS(DECODED):16%", "tag=x+y&tag=z&e=", Complete),
        ("%PATH%", "/original?q", Complete),
        ("%PATH(NQ)%", "/original", Complete),
        ("%PATH(NQ:PATH)%", "/a/b", Complete),
        ("%PATH(WQ:PATH):6%", "/a/b?t", Complete),
        ("%PATH(:ORIG)%", "/original?q", Complete),
        ("%COOKIE(b)%%COOKIE(c)%", "two3", Complete),
        ("%COOKIE(d)%", "", Missing),
        ("%ENVIRONMENT(POD)%", "pod-1", Complete),
        ("%ENVIRONMENT(POD):3%/%REQ(x-a)%", "pod/first", Complete),
        ("%ENVIRONMENT(WIDE)%", "a  b", Complete),
        ("%ENVIRONMENT(EMPTY)%", "", Complete),
        ("%ATTRIBUTE(source.address)%", "10.1.2.3:4567", Complete),
        ("%DOWNSTREAM_REMOTE_ADDRESS%", "10.1.2.3:4567", Complete),
        (
            "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
            "10.1.2.3",
            Complete,
        ),
        (
            "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(16)%",
            "10.1.0.0/16",
            Complete,
        ),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(64)%", "", Missing),
        ("%DOWNSTREAM_REMOTE_PORT%", "4567", Complete),
        ("%ATTRIBUTE(connection.mtls)%", "true", Complete),
        ("%CONNECTION_ID%", "18446744073709551615", Complete),
        ("%START_TIME%", "2016-04-15T20:17:00.310Z", Complete),
        ("%ATTRIBUTE(request.duration)%", "1.5s", Complete),
        ("%PROTOCOL%", "HTTP/1.1", Complete),
        // Bytes of another type than the attribute's are no value.
        ("%RESPONSE_CODE%", "", Missing),
        ("%ROUTE_NAME%", "", Missing),
        (
            "%ATTRIBUTE(metadata.filter_metadata['n'].w:double)%",
            "0.5",
            Complete,
        ),
        (
            "%ATTRIBUTE(metadata.filter_metadata.n.t)%",
            "text",
            Complete,
        ),
        ("  %REQ(x-a)%\t", "first", Complete),
        ("%REQUEST_TRAILER(x-none?x-q)%", "q", Complete),
        ("%TRACE_ID%", TRACE, Complete),
        ("%TRACE_ID:8%", "4bf92f35", Complete),
        // What was encoded breaks out of its header no more than what was not.
        ("%BASE64_DECODE(REQ(x-encoded))%", "é 1  x: 2", Complete),
        ("%BASE64_DECODE(REQ(x-encoded)):2%", "é", Complete),
        ("%BASE64_DECODE(REQ(x-of-url))%", "???", Complete),
        ("%BASE64_DECODE(REQ(x-none?x-of-url))%", "???", Complete),
        ("%BASE64_DECODE(REQ(x-wide))%", "", Missing),
        ("%BASE64_DECODE(REQ(x-none))%", "", Missing),
        // echo -n '???' | sha256sum
        (
            "%SHA256(BASE64_DECODE(REQ(x-of-url))):8%",
            "a03b221c",
            Complete,
        ),
    ] {
        let found = render(text, &mut request());
        assert_eq!(found, (value.to_owned(), rendered), "{text}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn knows_what_is_constant() {
    for (text, literal) in [
        ("", Some("")),
        (" a%%b ", Some("a%b")),
        ("a-%ENVIRONMENT(POD)%-b", Some("a-pod-1-b")),
        ("%ENVIRONMENT(EMPTY)%", Some("")),
        ("a%REQ(b)%", None),
    ] {
        let format = format(text);
        assert_eq!(format.as_literal(), literal.map(str::as_bytes), "{text}");
        if literal.is_some() {
            assert_eq!(format.uses(), Uses::default());
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn tells_what_it_uses() {
    let text = "%REQ(a?b)%%PATH(NQ:PATH)%%PATH%%COOKIE(a)%%QUERY_PARAM(a)%%RESP(a)%%ATTRIBUTE(source.port)%%RESPONSE_CODE%";

    assert_eq!(
        format(text).uses(),
        Uses {
            request_header_reads: 7,
            request_trailers: false,
            response_headers: true,
            response_trailers: false,
            attributes: 2,
            response_attributes: true,
        }
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn what_comes_out_may_stand_in_a_header() {
    let hostile = b"\0a\r\nx-admin: 1\x7f\xff\n";
    let mut request = Fake::get([b"/?q=", &hostile[..]].concat())
        .with("x-a", hostile)
        .with("cookie", [b"c=", &hostile[..]].concat())
        .attribute("request.id", hostile);
    let text = "%REQ(x-a)%%PATH%%QUERY_PARAM(q)%%QUERY_PARAMS(DECODED)%%COOKIE(c)%%STREAM_ID%";
    let mut out = Vec::new();

    let Ok(_) = format(text).render(&mut request, &mut out);

    assert!(!out.is_empty());
    assert!(http::HeaderValue::from_bytes(&out).is_ok(), "{out:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn bounds_what_comes_out() {
    let mut request = Fake::get("/").with("x-a", vec![b'a'; 100_000]);
    let lengths = [
        "%REQ(x-a)%",
        "%REQ(x-a):61440%",
        "%REQ(x-a):61440%b%REQ(x-a)%",
    ];

    let found = lengths.map(|text| render(text, &mut request).0.len());

    assert_eq!(found, [8_192, 61_440, 61_440]);
    assert_eq!(
        format(&"a".repeat(100_000)).as_literal().map(<[u8]>::len),
        Some(61_440)
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn refuses_what_is_no_format() {
    for (text, error) in [
        (
            "100% sure",
            "column 4: a percent sign without an operator; a plain percent sign is `%%`",
        ),
        ("é%", "column 2: a percent sign without an operator"),
        ("%REQ", "column 1: `%REQ` is not closed by `%`"),
        ("a %REQ(x%", "column 3: `REQ(` is not closed by `)`"),
        ("%REQ(x)", "column 1: `%REQ` is not closed by `%`"),
        (
            "%REQ%",
            "column 1: `REQ` needs an argument; write `%REQ(x-name)%`",
        ),
        ("%REQ()%", "`REQ` needs an argument"),
        ("%REQ(a?b?c)%", "\"b?c\" is not the name of a header"),
        (
            "%REQ(a b)%",
            "\"a b\" is not the name of a header; or one of :method, :path",
        ),
        ("%REQ(:status)%", "\":status\" is not the name of a header"),
        (
            "%RESP(:path)%",
            "\":path\" is not the name of a header; or one of :status",
        ),
        ("%REQ(x):0%", "what follows `:` is a length from 1 to 61440"),
        (
            "%REQ(x):99999999999999999999%",
            "what follows `:` is a length",
        ),
        ("%REQ(x):%", "what follows `:` is a length"),
        ("%REQQ(x)%", "unknown operator `REQQ`; did you mean `REQ`?"),
        ("%req(x)%", "unknown operator `req`; did you mean `REQ`?"),
        (
            "%DOWNSTREAM_REMOTE_ADRESS%",
            "did you mean `DOWNSTREAM_REMOTE_ADDRESS`?",
        ),
        ("%NONSENSE%", "known: REQ, REQUEST_HEADER, RESP"),
        (
            "%DYNAMIC_METADATA(a:b)%",
            "write `%ATTRIBUTE(metadata.filter_metadata['NAMESPACE'].KEY)%`",
        ),
        ("%METHOD%", "write `%REQ(:method)%`"),
        ("%PROTOCOL(a)%", "`PROTOCOL` takes no argument"),
        (
            "%PATH(X)%",
            "expected WQ (with query) or NQ (no query), got \"X\"",
        ),
        (
            "%PATH(NQ:X)%",
            "expected ORIG, PATH or ORIG_OR_PATH, got \"X\"",
        ),
        ("%QUERY_PARAMS(X)%", "expected ORIG or DECODED"),
        (
            "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(129)%",
            "is not the length of a mask",
        ),
        (
            "%ENVIRONMENT(NONE)%",
            "the environment variable \"NONE\" is not set; a module sees only what its plugin's `vm_config.environment_variables` names: `host_env_keys`",
        ),
        (
            "%ATTRIBUTE(source.adress)%",
            "Envoy has no attribute \"source.adress\"; did you mean `source.address`?",
        ),
        (
            "%ATTRIBUTE(request.headers.x)%",
            "joins repeated headers by commas; write `%REQ(name)%`",
        ),
        ("%ATTRIBUTE(metadata)%", "metadata is a map, not a value"),
        ("a\nb", "column 2: a control character"),
        ("%TRACE_ID(a)%", "`TRACE_ID` takes no argument"),
        (
            "%REQUEST_TRAILER(:path)%",
            "\":path\" is not the name of a header",
        ),
        (
            "%BASE64_DECODE%",
            "`BASE64_DECODE` needs an argument; write `%BASE64_DECODE(REQ(x-name))%`",
        ),
        ("%BASE64_DECODE(x)%", "unknown operator `x`"),
        (
            "%BASE64_DECODE(ENVIRONMENT(POD))%",
            "an environment variable is neither hashed nor decoded",
        ),
        (
            "%SHA256(SHA256(SHA256(SHA256(REQ(x-a)))))%",
            "more than 4 operators stand one in another",
        ),
    ] {
        let found = Format::parse(text, &environment()).unwrap_err().to_string();
        assert!(found.contains(error), "{text}: {found}");
    }
    assert_eq!(
        Format::parse("éé%", &environment()).unwrap_err().column(),
        3
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn the_longest_text_needs_no_more_stack_than_the_shortest() {
    const DEEP: usize = 200_000;
    let hashed = format!("%{}REQ(a){}%", "SHA256(".repeat(DEEP), ")".repeat(DEEP));
    let error = Format::parse(&hashed, &environment()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("more than 4 operators stand one in another")
    );

    for between in ["", "."] {
        let names = vec!["['a']"; DEEP].join(between);
        let claim = format!("%JWT_CLAIM(user:{names})%");
        assert_eq!(render(&claim, &mut request()).0, "");
    }
    for (names, error) in [("['a']b", "a dot is missing"), ("['a'].", "is not a path")] {
        let claim = format!("%JWT_CLAIM(user:{names})%");
        let found = Format::parse(&claim, &environment()).unwrap_err();
        assert!(found.to_string().contains(error), "{names}: {found}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn is_read_from_a_configuration_with_its_environment() {
    let text = br#"["a", "%ENVIRONMENT(POD)%"]"#;

    let formats: OneOrMany<Format> = config::parse_in(text, Rc::new(environment())).unwrap();

    assert_eq!(formats[1].as_literal(), Some(&b"pod-1"[..]));
    let errors = config::parse::<OneOrMany<Format>>(
        br#"["%ENVIRONMENT(LEGATION_NO_SUCH)%", "%REQQ(a)%", 5]"#,
    );
    let errors = errors.unwrap_err().to_string();
    let errors: Vec<_> = errors.lines().collect();
    assert!(
        errors[0].starts_with("[0]: column 1: the environment variable"),
        "{errors:?}"
    );
    assert!(
        errors[1].starts_with("[1]: column 1: unknown operator `REQQ`"),
        "{errors:?}"
    );
    assert!(errors[2].starts_with(
        "[2]: expected a string, such as `text` or `%REQ(x-name)%`, got the number 5"
    ));
}

#[wasm_bindgen_test(unsupported = test)]
fn no_name_upsets_the_processs_environment() {
    for name in ["", "=", "a=b", "a\0b", "LEGATION_NO_SUCH"] {
        assert_eq!(ProcessEnvironment.get(name), None);
    }
}

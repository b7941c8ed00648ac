//! What each action gives, and when it gives nothing.

use std::convert::Infallible;

use legation::config;
use legation::format::attributes::Path;
use legation::matcher::RequestView;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

/// A request made of nothing but memory, which counts what it is asked.
#[derive(Default)]
struct Fake {
    headers: Vec<(&'static str, Vec<u8>)>,
    attributes: Vec<(&'static str, Vec<u8>)>,
    source: Option<&'static str>,
    asked: Vec<String>,
}

impl Fake {
    fn new(path: &str) -> Self {
        Self {
            headers: vec![(":method", b"GET".to_vec()), (":path", path.into())],
            source: Some("192.0.2.7"),
            ..Self::default()
        }
    }

    fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name, value.as_ref().to_vec()));
        self
    }

    /// An attribute by its segments, joined by spaces.
    fn attribute(mut self, path: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.attributes.push((path, value.as_ref().to_vec()));
        self
    }

    fn source(mut self, address: &'static str) -> Self {
        self.source = Some(address);
        self
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let same = self.headers.iter().filter(move |(own, _)| *own == name);
        same.map(|(_, value)| value.as_slice())
    }
}

impl RequestView for Fake {
    type Error = Infallible;

    fn header(&mut self, name: &str) -> Result<Option<&[u8]>, Infallible> {
        Ok(self.values(name).next())
    }

    fn any_header(
        &mut self,
        name: &str,
        test: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<bool, Infallible> {
        Ok(self.values(name).any(test))
    }

    fn source_address(&mut self) -> Result<Option<IpAddr>, Infallible> {
        self.asked.push("source address".to_owned());
        Ok(self.source.map(|address| address.parse().unwrap()))
    }

    fn random(&mut self) -> Result<u64, Infallible> {
        self.asked.push("random".to_owned());
        Ok(0)
    }
}

impl ValueSource for Fake {
    fn response_header(&mut self, _: &str) -> Result<Option<&[u8]>, Infallible> {
        panic!("a response was asked for")
    }

    fn response_trailer(&mut self, _: &str) -> Result<Option<&[u8]>, Infallible> {
        panic!("a response was asked for")
    }

    fn attribute(&mut self, path: &Path) -> Result<Option<Cow<'_, [u8]>>, Infallible> {
        let path = String::from_utf8_lossy(path.as_bytes()).replace('\0', " ");
        let known = self.attributes.iter().find(|(own, _)| *own == path);
        let value = known.map(|(_, value)| Cow::Borrowed(value.as_slice()));
        self.asked.push(path);
        Ok(value)
    }
}

fn actions(rate_limits: &str, hops: u32) -> Actions {
    let config = format!(
        r#"{{"rate_limits":[{rate_limits}],"xff_num_trusted_hops":{hops},"concurrency":{{"max":1}}}}"#
    );
    let config = config::parse(config.as_bytes());
    Actions::new(&config.unwrap_or_else(|errors| panic!("{rate_limits}\n{errors}")))
}

fn made(actions: &Actions, request: &mut Fake) -> Vec<Descriptor> {
    let mut descriptors = Descriptors::default();
    let Ok(()) = actions.descriptors(&mut matcher::Request::new(request), &mut descriptors);
    descriptors.all().into_iter().cloned().collect()
}

/// `key=value` of the entries of each descriptor.
fn written_out(actions: &Actions, request: &mut Fake) -> Vec<String> {
    let entry = |entry: &Entry| format!("{}={}", entry.key, entry.value.escape_ascii());
    let descriptors = made(actions, request);
    let entries = descriptors.iter().map(|one| one.entries.iter().map(entry));
    entries
        .map(|all| all.collect::<Vec<_>>().join(" "))
        .collect()
}

/// The descriptor of one action and another that always gives `m=GET`.
fn one(action: &str, mut request: Fake) -> Option<String> {
    let with = format!(r#"{{"actions":[{action},{{"method":{{"descriptor_key":"m"}}}}]}}"#);
    let mut all = written_out(&actions(&with, 0), &mut request);
    assert!(all.len() < 2, "{all:?}");
    all.pop()
}

#[track_caller]
fn gives(action: &str, request: Fake, expected: &str) {
    assert_eq!(one(action, request), Some(format!("{expected} m=GET")));
}

#[track_caller]
fn gives_nothing(action: &str, request: Fake) {
    assert_eq!(one(action, request), None, "{action}");
}

#[track_caller]
fn is_left_out(action: &str, request: Fake) {
    assert_eq!(one(action, request).as_deref(), Some("m=GET"), "{action}");
}

fn get() -> Fake {
    Fake::new("/")
}

#[wasm_bindgen_test(unsupported = test)]
fn clusters_are_attributes() {
    let source = r#"{"source_cluster":{}}"#;
    let destination = r#"{"destination_cluster":{}}"#;
    gives(
        source,
        get().attribute("xds node cluster", "edge"),
        "source_cluster=edge",
    );
    gives(
        destination,
        get().attribute("xds cluster_name", "api"),
        "destination_cluster=api",
    );
    gives_nothing(source, get());
    gives_nothing(destination, get());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_header_gives_its_first_value_even_an_empty_one() {
    let action = r#"{"request_headers":{"header_name":"X-User","descriptor_key":"user"}}"#;
    let skipped = r#"{"request_headers":{"header_name":"x-user","descriptor_key":"user","skip_if_absent":true}}"#;
    gives(
        action,
        get().header("x-user", "a").header("x-user", "b"),
        "user=a",
    );
    gives(action, get().header("x-user", ""), "user=");
    gives(
        action,
        get().header("x-user", b"\xff\x01 a"),
        "user=\\xff\\x01 a",
    );
    gives_nothing(action, get());
    is_left_out(skipped, get());
    gives(
        r#"{"request_headers":{"header_name":"Host","descriptor_key":"h"}}"#,
        get().header(":authority", "a.test"),
        "h=a.test",
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_query_parameter_gives_its_first_value_decoded() {
    let action = r#"{"query_parameters":{"query_parameter_name":"k","descriptor_key":"key"}}"#;
    let skipped = r#"{"query_parameters":{"query_parameter_name":"k","descriptor_key":"key","skip_if_absent":true}}"#;
    gives(action, Fake::new("/?a=1&k=x%20y&k=2"), "key=x y");
    gives(action, Fake::new("/?k"), "key=");
    gives(action, Fake::new("/?k=%ff"), "key=\\xef\\xbf\\xbd");
    gives_nothing(action, Fake::new("/?K=1"));
    gives_nothing(action, Fake::new("/#?k=1"));
    gives_nothing(action, Fake::new("/k=1"));
    is_left_out(skipped, Fake::new("/"));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_address_is_written_one_way() {
    let action = r#"{"remote_address":{}}"#;
    gives(action, get(), "remote_address=192.0.2.7");
    gives(
        action,
        get().source("::ffff:192.0.2.7"),
        "remote_address=192.0.2.7",
    );
    gives(
        action,
        get().source("2001:DB8:0:0::1"),
        "remote_address=2001:db8::1",
    );
    let of_a_socket = Fake {
        source: None,
        ..get()
    };
    gives_nothing(action, of_a_socket);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_address_is_masked_by_its_version() {
    let action = r#"{"masked_remote_address":{"v4_prefix_mask_len":24,"v6_prefix_mask_len":56}}"#;
    gives(action, get(), "masked_remote_address=192.0.2.0/24");
    gives(
        action,
        get().source("2001:db8:1:2ff::3"),
        "masked_remote_address=2001:db8:1:200::/56",
    );
    let whole = r#"{"masked_remote_address":{}}"#;
    gives(whole, get(), "masked_remote_address=192.0.2.7/32");
    gives(whole, get().source("::1"), "masked_remote_address=::1/128");
    let none = r#"{"masked_remote_address":{"v4_prefix_mask_len":0}}"#;
    gives(none, get(), "masked_remote_address=0.0.0.0/0");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_address_in_a_network_gives_a_value() {
    let action = r#"{"remote_address_match":{"descriptor_value":"in","cidrs":["192.0.2.0/24","2001:db8::/32"],"default_value":"x"}}"#;
    let inverted = r#"{"remote_address_match":{"descriptor_value":"out","descriptor_key":"k","cidrs":"192.0.2.0/24","invert_match":true}}"#;
    gives(action, get(), "remote_address_match=in");
    gives(
        action,
        get().source("2001:db8::1"),
        "remote_address_match=in",
    );
    gives(
        action,
        get().source("::ffff:192.0.2.1"),
        "remote_address_match=in",
    );
    gives_nothing(action, get().source("198.51.100.1"));
    gives_nothing(inverted, get());
    gives(inverted, get().source("198.51.100.1"), "k=out");
    for action in [action, inverted] {
        let of_a_socket = Fake {
            source: None,
            ..get()
        };
        gives_nothing(action, of_a_socket);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_generic_key_is_text_or_a_format() {
    gives(
        r#"{"generic_key":{"descriptor_value":"a"}}"#,
        get(),
        "generic_key=a",
    );
    let action = r#"{"generic_key":{"descriptor_value":"u:%REQ(x-a)%","descriptor_key":"k"}}"#;
    gives(action, get().header("x-a", "1"), "k=u:1");
    gives_nothing(action, get());
    gives(
        r#"{"generic_key":{"descriptor_value":"%REQ(x-a)%","descriptor_key":"k","default_value":"none"}}"#,
        get(),
        "k=none",
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_header_test_gives_a_value_as_it_is_expected_to_come_out() {
    let action = r#"{"header_value_match":{"descriptor_value":"v","headers":[{"name":"x-a","exact":"b"},{"name":"x-c","present":true}]}}"#;
    let unexpected = r#"{"header_value_match":{"descriptor_value":"v","descriptor_key":"k","expect_match":false,"default_value":"d","headers":[{"name":"x-a","exact":"b"}]}}"#;
    gives(
        action,
        get().header("x-a", "b").header("x-c", ""),
        "header_match=v",
    );
    gives_nothing(action, get().header("x-a", "b"));
    gives(unexpected, get(), "k=v");
    gives_nothing(unexpected, get().header("x-a", "b"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_query_test_gives_a_value_as_it_is_expected_to_come_out() {
    let action = r#"{"query_parameter_value_match":{"descriptor_value":"v","query_parameters":[{"name":"a","prefix":"b"}]}}"#;
    let unexpected = r#"{"query_parameter_value_match":{"descriptor_value":"v","descriptor_key":"k","expect_match":false,"query_parameters":[{"name":"a","prefix":"b"}]}}"#;
    gives(action, Fake::new("/?a=%62c"), "query_match=v");
    gives_nothing(action, Fake::new("/?a=c"));
    gives(unexpected, Fake::new("/?a=c"), "k=v");
    gives_nothing(unexpected, Fake::new("/?a=b"));
}

#[wasm_bindgen_test(unsupported = test)]
fn metadata_gives_text_that_is_not_empty() {
    const FIELD: &str = "metadata filter_metadata com.example it's a";
    let action = |rest: &str| {
        format!(
            r#"{{"metadata":{{"descriptor_key":"k","metadata_key":{{"key":"com.example","path":[{{"key":"it's"}},{{"key":"a"}}]}}{rest}}}}}"#
        )
    };
    gives(&action(""), get().attribute(FIELD, "v"), "k=v");
    gives(
        &action(r#","source":"ROUTE_ENTRY""#),
        get().attribute("xds route_metadata filter_metadata com.example it's a", "v"),
        "k=v",
    );
    gives_nothing(&action(""), get());
    gives_nothing(&action(""), get().attribute(FIELD, ""));
    gives(
        &action(r#","default_value":"d""#),
        get().attribute(FIELD, ""),
        "k=d",
    );
    is_left_out(&action(r#","skip_if_absent":true"#), get());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_claim_gives_text_numbers_and_truth_values() {
    const STATE: &str = "filter_state wasm.user";
    let action = |claim: &str, rest: &str| {
        format!(
            r#"{{"jwt_claim":{{"claim":{claim},"filter_state":"user","descriptor_key":"k"{rest}}}}}"#
        )
    };
    let payload =
        r#"{"sub":"a","n":5,"b":true,"o":{"p":"q"},"x.y":"z","l":["a"],"e":"","null":null}"#;
    let with = || get().attribute(STATE, payload);
    gives(&action(r#""sub""#, ""), with(), "k=a");
    gives(&action(r#""n""#, ""), with(), "k=5");
    gives(&action(r#""b""#, ""), with(), "k=true");
    gives(&action(r#""o.p""#, ""), with(), "k=q");
    gives(&action(r#"["x.y"]"#, ""), with(), "k=z");
    for none in ["o", "l", "e", "null", "x.y", "sub.a", "no"] {
        gives_nothing(&action(&format!("{none:?}"), ""), with());
    }
    gives_nothing(&action(r#""sub""#, ""), get());
    for hostile in ["", "{", "[]", "\"sub\"", "\u{0}"] {
        gives_nothing(&action(r#""sub""#, ""), get().attribute(STATE, hostile));
    }
    gives(&action(r#""no""#, r#","default_value":"d""#), with(), "k=d");
    is_left_out(&action(r#""no""#, r#","skip_if_absent":true"#), with());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_cookie_gives_its_first_value() {
    let action = r#"{"cookie":{"name":"s","descriptor_key":"k"}}"#;
    gives(action, get().header("cookie", "t=0; s=1; s=2"), "k=1");
    gives_nothing(action, get().header("cookie", "S=1; s="));
    gives_nothing(action, get());
    gives(
        r#"{"cookie":{"name":"s","descriptor_key":"k","default_value":"d"}}"#,
        get(),
        "k=d",
    );
    is_left_out(
        r#"{"cookie":{"name":"s","descriptor_key":"k","skip_if_absent":true}}"#,
        get(),
    );
}

/// What each way to read the path gives.
fn readings(actions: &Actions, path: &str) -> Vec<Vec<String>> {
    let mut request = Fake::new(path);
    let mut descriptors = Descriptors::default();
    let Ok(()) = actions.descriptors(&mut matcher::Request::new(&mut request), &mut descriptors);
    let value = |one: &Descriptor| one.entries[0].value.escape_ascii().to_string();
    let readings = descriptors.readings();
    readings
        .map(|list| list.iter().map(value).collect())
        .collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn a_limit_is_met_by_any_reading_of_the_path_and_gone_round_by_all() {
    let key = r#""actions":[{"generic_key":{"descriptor_value":"K"}}]"#;
    let only = actions(&format!(r#"{{"match":{{"path":"/login"}},{key}}}"#), 0);
    let but = format!(r#"{{"match":{{"not":{{"path":{{"prefix":"/free/"}}}}}},{key}}}"#);
    let but = actions(&but, 0);
    for (path, login, counted) in [
        ("/login", true, true),
        ("/login?a=;b", true, true),
        ("/login;x", true, true),
        ("/login%3bx", true, true),
        ("/%6cogin", true, true),
        ("/%256cogin", true, true),
        ("/login%3fx", true, true),
        ("/x%2f..%2flogin", true, true),
        ("/free/..;/login", true, true),
        ("/logins;x", false, true),
        ("/free/a", false, false),
        ("/free/a;x", false, false),
        ("/free/a%20b", false, false),
        ("/free/..;/a", false, true),
        ("/free/..%2fa", false, true),
        ("/free/%252e%252e/a", false, true),
        ("/a/../free/b", false, true),
    ] {
        let is_made = |actions| !made(actions, &mut Fake::new(path)).is_empty();
        assert_eq!(is_made(&only), login, "{path}");
        assert_eq!(is_made(&but), counted, "{path}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_part_of_a_path_is_a_key_in_each_of_its_readings() {
    let action = r#"{"path_template":{"template":"/users/{id}","capture":"id"}}"#;
    let actions = actions(&format!(r#"{{"actions":[{action}]}}"#), 0);
    for (path, expected) in [
        ("/users/7", &[&["7"][..]][..]),
        ("/users/%37", &[&["7"]]),
        ("/users//7", &[&["7"], &[]]),
        ("/users/7;a", &[&["7;a"], &["7"]]),
        ("/users/7%3ba", &[&["7%3Ba"], &["7"]]),
        ("/users/%2537", &[&["%2537"], &["7"]]),
        ("/x/..;/users/7", &[&[], &["7"]]),
        ("/a;b", &[&[]]),
    ] {
        assert_eq!(readings(&actions, path), expected, "{path}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_depends_on_no_path_is_the_same_whatever_the_path() {
    let actions = actions(
        r#"{"actions":[{"remote_address":{}}]},{"match":{"percentage":50},"actions":[{"method":{}}]}"#,
        0,
    );
    let mut request = Fake::new("/a;b/..;/c");
    assert_eq!(
        written_out(&actions, &mut request),
        ["remote_address=192.0.2.7", "method=GET"]
    );
    assert_eq!(request.asked, ["source address", "random"]);
    assert_eq!(readings(&actions, "/a;b").len(), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_template_gives_itself_or_a_part_of_the_path() {
    let action = r#"{"path_template":{"template":["/users/{id}","/users/{id}/**"]}}"#;
    gives(action, Fake::new("/users/7?a"), "path_template=/users/{id}");
    gives(
        action,
        Fake::new("/x/../users//7/files"),
        "path_template=/users/{id}/**",
    );
    gives_nothing(action, Fake::new("/user/7"));
    let captured = |template: &str| {
        format!(
            r#"{{"path_template":{{"template":"{template}","capture":"v","descriptor_key":"k"}}}}"#
        )
    };
    for (template, path, value) in [
        ("/a/{v}", "/a/b", Some("b")),
        ("/a/{v}/c/{w}", "/a/%62/c/d", Some("b")),
        ("/a/x{v}.pdf", "/a/xb.pdf", Some("b")),
        ("/a/{v=**}", "/a/b/c", Some("b/c")),
        ("/a/{v=**}", "/a/", None),
        ("/a/{v=**}", "/a", None),
        ("/{v}/**", "/b", Some("b")),
        ("/a/{v}", "/a/b/c", None),
    ] {
        let expected = value.map(|value| format!("k={value} m=GET"));
        assert_eq!(
            one(&captured(template), Fake::new(path)),
            expected,
            "{path}"
        );
    }
    is_left_out(
        r#"{"path_template":{"template":"/a","skip_if_absent":true}}"#,
        get(),
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_method_and_a_format_give_their_text() {
    gives(r#"{"method":{}}"#, get(), "method=GET");
    let action = r#"{"format":{"format":"%REQ(x-a)%/%REQ(x-b)%","descriptor_key":"k"}}"#;
    gives(action, get().header("x-b", "b"), "k=/b");
    gives_nothing(action, get());
    is_left_out(
        r#"{"format":{"format":"%REQ(x-a)%","descriptor_key":"k","skip_if_absent":true}}"#,
        get(),
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn trusted_hops_are_counted_from_the_right() {
    let by_hops = |hops| actions(r#"{"actions":[{"remote_address":{}}]}"#, hops);
    for (hops, headers, address) in [
        (0, &["203.0.113.9"][..], "192.0.2.7"),
        (1, &["6.6.6.6, 203.0.113.9, 10.0.0.1"], "203.0.113.9"),
        (
            2,
            &["6.6.6.6, 203.0.113.9, 10.0.0.2,10.0.0.1"],
            "203.0.113.9",
        ),
        // Several headers are one list.
        (1, &["6.6.6.6", "203.0.113.9", "10.0.0.1"], "203.0.113.9"),
        (1, &["203.0.113.9,10.0.0.2", "10.0.0.1"], "10.0.0.2"),
        // More hops than addresses.
        (1, &["203.0.113.9"], "192.0.2.7"),
        (3, &["203.0.113.9, 10.0.0.1"], "192.0.2.7"),
        (1, &[], "192.0.2.7"),
        (100, &["203.0.113.9, 10.0.0.1"], "192.0.2.7"),
        // What is no address.
        (1, &["6.6.6.6, unknown, 10.0.0.1"], "192.0.2.7"),
        (1, &["6.6.6.6, , 10.0.0.1"], "192.0.2.7"),
        (1, &["6.6.6.6,\u{ff},10.0.0.1"], "192.0.2.7"),
        (1, &["[2001:db8::1]:80, 10.0.0.1"], "2001:db8::1"),
        (1, &["::ffff:203.0.113.9, 10.0.0.1"], "203.0.113.9"),
    ] {
        let mut request = get();
        for header in headers {
            request = request.header("x-forwarded-for", header);
        }
        assert_eq!(
            written_out(&by_hops(hops), &mut request),
            [format!("remote_address={address}")],
            "{hops} {headers:?}"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn hits_are_a_number_or_come_from_the_request() {
    let hits = |addend: &str, request: &mut Fake| {
        let rule = format!(r#"{{"actions":[{{"method":{{}}}}]{addend}}}"#);
        made(&actions(&rule, 0), request)[0].hits
    };
    assert_eq!(hits("", &mut get()), 1);
    assert_eq!(hits(r#","hits_addend":{"number":0}"#, &mut get()), 0);
    let cost = r#","hits_addend":{"format":"%REQ(x-cost)%"}"#;
    for (written, expected) in [
        ("5", 5),
        (" 5 ", 5),
        ("0", 0),
        ("5.9", 5),
        ("1000000000", 1_000_000_000),
        ("1000000001", 1),
        ("99999999999999999999", 1),
        ("-1", 1),
        ("+5", 1),
        ("5e1", 1),
        ("5.", 1),
        (".5", 1),
        ("", 1),
        ("a", 1),
        ("\u{ff}", 1),
    ] {
        let mut request = get().header("x-cost", written);
        assert_eq!(hits(cost, &mut request), expected, "{written}");
    }
    // Without one, and with what is none, it is one.
    assert_eq!(hits(cost, &mut get()), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn rules_make_descriptors_in_order_and_of_their_requests_alone() {
    let rules = actions(
        r#"
            {"actions":[{"generic_key":{"descriptor_value":"a"}}]},
            {"match":{"path":"/b"},"actions":[{"generic_key":{"descriptor_value":"b"}}]},
            {"actions":[{"request_headers":{"header_name":"x-a","descriptor_key":"k","skip_if_absent":true}}]},
            {"actions":[{"generic_key":{"descriptor_value":"d"}},{"method":{}}],"hits_addend":{"number":2}}
        "#,
        0,
    );
    let made = made(&rules, &mut get());
    let hits: Vec<_> = made.iter().map(|one| one.hits).collect();
    assert_eq!(hits, [1, 2]);
    assert_eq!(
        written_out(&rules, &mut Fake::new("/b").header("x-a", "c")),
        [
            "generic_key=a",
            "generic_key=b",
            "k=c",
            "generic_key=d method=GET"
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_is_asked_twice_and_nothing_that_is_not_needed() {
    let rules = actions(
        r#"
            {"actions":[
                {"remote_address":{}},{"masked_remote_address":{}},
                {"jwt_claim":{"claim":"sub","filter_state":"user","descriptor_key":"s"}},
                {"jwt_claim":{"claim":"aud","filter_state":"user","descriptor_key":"a"}},
                {"destination_cluster":{}},
                {"format":{"format":"%UPSTREAM_CLUSTER% %ATTRIBUTE(connection.id)% %ATTRIBUTE(connection.id)%","descriptor_key":"f"}}
            ]},
            {"actions":[{"remote_address":{}},{"destination_cluster":{}}]},
            {"actions":[{"request_headers":{"header_name":"x-a","descriptor_key":"k"}},{"source_cluster":{}}]}
        "#,
        0,
    );
    let mut request = get()
        .attribute("filter_state wasm.user", r#"{"sub":"a","aud":"b"}"#)
        .attribute("xds cluster_name", "c")
        .attribute("connection id", 7_u64.to_le_bytes());
    assert_eq!(
        written_out(&rules, &mut request),
        [
            "remote_address=192.0.2.7 masked_remote_address=192.0.2.7/32 s=a a=b destination_cluster=c f=c 7 7",
            "remote_address=192.0.2.7 destination_cluster=c"
        ]
    );
    assert_eq!(
        request.asked,
        [
            "source address",
            "filter_state wasm.user",
            "xds cluster_name",
            "connection id"
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn long_values_stay_whole() {
    let rules = actions(
        r#"{"actions":[{"request_headers":{"header_name":"x-a","descriptor_key":"k"}}]}"#,
        0,
    );
    let long = "a".repeat(60 * 1024);
    let one = made(&rules, &mut get().header("x-a", format!("{long}1")));
    let other = made(&rules, &mut get().header("x-a", format!("{long}2")));
    assert_ne!(one, other);
    assert_eq!(one[0].entries[0].value.len(), long.len() + 1);
}

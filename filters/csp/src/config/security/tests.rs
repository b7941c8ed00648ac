use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

/// What is wrong with a value: nothing, or what is said of it.
fn wrong(field: &str, value: &str) -> Option<String> {
    let known = KNOWN.iter().find(|known| known.field == field);
    let check = known.map_or_else(|| panic!("{field} is not known"), |known| known.check);
    let checked = is_one_line(value).and_then(|()| check(value));
    checked.err().map(|problem| problem.to_string())
}

#[wasm_bindgen_test(unsupported = test)]
fn usual_values_and_those_of_presets_are_right() {
    for known in KNOWN {
        assert_eq!(wrong(known.field, known.usual), None, "{}", known.field);
        assert_eq!(known.field.replace('_', "-"), known.name);
    }
    for preset in [Preset::Strict, Preset::Helmet, Preset::Api] {
        for (field, value) in preset.headers() {
            assert_eq!(wrong(field, value), None, "{field}");
        }
        // A field that is misspelt would be left out.
        let sent = SecurityHeaders::default().sent(Some(preset));
        assert_eq!(sent.len(), preset.headers().len());
    }
}

/// A field, values that are right, and values that are wrong.
type Case = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const CASES: &[Case] = &[
    (
        "strict_transport_security",
        &[
            "max-age=0",
            "max-age=63072000; includeSubDomains; preload",
            "MAX-AGE=\"5\" ; includesubdomains;",
        ],
        &[
            "",
            "includeSubDomains",
            "max-age",
            "max-age=",
            "max-age=-1",
            "max-age=+1",
            "max-age=\"1",
            "max-age=1, includeSubDomains",
            "max-age=1; max-age=1",
            "max-age=1; includeSubDomains; includeSubDomains",
            "max-age=1; other",
            "max-age=31536000; preload",
            "max-age=31535999; includeSubDomains; preload",
            "max-age=99999999999999999999",
        ],
    ),
    (
        "x_content_type_options",
        &["nosniff"],
        &["", "sniff", "nosniff, nosniff"],
    ),
    (
        "x_frame_options",
        &["DENY", "deny", "SameOrigin"],
        &[
            "ALLOW-FROM https://a.example",
            "ALLOWALL",
            "DENY, SAMEORIGIN",
        ],
    ),
    (
        "referrer_policy",
        &[
            "no-referrer",
            "no-referrer, strict-origin-when-cross-origin",
        ],
        &["", "no-referer", "no-referrer,", "never"],
    ),
    (
        "permissions_policy",
        &[
            "camera=()",
            "camera=*",
            "geolocation=(self \"https://maps.example\"), fullscreen=self",
        ],
        &[
            "",
            "camera",
            "camera=none",
            "camera 'none'",
            "Camera=()",
            "camera=(",
            "camera=(https://a.example)",
            "camera=();",
        ],
    ),
    (
        "cross_origin_opener_policy",
        &["same-origin-allow-popups", "same-origin; report-to=\"a\""],
        &["same-site", "require-corp"],
    ),
    (
        "cross_origin_embedder_policy",
        &["credentialless", "require-corp; report-to=\"a\""],
        &["same-origin", "Require-Corp"],
    ),
    (
        "cross_origin_resource_policy",
        &["cross-origin"],
        &["none", "same-site; a"],
    ),
    ("origin_agent_cluster", &["?0"], &["1", "true"]),
    ("x_dns_prefetch_control", &["on"], &["ON"]),
    ("x_download_options", &["noopen"], &["open"]),
    (
        "x_permitted_cross_domain_policies",
        &["master-only"],
        &["nothing"],
    ),
    ("x_xss_protection", &["0"], &["1", "1; mode=block", ""]),
    (
        "clear_site_data",
        &["\"*\"", "\"cache\",\"cookies\""],
        &["cache", "*", "\"cash\"", "\"cache\" \"cookies\""],
    ),
];

#[wasm_bindgen_test(unsupported = test)]
fn values_are_checked() {
    for (field, right, wrong_ones) in CASES {
        for value in *right {
            assert_eq!(wrong(field, value), None, "{field}: {value}");
        }
        for value in *wrong_ones {
            assert!(wrong(field, value).is_some(), "{field}: {value}");
        }
    }
    // None is forgotten.
    assert_eq!(CASES.len(), KNOWN.len());
}

/// Such a value cannot be sent, and would not be.
#[wasm_bindgen_test(unsupported = test)]
fn a_value_that_no_header_can_carry_is_refused() {
    for (field, value) in [
        ("referrer_policy", "no-referrer\n"),
        ("referrer_policy", "no-referrer,\r\n origin"),
        ("clear_site_data", "\"cache\",\n\"cookies\""),
        (
            "cross_origin_opener_policy",
            "same-origin; report-to=\"\u{7f}\"",
        ),
        ("cross_origin_opener_policy", "same-origin; report-to=\"ä\""),
        ("permissions_policy", "camera=(\"https://ä.example\")"),
        ("strict_transport_security", " max-age=1"),
    ] {
        let problem = wrong(field, value).unwrap();
        assert!(
            problem.contains("is no header's value"),
            "{field}: {problem}"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_the_rule_says_goes_before_the_preset() {
    let headers = SecurityHeaders(vec![
        (Field::named("x_frame_options").unwrap(), Choice::Usual),
        (Field::named("referrer_policy").unwrap(), Choice::Off),
        (Field::named("x_download_options").unwrap(), Choice::Off),
        (
            Field::named("clear_site_data").unwrap(),
            Choice::Value("\"*\"".to_owned()),
        ),
    ]);
    let sent = headers.sent(Some(Preset::Helmet));
    let value = |name: &str| {
        let mut of_name = sent.iter().filter(|sent| sent.name == name);
        let found = of_name.next().map(|sent| sent.value.to_str().unwrap());
        assert!(of_name.next().is_none(), "{name} is there twice");
        found
    };
    assert_eq!(value("x-frame-options"), Some("DENY"));
    assert_eq!(value("referrer-policy"), None);
    assert_eq!(value("x-download-options"), None);
    assert_eq!(value("clear-site-data"), Some("\"*\""));
    assert_eq!(value("x-content-type-options"), Some("nosniff"));
    assert!(headers.sent(None).len() == 2);
}

#[wasm_bindgen_test(unsupported = test)]
fn names_are_taken_away_once() {
    let removed = |preset| SecurityHeaders::removed(preset, OneOrMany::default());
    assert_eq!(removed(None).len(), 0);
    assert_eq!(removed(Some(Preset::Helmet)), ["x-powered-by"]);
    assert_eq!(removed(Some(Preset::Api)), removed(Some(Preset::Strict)));
}

#[wasm_bindgen_test(unsupported = test)]
fn hsts_is_for_secure_connections_alone() {
    let sent = SecurityHeaders::default().sent(Some(Preset::Strict));
    let needing: Vec<_> = sent.iter().filter(|sent| sent.needs_tls()).collect();
    assert_eq!(needing.len(), 1);
    assert_eq!(needing[0].name, "strict-transport-security");
}

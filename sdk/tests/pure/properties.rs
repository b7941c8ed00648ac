//! What holds of any input.

use std::collections::BTreeMap;

use legation::config::{self, suggest};
use legation::format::attributes::{self, Kind, Path};
use legation::format::{Format, Rendered};
use legation::matcher::{Ambiguity, Matcher, Regex, normalize_path, parse_address};
use proptest::prelude::*;

use super::request::Fake;

/// Bytes of which paths are made.
fn path() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "/", "//", ".", "..", "%2e", "%2E", "%2f", "%5c", "%", "%%", "%25", "%41", "a", "b",
            ";", "\\", "?", "#", "*", "http://h", "é", "%c3", "%00", "4", "1", "e", "2",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// JSON, more or less, with the words of a configuration.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        (-200.0..200.0_f64).prop_map(|value| value.to_string()),
        prop::sample::select(vec![
            "/a",
            "GET",
            "*.a.b",
            "10.0.0.0/8",
            "%REQ(a)%",
            "x-a",
            "",
            "[a"
        ])
        .prop_map(|text| format!("\"{text}\"")),
        ".{0,8}".prop_map(|text| format!("{text:?}")),
    ];
    let key = prop::sample::select(vec![
        "path",
        "method",
        "host",
        "headers",
        "query",
        "cookies",
        "source_ip",
        "percentage",
        "all",
        "any",
        "not",
        "name",
        "exact",
        "prefix",
        "regex",
        "template",
        "present",
        "range",
        "start",
        "end",
        "ignore_case",
        "invert_match",
        "nme",
    ]);
    leaf.prop_recursive(5, 40, 5, move |inner| {
        let entry =
            (key.clone(), inner.clone()).prop_map(|(key, value)| format!("\"{key}\": {value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..5)
                .prop_map(|values| format!("[{}]", values.join(", "))),
            prop::collection::vec(entry, 0..5)
                .prop_map(|entries| format!("{{{}}}", entries.join(",\n"))),
        ]
    })
}

proptest! {
    #[test]
    fn a_normal_path_stays_as_it_is(raw in path()) {
        let once = normalize_path(&raw).into_owned();

        prop_assert_eq!(&*normalize_path(&once), &*once);
        prop_assert!(once == b"*" || once.starts_with(b"/"));
        prop_assert!(once.iter().all(u8::is_ascii_graphic));
        prop_assert!(!once.windows(2).any(|pair| pair == b"//"));
        let mut segments = once.split(|byte| *byte == b'/');
        prop_assert!(!segments.any(|segment| segment == b"." || segment == b".."));
    }

    #[test]
    fn a_path_of_plain_segments_is_normal(segments in prop::collection::vec("[a-z0-9~_-]{1,5}", 0..5)) {
        let plain = format!("/{}", segments.join("/"));
        prop_assert_eq!(&*normalize_path(plain.as_bytes()), plain.as_bytes());
        prop_assert!(Ambiguity::of(plain.as_bytes()).is_none());
    }

    #[test]
    fn detours_lead_to_the_same_path(segments in prop::collection::vec("[a-z]{1,3}", 1..5), at in any::<prop::sample::Index>(), detour in prop::sample::select(vec!["/.", "/x/..", "/", "/%2e", "/x/%2E%2e", "/\\"])) {
        let plain = format!("/{}", segments.join("/"));
        let mut parts: Vec<_> = segments.iter().map(|segment| format!("/{segment}")).collect();
        parts.insert(at.index(segments.len()), detour.to_owned());
        let detoured = parts.concat();
        prop_assert_eq!(&*normalize_path(detoured.as_bytes()), plain.as_bytes());
    }

    #[test]
    fn any_document_is_read_or_refused_in_lines(text in document()) {
        if let Err(errors) = config::parse::<Matcher>(text.as_bytes()) {
            let shown = errors.to_string();
            prop_assert_eq!(shown.lines().count(), errors.len().min(51));
            prop_assert!(shown.chars().all(|char| char == '\n' || !char.is_control()));
            for error in &errors {
                prop_assert!(error.line().is_none_or(|line| line <= text.lines().count()));
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = config::parse::<Matcher>(&bytes);
        let _ = parse_address(&bytes);
        let _ = Ambiguity::of(&bytes);
    }

    #[test]
    fn any_matcher_answers_for_any_request(text in document(), raw in path(), value in prop::collection::vec(any::<u8>(), 0..20)) {
        if let Ok(matcher) = config::parse::<Matcher>(text.as_bytes()) {
            let mut request = Fake::get(raw).with("x-a", &value).with("cookie", &value);
            let passes = request.passes(&matcher);
            let wrapped = format!("{{\"not\": {text}}}");
            let not: Matcher = config::parse(wrapped.as_bytes()).unwrap();
            prop_assert_eq!(request.passes(&not), !passes);
        }
    }

    #[test]
    fn any_text_is_a_format_or_refused(text in "([%a-zA-Z():?.\\[\\]'0-9 é]|%REQ\\(a\\)%|%ATTRIBUTE\\(|%QUERY_PARAM\\(a\\):3%){0,12}", value in prop::collection::vec(any::<u8>(), 0..40)) {
        let none = BTreeMap::new();
        match Format::parse(&text, &none) {
            Err(error) => prop_assert!(error.column() <= text.chars().count() + 1),
            Ok(format) => {
                let mut request = Fake::get([b"/?a=", &*value].concat()).with("a", &value);
                let mut out = Vec::new();
                let Ok(rendered) = format.render(&mut request, &mut out);
                prop_assert!(http::HeaderValue::from_bytes(&out).is_ok());
                prop_assert!(!out.starts_with(b" ") && !out.ends_with(b" "));
                if let Some(literal) = format.as_literal() {
                    prop_assert_eq!(&out, literal);
                    prop_assert_eq!(rendered, Rendered::Complete);
                }
            }
        }
    }

    #[test]
    fn any_plain_text_is_its_own_format(text in "[ -~]{0,40}") {
        let format = Format::parse(&text.replace('%', "%%"), &BTreeMap::new()).unwrap();
        prop_assert_eq!(format.as_literal(), Some(text.trim_matches(' ').as_bytes()));
    }

    #[test]
    fn any_path_of_an_attribute_is_known_or_refused(text in "(metadata|source|request|[a-z.\\[\\]'\":]){0,6}", bytes in prop::collection::vec(any::<u8>(), 0..10)) {
        if let Ok(path) = Path::parse(&text) {
            prop_assert!(!path.as_bytes().is_empty());
            let _ = attributes::decode(path.kind(), &bytes);
        }
        for kind in [Kind::Int, Kind::Uint, Kind::Bool, Kind::Double, Kind::Duration, Kind::Timestamp, Kind::Map, Kind::List] {
            let _ = attributes::decode(kind, &bytes);
        }
    }

    #[test]
    fn any_expression_compiles_or_is_refused(pattern in "([a-z|*+?()\\[\\]\\\\^$.{}0-9#]|\\(\\?[ximsU]\\)){0,10}", value in prop::collection::vec(any::<u8>(), 0..20)) {
        if let Ok(regex) = Regex::new(&pattern) {
            let _ = regex.is_match(&value);
        }
    }

    #[test]
    fn suggests_a_word_with_a_slip(word in prop::sample::select(vec!["prefix", "headers", "percentage", "ignore_case"]), at in any::<prop::sample::Index>()) {
        let mut slipped = word.to_owned();
        slipped.remove(at.index(word.len()));
        let known = ["prefix", "headers", "percentage", "ignore_case", "path", "any"];
        prop_assert_eq!(suggest(&slipped, known), Some(word));
    }
}

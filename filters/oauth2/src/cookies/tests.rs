use legation::headers::without_cookies;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

#[cfg(not(target_arch = "wasm32"))]
mod fuzz;
mod tampering;

const NAME: &str = "__Host-session";

pub(super) fn jar<'a>(headers: &[&'a str]) -> CookieJar<'a> {
    CookieJar::read(headers.iter().map(|header| header.as_bytes()))
}

/// The value of this name in these headers.
fn joined(name: &str, headers: &[&str]) -> Option<String> {
    let value = jar(headers).join(name)?.into_owned();
    Some(String::from_utf8(value).unwrap())
}

/// What a browser sends after these lines.
pub(super) fn sent(lines: &[String]) -> String {
    let pairs = lines.iter().map(|line| line.split(';').next().unwrap());
    pairs.collect::<Vec<_>>().join("; ")
}

/// The names of what is set, and whether it is deleted.
fn names(lines: &[String]) -> Vec<(&str, bool)> {
    lines
        .iter()
        .map(|line| (line.split('=').next().unwrap(), line.contains("Max-Age=0;")))
        .collect()
}

fn value(length: usize) -> String {
    ('a'..='z')
        .chain('A'..='Z')
        .chain('0'..='9')
        .cycle()
        .take(length)
        .collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn a_cookie_says_how_it_is_kept() {
    let lines = |attributes: &Attributes, max_age| {
        jar(&[]).set_lines("s", "abc", attributes, max_age).unwrap()
    };
    let plain = Attributes::default();
    assert_eq!(
        lines(&plain, Some(60)),
        ["s=1abc; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax"]
    );
    assert_eq!(
        lines(&plain, None),
        ["s=1abc; Path=/; Secure; HttpOnly; SameSite=Lax"]
    );
    // Not a deletion.
    assert_eq!(
        lines(&plain, Some(0)),
        ["s=1abc; Max-Age=1; Path=/; Secure; HttpOnly; SameSite=Lax"]
    );
    let all = Attributes {
        same_site: SameSite::None,
        path: "/app".into(),
        domain: Some("example.com".into()),
        partitioned: true,
        secure: true,
    };
    assert_eq!(
        lines(&all, Some(1)),
        [
            "s=1abc; Max-Age=1; Path=/app; Domain=example.com; Secure; HttpOnly; SameSite=None; Partitioned"
        ]
    );
    let bare = Attributes {
        same_site: SameSite::Disabled,
        secure: false,
        ..Attributes::default()
    };
    assert_eq!(lines(&bare, None), ["s=1abc; Path=/; HttpOnly"]);
    let strict = Attributes {
        same_site: SameSite::Strict,
        ..Attributes::default()
    };
    assert!(lines(&strict, None)[0].ends_with("; SameSite=Strict"));
}

#[wasm_bindgen_test(unsupported = test)]
fn names_begin_with_the_strictest_prefix_that_fits() {
    for (secure, domain, path, prefix) in [
        (true, None, "/", "__Host-"),
        (true, None, "/app", "__Secure-"),
        (true, Some("example.com"), "/", "__Secure-"),
        (false, None, "/", ""),
        (false, Some("example.com"), "/app", ""),
    ] {
        let attributes = Attributes {
            path: path.into(),
            domain: domain.map(Into::into),
            secure,
            ..Attributes::default()
        };
        assert_eq!(attributes.prefix(), prefix, "{attributes:?}");
        assert!(
            attributes.fit(&format!("{prefix}session")),
            "{attributes:?}"
        );
        assert!(attributes.fit("session"), "{attributes:?}");
        for name in ["__Host-session", "__HOST-session"] {
            assert_eq!(
                attributes.fit(name),
                prefix == "__Host-",
                "{name}, {attributes:?}"
            );
        }
        for name in ["__Secure-session", "__secure-session"] {
            assert_eq!(attributes.fit(name), secure, "{name}, {attributes:?}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_long_value_is_cut_and_put_together() {
    let attributes = Attributes {
        path: "/a/longer/path".into(),
        domain: Some("www.example.com".into()),
        partitioned: true,
        ..Attributes::default()
    };
    let none = jar(&[]);
    let mut most = 0;
    for length in (0..40_000).step_by(997) {
        let value = value(length);
        let Some(lines) = none.set_lines(NAME, &value, &attributes, Some(u64::MAX)) else {
            break;
        };
        most = lines.len();
        assert!(lines.len() <= MOST_CHUNKS);
        assert!(
            lines.iter().all(|line| line.len() <= LONGEST_LINE),
            "{length}"
        );
        let header = sent(&lines);
        assert_eq!(
            joined(NAME, &[&header]).as_deref(),
            Some(&*value),
            "{length}"
        );
        // In any order, and in headers of their own (HTTP/2).
        let mut headers = header.split("; ").collect::<Vec<_>>();
        headers.reverse();
        assert_eq!(joined(NAME, &headers).as_deref(), Some(&*value), "{length}");
    }
    assert_eq!(most, MOST_CHUNKS);
    assert!(
        none.set_lines(NAME, &value(31_200), &Attributes::default(), None)
            .is_none()
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn no_byte_of_a_line_is_wasted_and_none_is_too_many() {
    let attributes = Attributes::default();
    let none = jar(&[]);
    let mut last = 1;
    for length in (3_780..3_900).chain(7_600..7_720) {
        let lines = none
            .set_lines(NAME, &value(length), &attributes, Some(3_600))
            .unwrap();
        assert!(lines.iter().all(|line| line.len() <= LONGEST_LINE));
        if lines.len() > last {
            // The lines before are nearly full.
            assert!(
                lines[last - 1].len() > LONGEST_LINE - 4,
                "{}",
                lines[last - 1].len()
            );
            last = lines.len();
        }
    }
    assert_eq!(last, 3);
}

#[wasm_bindgen_test(unsupported = test)]
fn only_base64url_is_set() {
    for value in [
        "a;b",
        "a b",
        "a\r\nset-cookie: b=c",
        "ä",
        "a,b",
        "a\"",
        "a=b",
        "a+b",
        "\0",
    ] {
        assert!(
            jar(&[])
                .set_lines(NAME, value, &Attributes::default(), None)
                .is_none(),
            "{value:?}"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn attributes_that_leave_no_room_set_nothing() {
    for length in [3_840, 3_850, 3_900, 5_000] {
        let attributes = Attributes {
            path: format!("/{}", value(length)).into(),
            ..Attributes::default()
        };
        assert!(
            jar(&[])
                .set_lines(NAME, &value(100), &attributes, None)
                .is_none()
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn only_a_whole_value_is_one() {
    for (headers, expected) in [
        (&["s=1abc"][..], Some("abc")),
        (&["s=1"], Some("")),
        (&["a=b; s=1abc; c=d"], Some("abc")),
        (&["a=b", "s=1abc"], Some("abc")),
        (&[" \ts = 1abc \t; "], Some("abc")),
        (&["s=2abc; s.1=def"], Some("abcdef")),
        (&["s.1=def; s=2abc"], Some("abcdef")),
        (&["s=3a; s.1=b; s.2=c"], Some("abc")),
        (
            &["s=8; s.1=1; s.2=2; s.3=3; s.4=4; s.5=5; s.6=6; s.7=7"],
            Some("1234567"),
        ),
        // Cookies of other names.
        (
            &["s=1abc; s.abcdefgh=1; ss=2; s.x=3; s.=4; s.01=5; s.0=6; s.100=7; S=1"],
            Some("abc"),
        ),
        (&["s=1a=b"], Some("a=b")),
        // None at all.
        (&[], None),
        (&[""], None),
        (&["s"], None),
        (&["S=1abc"], None),
        (&["=s=1abc"], None),
        (&["\"s\"=1abc"], None),
        // No count.
        (&["s="], None),
        (&["s=abc"], None),
        (&["s=0"], None),
        (
            &["s=9; s.1=1; s.2=2; s.3=3; s.4=4; s.5=5; s.6=6; s.7=7; s.8=8"],
            None,
        ),
        (&["s=\"1abc\""], None),
        // Missing.
        (&["s=2abc"], None),
        (&["s.1=abc"], None),
        (&["s=3a; s.2=c"], None),
        (&["s=3a; s.1=b"], None),
        // Too many.
        (&["s=1abc; s.1=def"], None),
        (&["s=2a; s.1=b; s.2=c"], None),
        (&["s=1a; s.8=b"], None),
        (&["s=1a; s.99=b"], None),
        // There twice.
        (&["s=1abc; s=1abc"], None),
        (&["s=1abc", "s=1abc"], None),
        (&["s=2a; s.1=b; s.1=b"], None),
    ] {
        assert_eq!(joined("s", headers).as_deref(), expected, "{headers:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_value_in_one_cookie_is_not_copied() {
    assert!(matches!(
        jar(&["s=1abc"]).join("s"),
        Some(Cow::Borrowed(b"abc"))
    ));
}

#[wasm_bindgen_test(unsupported = test)]
fn more_cookies_than_a_browser_has_are_none() {
    let many = |count: usize| {
        let others = (0..count).map(|number| format!("; a{number}=b"));
        std::iter::once("s=1abc".to_owned())
            .chain(others)
            .collect::<String>()
    };
    assert!(joined("s", &[&many(MOST_COOKIES - 1)]).is_some());
    assert!(joined("s", &[&many(MOST_COOKIES)]).is_none());
    assert!(joined("s", &["s=1abc", &many(MOST_COOKIES)]).is_none());
    let large = |length: usize| format!("a={}", value(length));
    assert!(joined("s", &["s=1abc", &large(MOST_BYTES - 8)]).is_some());
    assert!(joined("s", &["s=1abc", &large(MOST_BYTES - 7)]).is_none());
    // Then every cookie is deleted that may be there.
    let header = many(MOST_COOKIES);
    let lines = jar(&[&header]).clear_lines("s", &Attributes::default());
    let expected = ["s", "s.1", "s.2", "s.3", "s.4", "s.5", "s.6", "s.7"];
    assert_eq!(names(&lines), expected.map(|name| (name, true)));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_shorter_value_deletes_the_chunks_beyond() {
    let attributes = Attributes::default();
    let header = "s=4a; s.1=b; s.2=c; s.3=d; s.9=e; s.77=f; s.x=g; ss.4=h";
    let lines = jar(&[header])
        .set_lines("s", &value(5_000), &attributes, None)
        .unwrap();
    assert_eq!(
        names(&lines),
        [
            ("s", false),
            ("s.1", false),
            ("s.2", true),
            ("s.3", true),
            ("s.9", true),
            ("s.77", true)
        ]
    );
    let lines = jar(&[header])
        .set_lines("s", "a", &attributes, None)
        .unwrap();
    assert_eq!(names(&lines).len(), 6);
    assert_eq!(
        names(&lines).iter().filter(|(_, deleted)| *deleted).count(),
        5
    );
}

/// CVE-2025-55162: a cookie that was set with `Secure`, `Domain` or `Path` stays when it
/// is deleted without.
#[wasm_bindgen_test(unsupported = test)]
fn cookies_are_deleted_as_they_were_set() {
    let attributes = Attributes {
        same_site: SameSite::None,
        path: "/app".into(),
        domain: Some("example.com".into()),
        partitioned: true,
        secure: true,
    };
    let rest = "=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/app; Domain=example.com; Secure; HttpOnly; SameSite=None; Partitioned";
    assert_eq!(
        jar(&["s=2a; s.1=b; s.2=c; s.8=d; t=e"]).clear_lines("s", &attributes),
        ["s", "s.1", "s.2", "s.8"].map(|name| format!("{name}{rest}"))
    );
    // Where there is none, too: it may be one of another path.
    assert_eq!(jar(&[]).clear_lines("s", &attributes), [format!("s{rest}")]);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_upstream_sees_none_of_ours() {
    let ours = OurCookies::new(["__Host-session", "__Host-flow"]);
    for (header, expected) in [
        ("__Host-session=1", Some("")),
        ("a=1; __Host-session=1", Some("a=1")),
        ("__Host-session=1; a=1;__Host-session.1=2;b", Some("a=1; b")),
        ("__Host-session.12=2; a=1", Some("a=1")),
        (" __Host-session = 1 ;;a=1", Some("a=1")),
        ("a=1; __Host-flow.abcDE-_9=1", Some("a=1")),
        ("a=1; __Host-flow.abcDE-_9.1=1", Some("a=1")),
        ("a=\"x; __Host-session=1; y\"", Some("a=\"x; y\"")),
        ("a=1; __host-session=1", None),
        (
            "__Host-sessions=1; __Host-session.a=2; __Host-session.=3; __Host-session.1.2=4",
            None,
        ),
        (
            "__Host-flow.abcdefg=1; __Host-flow.abcdefghi=2; __Host-flow.abc$efgh=3",
            None,
        ),
        ("x__Host-session=1", None),
        ("a=__Host-session=1", None),
        ("__Host-session", None),
        ("", None),
    ] {
        let without = without_cookies(header.as_bytes(), |name| ours.contain(name));
        let without = without.map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(without.as_deref(), expected, "{header}");
        let names = jar(&[header])
            .names()
            .map(|name| ours.contain(name))
            .collect::<Vec<_>>();
        assert_eq!(names.contains(&true), expected.is_some(), "{header}");
    }
}

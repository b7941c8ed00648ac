//! What is collected of a page.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::policy::Hash;

fn seen(charset: Option<&str>, page: &[u8]) -> Vec<String> {
    let plan = Plan::new(
        Placeholder::new("{{NONCE}}").ok(),
        vec!["[data-x]".parse().unwrap()],
        Some(Algorithm::Sha256),
    );
    let (_, found) = passes(&plan, charset, page);
    let seen = found.seen.unwrap();
    assert_eq!(seen.more, 0);
    let line = |sighting: &Sighting| {
        let what = match &sighting.what {
            What::Hash(hash) => hash.to_string(),
            What::Url(hash) => format!("{hash} as a URL"),
            What::Source { expression, url } => format!("{expression} {url}"),
            What::Unreadable => "?".to_owned(),
        };
        let nonced = if sighting.nonced { " N" } else { "" };
        format!("{} {what}{nonced}", sighting.directive.as_str())
    };
    seen.sightings.iter().map(line).collect()
}

#[track_caller]
fn sees(page: &str, expected: &[&str]) {
    assert_eq!(seen(Some("utf-8"), page.as_bytes()), expected, "{page}");
}

/// Those that the Web Platform Tests have, and others of the same texts by `openssl`.
#[wasm_bindgen_test(unsupported = test)]
fn hashes_are_those_of_browsers() {
    sees(
        "<a href='javascript:opener.navigated();'>",
        &["script-src-elem sha256-N5bidCKdNO1nSPa1G7MdL6S7Y7MKZ7UMIS/40JBMSe4= as a URL"],
    );
    sees(
        "<button onclick='doSomething();'>",
        &["script-src-attr sha256-RFWPLDbv2BY+rCkDzsE+0fr8ylGr2R2faWMhq4lfEQc="],
    );
    sees(
        "<script>document.getElementById(\"script-with-hash-result\").textContent = \"PASS did execute script with hash.\";</script>",
        &["script-src-elem sha256-c8f8z1SC90Yj05k41+FT0HF/rrGJP94TPLhRvGGE8eM="],
    );
}

const ABC: &str = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
const LINES: &str = "sha256-zuu4D7gvB+uX5Bk2gl610dzHWWyvw8hCQ9SnbsFcMLw=";
const UMLAUT: &str = "sha256-M+bXP+6CkEyNevt43hFU0ejcKg7bCBIOY99bk4XC2cw=";

#[wasm_bindgen_test(unsupported = test)]
fn inline_texts_are_hashed() {
    let script = format!("script-src-elem {ABC}");
    let style = format!("style-src-elem {ABC}");
    for page in [
        "<script>abc</script>",
        "<SCRIPT TYPE=' Text/JavaScript '>abc</script>",
        "<script type=module>abc</script>",
        "<script type>abc</script>",
        "<script language=JavaScript1.2>abc</script>",
        "<svg><script>abc</script></svg>",
        "<template><script>abc</script><script>abc</script></template>",
    ] {
        sees(page, &[&script]);
    }
    for page in [
        "<style>abc</style>",
        "<style type=text/css>abc</style>",
        "<style>abc",
        "<svg><style>abc</style></svg>",
    ] {
        sees(page, &[&style]);
    }
    for page in [
        "<script></script><style></style>",
        "<script type=application/json>abc</script>",
        "<script type=text/template>abc</script>",
        "<style type=text/less>abc</style>",
        "<script>abc",
        "<!-- <script>abc</script> -->",
        "<noscript><style>abc</style></noscript>",
    ] {
        sees(page, &[]);
    }
    sees(
        "<svg><script>a&amp;b</script><style>a<b></style></svg>",
        &["script-src-elem ?", "style-src-elem ?"],
    );
    sees("<script data-x>abc</script>", &[&format!("{script} N")]);
    sees(
        "<script nonce='{{NONCE}}'>abc</script>",
        &[&format!("{script} N")],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn texts_are_hashed_as_a_browser_has_them() {
    for page in [
        "<script>a\nb\n\u{FFFD}</script>",
        "<script>a\r\nb\r\0</script>",
    ] {
        sees(page, &[&format!("script-src-elem {LINES}")]);
    }
    sees(
        "<p onclick='a\r\nb&#10;&#xFFFD;'>",
        &[&format!("script-src-attr {LINES}")],
    );
    for (charset, page) in [
        (Some("utf-8"), &b"<script>\xc3\xa4</script>"[..]),
        (Some("windows-1252"), b"<script>\xe4</script>"),
        (None, b"<script>\xe4</script>"),
        (None, b"\xef\xbb\xbf<script>\xc3\xa4</script>"),
        (None, b"<meta charset=utf-8><script>\xc3\xa4</script>"),
        (Some("iso-8859-5"), b"<script nonce=''>\xe4</script>"),
    ] {
        let same = seen(charset, page) == [format!("script-src-elem {UMLAUT}")];
        assert_eq!(same, charset != Some("iso-8859-5"), "{charset:?} {page:?}");
    }
    assert_eq!(
        seen(Some("windows-1252"), b"<p style='\xe4'><p style='&auml;'>"),
        [format!("style-src-attr {UMLAUT}")],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn attributes_are_hashed_without_references() {
    let abc = format!("script-src-attr {ABC}");
    sees("<p onclick=abc>", &[&abc]);
    sees("<p ONCLICK='&#97;b&#x63;'>", &[&abc]);
    sees("<p style=abc>", &[&format!("style-src-attr {ABC}")]);
    sees("<p onclick=abc onclick=other>", &[&abc]);
    sees("<p on=abc on-x=abc on1=abc data-onclick=abc>", &[]);
    sees("<p onclick='&nosuch;'>", &["script-src-attr ?"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_loaded_is_seen() {
    for (page, expected) in [
        (
            "<script src=/a.js?b></script>",
            "script-src-elem 'self' /a.js",
        ),
        (
            "<script src='https://cdn.example/a.js' data-x></script>",
            "script-src-elem https://cdn.example https://cdn.example/a.js N",
        ),
        (
            "<link rel='x StyleSheet' href=//cdn.example/a>",
            "style-src-elem cdn.example cdn.example/a",
        ),
        (
            "<link rel=modulepreload href=a>",
            "script-src-elem 'self' a",
        ),
        ("<link rel=preload as=font href=a>", "font-src 'self' a"),
        ("<link rel=icon href=data:,>", "img-src data: data:"),
        ("<link rel=manifest href=a>", "manifest-src 'self' a"),
        ("<img src=a>", "img-src 'self' a"),
        ("<input type=image src=a>", "img-src 'self' a"),
        ("<video poster=a>", "img-src 'self' a"),
        ("<video src=a>", "media-src 'self' a"),
        ("<source src=a>", "media-src 'self' a"),
        (
            "<iframe src=https://a.example:8443/b></iframe>",
            "frame-src https://a.example:8443 https://a.example:8443/b",
        ),
        ("<object data=a>", "object-src 'self' a"),
        ("<embed src=a>", "object-src 'self' a"),
        (
            "<form action=//a.example>",
            "form-action a.example a.example",
        ),
        ("<button formaction=/b>", "form-action 'self' /b"),
        (
            "<base href=//a.example/b/>",
            "base-uri a.example a.example/b/",
        ),
        ("<svg><image xlink:href=a></svg>", "img-src 'self' a"),
        (
            "<svg><script href=a></script></svg>",
            "script-src-elem 'self' a",
        ),
        ("<iframe src='http://[::1]/'></iframe>", "frame-src ?"),
        ("<body background=a>", "img-src 'self' a"),
    ] {
        sees(page, &[expected]);
    }
    for page in [
        "<a href=https://a.example/>",
        "<script src=a type=text/plain></script>",
        "<link rel=canonical href=a>",
        "<iframe src=about:blank></iframe>",
        "<img src='' alt=a><input src=a>",
        "<script src></script>",
    ] {
        sees(page, &[]);
    }
    sees(
        "<img srcset='/a, https://b.example/c 2x,d(e,f) 3x (g,h), data:image/png,i 4x,'>",
        &[
            "img-src 'self' /a",
            "img-src https://b.example https://b.example/c",
            "img-src 'self' d(e,f)",
            "img-src data: data:",
        ],
    );
    sees(
        "<img src=a><base href=https://a.example/><base href=/b><img src=c>",
        &[
            "img-src 'self' a",
            "base-uri https://a.example https://a.example/",
            "img-src https://a.example c",
        ],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn only_so_much_is_kept() {
    let parts =
        (0..600).flat_map(|index| ["<img src=/".to_owned(), index.to_string(), ">".to_owned()]);
    let page = parts.collect::<String>();
    let plan = Plan::new(None, Vec::new(), Some(Algorithm::Sha256));
    let (_, found) = pass(&plan, Coding::Identity, None, [page.as_bytes()]).unwrap();
    let seen = found.seen.unwrap();
    assert_eq!((seen.sightings.len(), seen.more), (512, 88));
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_is_seen_beyond_where_a_page_can_be_read() {
    sees(
        "<img src=a><select><xmp><img src=b></xmp></select><img src=c>",
        &["img-src 'self' a"],
    );
    sees(
        "<img src=a><script b=><img src=b></script>",
        &["img-src 'self' a"],
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn other_algorithms_are_themselves() {
    for (algorithm, expected) in [
        (
            Algorithm::Sha384,
            "sha384-ywB1P0WjXou1oD1pmsZQBycsMqsO3tFjGotgWkP/W+2AhgcroefMI1i67KE0yCWn",
        ),
        (
            Algorithm::Sha512,
            "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==",
        ),
    ] {
        let plan = Plan::new(None, Vec::new(), Some(algorithm));
        let (_, found) = pass(
            &plan,
            Coding::Identity,
            None,
            [&b"<script>abc</script>"[..]],
        )
        .unwrap();
        assert_eq!(
            found.seen.unwrap().sightings[0].what,
            What::Hash(Hash::parse(expected).unwrap())
        );
    }
}

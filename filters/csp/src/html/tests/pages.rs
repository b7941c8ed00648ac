//! Whole pages: what is left of them, however they are cut.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const PAGES: &[&[u8]] = &[
    b"",
    b"x",
    b"<!doctype html><html><head><title>A <b>page</b></title><script data-x>a()</script>\
      <style data-x>p { color: red }</style><link rel=stylesheet data-x href=/a.css></head>\
      <body><p class=\"a b\">Text &amp; more<script src=/a.js></script></body></html>",
    b"<script nonce=\"{{NONCE}}\">a</script> {{NONCE}} {{NON {{NONCE}",
    b"<script data-x nonce=\"{{NONCE}}\">a</script><a title='{{NONCE}}'>",
    b"<!-- <script data-x> --><!--><script data-x>b</script><![CDATA[ <script data-x> ]]>",
    b"<svg><script data-x>a</script><![CDATA[<script data-x>]]><p><script data-x>b</script></svg>",
    b"<textarea><script data-x></textarea><xmp><script data-x></xmp><script data-x>",
    b"<script><!-- <script data-x> </script> --></script><script data-x></script>",
    b"<p title='<script data-x>' a=\"b\" c=d/e f><SCRIPT DATA-X NONCE = old>a</sCrIpT >",
    b"<script src=//evil.invalid/ <script data-x src=/a.js></script><script data-x></script>",
    b"<script data-x a=></script><script data-x></script>",
    b"<select><option><xmp><script data-x></script></select>",
    b"<script data-x b=\"\xff\xfe\x80\" \xff=\x00>\xc3\x28</script><p \xff>\xed\xa0\x80</p>",
    b"\xef\xbb\xbf<script data-x></script>",
    b"\xef\xbb<script data-x></script>",
    b"\xff\xfe<\x00s\x00{{NONCE}}",
    b"<meta charset=shift_jis><script data-x=\"\x83\x5c\">\x83\x5c</script>",
    b"<meta http-equiv=content-type content='text/html; charset=gbk'><script data-x>\x81\x3c\x80</script>",
    b"<a href=x onclick='f(&quot;a&quot;)' style=a><img srcset='/a 1x, b 2x'><script>a\r\nb\r</script>",
    b"<base href=//cdn.example/><style>a</style><script type=module>b",
    b"<script data-x",
    b"<script data-x nonce='a",
    b"<noscript><p title=\"</noscript><script data-x>\"></noscript><plaintext><script data-x>",
];

#[wasm_bindgen_test(unsupported = test)]
fn what_comes_out_does_not_depend_on_how_a_page_is_cut() {
    let plans = [
        trusting("[data-x], script[src='/a.js']"),
        trusting("p > script, body [data-x]"),
        Plan::new(Placeholder::new("{{NONCE}}").ok(), Vec::new(), None),
        Plan::new(
            Placeholder::new("{{NONCE}}").ok(),
            vec!["[data-x]".parse().unwrap()],
            Some(Algorithm::Sha256),
        ),
        Plan::new(None, Vec::new(), Some(Algorithm::Sha512)),
    ];
    for plan in &plans {
        for page in PAGES {
            for charset in [None, Some("utf-8"), Some("shift_jis"), Some("utf-16")] {
                passes(plan, charset, page);
            }
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_page_with_nothing_to_do_stays_as_it_is() {
    for plan in [
        Plan::new(None, Vec::new(), None),
        Plan::new(None, Vec::new(), Some(Algorithm::Sha384)),
        Plan::new(Placeholder::new("not-in-there").ok(), Vec::new(), None),
        trusting("script[src='https://cdn.example/nowhere.js']"),
    ] {
        for page in PAGES {
            let (out, found) = pass(&plan, Coding::Identity, None, [*page]).unwrap();
            assert_eq!(out, *page);
            assert_eq!((found.nonces, found.placeholders, found.refused), (0, 0, 0));
        }
    }
    assert!(Plan::new(None, Vec::new(), None).is_idle());
    assert!(!trusting("[a]").is_idle());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_placeholder_becomes_the_nonce_wherever_it_is() {
    let plan = Plan::new(Placeholder::new("{{NONCE}}").ok(), Vec::new(), None);
    let page = b"<script nonce={{NONCE}}>'{{NONCE}}'</script><!--{{NONCE}}--> {{NONCE} }";
    let (out, found) = passes(&plan, None, page);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!("<script nonce={NONCE}>'{NONCE}'</script><!--{NONCE}--> {{{{NONCE}} }}"),
    );
    assert_eq!((found.placeholders, found.nonces), (3, 0));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_placeholder_is_replaced_where_nothing_else_can_be_done() {
    let plan = Plan::new(
        Placeholder::new("{{NONCE}}").ok(),
        vec!["[data-x]".parse().unwrap()],
        None,
    );
    let page = b"<select><xmp><script data-x nonce={{NONCE}}>";
    let (out, found) = passes(&plan, None, page);
    let expected = format!("<select><xmp><script data-x nonce={NONCE}>");
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    assert_eq!(
        (found.placeholders, found.skipped),
        (1, Some(Skipped::Ambiguous))
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn bytes_that_are_invalid_stay_as_they_are() {
    let page = b"\x80<script a=\xff data-x b=\"\xc3\" \xfe>\xed\xa0\x80</script>\xf0\x9f<p \xff>";
    for charset in [
        None,
        Some("utf-8"),
        Some("shift_jis"),
        Some("gbk"),
        Some("euc-kr"),
        Some("macintosh"),
    ] {
        let (out, found) = passes(&trusting("[data-x]"), charset, page);
        let insert = format!(" nonce={NONCE}");
        let expected = [&page[..8], insert.as_bytes(), &page[8..]].concat();
        assert_eq!(out, expected, "{charset:?}");
        assert_eq!(found.nonces, 1);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_page_that_is_not_written_in_ascii_passes_as_it_is() {
    let wide =
        |page: &str, of: fn(u16) -> [u8; 2]| page.encode_utf16().flat_map(of).collect::<Vec<_>>();
    let page = "<script data-x></script>";
    for (charset, page) in [
        (Some("utf-16"), page.as_bytes().to_vec()),
        (
            Some("utf-8"),
            wide(&format!("\u{FEFF}{page}"), u16::to_le_bytes),
        ),
        (None, wide(&format!("\u{FEFF}{page}"), u16::to_be_bytes)),
        (Some("iso-2022-jp"), page.as_bytes().to_vec()),
    ] {
        let (out, found) = passes(&trusting("[data-x]"), charset, &page);
        assert_eq!(out, page);
        assert_eq!(found.skipped, Some(Skipped::Charset));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_tag_that_is_too_long_ends_the_looking_however_the_page_is_cut() {
    let page = |length: usize| {
        let mut page = b"<script data-x></script><script data-x=\"".to_vec();
        let start = page.len() - "<script data-x=\"".len();
        page.resize(start + length - 2, b'a');
        page.extend_from_slice(b"\"></script><script data-x></script>");
        page
    };
    let plan = trusting("[data-x]");
    for (length, nonces, skipped) in [
        (markup::HELD, 3, None),
        (markup::HELD + 1, 1, Some(Skipped::Large)),
        (markup::HELD * 3, 1, Some(Skipped::Large)),
    ] {
        let page = page(length);
        let (whole, found) = pass(&plan, Coding::Identity, None, [&*page]).unwrap();
        assert_eq!((found.nonces, found.skipped), (nonces, skipped), "{length}");
        assert_eq!(
            String::from_utf8_lossy(&whole)
                .replace(&format!(" nonce={NONCE}"), "")
                .as_bytes(),
            page
        );
        for size in [
            1,
            7,
            1000,
            4096,
            markup::HELD - 1,
            markup::HELD,
            markup::HELD + 1,
        ] {
            let cut = pass(&plan, Coding::Identity, None, page.chunks(size)).unwrap();
            assert!(
                cut == (whole.clone(), found.clone()),
                "{length} in chunks of {size}"
            );
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_page_with_too_many_open_elements_passes() {
    let page = [
        b"<script data-x></script>".to_vec(),
        b"<b>".repeat(100_000),
        b"<script data-x>".to_vec(),
    ]
    .concat();
    let (out, found) = pass(
        &trusting("[data-x]"),
        Coding::Identity,
        None,
        page.chunks(999),
    )
    .unwrap();
    assert_eq!(found.skipped, Some(Skipped::Large));
    assert_eq!(found.nonces, 1);
    assert_eq!(out.len(), page.len() + " nonce=".len() + NONCE.len());
}

/// The parser takes each to be within the one before it.
#[wasm_bindgen_test(unsupported = test)]
fn two_thousand_paragraphs_without_an_end_are_read() {
    let page = [&b"<p>text\n".repeat(2000)[..], b"<script data-x>"].concat();
    let chunks = page.chunks(999);
    let (_, found) = pass(&trusting("[data-x]"), Coding::Identity, None, chunks).unwrap();
    assert_eq!((found.nonces, found.skipped), (1, None));
}

#[wasm_bindgen_test(unsupported = test)]
fn after_a_failure_nothing_more_comes() {
    let body = gzip(b"<p>a page");
    let mut page = Page::new(&trusting("[data-x]"), Some(&nonce()), Coding::Gzip, None);
    let mut out = Vec::new();
    assert_eq!(page.push(b"no gzip", &mut out), Err(Failure::Corrupt));
    assert_eq!(page.push(&body, &mut out), Err(Failure::Corrupt));
    assert_eq!(page.finish(&mut out), Err(Failure::Corrupt));
    assert!(out.is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_page_that_is_cut_off_fails_in_the_end() {
    let body = gzip(b"<script data-x></script>");
    let mut page = Page::new(&trusting("[data-x]"), Some(&nonce()), Coding::Gzip, None);
    let mut out = Vec::new();
    assert_eq!(page.push(&body[..body.len() - 1], &mut out), Ok(()));
    assert_eq!(page.finish(&mut out), Err(Failure::Truncated));
    assert_eq!(
        Failure::Truncated.to_string(),
        "the compressed body is cut off",
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_there_goes_on_at_once() {
    let mut page = Page::new(
        &trusting("[data-x]"),
        Some(&nonce()),
        Coding::Identity,
        None,
    );
    let mut out = Vec::new();
    page.push(b"<p>text<scr", &mut out).unwrap();
    assert_eq!(out, b"<p>text");
    page.push(b"ipt data-y", &mut out).unwrap();
    assert_eq!(out, b"<p>text");
    page.push(b"><p>", &mut out).unwrap();
    assert_eq!(out, b"<p>text<script data-y><p>");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_page_that_is_given_up_passes_as_it_is_from_there_on() {
    let text = b"<script data-x></script><script data-x></script><script data-x></script>";
    let insert = " nonce=".len() + NONCE.len();
    for at in 0..=text.len() {
        let mut page = Page::new(
            &trusting("[data-x]"),
            Some(&nonce()),
            Coding::Identity,
            None,
        );
        let mut out = Vec::new();
        page.push(&text[..at], &mut out).unwrap();
        page.give_up(&mut out);
        page.push(&text[at..], &mut out).unwrap();
        page.give_up(&mut out);
        let found = page.finish(&mut out).unwrap();
        let nonces = text[..at].split(|byte| *byte == b'>').count() / 2;
        assert_eq!(usize::try_from(found.nonces).unwrap(), nonces, "{at}");
        assert_eq!(out.len(), text.len() + nonces * insert);
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out.replace(&format!(" nonce={NONCE}"), "").as_bytes(), text);
        assert_eq!(found.skipped, Some(Skipped::Slow));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn without_a_nonce_there_is_nothing_to_put_in() {
    let plan = Plan::new(
        Placeholder::new("{{NONCE}}").ok(),
        vec!["script".parse().unwrap()],
        Some(Algorithm::Sha256),
    );
    let page = b"<script>a</script>{{NONCE}}";
    let mut out = Vec::new();
    let mut passing = Page::new(&plan, None, Coding::Identity, None);
    passing.push(page, &mut out).unwrap();
    let found = passing.finish(&mut out).unwrap();
    assert_eq!(out, page);
    assert_eq!(found.seen.unwrap().sightings.len(), 1);
}

//! Where a tokenizer can be led astray. The danger is that something gets a nonce that is no
//! element for a browser, and more so that something in the page ends by it.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

/// Each of the pages, with what it becomes where `[data-x]` is trusted.
#[track_caller]
fn all(pages: &[(&str, &str)]) {
    for (page, expected) in pages {
        assert_eq!(become_(&trusting("[data-x]"), page), *expected, "{page}");
    }
}

/// Pages that stay as they are.
#[track_caller]
fn untouched(pages: &[&str]) {
    for page in pages {
        assert_eq!(become_(&trusting("[data-x]"), page), *page);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn scripts_styles_and_links_get_it() {
    all(&[
        (
            "<script data-x>a</script>",
            "<script nonce=N data-x>a</script>",
        ),
        ("<style data-x>a</style>", "<style nonce=N data-x>a</style>"),
        ("<link data-x>", "<link nonce=N data-x>"),
        ("<link data-x/>", "<link nonce=N data-x/>"),
        (
            "<SCRIPT DATA-X>a</SCRIPT>",
            "<SCRIPT nonce=N DATA-X>a</SCRIPT>",
        ),
        ("<script data-x nonce='old'>", "<script data-x nonce='N'>"),
        (
            "<p data-x><a data-x><iframe data-x></iframe>",
            "<p data-x><a data-x><iframe data-x></iframe>",
        ),
        ("a < b <script data-x>", "a < b <script nonce=N data-x>"),
        ("<script data-x\0=a>", "<script data-x\0=a>"),
    ]);
}

#[wasm_bindgen_test(unsupported = test)]
fn comments_have_no_elements() {
    untouched(&[
        "<!-- <script data-x> -->",
        "<!--<!-- <script data-x> -->",
        "<!----!-> <script data-x> -->",
        "<!-- a <script data-x> --!><p>",
        "<!-- <script data-x>",
        "<!- <script data-x",
        "<? <script data-x",
    ]);
    all(&[
        ("<!--><script data-x>-->", "<!--><script nonce=N data-x>-->"),
        (
            "<!---><script data-x>-->",
            "<!---><script nonce=N data-x>-->",
        ),
        (
            "<!-- --!><script data-x>-->",
            "<!-- --!><script nonce=N data-x>-->",
        ),
        (
            "<!-- -- ><script data-x>--><script data-x>",
            "<!-- -- ><script data-x>--><script nonce=N data-x>",
        ),
        // None of these is a comment to its `-->`, but to its first `>`.
        (
            "<!x <script data-x>><script data-x>",
            "<!x <script data-x>><script nonce=N data-x>",
        ),
        (
            "<?x <script data-x><script data-x>",
            "<?x <script data-x><script nonce=N data-x>",
        ),
        (
            "</ <script data-x><script data-x>",
            "</ <script data-x><script nonce=N data-x>",
        ),
        (
            "<!doctype html><script data-x>",
            "<!doctype html><script nonce=N data-x>",
        ),
    ]);
}

#[wasm_bindgen_test(unsupported = test)]
fn cdata_is_a_comment_in_html_and_text_in_svg() {
    untouched(&[
        "<svg><![CDATA[<script data-x></script>]]></svg>",
        "<svg><![CDATA[></svg><script data-x>]]></svg>",
        "<math><![CDATA[<style data-x>]]></math>",
    ]);
    all(&[
        (
            "<![CDATA[<p><script data-x>]]>",
            "<![CDATA[<p><script nonce=N data-x>]]>",
        ),
        (
            "<svg></svg><![CDATA[<p><script data-x>]]>",
            "<svg></svg><![CDATA[<p><script nonce=N data-x>]]>",
        ),
        (
            "<svg><![CDATA[ ]]></svg><script data-x>",
            "<svg><![CDATA[ ]]></svg><script nonce=N data-x>",
        ),
    ]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_template_has_elements() {
    // They do not run there. A script that clones them runs them as what they are.
    all(&[(
        "<template><script data-x></script></template>",
        "<template><script nonce=N data-x></script></template>",
    )]);
}

#[wasm_bindgen_test(unsupported = test)]
fn text_has_no_elements() {
    for name in [
        "textarea", "title", "xmp", "iframe", "noembed", "noframes", "noscript", "style",
    ] {
        let within = format!("<{name}><script data-x></script><!-- </{name}>");
        untouched(&[&within, &format!("<{name}><script data-x></script>")]);
        let after = format!("{within}<script data-x>");
        let expected = format!("{within}<script nonce=N data-x>");
        all(&[(&after, &expected)]);
        // Only its own end ends it.
        let longer = format!("<{name}></{name}x><script data-x></{name}/a='>'><script data-x>");
        let expected =
            format!("<{name}></{name}x><script data-x></{name}/a='>'><script nonce=N data-x>");
        all(&[(&longer, &expected)]);
    }
    untouched(&["<plaintext><script data-x></plaintext><script data-x>"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_script_has_no_elements() {
    untouched(&[
        "<script>'<script data-x>'</script>",
        "<script><!-- <script data-x> </script> <script data-x> --></script>",
        "<script><!-- <script data-x>",
        "<script><style data-x></script>",
    ]);
    all(&[
        (
            "<script><!-- <script data-x> </script> --></script><script data-x>",
            "<script><!-- <script data-x> </script> --></script><script nonce=N data-x>",
        ),
        (
            "<script><!-- </script><script data-x>",
            "<script><!-- </script><script nonce=N data-x>",
        ),
        (
            "<script>'</script ><script data-x>'",
            "<script>'</script ><script nonce=N data-x>'",
        ),
    ]);
}

#[wasm_bindgen_test(unsupported = test)]
fn values_have_no_elements() {
    untouched(&[
        "<p title=\"<script data-x>\">",
        "<p title='<script data-x>'>",
        "<p title=<script/data-x>",
        "<p title = \n'<script data-x>'>",
        "<p a='\"'title=\"'<script data-x>\">",
        "</p title='<script data-x>'>",
        "<p/title='<script data-x>'>",
    ]);
    all(&[
        // No values: the tag ends.
        (
            "<p title=><script data-x>",
            "<p title=><script nonce=N data-x>",
        ),
        ("<p '><script data-x>'>", "<p '><script nonce=N data-x>'>"),
        (
            "<p =\"><script data-x>\">",
            "<p =\"><script nonce=N data-x>\">",
        ),
        (
            "<p title=a\"><script data-x>\">",
            "<p title=a\"><script nonce=N data-x>\">",
        ),
    ]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_tag_without_an_end_is_none() {
    untouched(&[
        "<script data-x",
        "<script data-x=",
        "<script data-x='",
        "<script data-x='>",
        "<script data-x nonce=\"old",
        "<scrip",
        "<",
    ]);
}

#[wasm_bindgen_test(unsupported = test)]
fn other_names_are_other_elements() {
    untouched(&[
        "<scr\0ipt data-x>",
        "<script\0 data-x>",
        "<scripts data-x>",
        "< script data-x>",
        "<\u{17F}cript data-x>",
        "<svg:script data-x>",
    ]);
}

#[wasm_bindgen_test(unsupported = test)]
fn svg_and_mathml_get_none() {
    untouched(&[
        "<svg><script data-x>a</script></svg>",
        "<svg><script data-x/></svg>",
        "<svg><style data-x>a</style></svg>",
        "<math><script data-x></script></math>",
        "<math><mtext></mtext><style data-x></style></math>",
    ]);
    all(&[
        (
            "<svg></svg><script data-x>",
            "<svg></svg><script nonce=N data-x>",
        ),
        // What is HTML again.
        (
            "<svg><foreignObject><script data-x></script></foreignObject></svg>",
            "<svg><foreignObject><script nonce=N data-x></script></foreignObject></svg>",
        ),
        ("<svg><p><script data-x>", "<svg><p><script nonce=N data-x>"),
        (
            "<svg><title><script data-x>",
            "<svg><title><script nonce=N data-x>",
        ),
        (
            "<math><mi><script data-x>",
            "<math><mi><script nonce=N data-x>",
        ),
    ]);
    let page = b"<svg><script data-x></script><style data-x></style></svg>";
    let plan = Plan::new(
        None,
        vec!["[data-x]".parse().unwrap(), "script".parse().unwrap()],
        None,
    );
    let (_, found) = passes(&plan, None, page);
    assert_eq!((found.nonces, found.refused), (0, 2));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_first_of_two_attributes_counts() {
    for (page, matched) in [
        ("<script src=/mine src=//evil.invalid/>", true),
        ("<script src=//evil.invalid/ src=/mine>", false),
        ("<script SRC=//evil.invalid/ src=/mine>", false),
    ] {
        let (out, found) = passes(&trusting("[src='/mine']"), None, page.as_bytes());
        // And browsers do not take a nonce there at all.
        assert_eq!(out, page.as_bytes());
        assert_eq!(
            (found.nonces, found.refused),
            (0, u32::from(matched)),
            "{page}"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_unclosed_tag_gets_no_nonce_by_the_one_it_takes_over() {
    for page in [
        "<script src=//evil.invalid/ <script data-x src=/a.js></script>",
        "<script src=//evil.invalid/ x=<script data-x></script>",
        "<script src='//evil.invalid/?<script src=/a.js title='data-x></script>",
        "<script src=//evil.invalid/ x=\"<p><style>\" data-x></script>",
        "<link rel=stylesheet href=//evil.invalid/ <link data-x>",
        "<style x='<link href=a'data-x>",
        "<script src=//evil.invalid/ <p data-x>",
    ] {
        let (out, found) = passes(&trusting("[data-x]"), None, page.as_bytes());
        assert_eq!(out, page.as_bytes());
        assert_eq!((found.nonces, found.refused), (0, 1), "{page}");
    }
}

/// `lol_html` goes on as in no script after `<script a=>`: an element in the text would be one.
#[wasm_bindgen_test(unsupported = test)]
fn a_tag_of_text_that_ends_in_an_equals_sign_ends_the_looking() {
    for name in [
        "script", "style", "textarea", "title", "noscript", "xmp", "iframe",
    ] {
        for page in [
            format!("<{name} a=>'<script data-x>'</{name}><script data-x>"),
            format!("<{name} a = \n><!--</{name}><script data-x>"),
        ] {
            let (out, found) = passes(&trusting("[data-x]"), None, page.as_bytes());
            assert_eq!(String::from_utf8_lossy(&out), page);
            assert_eq!(found.skipped, Some(Skipped::Ambiguous), "{page}");
        }
    }
    all(&[
        // It gets the nonce itself, as it is an element in any case.
        (
            "<script data-x=></script><script data-x>",
            "<script nonce=N data-x=></script><script data-x>",
        ),
        ("<p a=><script data-x>", "<p a=><script nonce=N data-x>"),
    ]);
}

#[wasm_bindgen_test(unsupported = test)]
fn where_only_a_tree_tells_the_rest_passes_as_it_is() {
    for page in [
        "<script data-x></script><select><xmp><script data-x></script></select><script data-x>",
        "<script data-x></script><frameset><style><script data-x>",
    ] {
        let (out, found) = passes(&trusting("[data-x]"), None, page.as_bytes());
        let out = String::from_utf8(out).unwrap().replace(NONCE, "N");
        assert_eq!(
            out,
            page.replacen("<script data-x>", "<script nonce=N data-x>", 1)
        );
        assert_eq!(found.skipped, Some(Skipped::Ambiguous), "{page}");
        assert_eq!(found.nonces, 1);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_ends_by_a_nonce_wherever_it_is_put() {
    let meaning = [
        '"', '\'', '`', '<', '>', '&', ' ', '\\', '\n', '$', '{', '}', ';', '*',
    ];
    let nonce = Nonce::new("abcdefghijklmnopqrstuvwxyz-_+/0123456789==").unwrap();
    assert!(!nonce.as_str().contains(meaning));
    let page = "<script data-x>";
    let mut out = Vec::new();
    let mut pass = Page::new(&trusting("[data-x]"), Some(&nonce), Coding::Identity, None);
    pass.push(page.as_bytes(), &mut out).unwrap();
    pass.finish(&mut out).unwrap();
    let put = String::from_utf8(out).unwrap();
    let added = put
        .strip_prefix("<script ")
        .unwrap()
        .strip_suffix(" data-x>")
        .unwrap();
    assert!(!added.contains(meaning), "{added}");
}

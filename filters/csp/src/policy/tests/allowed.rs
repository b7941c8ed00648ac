use super::*;

fn allows(text: &str, directive: &Name, url_of: &str, origin: &str) -> bool {
    let fetch = Fetch {
        directive,
        url: &url(url_of),
        redirected: false,
        nonce: "",
        integrity: &[],
        parser_inserted: true,
    };
    policy(text).allows(&Attempt::Url(fetch), &url(origin))
}

/// Section 6.7.2.8 and those that it uses.
#[wasm_bindgen_test(unsupported = test)]
fn a_url_is_one_of_a_source_or_not() {
    let page = "https://page.example";
    for (source, yes, no) in [
        ("*", "http://a/ https://b:1/c ws://d/", "data:, blob:x"),
        ("https:", "https://a/", "http://a/ data:,"),
        ("http:", "http://a/ https://a/", "ws://a/"),
        ("ws:", "ws://a/ wss://a/", "data:,"),
        ("data:", "data:text/plain,a", "https://a/"),
        (
            "'self'",
            "https://page.example/x wss://page.example/",
            "http://page.example/ https://page.example:1/ https://a.page.example/",
        ),
        (
            "a.example",
            "https://a.example/ https://A.example:443/b",
            "http://a.example/ https://a.example:1/ https://b.a.example/",
        ),
        (
            "http://a.example",
            "http://a.example/ https://a.example/",
            "http://a.example:81/",
        ),
        (
            "a.example:*",
            "https://a.example:1/ https://a.example/",
            "https://b.example:1/",
        ),
        (
            "a.example:443",
            "https://a.example/",
            "https://a.example:444/",
        ),
        (
            "*.a.example",
            "https://b.a.example/ https://c.b.a.example/",
            "https://a.example/ https://ba.example/",
        ),
        (
            "a.example/b/",
            "https://a.example/b/ https://a.example/b/c?d",
            "https://a.example/b https://a.example/c",
        ),
        (
            "a.example/b",
            "https://a.example/b https://a.example/%62?c#d",
            "https://a.example/b/ https://a.example/b/c",
        ),
        (
            "a.example/",
            "https://a.example/ https://a.example/b",
            "https://b.example/",
        ),
        ("127.0.0.1", "https://127.0.0.1/", "https://127.0.0.2/"),
        ("10.0.0.1", "", "https://10.0.0.1/"),
        ("'none'", "", "https://a.example/"),
        (
            "'none' a.example",
            "https://a.example/",
            "https://b.example/",
        ),
        ("", "", "https://a.example/"),
    ] {
        let text = format!("img-src {source}");
        for url in yes.split_whitespace() {
            assert!(
                allows(&text, &Name::ImgSrc, url, page),
                "{source} allows {url}"
            );
        }
        for url in no.split_whitespace() {
            assert!(
                !allows(&text, &Name::ImgSrc, url, page),
                "{source} does not allow {url}"
            );
        }
    }
    // On a page of `http`, what is safer is its own too.
    for url in [
        "http://page.example/",
        "https://page.example/",
        "ws://page.example/",
    ] {
        assert!(
            allows("img-src 'self'", &Name::ImgSrc, url, "http://page.example"),
            "{url}"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn no_path_is_looked_at_after_a_redirect() {
    let to = url("https://a.example/c");
    let fetch = |redirected| {
        let fetch = Fetch {
            directive: &Name::ImgSrc,
            url: &to,
            redirected,
            nonce: "",
            integrity: &[],
            parser_inserted: true,
        };
        policy("img-src a.example/b").allows(&Attempt::Url(fetch), &url("https://page.example"))
    };
    assert!(!fetch(false));
    assert!(fetch(true));
}

/// Section 6.7.1.1.
#[wasm_bindgen_test(unsupported = test)]
fn a_script_is_let_in_by_its_nonce_its_hash_its_url_or_its_parent() {
    let hash = [Hash::parse("sha256-a=").unwrap()];
    let to = url("https://a.example/");
    let script = |text: &str, nonce: &str, integrity: &[Hash], parser_inserted| {
        let fetch = Fetch {
            directive: &Name::ScriptSrcElem,
            url: &to,
            redirected: false,
            nonce,
            integrity,
            parser_inserted,
        };
        policy(text).allows(&Attempt::Url(fetch), &url("https://page.example"))
    };
    assert!(script("script-src 'nonce-n'", "n", &[], true));
    assert!(!script("script-src 'nonce-n'", "N", &[], true));
    assert!(!script("script-src 'nonce-n'", "", &[], true));
    assert!(script("script-src 'sha256-a='", "", &hash, true));
    assert!(!script("script-src 'sha256-b='", "", &hash, true));
    assert!(script("script-src a.example 'nonce-n'", "", &[], true));
    assert!(!script(
        "script-src a.example 'strict-dynamic'",
        "",
        &[],
        true
    ));
    assert!(script("script-src 'strict-dynamic'", "", &[], false));
    assert!(script("default-src a.example", "", &[], true));
    assert!(!script(
        "default-src a.example; script-src-elem 'none'",
        "",
        &[],
        true
    ));
}

/// Sections 6.7.3.2 and 6.7.3.3.
#[wasm_bindgen_test(unsupported = test)]
fn what_stands_in_the_page_is_let_in_or_not() {
    let hashes = [Hash::parse("sha256-a=").unwrap()];
    let allowed = |text: &str, directive: &Name, nonce: &str, navigation| {
        let inline = Inline {
            directive,
            nonce,
            hashes: &hashes,
            navigation,
        };
        policy(text).allows(&Attempt::Inline(inline), &url("https://page.example"))
    };
    let (element, attribute) = (&Name::ScriptSrcElem, &Name::ScriptSrcAttr);
    for (text, of_element, of_attribute) in [
        ("img-src a", true, true),
        ("script-src 'unsafe-inline'", true, true),
        ("script-src 'unsafe-inline' 'nonce-other'", false, false),
        ("script-src 'unsafe-inline' 'sha256-b='", false, false),
        ("script-src 'unsafe-inline' 'strict-dynamic'", false, false),
        ("script-src 'nonce-n'", true, false),
        ("script-src 'sha256-a='", true, false),
        ("script-src 'sha256-a=' 'unsafe-hashes'", true, true),
        (
            "default-src 'unsafe-inline'; script-src-attr 'none'",
            true,
            false,
        ),
        ("script-src *", false, false),
    ] {
        assert_eq!(allowed(text, element, "n", false), of_element, "{text}");
        assert_eq!(allowed(text, attribute, "n", false), of_attribute, "{text}");
        assert_eq!(
            allowed(text, element, "n", true),
            of_attribute || of_element && text.contains("attr"),
            "{text}"
        );
    }
    let style = "style-src 'unsafe-inline' 'strict-dynamic'";
    assert!(allowed(style, &Name::StyleSrcElem, "", false));
}

#[wasm_bindgen_test(unsupported = test)]
fn text_becomes_script_where_it_may() {
    let allowed = |text: &str| {
        let ask = |attempt| policy(text).allows(&attempt, &url("https://page.example"));
        (ask(Attempt::Eval), ask(Attempt::WasmEval))
    };
    assert_eq!(allowed("img-src a"), (true, true));
    assert_eq!(allowed("script-src *"), (false, false));
    assert_eq!(allowed("default-src 'unsafe-eval'"), (true, true));
    assert_eq!(allowed("script-src 'wasm-unsafe-eval'"), (false, true));
    assert_eq!(allowed("script-src-elem 'unsafe-eval'"), (true, true));
}

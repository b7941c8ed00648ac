use super::*;

fn written(text: &str, nonce: &str, hashes: &[Hash]) -> String {
    let mut out = String::new();
    Template::new(&policy(text))
        .write(nonce, hashes, &mut out)
        .unwrap();
    out
}

#[wasm_bindgen_test(unsupported = test)]
fn the_nonce_is_written_wherever_it_belongs() {
    let text = "script-src 'nonce-{nonce}' https:; img-src a; style-src 'nonce-{nonce}'; sandbox";
    assert_eq!(
        written(text, "abc+/==", &[]),
        "script-src 'nonce-abc+/==' https:; img-src a; style-src 'nonce-abc+/=='; sandbox",
    );
    assert_eq!(written("img-src a", "not! looked at", &[]), "img-src a");
}

#[wasm_bindgen_test(unsupported = test)]
fn hashes_are_written_where_they_belong() {
    let hashes = ["sha256-a=", "sha384-b"].map(|text| Hash::parse(text).unwrap());
    let text = "script-src 'self' 'sha256-{hash}'; style-src 'sha256-{hash}' b";
    assert_eq!(
        written(text, "n", &hashes),
        "script-src 'self' 'sha256-a=' 'sha384-b'; style-src 'sha256-a=' 'sha384-b' b",
    );
    assert_eq!(written(text, "n", &[]), "script-src 'self'; style-src b");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_nonce_is_not_written() {
    let template = Template::new(&policy("script-src 'nonce-{nonce}'"));
    let mut out = "kept ".to_owned();
    for nonce in [
        "",
        "=",
        "a b",
        "a'; script-src *",
        "a\r\n",
        "a===",
        "\u{e9}",
    ] {
        assert_eq!(
            template.write(nonce, &[], &mut out),
            Err(NotBase64),
            "{nonce}"
        );
    }
    assert_eq!(out, "kept ");
}

#[wasm_bindgen_test(unsupported = test)]
fn its_length_is_known_before() {
    let template = Template::new(&policy(
        "script-src 'nonce-{nonce}' 'sha256-{hash}'; img-src a",
    ));
    let hashes = ["sha256-a=", "sha512-bcd"].map(|text| Hash::parse(text).unwrap());
    let mut out = String::with_capacity(template.len(3, &hashes));
    let (room, place) = (out.capacity(), out.as_ptr());
    template.write("abc", &hashes, &mut out).unwrap();
    assert_eq!((out.len(), out.as_ptr()), (template.len(3, &hashes), place));
    assert!(room >= out.len());
    assert!(template.has_nonce() && !template.is_fixed() && !template.is_empty());
    assert!(Template::new(&Policy::default()).is_empty());
}

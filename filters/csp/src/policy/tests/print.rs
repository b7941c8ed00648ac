use super::*;

#[wasm_bindgen_test(unsupported = test)]
fn the_canonical_form_is_read_as_the_same() {
    for (text, canonical) in [
        ("", ""),
        ("script-src", "script-src"),
        (
            "IMG-SRC  HTTPS:   Example.com:0443/A",
            "img-src https: example.com:443/A",
        ),
        (
            "style-src 'SHA256-a_-=' 'Nonce-X'",
            "style-src 'sha256-a/+=' 'nonce-X'",
        ),
        (
            "script-src 'NONSENSE' \"'self'\"",
            "script-src 'NONSENSE' \"'self'\"",
        ),
    ] {
        let read = policy(text);
        assert_eq!(read.to_string(), canonical);
        assert_eq!(policy(canonical), read);
    }
}

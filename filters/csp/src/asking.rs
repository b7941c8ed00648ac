//! What the upstream is asked for: a page that can be rewritten.

use legation::http::header::{
    ACCEPT, ACCEPT_ENCODING, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use legation::{RequestHeaders, Result};

/// Asks the upstream for what can be rewritten: a whole page, in a coding that is known here.
pub(crate) fn for_a_page(request: &mut RequestHeaders, changes: bool) -> Result<()> {
    let headers = request.headers();
    let destination = headers.get("sec-fetch-dest")?;
    // What the browser says is no page is left as it is: its coding may be better.
    if destination.is_some_and(|value| NO_PAGES.contains(&value)) {
        return Ok(());
    }
    let is_navigation = match destination {
        Some(value) => PAGES.contains(&value),
        None => headers.get(ACCEPT.as_str())?.is_some_and(|value| {
            value
                .windows(b"text/html".len())
                .any(|part| part.eq_ignore_ascii_case(b"text/html"))
        }),
    };
    if headers.contains(ACCEPT_ENCODING.as_str())? {
        let takes_gzip = takes_gzip(headers.get_all(ACCEPT_ENCODING.as_str())?);
        let coding = if takes_gzip { "gzip" } else { "identity" };
        headers.set(&ACCEPT_ENCODING, coding)?;
    }
    if changes && is_navigation {
        // A page that was cached before it was rewritten, or a part of one.
        for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE, RANGE, IF_RANGE] {
            if headers.contains(name.as_str())? {
                headers.remove(&name)?;
            }
        }
    }
    Ok(())
}

/// `Sec-Fetch-Dest` of what is shown as a page.
const PAGES: [&[u8]; 5] = [b"document", b"iframe", b"frame", b"embed", b"object"];
/// `Sec-Fetch-Dest` of what never is.
const NO_PAGES: [&[u8]; 15] = [
    b"audio",
    b"audioworklet",
    b"font",
    b"image",
    b"json",
    b"manifest",
    b"paintworklet",
    b"report",
    b"script",
    b"serviceworker",
    b"sharedworker",
    b"style",
    b"track",
    b"video",
    b"worker",
];

/// Whether a client takes gzip (RFC 9110, section 12.5.3): by its name, or as any other coding.
fn takes_gzip<'a>(accept_encodings: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut takes_others = false;
    for item in accept_encodings.flat_map(|value| value.split(|byte| *byte == b',')) {
        let mut parts = item.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let coding = parts.next().unwrap_or_default();
        let is_refused = parts.any(|part| {
            let weight = part
                .strip_prefix(b"q=")
                .or_else(|| part.strip_prefix(b"Q="));
            weight.is_some_and(|weight| weight.iter().all(|byte| matches!(byte, b'0' | b'.')))
        });
        if [&b"gzip"[..], b"x-gzip"]
            .iter()
            .any(|name| coding.eq_ignore_ascii_case(name))
        {
            return !is_refused;
        }
        takes_others |= coding == b"*" && !is_refused;
    }
    takes_others
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_client_takes_gzip_if_it_says_so() {
        for (values, expected) in [
            (&["gzip"][..], true),
            (&["gzip, deflate, br, zstd"], true),
            (&["br", "gzip"], true),
            (&["X-GZIP;q=0.5"], true),
            (&["br;q=1.0, *;q=0.001"], true),
            (&["*"], true),
            (&["br"], false),
            (&[""], false),
            (&["identity"], false),
            (&["gzipped"], false),
            (&["gzip;q=0"], false),
            (&["gzip ; q=0.000"], false),
            (&["gzip;Q=0."], false),
            (&["*;q=0"], false),
            // `*` is for those that are not named.
            (&["gzip;q=0, *"], false),
            (&["*, gzip;q=0"], false),
            (&["*", "gzip;q=0"], false),
        ] {
            let bytes = values.iter().map(|value| value.as_bytes());
            assert_eq!(takes_gzip(bytes), expected, "{values:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_destination_is_a_page_and_none() {
        assert!(PAGES.iter().all(|page| !NO_PAGES.contains(page)));
        // What `fetch()` asks for may be put into a page.
        assert!(!NO_PAGES.contains(&&b"empty"[..]));
    }
}

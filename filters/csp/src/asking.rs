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
        let takes_gzip = headers.get_all(ACCEPT_ENCODING.as_str())?.any(takes_gzip);
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

/// Whether a client takes gzip (RFC 9110, section 12.5.3).
fn takes_gzip(accept_encoding: &[u8]) -> bool {
    accept_encoding.split(|byte| *byte == b',').any(|item| {
        let mut parts = item.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let coding = parts.next().unwrap_or_default();
        let is_gzip = [&b"gzip"[..], b"x-gzip", b"*"]
            .iter()
            .any(|name| coding.eq_ignore_ascii_case(name));
        let is_refused = parts.any(|part| {
            let weight = part
                .strip_prefix(b"q=")
                .or_else(|| part.strip_prefix(b"Q="));
            weight.is_some_and(|weight| weight.iter().all(|byte| matches!(byte, b'0' | b'.')))
        });
        is_gzip && !is_refused
    })
}

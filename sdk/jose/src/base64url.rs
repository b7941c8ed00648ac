//! Base64url as JOSE has it: without padding, and nothing but it (RFC 7515
//! section 2).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What the text says. `None` where it is not the one text that says it: with
/// padding, whitespace, another alphabet, or bits that are left over.
pub(crate) fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Whether [`decode`] would read the text.
pub(crate) fn is_valid(text: &[u8]) -> bool {
    let unused = match text.len() % 4 {
        0 => 0,
        2 => 0b1111,
        3 => 0b11,
        _ => return false,
    };
    text.iter().all(|&character| value(character).is_some())
        && text
            .last()
            .is_none_or(|&last| value(last).is_some_and(|bits| bits & unused == 0))
}

/// What a character stands for.
const fn value(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character.wrapping_sub(b'A'),
        b'a'..=b'z' => character.wrapping_sub(b'a').wrapping_add(26),
        b'0'..=b'9' => character.wrapping_sub(b'0').wrapping_add(52),
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    })
}

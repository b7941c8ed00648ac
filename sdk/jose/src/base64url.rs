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
    let bits = |character: u8| VALUES.get(usize::from(character)).copied();
    // All of them, and one look at the end: most texts are valid.
    let all = text.iter().fold(0, |all, &character| {
        all | bits(character).unwrap_or(INVALID)
    });
    let last = text.last().and_then(|&last| bits(last)).unwrap_or(0);
    all & INVALID == 0 && last & unused == 0
}

/// What is no value of six bits.
const INVALID: u8 = 0x80;

/// The values of all bytes.
#[expect(
    clippy::indexing_slicing,
    reason = "runs in the compiler only, where a panic is a build error"
)]
static VALUES: [u8; 256] = {
    let mut values = [INVALID; 256];
    let mut character = 0_u8;
    loop {
        if let Some(value) = value(character) {
            values[character as usize] = value;
        }
        if character == u8::MAX {
            break values;
        }
        character = character.wrapping_add(1);
    }
};

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

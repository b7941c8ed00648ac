//! Base64 (RFC 4648) as it is met in headers.

/// What the text stands for, be it in the standard alphabet or the one for URLs, padded or not.
/// `None` where it is none of these, or has bits left over.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let digits = if text.len().is_multiple_of(4) {
        let one_less = text.strip_suffix(b"=").unwrap_or(text);
        one_less.strip_suffix(b"=").unwrap_or(one_less)
    } else {
        text
    };
    let mut decoded = Vec::with_capacity(digits.len());
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for place in 0..4 {
            let digit = match group.get(place) {
                Some(character) => value(*character)?,
                None => 0,
            };
            bits = bits << 6 | u32::from(digit);
        }
        let [_, bytes @ ..] = bits.to_be_bytes();
        // A byte less than there are digits: one alone is none.
        let (whole, left_over) = bytes.split_at_checked(group.len().checked_sub(1)?)?;
        if whole.is_empty() || left_over.iter().any(|byte| *byte != 0) {
            return None;
        }
        decoded.extend_from_slice(whole);
    }
    Some(decoded)
}

/// The six bits of a character.
fn value(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character.wrapping_sub(b'A'),
        b'a'..=b'z' => character.wrapping_sub(b'a').wrapping_add(26),
        b'0'..=b'9' => character.wrapping_sub(b'0').wrapping_add(52),
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_any_encoder_writes() {
        // RFC 4648, section 10, and both alphabets.
        for (text, decoded) in [
            ("", Some(&b""[..])),
            ("Zg==", Some(b"f")),
            ("Zm8=", Some(b"fo")),
            ("Zm9v", Some(b"foo")),
            ("Zm9vYg==", Some(b"foob")),
            ("Zm9vYmE=", Some(b"fooba")),
            ("Zm9vYmFy", Some(b"foobar")),
            ("Zg", Some(b"f")),
            ("Zm9vYmE", Some(b"fooba")),
            ("-_-_+/+/", Some(&[0xfb, 0xff, 0xbf, 0xfb, 0xff, 0xbf])),
        ] {
            assert_eq!(decode(text.as_bytes()).as_deref(), decoded, "{text}");
        }
    }

    #[test]
    fn takes_nothing_else() {
        for text in [
            "Z",
            "Zm9vY",
            "Zh==",
            "Zm9=",
            "Zg=",
            "Zm8==",
            "Z===",
            "=",
            "====",
            "Zm9v=",
            "Zm 9v",
            "Zm9v\n",
            "Zm=v",
            "Zm9v.",
            "\u{e9}\u{e9}",
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }
}

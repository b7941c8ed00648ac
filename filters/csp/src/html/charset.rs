//! How the bytes of a page are to be read, by the HTML standard's "encoding sniffing algorithm":
//! a byte order mark, then what the transport says, then what the page says of itself.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use lol_html::AsciiCompatibleEncoding;

/// How a page is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    /// In this encoding, whatever the page says.
    Said(AsciiCompatibleEncoding),
    /// In what a `meta` element says, and until then in windows-1252, which is what the standard
    /// takes where nobody says anything.
    Unsaid(AsciiCompatibleEncoding),
    /// In one in which markup is written in other bytes than those of ASCII: UTF-16,
    /// ISO-2022-JP.
    Unreadable,
}

impl Charset {
    /// What the first bytes of a page and a `charset` of its `content-type` tell. `None`: more
    /// bytes are needed. There are never more than three.
    pub(super) fn sniff(start: &[u8], whole: bool, label: Option<&str>) -> Option<Self> {
        match start {
            [0xEF, 0xBB, 0xBF, ..] => Some(Self::of(UTF_8)),
            [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] => Some(Self::Unreadable),
            [] | [0xEF | 0xFE | 0xFF] | [0xEF, 0xBB] if !whole => None,
            _ => Some(
                label
                    .and_then(|label| Encoding::for_label(label.as_bytes()))
                    .map_or_else(Self::unsaid, Self::of),
            ),
        }
    }

    fn of(encoding: &'static Encoding) -> Self {
        AsciiCompatibleEncoding::new(encoding).map_or(Self::Unreadable, Self::Said)
    }

    fn unsaid() -> Self {
        AsciiCompatibleEncoding::new(WINDOWS_1252).map_or(Self::Unreadable, Self::Unsaid)
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::SHIFT_JIS;

    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn said(encoding: &'static Encoding) -> Charset {
        Charset::of(encoding)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_byte_order_mark_beats_what_the_transport_says() {
        let page = b"\xEF\xBB\xBF<p>";
        assert_eq!(
            Charset::sniff(page, false, Some("shift_jis")),
            Some(said(UTF_8))
        );
        for mark in [b"\xFE\xFF", b"\xFF\xFE"] {
            assert_eq!(
                Charset::sniff(mark, false, Some("utf-8")),
                Some(Charset::Unreadable)
            );
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn waits_while_there_may_be_a_byte_order_mark() {
        for start in [&b""[..], b"\xEF", b"\xEF\xBB", b"\xFE", b"\xFF"] {
            assert_eq!(
                Charset::sniff(start, false, Some("utf-8")),
                None,
                "{start:?}"
            );
            assert_eq!(
                Charset::sniff(start, true, Some("utf-8")),
                Some(said(UTF_8)),
                "{start:?}"
            );
        }
        for start in [&b"<"[..], b"\xEF<", b"\xEF\xBB<", b"\xFE<"] {
            assert_eq!(
                Charset::sniff(start, false, Some("utf-8")),
                Some(said(UTF_8)),
                "{start:?}"
            );
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn believes_the_transport() {
        for (label, charset) in [
            ("UTF-8", Some(said(UTF_8))),
            (" sjis ", Some(said(SHIFT_JIS))),
            ("latin1", Some(said(WINDOWS_1252))),
            ("utf-16", Some(Charset::Unreadable)),
            ("utf-16be", Some(Charset::Unreadable)),
            ("iso-2022-jp", Some(Charset::Unreadable)),
            // Decoded to nothing but an error.
            ("hz-gb-2312", Some(Charset::Unreadable)),
            ("no-such", Some(Charset::unsaid())),
        ] {
            assert_eq!(Charset::sniff(b"<", false, Some(label)), charset, "{label}");
        }
        assert_eq!(Charset::sniff(b"<", false, None), Some(Charset::unsaid()));
    }
}

//! The `cookie` header.

/// The cookies of one `cookie` header, in order. Quotes around a value are part of it
/// (RFC 6265bis, section 5.6); [`unquoted`] takes them off.
pub fn cookies(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    pairs(header).filter_map(cookie)
}

/// The value without quotes around it, which many servers read as no part of it.
pub fn unquoted(value: &[u8]) -> &[u8] {
    let inner = value.strip_prefix(b"\"");
    let inner = inner.and_then(|value| value.strip_suffix(b"\""));
    inner.unwrap_or(value)
}

/// The header without the cookies whose names `is_taken` holds for, empty where no other
/// is left. `None` where there is none of them.
pub fn without_cookies(header: &[u8], is_taken: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let is_taken = |pair: &[u8]| cookie(pair).is_some_and(|(name, _)| is_taken(name));
    if !pairs(header).any(is_taken) {
        return None;
    }
    let mut out = Vec::with_capacity(header.len());
    for pair in pairs(header).filter(|pair| !is_taken(pair)) {
        let pair = pair.trim_ascii();
        if !pair.is_empty() {
            if !out.is_empty() {
                out.extend_from_slice(b"; ");
            }
            out.extend_from_slice(pair);
        }
    }
    Some(out)
}

fn pairs(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    header.split(|byte| *byte == b';')
}

fn cookie(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    let (name, value) = pair.split_at_checked(at)?;
    let value = value.strip_prefix(b"=")?;
    Some((name.trim_ascii(), value.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_cookies() {
        let read = |header: &'static str| -> Vec<_> {
            cookies(header.as_bytes())
                .map(|(name, value)| (name, unquoted(value)))
                .collect()
        };

        assert_eq!(
            read("a=1; b = \"2\";c==;d; =e;\"=\""),
            [
                (&b"a"[..], &b"1"[..]),
                (b"b", b"2"),
                (b"c", b"="),
                (b"", b"e"),
                (b"\"", b"\"")
            ]
        );
        assert_eq!(read(""), []);
        assert_eq!(read(";;;"), []);
        assert_eq!(
            cookies(b"a=\"1\"").collect::<Vec<_>>(),
            [(&b"a"[..], &b"\"1\""[..])]
        );
    }

    #[test]
    fn cookies_are_taken_out_of_their_header() {
        for (header, expected) in [
            ("s=1", Some("")),
            ("a=1; s=1", Some("a=1")),
            ("s=1; a=1;s=2;b", Some("a=1; b")),
            (" s = 1 ;;a=1", Some("a=1")),
            ("S=1; ss=2; as=3", None),
            ("", None),
        ] {
            let without = without_cookies(header.as_bytes(), |name| name == b"s");
            assert_eq!(without.as_deref(), expected.map(str::as_bytes), "{header}");
        }
    }
}

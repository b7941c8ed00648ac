//! W3C Trace Context: which trace a request is in.

/// The trace's id in a `traceparent`, 32 hexadecimal digits in lower case; `None` where that
/// is none that the next server takes
/// (<https://www.w3.org/TR/trace-context/#traceparent-header>, section 3.2.2). Of versions after
/// 00 more may follow.
pub fn trace_id(traceparent: &[u8]) -> Option<&[u8]> {
    let mut parts = traceparent.splitn(5, |byte| *byte == b'-');
    let mut next = |length: usize| {
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let part = parts.next()?;
        (part.len() == length && part.iter().all(is_hex)).then_some(part)
    };
    let (version, trace, parent, _flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
    let is_known = match version {
        b"00" => parts.next().is_none(),
        b"ff" => false,
        _ => true,
    };
    let is_zero = |id: &[u8]| id.iter().all(|byte| *byte == b'0');
    (is_known && !is_zero(trace) && !is_zero(parent)).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    #[test]
    fn only_what_the_specification_allows_has_an_id() {
        let zeros = "0".repeat(32);
        for (text, valid) in [
            (format!("00-{TRACE}-{PARENT}-01"), true),
            (format!("00-{TRACE}-{PARENT}-00"), true),
            (format!("cc-{TRACE}-{PARENT}-01"), true),
            (format!("cc-{TRACE}-{PARENT}-01-what"), true),
            (format!("cc-{TRACE}-{PARENT}-01.what"), false),
            (format!("00-{TRACE}-{PARENT}-01-what"), false),
            (format!("ff-{TRACE}-{PARENT}-01"), false),
            (format!("00-{}-{PARENT}-01", TRACE.to_uppercase()), false),
            (format!("00-{zeros}-{PARENT}-01"), false),
            (format!("00-{TRACE}-{}-01", &"0".repeat(16)), false),
            (format!("00-{TRACE}-{PARENT}-1"), false),
            (format!("00-{TRACE}-{PARENT}-0g"), false),
            (format!("00_{TRACE}-{PARENT}-01"), false),
            (format!(" 00-{TRACE}-{PARENT}-01"), false),
            (format!("00-{PARENT}-{TRACE}-01"), false),
            (String::new(), false),
        ] {
            let id = valid.then_some(TRACE.as_bytes());
            assert_eq!(trace_id(text.as_bytes()), id, "{text}");
        }
    }
}

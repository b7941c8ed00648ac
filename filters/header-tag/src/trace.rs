//! W3C Trace Context: whether a request has one, and a new one.

/// Whether this is a `traceparent` that the next server takes
/// (<https://www.w3.org/TR/trace-context/#traceparent-header>, section 3.2.2). Of versions
/// after 00 more may follow.
pub(crate) fn is_valid(traceparent: &[u8]) -> bool {
    let hex = |range: std::ops::Range<usize>| {
        let part = traceparent.get(range).unwrap_or_default();
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (!part.is_empty() && part.iter().all(is_hex)).then_some(part)
    };
    let dash = |at: usize| traceparent.get(at) == Some(&b'-');
    let nonzero = |part: &[u8]| part.iter().any(|byte| *byte != b'0');
    let (Some(version), Some(trace), Some(parent), Some(_flags)) =
        (hex(0..2), hex(3..35), hex(36..52), hex(53..55))
    else {
        return false;
    };
    let ends = traceparent.len() == 55 || (version != b"00" && dash(55));
    version != b"ff" && dash(2) && dash(35) && dash(52) && nonzero(trace) && nonzero(parent) && ends
}

/// A `traceparent` of these random numbers.
pub(crate) fn new(trace: (u64, u64), parent: u64, sampled: bool) -> String {
    // Zero is no identifier.
    let (high, low, parent) = (trace.0, trace.1.max(1), parent.max(1));
    let flags = u8::from(sampled);
    format!("00-{high:016x}{low:016x}-{parent:016x}-{flags:02x}")
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    #[wasm_bindgen_test(unsupported = test)]
    fn only_what_the_specification_allows_is_valid() {
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
            (new((0, 0), 0, true), true),
            (new((u64::MAX, 1), 7, false), true),
        ] {
            assert_eq!(is_valid(text.as_bytes()), valid, "{text}");
        }
    }
}

//! W3C Trace Context: a new one.

/// A `traceparent` of these random numbers.
pub(crate) fn new(trace: (u64, u64), parent: u64, sampled: bool) -> String {
    // Zero is no identifier.
    let (high, low, parent) = (trace.0, trace.1.max(1), parent.max(1));
    let flags = u8::from(sampled);
    format!("00-{high:016x}{low:016x}-{parent:016x}-{flags:02x}")
}

#[cfg(test)]
mod tests {
    use legation::format::trace_id;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_made_is_valid_whatever_the_random_numbers() {
        for made in [new((0, 0), 0, true), new((u64::MAX, 1), 7, false)] {
            assert!(trace_id(made.as_bytes()).is_some(), "{made}");
        }
    }
}

//! What a gRPC answer ends with (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

/// The call's status. An answer without one, or with one that is no number, is a failure of
/// which the client knows nothing.
pub(crate) const STATUS: &[u8] = b"grpc-status";

const MESSAGE: &[u8] = b"grpc-message";
const DETAILS: &[u8] = b"grpc-status-details-bin";

/// Whether this is how a call ended: changed by its name only.
pub(crate) fn is_outcome(name: &[u8]) -> bool {
    [STATUS, MESSAGE, DETAILS].contains(&name)
}

/// Whether this is a status: 0 to 16, as gRPC writes it.
pub(crate) fn is_status(value: &[u8]) -> bool {
    matches!(value, [b'0'..=b'9'] | [b'1', b'0'..=b'6'])
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::is_status;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_status_is_a_number_from_0_to_16() {
        for status in 0..=16 {
            assert!(is_status(status.to_string().as_bytes()), "{status}");
        }
        for other in ["", "17", "-1", "00", "01", "1 ", "100", "OK"] {
            assert!(!is_status(other.as_bytes()), "{other}");
        }
    }
}

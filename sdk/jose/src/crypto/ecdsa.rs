//! Forms of ECDSA's signatures.

use crate::der;

/// A signature of JOSE, two numbers of so many bytes side by side (RFC 7518
/// section 3.4), as DER has it. `None` if it is of another length.
pub(super) fn to_der(signature: &[u8], coordinate: usize) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(coordinate)?;
    (s.len() == coordinate)
        .then(|| der::element(der::SEQUENCE, &[&der::unsigned(r), &der::unsigned(s)]))
}

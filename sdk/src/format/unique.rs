//! Identifiers that nothing else has (RFC 9562).

use std::time::Duration;

/// A UUID of version 4: 122 random bits.
pub(super) fn uuid_v4(high: u64, low: u64) -> String {
    written((high & 0xffff_ffff_ffff_0fff) | 0x4000, low)
}

/// A UUID of version 7: the milliseconds since 1970, and 74 random bits. Those of a
/// later millisecond sort behind.
pub(super) fn uuid_v7(time: Duration, high: u64, low: u64) -> String {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or_default();
    written((milliseconds << 16) | (high & 0x0fff) | 0x7000, low)
}

fn written(high: u64, low: u64) -> String {
    let low = (low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_say_their_version_and_keep_the_rest_random() {
        assert_eq!(uuid_v4(0, 0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(
            uuid_v4(u64::MAX, u64::MAX),
            "ffffffff-ffff-4fff-bfff-ffffffffffff"
        );
        // RFC 9562, appendix A.6.
        let time = Duration::from_secs(1_645_557_742);
        assert_eq!(
            uuid_v7(time, 0xCC3, 0x18C4_DC0C_0C07_398F),
            "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
        );
    }
}

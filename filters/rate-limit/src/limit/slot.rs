//! What is stored of one limit for one key.

/// What is stored of one limit for one key: 16 bytes. What the counts mean is for
/// the limit to say.
///
/// Any 16 bytes are a slot, so that nobody has to decide about those that are none:
/// the limits take the impossible for the strictest that is possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Slot {
    /// The time, in nanoseconds since the epoch, from which on the slot says no more
    /// than its absence would.
    pub(crate) until: u64,
    pub(crate) a: u32,
    pub(crate) b: u32,
}

impl Slot {
    /// Whether it says no more at this time than its absence would.
    pub(crate) fn is_expendable(self, now: u64) -> bool {
        self.until <= now
    }

    /// How much would be forgotten with it, among those of one limit: the longer it
    /// matters the more, and in one window the more the more is counted.
    pub(crate) fn weight(self) -> u128 {
        u128::from(self.until) << 64 | u128::from(self.a) << 32 | u128::from(self.b)
    }

    /// Little-endian, in the order of the fields.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        let until = u128::from(self.until);
        let a = u128::from(self.a) << 64;
        let b = u128::from(self.b) << 96;
        (until | a | b).to_le_bytes()
    }

    #[expect(clippy::cast_possible_truncation, reason = "each field is a part")]
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        let bits = u128::from_le_bytes(bytes);
        Self {
            until: bits as u64,
            a: (bits >> 64) as u32,
            b: (bits >> 96) as u32,
        }
    }
}

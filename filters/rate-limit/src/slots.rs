//! What is stored for one key under the limits of one policy.

use std::cmp::Reverse;
use std::time::SystemTime;

use legation::shared::MapValue;
use smallvec::SmallVec;

use crate::limit::{Limit, Slot, Standing, Taken};
use crate::now::nanoseconds;

/// The bytes of a slot.
const SLOT: usize = 16;

/// The most limits that a policy has.
pub(crate) const MOST: usize = 4;

/// One slot for each limit of a policy.
pub(crate) type List = SmallVec<[Slot; MOST]>;

/// Slots in a form that the shared map takes.
pub(crate) trait SlotList: MapValue {
    /// Those of a list; what is missing says nothing, and what is too much goes.
    fn of(list: &[Slot]) -> Self;

    /// As a list.
    fn slots(&self) -> &[Slot];
}

/// So many slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slots<const N: usize>([Slot; N]);

macro_rules! values {
    ($($count:literal)*) => {$(
        impl SlotList for Slots<$count> {
            fn of(list: &[Slot]) -> Self {
                let mut slots = [Slot::default(); $count];
                for (slot, own) in slots.iter_mut().zip(list) {
                    *slot = *own;
                }
                Self(slots)
            }

            fn slots(&self) -> &[Slot] {
                &self.0
            }
        }

        impl MapValue for Slots<$count> {
            type Bytes = [u8; $count * SLOT];

            fn to_bytes(&self) -> Self::Bytes {
                let mut bytes = [0; $count * SLOT];
                for (bytes, slot) in bytes.chunks_exact_mut(SLOT).zip(&self.0) {
                    bytes.copy_from_slice(&slot.to_bytes());
                }
                bytes
            }

            fn from_bytes(bytes: Self::Bytes) -> Option<Self> {
                let mut slots = [Slot::default(); $count];
                for (slot, bytes) in slots.iter_mut().zip(bytes.chunks_exact(SLOT)) {
                    *slot = Slot::from_bytes(bytes.try_into().ok()?);
                }
                Some(Self(slots))
            }

            fn is_expendable(&self, now: SystemTime) -> bool {
                let now = nanoseconds(now);
                self.0.iter().all(|slot| slot.is_expendable(now))
            }

            fn weight(&self) -> u128 {
                self.0.iter().map(|slot| slot.weight()).max().unwrap_or(0)
            }
        }
    )*};
}

values!(1 4);

/// What came of a look at all limits of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Looked {
    /// Whether all of them admit it. Where not, nothing is taken from any.
    pub(crate) is_admitted: bool,
    /// Nanoseconds until it would be, as things stand.
    pub(crate) retry_after: u64,
    /// What is to be stored.
    pub(crate) slots: List,
    pub(crate) report: Report,
}

/// How a key stands with the limit of its policy that leaves it the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    /// The number of the limit within the policy.
    pub(crate) limit: usize,
    pub(crate) standing: Standing,
}

/// Takes so many hits from all limits, or from none.
pub(crate) fn take(limits: &[Limit], stored: &[Slot], now: u64, hits: u32) -> Looked {
    // Of those that admit it, and of those that do not: where one does not, the others
    // stand otherwise than they say, as nothing is taken.
    let (mut least, mut least_denying) = (None, None);
    let mut denied: Option<u64> = None;
    // As they are to be where all admit it, and where one does not.
    let (mut taken, mut kept) = (List::new(), List::new());
    for (number, limit) in limits.iter().enumerate() {
        let own = stored.get(number).copied();
        let (slot, standing, least) = match limit.take(own, now, hits) {
            Taken::Admitted { slot, standing } => (slot, standing, &mut least),
            Taken::Denied {
                retry_after,
                slot,
                standing,
            } => {
                denied = denied.max(Some(retry_after));
                kept.push(slot.or(own).unwrap_or_default());
                (None, standing, &mut least_denying)
            }
        };
        taken.push(slot.or(own).unwrap_or_default());
        if kept.len() <= number {
            kept.push(own.unwrap_or_default());
        }
        let report = Report {
            limit: number,
            standing,
        };
        if least.is_none_or(|least| report.leaves_less_than(&least)) {
            *least = Some(report);
        }
    }
    Looked {
        is_admitted: denied.is_none(),
        retry_after: denied.unwrap_or(0),
        slots: if denied.is_none() { taken } else { kept },
        report: least_denying.or(least).unwrap_or_default(),
    }
}

/// Gives hits back to all limits that were taken from them at this time.
pub(crate) fn give_back(
    limits: &[Limit],
    stored: &[Slot],
    now: u64,
    hits: u32,
    taken: u64,
) -> List {
    let slots = limits.iter().enumerate().map(|(number, limit)| {
        let slot = stored.get(number).copied();
        let changed = limit.give_back(slot, now, hits, taken);
        changed.or(slot).unwrap_or_default()
    });
    slots.collect()
}

impl Report {
    /// The same some time later, when nothing was taken meanwhile.
    pub(crate) fn after(mut self, passed: u64) -> Self {
        let standing = &mut self.standing;
        standing.reset = standing.reset.saturating_sub(passed);
        standing.next = standing.next.saturating_sub(passed);
        self
    }

    fn leaves_less_than(&self, other: &Self) -> bool {
        let order = |report: &Self| {
            let standing = &report.standing;
            (standing.remaining, Reverse(standing.reset))
        };
        order(self) < order(other)
    }
}

impl Default for Report {
    fn default() -> Self {
        Self {
            limit: 0,
            standing: Standing {
                remaining: u32::MAX,
                reset: 0,
                next: 0,
            },
        }
    }
}

#[cfg(test)]
mod tests;

//! Fixed and sliding windows.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::{SKEW, Slot, nanoseconds};

/// So many requests in a window of time. The windows follow each other from the
/// epoch on.
///
/// A fixed window is a sliding one whose past weighs nothing, and both are counted
/// by the same code. What differs is how long a window is remembered after its end:
/// not at all, or for one more window's length.
///
/// Of its [`Slot`]s `until` is when the window is forgotten, `a` what was counted in
/// it, and `b` what was counted in the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Window {
    requests: NonZeroU32,
    /// In nanoseconds.
    length: NonZeroU64,
}

impl Window {
    /// `None` where there are no requests, or the window is not from 1 ms to 366 days.
    pub(crate) fn new(requests: u32, window: Duration) -> Option<Self> {
        Some(Self {
            requests: NonZeroU32::new(requests)?,
            length: nanoseconds(window)?,
        })
    }

    pub(super) fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// In nanoseconds.
    pub(super) fn length(&self) -> u64 {
        self.length.get()
    }

    pub(super) fn fixed(self, slot: Option<Slot>, now: u64) -> Account {
        self.account(slot, now, 0)
    }

    pub(super) fn sliding(self, slot: Option<Slot>, now: u64) -> Account {
        self.account(slot, now, self.length())
    }

    /// Windows are remembered for `memory` after their end.
    fn account(self, slot: Option<Slot>, now: u64, memory: u64) -> Account {
        let length = self.length();
        let begun = now.saturating_sub(now % self.length);
        let end = begun.saturating_add(length);
        let until = end.saturating_add(memory);
        let empty = Account {
            window: self,
            now,
            end,
            until,
            current: 0,
            previous: 0,
            is_made_up: false,
        };
        let Some(slot) = slot.filter(|slot| !slot.is_expendable(now)) else {
            return empty;
        };
        // Bytes that are no slot, and slots of another limit from before a reload, may
        // end within a window and count more than its requests.
        let slot_until = slot.until.checked_next_multiple_of(length);
        let slot_until = slot_until.unwrap_or(u64::MAX);
        let current = slot.a.min(self.requests());
        let previous = slot.b.min(self.requests());
        let latest = now
            .saturating_add(length)
            .saturating_add(memory)
            .saturating_add(SKEW);
        if slot_until > latest {
            Account {
                current: self.requests(),
                is_made_up: true,
                ..empty
            }
        } else if slot_until >= until {
            // Of this window, or of a later one: time stands still at its beginning.
            Account {
                end: slot_until.saturating_sub(memory),
                until: slot_until,
                current,
                previous,
                ..empty
            }
        } else {
            // Of the window before.
            Account {
                previous: current,
                ..empty
            }
        }
    }
}

/// What is counted of a window at one moment.
pub(super) struct Account {
    window: Window,
    now: u64,
    /// When the window ends.
    end: u64,
    /// When it is forgotten. The one before is, a window's length earlier.
    until: u64,
    current: u32,
    previous: u32,
    is_made_up: bool,
}

impl Account {
    fn begun(&self) -> u64 {
        self.end.saturating_sub(self.window.length())
    }

    /// When the window before this one is forgotten.
    fn previous_until(&self) -> u64 {
        self.until.saturating_sub(self.window.length())
    }

    /// What the window before counts for, rounded up.
    fn carried(&self) -> u32 {
        // Where time stands still the window has just begun.
        let now = self.now.max(self.begun());
        let overlap = u128::from(self.previous_until().saturating_sub(now));
        let carried = u128::from(self.previous)
            .saturating_mul(overlap)
            .div_ceil(u128::from(self.window.length()));
        u32::try_from(carried).unwrap_or(u32::MAX)
    }

    /// The longest overlap in which so many requests, which are more than `room`,
    /// count for no more than that.
    fn overlap(&self, requests: u32, room: u32) -> u64 {
        let length = self.window.length();
        u128::from(room)
            .saturating_mul(u128::from(length))
            .checked_div(u128::from(requests))
            .and_then(|overlap| u64::try_from(overlap).ok())
            .unwrap_or(length)
    }
}

impl super::Account for Account {
    fn remaining(&self) -> u32 {
        let requests = self.window.requests();
        requests
            .saturating_sub(self.current)
            .saturating_sub(self.carried())
    }

    fn reset(&self) -> u64 {
        let whole = if self.current > 0 {
            self.until
        } else if self.previous > 0 {
            self.previous_until()
        } else {
            self.now
        };
        whole.saturating_sub(self.now)
    }

    fn wait(&self, hits: u32) -> u64 {
        let others = self.window.requests().saturating_sub(hits);
        let passes = if let Some(room) = others.checked_sub(self.current) {
            // In this window, when less of the one before is left to count.
            let overlap = self.overlap(self.previous, room);
            self.previous_until().saturating_sub(overlap)
        } else {
            // In the next one, to which this is the one before.
            let overlap = self.overlap(self.current, others);
            self.until.saturating_sub(overlap).max(self.end)
        };
        passes.saturating_sub(self.now)
    }

    fn charge(&mut self, hits: u32) {
        self.current = self.current.saturating_add(hits);
    }

    fn refund(&mut self, hits: u32, taken: u64) {
        let begun = self.begun();
        if (begun..self.end).contains(&taken) {
            self.current = self.current.saturating_sub(hits);
        } else if (begun.saturating_sub(self.window.length())..begun).contains(&taken) {
            self.previous = self.previous.saturating_sub(hits);
        }
    }

    fn slot(&self) -> Slot {
        Slot {
            until: self.until,
            a: self.current,
            b: self.previous,
        }
    }

    fn is_made_up(&self) -> bool {
        self.is_made_up
    }
}

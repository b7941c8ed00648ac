//! Counting without a host call a time.

use std::cell::Cell;

use super::Counter;

/// A counter that is added up in the module, and handed to the host by
/// [`flush`](Self::flush) and when it is dropped: for what happens at every
/// request. A filter flushes it in [`on_tick`](crate::HttpFilter::on_tick).
#[derive(Debug)]
pub struct Tally {
    counter: Counter,
    pending: Cell<u64>,
}

impl Tally {
    /// Of this counter.
    pub const fn new(counter: Counter) -> Self {
        Self {
            counter,
            pending: Cell::new(0),
        }
    }

    /// Adds `amount`. No host call.
    pub fn add(&self, amount: u64) {
        self.pending.set(self.pending.get().saturating_add(amount));
    }

    /// Hands the host what was added since the last time: one host call, or none
    /// where that is nothing.
    pub fn flush(&self) {
        let pending = self.pending.take();
        if pending > 0 {
            self.counter.add(pending);
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.flush();
    }
}

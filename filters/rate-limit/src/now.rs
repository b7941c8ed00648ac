//! The time of a request, asked for when it is needed and then known.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use legation::{Result, clock};

/// The time of a request.
#[derive(Debug, Default)]
pub(crate) struct Now(Cell<Option<SystemTime>>);

impl Now {
    /// One host call, the first time.
    pub(crate) fn get(&self) -> Result<SystemTime> {
        if let Some(now) = self.0.get() {
            return Ok(now);
        }
        let now = clock::now()?;
        self.0.set(Some(now));
        Ok(now)
    }

    /// The same in nanoseconds since the epoch.
    pub(crate) fn nanoseconds(&self) -> Result<u64> {
        self.get().map(nanoseconds)
    }
}

/// Nanoseconds since the epoch, which 64 bits hold until the year 2554.
pub(crate) fn nanoseconds(time: SystemTime) -> u64 {
    duration(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// A duration in nanoseconds.
pub(crate) fn duration(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

//! Waiting for a condition with a deadline, never for a time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long anything may take before a test gives up on it: far longer than it
/// takes on a busy machine, so that only what will never come runs into it.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer, at most until the deadline.
///
/// `what` completes the sentence "waited 30 s for …" in the error.
pub fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(found) = probe()? {
            return Ok(found);
        }
        if start.elapsed() >= deadline {
            bail!("waited {deadline:?} for {what}, in vain");
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

//! Waiting for a condition with a deadline, never for a time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long anything may take before a test gives up on it: far longer than it
/// takes on a busy machine, so that only what will never come runs into it.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How long Envoy may take until it takes requests, and until it has taken up more listeners: it compiles their
/// modules first, and makes a VM for each, of which a test may have a hundred.
pub(crate) const START: Duration = Duration::from_secs(180);

/// By how much a timer of Envoy's may be early by the clock of a test: it goes by a clock of the kernel's that
/// stands still for a tick, of up to 10 ms, and that Envoy reads once in a turn of its loop.
const EARLY: Duration = Duration::from_millis(20);

/// Whether what took so long has waited for a timer of Envoy's of that time.
pub fn has_waited(took: Duration, time: Duration) -> bool {
    took + EARLY >= time
}

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

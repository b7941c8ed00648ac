//! The time of day, and waiting for it.

use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::abi;
use crate::error::{Error, HostError, Result};
use crate::runtime::reactor::{self, Reactor};

/// Now, by Envoy's clock. One host call of about 110 ns; the time that a tick
/// left behind is good enough for much, and free.
pub fn now() -> Result<SystemTime, HostError> {
    let since_1970 = Duration::from_nanos(abi::now_nanoseconds()?);
    UNIX_EPOCH
        .checked_add(since_1970)
        .ok_or(HostError::malformed("proxy_get_current_time_nanoseconds"))
}

/// Waits for at least `duration`, and up to 10 ms more: it is Envoy's tick that
/// tells the time, and the plugin ticks every 10 ms while anyone's time is near, and
/// once a second or when it comes while it is not.
///
/// Host calls: one for the time now, and one to have Envoy tick, if it does not by
/// then. Fails in a callback that is no `async fn`.
pub async fn sleep(duration: Duration) -> Result<()> {
    let reactor = reactor()?;
    reactor.timer(after(duration)?).await;
    Ok(())
}

/// As [`sleep`], for what goes on for ever: where the host does not tell the time, it
/// waits for a tick at which it does. A loop around it never turns without a pause.
pub async fn pause(duration: Duration) -> Result<()> {
    let reactor = reactor()?;
    // What is due already fires with the next tick.
    reactor.timer(after(duration).unwrap_or_default()).await;
    Ok(())
}

/// Since 1970; 0 before.
pub(crate) fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn reactor() -> Result<Rc<Reactor>> {
    reactor::current().ok_or_else(|| Error::other("a time is awaited in an `async fn` only"))
}

/// The time by then, in nanoseconds since 1970.
fn after(duration: Duration) -> Result<u64, HostError> {
    let duration = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    Ok(abi::now_nanoseconds()?.saturating_add(duration))
}

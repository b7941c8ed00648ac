//! The one tokio runtime behind the blocking functions of this crate.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};

/// The runtime lives as long as the process: servers and connections of several
/// tests share it, and dropping it inside a test would end the others'.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("legation-tests")
            .enable_all()
            .build()
            .expect("a tokio runtime starts wherever threads do")
    })
}

/// Runs a future to its end on the runtime, with a deadline.
pub(crate) fn block_on<T: Send + 'static>(
    deadline: Duration,
    future: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    // Through a channel rather than `Runtime::block_on`, which panics where
    // the caller already stands inside a runtime.
    let (send, receive) = std::sync::mpsc::sync_channel(1);
    runtime().spawn(async move {
        let outcome = tokio::time::timeout(deadline, future).await;
        let outcome = outcome.with_context(|| format!("no answer within {deadline:?}"));
        send.send(outcome.flatten()).ok();
    });
    receive.recv().context("the work was dropped unfinished")?
}

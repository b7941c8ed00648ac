//! Ctrl-C: what runs until then is told, and can stop what it has started.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result};

/// Tells whether the user has had enough.
pub(crate) struct Stop(Receiver<()>);

impl Stop {
    /// Listens for Ctrl-C from here on. Once in a process.
    pub(crate) fn listen() -> Result<Self> {
        let (send, receive) = channel();
        let heard = move || {
            // It fails only where nobody listens any more: then everything is stopping.
            let _ = send.send(());
        };
        ctrlc::set_handler(heard).context("cannot listen for Ctrl-C")?;
        Ok(Self(receive))
    }

    /// Waits so long, and tells whether Ctrl-C came.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        !matches!(self.0.recv_timeout(time), Err(RecvTimeoutError::Timeout))
    }
}

//! What a future of a stream and the runtime tell each other about the body.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// How much of a message's body is here, and whether a future waits for it.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    size: Cell<usize>,
    complete: Cell<bool>,
    holds_headers: Cell<bool>,
    waits_for: Cell<Option<usize>>,
    taken: Cell<bool>,
    released: Cell<bool>,
}

impl Inbox {
    /// Readies the inbox for a callback.
    pub(crate) fn open(&self, size: usize, complete: bool, holds_headers: bool) {
        self.size.set(size);
        self.complete.set(complete);
        self.holds_headers.set(holds_headers);
        self.waits_for.set(None);
        self.taken.set(false);
        self.released.set(false);
    }

    /// So much of the body is held by the host by now.
    pub(crate) fn arrived(&self, size: usize, complete: bool) {
        self.size.set(size);
        if complete {
            self.complete.set(true);
        }
    }

    /// Bytes of the body that the host holds.
    pub(crate) fn size(&self) -> usize {
        self.size.get()
    }

    /// The filter has put `new` bytes in the place of `old` ones.
    pub(crate) fn replaced(&self, old: usize, new: usize) {
        let size = self.size.get().saturating_sub(old).saturating_add(new);
        self.size.set(size);
    }

    /// Whether headers can be held while the body arrives.
    pub(crate) fn holds_headers(&self) -> bool {
        self.holds_headers.get()
    }

    /// Whether the headers have gone on although the callback is not over.
    pub(crate) fn is_released(&self) -> bool {
        self.released.get()
    }

    pub(crate) fn release(&self) {
        self.released.set(true);
    }

    /// Whether a future waits for the body.
    pub(crate) fn is_awaited(&self) -> bool {
        self.waits_for.get().is_some()
    }

    /// Whether what the future waits for is here.
    pub(crate) fn is_satisfied(&self) -> bool {
        self.waits_for.get().is_some_and(|limit| self.has(limit))
    }

    /// Whether a future has had the body, so that no other callback gets it.
    pub(crate) fn is_taken(&self) -> bool {
        self.taken.get()
    }

    pub(crate) fn set_taken(&self, taken: bool) {
        self.taken.set(taken);
    }

    /// Whether nothing of the body is to come.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete.get()
    }

    /// Waits for the whole body, or more than `limit` bytes of it.
    pub(crate) fn whole(self: Rc<Self>, limit: usize) -> Whole {
        Whole { inbox: self, limit }
    }

    fn has(&self, limit: usize) -> bool {
        self.complete.get() || self.size.get() > limit
    }
}

/// Waits for a body.
pub(crate) struct Whole {
    inbox: Rc<Inbox>,
    limit: usize,
}

impl Future for Whole {
    /// Bytes that are here.
    type Output = usize;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<usize> {
        // The runtime polls when more of the body is here: no waker is needed.
        if self.inbox.has(self.limit) {
            self.inbox.waits_for.set(None);
            self.inbox.taken.set(true);
            Poll::Ready(self.inbox.size())
        } else {
            self.inbox.waits_for.set(Some(self.limit));
            Poll::Pending
        }
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        self.inbox.waits_for.set(None);
    }
}

//! Streams and configurations whose end the host does not tell.

use super::Runtime;
use super::contexts::{Standing, Stream};
use super::tasks::Kind;
use crate::abi;
use crate::filter::HttpFilter;

impl<F: HttpFilter> Runtime<F> {
    pub(super) fn forget(&self, id: u32) {
        let gone = match self.contexts.try_borrow_mut() {
            Ok(mut contexts) => contexts.remove(id),
            Err(_) => return,
        };
        drop(gone);
    }

    /// Forgets the streams that the host has no more, on behalf of one that it
    /// has.
    #[inline]
    pub(super) fn sweep_streams(&self, id: u32) {
        let to_sweep = match self.contexts.try_borrow() {
            Ok(contexts) => contexts.to_sweep(),
            Err(_) => return,
        };
        if let Some(streams) = to_sweep {
            self.ending(id, || self.forget_gone(streams, id));
            if let Ok(mut contexts) = self.contexts.try_borrow_mut() {
                contexts.swept();
            }
        }
    }

    /// Forgets those of these streams that the host has no more, on behalf of a
    /// context that it has.
    pub(super) fn forget_gone(&self, streams: Vec<u32>, id: u32) {
        for stream in gone(streams, id) {
            if Self::AWAITS {
                self.abandon(stream);
            }
            self.forget(stream);
        }
    }

    /// Forgets the configurations that the host has no more, on behalf of one
    /// that it has.
    pub(super) fn sweep_roots(&self, id: u32) {
        if Self::TOLD_OF_ENDS {
            return;
        }
        let others = match self.contexts.try_borrow() {
            Ok(contexts) => contexts.other_roots(id),
            Err(_) => return,
        };
        let gone = gone(others, id);
        if !gone.is_empty() {
            self.ending(id, || {
                for root in gone {
                    self.forget_root(root);
                }
            });
        }
    }

    fn forget_root(&self, root: u32) {
        let former = match self.contexts.try_borrow_mut() {
            Ok(mut contexts) => contexts.remove_root(root),
            Err(_) => return,
        };
        drop(former);
        if Self::REACTS {
            self.root_gone(root);
        }
    }

    /// Whether a stream that is not known is one that the filter has let pass.
    pub(super) fn passes_unknown(kind: Kind) -> bool {
        !Self::TOLD_OF_ENDS && kind != Kind::RequestHeaders
    }

    /// Forgets a stream that no callback comes for any more but those that let it pass:
    /// one that was refused is remembered, lest its body let it go on.
    #[inline]
    pub(super) fn forget_if_over(&self, id: u32) {
        if Self::TOLD_OF_ENDS {
            return;
        }
        let Ok(mut contexts) = self.contexts.try_borrow_mut() else {
            return;
        };
        let waits = contexts.pending_len() > 0 && contexts.pending(id).is_some();
        let passes = |stream: &mut Stream<F>| {
            stream.state.is_some() && matches!(stream.standing, Standing::Open | Standing::Finished)
        };
        if !waits && contexts.get_mut(id).is_some_and(passes) {
            let gone = contexts.remove(id);
            drop(contexts);
            drop(gone);
        }
    }

    /// Whether the stream in effect is over. The host has it a little longer, until the
    /// events of the same moment are served; nothing may be said to it then.
    pub(super) fn is_over() -> bool {
        !Self::TOLD_OF_ENDS && matches!(abi::property(b"request\0duration"), Ok(Some(_)))
    }

    /// Finds another configuration to tick where the one that did is gone, on behalf of a
    /// context that the host has.
    pub(super) fn find_ticking(&self, id: u32) {
        if Self::TOLD_OF_ENDS || !Self::REACTS {
            return;
        }
        let ticking = self.ticking().filter(|root| *root != id);
        for root in gone(ticking.into_iter().collect(), id) {
            self.forget_root(root);
        }
    }
}

/// The contexts of these that the host has no more. The one that the callback is
/// about is the one in effect again after the asking.
fn gone(mut contexts: Vec<u32>, current: u32) -> Vec<u32> {
    if !contexts.is_empty() {
        contexts.retain(|id| !abi::has_context(*id));
        // It exists: the host has just called for it.
        let _ = abi::has_context(current);
    }
    contexts
}

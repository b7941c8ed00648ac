//! Streams and configurations whose end the host does not tell.

use super::Runtime;
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
            for stream in gone(streams, id) {
                self.forget(stream);
            }
            if let Ok(mut contexts) = self.contexts.try_borrow_mut() {
                contexts.swept();
            }
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
        for root in gone(others, id) {
            let former = match self.contexts.try_borrow_mut() {
                Ok(mut contexts) => contexts.remove_root(root),
                Err(_) => return,
            };
            drop(former);
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

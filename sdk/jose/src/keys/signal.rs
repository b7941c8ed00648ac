//! Waiting for one another, on one worker.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use slab::Slab;

/// Something that happens time and again, and those that wait for it.
#[derive(Debug, Default)]
pub(super) struct Signal {
    times: Cell<u64>,
    waiting: RefCell<Slab<Option<Waker>>>,
}

impl Signal {
    /// It happens: wakes all that wait.
    pub(super) fn happens(&self) {
        self.times.set(self.times.get().wrapping_add(1));
        let wakers: Vec<Waker> = match self.waiting.try_borrow_mut() {
            Ok(mut waiting) => waiting
                .iter_mut()
                .filter_map(|(_, waker)| waker.take())
                .collect(),
            Err(_) => return,
        };
        for waker in wakers {
            waker.wake();
        }
    }

    /// How often it has happened.
    pub(super) fn times(&self) -> u64 {
        self.times.get()
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
            .try_borrow()
            .map_or(usize::MAX, |waiting| waiting.len())
    }

    /// Waits until it has happened more often than this.
    pub(super) fn after(&self, times: u64) -> After<'_> {
        After {
            signal: self,
            times,
            place: None,
        }
    }
}

/// See [`Signal::after`].
#[derive(Debug)]
pub(super) struct After<'a> {
    signal: &'a Signal,
    times: u64,
    place: Option<usize>,
}

impl Future for After<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.signal.times.get() != self.times {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        let Ok(mut waiting) = self.signal.waiting.try_borrow_mut() else {
            context.waker().wake_by_ref();
            return Poll::Pending;
        };
        let known = self.place.and_then(|place| waiting.get_mut(place));
        let former = if let Some(known) = known {
            known.replace(waker)
        } else {
            let place = waiting.insert(Some(waker));
            drop(waiting);
            self.place = Some(place);
            None
        };
        drop(former);
        Poll::Pending
    }
}

impl Drop for After<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place
            && let Ok(mut waiting) = self.signal.waiting.try_borrow_mut()
        {
            let waker = waiting.try_remove(place);
            drop(waiting);
            drop(waker);
        }
    }
}

/// Waits for the first of two futures; whether it was the first one.
pub(super) async fn first(one: impl Future, other: impl Future) -> bool {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| {
        if one.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        other.as_mut().poll(context).map(|_| false)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn whoever_waits_is_woken_once_and_leaves_nothing_behind() {
        let signal = Signal::default();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let mut waits = Box::pin(signal.after(signal.times()));
        let given_up = Box::pin(signal.after(signal.times()));
        for _ in 0..2 {
            assert!(waits.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(signal.waiting(), 1);
        drop(given_up);

        signal.happens();
        signal.happens();

        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(waits.as_mut().poll(&mut context).is_ready());
        drop(waits);
        assert_eq!(signal.waiting(), 0);
    }

    #[test]
    fn what_has_happened_already_is_not_waited_for() {
        let signal = Signal::default();
        let before = signal.times();
        signal.happens();
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(signal.after(before)).poll(&mut context).is_ready());
        assert_eq!(signal.waiting(), 0);
    }
}

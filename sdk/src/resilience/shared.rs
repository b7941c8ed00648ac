//! A circuit breaker for all who talk to one upstream.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

use super::breaker::{BreakerSettings, BreakerState, CircuitBreaker, Permit, Refused, Verdict};
use crate::metrics::Gauge;

/// A [`CircuitBreaker`] that several hold, on one worker. To clone it is to have
/// the same one.
///
/// Host calls: none, but one for the gauge whenever it opens or closes.
#[derive(Debug, Clone)]
pub struct SharedBreaker(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    breaker: RefCell<CircuitBreaker>,
    /// Of all workers: each adds its own.
    not_closed: Gauge,
}

/// Leave to send one request. If it is dropped with the request, its place is
/// free again and nothing is counted.
#[derive(Debug)]
#[must_use = "a ticket has to be settled"]
pub struct Ticket {
    shared: Rc<Shared>,
    permit: Option<Permit>,
}

impl SharedBreaker {
    /// A closed breaker. The gauge goes up by one while it is not closed, so that
    /// it tells how many workers leave the upstream alone.
    pub fn new(settings: BreakerSettings, not_closed: Gauge) -> Self {
        Self(Rc::new(Shared {
            breaker: RefCell::new(CircuitBreaker::new(settings)),
            not_closed,
        }))
    }

    /// How it stands.
    pub fn state(&self) -> BreakerState {
        self.0
            .breaker
            .try_borrow()
            .map_or(BreakerState::Closed, |breaker| breaker.state())
    }

    /// Asks leave for one request.
    pub fn admit(&self, now: SystemTime) -> Result<Ticket, Refused> {
        let permit = self.0.change(|breaker| breaker.admit(now)).transpose()?;
        Ok(Ticket {
            shared: Rc::clone(&self.0),
            permit,
        })
    }
}

impl Ticket {
    /// Says what became of the request.
    pub fn settle(mut self, verdict: Verdict, now: SystemTime) {
        self.give_back(verdict, now);
    }

    fn give_back(&mut self, verdict: Verdict, now: SystemTime) {
        if let Some(permit) = self.permit.take() {
            self.shared
                .change(|breaker| breaker.settle(permit, verdict, now));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Of nothing it does not matter when.
        self.give_back(Verdict::Nothing, SystemTime::UNIX_EPOCH);
    }
}

impl Shared {
    /// The gauge follows when nothing is borrowed any more: the host may call back.
    fn change<T>(&self, change: impl FnOnce(&mut CircuitBreaker) -> T) -> Option<T> {
        let (value, before, after) = match self.breaker.try_borrow_mut() {
            Ok(mut breaker) => {
                let before = breaker.state();
                let value = change(&mut breaker);
                (value, before, breaker.state())
            }
            Err(_) => return None,
        };
        match (before, after) {
            (BreakerState::Closed, BreakerState::Closed) => {}
            (BreakerState::Closed, _) => self.not_closed.add(1),
            (_, BreakerState::Closed) => self.not_closed.add(-1),
            _ => {}
        }
        Some(value)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.breaker.get_mut().state() != BreakerState::Closed {
            self.not_closed.add(-1);
        }
    }
}

//! One worker of many.

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, SystemTime};

use super::codec::{Malformed, exactly};
use super::error::SharedError;
use super::store::{self, Host, NOT_THERE, Store, TRIES};
use crate::clock::nanoseconds;
use crate::random;

/// Makes one worker the one that does what only one is to do, such as fetching
/// keys that all of them use.
///
/// Each worker makes a `Leader` of the same name in `configure`, and calls
/// [`try_lead`](Self::try_lead) in its tick. One of them gets a lease, and keeps
/// it as long as it renews it; when it does not (its VM is gone, its
/// configuration was replaced), the first to ask after the lease's end gets it.
///
/// ```
/// use std::time::Duration;
///
/// use legation::shared::{Leader, SharedError};
/// use legation::clock;
///
/// /// The tick, every 5 seconds on each worker.
/// fn on_tick(leader: &Leader) -> Result<(), SharedError> {
///     if leader.try_lead(clock::now()?, Duration::from_secs(15))? {
///         // Fetch, and share what came.
///     }
///     Ok(())
/// }
/// # let _ = on_tick;
/// ```
///
/// **What holds.** Two never lead at one time: a lease is granted only where no
/// other is in force, by compare-and-swap. That is by Envoy's clock, which all
/// workers share. A `now` that is late errs on the safe side; one that is ahead
/// does not. Where the clock is set back by more than the length of a lease, the
/// lease in force counts as over, or nobody could lead until the clock gets
/// there again.
///
/// **Who.** Envoy configures a filter on its main thread as well, where it ticks
/// and makes callouts, and has no requests: with four workers there are five
/// candidates. So share what was fetched; the leader may have no use for it.
#[derive(Debug)]
pub struct Leader {
    key: Box<[u8]>,
    id: LeaderId,
    mine: Cell<Option<Lease>>,
}

/// Who leads: a number drawn at random by each [`Leader`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaderId([u8; 16]);

impl fmt::Display for LeaderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for LeaderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeaderId({self})")
    }
}

/// Times are nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lease {
    holder: LeaderId,
    /// The first moment at which it is over.
    end: u64,
    /// For how long it was granted.
    length: u64,
}

impl Lease {
    /// A lease whose end is further off than its length was granted before the
    /// clock was set back. The length once more is allowed for: another worker
    /// may have read the clock that much later than this one.
    fn is_in_force(&self, now: u64) -> bool {
        match self.end.checked_sub(now) {
            Some(left) => left > 0 && left <= self.length.saturating_mul(2),
            None => false,
        }
    }

    fn to_bytes(self) -> Vec<u8> {
        let Self {
            holder: LeaderId(id),
            end,
            length,
        } = self;
        [&id[..], &end.to_le_bytes(), &length.to_le_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let none = || Malformed::new(format!("{} bytes where 32 belong", bytes.len()));
        let (id, rest) = bytes.split_first_chunk().ok_or_else(none)?;
        let (end, length) = rest.split_first_chunk().ok_or_else(none)?;
        Ok(Self {
            holder: LeaderId(*id),
            end: u64::from_le_bytes(*end),
            length: u64::from_le_bytes(exactly(length)?),
        })
    }
}

/// The lease that `who` may take now, for so long, when this one is there.
fn grant(current: Option<Lease>, who: LeaderId, now: u64, length: u64) -> Option<Lease> {
    let free = current.is_none_or(|lease| lease.holder == who || !lease.is_in_force(now));
    (free && length > 0).then_some(Lease {
        holder: who,
        end: now.saturating_add(length),
        length,
    })
}

impl Leader {
    /// A candidate. Candidates of one name compete; begin it with the filter's
    /// name. No host calls but for the seed of [`random`](crate::random).
    pub fn new(name: impl AsRef<[u8]>) -> Result<Self, SharedError> {
        let key: Box<[u8]> = name.as_ref().into();
        let mut id = [0; 16];
        random::fill(&mut id).map_err(|error| SharedError::NoRandomness {
            name: key.escape_ascii().to_string(),
            why: error.to_string(),
        })?;
        Ok(Self::with_id(key, LeaderId(id)))
    }

    fn with_id(key: Box<[u8]>, id: LeaderId) -> Self {
        Self {
            key,
            id,
            mine: Cell::new(None),
        }
    }

    /// Who this one is.
    pub fn id(&self) -> LeaderId {
        self.id
    }

    /// Takes or renews the lease, if no other's is in force at `now`. Whether
    /// this one leads, for `lease` from `now` on.
    ///
    /// Renew well before the end: three times in each lease is usual. Where
    /// another candidate is quicker, the answer is `false`, not an error. An
    /// error leaves the lease that it has as it is.
    ///
    /// One host call where another leads, about 0.7 µs; else two.
    pub fn try_lead(&self, now: SystemTime, lease: Duration) -> Result<bool, SharedError> {
        self.try_lead_in(&Host, now, lease)
    }

    /// Whether the lease taken last is still in force: to be asked before what
    /// only the leader may do, where time has passed since. No host call.
    ///
    /// Not known here is whether a clock that was set back has made another one
    /// the leader.
    pub fn leads(&self, now: SystemTime) -> bool {
        let lease = self.mine.get();
        lease.is_some_and(|lease| lease.is_in_force(nanoseconds(now)))
    }

    /// Who leads at `now`. One host call, about 0.7 µs.
    pub fn holder(&self, now: SystemTime) -> Result<Option<LeaderId>, SharedError> {
        self.holder_in(&Host, now)
    }

    /// Gives the lease back, so that another may lead at once. Two host calls;
    /// one if it is another's.
    pub fn resign(&self) -> Result<(), SharedError> {
        self.resign_in(&Host)
    }

    fn try_lead_in(
        &self,
        store: &impl Store,
        now: SystemTime,
        lease: Duration,
    ) -> Result<bool, SharedError> {
        let (current, version) = match store.get(&self.key)? {
            Some((bytes, version)) => (Some(self.read(&bytes)?), version),
            None => (None, NOT_THERE),
        };
        let length = u64::try_from(lease.as_nanos()).unwrap_or(u64::MAX);
        let granted = grant(current, self.id, nanoseconds(now), length);
        let taken = match granted {
            Some(lease) => store.set(&self.key, &lease.to_bytes(), version)?,
            None => false,
        };
        self.mine.set(granted.filter(|_| taken));
        Ok(taken)
    }

    fn holder_in(
        &self,
        store: &impl Store,
        now: SystemTime,
    ) -> Result<Option<LeaderId>, SharedError> {
        let Some((bytes, _)) = store.get(&self.key)? else {
            return Ok(None);
        };
        let lease = self.read(&bytes)?;
        Ok(lease.is_in_force(nanoseconds(now)).then_some(lease.holder))
    }

    fn resign_in(&self, store: &impl Store) -> Result<(), SharedError> {
        self.mine.set(None);
        store::update(store, &self.key, TRIES, |stored| {
            let lease = stored.map(|bytes| self.read(&bytes)).transpose()?;
            let over = lease
                .filter(|lease| lease.holder == self.id)
                .map(|lease| Lease { end: 0, ..lease }.to_bytes());
            Ok((over, ()))
        })?;
        Ok(())
    }

    fn read(&self, bytes: &[u8]) -> Result<Lease, SharedError> {
        Lease::from_bytes(bytes).map_err(|why| SharedError::malformed(&self.key, why))
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "tests")]
mod tests {
    use std::time::UNIX_EPOCH;

    use wasm_bindgen_test::wasm_bindgen_test;

    use super::super::store::fake::Fake;
    use super::*;

    pub(super) const LEASE: Duration = Duration::from_secs(10);

    pub(super) fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    pub(super) fn candidate(number: u8) -> Leader {
        Leader::with_id((*b"leader").into(), LeaderId([number; 16]))
    }

    fn leads(leader: &Leader, store: &Fake, seconds: u64) -> bool {
        leader.try_lead_in(store, at(seconds), LEASE).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_first_leads_and_goes_on_leading_as_long_as_it_renews() {
        let store = Fake::default();
        let (one, two) = (candidate(1), candidate(2));
        assert_eq!(one.holder_in(&store, at(100)), Ok(None));
        for seconds in [100, 103, 112, 121] {
            assert!(leads(&one, &store, seconds), "{seconds}");
            assert!(!leads(&two, &store, seconds), "{seconds}");
            assert_eq!(two.holder_in(&store, at(seconds)), Ok(Some(one.id())));
        }
        assert!(one.leads(at(130)));
        assert!(!one.leads(at(131)));
        assert!(!two.leads(at(121)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn another_takes_over_at_the_leases_end_and_not_before() {
        let store = Fake::default();
        let (one, two) = (candidate(1), candidate(2));
        assert!(leads(&one, &store, 100));
        assert!(!leads(&two, &store, 109));
        assert!(leads(&two, &store, 110));
        assert!(!leads(&one, &store, 110));
        assert!(!one.leads(at(110)));
        assert_eq!(one.holder_in(&store, at(110)), Ok(Some(two.id())));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn one_that_resigns_is_followed_at_once() {
        let store = Fake::default();
        let (one, two) = (candidate(1), candidate(2));
        assert!(leads(&one, &store, 100));
        two.resign_in(&store).unwrap();
        assert!(!leads(&two, &store, 101), "it was not its own");
        one.resign_in(&store).unwrap();
        assert!(!one.leads(at(101)));
        assert_eq!(one.holder_in(&store, at(101)), Ok(None));
        assert!(leads(&two, &store, 101));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn of_those_that_see_it_free_at_once_one_leads() {
        for seconds in [100, 120] {
            let store = Fake::default();
            let (one, two) = (candidate(1), candidate(2));
            if seconds == 120 {
                // There is an old lease, and not only nothing.
                assert!(leads(&candidate(3), &store, 100));
            }
            let mut first = true;
            store.after_each_read(move |store| {
                if std::mem::take(&mut first) {
                    assert!(leads(&two, store, seconds));
                }
            });
            assert!(!leads(&one, &store, seconds));
            assert!(!one.leads(at(seconds)));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_clock_set_back_does_not_leave_all_without_a_leader() {
        let store = Fake::default();
        let (one, two) = (candidate(1), candidate(2));
        assert!(leads(&one, &store, 1_000_000));
        assert!(!leads(&two, &store, 999_995), "a slow reader of the clock");
        assert!(leads(&two, &store, 500));
        assert!(!one.leads(at(500)));
        assert!(!leads(&one, &store, 501));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_lease_of_no_length_is_none() {
        let store = Fake::default();
        let one = candidate(1);
        assert_eq!(one.try_lead_in(&store, at(1), Duration::ZERO), Ok(false));
        assert!(store.keys().is_empty());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_longest_lease_at_the_latest_time_does_not_overflow() {
        let store = Fake::default();
        let late = UNIX_EPOCH + Duration::from_nanos(u64::MAX);
        let (one, two) = (candidate(1), candidate(2));
        assert_eq!(one.try_lead_in(&store, at(1), Duration::MAX), Ok(true));
        assert_eq!(two.try_lead_in(&store, at(2), Duration::MAX), Ok(false));
        assert_eq!(two.try_lead_in(&store, late, Duration::MAX), Ok(true));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_malformed_lease_is_an_error() {
        let one = candidate(1);
        for size in [0, 15, 31, 33] {
            let store = Fake::default();
            store.put(b"leader", &vec![1; size]).unwrap();
            let error = one.try_lead_in(&store, at(1), LEASE).unwrap_err();
            assert!(matches!(error, SharedError::Malformed { .. }), "{error}");
            assert!(one.holder_in(&store, at(1)).is_err());
            assert!(one.resign_in(&store).is_err());
        }
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
#[expect(clippy::arithmetic_side_effects, reason = "tests")]
mod properties {
    use std::cell::RefCell;
    use std::rc::Rc;

    use proptest::prelude::*;

    use super::super::store::fake::Fake;
    use super::tests::{LEASE, at, candidate};
    use super::*;

    proptest! {
        /// Whoever asks when, and whoever else asks between its read and its
        /// write: at each moment at most one believes that it leads.
        #[test]
        fn never_two_lead(
            steps in prop::collection::vec((0..4_usize, 0..8_u64, prop::option::of(0..4_usize), 0..20_u8), 1..80),
        ) {
            let store = Fake::default();
            let candidates: Rc<Vec<_>> = Rc::new((0..4).map(candidate).collect());
            let rival: Rc<RefCell<Option<(usize, u64)>>> = Rc::default();
            let (others, next) = (Rc::clone(&candidates), Rc::clone(&rival));
            store.after_each_read(move |store| {
                if let Some((who, now)) = next.borrow_mut().take() {
                    others[who].try_lead_in(store, at(now), LEASE).unwrap();
                }
            });
            let mut now = 1_000;
            for (who, passed, rivals, resigns) in steps {
                now += passed;
                *rival.borrow_mut() = rivals.filter(|rival| *rival != who).map(|rival| (rival, now));
                if resigns == 0 {
                    candidates[who].resign_in(&store).unwrap();
                } else {
                    candidates[who].try_lead_in(&store, at(now), LEASE).unwrap();
                }
                for moment in now..now + 12 {
                    let leading = candidates.iter().filter(|one| one.leads(at(moment))).count();
                    prop_assert!(leading <= 1, "{} lead at {}", leading, moment);
                }
                if passed > 0 && resigns > 0 {
                    prop_assert!(candidates.iter().any(|one| one.leads(at(now))));
                }
            }
        }

        #[test]
        fn any_bytes_are_a_lease_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40), now in any::<u64>()) {
            match Lease::from_bytes(&bytes) {
                Err(_) => prop_assert_ne!(bytes.len(), 32),
                Ok(lease) => {
                    let _ = lease.is_in_force(now);
                    prop_assert_eq!(lease.to_bytes(), bytes);
                }
            }
        }
    }
}

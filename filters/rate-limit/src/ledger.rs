//! Where it is written down how much each key has left: in shared data for all
//! workers, and in this one what it need not ask for again.

mod denials;
mod hands;
mod table;

use std::cell::RefCell;
use std::num::NonZeroUsize;

use legation::fingerprint::Fingerprints;
use legation::shared::{Geometry, SharedError};
use legation::{Error, Result};

use crate::limit::{Limit, Slot};
use crate::now::Now;
use crate::policies::Policies;
use crate::slots::{self, List, Looked, Report};
use denials::Denials;
pub(crate) use hands::Lease;
use hands::{Hands, Unspent};
use table::{Changed, Table};

/// Keys of which a worker remembers that they have nothing left, or for which it holds
/// tokens.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// Keys whose tokens are given back at a tick, and of which it is remembered that a place
/// is to be: two host calls each.
const GIVEN_BACK: usize = 256;

/// The longest key, in bytes, for which tokens are taken ahead: those are kept with their
/// keys, which clients may make as long as a header.
const LONGEST: usize = 1_024;

/// What is written down of all keys.
pub(crate) struct Ledger {
    /// One for each policy, by its number.
    tables: Box<[Table]>,
    fingerprints: Fingerprints,
    denials: RefCell<Denials>,
    /// Where tokens are taken several at a time.
    hands: Option<RefCell<Hands>>,
    /// Tokens that are to be given back at the next tick.
    unspent: RefCell<Vec<Unspent>>,
    /// Places that could not be given back so far.
    left: RefCell<Vec<Left>>,
}

/// Places of one key that nobody is in any more.
struct Left {
    policy: usize,
    key: Box<[u8]>,
    places: u32,
}

/// What came of a request for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// They are taken.
    Admitted(Report),
    /// They are not there.
    Denied {
        /// Nanoseconds until they would be, as things stand.
        retry_after: u64,
        report: Report,
    },
    /// Other workers changed the key's state in the midst of each try. Nothing is
    /// taken.
    Contended,
}

/// A key and the policy by which it is limited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account<'a> {
    pub(crate) key: &'a [u8],
    /// The policy's number, and its limits.
    pub(crate) policy: usize,
    pub(crate) limits: &'a [Limit],
}

impl Ledger {
    /// With room for so many keys of each policy, shared by all that use the same name.
    pub(crate) fn open(
        name: &str,
        policies: &Policies,
        keys: u32,
        lease: Option<Lease>,
    ) -> Result<Self, SharedError> {
        let fingerprints = Fingerprints::new().map_err(|error| SharedError::NoRandomness {
            name: name.to_owned(),
            why: error.to_string(),
        })?;
        let geometry = Geometry::for_keys(keys);
        let tables = policies.iter().map(|policy| {
            let name = format!("{name}.{:016x}", policy.table);
            Table::open(&name, policy.limits().len(), geometry)
        });
        Ok(Self {
            tables: tables.collect::<Result<_, _>>()?,
            fingerprints,
            denials: RefCell::new(Denials::new(REMEMBERED)),
            hands: lease.map(|lease| RefCell::new(Hands::new(lease, REMEMBERED))),
            unspent: RefCell::default(),
            left: RefCell::default(),
        })
    }

    /// Takes so many hits from all limits of a policy, or from none. `displaced` is
    /// called where another key's state had to go for it.
    ///
    /// No host call where the tokens are at hand, the time's where the key is known
    /// to have none, and else the time's and two for each try.
    pub(crate) fn take(
        &self,
        account: Account<'_>,
        hits: u32,
        now: &Now,
        displaced: impl FnOnce(),
    ) -> Result<Outcome> {
        let Account {
            key,
            policy,
            limits,
        } = account;
        let fingerprint = self.fingerprints.of(key);
        let mut wanted = 0;
        if let Some(hands) = &self.hands {
            let mut hands = hands.borrow_mut();
            if let Some(report) = hands.spend(fingerprint, hits) {
                return Ok(Outcome::Admitted(report));
            }
            if key.len() <= LONGEST {
                wanted = hands.wanted(fingerprint);
            }
        }
        // Nothing is borrowed while the host is asked: it may call back.
        let was_denied = self.denials.borrow().knows(fingerprint);
        let at = now.nanoseconds()?;
        let denied = was_denied.then(|| self.denials.borrow_mut().find(fingerprint, hits, at));
        if let Some(denied) = denied.flatten() {
            return Ok(denied);
        }
        let mut looked = None;
        let changed = self.change(policy, key, now, |stored| {
            let (came_of_it, ahead) = take_ahead(limits, stored, at, hits, wanted);
            // Where it is denied it is written all the same: who is being refused is not
            // forgotten.
            let slots = came_of_it.slots.clone();
            looked = Some((came_of_it, ahead));
            slots
        })?;
        let (Changed::Written { displaced: other }, Some((looked, ahead))) = (changed, looked)
        else {
            return Ok(Outcome::Contended);
        };
        if other {
            displaced();
        }
        let Looked {
            is_admitted,
            retry_after,
            report,
            ..
        } = looked;
        if !is_admitted {
            let mut denials = self.denials.borrow_mut();
            denials.put(fingerprint, hits, at, retry_after, report);
            return Ok(Outcome::Denied {
                retry_after,
                report,
            });
        }
        if let Some(hands) = &self.hands {
            let mut hands = hands.borrow_mut();
            let (report, other) = hands.put(fingerprint, account, ahead, report, at);
            let mut unspent = self.unspent.borrow_mut();
            // What is more than a tick gives back is gone, as if it were spent.
            let has_room = unspent.len() < GIVEN_BACK;
            unspent.extend(other.filter(|_| has_room));
            return Ok(Outcome::Admitted(report));
        }
        Ok(Outcome::Admitted(report))
    }

    /// Takes one of so many places, until [`leave`](Self::leave). The time's host call, and
    /// two for each try.
    pub(crate) fn enter(
        &self,
        policy: usize,
        key: &[u8],
        most: u32,
        now: &Now,
        displaced: impl FnOnce(),
    ) -> Result<Outcome> {
        let at = now.nanoseconds()?;
        let mut entered = (false, 0);
        let changed = self.change(policy, key, now, |stored| {
            let inside = inside(stored, at);
            if inside >= most {
                entered = (false, 0);
                // Whoever is turned away holds nobody's place.
                return stored.into();
            }
            let inside = inside.saturating_add(1);
            entered = (true, most.saturating_sub(inside));
            places(inside, at)
        })?;
        let Changed::Written { displaced: other } = changed else {
            return Ok(Outcome::Contended);
        };
        if other {
            displaced();
        }
        let (is_admitted, remaining) = entered;
        let mut report = Report::default();
        report.standing.remaining = remaining;
        Ok(if is_admitted {
            Outcome::Admitted(report)
        } else {
            Outcome::Denied {
                retry_after: 0,
                report,
            }
        })
    }

    /// Gives a place back: at once or, where others were quicker each time or the host does
    /// not do it, [at a tick](Self::give_back). An error where that has too many already.
    pub(crate) fn leave(&self, policy: usize, key: &[u8], now: &Now) -> Result<()> {
        let given_back = self.give_places_back(policy, key, 1, now);
        if matches!(given_back, Ok(Changed::Written { .. })) {
            return Ok(());
        }
        let mut left = self.left.borrow_mut();
        let known = left
            .iter_mut()
            .find(|left| left.policy == policy && *left.key == *key);
        if let Some(known) = known {
            known.places = known.places.saturating_add(1);
        } else if left.len() < GIVEN_BACK {
            left.push(Left {
                policy,
                key: key.into(),
                places: 1,
            });
        } else {
            given_back?;
            return Err(Error::other("other workers were quicker each time"));
        }
        Ok(())
    }

    fn give_places_back(
        &self,
        policy: usize,
        key: &[u8],
        count: u32,
        now: &Now,
    ) -> Result<Changed> {
        let at = now.nanoseconds()?;
        self.change(policy, key, now, |stored| {
            places(inside(stored, at).saturating_sub(count), at)
        })
    }

    fn change(
        &self,
        policy: usize,
        key: &[u8],
        now: &Now,
        change: impl FnMut(&[Slot]) -> List,
    ) -> Result<Changed> {
        match self.tables.get(policy) {
            Some(table) => table.change(key, now, change),
            None => Err(Error::other("a policy without a table")),
        }
    }

    /// Gives back what could not be given back before, and tokens that were not spent in
    /// time. For a tick: `limits_of` finds the limits of a policy. What cannot be given back
    /// now is at the next one; the error is that of the first.
    pub(crate) fn give_back<'a>(
        &self,
        now: &Now,
        limits_of: impl Fn(usize) -> Option<&'a [Limit]>,
    ) -> Result<()> {
        let places = settle(&self.left, self.left.take(), |left| {
            self.give_places_back(left.policy, &left.key, left.places, now)
        });
        let Some(hands) = &self.hands else {
            return places;
        };
        let at = now.nanoseconds()?;
        let mut unspent = self.unspent.take();
        let room = GIVEN_BACK.saturating_sub(unspent.len());
        unspent.extend(hands.borrow_mut().expire(at, room));
        let tokens = settle(&self.unspent, unspent, |unspent| {
            let Some(limits) = limits_of(unspent.policy) else {
                return Err(Error::other("a policy without limits"));
            };
            self.change(unspent.policy, &unspent.key, now, |stored| {
                slots::give_back(limits, stored, at, unspent.tokens, unspent.taken)
            })
        });
        places.and(tokens)
    }
}

/// Gives back what is due, and keeps what cannot be given back now.
fn settle<T>(
    kept: &RefCell<Vec<T>>,
    due: Vec<T>,
    mut give_back: impl FnMut(&T) -> Result<Changed>,
) -> Result<()> {
    let mut result = Ok(());
    for one in due {
        match give_back(&one) {
            Ok(Changed::Written { .. }) => continue,
            Ok(Changed::Contended) => {}
            Err(error) => result = result.and(Err(error)),
        }
        kept.borrow_mut().push(one);
    }
    result
}

/// How long places are held of which nothing more is heard, as of a worker that is gone: an
/// hour after the last one came or went.
const HELD: u64 = 3_600_000_000_000;

/// How many places are taken.
fn inside(stored: &[Slot], now: u64) -> u32 {
    let slot = stored.first().filter(|slot| slot.until > now);
    slot.map_or(0, |slot| slot.a)
}

fn places(inside: u32, now: u64) -> List {
    let until = if inside == 0 {
        0
    } else {
        now.saturating_add(HELD)
    };
    let mut list = List::new();
    list.push(Slot {
        until,
        a: inside,
        b: 0,
    });
    list
}

/// Takes what is asked for, and where there is plenty, some more. Says how many more.
fn take_ahead(
    limits: &[Limit],
    stored: &[Slot],
    now: u64,
    hits: u32,
    wanted: u32,
) -> (Looked, u32) {
    let looked = slots::take(limits, stored, now, hits);
    let ahead = hands::share(wanted, looked.report.standing.remaining);
    if looked.is_admitted && ahead > 0 {
        let more = slots::take(limits, &looked.slots, now, ahead);
        if more.is_admitted {
            return (more, ahead);
        }
    }
    (looked, 0)
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests;

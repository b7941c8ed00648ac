//! A token that was accepted, as it is remembered: what may change its standing,
//! and what it has done to a request, made ready.

use std::fmt;
use std::time::{Duration, SystemTime};

use legation::http::HeaderName;
use legation_jose::claims_rules::Insufficient;
use legation_jose::confirmation::Confirmation;
use legation_jose::{ClaimError, Claims, Validation};

/// How old the time may be that a tick left behind: a tick comes every second.
const TICK: Duration = Duration::from_secs(2);

/// Headers and their values.
pub(crate) type Headers = Box<[(HeaderName, Box<[u8]>)]>;

/// State by name.
pub(crate) type States = Box<[State]>;

/// A name and a value.
pub(crate) type State = (Box<str>, Box<[u8]>);

/// A token that was accepted. The token itself is not kept.
pub(crate) struct Accepted {
    /// Its `iss`.
    pub(crate) issuer: Option<Box<str>>,
    /// Its `aud`.
    pub(crate) audiences: Box<[Box<str>]>,
    pub(crate) not_before: Option<SystemTime>,
    pub(crate) expires_at: Option<SystemTime>,
    /// The headers that it has upstreams get.
    pub(crate) headers: Headers,
    /// The state that it leaves behind, by name.
    pub(crate) states: States,
    /// What it is bound to.
    pub(crate) confirmation: Confirmation,
    /// What it lacks of what its provider demands at any time.
    pub(crate) lacks: Option<Insufficient>,
    /// What it claims, where that is looked at again.
    pub(crate) claims: Option<Claims>,
}

impl Accepted {
    /// Whether it is in its time by the time of the last tick, so surely that the
    /// clock need not be asked.
    pub(crate) fn is_surely_in_time(&self, validation: &Validation, tick: SystemTime) -> bool {
        let in_time = |now| self.check_time(validation, now).is_ok();
        in_time(tick) && tick.checked_add(TICK).is_some_and(in_time)
    }

    pub(crate) fn check_time(
        &self,
        validation: &Validation,
        now: SystemTime,
    ) -> Result<(), ClaimError> {
        validation.check_time(self.not_before, self.expires_at, now)
    }

    /// Whether it is for one of these audiences; for none given, it is.
    pub(crate) fn is_for(&self, audiences: &[Box<str>]) -> bool {
        is_for(self.audiences.iter().map(|audience| &**audience), audiences)
    }
}

/// Whether a token for these audiences is for one of those that are allowed; for none
/// given, it is.
pub(crate) fn is_for<'a>(
    mut audiences: impl Iterator<Item = &'a str>,
    allowed: &[Box<str>],
) -> bool {
    allowed.is_empty() || audiences.any(|audience| allowed.iter().any(|own| **own == *audience))
}

/// Says nothing of the token.
impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").finish_non_exhaustive()
    }
}

//! Whether a request is within its limits.

use legation::Result;
use smallvec::SmallVec;

use crate::counts::Counts;
use crate::headers::OfPolicy;
use crate::ledger::{Account, Ledger, Outcome};
use crate::now::Now;
use crate::policies::{Kind, Meeting, Met, Policies, Policy};

/// What is held while a request lasts: the places it takes under limits of how many
/// there are at a time.
pub(crate) type Places = SmallVec<[Place; 1]>;

/// A place under such a limit.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) policy: usize,
    pub(crate) key: SmallVec<[u8; 96]>,
}

/// What was found out about a request.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// The limit that it is beyond, if it is.
    pub(crate) beyond: Option<Beyond>,
    /// Whether it is beyond one that is only watched.
    pub(crate) shadowed: bool,
    /// How the client stands: with the limit that it is beyond, or else, as in Envoy, with
    /// the slowest.
    pub(crate) told: Option<OfPolicy>,
}

/// A limit that a request is beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beyond {
    pub(crate) policy: usize,
    /// Nanoseconds until it would not be, as things stand.
    pub(crate) retry_after: u64,
}

impl Judged {
    /// Notes a limit that the request is beyond.
    fn note(&mut self, met: Met<'_>, policy: &Policy, retry_after: u64) {
        if policy.is_shadow {
            self.shadowed = true;
        } else {
            self.beyond = Some(Beyond {
                policy: met.policy,
                retry_after,
            });
        }
    }
}

/// Asks all policies that a request meets, one after another until one of them denies
/// it. Those that are only watched deny nothing.
pub(crate) fn judge(
    meeting: &Meeting,
    policies: &Policies,
    ledger: &Ledger,
    counts: &Counts,
    now: &Now,
    places: &mut Places,
) -> Result<Judged> {
    let mut judged = Judged::default();
    // Under which key the client is told of what it has left.
    let mut told: Option<&[u8]> = None;
    for met in meeting.iter() {
        let Some(policy) = policies.get(met.policy) else {
            continue;
        };
        let displaced = || counts.displaced.add(1);
        let outcome = match &policy.kind {
            Kind::Rate(limits) => {
                let account = Account {
                    key: met.key,
                    policy: met.policy,
                    limits,
                };
                ledger.take(account, met.hits, now, displaced)?
            }
            Kind::Concurrency(most) => ledger.enter(met.policy, met.key, *most, now, displaced)?,
        };
        let report = match outcome {
            Outcome::Admitted(report) => {
                if matches!(policy.kind, Kind::Concurrency(_)) {
                    places.push(Place {
                        policy: met.policy,
                        key: met.key.into(),
                    });
                }
                Some(report)
            }
            Outcome::Denied {
                retry_after,
                report,
            } => {
                counts.limited_by(met.policy);
                judged.note(met, policy, retry_after);
                Some(report)
            }
            // Who cannot be counted is refused, as whoever is beyond the limit.
            Outcome::Contended => {
                counts.contended.add(1);
                judged.note(met, policy, 0);
                None
            }
        };
        // What is taken twice in one request is told as it is after the second time.
        let is_told = || told.is_none_or(|told| told == met.key);
        if let Some(report) = report.filter(|_| !policy.is_shadow)
            && (judged.beyond.is_some() || is_told())
        {
            judged.told = Some(OfPolicy {
                policy: met.policy,
                report,
            });
            told = Some(met.key);
        }
        if judged.beyond.is_some() {
            break;
        }
    }
    Ok(judged)
}

use proptest::prelude::*;
use proptest::sample::Index;

use super::model::{Kind, Model};
use super::*;

const YEAR: u64 = 366 * DAY;

/// Most of them small, so that much is refused; some as large as can be.
fn counts() -> impl Strategy<Value = u32> {
    prop_oneof![
        6 => 1..=5_u32,
        3 => 1..=1_000_u32,
        1 => (u32::MAX - 5)..=u32::MAX,
    ]
}

fn spans() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => prop::sample::select(vec![MS, SECOND, MINUTE, DAY, YEAR]),
        // Which nothing divides.
        2 => MS..=SECOND,
        1 => (YEAR - 10)..=YEAR,
    ]
}

fn buckets() -> impl Strategy<Value = Kind> {
    let buckets = (counts(), counts(), spans());
    buckets.prop_filter_map(
        "takes too long to fill",
        |(max_tokens, tokens_per_fill, interval)| {
            TokenBucket::new(max_tokens, tokens_per_fill, Duration::from_nanos(interval))?;
            Some(Kind::Bucket {
                max_tokens,
                tokens_per_fill,
                interval,
            })
        },
    )
}

fn windows() -> impl Strategy<Value = Kind> {
    (counts(), spans(), any::<bool>()).prop_map(|(requests, window, slides)| {
        if slides {
            Kind::Sliding { requests, window }
        } else {
            Kind::Fixed { requests, window }
        }
    })
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![buckets(), windows()]
}

/// A step of the clock, which each limit measures by itself.
#[derive(Debug, Clone, Copy)]
enum Step {
    Nanoseconds(u64),
    /// In quarters of what one hit takes at the limit's rate.
    Hits(u64),
    /// In quarters of the limit's window.
    Windows(u64),
    /// To so many nanoseconds after the last one of this window.
    Seam(u64),
}

impl Step {
    /// How far it goes, which is not beyond a time from which all that follows can
    /// be told.
    fn length(self, limit: &Limit, now: u64) -> u64 {
        let window = window(limit);
        let length = match self {
            Self::Nanoseconds(nanoseconds) => nanoseconds,
            Self::Hits(quarters) => window / u64::from(limit.quota()) / 4 * quarters,
            Self::Windows(quarters) => (window / 4).saturating_mul(quarters),
            Self::Seam(after) => window - 1 - now % window + after,
        };
        length.min((LATEST - MAX_FILL).saturating_sub(now))
    }
}

fn window(limit: &Limit) -> u64 {
    u64::try_from(limit.window().as_nanos()).unwrap()
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_u64).prop_map(Step::Nanoseconds),
        3 => (0..9_u64).prop_map(Step::Hits),
        2 => (0..13_u64).prop_map(Step::Windows),
        2 => (0..3_u64).prop_map(Step::Seam),
    ]
}

/// How many hits, for each limit by its quota: from none to one too many.
#[derive(Debug, Clone, Copy)]
enum Amount {
    Hits(u32),
    Quota(Index),
}

impl Amount {
    fn of(self, quota: u32) -> u32 {
        match self {
            Self::Hits(hits) => hits,
            Self::Quota(part) => u32::try_from(part.index(quota as usize + 2)).unwrap_or(u32::MAX),
        }
    }
}

fn amounts() -> impl Strategy<Value = Amount> {
    prop_oneof![
        (0..4_u32).prop_map(Amount::Hits),
        any::<Index>().prop_map(Amount::Quota),
    ]
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Take(Amount),
    TakeUpTo(Amount),
    /// So many of what one of the others took.
    GiveBack(Index, Amount),
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => amounts().prop_map(Op::Take),
        2 => amounts().prop_map(Op::TakeUpTo),
        1 => (any::<Index>(), amounts()).prop_map(|(which, amount)| Op::GiveBack(which, amount)),
    ]
}

fn history() -> impl Strategy<Value = Vec<(Step, Op)>> {
    prop::collection::vec((steps(), ops()), 0..40)
}

/// The times that the limits are asked about.
fn beginnings() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(NOW),
        NOW..NOW + YEAR,
        // The epoch.
        0..10_u64,
    ]
}

/// What is stored after a history, and the time then.
fn after(kind: Kind, beginning: u64, history: &[(Step, Op)]) -> (Stored, u64) {
    let mut stored = Stored::new(kind.limit());
    let mut now = beginning;
    for &(step, op) in history {
        now += step.length(&stored.limit, now);
        let quota = stored.limit.quota();
        match op {
            Op::Take(amount) => drop(stored.take(now, amount.of(quota))),
            Op::TakeUpTo(amount) => drop(stored.take_up_to(now, amount.of(quota))),
            Op::GiveBack(_, amount) => stored.give_back(now, amount.of(quota), now),
        }
    }
    (stored, now)
}

/// The most that may pass while time goes on from one to the other.
fn most(kind: Kind, from: u64, to: u64) -> u128 {
    match kind {
        Kind::Bucket {
            max_tokens,
            tokens_per_fill,
            interval,
        } => {
            let filled = u128::from(to - from) * u128::from(tokens_per_fill);
            u128::from(max_tokens) + filled / u128::from(interval)
        }
        Kind::Fixed { requests, window } | Kind::Sliding { requests, window } => {
            u128::from(requests) * u128::from(to / window - from / window + 1)
        }
    }
}

proptest! {
    /// Neither admits what the other refuses, whatever was taken and given back
    /// before.
    #[test]
    fn a_limit_does_as_its_model(kind in kinds(), beginning in beginnings(), history in history()) {
        let mut stored = Stored::new(kind.limit());
        let mut model = Model::new(kind);
        let quota = stored.limit.quota();
        let mut taken: Vec<(u64, u32)> = Vec::new();
        let mut now = beginning;
        for (step, op) in history {
            now += step.length(&stored.limit, now);
            match op {
                Op::Take(amount) => {
                    let hits = amount.of(quota);
                    let admitted = stored.take(now, hits).is_ok();
                    prop_assert_eq!(admitted, model.admits(now, hits));
                    if admitted {
                        model.take(now, hits);
                        taken.push((now, hits));
                    }
                }
                Op::TakeUpTo(amount) => {
                    let at_most = amount.of(quota);
                    let hits = stored.take_up_to(now, at_most);
                    prop_assert!(model.admits(now, hits));
                    prop_assert!(hits == at_most || !model.admits(now, hits + 1));
                    model.take(now, hits);
                    taken.push((now, hits));
                }
                Op::GiveBack(which, amount) => {
                    if taken.is_empty() {
                        continue;
                    }
                    let (then, left) = which.get_mut(&mut taken);
                    let hits = amount.of(quota).min(*left);
                    *left -= hits;
                    stored.give_back(now, hits, *then);
                    model.give_back(now, hits, *then);
                }
            }
            let remaining = stored.remaining(now);
            prop_assert!(model.admits(now, remaining));
            prop_assert!(remaining == quota || !model.admits(now, remaining + 1));
        }
    }

    /// From whichever admission to whichever.
    #[test]
    fn never_more_passes_in_any_span_than_may(
        kind in kinds(),
        history in prop::collection::vec((steps(), amounts()), 0..60),
    ) {
        let mut stored = Stored::new(kind.limit());
        let mut passed: Vec<(u64, u128)> = Vec::new();
        let mut now = NOW;
        for (step, amount) in history {
            now += step.length(&stored.limit, now);
            let hits = stored.take_up_to(now, amount.of(stored.limit.quota()));
            passed.push((now, u128::from(hits)));
            let mut sum = 0;
            for &(then, hits) in passed.iter().rev() {
                sum += hits;
                prop_assert!(sum <= most(kind, then, now), "{sum} from {then} to {now}");
                if let Kind::Sliding { requests, window } = kind && now - then < window {
                    prop_assert!(sum < 2 * u128::from(requests).max(1));
                }
            }
        }
    }

    #[test]
    fn so_many_at_once_are_as_many_one_by_one(
        kind in kinds(),
        history in history(),
        at_most in 0..20_u32,
    ) {
        let (mut stored, now) = after(kind, NOW, &history);
        let mut one_by_one = stored;

        let hits = stored.take_up_to(now, at_most);

        let passed = (0..at_most).take_while(|_| one_by_one.take(now, 1).is_ok()).count();
        prop_assert_eq!(hits as usize, passed);
        prop_assert_eq!(stored.standing(now), one_by_one.standing(now));
        if hits > 0 {
            prop_assert_eq!(stored.slot, one_by_one.slot);
        }
    }

    #[test]
    fn to_give_back_at_once_undoes_a_take(
        kind in kinds(),
        history in history(),
        amount in amounts(),
        later in steps(),
    ) {
        let (mut stored, now) = after(kind, NOW, &history);
        let before = stored;

        let hits = stored.take_up_to(now, amount.of(stored.limit.quota()));
        stored.give_back(now, hits, now);

        let later = now + later.length(&stored.limit, now);
        for time in [now, later] {
            prop_assert_eq!(stored.standing(time), before.standing(time));
        }
    }

    /// Not a nanosecond later, and not one earlier.
    #[test]
    fn all_times_that_are_told_are_exact(
        kind in kinds(),
        beginning in beginnings(),
        history in history(),
        amount in amounts(),
    ) {
        let (stored, now) = after(kind, beginning, &history);
        let (limit, standing) = (stored.limit, stored.standing(now));

        let hits = amount.of(limit.quota());
        if let Err(retry_after) = stored.clone().take(now, hits) {
            prop_assert_eq!(retry_after == u64::MAX, hits > limit.quota());
            if hits <= limit.quota() {
                let then = now + retry_after;
                prop_assert_eq!(stored.clone().take(then - 1, hits), Err(1));
                prop_assert!(stored.clone().take(then, hits).is_ok());
            }
        }

        prop_assert_eq!(standing.next == 0, standing.remaining > 0);
        let next = now + standing.next;
        prop_assert!(stored.remaining(next) > 0);
        prop_assert!(standing.next == 0 || stored.remaining(next - 1) == 0);

        let reset = now + standing.reset;
        prop_assert_eq!(stored.standing(reset), look(&limit, None, reset));
        prop_assert!(standing.reset == 0 || stored.remaining(reset - 1) < limit.quota());
    }

    /// What has nothing to say is as good as nothing, and nothing else is.
    #[test]
    fn a_slot_is_of_use_until_its_end(kind in kinds(), history in history(), amount in amounts()) {
        let (stored, _) = after(kind, NOW, &history);
        if let Some(slot) = stored.slot {
            let (limit, until) = (stored.limit, slot.until);
            let hits = amount.of(limit.quota());
            prop_assert_eq!(limit.take(Some(slot), until, hits), limit.take(None, until, hits));
            // Unless all was given back.
            if look(&limit, Some(slot), slot.until - 1).reset > 0 {
                prop_assert!(stored.remaining(until - 1) < limit.quota());
            }
        }
    }

    /// Going back, by whatever, gives nobody anything. Going forward does.
    #[test]
    fn a_clock_set_back_is_no_gift(
        kind in kinds(),
        history in prop::collection::vec((any::<bool>(), steps(), amounts(), any::<bool>()), 0..60),
    ) {
        let mut stored = Stored::new(kind.limit());
        let quota = stored.limit.quota();
        let (mut now, mut passed) = (NOW + 20 * YEAR, 0);
        let mut may_pass = u128::from(quota);
        let mut fractions = 0;
        for (goes_back, step, amount, is_lease) in history {
            let length = step.length(&stored.limit, now);
            if goes_back {
                now = now.saturating_sub(length);
            } else {
                may_pass += match kind {
                    Kind::Bucket { tokens_per_fill, interval, .. } => {
                        fractions += u128::from(length) * u128::from(tokens_per_fill);
                        let tokens = fractions / u128::from(interval);
                        fractions %= u128::from(interval);
                        tokens
                    }
                    Kind::Fixed { requests, window } | Kind::Sliding { requests, window } => {
                        let begins_anew = (now + length) / window > now / window;
                        u128::from(begins_anew) * u128::from(requests)
                    }
                };
                now += length;
            }
            let hits = amount.of(quota);
            passed += u128::from(if is_lease {
                stored.take_up_to(now, hits)
            } else if stored.take(now, hits).is_ok() {
                hits
            } else {
                0
            });
            prop_assert!(passed <= may_pass, "{passed} of {may_pass}");
        }
    }

    /// Workers whose readings of the clock are not older than what is believed are
    /// as good as one.
    #[test]
    fn workers_that_are_late_get_no_more_between_them(
        kind in kinds(),
        history in prop::collection::vec((steps(), 0..=SKEW, amounts()), 0..60),
    ) {
        let mut stored = Stored::new(kind.limit());
        let (mut now, mut passed, mut earliest) = (NOW, 0, NOW);
        for (step, late, amount) in history {
            now += step.length(&stored.limit, now);
            let hits = amount.of(stored.limit.quota());
            passed += u128::from(stored.take_up_to(now - late, hits));
            earliest = earliest.min(now - late);
            prop_assert!(passed <= most(kind, earliest, now));
        }
    }

    /// Whatever is stored, whoever comes again when told to gets in, and is told no
    /// longer than one who used up all, and a second.
    #[test]
    fn no_bytes_lock_anyone_out(
        kind in kinds(),
        until in prop_oneof![any::<u64>(), NOW - YEAR..NOW + 3 * YEAR, NOW..NOW + 3 * SECOND],
        a in prop_oneof![any::<u32>(), 0..10_u32],
        b in prop_oneof![any::<u32>(), 0..10_u32],
    ) {
        let limit = kind.limit();
        let mut stored = Stored { limit, slot: Some(Slot { until, a, b }) };
        let longest = if matches!(kind, Kind::Sliding { .. }) {
            2 * window(&limit)
        } else {
            window(&limit)
        };
        let now = match stored.take(NOW, 1) {
            Ok(_) => NOW,
            Err(retry_after) => {
                prop_assert!(retry_after > 0 && retry_after <= longest + SKEW, "{retry_after}");
                prop_assert!(stored.take(NOW + retry_after, 1).is_ok());
                NOW + retry_after
            }
        };
        prop_assert!(stored.remaining(now) < limit.quota());
    }

    #[test]
    fn nothing_panics_at_any_time(
        kind in kinds(),
        bytes in any::<[u8; 16]>(),
        now in prop_oneof![any::<u64>(), 0..10_u64, (u64::MAX - 10)..=u64::MAX],
        hits in prop_oneof![any::<u32>(), 0..10_u32, Just(u32::MAX)],
        taken in any::<u64>(),
    ) {
        let limit = kind.limit();
        for slot in [None, Some(Slot::from_bytes(bytes))] {
            let standing = look(&limit, slot, now);
            prop_assert!(standing.remaining <= limit.quota());
            prop_assert_eq!(standing.next == 0, standing.remaining > 0);
            let admitted = matches!(limit.take(slot, now, hits), Taken::Admitted { .. });
            prop_assert_eq!(admitted, hits <= standing.remaining);
            if let Some(slot) = limit.give_back(slot, now, hits, taken) {
                prop_assert!(look(&limit, Some(slot), now).remaining <= limit.quota());
            }
        }
    }

    #[test]
    fn any_bytes_are_a_slot(bytes in any::<[u8; 16]>()) {
        prop_assert_eq!(Slot::from_bytes(bytes).to_bytes(), bytes);
    }
}

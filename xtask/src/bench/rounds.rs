//! The rounds: short slices of load on one case at a time, each between two slices on
//! its baseline, so that what disturbs the machine disturbs both.

use std::time::Duration;

use anyhow::{Context, Result};

use super::cpu::Worker;
use super::load::{Exchange, Load, Upstream};

/// Load at the beginning of a slice that is not measured: it fetches the case's code and data
/// back into the processor's caches.
const LEAD_IN: Duration = Duration::from_millis(4);

/// A case, ready to be measured.
pub(super) struct Subject {
    pub(super) load: Load,
    pub(super) exchange: Exchange,
    /// Which of the baselines it is the difference to.
    pub(super) baseline: usize,
}

/// One case in one round: CPU per request, in µs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) case: f64,
    pub(super) baseline_before: f64,
    pub(super) baseline_after: f64,
}

impl Sample {
    pub(super) fn baseline(&self) -> f64 {
        f64::midpoint(self.baseline_before, self.baseline_after)
    }

    /// What the case adds to the baseline.
    pub(super) fn added(&self) -> f64 {
        self.case - self.baseline()
    }
}

/// All that is needed to measure.
pub(super) struct Rounds {
    pub(super) worker: Worker,
    pub(super) slice: Duration,
    pub(super) baselines: Vec<Load>,
    pub(super) upstream: Upstream,
    pub(super) subjects: Vec<Subject>,
}

impl Rounds {
    /// Measures each case once. Each round begins with another case.
    pub(super) fn measure(&mut self, round: usize) -> Result<Vec<(usize, Sample)>> {
        let mut samples = Vec::with_capacity(self.subjects.len());
        let mut last: Option<(usize, Exchange, f64)> = None;
        for index in order(self.subjects.len(), round) {
            let subject = self.subjects.get_mut(index).context("no such case")?;
            let exchange = Exchange {
                status: 200,
                ..subject.exchange.clone()
            };
            let number = subject.baseline;
            let baseline = self.baselines.get_mut(number).context("no such baseline")?;
            let mut measure = |load: &mut Load, exchange: &Exchange| {
                cpu_per_request(&self.worker, load, exchange, self.slice, &mut self.upstream)
            };
            let baseline_before = match last.take() {
                // The slice after the last case is the one before this, if it was the same.
                Some((same, requests, cost)) if same == number && requests == exchange => cost,
                _ => measure(baseline, &exchange)?,
            };
            let case = measure(&mut subject.load, &subject.exchange)?;
            let baseline_after = measure(baseline, &exchange)?;
            last = Some((number, exchange, baseline_after));
            let sample = Sample {
                case,
                baseline_before,
                baseline_after,
            };
            samples.push((index, sample));
        }
        Ok(samples)
    }
}

/// All indices below `cases`, beginning with another one each round, and going the other
/// way every second round: no case has the same neighbours each time.
fn order(cases: usize, round: usize) -> impl Iterator<Item = usize> {
    let forward = (0..cases).map(move |index| (index + round) % cases);
    let (odd, even) = if round.is_multiple_of(2) {
        (None, Some(forward))
    } else {
        (Some(forward.rev()), None)
    };
    odd.into_iter().flatten().chain(even.into_iter().flatten())
}

/// One slice: the CPU of a request, in µs.
fn cpu_per_request(
    worker: &Worker,
    load: &mut Load,
    exchange: &Exchange,
    slice: Duration,
    upstream: &mut Upstream,
) -> Result<f64> {
    load.run(exchange, LEAD_IN, upstream)?;
    let before = worker.cpu_time()?;
    let requests = load.run(exchange, slice, upstream)?;
    let after = worker.cpu_time()?;
    let taken = after.saturating_sub(before);
    Ok(taken.as_secs_f64() * 1e6 / f64::from(requests))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_case_adds_is_its_difference_to_both_neighbours() {
        let sample = Sample {
            case: 17.0,
            baseline_before: 15.0,
            baseline_after: 16.0,
        };

        assert!((sample.added() - 1.5).abs() < 1e-9);
    }

    #[test]
    fn every_round_has_every_case_once_in_another_order() {
        let orders: Vec<Vec<usize>> = (0..4).map(|round| order(4, round).collect()).collect();

        assert_eq!(orders[0], [0, 1, 2, 3]);
        assert_eq!(orders[1], [0, 3, 2, 1]);
        assert_eq!(orders[2], [2, 3, 0, 1]);
        assert_eq!(orders[3], [2, 1, 0, 3]);
    }

    #[test]
    fn no_case_needs_no_order() {
        assert_eq!(order(0, 3).count(), 0);
    }
}

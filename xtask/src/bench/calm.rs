//! Tells the rounds that something else disturbed: another program on the machine, or another
//! machine on the same processor.
//!
//! What disturbs Envoy makes everything in it dearer, a filter more than the rest. The baseline
//! shows it: a sample is as calm as its neighbours are near to what they cost at their Envoy's
//! best times. All cases are judged by the calmest samples that every one of them has enough of, so
//! that no case is judged by better times than another.

use super::rounds::Sample;
use super::statistics::quantile_of;

/// The best times are those of this share of all slices.
const BEST: f64 = 0.1;
/// A sample is calm at least while its neighbours cost no more than this many times the best.
const ALWAYS_CALM: f64 = 1.1;
/// Where samples count whose neighbours cost so many times the best, the machine was busy.
pub(super) const BUSY: f64 = 1.25;
/// So many samples of a case count, or all it has.
const FEWEST: usize = 15;

/// A sample, and how many times the best its neighbours cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Judged {
    pub(super) sample: Sample,
    unrest: f64,
}

impl Judged {
    pub(super) fn is_calm(&self, limit: f64) -> bool {
        self.unrest <= limit
    }
}

/// What the baseline costs at the best times of one Envoy, by samples with the same requests.
pub(super) fn best<'a>(samples: impl Iterator<Item = &'a Sample>) -> f64 {
    let baselines = samples.flat_map(|sample| [sample.baseline_before, sample.baseline_after]);
    quantile_of(baselines, BEST).unwrap_or(f64::INFINITY)
}

pub(super) fn judge(sample: Sample, best: f64) -> Judged {
    Judged {
        sample,
        unrest: sample.baseline_before.max(sample.baseline_after) / best,
    }
}

/// The unrest that a sample may have and count, by the samples of all cases.
pub(super) fn limit<'a>(cases: impl Iterator<Item = &'a [Judged]>) -> f64 {
    let needed = cases.map(|samples| {
        let mut unrest: Vec<_> = samples.iter().map(|judged| judged.unrest).collect();
        unrest.sort_by(f64::total_cmp);
        let enough = unrest.len().min(FEWEST);
        enough.checked_sub(1).map_or(0.0, |last| unrest[last])
    });
    needed.fold(ALWAYS_CALM, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(baseline_before: f64, baseline_after: f64) -> Sample {
        Sample {
            case: 16.0,
            baseline_before,
            baseline_after,
        }
    }

    fn judged(samples: &[Sample], best: f64) -> Vec<Judged> {
        samples.iter().map(|sample| judge(*sample, best)).collect()
    }

    fn count(samples: &[Judged], limit: f64) -> usize {
        samples
            .iter()
            .filter(|sample| sample.is_calm(limit))
            .count()
    }

    #[test]
    fn a_sample_is_calm_when_both_its_neighbours_cost_what_they_do_at_best() {
        let mut samples = vec![sample(15.0, 15.2); 20];
        samples.extend([sample(24.0, 24.0), sample(15.0, 24.0), sample(24.0, 15.0)]);
        let judged = judged(&samples, best(samples.iter()));

        let limit = limit([judged.as_slice()].into_iter());

        assert_eq!(count(&judged, limit), 20);
        assert!(judged[..20].iter().all(|sample| sample.is_calm(limit)));
    }

    #[test]
    fn the_case_with_the_fewest_calm_samples_sets_the_limit_for_all() {
        let quiet = judged(&[sample(15.0, 15.0); 20], 15.0);
        let mut loud = vec![sample(18.0, 18.0); FEWEST];
        loud.push(sample(30.0, 30.0));
        let loud = judged(&loud, 15.0);

        let limit = limit([quiet.as_slice(), &loud].into_iter());

        assert!((limit - 1.2).abs() < 1e-9, "{limit}");
        assert_eq!(count(&loud, limit), FEWEST);
        assert_eq!(count(&quiet, limit), quiet.len());
    }

    #[test]
    fn few_samples_all_count() {
        let samples = judged(&[sample(15.0, 15.0), sample(30.0, 30.0)], 15.0);

        let limit = limit([samples.as_slice()].into_iter());

        assert_eq!(count(&samples, limit), 2);
    }
}

//! Tells the rounds that something else disturbed: another program on the machine, or another
//! machine on the same processor.
//!
//! What disturbs Envoy makes everything in it dearer, a filter more than the rest. The baseline
//! shows it: a sample is calm when both its neighbours cost about what they do at the
//! run's best times.

use super::rounds::Sample;
use super::statistics::quantile_of;

/// How much dearer than at the best times the baseline of a calm sample may be.
const TOLERANCE: f64 = 1.1;
/// The best times are those of this share of all slices.
const BEST: f64 = 0.1;
/// With fewer calm samples of a case than this, all of them are used.
const FEWEST: usize = 8;

/// The most that a calm sample's baseline costs, by all samples with the same requests.
pub(super) fn limit<'a>(samples: impl Iterator<Item = &'a Sample>) -> f64 {
    let baselines = samples.flat_map(|sample| [sample.baseline_before, sample.baseline_after]);
    quantile_of(baselines, BEST).map_or(f64::INFINITY, |best| best * TOLERANCE)
}

/// The calm ones of a case's samples; all, where too few are calm.
pub(super) fn calm(samples: &[Sample], limit: f64) -> Option<Vec<Sample>> {
    let calm: Vec<_> = samples
        .iter()
        .filter(|sample| sample.baseline_before.max(sample.baseline_after) <= limit)
        .copied()
        .collect();
    (calm.len() >= FEWEST).then_some(calm)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(baseline_before: f64, case: f64, baseline_after: f64) -> Sample {
        Sample {
            case,
            baseline_before,
            baseline_after,
        }
    }

    #[test]
    fn a_sample_is_calm_when_both_its_neighbours_cost_what_they_do_at_best() {
        let mut samples = vec![sample(15.0, 16.0, 15.2); 12];
        samples.extend([
            sample(24.0, 27.0, 24.0),
            sample(15.0, 25.0, 24.0),
            sample(24.0, 16.0, 15.0),
        ]);

        let calm = calm(&samples, limit(samples.iter())).expect("are enough");

        assert_eq!(calm.len(), 12);
    }

    #[test]
    fn few_calm_samples_are_none() {
        let samples = vec![sample(15.0, 16.0, 15.2); FEWEST - 1];

        assert_eq!(calm(&samples, limit(samples.iter())), None);
    }
}

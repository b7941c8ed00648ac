//! Tells the rounds that something else disturbed: another program on the machine, or another
//! machine on the same processor.
//!
//! What disturbs Envoy makes everything in it dearer, a filter more than the rest. The baseline
//! shows it: a sample is as calm as its neighbours are near to what they cost at the run's
//! best times. All cases are judged by the calmest samples that every one of them has enough of, so
//! that no case is judged by better times than another.

use super::rounds::Sample;
use super::statistics::quantile_of;

/// The best times are those of this share of all slices.
const BEST: f64 = 0.1;
/// A sample at best times is calm even if its neighbours cost this many times as much.
const ALWAYS_CALM: f64 = 1.1;
/// With a sample in the median that is this far from the best times, the machine was busy.
pub(super) const BUSY: f64 = 1.25;
/// A case needs so many samples, or all it has.
const FEWEST: usize = 12;

/// What the baseline costs at the best times, by samples with the same requests.
pub(super) fn best<'a>(samples: impl Iterator<Item = &'a Sample>) -> f64 {
    let baselines = samples.flat_map(|sample| [sample.baseline_before, sample.baseline_after]);
    quantile_of(baselines, BEST).unwrap_or(f64::INFINITY)
}

/// How many times the best a sample's neighbours cost.
fn unrest(sample: &Sample, best: f64) -> f64 {
    sample.baseline_before.max(sample.baseline_after) / best
}

/// The most unrest that the samples of each case may have, each with its best.
pub(super) fn limit<'a>(cases: impl Iterator<Item = (&'a [Sample], f64)>) -> f64 {
    let needed = cases.map(|(samples, best)| {
        let mut unrest: Vec<_> = samples.iter().map(|sample| unrest(sample, best)).collect();
        unrest.sort_by(f64::total_cmp);
        let enough = unrest.len().min(FEWEST);
        enough.checked_sub(1).map_or(0.0, |last| unrest[last])
    });
    needed.fold(ALWAYS_CALM, f64::max)
}

/// The samples within the limit.
pub(super) fn calm(samples: &[Sample], best: f64, limit: f64) -> Vec<Sample> {
    let calm = samples
        .iter()
        .filter(|sample| unrest(sample, best) <= limit);
    calm.copied().collect()
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

    #[test]
    fn a_sample_is_calm_when_both_its_neighbours_cost_what_they_do_at_best() {
        let mut samples = vec![sample(15.0, 15.2); 20];
        samples.extend([sample(24.0, 24.0), sample(15.0, 24.0), sample(24.0, 15.0)]);
        let best = best(samples.iter());

        let limit = limit([(samples.as_slice(), best)].into_iter());

        assert_eq!(calm(&samples, best, limit), samples[..20]);
    }

    #[test]
    fn the_case_with_the_fewest_calm_samples_sets_the_limit_for_all() {
        let quiet = vec![sample(15.0, 15.0); 20];
        let mut loud = vec![sample(18.0, 18.0); FEWEST];
        loud.push(sample(30.0, 30.0));
        let best = best(quiet.iter().chain(&loud));

        let limit = limit([(quiet.as_slice(), best), (loud.as_slice(), best)].into_iter());

        assert!((limit - 1.2).abs() < 1e-9, "{limit}");
        assert_eq!(calm(&loud, best, limit).len(), FEWEST);
        assert_eq!(calm(&quiet, best, limit).len(), quiet.len());
    }

    #[test]
    fn few_samples_all_count() {
        let samples = vec![sample(15.0, 15.0), sample(30.0, 30.0)];
        let best = best(samples.iter());

        let limit = limit([(samples.as_slice(), best)].into_iter());

        assert_eq!(calm(&samples, best, limit), samples);
    }
}

//! Medians and quartiles: what one odd round does not move.

/// Where the middle of some numbers is, and how far it spreads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary {
    /// A quarter of the numbers are below it.
    pub(super) low: f64,
    pub(super) median: f64,
    /// A quarter of the numbers are above it.
    pub(super) high: f64,
}

impl Summary {
    /// `None` of no numbers.
    pub(super) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let sorted = sort(numbers);
        Some(Self {
            low: quantile(&sorted, 0.25)?,
            median: quantile(&sorted, 0.5)?,
            high: quantile(&sorted, 0.75)?,
        })
    }
}

/// The number that this share of the numbers is below.
pub(super) fn quantile_of(numbers: impl IntoIterator<Item = f64>, share: f64) -> Option<f64> {
    quantile(&sort(numbers), share)
}

fn sort(numbers: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = numbers.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Between the two nearest numbers where none is at the very place.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let below = *sorted.get(place.floor() as usize)?;
    let above = *sorted.get(place.ceil() as usize)?;
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_an_odd_number_of_numbers_is_made_of_them() {
        let summary = Summary::of([5.0, 1.0, 4.0, 2.0, 3.0]);

        assert_eq!(
            summary,
            Some(Summary {
                low: 2.0,
                median: 3.0,
                high: 4.0
            })
        );
    }

    #[test]
    fn the_median_of_an_even_number_of_numbers_is_between_two() {
        let summary = Summary::of([4.0, 1.0, 2.0, 3.0]).expect("there are numbers");

        assert_eq!(
            (summary.low, summary.median, summary.high),
            (1.75, 2.5, 3.25)
        );
    }

    #[test]
    fn one_odd_number_moves_the_median_little() {
        let summary = Summary::of([1.0, 1.1, 0.9, 1.0, 500.0]).expect("there are numbers");

        assert!((summary.median - 1.0).abs() < 0.01, "{summary:?}");
    }

    #[test]
    fn one_number_is_its_own_median() {
        let summary = Summary::of([7.0]).expect("there is a number");

        assert_eq!((summary.low, summary.median, summary.high), (7.0, 7.0, 7.0));
    }

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(Summary::of([]), None);
    }
}

//! Alternation and summary: contenders take turns A B A B, and a result is a median with its range.
//! A single mean is never printed, because on a shared machine it hides what the neighbours did.

/// Fewer rounds than this say nothing about the spread.
pub(crate) const ROUNDS_MIN: usize = 5;

/// Median and range of one measure over all rounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    /// Middle value.
    pub(crate) median: f64,
    /// Smallest value.
    pub(crate) min: f64,
    /// Largest value.
    pub(crate) max: f64,
}

impl Summary {
    /// Summarises one value for each round; `values` must not be empty.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len() - 1;
        let median = f64::midpoint(sorted[last / 2], sorted[last.div_ceil(2)]);
        Self {
            median,
            min: sorted[0],
            max: sorted[last],
        }
    }

    /// Summarises the quotient of two contenders round by round, so that a slow minute hits both.
    pub(crate) fn of_ratio(ours: &[f64], theirs: &[f64]) -> Self {
        let quotients: Vec<f64> = ours
            .iter()
            .zip(theirs)
            .map(|(our, their)| our / their)
            .collect();
        Self::of(&quotients)
    }

    /// The summary as `median (min-max)` with `digits` behind the point.
    pub(crate) fn show(&self, digits: usize) -> String {
        format!(
            "{:.digits$} ({:.digits$}-{:.digits$})",
            self.median, self.min, self.max
        )
    }
}

/// The value below which `share` of the sorted samples lie.
pub(crate) fn percentile(sorted: &[u32], share: f64) -> u32 {
    if sorted.is_empty() {
        return 0;
    }
    let last = sorted.len() - 1;
    let index = (last as f64 * share).round() as usize;
    sorted[index.min(last)]
}

#[cfg(test)]
mod tests {
    use super::{Summary, percentile};

    #[test]
    fn the_median_of_an_even_count_lies_between_the_middle_two() {
        let summary = Summary::of(&[4.0, 1.0, 2.0, 3.0]);
        assert_eq!((summary.median, summary.min, summary.max), (2.5, 1.0, 4.0));
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let summary = Summary::of_ratio(&[2.0, 4.0, 9.0], &[1.0, 1.0, 3.0]);
        assert_eq!((summary.median, summary.min, summary.max), (3.0, 2.0, 4.0));
    }

    #[test]
    fn a_percentile_of_one_sample_is_that_sample() {
        assert_eq!(percentile(&[7], 0.99), 7);
        assert_eq!(percentile(&[1, 2, 3, 4, 5], 0.5), 3);
    }
}

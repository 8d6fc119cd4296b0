//! How long flushes took, in buckets, for whoever watches the store.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the buckets, in microseconds; what takes longer is in the last one, which has none.
pub const FLUSH_BOUNDS_US: [u64; 12] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000,
];

/// What was counted, written by the writer alone.
#[derive(Debug, Default)]
pub(crate) struct FlushCounts {
    buckets: [AtomicU64; FLUSH_BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

/// The flushes since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushTimes {
    /// How many took at most each of [`FLUSH_BOUNDS_US`] and more than the one before; the last, how many took longer.
    pub buckets: [u64; FLUSH_BOUNDS_US.len() + 1],
    /// All together, in microseconds.
    pub sum_us: u64,
}

impl FlushCounts {
    pub(crate) fn count(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = FLUSH_BOUNDS_US.partition_point(|bound| *bound < took_us);
        self.buckets[at].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(took_us, Relaxed);
    }

    pub(crate) fn times(&self) -> FlushTimes {
        FlushTimes {
            buckets: self.buckets.each_ref().map(|count| count.load(Relaxed)),
            sum_us: self.sum_us.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_is_in_the_bucket_whose_bound_it_reaches() {
        let counts = FlushCounts::default();
        for took_us in [0, 100, 101, 2_500_000, 2_500_001] {
            counts.count(Duration::from_micros(took_us));
        }
        let FlushTimes { buckets, sum_us } = counts.times();
        assert_eq!(buckets, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(sum_us, 5_000_202);
    }
}

//! Whether running a round during the flush before it pays.
//!
//! It does not on a slow disk: those who are answered after a flush come back too late for the
//! round that is ready to go, so that the writers fall into two halves which flush in turn, and
//! each flush serves half as many. Then it is better to begin a round when the flush is over.

use std::time::Duration;

/// Of so many parts of an average, the newest measurement is one.
const AVERAGE_PARTS: u32 = 4;

/// Recent times of the writer and of the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    running: Duration,
    flushing: Duration,
    overlaps: bool,
}

impl Pace {
    /// Nothing is known yet, so rounds overlap.
    pub(crate) const fn new() -> Self {
        Self {
            running: Duration::ZERO,
            flushing: Duration::ZERO,
            overlaps: true,
        }
    }

    /// Whether the next round is to run during a flush.
    pub(crate) const fn overlaps(self) -> bool {
        self.overlaps
    }

    pub(crate) fn note_flush(&mut self, took: Duration) {
        self.flushing = average(self.flushing, took);
    }

    pub(crate) fn note_run(&mut self, took: Duration) {
        self.running = average(self.running, took);
        // Two rounds that overlap share the writers that would all be in one if they did not.
        let rounds = if self.overlaps { 2 } else { 1 };
        self.overlaps = self.flushing <= self.running * rounds;
    }
}

fn average(older: Duration, newest: Duration) -> Duration {
    (older * (AVERAGE_PARTS - 1) + newest) / AVERAGE_PARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(mut pace: Pace, run_us: u64, flush_us: u64) -> Pace {
        for _ in 0..32 {
            pace.note_flush(Duration::from_micros(flush_us));
            pace.note_run(Duration::from_micros(run_us));
        }
        pace
    }

    #[test]
    fn rounds_overlap_while_a_flush_is_shorter_than_the_work_of_all_writers() {
        let fast = after(Pace::new(), 300, 500);
        assert!(fast.overlaps());
        let slow = after(fast, 300, 700);
        assert!(!slow.overlaps());
        assert!(!after(slow, 600, 700).overlaps());
        assert!(after(slow, 600, 500).overlaps());
    }
}

//! The clock of the benchmarks, and what a reader must know about the machine beside every figure.
//! This is the only place that reads a clock; everything else is handed durations.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

/// Clock ticks of `/proc` for each second; Linux has reported 100 on every architecture for decades.
const TICKS_PER_SECOND: u64 = 100;

/// A running measurement.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts to measure.
    #[expect(
        clippy::disallowed_methods,
        reason = "a benchmark measures time; this is its only clock"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// One line about the machine and its load now.
pub(crate) fn describe() -> String {
    let mut text = String::new();
    let processor = first_value("/proc/cpuinfo", "model name")
        .unwrap_or_else(|| "unknown processor".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let _ = write!(
        text,
        "{processor}, {cores} cores, Linux {}, load {}",
        kernel.trim(),
        load()
    );
    text
}

/// The load averages of the last 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Processor time that a process and its children have used, in microseconds.
pub(crate) fn cpu_us(process_id: u32) -> u64 {
    family(process_id)
        .iter()
        .map(|member| ticks(*member))
        .sum::<u64>()
        * 1_000_000
        / TICKS_PER_SECOND
}

/// A process and everything it started, directly or not.
fn family(process_id: u32) -> Vec<u32> {
    let mut members = vec![process_id];
    let mut next = 0;
    while next < members.len() {
        let path = format!("/proc/{0}/task/{0}/children", members[next]);
        let children = fs::read_to_string(path).unwrap_or_default();
        members.extend(
            children
                .split_whitespace()
                .filter_map(|child| child.parse::<u32>().ok()),
        );
        next += 1;
    }
    members
}

fn ticks(process_id: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process_id}/stat")).unwrap_or_default();
    // The name in parentheses may hold spaces; user and system time are fields 12 and 13 after it.
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    [11, 12]
        .iter()
        .filter_map(|index| fields.get(*index)?.parse::<u64>().ok())
        .sum()
}

fn first_value(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split(':').nth(1)?.trim().to_owned())
}

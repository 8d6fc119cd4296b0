//! The clock of the benchmarks, and what a reader must know about the machine beside every figure.
//! This is the only place that reads a clock; everything else is handed durations.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant, SystemTime};

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

/// As [`cpu_us`], without what the process started.
pub(crate) fn own_cpu_us(process_id: u32) -> u64 {
    ticks(process_id) * 1_000_000 / TICKS_PER_SECOND
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

/// Microseconds of the time of day, the only clock that two processes share.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures time between processes"
)]
pub(crate) fn wall_us() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}

/// Memory of a process in KiB: now, and at most since [`forget_peak`].
pub(crate) fn memory_kib(process_id: u32) -> (u64, u64) {
    let path = format!("/proc/{process_id}/status");
    let value = |key| {
        let text = first_value(&path, key)?;
        text.trim_end_matches("kB").trim().parse::<u64>().ok()
    };
    (
        value("VmRSS").unwrap_or_default(),
        value("VmHWM").unwrap_or_default(),
    )
}

/// Lets the peak of a process begin anew at what it holds now.
pub(crate) fn forget_peak(process_id: u32) -> std::io::Result<()> {
    fs::write(format!("/proc/{process_id}/clear_refs"), "5")
}

/// Bytes that went over the loopback so far, headers of IP and TCP included.
pub(crate) fn loopback_bytes() -> u64 {
    let line = first_value("/proc/net/dev", "lo").unwrap_or_default();
    let received = line.split_whitespace().next();
    received
        .and_then(|bytes| bytes.parse().ok())
        .unwrap_or_default()
}

/// Whether the loopback is shared with others, who count in [`loopback_bytes`].
pub(crate) fn loopback_is_shared() -> bool {
    let text = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    text.lines().filter(|line| line.contains(':')).count() > 1
}

fn first_value(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let mut lines = text.lines().map(str::trim_start);
    let line = lines.find(|line| line.starts_with(key))?;
    Some(line.split(':').nth(1)?.trim().to_owned())
}

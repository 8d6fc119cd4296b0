//! What the system says of this process.

use std::fs;

/// Numbers with the names that every Prometheus program gives them; what the system does not tell is left out.
#[derive(Debug, Default)]
pub(super) struct Process {
    pub(super) resident_bytes: Option<u64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) open_files: Option<u64>,
    pub(super) threads: Option<u64>,
}

impl Process {
    pub(super) fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        Self {
            resident_bytes: field("VmRSS:").map(|kib| kib * 1024),
            cpu_seconds: cpu_seconds(),
            open_files: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|files| files.count() as u64),
            threads: field("Threads:"),
        }
    }
}

/// User and system time; the system counts both in hundredths of a second for programs, whatever it uses itself.
fn cpu_seconds() -> Option<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let line = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program may hold blanks and ends with the last bracket.
    let (_, fields) = line.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_of_this_process() {
        let process = Process::read();
        assert!(
            process
                .resident_bytes
                .is_some_and(|bytes| bytes > 1024 * 1024)
        );
        assert!(process.cpu_seconds.is_some_and(|seconds| seconds < 3600.0));
        assert!(process.open_files.is_some_and(|files| files >= 3));
        assert!(process.threads.is_some_and(|threads| threads >= 1));
    }
}

//! Logins over HTTPS, each on a connection of its own, beside the bare cost of what cannot be left out: the TLS
//! handshake, the device's signature over the challenge, its check, and the signatures of certificate and token.
//! The device is on the same two cores. Half-open logins come last, and only memory counts there.

mod bare;
mod device;
mod service;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use self::bare::Bare;
use self::device::Devices;
use self::service::Service;
use crate::error::BenchError;
use crate::machine::{self, Stopwatch};
use crate::rounds::{ROUNDS_MIN, Summary};

const PHASE: Duration = Duration::from_secs(3);
/// Devices that log in at the same time.
const AT_ONCE: usize = 8;
/// Challenges that are asked for and never answered.
const HALF_OPEN: usize = 10_000;

/// Runs all rounds and returns the report.
pub(crate) fn run() -> Result<String, BenchError> {
    let machine = machine::describe();
    let service = Service::start()?;
    let devices = Devices::new(&service)?;
    let bare = Bare::new(&devices)?;
    let (mut ours, mut theirs, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS_MIN {
        theirs.push(rate(|number| bare.login(number))?.1);
        let before_us = machine::cpu_us(service.process_id());
        let (logins, per_second) = rate(|number| devices.log_in(number))?;
        let used_us = machine::cpu_us(service.process_id()) - before_us;
        ours.push(per_second);
        cpu.push(used_us as f64 / logins as f64);
    }
    let (before_kib, _) = machine::memory_kib(service.process_id());
    devices.ask_for_challenges(HALF_OPEN)?;
    let (after_kib, _) = machine::memory_kib(service.process_id());
    let mut text = String::new();
    let _ = writeln!(
        text,
        "machine: {machine}; load at the end {}",
        machine::load()
    );
    let _ = writeln!(
        text,
        "{ROUNDS_MIN} rounds in turn, {} s for each phase, {AT_ONCE} devices at once; median (min-max)\n",
        PHASE.as_secs()
    );
    let _ = writeln!(text, "| measure | value |\n|---|---|");
    for (name, summary, digits) in [
        (
            "logins/s over HTTPS, each on a new connection",
            Summary::of(&ours),
            0,
        ),
        (
            "handshakes and signatures of as many logins, bare, /s",
            Summary::of(&theirs),
            0,
        ),
        ("of the bare rate", Summary::of_ratio(&ours, &theirs), 2),
        ("processor us a login, service", Summary::of(&cpu), 0),
    ] {
        let _ = writeln!(text, "| {name} | {} |", summary.show(digits));
    }
    let _ = writeln!(
        text,
        "| memory of the service before and after {HALF_OPEN} half-open logins, KiB | {before_kib}, {after_kib} |"
    );
    Ok(text)
}

/// How many were done by all threads, and how many a second.
fn rate(one: impl Fn(usize) -> Result<(), BenchError> + Sync) -> Result<(u64, f64), BenchError> {
    let done = AtomicU64::new(0);
    let watch = Stopwatch::start();
    thread::scope(|scope| {
        let thread = || -> Result<(), BenchError> {
            while watch.elapsed() < PHASE {
                one(done.fetch_add(1, Ordering::Relaxed) as usize)?;
            }
            Ok(())
        };
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(thread)).collect();
        for thread in threads {
            thread.join().map_err(|_| wrong(&"a thread panicked"))??;
        }
        Ok::<_, BenchError>(())
    })?;
    let done = done.load(Ordering::Relaxed);
    Ok((done, done as f64 / watch.elapsed().as_secs_f64()))
}

fn wrong(detail: &dyn std::fmt::Display) -> BenchError {
    BenchError::Wrong {
        contender: "login",
        detail: detail.to_string(),
    }
}

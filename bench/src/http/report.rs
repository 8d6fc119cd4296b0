//! The tables that a run of the HTTP part prints: rates and ratios, each with its range over the rounds.

use std::fmt::Write as _;
use std::time::Duration;

use super::load::{CONNECTIONS, Yield};
use crate::machine;
use crate::rounds::{Summary, percentile};

/// Measures of one phase of one round.
pub(super) struct Phase {
    answers_per_second: f64,
    latency_p50_us: u32,
    latency_p99_us: u32,
    cpu_us_per_answer: f64,
}

impl Phase {
    /// Summarises one phase in which the contender used `cpu_us` of processor time.
    pub(super) fn of(outcome: &Yield, cpu_us: u64) -> Self {
        Self {
            answers_per_second: outcome.answers as f64 / outcome.seconds,
            latency_p50_us: percentile(&outcome.latencies_us, 0.5),
            latency_p99_us: percentile(&outcome.latencies_us, 0.99),
            cpu_us_per_answer: cpu_us as f64 / outcome.answers.max(1) as f64,
        }
    }
}

/// All rounds of one contender.
pub(super) struct Tally {
    name: &'static str,
    /// One phase of inserts for each round.
    pub(super) inserts: Vec<Phase>,
    /// One phase of reads for each round.
    pub(super) reads: Vec<Phase>,
}

impl Tally {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            inserts: Vec::new(),
            reads: Vec::new(),
        }
    }

    fn phases(&self, kind: Kind) -> &[Phase] {
        match kind {
            Kind::Insert => &self.inserts,
            Kind::Read => &self.reads,
        }
    }

    fn rates(&self, kind: Kind) -> Vec<f64> {
        self.phases(kind)
            .iter()
            .map(|phase| phase.answers_per_second)
            .collect()
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Insert,
    Read,
}

/// Renders all tables.
pub(super) fn render(machine: &str, tallies: &[Tally], duration: Duration) -> String {
    let mut text = String::new();
    let rounds = tallies.first().map_or(0, |tally| tally.inserts.len());
    let _ = writeln!(
        text,
        "machine: {machine}; load at the end {}",
        machine::load()
    );
    let _ = writeln!(
        text,
        "{rounds} rounds in turn, {} s for each phase, {CONNECTIONS} connections; median (min-max)",
        duration.as_secs()
    );
    for (kind, title) in [
        (Kind::Insert, "durable inserts of one 418-byte document"),
        (Kind::Read, "point reads by _id"),
    ] {
        let _ = writeln!(text, "\n{title}\n");
        let _ = writeln!(
            text,
            "| contender | answers/s | p50 ms | p99 ms | server CPU us/answer |"
        );
        let _ = writeln!(text, "|---|---|---|---|---|");
        for tally in tallies {
            render_row(&mut text, tally, kind);
        }
        render_ratios(&mut text, tallies, kind);
    }
    text
}

fn render_row(text: &mut String, tally: &Tally, kind: Kind) {
    let phases = tally.phases(kind);
    let column =
        |value: fn(&Phase) -> f64| Summary::of(&phases.iter().map(value).collect::<Vec<_>>());
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} | {} |",
        tally.name,
        column(|phase| phase.answers_per_second).show(0),
        column(|phase| f64::from(phase.latency_p50_us) / 1000.0).show(2),
        column(|phase| f64::from(phase.latency_p99_us) / 1000.0).show(2),
        column(|phase| phase.cpu_us_per_answer).show(1),
    );
}

/// The last contender against each other one.
fn render_ratios(text: &mut String, tallies: &[Tally], kind: Kind) {
    let Some((ours, others)) = tallies.split_last() else {
        return;
    };
    for other in others {
        let ratio = Summary::of_ratio(&ours.rates(kind), &other.rates(kind));
        let _ = writeln!(
            text,
            "\nratio {} / {}: {}",
            ours.name,
            other.name,
            ratio.show(2)
        );
    }
}

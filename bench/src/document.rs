//! Cost of one field change on one document, beside yrs: time to make and to apply it, bytes on the wire and at rest.
//! Both replicas of a round must agree at its end, or the round is an error.
//! Everything runs on one thread and in memory.

mod ours;
mod theirs;

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::error::BenchError;
use crate::machine::{self, Stopwatch};
use crate::order::order;
use crate::rounds::Summary;
use ours::Ours;
use theirs::Theirs;

const ROUNDS: usize = 7;
const DOCUMENTS: u64 = 100;
const OVERWRITES: u64 = 100;

/// One replica of one document.
trait Replica: Sized {
    /// The name in tables and errors.
    const NAME: &'static str;

    /// A new document with the fields of `order`, written by `actor`.
    fn create(order: &Value, actor: u8) -> Self;
    /// The replica of `actor` that read `bytes`.
    fn open(bytes: &[u8], actor: u8) -> Self;
    /// Overwrites the field `status` and returns what a peer that knows the rest must be sent.
    fn overwrite(&mut self, status: &str) -> Vec<u8>;
    /// Applies what a peer sent.
    fn apply(&mut self, delta: &[u8]);
    /// The bytes that a store would hold.
    fn bytes(&self) -> Vec<u8>;
    /// The field `status`.
    fn status(&self) -> String;
}

/// What one round of one contender yielded.
#[derive(Default)]
struct Round {
    overwrite: Duration,
    apply: Duration,
    apply_at_rest: Duration,
    delta_bytes: usize,
    fresh_bytes: usize,
    overwritten_bytes: usize,
    shared_bytes: usize,
}

type Time = fn(&Round) -> Duration;
type Size = fn(&Round) -> usize;

const TIMES: &[(&str, Time)] = &[
    ("make it and encode the delta", |round| round.overwrite),
    ("apply to an open document", |round| round.apply),
    ("read, apply and write back a stored document", |round| {
        round.apply_at_rest
    }),
];

const SIZES: &[(&str, Size)] = &[
    ("delta", |round| round.delta_bytes),
    ("fresh document at rest", |round| round.fresh_bytes),
    ("after 100 overwrites of one field by one writer", |round| {
        round.overwritten_bytes
    }),
    (
        "after 100 overwrites of one field by two writers",
        |round| round.shared_bytes,
    ),
];

/// Runs all rounds and returns the report.
pub(crate) fn run() -> Result<String, BenchError> {
    let machine = machine::describe();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(round::<Ours>()?);
        theirs.push(round::<Theirs>()?);
    }
    Ok(render(&machine, &ours, &theirs))
}

fn round<Contender: Replica>() -> Result<Round, BenchError> {
    let mut round = Round::default();
    for number in 0..DOCUMENTS {
        overwrite_one::<Contender>(&fields(number), &mut round)?;
    }
    round.shared_bytes = overwrite_shared::<Contender>()?;
    Ok(round)
}

/// One writer overwrites one field; a live peer and a peer at rest follow.
fn overwrite_one<Contender: Replica>(order: &Value, round: &mut Round) -> Result<(), BenchError> {
    let mut writer = Contender::create(order, 1);
    round.fresh_bytes = writer.bytes().len();
    let mut reader = Contender::open(&writer.bytes(), 2);
    let mut resting = writer.bytes();
    for count in 0..OVERWRITES {
        let status = format!("packed-{count:03}");
        let (delta, spent) = timed(|| writer.overwrite(&status));
        round.overwrite += spent;
        round.delta_bytes = delta.len();
        round.apply += timed(|| reader.apply(&delta)).1;
        let (after, spent) = timed(|| {
            let mut opened = Contender::open(&resting, 3);
            opened.apply(&delta);
            opened.bytes()
        });
        resting = after;
        round.apply_at_rest += spent;
    }
    round.overwritten_bytes = writer.bytes().len();
    agree(&writer, &reader)?;
    agree(&writer, &Contender::open(&resting, 3))
}

/// Two writers take turns on one field, which is the worst case for a history.
fn overwrite_shared<Contender: Replica>() -> Result<usize, BenchError> {
    let mut one = Contender::create(&fields(0), 1);
    let mut other = Contender::open(&one.bytes(), 2);
    for count in 0..OVERWRITES {
        let (writer, reader) = if count % 2 == 0 {
            (&mut one, &mut other)
        } else {
            (&mut other, &mut one)
        };
        let delta = writer.overwrite(&format!("packed-{count:03}"));
        reader.apply(&delta);
    }
    agree(&one, &other)?;
    Ok(one.bytes().len())
}

/// The order without its id, which a store keeps as the key.
fn fields(number: u64) -> Value {
    let mut order = order(number);
    if let Some(fields) = order.as_object_mut() {
        fields.remove("_id");
    }
    order
}

fn agree<Contender: Replica>(one: &Contender, other: &Contender) -> Result<(), BenchError> {
    let detail = format!("replicas differ: {} and {}", one.status(), other.status());
    if one.status() == other.status() {
        Ok(())
    } else {
        Err(BenchError::Wrong {
            contender: Contender::NAME,
            detail,
        })
    }
}

fn timed<Outcome>(work: impl FnOnce() -> Outcome) -> (Outcome, Duration) {
    let watch = Stopwatch::start();
    let outcome = work();
    (outcome, watch.elapsed())
}

fn render(machine: &str, ours: &[Round], theirs: &[Round]) -> String {
    let mut text = String::new();
    let (with_id, without_id) = (order(0).to_string().len(), fields(0).to_string().len());
    let _ = writeln!(
        text,
        "machine: {machine}; load at the end {}",
        machine::load()
    );
    let _ = writeln!(text, "{ROUNDS} rounds in turn; median (min-max)");
    let _ = writeln!(
        text,
        "{DOCUMENTS} documents of {without_id} bytes JSON ({with_id} with the id, which is the key), {OVERWRITES} overwrites each\n"
    );
    let _ = writeln!(
        text,
        "| one field change | {} | {} | ratio |\n|---|---|---|---|",
        Ours::NAME,
        Theirs::NAME
    );
    for (name, time) in TIMES {
        let (ours, theirs) = (each_us(ours, *time), each_us(theirs, *time));
        let (our, their) = (Summary::of(&ours).show(2), Summary::of(&theirs).show(2));
        let ratio = Summary::of_ratio(&ours, &theirs).show(2);
        let _ = writeln!(text, "| {name}, us | {our} | {their} | {ratio} |");
    }
    for (name, size) in SIZES {
        // Sizes do not depend on the round.
        let (our, their) = (size(&ours[0]), size(&theirs[0]));
        let ratio = our as f64 / their as f64;
        let _ = writeln!(text, "| {name}, bytes | {our} | {their} | {ratio:.2} |");
    }
    text
}

/// Microseconds for one overwrite, for each round.
fn each_us(rounds: &[Round], time: Time) -> Vec<f64> {
    let changes = (DOCUMENTS * OVERWRITES) as f64;
    rounds
        .iter()
        .map(|round| time(round).as_secs_f64() * 1e6 / changes)
        .collect()
}

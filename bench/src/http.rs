//! Durable inserts and point reads of one document over HTTP, beside the same stack with nothing behind it and beside PostgreSQL.
//! Every contender runs as a child process and answers the same load from 64 connections that stay open.
//! A round counts only if the contender afterwards holds every document it acknowledged.

mod contender;
mod load;
mod postgres;
mod report;
mod thin;

use std::time::Duration;

use crate::error::BenchError;
use crate::machine;
use crate::rounds::ROUNDS_MIN;
use contender::Contender;
use report::Tally;

pub(crate) use load::{is_whole, read_answer};
pub(crate) use thin::{runtime, serve};

const USAGE: &str =
    "usage: tombolo-bench http [null|postgres|tombolo ...] [--seconds N] [--rounds N]";
const SECONDS_DEFAULT: u64 = 4;

/// What the command line asks for.
struct Plan {
    names: Vec<String>,
    duration: Duration,
    rounds: usize,
}

/// Runs the rounds and returns the report.
pub(crate) fn run(arguments: &[String]) -> Result<String, BenchError> {
    let plan = Plan::parse(arguments)?;
    let runtime = runtime()?;
    let mut contenders = Vec::new();
    for name in &plan.names {
        contenders.push(Contender::start(name)?);
    }
    let mut tallies: Vec<Tally> = contenders
        .iter()
        .map(|contender| Tally::new(contender.name))
        .collect();
    let machine = machine::describe();
    runtime.block_on(async {
        for _ in 0..plan.rounds {
            for (contender, tally) in contenders.iter_mut().zip(&mut tallies) {
                tally.inserts.push(contender.insert(plan.duration).await?);
                tally.reads.push(contender.read(plan.duration).await?);
                contender.verify().await?;
            }
        }
        Ok::<(), BenchError>(())
    })?;
    Ok(report::render(&machine, &tallies, plan.duration))
}

impl Plan {
    fn parse(arguments: &[String]) -> Result<Self, BenchError> {
        let mut plan = Self {
            names: Vec::new(),
            duration: Duration::from_secs(SECONDS_DEFAULT),
            rounds: ROUNDS_MIN,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--seconds" => plan.duration = Duration::from_secs(number(words.next())?),
                "--rounds" => {
                    plan.rounds = usize::try_from(number(words.next())?)
                        .unwrap_or(ROUNDS_MIN)
                        .max(1)
                }
                name => plan.names.push(name.to_owned()),
            }
        }
        if plan.names.is_empty() {
            plan.names = ["null", "postgres", "tombolo"].map(str::to_owned).to_vec();
        }
        Ok(plan)
    }
}

fn number(word: Option<&String>) -> Result<u64, BenchError> {
    word.and_then(|text| text.parse().ok())
        .ok_or(BenchError::Usage(USAGE))
}

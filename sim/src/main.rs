//! The program that runs seeds, and looks for those that break a promise.
#![expect(clippy::print_stdout, reason = "a program answers on its output")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tombolo_sim::{Trace, run};

#[derive(Parser)]
#[command(name = "tombolo-sim", version, about)]
struct Line {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run one seed.
    Run {
        /// The seed.
        #[arg(long)]
        seed: u64,
        /// Print everything that happens.
        #[arg(long)]
        verbose: bool,
    },
    /// Run many seeds until one breaks a promise.
    Search {
        /// The first seed and the one after the last: 0..1000.
        #[arg(long)]
        seeds: String,
    },
}

fn main() -> ExitCode {
    match Line::parse().verb {
        Verb::Run { seed, verbose } => one(seed, verbose),
        Verb::Search { seeds } => {
            let (first, last) = seeds.split_once("..").expect("range");
            let (first, last): (u64, u64) = (first.parse().expect("n"), last.parse().expect("n"));
            let mut failed = 0;
            for seed in first..last {
                let ended = run(seed, Trace::off());
                if let Err(violation) = ended.outcome {
                    println!("seed {seed} {}: {violation}", ended.profile);
                    failed += 1;
                    if failed > 20 {
                        return ExitCode::FAILURE;
                    }
                }
            }
            ExitCode::SUCCESS
        }
    }
}

fn one(seed: u64, verbose: bool) -> ExitCode {
    let trace = if verbose {
        Trace::print()
    } else {
        Trace::keep()
    };
    let ended = run(seed, trace);
    for line in ended.trace.lines() {
        println!("{line}");
    }
    println!("{} {:?}", ended.profile, ended.tally);
    match ended.outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}

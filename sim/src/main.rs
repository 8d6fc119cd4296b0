//! The program that runs seeds, and looks for those that break a promise.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program answers on its output"
)]

use std::ops::Range;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::{Args, Parser, Subcommand};
use tombolo_sim::search::{Found, Search};
use tombolo_sim::{Canary, Settings, Trace, profile_named, run};

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_millis(200);

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
        /// Print everything that happens, as it happens.
        #[arg(long)]
        verbose: bool,
        #[command(flatten)]
        world: WorldArgs,
    },
    /// Run many seeds and tell which of them break a promise.
    Search(SearchArgs),
}

#[derive(Args)]
struct SearchArgs {
    /// The first seed and the one after the last, as in `0..1000`.
    #[arg(long, value_parser = range, conflicts_with = "fresh")]
    seeds: Option<Range<u64>>,
    /// Stop after so many seconds.
    #[arg(long, required_unless_present = "seeds")]
    seconds: Option<u64>,
    /// Begin at a seed that the time of day makes, and not at 0.
    #[arg(long)]
    fresh: bool,
    /// Stop after so many seeds that break a promise.
    #[arg(long, default_value_t = 1)]
    failures: usize,
    /// Run on so many threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    #[command(flatten)]
    world: WorldArgs,
}

#[derive(Args)]
struct WorldArgs {
    /// The kind of world, instead of the one that the seed makes.
    #[arg(long, value_parser = profile)]
    profile: Option<&'static str>,
    /// Drop one of so many arriving documents, to see that it is found.
    #[arg(long)]
    canary: Option<u64>,
    /// Have honest nodes look at no certificate, to see that it is found.
    #[arg(long, conflicts_with = "canary")]
    no_filter: bool,
}

impl WorldArgs {
    fn settings(&self) -> Settings {
        Settings {
            profile: self.profile,
            canary: match self.canary {
                Some(every) => Canary::DropsDocuments(every),
                None if self.no_filter => Canary::SkipsFilter,
                None => Canary::Silent,
            },
        }
    }

    fn written(&self) -> String {
        let profile = self.profile.map(|name| format!(" --profile {name}"));
        let canary = self.canary.map(|every| format!(" --canary {every}"));
        let no_filter = self.no_filter.then(|| " --no-filter".to_owned());
        [profile, canary, no_filter].into_iter().flatten().collect()
    }
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (first, last) = text.split_once("..").ok_or("write FIRST..LAST")?;
    let number = |text: &str| text.parse().map_err(|_| format!("{text} is no seed"));
    Ok(number(first)?..number(last)?)
}

fn profile(name: &str) -> Result<&'static str, String> {
    profile_named(name).ok_or_else(|| "there is no such kind of world".to_owned())
}

fn main() -> ExitCode {
    match Line::parse().verb {
        Verb::Run {
            seed,
            verbose,
            world,
        } => run_one(seed, verbose, &world),
        Verb::Search(search) => search_many(search),
    }
}

fn run_one(seed: u64, verbose: bool, world: &WorldArgs) -> ExitCode {
    let trace = match verbose {
        true => Trace::print(),
        false => Trace::keep(),
    };
    let ended = run(seed, world.settings(), trace);
    let lines: Vec<&str> = ended.trace.lines().collect();
    println!("seed {seed} is a {}: {:?}", ended.profile, ended.tally);
    match ended.outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(violation) => {
            for line in lines {
                println!("{line}");
            }
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a search goes on is measured in the time of people"
)]
fn search_many(args: SearchArgs) -> ExitCode {
    let start = Instant::now();
    let first = match args.fresh {
        true => SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_micros() as u64),
        false => 0,
    };
    let seeds = args.seeds.clone().unwrap_or(first..u64::MAX);
    println!("seeds from {}", seeds.start);
    let limit = args.seconds.map(Duration::from_secs);
    let shown = std::sync::Mutex::new(Duration::ZERO);
    let search = Search {
        seeds,
        failures_max: args.failures,
        threads: args.threads,
        settings: args.world.settings(),
    };
    let searched = search.run(|done| {
        let passed = start.elapsed();
        if let Ok(mut shown) = shown.try_lock()
            && passed >= *shown + PROGRESS
        {
            *shown = passed;
            eprint!("\r{done} seeds in {:.0} s", passed.as_secs_f64());
        }
        limit.is_none_or(|limit| passed < limit)
    });
    let seconds = start.elapsed().as_secs_f64();
    let (seeds, rate) = (searched.seeds, searched.seeds as f64 / seconds);
    eprint!("\r");
    println!("{seeds} seeds in {seconds:.1} s, {rate:.1} a second");
    for found in &searched.found {
        tell(found, &args.world);
    }
    match searched.found.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn tell(found: &Found, world: &WorldArgs) {
    let Found {
        seed,
        profile,
        violation,
    } = found;
    println!("seed {seed}, a {profile}: {violation}");
    let more = world.written();
    println!("  cargo run --release -p tombolo-sim -- run --seed {seed}{more}");
}

//! What an attacker costs an honest client. Each attack takes turns with the same load of requests for a path that
//! leads nowhere, which are answered 404 before any key is looked at; connections that are held take turns with quiet.

use std::fmt::Write as _;
use std::time::Duration;

use super::client::{Place, post};
use super::cost::fill;
use super::flood::{self, Flood};
use super::hold::{self, Held};
use super::honest::{self, Honest};
use super::keys::{Key, Shape};
use super::site::{Door, Site};
use super::wrong;
use crate::error::BenchError;
use crate::machine;
use crate::rounds::{ROUNDS_MIN, Summary, percentile};

const USAGE: &str = "usage: tombolo-bench edge-attack [foreign|foreign-hash|foreign-hash-many|checksum|unknown-id|known-id|bodies|throttled|half-open|slow-head|slow-body ...] [--seconds N] [--rounds N]";
const READ: &str =
    r#"{"statement":"SELECT * FROM orders WHERE _id = :id","args":{"id":"order-00000007"}}"#;
/// Keys a second.
const KEYS_RATE: u32 = 10_000;
/// Bodies a second, each as long as `/execute` takes.
const BODIES_RATE: u32 = 50;
const BODY_BYTES: usize = 2 * 1024 * 1024;
/// Connections that are held at once, and the time in which they are opened.
const HELD: usize = 10_000;
const RAMP: Duration = Duration::from_secs(15);
/// How long the honest client is watched beside held connections: longer than the node bears them.
const HELD_FOR: Duration = Duration::from_secs(45);
/// Rounds beside held connections, which take minutes.
const HELD_ROUNDS_MAX: usize = 3;
/// An attack is borne if the honest client's p99 grows by no more than this.
const RATIO_MAX: f64 = 2.0;

/// What a flood asks for, and behind which door.
const FLOODS: [(&str, Door, Shape, u8); 8] = [
    ("foreign", Door::WHOLE, Shape::Foreign, 1),
    ("foreign-hash", FOREIGN, Shape::Foreign, 1),
    ("foreign-hash-many", FOREIGN, Shape::Foreign, 64),
    ("checksum", Door::WHOLE, Shape::WrongChecksum, 1),
    ("unknown-id", Door::WHOLE, Shape::UnknownId, 1),
    ("known-id", Door::WHOLE, Shape::KnownId, 1),
    ("bodies", Door::WHOLE, Shape::UnknownId, 1),
    ("throttled", THROTTLED, Shape::UnknownId, 1),
];
const FOREIGN: Door = Door {
    foreign: true,
    ..Door::WHOLE
};
const THROTTLED: Door = Door {
    throttle: true,
    ..Door::WHOLE
};
const HOLDS: [(&str, Held); 3] = [
    ("half-open", Held::Handshake),
    ("slow-head", Held::Head),
    ("slow-body", Held::Body),
];

struct Plan {
    names: Vec<String>,
    duration: Duration,
    rounds: usize,
}

/// One of the two that take turns.
#[derive(Default)]
struct Side {
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    failures: u64,
    attackers_per_second: Vec<f64>,
    cpu_share: Vec<f64>,
    statuses: String,
}

impl Side {
    fn take(&mut self, yielded: &honest::Yield) {
        let ms = |share| f64::from(percentile(&yielded.latencies_us, share)) / 1e3;
        self.p50_ms.push(ms(0.5));
        self.p99_ms.push(ms(0.99));
        self.failures += yielded.failures;
    }

    fn take_flood(&mut self, told: &flood::Told) {
        self.attackers_per_second.push(told.per_second);
        let statuses = told.statuses.iter();
        let mut statuses: Vec<String> = statuses
            .map(|(status, count)| format!("{status}: {count}"))
            .collect();
        if told.broken > 0 {
            statuses.push(format!("broken: {}", told.broken));
        }
        self.statuses = statuses.join(", ");
    }
}

/// Runs the attacks and returns the report.
pub(crate) fn run(arguments: &[String]) -> Result<String, BenchError> {
    let plan = parse(arguments)?;
    raise_open_files();
    let machine = machine::describe();
    let key = Key::new()?;
    let runtime = crate::http::runtime()?;
    let wants = |name: &str| plan.names.is_empty() || plan.names.iter().any(|asked| asked == name);
    let mut text = String::new();
    for (name, door, shape, addresses) in FLOODS {
        if wants(name) {
            let site = Site::start(door, &key.hash)?;
            runtime.block_on(fill(&site, Some(&key.text)))?;
            let flood = flood_of(name, shape, addresses);
            run_flood(&mut text, (&site, &runtime), (name, flood, &key), &plan)?;
        }
    }
    for (name, held) in HOLDS {
        if wants(name) {
            let site = Site::start(Door::WHOLE, &key.hash)?;
            runtime.block_on(fill(&site, Some(&key.text)))?;
            run_hold(&mut text, (&site, &runtime), (name, held, &key), &plan)?;
        }
    }
    Ok(format!(
        "machine: {machine}; load at the end {}\n{} rounds in turn, {} s for each phase; the honest client reads {} times a second over TLS, with a key and the audit log on, and its times count from when each read was due; median (min-max)\n{text}",
        machine::load(),
        plan.rounds,
        plan.duration.as_secs(),
        honest::RATE
    ))
}

fn parse(arguments: &[String]) -> Result<Plan, BenchError> {
    let mut plan = Plan {
        names: Vec::new(),
        duration: Duration::from_secs(5),
        rounds: ROUNDS_MIN,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut number = || {
            let number = words.next().and_then(|text| text.parse::<usize>().ok());
            number
                .map(|number| number.max(1))
                .ok_or(BenchError::Usage(USAGE))
        };
        match word.as_str() {
            "--seconds" => plan.duration = Duration::from_secs(number()? as u64),
            "--rounds" => plan.rounds = number()?,
            name => plan.names.push(name.to_owned()),
        }
    }
    let known: Vec<&str> = FLOODS
        .iter()
        .map(|flood| flood.0)
        .chain(HOLDS.iter().map(|hold| hold.0))
        .collect();
    match plan.names.iter().all(|name| known.contains(&name.as_str())) {
        true => Ok(plan),
        false => Err(BenchError::Usage(USAGE)),
    }
}

fn flood_of(name: &str, shape: Shape, addresses: u8) -> Flood {
    let (body, rate) = match name {
        "bodies" => (" ".repeat(BODY_BYTES), BODIES_RATE),
        _ => (READ.to_owned(), KEYS_RATE),
    };
    Flood {
        path: "/execute",
        shape,
        body: body.into(),
        rate,
        addresses,
    }
}

fn run_flood(
    text: &mut String,
    (site, runtime): (&Site, &tokio::runtime::Runtime),
    (name, flood, key): (&str, Flood, &Key),
    plan: &Plan,
) -> Result<(), BenchError> {
    let place = Place::of(site)?;
    let honest = Honest::new(place.clone(), post("/execute", Some(&key.text), READ))?;
    let mut sides = [Side::default(), Side::default()];
    let audit_before = site.audit_bytes();
    let mut audit_bytes = 0;
    for _ in 0..plan.rounds {
        for (side, path) in sides.iter_mut().zip(["/nowhere", "/execute"]) {
            let flood = Flood {
                path,
                ..flood.clone()
            };
            let cpu_before = site.cpu_us();
            let attack = runtime.spawn(flood.run(place.clone(), plan.duration));
            side.take(&honest.run(plan.duration)?);
            let told = runtime.block_on(attack).map_err(|error| wrong(&error))??;
            side.take_flood(&told);
            let used = Duration::from_micros(site.cpu_us() - cpu_before);
            side.cpu_share
                .push(used.as_secs_f64() / plan.duration.as_secs_f64());
        }
    }
    audit_bytes += site.audit_bytes() - audit_before;
    let addresses = flood.addresses;
    let _ = writeln!(
        text,
        "\n{name}: {} requests a second offered, {} addresses; the audit log grew by {audit_bytes} bytes\n\n| load | honest p50 ms | honest p99 ms | failed | answers/s | server cores | last round's answers |\n|---|---|---|---|---|---|---|",
        flood.rate, addresses
    );
    for (load, side) in ["404", "attack"].into_iter().zip(&sides) {
        let _ = writeln!(
            text,
            "| {load} | {} | {} | {} | {} | {} | {} |",
            Summary::of(&side.p50_ms).show(2),
            Summary::of(&side.p99_ms).show(2),
            side.failures,
            Summary::of(&side.attackers_per_second).show(0),
            Summary::of(&side.cpu_share).show(2),
            side.statuses
        );
    }
    render_ratio(text, &sides);
    Ok(())
}

fn run_hold(
    text: &mut String,
    (site, runtime): (&Site, &tokio::runtime::Runtime),
    (name, held, key): (&str, Held, &Key),
    plan: &Plan,
) -> Result<(), BenchError> {
    let place = Place::of(site)?;
    let request = post("/execute", Some(&key.text), READ);
    let honest = Honest::new(place.clone(), request.clone())?;
    let mut sides = [Side::default(), Side::default()];
    let mut lines = String::new();
    for _ in 0..plan.rounds.min(HELD_ROUNDS_MAX) {
        sides[0].take(&honest.run(HELD_FOR / 3)?);
        let (before_kib, _) = machine::memory_kib(site.process_id());
        machine::forget_peak(site.process_id()).map_err(|error| wrong(&error))?;
        let (place, request) = (place.clone(), request.clone());
        let attack = runtime.spawn(async move { held.hold(place, (HELD, RAMP), &request).await });
        sides[1].take(&honest.run(HELD_FOR)?);
        let told: hold::Told = runtime.block_on(attack).map_err(|error| wrong(&error))??;
        let (_, peak_kib) = machine::memory_kib(site.process_id());
        let open_s = |share| f64::from(percentile(&told.open_ms, share)) / 1e3;
        let _ = writeln!(
            lines,
            "| {} | {} | {} | {:.1} | {:.1} | {:.1} | {before_kib} | {peak_kib} |",
            told.open_ms.len(),
            told.refused,
            told.kept,
            open_s(0.0),
            open_s(0.5),
            open_s(1.0)
        );
    }
    let _ = writeln!(
        text,
        "\n{name}: {HELD} connections opened within {} s and held until the node closes them\n\n| load | honest p50 ms | honest p99 ms | failed |\n|---|---|---|---|",
        RAMP.as_secs()
    );
    for (load, side) in ["quiet", "attack"].into_iter().zip(&sides) {
        let (p50, p99) = (Summary::of(&side.p50_ms), Summary::of(&side.p99_ms));
        let _ = writeln!(
            text,
            "| {load} | {} | {} | {} |",
            p50.show(2),
            p99.show(2),
            side.failures
        );
    }
    render_ratio(text, &sides);
    let _ = writeln!(
        text,
        "\n| closed by the node | refused | kept | open at least s | median | at most | memory before, KiB | peak |\n|---|---|---|---|---|---|---|---|\n{lines}"
    );
    Ok(())
}

fn render_ratio(text: &mut String, [theirs, ours]: &[Side; 2]) {
    let ratio = Summary::of_ratio(&ours.p99_ms, &theirs.p99_ms);
    let verdict = if ratio.median <= RATIO_MAX {
        "held"
    } else {
        "MISSED"
    };
    let _ = writeln!(
        text,
        "\nratio of p99: {} (at most {RATIO_MAX}: {verdict})",
        ratio.show(2)
    );
}

/// Each held connection is a file of this process and of the node, which inherits the limit.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where it is refused, connections are, and the report says how many.
    let _ = setrlimit(Resource::Nofile, raised);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attack_has_a_name_of_its_own_in_the_usage() {
        for name in FLOODS
            .iter()
            .map(|flood| flood.0)
            .chain(HOLDS.iter().map(|hold| hold.0))
        {
            let named = USAGE.split(['[', '|', ' ']).filter(|word| *word == name);
            assert_eq!(named.count(), 1, "{name}");
        }
    }
}

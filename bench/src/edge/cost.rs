//! What TLS, keys and the audit log cost the server for each read, beside the same node without them. Contenders take
//! turns; the ratio that counts is that of keys and audit log over TLS alone, and TLS over plain is printed apart.

use std::fmt::Write as _;
use std::time::Duration;

use super::client::{self, Yield, post};
use super::keys::{self, CheckCost, Key, Shape};
use super::site::{Door, Site};
use super::wrong;
use crate::error::BenchError;
use crate::machine;
use crate::order::order;
use crate::rounds::{ROUNDS_MIN, Summary, percentile};

const USAGE: &str = "usage: tombolo-bench edge-cost [--seconds N] [--rounds N]";
/// How many clients ask at once: many, so that what can be shared is shared, and one, so that nothing can.
const CONNECTIONS: [usize; 2] = [64, 1];
const DOCUMENTS: u64 = 100;
const READ: &str =
    r#"{"statement":"SELECT * FROM orders WHERE _id = :id","args":{"id":"order-00000007"}}"#;
/// Identities beside which one key is checked.
const IDENTITIES: [usize; 2] = [1, 1000];

/// A node in the order of the tables.
struct Contender {
    name: &'static str,
    site: Site,
    request: Vec<u8>,
    /// One list of rounds for each number of connections.
    rounds: [Vec<Yield>; 2],
}

/// Runs the rounds and returns the report.
pub(crate) fn run(arguments: &[String]) -> Result<String, BenchError> {
    let (duration, rounds) = parse(arguments)?;
    let machine = machine::describe();
    let key = Key::new()?;
    let runtime = crate::http::runtime()?;
    let (contenders, checks, refusals) = runtime.block_on(async {
        let mut contenders = start(&key).await?;
        for _ in 0..rounds {
            for (at, connections) in CONNECTIONS.into_iter().enumerate() {
                for contender in &mut contenders {
                    let asked = (&contender.request[..], 200);
                    let part = client::ask(&contender.site, asked, connections, duration);
                    contender.rounds[at].push(part.await?);
                }
            }
        }
        let mut checks = Vec::new();
        for identities in IDENTITIES {
            checks.push(keys::measure(identities).await?);
        }
        let refusals = refusals(&contenders, duration).await?;
        Ok::<_, BenchError>((contenders, checks, refusals))
    })?;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "machine: {machine}; load at the end {}",
        machine::load()
    );
    let _ = writeln!(
        text,
        "{rounds} rounds in turn, {} s for each phase, connections stay open; median (min-max)",
        duration.as_secs()
    );
    for (at, connections) in CONNECTIONS.into_iter().enumerate() {
        render(&mut text, &contenders, (at, connections));
    }
    render_checks(&mut text, &checks);
    text.push_str(&refusals);
    Ok(text)
}

fn parse(arguments: &[String]) -> Result<(Duration, usize), BenchError> {
    let (mut seconds, mut rounds) = (3, ROUNDS_MIN);
    for pair in arguments.chunks(2) {
        let number = pair.get(1).and_then(|text| text.parse::<usize>().ok());
        let number = number.ok_or(BenchError::Usage(USAGE))?.max(1);
        match pair[0].as_str() {
            "--seconds" => seconds = number as u64,
            "--rounds" => rounds = number,
            _ => return Err(BenchError::Usage(USAGE)),
        }
    }
    Ok((Duration::from_secs(seconds), rounds))
}

async fn start(key: &Key) -> Result<Vec<Contender>, BenchError> {
    let tls = Door {
        tls: true,
        ..Door::OPEN
    };
    let doors = [
        ("plain", Door::OPEN),
        ("TLS", tls),
        ("TLS, keys", Door { keys: true, ..tls }),
        ("TLS, audit", Door { audit: true, ..tls }),
        ("TLS, keys, audit", Door::WHOLE),
    ];
    let mut contenders = Vec::new();
    for (name, door) in doors {
        let site = Site::start(door, &key.hash)?;
        let key = door.keys.then_some(key.text.as_str());
        fill(&site, key).await?;
        contenders.push(Contender {
            name,
            site,
            request: post("/execute", key, READ),
            rounds: [Vec::new(), Vec::new()],
        });
    }
    Ok(contenders)
}

/// Writes the documents that are read.
pub(super) async fn fill(site: &Site, key: Option<&str>) -> Result<(), BenchError> {
    let documents: Vec<String> = (0..DOCUMENTS).map(|n| order(n).to_string()).collect();
    let body = format!(
        r#"{{"statement":"INSERT INTO orders DOCUMENTS {}","args":{{{}}}}}"#,
        (0..DOCUMENTS)
            .map(|n| format!("(:d{n})"))
            .collect::<Vec<_>>()
            .join(","),
        documents
            .iter()
            .enumerate()
            .map(|(n, document)| format!("\"d{n}\":{document}"))
            .collect::<Vec<_>>()
            .join(",")
    );
    let request = post("/execute", key, &body);
    let place = client::Place::of(site)?;
    let answer = client::ask_once(&place, &request).await;
    let answer = answer.map_err(|error| wrong(&error))?;
    match client::status(&answer) {
        200 => Ok(()),
        _ => Err(wrong(&String::from_utf8_lossy(&answer))),
    }
}

/// What the whole door costs for each request that it turns away.
async fn refusals(contenders: &[Contender], duration: Duration) -> Result<String, BenchError> {
    let mut text = String::from(
        "\nrefusals of a node with TLS, keys and audit log, 64 connections\n\n| request | answers/s | server CPU us/answer |\n|---|---|---|\n",
    );
    let Some(whole) = contenders.last() else {
        return Ok(text);
    };
    let asked = [
        ("404, no route", post("/nowhere", Some("x"), READ), 404),
        ("401, no key", post("/execute", None, READ), 401),
        refused("401, no key could look so", Shape::Garbage),
        refused("401, wrong checksum", Shape::WrongChecksum),
        refused("401, unknown id", Shape::UnknownId),
        refused(
            "401, key of another program, and no such hash",
            Shape::Foreign,
        ),
    ];
    for (name, request, expected) in asked {
        let part = client::ask(&whole.site, (&request, expected), CONNECTIONS[0], duration);
        let part = part.await?;
        let per_second = part.answers as f64 / part.seconds;
        let _ = writeln!(text, "| {name} | {per_second:.0} | {:.1} |", part.cpu_us);
    }
    Ok(text)
}

fn refused(name: &'static str, shape: Shape) -> (&'static str, Vec<u8>, u16) {
    (name, post("/execute", Some(&shape.text(1)), READ), 401)
}

fn render(text: &mut String, contenders: &[Contender], (at, connections): (usize, usize)) {
    let _ = writeln!(
        text,
        "\npoint reads by _id, {connections} connections\n\n| node | answers/s | p50 ms | p99 ms | server CPU us/answer |\n|---|---|---|---|---|"
    );
    let column = |contender: &Contender, value: fn(&Yield) -> f64| {
        contender.rounds[at].iter().map(value).collect::<Vec<_>>()
    };
    for contender in contenders {
        let show =
            |value: fn(&Yield) -> f64, digits| Summary::of(&column(contender, value)).show(digits);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            contender.name,
            show(|part| part.answers as f64 / part.seconds, 0),
            show(
                |part| f64::from(percentile(&part.latencies_us, 0.5)) / 1e3,
                3
            ),
            show(
                |part| f64::from(percentile(&part.latencies_us, 0.99)) / 1e3,
                3
            ),
            show(|part| part.cpu_us, 1),
        );
    }
    let cpu = |at: usize| column(&contenders[at], |part| part.cpu_us);
    for (name, ours, theirs) in [
        ("TLS / plain", 1, 0),
        ("keys over TLS / TLS", 2, 1),
        ("audit over TLS / TLS", 3, 1),
        ("keys and audit over TLS / TLS", 4, 1),
    ] {
        let ratio = Summary::of_ratio(&cpu(ours), &cpu(theirs));
        let _ = writeln!(text, "\nratio of server CPU, {name}: {}", ratio.show(2));
    }
}

fn render_checks(text: &mut String, checks: &[CheckCost]) {
    let _ = writeln!(
        text,
        "\nthe check of a key by itself\n\n| identities | first check, ms | later checks, ns | refused at once, ns |\n|---|---|---|---|"
    );
    for (identities, check) in IDENTITIES.iter().zip(checks) {
        let refused = check.refused_ns.iter();
        let refused: Vec<String> = refused
            .map(|(shape, ns)| format!("{shape:?} {ns:.0}"))
            .collect();
        let (first, warm) = (check.first_ms, check.warm_ns);
        let _ = writeln!(
            text,
            "| {identities} | {first:.1} | {warm:.0} | {} |",
            refused.join(", ")
        );
    }
}

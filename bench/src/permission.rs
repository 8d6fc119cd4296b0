//! What it costs to decide whether a document may cross a link, beside looking its id up in a hash map.
//! Alone, and while a thousand other sessions hold rules of their own, of which none is looked at.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hint::black_box;

use tombolo_document::{DocumentId, json};
use tombolo_identity::{Filter, Permissions, ProviderAnswer};

use crate::error::BenchError;
use crate::machine::{self, Stopwatch};
use crate::rounds::{ROUNDS_MIN, Summary};

const DECISIONS: usize = 1_000_000;
const IDS: usize = 1_024;
const OTHER_SESSIONS: usize = 1_000;

/// Rules for one collection, by the name that the report gives them.
const RULES: [(&str, &str); 4] = [
    ("every document", "true"),
    ("equality on `_id`", "_id == 'user-000007'"),
    ("equality on a part of `_id`", "_id.user == 'user-000007'"),
    ("startsWith on `_id`", "startsWith(_id, 'user-0000')"),
];

/// Measures all rules and returns the report.
pub(crate) fn run() -> Result<String, BenchError> {
    let mut text = String::new();
    let machine = machine::describe();
    let _ = writeln!(
        text,
        "machine: {machine}; load at the end {}",
        machine::load()
    );
    let _ = writeln!(
        text,
        "{ROUNDS_MIN} rounds of {DECISIONS} decisions over {IDS} ids on one thread; ns each, median (min-max)\n"
    );
    let _ = writeln!(
        text,
        "| rule | decision | beside {OTHER_SESSIONS} other sessions | hash map lookup |\n|---|---|---|---|"
    );
    for (name, rule) in RULES {
        let ids = ids(rule.contains("_id.user"))?;
        let filter = filter(rule)?;
        let table: HashMap<&DocumentId, usize> = ids.iter().zip(0..).collect();
        let (mut alone, mut beside, mut lookup) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS_MIN {
            lookup.push(nanoseconds(&ids, |id| table.contains_key(id)));
            alone.push(nanoseconds(&ids, |id| filter.accepts("books", id)));
            let others = (0..OTHER_SESSIONS).map(|_| self::filter(rule));
            let others: Vec<Filter> = others.collect::<Result<_, _>>()?;
            beside.push(nanoseconds(&ids, |id| filter.accepts("books", id)));
            drop(black_box(others));
        }
        let show = |values: &[f64]| Summary::of(values).show(0);
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} |",
            show(&alone),
            show(&beside),
            show(&lookup)
        );
    }
    Ok(text)
}

fn nanoseconds(ids: &[DocumentId], decide: impl Fn(&DocumentId) -> bool) -> f64 {
    let watch = Stopwatch::start();
    let mut yes = 0_usize;
    for id in ids.iter().cycle().take(DECISIONS) {
        yes += usize::from(decide(black_box(id)));
    }
    black_box(yes);
    watch.elapsed().as_nanos() as f64 / DECISIONS as f64
}

/// A link whose peer has this rule in both directions, as a provider gives it.
fn filter(rule: &str) -> Result<Filter, BenchError> {
    let rules = format!(r#"{{"everything":false,"queriesByCollection":{{"books":["{rule}"]}}}}"#);
    let answer = format!(
        r#"{{"authenticated":true,"userID":"ada","expirationSeconds":600,"permissions":{{"read":{rules},"write":{rules}}}}}"#
    );
    match ProviderAnswer::parse(answer.as_bytes(), "bench") {
        Ok(ProviderAnswer::Granted(granted)) => Ok(Filter::between(
            &Permissions::everything(),
            granted.identity().permissions(),
        )),
        Ok(ProviderAnswer::Refused { .. }) => Err(wrong(&"it was refused")),
        Err(error) => Err(wrong(&error)),
    }
}

fn ids(with_parts: bool) -> Result<Vec<DocumentId>, BenchError> {
    let id = |number: usize| {
        let text = match with_parts {
            true => format!(r#"{{"user":"user-{number:06}","order":{number}}}"#),
            false => format!(r#""user-{number:06}""#),
        };
        let value = json::parse(text.as_bytes()).map_err(|error| wrong(&error))?;
        DocumentId::from_value(&value).map_err(|error| wrong(&error))
    };
    (0..IDS).map(id).collect()
}

fn wrong(detail: &dyn std::fmt::Display) -> BenchError {
    BenchError::Wrong {
        contender: "permission",
        detail: detail.to_string(),
    }
}

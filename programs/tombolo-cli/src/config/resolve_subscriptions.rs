//! The key `database.subscriptions`: what the node asks its peers for, each entry checked as the database will check it.

use serde_saphyr::Location;
use tombolo::{Object, QueryError, SUBSCRIPTIONS_MAX, check_subscription};

use super::meaning::Subscription;
use super::raw::{Placed, RawSubscription, Setting, Spanned, WordOr};
use super::resolve::Findings;

const PATH: &str = "database.subscriptions";
const REMEDY: &str =
    "write SELECT * FROM a collection, with a WHERE if it should hold a part of it";

pub(super) fn subscriptions(
    raw: Placed<Setting<Vec<Spanned<WordOr<RawSubscription>>>>>,
    findings: &mut Findings,
) -> Vec<Subscription> {
    let Some(raw) = findings.section(PATH, raw) else {
        return Vec::new();
    };
    if raw.value.len() > SUBSCRIPTIONS_MAX {
        let remedy = format!("keep at most {SUBSCRIPTIONS_MAX}; one with a wider WHERE holds more");
        findings.refuse(PATH, raw.referenced, "has too many entries", remedy);
        return Vec::new();
    }
    let entries = raw.value.into_iter().enumerate();
    entries
        .filter_map(|(index, entry)| subscription(index, entry, findings))
        .collect()
}

fn subscription(
    index: usize,
    raw: Spanned<WordOr<RawSubscription>>,
    findings: &mut Findings,
) -> Option<Subscription> {
    let path = format!("{PATH}[{index}]");
    let place: Location = raw.referenced;
    let (statement, place, arguments) = match raw.value {
        WordOr::Word(text) => (text, place, Object::new()),
        WordOr::Given(RawSubscription { query, args }) => {
            let arguments = findings.section(&format!("{path}.args"), args);
            let arguments = arguments.map(|args| args.value.into_iter().collect());
            (query.value, query.referenced, arguments.unwrap_or_default())
        }
    };
    match check_subscription(&statement, &arguments) {
        Ok(()) => Some(Subscription {
            statement,
            arguments,
        }),
        Err(error) => {
            let (what, remedy) = words(&error);
            findings.refuse(path, place, what, remedy);
            None
        }
    }
}

/// The place inside the statement is told in words: YAML may have folded or quoted its text.
fn words(error: &QueryError) -> (String, &'static str) {
    let what = match error {
        QueryError::Parse(place) | QueryError::Check(place) => {
            format!("is no statement:\n{}", place.render())
        }
        other => other.to_string(),
    };
    let remedy = match error {
        QueryError::Evaluation(text) if text.starts_with("Parameter ") => {
            "write the entry as { query: ..., args: { ... } } with a value for each :name"
        }
        _ => REMEDY,
    };
    (what, remedy)
}

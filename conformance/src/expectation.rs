//! Compares an answer with what a case expects. Numbers compare by value.

use tombolo::{Diff, ExecuteError, Object, Response, Value, json};

use crate::case::{list, texts};
use crate::failure::Failure;

/// Checks every member of `expect`.
pub(crate) fn check(
    expect: &Object,
    result: Result<Response, ExecuteError>,
) -> Result<(), Failure> {
    let wants_error = expect.contains_key("error");
    let answer = match result {
        Err(_) if wants_error => return Ok(()),
        Err(error) => {
            return Err(Failure::Statement {
                statement: "the statement under test".to_owned(),
                error,
            });
        }
        Ok(answer) => answer,
    };
    if wants_error {
        return Err(differs("an error", &Value::Array(answer.items.clone())));
    }
    let ordered = expect.get("ordered") != Some(&Value::Bool(false));
    for (key, wanted) in expect {
        match (key.as_str(), wanted) {
            ("items", Value::Array(items)) => same(items, &answer.items, ordered)?,
            ("mutated_ids", Value::Array(ids)) => {
                same(ids, &answer.mutated_document_ids, false)?;
            }
            ("mutated_count", count) => counts(count, answer.mutated_document_ids.len())?,
            ("row_count", count) => counts(count, answer.items.len())?,
            ("items_have_keys", Value::Array(keys)) => have_keys(keys, &answer.items)?,
            ("plan_contains" | "plan_not_contains", _) => {
                let plan = json::print(&Value::Array(answer.items.clone()));
                let contains = key == "plan_contains";
                for part in texts(expect, key) {
                    if plan.contains(&part) != contains {
                        return Err(Failure::Expectation(format!("{key} {part}: {plan}")));
                    }
                }
            }
            ("commit_id", _) if answer.commit_id.is_none() => {
                return Err(Failure::Expectation("there is no commit id".to_owned()));
            }
            ("commit_id" | "ok" | "ordered" | "on_peers", _) => {}
            (other, _) => return Err(Failure::Unsupported(format!("the expectation `{other}`"))),
        }
    }
    Ok(())
}

fn differs(wanted: &str, found: &Value) -> Failure {
    Failure::Expectation(format!("wanted {wanted}, found {}", json::print(found)))
}

fn same(wanted: &[Value], found: &[Value], ordered: bool) -> Result<(), Failure> {
    let sorted = |values: &[Value]| {
        let mut values = values.to_vec();
        if !ordered {
            values.sort_by(Value::compare);
        }
        Value::Array(values)
    };
    let (wanted, found) = (sorted(wanted), sorted(found));
    match wanted.compare(&found).is_eq() {
        true => Ok(()),
        false => Err(differs(&json::print(&wanted), &found)),
    }
}

fn counts(wanted: &Value, found: usize) -> Result<(), Failure> {
    let found = Value::from_u64(found as u64);
    match wanted.compare(&found).is_eq() {
        true => Ok(()),
        false => Err(differs(&json::print(wanted), &found)),
    }
}

/// One list of keys for each item.
fn have_keys(keys: &[Value], items: &[Value]) -> Result<(), Failure> {
    for (keys, item) in keys.iter().zip(items) {
        let wrapped = Object::from([("keys".to_owned(), keys.clone())]);
        for key in list(&wrapped, "keys").iter().filter_map(Value::as_str) {
            if item.as_object().is_none_or(|item| !item.contains_key(key)) {
                return Err(differs(&format!("the key {key}"), item));
            }
        }
    }
    match keys.len() == items.len() {
        true => Ok(()),
        false => Err(differs(
            "one item for each list of keys",
            &Value::Array(items.to_vec()),
        )),
    }
}

/// Compares the differences between results with those that are wanted.
pub(crate) fn check_diffs(expect: &Object, diffs: &[Diff]) -> Result<(), Failure> {
    let found: Vec<Value> = diffs.iter().map(shown).collect();
    same(list(expect, "diffs"), &found, true)
}

fn shown(diff: &Diff) -> Value {
    let place = |place: &usize| Value::from_u64(*place as u64);
    let places = |places: &[usize]| Value::Array(places.iter().map(place).collect());
    let moves = diff.moves.iter().map(|(from, to)| places(&[*from, *to]));
    Value::Object(Object::from([
        ("insertions".to_owned(), places(&diff.insertions)),
        ("deletions".to_owned(), places(&diff.deletions)),
        ("updates".to_owned(), places(&diff.updates)),
        ("moves".to_owned(), Value::Array(moves.collect())),
    ]))
}

//! Three replicas that write, remove, count and exchange states in arbitrary order.
//! Whatever they did, they agree byte for byte once each has seen the others, in either order and by delta.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use tombolo_document::edit::Edit;
use tombolo_document::merge::{check_document, delta, merge, version_vector};
use tombolo_document::schema::{Field, Kind, Schema, Undeclared};
use tombolo_document::{Actor, DocumentView, Dot, EditError, SiteId, Stamp, Value};

const REPLICAS: usize = 3;
const STEPS_MAX: usize = 40;
const NAMES: [&str; 4] = ["a", "b", "m", "n"];

#[derive(Debug, Arbitrary)]
struct Step {
    replica: u8,
    /// Milliseconds between this step and the one before; zero makes equal stamps of different actors.
    pause_ms: u8,
    act: Act,
}

#[derive(Debug, Arbitrary)]
enum Act {
    Set {
        path: [u8; 2],
        depth: u8,
        value: Written,
    },
    Unset {
        path: [u8; 2],
        depth: u8,
    },
    Increment {
        path: u8,
        pn: bool,
        by: i64,
    },
    Restart {
        path: u8,
        value: i64,
    },
    Insert {
        fields: Vec<(u8, Written)>,
    },
    Delete,
    Receive {
        from: u8,
    },
    ReceiveDelta {
        from: u8,
    },
}

#[derive(Debug, Arbitrary)]
enum Written {
    Null,
    Number(i64),
    Text(String),
    Map(Vec<(u8, i64)>),
    List(Vec<bool>),
}

impl Written {
    fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Number(number) => Value::Int(*number),
            Self::Text(text) => Value::String(text.clone()),
            Self::Map(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(key, number)| (name(*key).to_owned(), Value::Int(*number)))
                    .collect(),
            ),
            Self::List(items) => {
                Value::Array(items.iter().map(|item| Value::Bool(*item)).collect())
            }
        }
    }
}

fn name(byte: u8) -> &'static str {
    NAMES[usize::from(byte) % NAMES.len()]
}

fn path(steps: &[u8; 2], depth: u8) -> Vec<&'static str> {
    steps
        .iter()
        .take(1 + usize::from(depth % 2))
        .map(|step| name(*step))
        .collect()
}

fn counters(kind: Kind) -> Schema {
    let field = Field {
        kind,
        fields: BTreeMap::new(),
    };
    Schema {
        fields: NAMES
            .iter()
            .map(|name| ((*name).to_owned(), field.clone()))
            .collect(),
        undeclared: Undeclared::Infer,
    }
}

fn write(
    state: Option<&[u8]>,
    replica: usize,
    now_ms: u64,
    act: &Act,
) -> Result<Option<Vec<u8>>, EditError> {
    let newest = state
        .and_then(|bytes| version_vector(bytes).ok()?.newest())
        .unwrap_or(Stamp::ZERO);
    let stamp = Stamp::new(now_ms, 0).max(newest.next().expect("time is young"));
    let site = u8::try_from(replica).expect("few replicas") + 1;
    let mut edit = Edit::open(
        state,
        Dot::new(Actor::new(SiteId([site; 16]), Actor::FIRST_EPOCH), stamp),
    )?;
    let inferred = Schema::INFERRED;
    match act {
        Act::Set {
            path: steps,
            depth,
            value,
        } => edit.set(&path(steps, *depth), &value.value(), &inferred)?,
        Act::Unset { path: steps, depth } => edit.unset(&path(steps, *depth), &inferred)?,
        Act::Increment { path, pn, by } => {
            let kind = if *pn { Kind::PnCounter } else { Kind::Counter };
            edit.increment(&[name(*path)], kind, *by, &counters(kind))?;
        }
        Act::Restart { path, value } => {
            edit.restart(&[name(*path)], *value, &counters(Kind::Counter))?
        }
        Act::Insert { fields } => {
            let object = fields
                .iter()
                .map(|(key, value)| (name(*key).to_owned(), value.value()))
                .collect();
            edit.set_object(&object, &inferred)?;
        }
        Act::Delete => {
            edit.delete();
        }
        Act::Receive { .. } | Act::ReceiveDelta { .. } => {}
    }
    edit.finish()
}

/// Brings the state of `from` to `to`, whole or as a delta; both must give the same bytes.
fn exchange(states: &mut [Option<Vec<u8>>; REPLICAS], from: usize, to: usize, by_delta: bool) {
    let Some(incoming) = states[from].clone() else {
        return;
    };
    let whole = merge(states[to].as_deref(), &incoming).expect("a whole state always merges");
    if by_delta && let Some(local) = states[to].as_deref() {
        let known = version_vector(local).expect("a state has a vector");
        match delta(&incoming, &known).expect("a state has a delta") {
            Some(part) => {
                let merged = merge(Some(local), &part).expect("the delta extends what is here");
                assert_eq!(
                    merged.document, whole.document,
                    "a delta does what the whole state does"
                );
            }
            None => assert!(!whole.changed, "nothing new to send means nothing changes"),
        }
    }
    states[to] = Some(whole.document);
}

fuzz_target!(|steps: Vec<Step>| {
    let mut states: [Option<Vec<u8>>; REPLICAS] = Default::default();
    let mut now_ms = 1_000;
    for step in steps.iter().take(STEPS_MAX) {
        now_ms += u64::from(step.pause_ms % 3);
        let replica = usize::from(step.replica) % REPLICAS;
        match step.act {
            Act::Receive { from } => {
                exchange(&mut states, usize::from(from) % REPLICAS, replica, false)
            }
            Act::ReceiveDelta { from } => {
                exchange(&mut states, usize::from(from) % REPLICAS, replica, true)
            }
            _ => {
                // A refused edit leaves the state as it was.
                if let Ok(Some(written)) =
                    write(states[replica].as_deref(), replica, now_ms, &step.act)
                {
                    states[replica] = Some(written);
                }
            }
        }
    }
    for state in states.iter().flatten() {
        check_document(state).expect("our own writes are valid");
        let view = DocumentView::new(state).expect("a checked document opens");
        view.to_object(&Schema::INFERRED)
            .expect("a checked document reads");
    }
    let all: Vec<&Vec<u8>> = states.iter().flatten().collect();
    let forward = all.iter().fold(None, |sum, state| Some(join(sum, state)));
    let backward = all
        .iter()
        .rev()
        .fold(None, |sum, state| Some(join(sum, state)));
    assert_eq!(forward, backward, "the order of merging must not matter");
    if let ([first, second, third], Some(forward)) = (all.as_slice(), forward) {
        let tail = join(Some(second.to_vec()), third);
        assert_eq!(
            join(Some(first.to_vec()), &tail),
            forward,
            "the grouping of merging must not matter"
        );
    }
});

fn join(sum: Option<Vec<u8>>, state: &[u8]) -> Vec<u8> {
    merge(sum.as_deref(), state)
        .expect("whole states always merge")
        .document
}

//! Conditions as they are evaluated: each with its own, small allowance of time
//! and memory, without arguments and without the world.

use std::cell::Cell;
use std::sync::LazyLock;

use tombolo_document::{DocumentId, Object};
use tombolo_query::{Condition, Context, Limits, NoSystemRows, Parameters};

/// How often the evaluation of one rule may be asked to stop before it has to:
/// 512 steps lie between two questions.
const QUESTIONS_MAX: u32 = 128;
/// How much memory a rule may use, in bytes; ids are smaller.
const VALUE_BYTES_MAX: usize = 256 * 1024;

/// Conditions of which one must hold. Those of plain equality are kept as ids in
/// order, so that a long list of ids costs a search and no evaluation.
#[derive(Debug, Clone)]
pub(crate) struct Conditions {
    all: Vec<Condition>,
    ids: Vec<DocumentId>,
    others: Vec<Condition>,
}

impl PartialEq for Conditions {
    fn eq(&self, other: &Self) -> bool {
        self.all == other.all
    }
}

impl Conditions {
    pub(crate) fn new(all: Vec<Condition>) -> Self {
        let (mut ids, mut others) = (Vec::new(), Vec::new());
        for condition in &all {
            match condition.exact_ids(&context(&|| false)) {
                Some(exact) => ids.extend(exact),
                None => others.push(condition.clone()),
            }
        }
        ids.sort_unstable();
        Self { all, ids, others }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(Condition::text)
    }

    /// Whether one of them holds. Any error of a condition means no.
    pub(crate) fn hold(&self, id: &DocumentId) -> bool {
        self.ids.binary_search(id).is_ok() || self.others.iter().any(|other| holds(other, id))
    }
}

fn holds(condition: &Condition, id: &DocumentId) -> bool {
    let questions = Cell::new(QUESTIONS_MAX);
    let stop = || is_over(&questions);
    condition.matches_id(id, &context(&stop)).unwrap_or(false)
}

/// Whether a condition holds for an object; `None` if it cannot be told.
pub(crate) fn holds_for(condition: &Condition, object: &Object) -> Option<bool> {
    let questions = Cell::new(QUESTIONS_MAX);
    let stop = || is_over(&questions);
    condition.matches_object(object, &context(&stop)).ok()
}

fn is_over(questions: &Cell<u32>) -> bool {
    match questions.get().checked_sub(1) {
        Some(left) => {
            questions.set(left);
            false
        }
        None => true,
    }
}

static NO_ARGUMENTS: LazyLock<Object> = LazyLock::new(Object::default);
static PARAMETERS: LazyLock<Parameters> = LazyLock::new(Parameters::default);

fn context(stop: &dyn Fn() -> bool) -> Context<'_> {
    Context {
        arguments: &NO_ARGUMENTS,
        parameters: &PARAMETERS,
        now_ms: 0,
        random: &|| [0; 16],
        limits: Limits {
            value_bytes: VALUE_BYTES_MAX,
            ..Limits::DEFAULT
        },
        stop,
        system: &NoSystemRows,
    }
}

//! ADVISE: the indexes that would spare a statement from reading everything.

use tombolo_document::{Object, Value};

use super::mutate;
use super::{Environment, Level, Loops, levels};
use crate::check::names::ID;
use crate::check::select::conjuncts;
use crate::check::statement::{Action, InsertSource, Namespace, Query};
use crate::error::QueryError;
use crate::expr::{BinaryOperator, Expr};
use crate::plan::Access;
use crate::source::{IndexDefinition, IndexKey, Source};
use tombolo_document::order::Direction;

/// Most keys of a suggested index.
const KEYS_MAX: usize = 4;

/// The advice about one statement.
#[derive(Debug, Default)]
pub(crate) struct Advice {
    pub suggested: Vec<IndexDefinition>,
    existing: Vec<String>,
}

/// Looks for collections that the statement scans although it filters them.
pub(crate) fn advise(
    action: &Action,
    source: &dyn Source,
    environment: Environment<'_>,
) -> Result<Advice, QueryError> {
    let mut advice = Advice::default();
    match action {
        Action::Select(query) => about_query(query, source, environment, &mut advice)?,
        Action::Insert(insert) => {
            if let InsertSource::Select(query) = &insert.source {
                about_query(query, source, environment, &mut advice)?;
            }
        }
        Action::Update(update) => {
            about_selection(&update.selection, source, environment, &mut advice)?;
        }
        Action::Remove(remove) => {
            about_selection(&remove.selection, source, environment, &mut advice)?;
        }
        _ => {}
    }
    Ok(advice)
}

fn about_query(
    query: &Query,
    source: &dyn Source,
    environment: Environment<'_>,
    advice: &mut Advice,
) -> Result<(), QueryError> {
    let levels = levels(query, source, environment)?;
    let loops = Loops::of(query, source, &levels, environment.options, environment.run);
    for (at, level) in levels.iter().enumerate() {
        let filter = match at {
            0 => query.filter.as_ref(),
            _ => Some(&query.joins[at - 1].on),
        };
        let access = loops.access(at, &vec![None; at])?;
        advice.about((level, at), &access, filter);
    }
    Ok(())
}

fn about_selection(
    selection: &crate::check::statement::Selection,
    source: &dyn Source,
    environment: Environment<'_>,
    advice: &mut Advice,
) -> Result<(), QueryError> {
    let levels = [mutate::level(selection, source, environment)?];
    let parts = (environment.options, environment.run);
    let access = mutate::loops(selection, source, &levels, parts).access(0, &[])?;
    advice.about((&levels[0], 0), &access, selection.filter.as_ref());
    Ok(())
}

impl Advice {
    fn about(&mut self, (level, at): (&Level<'_>, usize), access: &Access, filter: Option<&Expr>) {
        match access {
            Access::Index { index, .. } => self.existing.push(index.name.clone()),
            Access::Collection if level.term.collection.namespace == Namespace::Default => {
                let keys = keys(filter, at);
                if !keys.is_empty() {
                    self.suggest(&level.term.collection.name, keys);
                }
            }
            _ => {}
        }
    }

    fn suggest(&mut self, collection: &str, keys: Vec<Vec<String>>) {
        let fields: Vec<String> = keys.iter().map(|path| path.join("_")).collect();
        let key = |path| IndexKey {
            path,
            direction: Direction::Ascending,
        };
        self.suggested.push(IndexDefinition {
            name: format!("adv_{collection}_{}", fields.join("_")),
            collection: collection.to_owned(),
            keys: keys.into_iter().map(key).collect(),
        });
    }

    /// The row that ADVISE gives.
    pub(crate) fn row(&self, statement: &str, created: Option<&[String]>) -> Object {
        let text = |text: &str| Value::from(text);
        let suggested = self.suggested.iter().map(|index| {
            Value::Object(Object::from([
                ("collection".to_owned(), text(&index.collection)),
                (
                    "reason".to_owned(),
                    text("the statement filters on these fields and reads every document"),
                ),
                ("statement".to_owned(), Value::from(create_statement(index))),
            ]))
        });
        let mut advice = Object::from([
            ("statement".to_owned(), text(statement)),
            (
                "suggestedIndexes".to_owned(),
                Value::Array(suggested.collect()),
            ),
        ]);
        let names = |names: &[String]| {
            Value::Array(
                names
                    .iter()
                    .map(|name| Value::from(name.as_str()))
                    .collect(),
            )
        };
        if !self.existing.is_empty() {
            advice.insert("existingIndexes".to_owned(), names(&self.existing));
        }
        if let Some(created) = created {
            advice.insert("createdIndexes".to_owned(), names(created));
            advice.insert("failedIndexes".to_owned(), names(&[]));
        }
        super::single("advice", Value::Object(advice))
    }
}

/// The fields worth indexing: those compared for equality, then one range.
fn keys(filter: Option<&Expr>, at: usize) -> Vec<Vec<String>> {
    let mut equal: Vec<Vec<String>> = Vec::new();
    let mut ranged: Vec<Vec<String>> = Vec::new();
    for condition in conjuncts(filter) {
        let Some((path, exact)) = narrowed(condition, at) else {
            continue;
        };
        let list = if exact { &mut equal } else { &mut ranged };
        if path[0] != ID && !list.contains(path) {
            list.push(path.clone());
        }
    }
    ranged.retain(|path| !equal.contains(path));
    equal.extend(ranged.into_iter().take(1));
    equal.truncate(KEYS_MAX);
    equal
}

/// The field that a condition narrows, and whether to single values.
fn narrowed(condition: &Expr, at: usize) -> Option<(&Vec<String>, bool)> {
    let field = |expr| match expr {
        &Expr::Field { term, ref path } if term == at => Some(path),
        _ => None,
    };
    let known = |expr: &Expr| expr.reads_only(&|term| term < at);
    match condition {
        Expr::Binary { operator, operands } => {
            let exact = *operator == BinaryOperator::Equal;
            let (left, right) = (&operands.0, &operands.1);
            match (field(left), field(right)) {
                (Some(path), _) if known(right) => Some((path, exact)),
                (_, Some(path)) if known(left) => Some((path, exact)),
                _ => None,
            }
        }
        Expr::In(operands) if known(&operands.1) => Some((field(&operands.0)?, true)),
        Expr::Between(operands) => Some((field(&operands.0)?, false)),
        Expr::Is { value, .. } => Some((field(value)?, true)),
        _ => None,
    }
}

fn create_statement(index: &IndexDefinition) -> String {
    let quoted = |path: &Vec<String>| {
        let steps: Vec<String> = path.iter().map(|step| format!("`{step}`")).collect();
        steps.join(".")
    };
    let keys: Vec<String> = index.keys.iter().map(|key| quoted(&key.path)).collect();
    format!(
        "CREATE INDEX IF NOT EXISTS `{}` ON `{}` ({})",
        index.name,
        index.collection,
        keys.join(", ")
    )
}

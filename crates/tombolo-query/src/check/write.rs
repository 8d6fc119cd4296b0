//! Checks the statements that write, and those about indexes.

use tombolo_document::order::Direction;

use super::expression::Binder;
use super::names::{ID, Names, TermName};
use super::select::{self, Order};
use super::statement::{
    Change, CreateIndex, DropIndex, Insert, InsertSource, Operation, Remove, Returning, Selection,
    Update,
};
use super::{collection, declared};
use crate::parse::Failure;
use crate::syntax::{self, CounterOperation, FieldPath, Namespace, Projection};

/// Most fields in one index.
const INDEX_KEYS_MAX: usize = 16;

pub(super) fn insert(text: &str, insert: &syntax::Insert) -> Result<Insert, Failure> {
    writable(text, &insert.collection)?;
    let mut constant = Binder::rows(Names::none(text));
    let source = match &insert.source {
        syntax::InsertSource::Documents(list) => InsertSource::Documents(constant.bind_all(list)?),
        syntax::InsertSource::Initial(list) => InsertSource::Initial(constant.bind_all(list)?),
        syntax::InsertSource::Select(select) => {
            InsertSource::Select(Box::new(select::check(text, select)?))
        }
    };
    let term = syntax::Term {
        collection: insert.collection.clone(),
        alias: None,
        ids: None,
        index: None,
        directives: None,
    };
    Ok(Insert {
        collection: collection(text, &insert.collection)?,
        source,
        conflict: insert.conflict,
        returning: returning(text, &term, &insert.returning)?,
    })
}

pub(super) fn update(text: &str, update: &syntax::Update) -> Result<Update, Failure> {
    let term = &update.selection.term;
    writable(text, &term.collection)?;
    let names = [TermName::of(term)];
    let visible = row_names(text, &names);
    let mut changes = Vec::new();
    let mut binder = Binder::rows(visible);
    for apply in &update.apply {
        let operation = match &apply.operation {
            CounterOperation::Increment(by) => Operation::Increment(binder.bind(by)?),
            CounterOperation::PnIncrement(by) => Operation::PnIncrement(binder.bind(by)?),
            CounterOperation::Restart(with) => {
                Operation::Restart(binder.bind_optional(with.as_ref())?)
            }
        };
        changes.push((&apply.path, operation));
    }
    for (path, value) in &update.set {
        changes.push((path, Operation::Set(binder.bind(value)?)));
    }
    changes.extend(update.unset.iter().map(|path| (path, Operation::Unset)));
    if changes.is_empty() {
        return Err(visible
            .error(update.clauses, "Missing SET and/or UNSET clause")
            .with_hint("an UPDATE has at least one of APPLY, SET and UNSET"));
    }
    Ok(Update {
        selection: selection(text, &update.selection)?,
        changes: targets(visible, changes)?,
        returning: returning(text, term, &update.returning)?,
    })
}

/// The changed paths: no id, and none twice or inside another.
fn targets(
    names: Names<'_>,
    changes: Vec<(&FieldPath, Operation)>,
) -> Result<Vec<Change>, Failure> {
    let mut checked: Vec<Change> = Vec::with_capacity(changes.len());
    for (path, operation) in changes {
        let mut steps: Vec<String> = path.steps.iter().map(|step| step.text.clone()).collect();
        if steps.len() > 1 && names.term(&steps[0]).is_some() {
            steps.remove(0);
        }
        if steps[0] == ID {
            let message = "The document id `_id` cannot be modified";
            return Err(names
                .error(path.span, message)
                .with_hint("insert a new document and delete this one"));
        }
        let clash = checked
            .iter()
            .any(|other| other.path.starts_with(&steps) || steps.starts_with(&other.path));
        if clash {
            let message = format!(
                "More than one modification specified for the path {}",
                steps.join(".")
            );
            return Err(names.error(path.span, message));
        }
        checked.push(Change {
            path: steps,
            operation,
        });
    }
    Ok(checked)
}

pub(super) fn remove(text: &str, remove: &syntax::Remove) -> Result<Remove, Failure> {
    let term = &remove.selection.term;
    writable(text, &term.collection)?;
    Ok(Remove {
        evict: remove.evict,
        selection: selection(text, &remove.selection)?,
        returning: returning(text, term, &remove.returning)?,
    })
}

fn selection(text: &str, selection: &syntax::Selection) -> Result<Selection, Failure> {
    let names = [TermName::of(&selection.term)];
    let visible = row_names(text, &names);
    Ok(Selection {
        term: select::term(text, &selection.term)?,
        filter: Binder::rows(visible).bind_optional(selection.filter.as_ref())?,
        order: select::row_order(visible, &selection.order)?,
        slice: select::slice(text, &selection.slice)?,
    })
}

fn returning(
    text: &str,
    term: &syntax::Term,
    projection: &[Projection],
) -> Result<Option<Returning>, Failure> {
    if projection.is_empty() {
        return Ok(None);
    }
    let names = [TermName::of(term)];
    let order = Order {
        keys: &[],
        group: &[],
        having: None,
    };
    Ok(Some(Returning {
        terms: vec![select::term(text, term)?],
        shape: select::shape(row_names(text, &names), projection, &order)?,
    }))
}

fn row_names<'s>(text: &'s str, terms: &'s [TermName]) -> Names<'s> {
    Names {
        text,
        terms,
        outputs: &[],
    }
}

fn writable(text: &str, name: &syntax::CollectionName) -> Result<(), Failure> {
    if name.namespace == Namespace::Default {
        return declared(text, &name.fields).map(drop);
    }
    let message = format!("system:{} cannot be written", name.name.text);
    Err(Names::none(text)
        .error(name.name.span, message)
        .with_hint("system collections show what the node knows about itself"))
}

pub(super) fn create_index(
    text: &str,
    create: &syntax::CreateIndex,
) -> Result<CreateIndex, Failure> {
    writable(text, &create.collection)?;
    let names = Names::none(text);
    if let Some((path, _)) = create.keys.get(INDEX_KEYS_MAX) {
        let message = format!("an index has at most {INDEX_KEYS_MAX} keys");
        return Err(names.error(path.span, message));
    }
    let mut keys: Vec<(Vec<String>, Direction)> = Vec::new();
    for (path, descending) in &create.keys {
        let steps: Vec<String> = path.steps.iter().map(|step| step.text.clone()).collect();
        if keys.iter().any(|(known, _)| *known == steps) {
            let message = format!("the key {} stands twice in the index", steps.join("."));
            return Err(names.error(path.span, message));
        }
        let direction = match descending {
            true => Direction::Descending,
            false => Direction::Ascending,
        };
        keys.push((steps, direction));
    }
    Ok(CreateIndex {
        name: create.name.text.clone(),
        if_absent: create.if_absent,
        collection: create.collection.name.text.clone(),
        keys,
    })
}

pub(super) fn drop_index(text: &str, drop: &syntax::DropIndex) -> Result<DropIndex, Failure> {
    writable(text, &drop.collection)?;
    Ok(DropIndex {
        name: drop.name.text.clone(),
        if_present: drop.if_present,
        collection: drop.collection.name.text.clone(),
    })
}

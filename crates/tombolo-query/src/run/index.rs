//! CREATE INDEX and DROP INDEX.

use crate::check::statement::{CreateIndex, DropIndex};
use crate::error::QueryError;
use crate::outcome::{Outcome, OutcomeKind};
use crate::source::{IndexDefinition, IndexKey, Source, Target};

fn exists(target: &dyn Source, collection: &str, name: &str) -> Result<bool, QueryError> {
    let indexes = target.indexes(Some(collection))?;
    Ok(indexes.iter().any(|index| index.name == name))
}

/// Makes an index whose name is free.
pub(super) fn create(create: &CreateIndex, target: &mut dyn Target) -> Result<Outcome, QueryError> {
    let outcome = Outcome::of(OutcomeKind::Mutation);
    if exists(&*target, &create.collection, &create.name)? {
        if create.if_absent {
            return Ok(outcome);
        }
        return Err(QueryError::Evaluation(format!(
            "an index with the given name already exists on the given collection: {} on {}",
            create.name, create.collection
        )));
    }
    let keys = create.keys.iter().map(|(path, direction)| IndexKey {
        path: path.clone(),
        direction: *direction,
    });
    target.create_index(&IndexDefinition {
        name: create.name.clone(),
        collection: create.collection.clone(),
        keys: keys.collect(),
    })?;
    Ok(outcome)
}

/// Removes an index.
pub(super) fn drop_one(drop: &DropIndex, target: &mut dyn Target) -> Result<Outcome, QueryError> {
    let outcome = Outcome::of(OutcomeKind::Mutation);
    if !exists(&*target, &drop.collection, &drop.name)? {
        if drop.if_present {
            return Ok(outcome);
        }
        return Err(QueryError::Evaluation(format!(
            "there is no index {} on {}",
            drop.name, drop.collection
        )));
    }
    target.drop_index(&drop.collection, &drop.name)?;
    Ok(outcome)
}

//! From a row or a group to an item of the answer.

use tombolo_document::{Object, Value};

use crate::check::statement::{Column, Term};
use crate::error::QueryError;
use crate::evaluate::{Scope, evaluate};

/// The item that the columns make of this scope. MISSING columns are left out.
pub(crate) fn project<'a>(
    columns: &'a [Column],
    terms: &[Term],
    scope: &Scope<'a>,
) -> Result<Object, QueryError> {
    let mut item = Object::new();
    for column in columns {
        match column {
            Column::All => item = whole_row(terms, scope)?,
            Column::AllOf(term) => {
                if let Some(Some(document)) = scope.rows.get(*term) {
                    item.extend(document.to_object()?);
                }
            }
            Column::Without(path) => remove(&mut item, path),
            Column::Value { key, value } => {
                if let Some(value) = evaluate(value, scope)?.into_value() {
                    item.insert(key.clone(), value);
                }
            }
        }
    }
    Ok(item)
}

/// The bare document of one collection, or one object for each alias.
fn whole_row(terms: &[Term], scope: &Scope<'_>) -> Result<Object, QueryError> {
    let mut item = Object::new();
    for (term, document) in terms.iter().zip(scope.rows) {
        let Some(document) = document else { continue };
        if terms.len() == 1 && scope.run.bare_star {
            return document.to_object();
        }
        item.insert(
            term.name.alias.clone(),
            Value::Object(document.to_object()?),
        );
    }
    Ok(item)
}

fn remove(item: &mut Object, path: &[String]) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let mut inside = item;
    for step in parents {
        match inside.get_mut(step) {
            Some(Value::Object(members)) => inside = members,
            _ => return,
        }
    }
    inside.remove(last);
}

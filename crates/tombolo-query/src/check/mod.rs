//! From syntax to a checked statement: names, aggregates, kinds, and what may
//! not be written.

mod call;
pub(crate) mod expression;
pub(crate) mod names;
pub(crate) mod select;
pub(crate) mod statement;
mod write;

use std::collections::BTreeMap;

use tombolo_document::Field;

use expression::Binder;
use names::{ID, Names};
use statement::{Action, Collection};

use crate::parse::Failure;
use crate::syntax::{Body, CollectionName, FieldDeclaration};

/// Checks the body of a statement.
pub(crate) fn check(text: &str, body: &Body) -> Result<Action, Failure> {
    Ok(match body {
        Body::Select(select) => Action::Select(Box::new(select::check(text, select)?)),
        Body::Insert(insert) => Action::Insert(Box::new(write::insert(text, insert)?)),
        Body::Update(update) => Action::Update(Box::new(write::update(text, update)?)),
        Body::Remove(remove) => Action::Remove(Box::new(write::remove(text, remove)?)),
        Body::CreateIndex(create) => Action::CreateIndex(write::create_index(text, create)?),
        Body::DropIndex(drop) => Action::DropIndex(write::drop_index(text, drop)?),
        Body::AlterSet { name, value } => Action::AlterSet {
            name: name.text.clone(),
            value: Binder::rows(Names::none(text)).bind_optional(value.as_ref())?,
        },
        Body::AlterReset { name } => Action::AlterReset {
            name: name.as_ref().map(|name| name.text.clone()),
        },
        Body::Show { name, filter } => Action::Show {
            name: name.as_ref().map(|name| name.text.clone()),
            filter: filter.clone(),
        },
    })
}

/// Binds a condition over the documents of one collection without a name.
pub(crate) fn condition(
    text: &str,
    expression: &crate::syntax::Expression,
) -> Result<crate::expr::Expr, Failure> {
    let terms = [names::TermName {
        alias: String::new(),
        explicit: false,
    }];
    let names = Names {
        text,
        terms: &terms,
        outputs: &[],
    };
    Binder::rows(names).bind(expression)
}

fn collection(text: &str, name: &CollectionName) -> Result<Collection, Failure> {
    Ok(Collection {
        namespace: name.namespace,
        name: name.name.text.clone(),
        fields: declared(text, &name.fields)?,
    })
}

fn declared(text: &str, fields: &[FieldDeclaration]) -> Result<BTreeMap<String, Field>, Failure> {
    let mut declared = BTreeMap::new();
    for field in fields {
        let names = Names::none(text);
        let name = &field.name;
        if name.text == ID {
            return Err(names.error(name.span, "the document id `_id` has no kind to declare"));
        }
        let inner = Field {
            kind: field.kind,
            fields: self::declared(text, &field.fields)?,
        };
        if declared.insert(name.text.clone(), inner).is_some() {
            let message = format!("the field `{}` is declared twice", name.text);
            return Err(names.error(name.span, message));
        }
    }
    Ok(declared)
}

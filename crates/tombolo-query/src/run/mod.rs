//! Carries out checked statements.

pub(crate) mod advise;
pub(crate) mod aggregate;
mod collect;
pub(crate) mod draft;
mod index;
mod insert;
mod loops;
mod mutate;
mod project;
mod scan;
mod select;
mod show;
mod system;
mod write;

use tombolo_document::Object;

pub use draft::Drafted;
pub(crate) use loops::{Level, Loops};
pub(crate) use mutate::{level as mutation_level, loops as mutation_loops};
pub(crate) use select::{counts_only, levels};

use crate::check::statement::{Action, Returning};
use crate::context::Context;
use crate::error::QueryError;
use crate::evaluate::Run;
use crate::outcome::{Outcome, OutcomeKind};
use crate::plan::Options;
use crate::source::{Source, Target};

/// What every step of one run needs.
#[derive(Clone, Copy)]
pub(crate) struct Environment<'s> {
    pub context: &'s Context<'s>,
    pub run: &'s Run<'s>,
    pub options: &'s Options,
}

/// Carries out a statement that writes nothing.
pub(crate) fn read<'s>(
    action: &'s Action,
    source: &'s dyn Source,
    environment: Environment<'s>,
) -> Result<Outcome, QueryError> {
    match action {
        Action::Select(query) => {
            let items = select::select(query, source, environment)?;
            Ok(Outcome::of(OutcomeKind::Select).with_items(items))
        }
        Action::Show { name, filter } => {
            show::show(name.as_deref(), filter.as_ref(), environment.context)
        }
        Action::AlterSet { name, value } => show::alter(name, value.as_ref(), environment),
        Action::AlterReset { name } => show::reset(name.as_deref()),
        _ => Err(QueryError::ReadOnly),
    }
}

/// Carries out any statement.
pub(crate) fn execute(
    action: &Action,
    target: &mut dyn Target,
    environment: Environment<'_>,
) -> Result<Outcome, QueryError> {
    match action {
        Action::Insert(insert) => insert::insert(insert, target, environment),
        Action::Update(update) => mutate::update(update, target, environment),
        Action::Remove(remove) => mutate::remove(remove, target, environment),
        Action::CreateIndex(create) => index::create(create, target),
        Action::DropIndex(drop) => index::drop_one(drop, target),
        _ => read(action, &*target, environment),
    }
}

/// The items of RETURNING, for documents as (id, bytes) pairs.
fn returned<'d>(
    returning: Option<&Returning>,
    documents: impl IntoIterator<Item = (&'d [u8], &'d [u8])>,
    environment: Environment<'_>,
) -> Result<Vec<tombolo_document::Value>, QueryError> {
    let Some(returning) = returning else {
        return Ok(Vec::new());
    };
    select::shaped(returning, documents, environment)
}

/// An id as JSON, for errors.
fn shown(id: &tombolo_document::DocumentId) -> String {
    tombolo_document::json::print(&id.to_value())
}

/// A row of one member.
fn single(key: &str, value: tombolo_document::Value) -> Object {
    Object::from([(key.to_owned(), value)])
}

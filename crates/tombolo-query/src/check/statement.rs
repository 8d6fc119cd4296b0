//! A checked statement: every name bound, every rule of the grammar kept.

use std::collections::BTreeMap;

use tombolo_document::order::Direction;
use tombolo_document::{Field, Value};

use super::names::TermName;
use crate::expr::Expr;
use crate::run::aggregate::Aggregate;
pub(crate) use crate::syntax::{ConflictPolicy, Flavour, Mode, Namespace};

/// What a statement does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    Select(Box<Query>),
    Insert(Box<Insert>),
    Update(Box<Update>),
    Remove(Box<Remove>),
    CreateIndex(CreateIndex),
    DropIndex(DropIndex),
    AlterSet {
        name: String,
        value: Option<Expr>,
    },
    AlterReset {
        name: Option<String>,
    },
    Show {
        name: Option<String>,
        filter: Option<(Flavour, String)>,
    },
}

/// A collection and the kinds of its fields that the statement declares.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Collection {
    pub namespace: Namespace,
    pub name: String,
    pub fields: BTreeMap<String, Field>,
}

/// A collection and how the statement wants it read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Term {
    pub collection: Collection,
    pub name: TermName,
    pub ids: Option<Ids>,
    /// `USE INDEX`; the empty name forces a scan.
    pub index: Option<String>,
    /// `USE DIRECTIVES`
    pub directives: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ids {
    Each(Vec<Expr>),
    List(Expr),
}

/// A SELECT. Terms stand in the order of their nested loops.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    pub terms: Vec<Term>,
    /// One for each term behind the first.
    pub joins: Vec<Join>,
    pub filter: Option<Expr>,
    pub shape: Shape,
    pub distinct: bool,
    pub slice: Slice,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Join {
    /// Rows without a partner stay.
    pub outer: bool,
    pub on: Expr,
}

/// From rows to items: grouping, HAVING, projection and order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shape {
    pub grouping: Option<Grouping>,
    pub having: Option<Expr>,
    pub columns: Vec<Column>,
    pub order: Vec<OrderKey>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grouping {
    pub keys: Vec<Expr>,
    pub aggregates: Vec<Aggregate>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Column {
    All,
    AllOf(usize),
    Without(Vec<String>),
    Value { key: String, value: Expr },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OrderKey {
    pub value: Expr,
    pub direction: Direction,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Slice {
    pub limit: Option<Expr>,
    pub offset: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Insert {
    pub collection: Collection,
    pub source: InsertSource,
    pub conflict: ConflictPolicy,
    pub returning: Option<Returning>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum InsertSource {
    Documents(Vec<Expr>),
    Initial(Vec<Expr>),
    Select(Box<Query>),
}

/// Which documents a mutation works on, in which order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Selection {
    pub term: Term,
    pub filter: Option<Expr>,
    pub order: Vec<OrderKey>,
    pub slice: Slice,
}

/// How a mutation shows the documents that it touched.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Returning {
    pub terms: Vec<Term>,
    pub shape: Shape,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Update {
    pub selection: Selection,
    pub changes: Vec<Change>,
    pub returning: Option<Returning>,
}

/// One change of one field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub path: Vec<String>,
    pub operation: Operation,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operation {
    Increment(Expr),
    PnIncrement(Expr),
    Restart(Option<Expr>),
    Set(Expr),
    Unset,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Remove {
    pub evict: bool,
    pub selection: Selection,
    pub returning: Option<Returning>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CreateIndex {
    pub name: String,
    pub if_absent: bool,
    pub collection: String,
    pub keys: Vec<(Vec<String>, Direction)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DropIndex {
    pub name: String,
    pub if_present: bool,
    pub collection: String,
}

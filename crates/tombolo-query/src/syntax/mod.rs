//! What a statement says, as written. Nothing here is checked: names may not
//! exist, aggregates may stand anywhere. Heights are bounded by the parser.

mod expression;

use tombolo_document::{Kind, Value};

use crate::span::Span;

pub(crate) use expression::{
    BinaryOperator, Call, Expression, ExpressionKind, Flavour, Quantifier, Range, State,
};

/// A name with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Name {
    pub text: String,
    pub span: Span,
}

/// A statement with the word before it and its directives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StatementSyntax {
    pub mode: Mode,
    pub body: Body,
    pub directives: Vec<Value>,
}

/// What is asked about the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Execute,
    Explain,
    Profile,
    Advise { provision: bool },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Select(Box<Select>),
    Insert(Box<Insert>),
    Update(Box<Update>),
    Remove(Box<Remove>),
    CreateIndex(CreateIndex),
    DropIndex(DropIndex),
    AlterSet {
        name: Name,
        value: Option<Expression>,
    },
    AlterReset {
        name: Option<Name>,
    },
    Show {
        name: Option<Name>,
        filter: Option<(Flavour, String)>,
    },
}

/// A collection as a statement names it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CollectionName {
    pub namespace: Namespace,
    pub name: Name,
    pub fields: Vec<FieldDeclaration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Namespace {
    Default,
    System,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FieldDeclaration {
    pub name: Name,
    pub kind: Kind,
    pub fields: Vec<Self>,
}

/// A collection with what a statement says about reading it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Term {
    pub collection: CollectionName,
    pub alias: Option<Name>,
    pub ids: Option<UseIds>,
    pub index: Option<String>,
    pub directives: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum UseIds {
    Each(Vec<Expression>),
    List(Expression),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Select {
    pub distinct: Option<Span>,
    pub projection: Vec<Projection>,
    pub term: Term,
    pub joins: Vec<Join>,
    pub filter: Option<Expression>,
    pub group: Vec<Expression>,
    pub having: Option<Expression>,
    pub order: Vec<OrderKey>,
    pub slice: Slice,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Projection {
    pub kind: ProjectionKind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ProjectionKind {
    All,
    AllOf(Name),
    Without(Vec<Name>),
    Value {
        value: Expression,
        alias: Option<Name>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinKind {
    Inner,
    Left,
    Right,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Join {
    pub kind: JoinKind,
    pub term: Term,
    pub on: Expression,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OrderKey {
    pub value: Expression,
    pub descending: bool,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Slice {
    pub limit: Option<Expression>,
    pub offset: Option<Expression>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Insert {
    pub collection: CollectionName,
    pub source: InsertSource,
    pub conflict: ConflictPolicy,
    pub returning: Vec<Projection>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum InsertSource {
    Documents(Vec<Expression>),
    Initial(Vec<Expression>),
    Select(Box<Select>),
}

/// What to do about a document that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ConflictPolicy {
    #[default]
    Fail,
    Nothing,
    Update,
    UpdateLocalDiff,
}

/// Which documents a mutation works on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Selection {
    pub term: Term,
    pub filter: Option<Expression>,
    pub order: Vec<OrderKey>,
    pub slice: Slice,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Update {
    pub selection: Selection,
    pub apply: Vec<Apply>,
    pub set: Vec<(FieldPath, Expression)>,
    pub unset: Vec<FieldPath>,
    pub returning: Vec<Projection>,
    /// The first word behind the collection: where a clause was missing.
    pub clauses: Span,
}

/// A field that a mutation names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FieldPath {
    pub steps: Vec<Name>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Apply {
    pub path: FieldPath,
    pub operation: CounterOperation,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CounterOperation {
    Increment(Expression),
    PnIncrement(Expression),
    Restart(Option<Expression>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Remove {
    pub evict: bool,
    pub selection: Selection,
    pub returning: Vec<Projection>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CreateIndex {
    pub name: Name,
    pub if_absent: bool,
    pub collection: CollectionName,
    pub keys: Vec<(FieldPath, bool)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DropIndex {
    pub name: Name,
    pub if_present: bool,
    pub collection: CollectionName,
}

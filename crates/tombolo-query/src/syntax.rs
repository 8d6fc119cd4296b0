//! What a statement says, as written. Nothing here is checked: names may not
//! exist, aggregates may stand anywhere. Heights are bounded by the parser.

use tombolo_document::{Kind, Value};

use crate::span::Span;

/// A name with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Name {
    pub text: String,
    pub span: Span,
}

/// One expression with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expression {
    pub kind: ExpressionKind,
    pub span: Span,
    /// Levels of expressions below this one, and this one.
    pub height: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ExpressionKind {
    Literal(Value),
    Parameter(String),
    Path(Vec<Name>),
    Not(Box<Expression>),
    Negate(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Concatenate(Vec<Expression>),
    Binary {
        operator: BinaryOperator,
        left: Box<Expression>,
        right: Box<Expression>,
    },
    Between {
        value: Box<Expression>,
        low: Box<Expression>,
        high: Box<Expression>,
    },
    In {
        value: Box<Expression>,
        list: Box<Expression>,
    },
    Is {
        value: Box<Expression>,
        state: State,
    },
    Like {
        value: Box<Expression>,
        pattern: Box<Expression>,
        escape: Option<Box<Expression>>,
        flavour: Flavour,
    },
    Case {
        subject: Option<Box<Expression>>,
        branches: Vec<(Expression, Expression)>,
        otherwise: Option<Box<Expression>>,
    },
    Call(Box<Call>),
    Quantified {
        quantifier: Quantifier,
        range: Box<Range>,
        condition: Box<Expression>,
    },
    ArrayFor {
        item: Box<Expression>,
        range: Box<Range>,
        condition: Option<Box<Expression>>,
    },
    ObjectFor {
        key: Box<Expression>,
        item: Box<Expression>,
        range: Box<Range>,
        condition: Option<Box<Expression>>,
    },
    Array(Vec<Expression>),
    Object(Vec<(Expression, Expression)>),
}

/// A function or aggregate with what stands in its parentheses.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub name: Name,
    pub distinct: bool,
    /// `COUNT(*)`
    pub star: bool,
    pub arguments: Vec<Expression>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOperator {
    Xor,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    ShiftLeft,
    ShiftRight,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What `IS` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Null,
    Missing,
}

/// Which kind of pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    Like,
    LikeAnyCase,
    Similar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantifier {
    Any,
    Every,
    AnyAndEvery,
}

/// `[name:]item IN|WITHIN source`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Range {
    pub name: Option<Name>,
    pub item: Name,
    /// `WITHIN`: values inside values count too.
    pub deep: bool,
    pub source: Box<Expression>,
}

impl ExpressionKind {
    /// Visits the expressions directly inside.
    pub(crate) fn each_child(&self, visit: &mut dyn FnMut(&Expression)) {
        match self {
            Self::Literal(_) | Self::Parameter(_) | Self::Path(_) => {}
            Self::Not(operand) | Self::Negate(operand) => visit(operand),
            Self::And(items) | Self::Or(items) | Self::Concatenate(items) | Self::Array(items) => {
                items.iter().for_each(visit);
            }
            Self::Binary { left, right, .. } => [left, right].into_iter().for_each(|e| visit(e)),
            Self::Between { value, low, high } => {
                [value, low, high].into_iter().for_each(|e| visit(e));
            }
            Self::In { value, list } => [value, list].into_iter().for_each(|e| visit(e)),
            Self::Is { value, .. } => visit(value),
            Self::Like {
                value,
                pattern,
                escape,
                ..
            } => {
                [value, pattern].into_iter().for_each(|e| visit(e));
                escape.iter().for_each(|e| visit(e));
            }
            Self::Case {
                subject,
                branches,
                otherwise,
            } => {
                subject.iter().for_each(|e| visit(e));
                for (when, then) in branches {
                    visit(when);
                    visit(then);
                }
                otherwise.iter().for_each(|e| visit(e));
            }
            Self::Call(call) => call.arguments.iter().for_each(visit),
            Self::Quantified {
                range, condition, ..
            } => {
                visit(&range.source);
                visit(condition);
            }
            Self::ArrayFor {
                item,
                range,
                condition,
            } => {
                [item, &range.source].into_iter().for_each(|e| visit(e));
                condition.iter().for_each(|e| visit(e));
            }
            Self::ObjectFor {
                key,
                item,
                range,
                condition,
            } => {
                [key, item, &range.source]
                    .into_iter()
                    .for_each(|e| visit(e));
                condition.iter().for_each(|e| visit(e));
            }
            Self::Object(members) => {
                for (key, value) in members {
                    visit(key);
                    visit(value);
                }
            }
        }
    }
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
    Select(Select),
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

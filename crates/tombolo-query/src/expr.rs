//! Checked expressions: every name is bound to a place, every function to its
//! body. Made by the checker, read by the planner and the evaluator.

use tombolo_document::Value;

use crate::function::Function;
pub(crate) use crate::syntax::{BinaryOperator, Flavour, Quantifier, State};

/// A checked expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    Literal(Value),
    Parameter(String),
    /// A field of the document of one term; the path is never empty.
    Field {
        term: usize,
        path: Vec<String>,
    },
    /// The whole document of one term.
    Document(usize),
    /// The ids of every term by alias: what a bare `_id` means in a join.
    CompositeId(Vec<String>),
    /// A variable of ANY, EVERY, ARRAY or OBJECT: `up` ranges further out.
    Variable {
        up: usize,
        name: bool,
        path: Vec<String>,
    },
    /// A column of the row that is being projected.
    Output {
        key: String,
        path: Vec<String>,
    },
    GroupKey(usize),
    Aggregate(usize),
    Not(Box<Self>),
    Negate(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
    Concatenate(Vec<Self>),
    Binary {
        operator: BinaryOperator,
        operands: Box<(Self, Self)>,
    },
    Between(Box<(Self, Self, Self)>),
    In(Box<(Self, Self)>),
    Is {
        value: Box<Self>,
        state: State,
    },
    Like {
        operands: Box<(Self, Self)>,
        escape: Option<Box<Self>>,
        flavour: Flavour,
    },
    Case {
        subject: Option<Box<Self>>,
        branches: Vec<(Self, Self)>,
        otherwise: Option<Box<Self>>,
    },
    Call {
        function: &'static Function,
        arguments: Vec<Self>,
    },
    Quantified {
        quantifier: Quantifier,
        range: Box<ExprRange>,
        condition: Box<Self>,
    },
    ArrayFor {
        item: Box<Self>,
        range: Box<ExprRange>,
    },
    ObjectFor {
        member: Box<(Self, Self)>,
        range: Box<ExprRange>,
    },
    Array(Vec<Self>),
    Object(Vec<(Self, Self)>),
}

/// What ANY, EVERY, ARRAY and OBJECT go through.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExprRange {
    pub source: Expr,
    pub deep: bool,
    /// `WHEN`
    pub condition: Option<Expr>,
}

impl Expr {
    /// Visits this expression and every one inside, outermost first.
    pub(crate) fn walk(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        match self {
            Self::Not(inside) | Self::Negate(inside) | Self::Is { value: inside, .. } => {
                inside.walk(visit);
            }
            Self::And(items) | Self::Or(items) | Self::Concatenate(items) | Self::Array(items) => {
                items.iter().for_each(|item| item.walk(visit));
            }
            Self::Binary { operands, .. } | Self::In(operands) => {
                operands.0.walk(visit);
                operands.1.walk(visit);
            }
            Self::Between(operands) => {
                operands.0.walk(visit);
                operands.1.walk(visit);
                operands.2.walk(visit);
            }
            Self::Like {
                operands, escape, ..
            } => {
                operands.0.walk(visit);
                operands.1.walk(visit);
                escape.iter().for_each(|escape| escape.walk(visit));
            }
            Self::Case {
                subject,
                branches,
                otherwise,
            } => {
                subject.iter().for_each(|subject| subject.walk(visit));
                walk_pairs(branches, visit);
                otherwise.iter().for_each(|otherwise| otherwise.walk(visit));
            }
            Self::Call { arguments, .. } => arguments.iter().for_each(|item| item.walk(visit)),
            Self::Quantified {
                range, condition, ..
            } => {
                range.walk(visit);
                condition.walk(visit);
            }
            Self::ArrayFor { item, range } => {
                item.walk(visit);
                range.walk(visit);
            }
            Self::ObjectFor { member, range } => {
                member.0.walk(visit);
                member.1.walk(visit);
                range.walk(visit);
            }
            Self::Object(members) => walk_pairs(members, visit),
            _ => {}
        }
    }

    /// Whether every document it reads belongs to one of the terms for which
    /// `allowed` holds, and no row is needed otherwise.
    pub(crate) fn reads_only(&self, allowed: &dyn Fn(usize) -> bool) -> bool {
        let mut only = true;
        self.walk(&mut |expr| {
            only &= match expr {
                Self::Field { term, .. } | Self::Document(term) => allowed(*term),
                Self::CompositeId(_) | Self::Output { .. } | Self::GroupKey(_) => false,
                Self::Aggregate(_) => false,
                _ => true,
            };
        });
        only
    }
}

impl ExprRange {
    fn walk(&self, visit: &mut dyn FnMut(&Expr)) {
        self.source.walk(visit);
        self.condition.iter().for_each(|when| when.walk(visit));
    }
}

fn walk_pairs(pairs: &[(Expr, Expr)], visit: &mut dyn FnMut(&Expr)) {
    for (left, right) in pairs {
        left.walk(visit);
        right.walk(visit);
    }
}

//! What an expression says, as written. Heights are bounded by the parser.

use tombolo_document::Value;

use super::Name;
use crate::span::Span;

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
    pub(crate) fn each_child<'e>(&'e self, visit: &mut dyn FnMut(&'e Expression)) {
        let mut all = |children: &[&'e Expression]| children.iter().for_each(|child| visit(child));
        match self {
            Self::Literal(_) | Self::Parameter(_) | Self::Path(_) => {}
            Self::Not(inside) | Self::Negate(inside) | Self::Is { value: inside, .. } => {
                all(&[inside]);
            }
            Self::And(items) | Self::Or(items) | Self::Concatenate(items) | Self::Array(items) => {
                items.iter().for_each(visit);
            }
            Self::Binary { left, right, .. } => all(&[left, right]),
            Self::Between { value, low, high } => all(&[value, low, high]),
            Self::In { value, list } => all(&[value, list]),
            Self::Call(call) => call.arguments.iter().for_each(visit),
            Self::Quantified {
                range, condition, ..
            } => all(&[&range.source, condition]),
            _ => self.each_child_of_form(visit),
        }
    }

    /// The forms with optional or repeated parts.
    fn each_child_of_form<'e>(&'e self, visit: &mut dyn FnMut(&'e Expression)) {
        match self {
            Self::Like {
                value,
                pattern,
                escape,
                ..
            } => {
                visit(value);
                visit(pattern);
                escape.as_deref().into_iter().for_each(visit);
            }
            Self::Case {
                subject,
                branches,
                otherwise,
            } => {
                subject.as_deref().into_iter().for_each(&mut *visit);
                each_of_pairs(branches, visit);
                otherwise.as_deref().into_iter().for_each(visit);
            }
            Self::ArrayFor {
                item,
                range,
                condition,
            } => {
                visit(item);
                visit(&range.source);
                condition.as_deref().into_iter().for_each(visit);
            }
            Self::ObjectFor {
                key,
                item,
                range,
                condition,
            } => {
                visit(key);
                visit(item);
                visit(&range.source);
                condition.as_deref().into_iter().for_each(visit);
            }
            Self::Object(members) => each_of_pairs(members, visit),
            _ => {}
        }
    }
}

fn each_of_pairs<'e>(pairs: &'e [(Expression, Expression)], visit: &mut dyn FnMut(&'e Expression)) {
    for (left, right) in pairs {
        visit(left);
        visit(right);
    }
}

//! Operators by binding power: the higher binds tighter. AND, OR and `||` chains
//! become flat lists, so that a long filter is not a deep one.

use tombolo_document::Value;

use super::NESTING_MAX;
use super::cursor::Cursor;
use super::error::Failure;
use super::token::{TokenKind, unescape};
use crate::span::Span;
use crate::syntax::{BinaryOperator, Expression, ExpressionKind, Flavour, Name, State};

const OR: u8 = 5;
const XOR: u8 = 7;
const AND: u8 = 10;
const NOT: u8 = 15;
const IS: u8 = 17;
const LIKE: u8 = 19;
const COMPARE: u8 = 20;
const SHIFT: u8 = 22;
const ADD: u8 = 30;
const MULTIPLY: u8 = 40;
const NEGATE: u8 = 50;

/// An operator behind an operand.
enum Infix {
    And,
    Or,
    Concatenate,
    Binary(BinaryOperator),
    Is,
    Between,
    In,
    Like(Flavour),
}

impl Cursor<'_> {
    /// One expression.
    pub(super) fn expression(&mut self) -> Result<Expression, Failure> {
        self.operand(0)
    }

    /// An expression whose operators bind tighter than `power`.
    pub(super) fn operand(&mut self, power: u8) -> Result<Expression, Failure> {
        self.enter()?;
        let mut left = self.prefix()?;
        while let Some((infix, strength, negated)) = self.infix() {
            if strength <= power {
                break;
            }
            left = self.continued(left, &infix, strength)?;
            if negated {
                left = self.node(left.span, ExpressionKind::Not(Box::new(left)))?;
            }
        }
        self.leave();
        Ok(left)
    }

    fn prefix(&mut self) -> Result<Expression, Failure> {
        let start = self.span();
        if self.take("NOT") {
            let operand = self.operand(NOT)?;
            return self.node(self.since(start), ExpressionKind::Not(Box::new(operand)));
        }
        if self.take_kind(TokenKind::Minus) {
            let operand = self.operand(NEGATE)?;
            return self.node(self.since(start), negated(operand));
        }
        if self.take_kind(TokenKind::Plus) {
            return self.operand(NEGATE);
        }
        self.primary()
    }

    /// The operator at the cursor, how tight it binds, and whether NOT stands
    /// before it.
    fn infix(&self) -> Option<(Infix, u8, bool)> {
        use BinaryOperator as B;
        let plain = |infix, strength| Some((infix, strength, false));
        match self.token().kind {
            TokenKind::Equal => plain(Infix::Binary(B::Equal), COMPARE),
            TokenKind::NotEqual => plain(Infix::Binary(B::NotEqual), COMPARE),
            TokenKind::Less => plain(Infix::Binary(B::Less), COMPARE),
            TokenKind::LessOrEqual => plain(Infix::Binary(B::LessOrEqual), COMPARE),
            TokenKind::Greater => plain(Infix::Binary(B::Greater), COMPARE),
            TokenKind::GreaterOrEqual => plain(Infix::Binary(B::GreaterOrEqual), COMPARE),
            TokenKind::ShiftLeft => plain(Infix::Binary(B::ShiftLeft), SHIFT),
            TokenKind::ShiftRight => plain(Infix::Binary(B::ShiftRight), SHIFT),
            TokenKind::Plus => plain(Infix::Binary(B::Add), ADD),
            TokenKind::Minus => plain(Infix::Binary(B::Subtract), ADD),
            TokenKind::Concatenate => plain(Infix::Concatenate, ADD),
            TokenKind::Star => plain(Infix::Binary(B::Multiply), MULTIPLY),
            TokenKind::Slash => plain(Infix::Binary(B::Divide), MULTIPLY),
            TokenKind::Percent => plain(Infix::Binary(B::Remainder), MULTIPLY),
            TokenKind::Word => self.infix_word(),
            _ => None,
        }
    }

    fn infix_word(&self) -> Option<(Infix, u8, bool)> {
        let negated = self.is("NOT");
        let distance = usize::from(negated);
        let found = if self.is_ahead(distance, "BETWEEN") {
            (Infix::Between, COMPARE)
        } else if self.is_ahead(distance, "IN") {
            (Infix::In, COMPARE)
        } else if self.is_ahead(distance, "LIKE") {
            (Infix::Like(Flavour::Like), LIKE)
        } else if self.is_ahead(distance, "ILIKE") {
            (Infix::Like(Flavour::LikeAnyCase), LIKE)
        } else if self.is_ahead(distance, "SIMILAR") {
            (Infix::Like(Flavour::Similar), LIKE)
        } else if negated {
            return None;
        } else if self.is("IS") {
            (Infix::Is, IS)
        } else if self.is("AND") {
            (Infix::And, AND)
        } else if self.is("XOR") {
            (Infix::Binary(BinaryOperator::Xor), XOR)
        } else if self.is("OR") {
            (Infix::Or, OR)
        } else {
            return None;
        };
        Some((found.0, found.1, negated))
    }

    fn continued(
        &mut self,
        left: Expression,
        infix: &Infix,
        strength: u8,
    ) -> Result<Expression, Failure> {
        let start = left.span;
        self.skip(usize::from(self.is("NOT")) + 1);
        let kind = match infix {
            Infix::And => flat(left, self.operand(strength)?, Chain::And),
            Infix::Or => flat(left, self.operand(strength)?, Chain::Or),
            Infix::Concatenate => flat(left, self.operand(strength)?, Chain::Concatenate),
            Infix::Binary(operator) => ExpressionKind::Binary {
                operator: *operator,
                left: Box::new(left),
                right: Box::new(self.operand(strength)?),
            },
            Infix::Is => self.is_state(left)?,
            Infix::Between => {
                let low = Box::new(self.operand(COMPARE)?);
                self.expect("AND")?;
                ExpressionKind::Between {
                    value: Box::new(left),
                    low,
                    high: Box::new(self.operand(COMPARE)?),
                }
            }
            Infix::In => ExpressionKind::In {
                value: Box::new(left),
                list: Box::new(self.in_list()?),
            },
            Infix::Like(flavour) => self.like(left, *flavour)?,
        };
        self.node(self.since(start), kind)
    }

    fn is_state(&mut self, value: Expression) -> Result<ExpressionKind, Failure> {
        let span = self.span();
        let negated = self.take("NOT");
        let state = if self.take("NULL") || self.take("UNKNOWN") {
            State::Null
        } else if self.take("MISSING") {
            State::Missing
        } else {
            let words = &["NULL", "MISSING", "UNKNOWN", "NOT"];
            return Err(self.unexpected("NULL, MISSING or UNKNOWN", words));
        };
        let test = ExpressionKind::Is {
            value: Box::new(value),
            state,
        };
        if !negated {
            return Ok(test);
        }
        let test = self.node(self.since(span), test)?;
        Ok(ExpressionKind::Not(Box::new(test)))
    }

    fn like(&mut self, value: Expression, flavour: Flavour) -> Result<ExpressionKind, Failure> {
        if flavour == Flavour::Similar {
            self.expect("TO")?;
        }
        let pattern = Box::new(self.operand(LIKE)?);
        let escape = match self.take("ESCAPE") {
            true => Some(Box::new(self.operand(LIKE)?)),
            false => None,
        };
        Ok(ExpressionKind::Like {
            value: Box::new(value),
            pattern,
            escape,
            flavour,
        })
    }

    /// `(a, b)` is a list of two; anything else must give an array.
    fn in_list(&mut self) -> Result<Expression, Failure> {
        let start = self.span();
        if !self.take_kind(TokenKind::Open) {
            return self.operand(COMPARE);
        }
        if self.is("SELECT") {
            return Err(self.no_subquery());
        }
        let items = self.list_until(TokenKind::Close, "`)`")?;
        self.node(self.since(start), ExpressionKind::Array(items))
    }

    /// Expressions with commas between them, up to and with the closing token.
    pub(super) fn list_until(
        &mut self,
        close: TokenKind,
        name: &str,
    ) -> Result<Vec<Expression>, Failure> {
        let mut items = Vec::new();
        if self.take_kind(close) {
            return Ok(items);
        }
        loop {
            items.push(self.expression()?);
            if self.take_kind(close) {
                return Ok(items);
            }
            let expected = format!("`,` or {name}");
            self.expect_kind(TokenKind::Comma, &expected)?;
        }
    }

    pub(super) fn no_subquery(&self) -> Failure {
        self.error(self.span(), "a SELECT cannot stand inside an expression")
            .with_hint("run it first and pass its rows as an argument")
    }

    fn primary(&mut self) -> Result<Expression, Failure> {
        let token = self.token();
        let literal = |value| ExpressionKind::Literal(value);
        let kind = match token.kind {
            TokenKind::Integer | TokenKind::Hexadecimal | TokenKind::Float => {
                let value = self
                    .number(self.text_of(token))
                    .ok_or_else(|| self.error(token.span, "this number does not fit 64 bits"))?;
                literal(value)
            }
            TokenKind::Text => literal(Value::String(unescape(self.text_of(token)))),
            TokenKind::Colon => return self.parameter(),
            TokenKind::Open => return self.parenthesized(),
            TokenKind::OpenBracket => {
                self.skip(1);
                let items = self.list_until(TokenKind::CloseBracket, "`]`")?;
                return self.node(self.since(token.span), ExpressionKind::Array(items));
            }
            TokenKind::OpenBrace => return self.object(),
            TokenKind::Word | TokenKind::Identifier => return self.word(),
            _ => return Err(self.unexpected("an expression", &[])),
        };
        self.skip(1);
        self.node(token.span, kind)
    }

    fn number(&self, text: &str) -> Option<Value> {
        if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            return u64::from_str_radix(digits, 16).ok().map(Value::from_u64);
        }
        match text.parse::<u64>() {
            Ok(integer) => Some(Value::from_u64(integer)),
            Err(_) => Value::from_f64(text.parse().ok()?),
        }
    }

    fn parameter(&mut self) -> Result<Expression, Failure> {
        let colon = self.span();
        let token = self.ahead(1);
        if token.kind != TokenKind::Word || token.span.start != colon.end {
            return Err(self.error(colon, "expected the name of a parameter behind `:`"));
        }
        self.skip(2);
        let name = self.text_of(token).to_owned();
        let parameter = self.node(colon.to(token.span), ExpressionKind::Parameter(name))?;
        if self.is_kind(TokenKind::Dot) {
            return Err(self
                .error(self.span(), "a parameter has no fields")
                .with_hint("pass the field as an argument of its own"));
        }
        Ok(parameter)
    }

    fn parenthesized(&mut self) -> Result<Expression, Failure> {
        let open = self.span();
        self.skip(1);
        if self.is("SELECT") {
            return Err(self.no_subquery());
        }
        let mut inside = self.expression()?;
        self.expect_kind(TokenKind::Close, "`)`")?;
        inside.span = self.since(open);
        Ok(inside)
    }

    /// `{'key': value, ...}`
    fn object(&mut self) -> Result<Expression, Failure> {
        let open = self.span();
        self.skip(1);
        let mut members = Vec::new();
        if !self.take_kind(TokenKind::CloseBrace) {
            loop {
                let key = self.operand(0)?;
                self.expect_kind(TokenKind::Colon, "`:`")?;
                members.push((key, self.expression()?));
                if self.take_kind(TokenKind::CloseBrace) {
                    break;
                }
                self.expect_kind(TokenKind::Comma, "`,` or `}`")?;
            }
        }
        self.node(self.since(open), ExpressionKind::Object(members))
    }

    /// `a.b.c`
    pub(super) fn path(&mut self) -> Result<Vec<Name>, Failure> {
        let mut steps = vec![self.name("a field name")?];
        while self.is_kind(TokenKind::Dot) && self.ahead(1).kind != TokenKind::Star {
            self.skip(1);
            steps.push(self.step()?);
        }
        if self.is_kind(TokenKind::OpenBracket) {
            return Err(self
                .error(self.span(), "an element of an array has no path")
                .with_hint("use ANY or ARRAY ... FOR to look into an array, or write it whole"));
        }
        Ok(steps)
    }

    /// An expression node, unless it is too high.
    pub(super) fn node(&self, span: Span, kind: ExpressionKind) -> Result<Expression, Failure> {
        let mut height = 1;
        kind.each_child(&mut |child| height = height.max(child.height + 1));
        if height > NESTING_MAX {
            return Err(self.too_deep(span));
        }
        Ok(Expression { kind, span, height })
    }
}

/// `-5` is a literal, so that the smallest integer can be written.
fn negated(operand: Expression) -> ExpressionKind {
    let number = match &operand.kind {
        ExpressionKind::Literal(Value::Int(number)) => i128::from(*number),
        ExpressionKind::Literal(Value::Uint(number)) => i128::from(*number),
        ExpressionKind::Literal(Value::Float(number)) => {
            return ExpressionKind::Literal(Value::Float(0.0 - *number));
        }
        _ => return ExpressionKind::Negate(Box::new(operand)),
    };
    ExpressionKind::Literal(Value::from_i128(-number))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chain {
    And,
    Or,
    Concatenate,
}

/// `left` and `right` joined, with `left` taken apart if it is the same chain.
fn flat(left: Expression, right: Expression, chain: Chain) -> ExpressionKind {
    let mut items = match (chain, left.kind) {
        (Chain::And, ExpressionKind::And(items))
        | (Chain::Or, ExpressionKind::Or(items))
        | (Chain::Concatenate, ExpressionKind::Concatenate(items)) => items,
        (_, kind) => vec![Expression { kind, ..left }],
    };
    items.push(right);
    match chain {
        Chain::And => ExpressionKind::And(items),
        Chain::Or => ExpressionKind::Or(items),
        Chain::Concatenate => ExpressionKind::Concatenate(items),
    }
}

//! Expressions that begin with a word: paths, calls, CASE, ANY and EVERY, ARRAY
//! and OBJECT, and the functions with a grammar of their own.

use tombolo_document::Value;

use super::cursor::Cursor;
use super::error::Failure;
use super::token::TokenKind;
use crate::syntax::{Call, Expression, ExpressionKind, Name, Quantifier, Range};

impl Cursor<'_> {
    /// An expression that begins with a word.
    pub(super) fn word(&mut self) -> Result<Expression, Failure> {
        let start = self.span();
        let call = self.ahead(1).kind == TokenKind::Open;
        let kind = if self.take("TRUE") {
            ExpressionKind::Literal(Value::Bool(true))
        } else if self.take("FALSE") {
            ExpressionKind::Literal(Value::Bool(false))
        } else if self.take("NULL") {
            ExpressionKind::Literal(Value::Null)
        } else if self.is("CASE") {
            self.case()?
        } else if self.is("ANY") || self.is_every() {
            self.quantified()?
        } else if self.is("ARRAY") {
            self.array_for()?
        } else if self.is("OBJECT") {
            self.object_for()?
        } else if call {
            self.call()?
        } else {
            ExpressionKind::Path(self.path()?)
        };
        self.node(self.since(start), kind)
    }

    fn is_every(&self) -> bool {
        let range = ["IN", "WITHIN"];
        let plain = range.iter().any(|word| self.is_ahead(2, word));
        let named = self.ahead(2).kind == TokenKind::Colon;
        self.is("EVERY") && self.is_name(1) && (plain || named)
    }

    fn case(&mut self) -> Result<ExpressionKind, Failure> {
        self.expect("CASE")?;
        let subject = match self.is("WHEN") {
            true => None,
            false => Some(Box::new(self.expression()?)),
        };
        let mut branches = Vec::new();
        while self.take("WHEN") {
            let when = self.expression()?;
            self.expect("THEN")?;
            branches.push((when, self.expression()?));
        }
        if branches.is_empty() {
            return Err(self.unexpected("WHEN", &["WHEN"]));
        }
        let otherwise = match self.take("ELSE") {
            true => Some(Box::new(self.expression()?)),
            false => None,
        };
        self.expect("END")?;
        Ok(ExpressionKind::Case {
            subject,
            branches,
            otherwise,
        })
    }

    fn quantified(&mut self) -> Result<ExpressionKind, Failure> {
        let quantifier = if self.take("EVERY") {
            Quantifier::Every
        } else {
            self.expect("ANY")?;
            if self.is("AND") && self.is_next("EVERY") {
                self.skip(2);
                Quantifier::AnyAndEvery
            } else {
                Quantifier::Any
            }
        };
        let range = Box::new(self.range()?);
        self.expect("SATISFIES")?;
        let condition = Box::new(self.expression()?);
        self.expect("END")?;
        Ok(ExpressionKind::Quantified {
            quantifier,
            range,
            condition,
        })
    }

    fn range(&mut self) -> Result<Range, Failure> {
        let mut item = self.name("the name of a variable")?;
        let mut name = None;
        if self.take_kind(TokenKind::Colon) {
            name = Some(item);
            item = self.name("the name of a variable")?;
        }
        let deep = self.take("WITHIN");
        if !deep && !self.take("IN") {
            return Err(self.unexpected("IN or WITHIN", &["IN", "WITHIN"]));
        }
        Ok(Range {
            name,
            item,
            deep,
            source: Box::new(self.expression()?),
        })
    }

    fn array_for(&mut self) -> Result<ExpressionKind, Failure> {
        self.expect("ARRAY")?;
        let item = Box::new(self.expression()?);
        self.expect("FOR")?;
        let range = Box::new(self.range()?);
        let condition = self.when()?;
        Ok(ExpressionKind::ArrayFor {
            item,
            range,
            condition,
        })
    }

    fn object_for(&mut self) -> Result<ExpressionKind, Failure> {
        self.expect("OBJECT")?;
        let key = Box::new(self.expression()?);
        self.expect_kind(TokenKind::Colon, "`:`")?;
        let item = Box::new(self.expression()?);
        self.expect("FOR")?;
        let range = Box::new(self.range()?);
        let condition = self.when()?;
        Ok(ExpressionKind::ObjectFor {
            key,
            item,
            range,
            condition,
        })
    }

    fn when(&mut self) -> Result<Option<Box<Expression>>, Failure> {
        let condition = match self.take("WHEN") {
            true => Some(Box::new(self.expression()?)),
            false => None,
        };
        self.expect("END")?;
        Ok(condition)
    }

    fn call(&mut self) -> Result<ExpressionKind, Failure> {
        let token = self.token();
        let quoted = token.kind == TokenKind::Identifier;
        let name = if quoted {
            self.name("the name of a function")?
        } else {
            self.skip(1);
            Name {
                text: self.text_of(token).to_owned(),
                span: token.span,
            }
        };
        self.skip(1);
        match name.text.to_ascii_uppercase().as_str() {
            "CAST" if !quoted => self.cast(name),
            "POSITION" if !quoted => self.position(name),
            "TRIM" if !quoted => self.trim(name),
            _ => self.arguments(name),
        }
    }

    fn arguments(&mut self, name: Name) -> Result<ExpressionKind, Failure> {
        let star = self.is_kind(TokenKind::Star) && self.ahead(1).kind == TokenKind::Close;
        let mut call = Call {
            name,
            distinct: false,
            star,
            arguments: Vec::new(),
        };
        if star {
            self.skip(2);
            return Ok(ExpressionKind::Call(Box::new(call)));
        }
        call.distinct = self.take("DISTINCT");
        call.arguments = self.list_until(TokenKind::Close, "`)`")?;
        Ok(ExpressionKind::Call(Box::new(call)))
    }

    /// `CAST(v AS t)` or `CAST(v, 't')`
    fn cast(&mut self, name: Name) -> Result<ExpressionKind, Failure> {
        let value = self.expression()?;
        if self.take_kind(TokenKind::Comma) {
            let mut arguments = vec![value];
            arguments.extend(self.list_until(TokenKind::Close, "`)`")?);
            return Ok(called(name, arguments));
        }
        self.expect("AS")?;
        let span = self.span();
        let kind = self.step()?.text;
        self.expect_kind(TokenKind::Close, "`)`")?;
        let kind = self.node(span, ExpressionKind::Literal(Value::String(kind)))?;
        Ok(called(name, vec![value, kind]))
    }

    /// `POSITION(part IN text)` as `pos(text, part)`.
    fn position(&mut self, name: Name) -> Result<ExpressionKind, Failure> {
        const TIGHTER_THAN_IN: u8 = 20;
        let part = self.operand(TIGHTER_THAN_IN)?;
        if self.take_kind(TokenKind::Comma) {
            let mut arguments = vec![part];
            arguments.extend(self.list_until(TokenKind::Close, "`)`")?);
            return Ok(called(name, arguments));
        }
        self.expect("IN")?;
        let text = self.expression()?;
        self.expect_kind(TokenKind::Close, "`)`")?;
        Ok(called(renamed(&name, "pos"), vec![text, part]))
    }

    /// `TRIM([BOTH|LEADING|TRAILING] [characters] FROM text)` or `TRIM(text, ...)`.
    fn trim(&mut self, name: Name) -> Result<ExpressionKind, Failure> {
        let (function, sided) = if self.take("LEADING") {
            ("ltrim", true)
        } else if self.take("TRAILING") {
            ("rtrim", true)
        } else {
            ("trim", self.take("BOTH"))
        };
        let name = renamed(&name, function);
        if sided && self.take("FROM") {
            return self.arguments(name);
        }
        let characters = self.expression()?;
        if self.take("FROM") {
            let text = self.expression()?;
            self.expect_kind(TokenKind::Close, "`)`")?;
            return Ok(called(name, vec![text, characters]));
        }
        if sided {
            return Err(self.unexpected("FROM", &["FROM"]));
        }
        let mut arguments = vec![characters];
        if !self.take_kind(TokenKind::Close) {
            self.expect_kind(TokenKind::Comma, "`,`, `)` or FROM")?;
            arguments.extend(self.list_until(TokenKind::Close, "`)`")?);
        }
        Ok(called(name, arguments))
    }
}

fn called(name: Name, arguments: Vec<Expression>) -> ExpressionKind {
    ExpressionKind::Call(Box::new(Call {
        name,
        distinct: false,
        star: false,
        arguments,
    }))
}

fn renamed(name: &Name, text: &str) -> Name {
    Name {
        text: text.to_owned(),
        span: name.span,
    }
}

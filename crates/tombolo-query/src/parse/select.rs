//! SELECT: projection, terms, joins and the clauses behind them.

use super::cursor::{Cursor, directive_object};
use super::error::Failure;
use super::token::TokenKind;
use super::words;
use crate::syntax::{
    CollectionName, Expression, FieldDeclaration, Join, JoinKind, Name, Namespace, OrderKey,
    Projection, ProjectionKind, Select, Slice, Term, UseIds,
};
use tombolo_document::Kind;

impl Cursor<'_> {
    /// What follows the word SELECT.
    pub(super) fn select(&mut self) -> Result<Select, Failure> {
        let start = self.span();
        let distinct = self.take("DISTINCT").then_some(start);
        let projection = self.projections()?;
        self.expect("FROM")?;
        let term = self.term()?;
        let joins = self.joins()?;
        if self.is_kind(TokenKind::Comma) {
            return Err(self
                .unexpected("JOIN or a clause", &[])
                .with_hint("collections are joined with JOIN ... ON, not with a comma"));
        }
        let filter = self.filter()?;
        let mut group = Vec::new();
        if self.take("GROUP") {
            self.expect("BY")?;
            group = self.expressions()?;
        }
        let having = match self.take("HAVING") {
            true => Some(self.expression()?),
            false => None,
        };
        Ok(Select {
            distinct,
            projection,
            term,
            joins,
            filter,
            group,
            having,
            order: self.order()?,
            slice: self.slice()?,
        })
    }

    /// A projection list.
    pub(super) fn projections(&mut self) -> Result<Vec<Projection>, Failure> {
        let mut projections = vec![self.projection()?];
        while self.take_kind(TokenKind::Comma) {
            projections.push(self.projection()?);
        }
        Ok(projections)
    }

    fn projection(&mut self) -> Result<Projection, Failure> {
        let start = self.span();
        let kind = if self.take_kind(TokenKind::Star) {
            ProjectionKind::All
        } else if self.is_name(0)
            && self.ahead(1).kind == TokenKind::Dot
            && self.ahead(2).kind == TokenKind::Star
        {
            let name = self.name("an alias")?;
            self.skip(2);
            ProjectionKind::AllOf(name)
        } else if self.take("MISSING") {
            ProjectionKind::Without(self.path()?)
        } else {
            let value = self.expression()?;
            let alias = self.alias("an alias")?;
            ProjectionKind::Value { value, alias }
        };
        Ok(Projection {
            kind,
            span: self.since(start),
        })
    }

    /// `AS name`, or a bare name that cannot be the next clause.
    fn alias(&mut self, what: &str) -> Result<Option<Name>, Failure> {
        if self.take("AS") {
            return self.name(what).map(Some);
        }
        let clause = self.is("USE")
            && ["IDS", "INDEX", "DIRECTIVES"]
                .iter()
                .any(|word| self.is_next(word));
        if self.is_name(0) && !clause {
            return self.name(what).map(Some);
        }
        Ok(None)
    }

    /// A collection with alias and access hints.
    pub(super) fn term(&mut self) -> Result<Term, Failure> {
        let mut term = Term {
            collection: self.collection()?,
            alias: self.alias("an alias")?,
            ids: None,
            index: None,
            directives: None,
        };
        while self.is("USE") {
            self.skip(1);
            if self.take("IDS") {
                term.ids = Some(self.use_ids()?);
            } else if self.take("INDEX") {
                term.index = Some(self.string("the name of an index as a string")?);
            } else if self.take("DIRECTIVES") {
                let span = self.span();
                let text = self.string("a JSON object as a string")?;
                let object =
                    directive_object(&text).map_err(|message| self.error(span, message))?;
                term.directives = Some(object);
            } else {
                let words = &["IDS", "INDEX", "DIRECTIVES"];
                return Err(self.unexpected("IDS, INDEX or DIRECTIVES", words));
            }
        }
        Ok(term)
    }

    fn use_ids(&mut self) -> Result<UseIds, Failure> {
        if self.take("LIST") {
            return Ok(UseIds::List(self.expression()?));
        }
        if self.is_kind(TokenKind::Open) {
            return Err(self
                .error(self.span(), "a list in parentheses is not supported here")
                .with_hint("write USE IDS 'a', 'b' or USE IDS LIST :ids"));
        }
        Ok(UseIds::Each(self.expressions()?))
    }

    /// `name`, `default:name`, `system:name` or `COLLECTION name (field KIND, ...)`.
    pub(super) fn collection(&mut self) -> Result<CollectionName, Failure> {
        if self.is("COLLECTION") {
            if !self.is_name(1) {
                return Err(self.no_name("the name of a collection"));
            }
            self.skip(1);
            let name = self.name("the name of a collection")?;
            let fields = match self.is_kind(TokenKind::Open) {
                true => self.field_declarations()?,
                false => Vec::new(),
            };
            return Ok(CollectionName {
                namespace: Namespace::Default,
                name,
                fields,
            });
        }
        let mut name = self.name("the name of a collection")?;
        let mut namespace = Namespace::Default;
        if self.take_kind(TokenKind::Colon) {
            namespace = match name.text.to_ascii_lowercase().as_str() {
                "default" => Namespace::Default,
                "system" => Namespace::System,
                other => {
                    let message = format!("there is no namespace `{other}`");
                    return Err(self
                        .error(name.span, message)
                        .with_hint("namespaces are default and system"));
                }
            };
            name = self.name("the name of a collection")?;
        }
        Ok(CollectionName {
            namespace,
            name,
            fields: Vec::new(),
        })
    }

    fn field_declarations(&mut self) -> Result<Vec<FieldDeclaration>, Failure> {
        self.enter()?;
        self.expect_kind(TokenKind::Open, "`(`")?;
        let mut fields = vec![self.field_declaration()?];
        while self.take_kind(TokenKind::Comma) {
            fields.push(self.field_declaration()?);
        }
        self.expect_kind(TokenKind::Close, "`,` or `)`")?;
        self.leave();
        Ok(fields)
    }

    fn field_declaration(&mut self) -> Result<FieldDeclaration, Failure> {
        let name = self.name("a field name")?;
        let kinds = Kind::ALL.into_iter().find(|kind| self.is(kind.name()));
        let pn_counter = self.is("PNCOUNTER").then_some(Kind::PnCounter);
        let Some(kind) = kinds.or(pn_counter) else {
            return Err(self.unexpected(
                "REGISTER, MAP, COUNTER, PN_COUNTER or ATTACHMENT",
                &["REGISTER", "MAP", "COUNTER", "PN_COUNTER", "ATTACHMENT"],
            ));
        };
        self.skip(1);
        let fields = match kind == Kind::Map && self.is_kind(TokenKind::Open) {
            true => self.field_declarations()?,
            false => Vec::new(),
        };
        Ok(FieldDeclaration { name, kind, fields })
    }

    fn joins(&mut self) -> Result<Vec<Join>, Failure> {
        let mut joins = Vec::new();
        while let Some(kind) = self.join_kind()? {
            let start = self.span();
            let term = self.term()?;
            self.expect("ON")?;
            joins.push(Join {
                kind,
                term,
                on: self.expression()?,
                span: self.since(start),
            });
        }
        Ok(joins)
    }

    fn join_kind(&mut self) -> Result<Option<JoinKind>, Failure> {
        for word in ["FULL", "CROSS", "NATURAL"] {
            if self.is(word) {
                return Err(self
                    .error(self.span(), format!("{word} joins are not supported"))
                    .with_hint("there are JOIN, LEFT JOIN and RIGHT JOIN, each with ON"));
            }
        }
        let kind = if self.take("LEFT") {
            self.take("OUTER");
            JoinKind::Left
        } else if self.take("RIGHT") {
            self.take("OUTER");
            JoinKind::Right
        } else if self.take("INNER") || self.is("JOIN") {
            JoinKind::Inner
        } else {
            return Ok(None);
        };
        self.expect("JOIN")?;
        Ok(Some(kind))
    }

    pub(super) fn filter(&mut self) -> Result<Option<Expression>, Failure> {
        match self.take("WHERE") {
            true => self.expression().map(Some),
            false => Ok(None),
        }
    }

    pub(super) fn order(&mut self) -> Result<Vec<OrderKey>, Failure> {
        let mut keys = Vec::new();
        if !self.take("ORDER") {
            return Ok(keys);
        }
        self.expect("BY")?;
        loop {
            let value = self.expression()?;
            let descending = self.take("DESC");
            if !descending {
                self.take("ASC");
            }
            keys.push(OrderKey { value, descending });
            if !self.take_kind(TokenKind::Comma) {
                return Ok(keys);
            }
        }
    }

    pub(super) fn slice(&mut self) -> Result<Slice, Failure> {
        let mut slice = Slice::default();
        if self.take("LIMIT") {
            slice.limit = Some(self.expression()?);
        }
        if self.take("OFFSET") {
            slice.offset = Some(self.expression()?);
        }
        Ok(slice)
    }

    pub(super) fn expressions(&mut self) -> Result<Vec<Expression>, Failure> {
        let mut expressions = vec![self.expression()?];
        while self.take_kind(TokenKind::Comma) {
            expressions.push(self.expression()?);
        }
        Ok(expressions)
    }

    pub(super) fn returning(&mut self) -> Result<Vec<Projection>, Failure> {
        self.clauses(&words::SELECT_CLAUSES[..0]);
        match self.take("RETURNING") {
            true => self.projections(),
            false => Ok(Vec::new()),
        }
    }
}

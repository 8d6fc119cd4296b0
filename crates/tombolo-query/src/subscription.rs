//! Which statements may be subscribed to, and whether a document belongs to a
//! subscription. Deciding needs no store: it looks at one document.

use tombolo_document::{DocumentId, Object, Schema};

use crate::check::select::conjuncts;
use crate::check::statement::{Action, Column, Mode, Namespace, Query};
use crate::check::{self};
use crate::context::Context;
use crate::error::QueryError;
use crate::evaluate::{Run, Scope, evaluate};
use crate::expr::Expr;
use crate::parse::{ParseError, parse_expression};
use crate::row::Document;
use crate::statement::Statement;

/// A checked subscription: `SELECT * FROM collection [WHERE condition]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    statement: Statement,
}

impl Subscription {
    /// Parses and checks a subscription. `restricted` is the system parameter
    /// `dql_restrict_subscriptions`; without it ORDER BY and LIMIT are let
    /// through and bound nothing here.
    ///
    /// # Errors
    /// The text is no statement, or it is one that cannot be subscribed to; the
    /// message then begins with `Unsupported feature:`.
    pub fn parse(text: &str, restricted: bool) -> Result<Self, QueryError> {
        let statement = Statement::parse(text)?;
        let complaint = match (statement.mode(), statement.action()) {
            (Mode::Execute, Action::Select(query)) => unsupported(query, restricted),
            _ => Some("non-SELECT statement in sync subscription"),
        };
        match complaint {
            Some(feature) => Err(QueryError::Evaluation(format!(
                "Unsupported feature: {feature}"
            ))),
            None => Ok(Self { statement }),
        }
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn text(&self) -> &str {
        self.statement.text()
    }

    fn query(&self) -> Option<&Query> {
        match self.statement.action() {
            Action::Select(query) => Some(query),
            _ => None,
        }
    }

    /// The collection whose documents it wants; `None` for system collections,
    /// which are accepted and have no effect.
    #[must_use]
    pub fn collection(&self) -> Option<&str> {
        let term = &self.query()?.terms[0];
        match term.collection.namespace {
            Namespace::Default => Some(&term.collection.name),
            Namespace::System => None,
        }
    }

    /// An argument that its condition names and `arguments` does not hold.
    #[must_use]
    pub fn missing_argument(&self, arguments: &Object) -> Option<String> {
        let mut missing = None;
        self.query()?.filter.as_ref()?.walk(&mut |inside| {
            if let Expr::Parameter(name) = inside
                && missing.is_none()
                && !arguments.contains_key(name)
            {
                missing = Some(name.clone());
            }
        });
        missing
    }

    /// Whether a live document of its collection, given as canonical bytes,
    /// belongs to it.
    ///
    /// # Errors
    /// A missing argument, a damaged document, or the context's stop.
    pub fn matches(
        &self,
        id: &DocumentId,
        document: &[u8],
        context: &Context<'_>,
    ) -> Result<bool, QueryError> {
        let Some(query) = self.query() else {
            return Ok(false);
        };
        let schema = context.read_schema(&query.terms[0].collection);
        let document = Document::stored(id.as_bytes(), document, &schema)?;
        let run = context.run();
        holds(query.filter.as_ref(), document, &run)
    }

    /// The ids that it is limited to by `_id = ...` or `_id IN ...`, if its
    /// condition says so; every other document is outside.
    ///
    /// # Errors
    /// A missing argument.
    pub fn ids(&self, context: &Context<'_>) -> Result<Option<Vec<DocumentId>>, QueryError> {
        let Some(query) = self.query() else {
            return Ok(None);
        };
        let run = context.run();
        let filters = conjuncts(query.filter.as_ref());
        let ids = crate::plan::wanted_ids(&filters, &Scope::constant(&run))?;
        Ok(ids.map(|ids| ids.into_iter().collect()))
    }
}

fn unsupported(query: &Query, restricted: bool) -> Option<&'static str> {
    let slice = &query.slice;
    let bounded = !query.shape.order.is_empty() || slice.limit.is_some() || slice.offset.is_some();
    if query.distinct {
        Some("DISTINCT")
    } else if query.terms.len() > 1 {
        Some("Joining")
    } else if query.terms[0].ids.is_some() {
        Some("USE IDS")
    } else if query.shape.columns != [Column::All] {
        Some("A projection other than wildcard (*)")
    } else if query.shape.grouping.is_some() {
        Some("Grouping")
    } else if restricted && bounded {
        Some("Limit or Order by")
    } else {
        None
    }
}

fn holds(filter: Option<&Expr>, document: Document<'_>, run: &Run<'_>) -> Result<bool, QueryError> {
    match filter {
        None => Ok(true),
        Some(filter) => {
            let rows = [Some(document)];
            Ok(evaluate(filter, &Scope::row(run, &rows))?.is_true())
        }
    }
}

/// A condition on documents without a statement around it, as permission rules
/// are written.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    text: String,
    expr: Expr,
}

impl Condition {
    /// Parses a condition that looks at `_id` and at nothing else.
    ///
    /// # Errors
    /// The text is no condition, or it names another field.
    pub fn on_id(text: &str) -> Result<Self, QueryError> {
        let expression = parse_expression(text)?;
        let expr = check::condition(text, &expression).map_err(QueryError::Check)?;
        let mut foreign = None;
        expr.walk(&mut |inside| match inside {
            Expr::Field { path, .. } if path[0] != check::names::ID => {
                foreign = Some(path.join("."));
            }
            Expr::Document(_) => foreign = Some("the whole document".to_owned()),
            _ => {}
        });
        if let Some(name) = foreign {
            let message = format!("the condition may look at _id only, and it names {name}");
            let error = ParseError::new(text, expression.span, message);
            return Err(QueryError::Check(Box::new(error)));
        }
        Ok(Self {
            text: text.to_owned(),
            expr,
        })
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the document with this id meets the condition.
    ///
    /// # Errors
    /// A missing argument, or the context's stop.
    pub fn matches_id(&self, id: &DocumentId, context: &Context<'_>) -> Result<bool, QueryError> {
        let row = Object::from([(check::names::ID.to_owned(), id.to_value())]);
        holds(Some(&self.expr), Document::Plain(&row), &context.run())
    }

    /// Whether a live document, given as canonical bytes, meets the condition.
    ///
    /// # Errors
    /// A missing argument, a damaged document, or the context's stop.
    pub fn matches(
        &self,
        id: &DocumentId,
        document: &[u8],
        context: &Context<'_>,
    ) -> Result<bool, QueryError> {
        let schema = Schema::INFERRED;
        let document = Document::stored(id.as_bytes(), document, &schema)?;
        holds(Some(&self.expr), document, &context.run())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_on_ids_refuses_every_other_field() {
        assert!(Condition::on_id("_id = 'a' OR _id.site LIKE 'x%'").is_ok());
        for text in [
            "name = 'a'",
            "_id = name",
            "_id = 'a' AND ANY x IN tags SATISFIES true END",
        ] {
            assert!(Condition::on_id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_condition_without_meaning_is_refused() {
        for text in ["", "_id =", "COUNT(*) > 1", "nope(_id)", "_id = 'a';"] {
            assert!(Condition::on_id(text).is_err(), "{text}");
        }
    }
}

//! Which statements may be subscribed to, and whether a document belongs to a
//! subscription. Deciding needs no store: it looks at one document.

use tombolo_document::{DocumentId, Object, Schema};

use crate::check::select::conjuncts;
use crate::check::statement::{Action, Column, Mode, Namespace, Query};
use crate::check::{self};
use crate::context::Context;
use crate::error::QueryError;
use crate::evaluate::{Run, Scope, evaluate};
use crate::expr::{BinaryOperator, Expr};
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
        let Some(filter) = &query.filter else {
            return Ok(true);
        };
        let schema = context.read_schema(&query.terms[0].collection);
        let document = Document::stored(id.as_bytes(), document, &schema)?;
        let run = context.run();
        holds(Some(filter), document, &run)
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

/// The functions that conditions without a statement may call: their answer
/// depends on their arguments alone. `clock` is not among them, and a function
/// that is new is refused until somebody has looked at it.
const FUNCTIONS: &str = "abs array_contains array_contains_null array_length byte_length cast ceil \
    char_length character_length coalesce concat contains date_add date_cast date_diff \
    date_format date_part date_range date_sub date_trunc decode deserialize_json duration_cast \
    duration_format ends_with floor ifmissing ifmissingornull ifnull is_boolean is_number \
    is_string ismissing ismissingornull isnull joinstr json_type lower lpad ltrim missingif \
    nullif nvl object_concat object_keys object_length object_rename object_set object_size \
    object_unset object_values pos position regexp_like repeat rpad rtrim serialize_json split \
    starts_with substr trim type tz_offset upper";

/// A condition on documents without a statement around it, as permission rules
/// are written.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    text: String,
    expr: Expr,
}

impl Condition {
    /// Parses a condition that looks at `_id` and at nothing else: no other
    /// field, no argument, no clock.
    ///
    /// # Errors
    /// The text is no condition, or its answer depends on something else.
    pub fn on_id(text: &str) -> Result<Self, QueryError> {
        Self::on_fields(text, &[check::names::ID])
    }

    /// Parses a condition that looks at these fields and their parts, and at
    /// nothing else.
    ///
    /// # Errors
    /// The text is no condition, or its answer depends on something else.
    pub fn on_fields(text: &str, fields: &[&str]) -> Result<Self, QueryError> {
        let expression = parse_expression(text)?;
        let expr = check::condition(text, &expression).map_err(QueryError::Check)?;
        let mut foreign = None;
        expr.walk(&mut |inside| {
            foreign = foreign.take().or_else(|| dependency(inside, fields));
        });
        if let Some(name) = foreign {
            let fields = fields.join(", ");
            let message = format!("the condition may look at {fields} only, and it names {name}");
            let error = ParseError::new(text, expression.span, message);
            return Err(QueryError::Check(Box::new(error)));
        }
        Ok(Self {
            text: text.to_owned(),
            expr,
        })
    }

    /// Whether it looks at any field at all: one that does not is always or
    /// never met.
    #[must_use]
    pub fn names_a_field(&self) -> bool {
        let mut found = false;
        self.expr
            .walk(&mut |inside| found |= matches!(inside, Expr::Field { .. }));
        found
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

    /// Whether an object that is no document meets the condition.
    ///
    /// # Errors
    /// A limit, or the context's stop.
    pub fn matches_object(
        &self,
        object: &Object,
        context: &Context<'_>,
    ) -> Result<bool, QueryError> {
        holds(Some(&self.expr), Document::Plain(object), &context.run())
    }

    /// The ids of those documents that meet the condition, if it is nothing but
    /// `_id = ...` or `_id IN (...)`.
    #[must_use]
    pub fn exact_ids(&self, context: &Context<'_>) -> Option<Vec<DocumentId>> {
        let plain = match &self.expr {
            Expr::Binary { operator, operands } => {
                *operator == BinaryOperator::Equal && is_id(&operands.0)
            }
            Expr::In(operands) => is_id(&operands.0),
            _ => false,
        };
        if !plain {
            return None;
        }
        let run = context.run();
        let ids = crate::plan::wanted_ids(&[&self.expr], &Scope::constant(&run)).ok()??;
        Some(ids.into_iter().collect())
    }

    /// Whether a live document, given as canonical bytes, meets the condition.
    ///
    /// # Errors
    /// A damaged document, or the context's stop.
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

fn is_id(expr: &Expr) -> bool {
    matches!(expr, Expr::Field { path, .. } if *path == [check::names::ID])
}

/// What the answer of this step depends on besides the fields, if anything.
fn dependency(expr: &Expr, fields: &[&str]) -> Option<String> {
    match expr {
        Expr::Field { path, .. } if fields.contains(&path[0].as_str()) => None,
        Expr::Field { path, .. } => Some(path.join(".")),
        Expr::Document(_) | Expr::CompositeId(_) => Some("the whole document".to_owned()),
        Expr::Parameter(name) => Some(format!("the argument :{name}")),
        Expr::Output { .. } | Expr::GroupKey(_) | Expr::Aggregate(_) => Some("a column".to_owned()),
        Expr::Call { function, .. } => {
            let mut known = FUNCTIONS.split_ascii_whitespace();
            let name = function.name;
            (!known.any(|known| known == name)).then(|| format!("the function {name}()"))
        }
        _ => None,
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
    fn a_condition_on_ids_refuses_arguments() {
        for text in [
            ":all",
            "_id = :id",
            "_id IN (:one, 'b')",
            "_id LIKE :pattern",
            "ANY x IN :list SATISFIES x = _id END",
            "abs(:number) = 1 OR _id = 'a'",
        ] {
            let refused = Condition::on_id(text).expect_err(text).to_string();
            assert!(refused.contains("the argument :"), "{refused}");
        }
    }

    #[test]
    fn a_condition_on_ids_refuses_the_clock() {
        for text in [
            "clock() < '2000'",
            "CLOCK() > 0",
            "_id = 'a' OR date_part(clock(), 'year') > 1",
            "CASE WHEN clock() > 1 THEN true ELSE _id = 'a' END",
            "_id IN [clock()]",
        ] {
            let refused = Condition::on_id(text).expect_err(text).to_string();
            assert!(refused.contains("the function clock()"), "{refused}");
        }
    }

    /// The clock alone is left out; whoever adds a function decides here.
    #[test]
    fn every_function_is_allowed_in_conditions_or_refused_on_purpose() {
        let mut allowed: Vec<&str> = FUNCTIONS.split_ascii_whitespace().collect();
        allowed.push("clock");
        allowed.sort_unstable();
        let mut known: Vec<&str> = crate::function::names().collect();
        known.sort_unstable();
        assert_eq!(allowed, known);
    }

    #[test]
    fn exact_ids_are_those_of_plain_equality() {
        let context = Context {
            arguments: &Object::default(),
            parameters: &crate::Parameters::default(),
            now_ms: 0,
            random: &|| [0; 16],
            limits: crate::Limits::DEFAULT,
            stop: &|| false,
            system: &crate::NoSystemRows,
        };
        let ids = |text: &str| {
            let condition = Condition::on_id(text).unwrap();
            let ids = condition.exact_ids(&context)?;
            Some(ids.iter().map(|id| format!("{id:?}")).collect::<Vec<_>>())
        };
        assert_eq!(ids("_id = 'a'"), Some(vec!["\"a\"".to_owned()]));
        assert_eq!(ids("_id IN ('a', 1)").map(|ids| ids.len()), Some(2));
        assert_eq!(ids("_id = 'a' AND _id.x = 1"), None);
        assert_eq!(ids("_id.x = 'a'"), None);
        assert_eq!(ids("_id != 'a'"), None);
    }

    #[test]
    fn a_condition_without_meaning_is_refused() {
        for text in ["", "_id =", "COUNT(*) > 1", "nope(_id)", "_id = 'a';"] {
            assert!(Condition::on_id(text).is_err(), "{text}");
        }
    }
}

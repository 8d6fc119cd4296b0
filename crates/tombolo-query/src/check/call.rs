//! Binds calls of functions and aggregates.

use super::expression::Binder;
use super::names::Names;
use crate::expr::Expr;
use crate::function;
use crate::parse::{Failure, nearest};
use crate::run::aggregate::{Aggregate, AggregateFunction};
use crate::syntax::{Call, Expression, ExpressionKind};

impl Binder<'_> {
    /// Looks up a function or an aggregate.
    pub(super) fn call(&mut self, call: &Call) -> Result<Expr, Failure> {
        if let Some(function) = AggregateFunction::find(&call.name.text) {
            return self.aggregate(function, call);
        }
        let name = &call.name;
        if call.star || call.distinct {
            let message = format!(
                "only aggregates take `*` or DISTINCT, and `{}` is none",
                name.text
            );
            return Err(self.names.error(name.span, message));
        }
        let Some(function) = function::find(&name.text) else {
            let error = self
                .names
                .error(name.span, format!("there is no function `{}`", name.text));
            return Err(match nearest(&name.text, function::names()) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error,
            });
        };
        if !function.takes(call.arguments.len()) {
            let message = format!(
                "`{}` takes {}, found {}",
                function.name,
                function.arity(),
                call.arguments.len()
            );
            return Err(self.names.error(name.span, message));
        }
        Ok(Expr::Call {
            function,
            arguments: self.bind_all(&call.arguments)?,
        })
    }

    fn aggregate(&mut self, function: AggregateFunction, call: &Call) -> Result<Expr, Failure> {
        let span = call.name.span;
        let name = call.name.text.to_ascii_uppercase();
        if self.grouping.is_none() || !self.ranges.is_empty() {
            let message = format!("the aggregate {name} cannot stand here");
            return Err(self
                .names
                .error(span, message)
                .with_hint("aggregates stand in the projection, HAVING and ORDER BY"));
        }
        let counts_rows = call.star && function == AggregateFunction::Count && !call.distinct;
        if !counts_rows && (call.star || call.arguments.len() != 1) {
            let message = format!("{name} takes one argument");
            return Err(self.names.error(span, message));
        }
        let mut rows = Self::rows(Names {
            outputs: &[],
            ..self.names
        });
        let aggregate = Aggregate {
            function,
            distinct: call.distinct,
            argument: rows.bind_optional(call.arguments.first())?,
        };
        let Some(grouping) = &mut self.grouping else {
            return Err(self.names.error(span, "no groups here"));
        };
        let known = grouping
            .aggregates
            .iter()
            .position(|other| *other == aggregate);
        Ok(Expr::Aggregate(known.unwrap_or_else(|| {
            grouping.aggregates.push(aggregate);
            grouping.aggregates.len() - 1
        })))
    }
}

/// Whether an aggregate stands anywhere inside.
pub(crate) fn has_aggregate(expression: &Expression) -> bool {
    if let ExpressionKind::Call(call) = &expression.kind
        && AggregateFunction::find(&call.name.text).is_some()
    {
        return true;
    }
    let mut found = false;
    expression
        .kind
        .each_child(&mut |child| found = found || has_aggregate(child));
    found
}

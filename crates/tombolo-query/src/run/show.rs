//! SHOW and ALTER SYSTEM.

use tombolo_document::Object;

use super::Environment;
use crate::check::statement::Flavour;
use crate::context::Context;
use crate::error::QueryError;
use crate::evaluate::{Scope, evaluate};
use crate::expr::Expr;
use crate::outcome::{Outcome, OutcomeKind};
use crate::parameter::{ParameterChange, Parameters};
use crate::pattern::matches_name;

/// One parameter, or all in one row.
pub(super) fn show(
    name: Option<&str>,
    filter: Option<&(Flavour, String)>,
    context: &Context<'_>,
) -> Result<Outcome, QueryError> {
    let outcome = Outcome::of(OutcomeKind::Unknown);
    if let Some(name) = name {
        return Ok(outcome.with_row(context.parameters.row(name)?));
    }
    let wanted = |name: &str| match filter {
        Some((flavour, pattern)) => matches_name(name, pattern, *flavour),
        None => true,
    };
    let all = context.parameters.all().filter(|(name, _)| wanted(name));
    let row: Object = all
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    Ok(outcome.with_row(row))
}

/// Checks a new value; the caller applies it.
pub(super) fn alter<'s>(
    name: &str,
    value: Option<&'s Expr>,
    environment: Environment<'s>,
) -> Result<Outcome, QueryError> {
    let value = match value {
        None => None,
        Some(expr) => {
            let value = evaluate(expr, &Scope::constant(environment.run))?;
            let missing = || QueryError::evaluation("the value of the parameter is MISSING");
            Some(value.into_value().ok_or_else(missing)?)
        }
    };
    Ok(changed(Parameters::change(name, value)?))
}

/// The default of one parameter or of all.
pub(super) fn reset(name: Option<&str>) -> Result<Outcome, QueryError> {
    Ok(changed(match name {
        Some(name) => Parameters::change(name, None)?,
        None => Parameters::reset(),
    }))
}

fn changed(change: ParameterChange) -> Outcome {
    Outcome {
        parameter_change: Some(change),
        ..Outcome::of(OutcomeKind::Unknown)
    }
}

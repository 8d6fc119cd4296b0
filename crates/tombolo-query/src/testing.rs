//! Shortcuts for the tests of this crate.

use tombolo_document::Object;

use crate::check::expression::Binder;
use crate::check::names::Names;
use crate::datum::Datum;
use crate::error::QueryError;
use crate::evaluate::{Run, Scope, evaluate};
use crate::limits::{Fuel, Limits};
use crate::parse::parse_expression;
use crate::pattern::Patterns;

/// The value of an expression without a row.
pub(crate) fn value_of(text: &str, arguments: &Object) -> Result<Datum<'static>, QueryError> {
    let expression = parse_expression(text)?;
    let expr = Binder::rows(Names::none(text)).bind(&expression)?;
    let run = Run {
        arguments,
        now_ms: 1,
        limits: Limits::DEFAULT,
        bare_star: true,
        fuel: Fuel::new(&|| false),
        patterns: Patterns::default(),
    };
    let value = evaluate(&expr, &Scope::constant(&run))?.into_value();
    Ok(value.map_or(Datum::Missing, Datum::from))
}

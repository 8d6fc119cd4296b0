//! From text to syntax: recursive descent for clauses, binding powers for
//! operators. Never panics and never recurses deeper than [`NESTING_MAX`].

mod administration;
mod cursor;
mod error;
mod expression;
mod forms;
mod select;
mod token;
mod words;
mod write;

pub use error::ParseError;
pub use token::{TEXT_BYTES_MAX, TOKENS_MAX};

use cursor::Cursor;
pub(crate) use error::{Failure, nearest};

use crate::syntax::{Body, Expression, Mode, StatementSyntax};

/// Deepest nesting of expressions, parentheses and operators included.
pub const NESTING_MAX: usize = 128;

/// Reads one statement that fills the whole text.
pub(crate) fn parse_statement(text: &str) -> Result<StatementSyntax, Failure> {
    let mut cursor = Cursor::new(text)?;
    let directives = cursor.directives()?;
    let mode = mode(&mut cursor);
    let body = body(&mut cursor, mode)?;
    cursor.expect_end()?;
    Ok(StatementSyntax {
        mode,
        body,
        directives,
    })
}

/// Reads one expression that fills the whole text.
pub(crate) fn parse_expression(text: &str) -> Result<Expression, Failure> {
    let mut cursor = Cursor::new(text)?;
    let expression = cursor.expression()?;
    cursor.expect_end()?;
    Ok(expression)
}

fn mode(cursor: &mut Cursor<'_>) -> Mode {
    if cursor.take("EXPLAIN") {
        Mode::Explain
    } else if cursor.take("PROFILE") {
        Mode::Profile
    } else if cursor.take("ADVISE") {
        let provision = cursor.is("AND") && cursor.is_next("PROVISION");
        if provision {
            cursor.skip(2);
        }
        Mode::Advise { provision }
    } else {
        Mode::Execute
    }
}

fn body(cursor: &mut Cursor<'_>, mode: Mode) -> Result<Body, Failure> {
    if cursor.take("SELECT") {
        cursor.clauses(words::SELECT_CLAUSES);
        return Ok(Body::Select(Box::new(cursor.select()?)));
    }
    if cursor.take("INSERT") {
        return Ok(Body::Insert(Box::new(cursor.insert()?)));
    }
    if cursor.take("UPDATE") {
        return Ok(Body::Update(Box::new(cursor.update()?)));
    }
    if cursor.is("DELETE") || cursor.is("EVICT") {
        return Ok(Body::Remove(Box::new(cursor.remove()?)));
    }
    if cursor.take("CREATE") {
        return Ok(Body::CreateIndex(cursor.create_index()?));
    }
    if cursor.take("DROP") {
        return Ok(Body::DropIndex(cursor.drop_index()?));
    }
    if mode == Mode::Execute && cursor.take("ALTER") {
        return cursor.alter();
    }
    if mode == Mode::Execute && cursor.take("SHOW") {
        return cursor.show();
    }
    Err(cursor.no_statement(mode))
}

#[cfg(test)]
mod tests;

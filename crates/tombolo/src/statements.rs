//! Statements that were parsed before, by their text.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tombolo_query::{QueryError, Statement, StatementKind};

/// Statements kept; twice as many may be held for a moment.
const STATEMENTS_MAX: usize = 2048;
/// Longer texts are parsed each time: they are data more than statements.
const TEXT_BYTES_MAX: usize = 4096;

/// A statement that was parsed and checked, to be run any number of times.
#[derive(Debug, Clone)]
pub struct Prepared(pub(crate) Arc<Statement>);

impl Prepared {
    /// Parses a statement that no database keeps.
    ///
    /// # Errors
    /// The text is not a statement.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        parse(text)
    }

    /// What kind of statement it is.
    #[must_use]
    pub fn kind(&self) -> StatementKind {
        self.0.kind()
    }

    /// The collections whose documents it may read or write, sorted, system
    /// collections as `system:name`.
    #[must_use]
    pub fn collections(&self) -> Vec<String> {
        self.0.collections()
    }

    /// Whether running it needs the writer.
    #[must_use]
    pub fn is_mutation(&self) -> bool {
        self.0.writes()
    }
}

/// Two generations of statements: when the newer is full it becomes the older,
/// and what was used of the older moves over. Nothing is ever sorted by age.
#[derive(Default)]
pub(crate) struct StatementCache(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    newer: HashMap<Box<str>, Prepared>,
    older: HashMap<Box<str>, Prepared>,
}

impl StatementCache {
    /// The statement with this text, parsed if it is not held.
    pub(crate) fn prepare(&self, text: &str) -> Result<Prepared, QueryError> {
        if text.len() > TEXT_BYTES_MAX {
            return parse(text);
        }
        if let Some(held) = self.lock().find(text) {
            return Ok(held);
        }
        let parsed = parse(text)?;
        self.lock().keep(text, &parsed);
        Ok(parsed)
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        // Both maps are whole between any two of their operations.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn find(&mut self, text: &str) -> Option<Prepared> {
        if let Some(held) = self.newer.get(text) {
            return Some(held.clone());
        }
        let (text, held) = self.older.remove_entry(text)?;
        self.keep(&text, &held);
        Some(held)
    }

    fn keep(&mut self, text: &str, statement: &Prepared) {
        if self.newer.len() >= STATEMENTS_MAX {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(text.into(), statement.clone());
    }
}

fn parse(text: &str) -> Result<Prepared, QueryError> {
    Ok(Prepared(Arc::new(Statement::parse(text)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_in_use_is_parsed_once() {
        let cache = StatementCache::default();
        let first = cache.prepare("SELECT * FROM kept").unwrap();
        for number in 0..2 * STATEMENTS_MAX {
            cache.prepare(&format!("SELECT * FROM c{number}")).unwrap();
            let again = cache.prepare("SELECT * FROM kept").unwrap();
            assert!(Arc::ptr_eq(&first.0, &again.0));
        }
    }

    #[test]
    fn the_cache_never_holds_more_than_two_generations() {
        let cache = StatementCache::default();
        for number in 0..3 * STATEMENTS_MAX {
            cache.prepare(&format!("SELECT * FROM c{number}")).unwrap();
        }
        let held = cache.lock();
        assert!(held.newer.len() <= STATEMENTS_MAX && held.older.len() <= STATEMENTS_MAX);
    }
}

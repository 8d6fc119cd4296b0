//! INSERT, UPDATE, DELETE and EVICT.

use super::cursor::Cursor;
use super::error::Failure;
use super::token::TokenKind;
use super::words;
use crate::syntax::{
    Apply, ConflictPolicy, CounterOperation, Expression, FieldPath, Insert, InsertSource, Remove,
    Selection, Term, Update,
};

impl Cursor<'_> {
    /// What follows the word INSERT.
    pub(super) fn insert(&mut self) -> Result<Insert, Failure> {
        self.clauses(words::INSERT_CLAUSES);
        self.expect("INTO")?;
        let collection = self.collection()?;
        let source = self.insert_source()?;
        let conflict = self.conflict(&source)?;
        Ok(Insert {
            collection,
            source,
            conflict,
            returning: self.returning()?,
        })
    }

    fn insert_source(&mut self) -> Result<InsertSource, Failure> {
        if self.take("SELECT") {
            return Ok(InsertSource::Select(Box::new(self.select()?)));
        }
        if self.take("INITIAL") {
            self.expect("DOCUMENTS")?;
            return Ok(InsertSource::Initial(self.documents()?));
        }
        if self.take("DOCUMENTS") {
            return Ok(InsertSource::Documents(self.documents()?));
        }
        let words = &["DOCUMENTS", "INITIAL", "SELECT"];
        let error = self.unexpected("DOCUMENTS, INITIAL DOCUMENTS or SELECT", words);
        Err(match self.is("VALUES") {
            true => error.with_hint("documents are given as DOCUMENTS (:document)"),
            false => error,
        })
    }

    fn documents(&mut self) -> Result<Vec<Expression>, Failure> {
        let mut documents = Vec::new();
        loop {
            self.expect_kind(TokenKind::Open, "`(`")?;
            if self.is("SELECT") {
                return Err(self
                    .error(self.span(), "DOCUMENTS takes documents and no SELECT")
                    .with_hint("write INSERT INTO ... SELECT ... without DOCUMENTS"));
            }
            documents.push(self.expression()?);
            self.expect_kind(TokenKind::Close, "`)`")?;
            if !self.take_kind(TokenKind::Comma) {
                return Ok(documents);
            }
        }
    }

    fn conflict(&mut self, source: &InsertSource) -> Result<ConflictPolicy, Failure> {
        let start = self.span();
        if !self.take("ON") {
            return Ok(ConflictPolicy::default());
        }
        self.expect("ID")?;
        self.expect("CONFLICT")?;
        let stated = self.take("DO");
        let policy = if self.take("FAIL") {
            ConflictPolicy::Fail
        } else if stated && self.take("NOTHING") {
            ConflictPolicy::Nothing
        } else if stated && self.take("UPDATE_LOCAL_DIFF") {
            ConflictPolicy::UpdateLocalDiff
        } else if stated && self.take("UPDATE") {
            ConflictPolicy::Update
        } else if stated {
            let words = &["FAIL", "NOTHING", "UPDATE", "UPDATE_LOCAL_DIFF"];
            return Err(self.unexpected("FAIL, NOTHING, UPDATE or UPDATE_LOCAL_DIFF", words));
        } else {
            return Err(self.unexpected("DO or FAIL", &["DO", "FAIL"]));
        };
        if matches!(source, InsertSource::Initial(_)) {
            let message = "INITIAL DOCUMENTS cannot take ON ID CONFLICT";
            return Err(self
                .error(self.since(start), message)
                .with_hint("an initial document never replaces one that exists"));
        }
        Ok(policy)
    }

    /// What follows the word UPDATE.
    pub(super) fn update(&mut self) -> Result<Update, Failure> {
        self.clauses(words::UPDATE_CLAUSES);
        let term = self.term()?;
        let clauses = self.span();
        let apply = self.apply()?;
        let set = self.set()?;
        let unset = self.unset()?;
        if self.is("SET") || self.is("APPLY") {
            return Err(self
                .unexpected("WHERE or the end of the statement", &[])
                .with_hint("the clauses stand in the order APPLY, SET, UNSET"));
        }
        Ok(Update {
            selection: self.selection(term)?,
            apply,
            set,
            unset,
            returning: self.returning()?,
            clauses,
        })
    }

    fn apply(&mut self) -> Result<Vec<Apply>, Failure> {
        let mut list = Vec::new();
        if !self.take("APPLY") {
            return Ok(list);
        }
        loop {
            let path = self.field_path()?;
            let operation = if self.take("INCREMENT") {
                self.expect("BY")?;
                CounterOperation::Increment(self.expression()?)
            } else if self.take("PN_INCREMENT") {
                self.expect("BY")?;
                CounterOperation::PnIncrement(self.expression()?)
            } else if self.take("RESTART") {
                CounterOperation::Restart(match self.take("WITH") {
                    true => Some(self.expression()?),
                    false => None,
                })
            } else {
                let words = &["INCREMENT", "PN_INCREMENT", "RESTART"];
                return Err(self.unexpected("INCREMENT, PN_INCREMENT or RESTART", words));
            };
            list.push(Apply { path, operation });
            if !self.take_kind(TokenKind::Comma) {
                return Ok(list);
            }
        }
    }

    fn set(&mut self) -> Result<Vec<(FieldPath, Expression)>, Failure> {
        let mut list = Vec::new();
        if !self.take("SET") {
            return Ok(list);
        }
        loop {
            let path = self.field_path()?;
            self.expect_kind(TokenKind::Equal, "`=`")?;
            list.push((path, self.expression()?));
            if !self.take_kind(TokenKind::Comma) {
                return Ok(list);
            }
        }
    }

    fn unset(&mut self) -> Result<Vec<FieldPath>, Failure> {
        let mut list = Vec::new();
        if !self.take("UNSET") {
            return Ok(list);
        }
        loop {
            list.push(self.field_path()?);
            if !self.take_kind(TokenKind::Comma) {
                return Ok(list);
            }
        }
    }

    pub(super) fn field_path(&mut self) -> Result<FieldPath, Failure> {
        let start = self.span();
        let steps = self.path()?;
        Ok(FieldPath {
            steps,
            span: self.since(start),
        })
    }

    /// DELETE or EVICT.
    pub(super) fn remove(&mut self) -> Result<Remove, Failure> {
        let evict = self.is("EVICT");
        self.skip(1);
        self.clauses(words::REMOVE_CLAUSES);
        self.expect("FROM")?;
        let term = self.term()?;
        Ok(Remove {
            evict,
            selection: self.selection(term)?,
            returning: self.returning()?,
        })
    }

    fn selection(&mut self, term: Term) -> Result<Selection, Failure> {
        Ok(Selection {
            term,
            filter: self.filter()?,
            order: self.order()?,
            slice: self.slice()?,
        })
    }
}

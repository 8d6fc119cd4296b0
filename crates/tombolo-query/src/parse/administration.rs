//! CREATE and DROP INDEX, ALTER SYSTEM and SHOW.

use super::cursor::Cursor;
use super::error::Failure;
use super::token::TokenKind;
use crate::syntax::{Body, CreateIndex, DropIndex, Flavour};

impl Cursor<'_> {
    /// What follows the word CREATE.
    pub(super) fn create_index(&mut self) -> Result<CreateIndex, Failure> {
        self.expect("INDEX")?;
        let if_absent = self.is("IF") && self.is_next("NOT");
        if if_absent {
            self.skip(2);
            self.expect("EXISTS")?;
        }
        let name = self.name("the name of the index")?;
        self.expect("ON")?;
        let collection = self.collection()?;
        self.expect_kind(TokenKind::Open, "`(`")?;
        let mut keys = Vec::new();
        loop {
            let path = self.field_path()?;
            if self.is_kind(TokenKind::Open) {
                return Err(self
                    .error(path.span, "an index key is a field and no expression")
                    .with_hint("name the field alone"));
            }
            let descending = self.take("DESC");
            if !descending {
                self.take("ASC");
            }
            keys.push((path, descending));
            if self.take_kind(TokenKind::Close) {
                break;
            }
            self.expect_kind(TokenKind::Comma, "`,`, `)`, ASC or DESC")?;
        }
        Ok(CreateIndex {
            name,
            if_absent,
            collection,
            keys,
        })
    }

    /// What follows the word DROP.
    pub(super) fn drop_index(&mut self) -> Result<DropIndex, Failure> {
        self.expect("INDEX")?;
        let if_present = self.is("IF") && self.is_next("EXISTS");
        if if_present {
            self.skip(2);
        }
        let name = self.name("the name of the index")?;
        self.expect("ON")?;
        Ok(DropIndex {
            name,
            if_present,
            collection: self.collection()?,
        })
    }

    /// What follows the word ALTER.
    pub(super) fn alter(&mut self) -> Result<Body, Failure> {
        self.expect("SYSTEM")?;
        if self.take("RESET") {
            let name = match self.take("ALL") {
                true => None,
                false => Some(self.name("the name of a parameter")?),
            };
            return Ok(Body::AlterReset { name });
        }
        if !self.take("SET") {
            return Err(self.unexpected("SET or RESET", &["SET", "RESET"]));
        }
        let name = self.name("the name of a parameter")?;
        if !self.take_kind(TokenKind::Equal) && !self.take("TO") {
            return Err(self.unexpected("`=` or TO", &["TO"]));
        }
        let value = match self.take("DEFAULT") {
            true => None,
            false => Some(self.expression()?),
        };
        Ok(Body::AlterSet { name, value })
    }

    /// What follows the word SHOW.
    pub(super) fn show(&mut self) -> Result<Body, Failure> {
        if !self.take("ALL") {
            let name = Some(self.name("the name of a parameter")?);
            return Ok(Body::Show { name, filter: None });
        }
        let flavour = if self.take("LIKE") {
            Some(Flavour::Like)
        } else {
            self.take("ILIKE").then_some(Flavour::LikeAnyCase)
        };
        let filter = match flavour {
            Some(flavour) => Some((flavour, self.string("a pattern as a string")?)),
            None => None,
        };
        Ok(Body::Show { name: None, filter })
    }
}

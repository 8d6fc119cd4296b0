//! Local changes: what one commit does to one document.
//!
//! An edit takes the document's bytes, applies operations under one dot and
//! gives canonical bytes back. Several edits of one document may share a dot:
//! the statements of one transaction.

use std::sync::Arc;

use crate::actor::Dot;
use crate::bytes::DecodeError;
use crate::decode::decode_document;
use crate::encode::encode_document;
use crate::grave::Grave;
use crate::normal::normalise;
use crate::pen::{Pen, Target};
use crate::schema::{Kind, Schema};
use crate::stamp::Stamp;
use crate::tree::{CommitIndex, MapNode, Removal, Tree};
use crate::value::{MAX_DEPTH, Object, Value};
use crate::version::{MAX_ACTORS, VersionVector};

/// The name that a document's id has among its fields; ids are not stored as
/// fields.
pub const ID_FIELD: &str = "_id";

/// Why an edit was refused. The document is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The statement goes through a field that it declares, or strict mode
    /// takes, as something without fields of its own.
    #[error("Unsupported DML operation on {kind} field {field:?}: declare it as MAP to reach the fields inside", kind = kind.name())]
    NotAMap {
        /// The field on the way.
        field: String,
        /// What it is taken as.
        kind: Kind,
    },
    /// The value does not fit the kind of the field.
    #[error("field {field:?} is a {kind} and takes {wanted}", kind = kind.name())]
    WrongValue {
        /// The field.
        field: String,
        /// Its kind.
        kind: Kind,
        /// What it takes.
        wanted: &'static str,
    },
    /// A counter cannot hold the sum.
    #[error("counter {field:?} would leave the range of 64-bit integers")]
    CounterOverflow {
        /// The counter.
        field: String,
    },
    /// The document would nest deeper than is allowed.
    #[error("the document would nest more than {MAX_DEPTH} levels")]
    TooDeep,
    /// The document would have too many actors; it accepts no new one.
    #[error("the document already has {MAX_ACTORS} actors and accepts no new one")]
    TooManyActors,
    /// The commit's stamp is not later than what the document holds: our fault.
    #[error("the commit's stamp is not later than the document's newest")]
    StampNotLater,
    /// The stored bytes are damaged: our fault or the disk's.
    #[error("the stored document is damaged")]
    Damaged(#[from] DecodeError),
}

/// One document under change by one commit.
#[derive(Debug)]
pub struct Edit<'a> {
    tree: Tree<'a>,
    dot: Dot,
    me: CommitIndex,
    /// What the document had seen before this commit.
    before: VersionVector,
    changed: bool,
}

impl<'a> Edit<'a> {
    /// Opens a document, or a new one, for the commit `dot`.
    ///
    /// # Errors
    /// Damaged bytes, or a stamp that is not later than all that the document
    /// holds (other than this very commit's).
    pub fn open(document: Option<&'a [u8]>, dot: Dot) -> Result<Self, EditError> {
        let mut tree = match document {
            Some(bytes) => decode_document(bytes)?,
            None => Tree::default(),
        };
        let mut before = tree.vector.clone();
        let continues = before.get(&dot.actor) == Some(dot.stamp);
        if continues {
            // All of this actor's earlier commits, and not this one.
            before.replace(
                &dot.actor,
                Stamp::from_bits(dot.stamp.bits().saturating_sub(1)),
            );
        } else if before.newest().is_some_and(|newest| newest >= dot.stamp) {
            return Err(EditError::StampNotLater);
        }
        let me = tree.commit(dot);
        Ok(Self {
            tree,
            dot,
            me,
            before,
            changed: false,
        })
    }

    /// Whether the document exists now: it was written and not removed.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        self.tree.root.is_visible()
    }

    /// Writes all members of `fields` but `_id`: INSERT, and the upsert that
    /// writes every field.
    ///
    /// # Errors
    /// A value that does not fit its field's kind, or nesting too deep.
    pub fn set_object(&mut self, fields: &Object, schema: &Schema) -> Result<(), EditError> {
        self.write(schema, |pen, root| {
            pen.touch(root);
            without_id(fields).try_for_each(|(name, value)| {
                let target = Target::new(name, schema.fields.get(name));
                pen.write(root.child_or_new(name), value, target)
            })
        })
    }

    /// Writes those members of `fields` whose value is not what the document
    /// shows already. Gives whether anything was written.
    ///
    /// # Errors
    /// As [`Edit::set_object`].
    pub fn set_differing(&mut self, fields: &Object, schema: &Schema) -> Result<bool, EditError> {
        let unchanged_so_far = !self.changed;
        let wrote = self.write(schema, |pen, root| {
            let mut wrote = !root.is_visible();
            for (name, value) in without_id(fields) {
                let target = Target::new(name, schema.fields.get(name));
                wrote |= pen.write_differing(root.child_or_new(name), value, target)?;
            }
            if wrote {
                pen.touch(root);
            }
            Ok(wrote)
        })?;
        self.changed = wrote || !unchanged_so_far;
        Ok(wrote)
    }

    /// Writes `value` at `path`, making the maps on the way.
    ///
    /// # Errors
    /// A path through a field that has none inside, a value that does not fit
    /// the kind, or nesting too deep.
    pub fn set(
        &mut self,
        path: &[impl AsRef<str>],
        value: &Value,
        schema: &Schema,
    ) -> Result<(), EditError> {
        self.write(schema, |pen, root| {
            let (node, target) = pen.reach(root, path, schema)?;
            pen.write(node, value, target)
        })
    }

    /// Adds `by` to the counter of `kind` at `path`, which starts at zero.
    ///
    /// # Errors
    /// As [`Edit::set`], and a sum outside 64 bits.
    pub fn increment(
        &mut self,
        path: &[impl AsRef<str>],
        kind: Kind,
        by: i64,
        schema: &Schema,
    ) -> Result<(), EditError> {
        self.write(schema, |pen, root| {
            let (node, target) = pen.reach(root, path, schema)?;
            let counter = match kind {
                Kind::PnCounter => node.pn_counter.get_or_insert_default(),
                _ => node.counter.get_or_insert_default(),
            };
            pen.increment(counter, by)
                .ok_or_else(|| EditError::CounterOverflow {
                    field: target.name.to_owned(),
                })
        })
    }

    /// Sets the counter at `path` to `value` and forgets every increment that
    /// was not made after this commit.
    ///
    /// # Errors
    /// As [`Edit::set`].
    pub fn restart(
        &mut self,
        path: &[impl AsRef<str>],
        value: i64,
        schema: &Schema,
    ) -> Result<(), EditError> {
        self.write(schema, |pen, root| {
            let (node, _) = pen.reach(root, path, schema)?;
            pen.restart(node.counter.get_or_insert_default(), value);
            Ok(())
        })
    }

    /// Removes the field at `path`: the declared kind, or every kind that an
    /// undeclared read sees. A field that is not there is left alone.
    ///
    /// # Errors
    /// A path through a field that has none inside.
    pub fn unset(&mut self, path: &[impl AsRef<str>], schema: &Schema) -> Result<(), EditError> {
        let removal = self.removal();
        self.write(schema, |pen, root| {
            if let Some((node, target)) = pen.reach_existing(root, path, schema)? {
                pen.grave(removal)
                    .remove(node, pen.removed_kinds(target.field));
            }
            Ok(())
        })
    }

    /// Removes the document, leaving a tombstone. Gives whether it existed.
    pub fn delete(&mut self) -> bool {
        if !self.is_visible() {
            return false;
        }
        let removal = self.removal();
        let grave = Grave {
            me: self.me,
            commits: &self.tree.commits,
            removal: Arc::clone(&removal),
        };
        grave.bury_map(&mut self.tree.root);
        self.tree.removal = Some(removal);
        self.changed = true;
        true
    }

    /// The canonical bytes after the commit; `None` if nothing was changed.
    ///
    /// # Errors
    /// Too many actors.
    pub fn finish(mut self) -> Result<Option<Vec<u8>>, EditError> {
        if !self.changed {
            return Ok(None);
        }
        self.tree.vector.add(self.dot);
        if self.tree.vector.len() > MAX_ACTORS {
            return Err(EditError::TooManyActors);
        }
        normalise(&mut self.tree);
        Ok(Some(encode_document(&self.tree)))
    }

    /// The working form after the commit.
    pub(crate) fn into_tree(mut self) -> Tree<'a> {
        normalise(&mut self.tree);
        self.tree
    }

    fn write<T>(
        &mut self,
        schema: &Schema,
        act: impl FnOnce(&Pen<'_>, &mut MapNode<'a>) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        let pen = Pen {
            me: self.me,
            commits: &self.tree.commits,
            undeclared: schema.undeclared,
        };
        let done = act(&pen, &mut self.tree.root)?;
        self.changed = true;
        Ok(done)
    }

    /// What a removal by this commit covers.
    fn removal(&self) -> Arc<Removal> {
        Arc::new(Removal {
            dots: [self.me].into_iter().collect(),
            vector: self.before.clone(),
        })
    }
}

pub(crate) fn without_id(fields: &Object) -> impl Iterator<Item = (&String, &Value)> {
    fields.iter().filter(|(name, _)| *name != ID_FIELD)
}

//! A new document, written before it is known which commit it belongs to.
//!
//! What one commit makes names that commit alone, as number 0 of a table of one.
//! So its fields are the same bytes under every commit, and only the head waits.

use std::collections::BTreeMap;

use crate::actor::{Actor, Dot, SiteId};
use crate::bytes::{put_length_before, put_text, put_varint};
use crate::edit::{Edit, EditError, without_id};
use crate::encode::encode_fields;
use crate::layout::{VERSION, WIDE_MAP, put_stamp};
use crate::pen::{depth_of, kind_of};
use crate::raw;
use crate::schema::{Field, Kind, Schema, Undeclared};
use crate::stamp::Stamp;
use crate::value::{MAX_DEPTH, Object, Value};

/// Bytes of a head with the longest numbers.
const HEAD_BYTES_MAX: usize = 64;

/// A commit with its place in the table: the only one, and its own actor's.
const ONLY_COMMIT: [u8; 2] = [1, 0];
/// A map that the only commit addressed.
const PRESENT: [u8; 2] = [1 << 1, 0];

/// The fields of a new document, encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    fields: Vec<u8>,
}

impl Draft {
    /// Writes all members of `fields` but `_id`, as [`Edit::set_object`] on a
    /// new document does.
    ///
    /// # Errors
    /// As [`Edit::set_object`].
    pub fn new(fields: &Object, schema: &Schema) -> Result<Self, EditError> {
        let mut out = Vec::with_capacity(room_for(fields));
        let shape = Shape {
            declared: Some(&schema.fields),
            undeclared: schema.undeclared,
            depth: 1,
        };
        let count = without_id(fields).count();
        match shape.map(&mut out, without_id(fields), count) {
            Some(()) => Ok(Self { fields: out }),
            None => Self::by_edit(fields, schema),
        }
    }

    /// The long way, for what is rare and for what is refused.
    fn by_edit(fields: &Object, schema: &Schema) -> Result<Self, EditError> {
        let anyone = Dot::new(
            Actor::new(SiteId([0; 16]), Actor::FIRST_EPOCH),
            Stamp::new(1, 0),
        );
        let mut edit = Edit::open(None, anyone)?;
        edit.set_object(fields, schema)?;
        Ok(Self {
            fields: encode_fields(&edit.into_tree()),
        })
    }

    /// The canonical bytes of the document under the commit that makes it.
    #[must_use]
    pub fn under(&self, dot: Dot) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES_MAX + self.fields.len());
        let newest_ms = dot.stamp.millis();
        out.push(VERSION);
        put_varint(&mut out, newest_ms);
        put_varint(&mut out, 1);
        out.extend_from_slice(&dot.actor.site.0);
        put_varint(&mut out, u64::from(dot.actor.epoch));
        put_stamp(&mut out, newest_ms, dot.stamp);
        out.extend_from_slice(&ONLY_COMMIT);
        put_stamp(&mut out, newest_ms, dot.stamp);
        out.extend_from_slice(&self.fields);
        out
    }
}

/// Bytes to set aside for the fields of a document; most fit.
fn room_for(fields: &Object) -> usize {
    const FIELD_BYTES: usize = 4;
    let fields = fields.iter();
    let bytes = fields.map(|(name, value)| name.len() + FIELD_BYTES + raw::room_for(value));
    HEAD_BYTES_MAX + bytes.sum::<usize>()
}

/// How the fields of one map are taken.
#[derive(Clone, Copy)]
struct Shape<'s> {
    declared: Option<&'s BTreeMap<String, Field>>,
    undeclared: Undeclared,
    depth: usize,
}

impl Shape<'_> {
    /// Appends a map of registers and such maps; `None` if it holds anything else.
    fn map<'v>(
        self,
        out: &mut Vec<u8>,
        members: impl Iterator<Item = (&'v String, &'v Value)>,
        count: usize,
    ) -> Option<()> {
        if count >= WIDE_MAP {
            return None;
        }
        out.extend_from_slice(&PRESENT);
        put_varint(out, count as u64);
        for (name, value) in members {
            put_text(out, name);
            self.field(out, name, value)?;
        }
        Some(())
    }

    fn field(self, out: &mut Vec<u8>, name: &str, value: &Value) -> Option<()> {
        let field = self.declared.and_then(|fields| fields.get(name));
        match (kind_of(value, field, self.undeclared), value) {
            (Kind::Register, _) => self.register(out, value),
            (Kind::Map, Value::Object(members)) if self.depth < MAX_DEPTH => {
                let inside = Shape {
                    declared: field.map(|field| &field.fields),
                    depth: self.depth + 1,
                    ..self
                };
                out.push(1 << Kind::Map as u8);
                let start = out.len();
                inside.map(out, members.iter(), members.len())?;
                put_length_before(out, start);
                Some(())
            }
            _ => None,
        }
    }

    fn register(self, out: &mut Vec<u8>, value: &Value) -> Option<()> {
        if self.depth + depth_of(value) > MAX_DEPTH {
            return None;
        }
        // The commit's place, with neither of the flags of a leaf.
        out.extend_from_slice(&[1 << Kind::Register as u8, 0]);
        raw::append(out, value);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [Kind; 3] = [Kind::Register, Kind::Map, Kind::Counter];

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Int),
            "[a-z]{0,70}".prop_map(Value::String),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec(("[a-e]{1,2}|_id", inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn schema() -> impl Strategy<Value = Schema> {
        let kind = || prop::sample::select(&KINDS[..]);
        let inside = prop::collection::btree_map("[a-e]", kind(), 0..2).prop_map(|kinds| {
            kinds
                .into_iter()
                .map(|(name, kind)| {
                    (
                        name,
                        Field {
                            kind,
                            fields: BTreeMap::new(),
                        },
                    )
                })
                .collect::<BTreeMap<_, _>>()
        });
        let fields = prop::collection::btree_map("[a-e]", (kind(), inside), 0..3);
        let undeclared = prop::sample::select(
            &[
                Undeclared::Infer,
                Undeclared::Register,
                Undeclared::RegisterOrMap,
            ][..],
        );
        (fields, undeclared).prop_map(|(fields, undeclared)| {
            let fields = fields
                .into_iter()
                .map(|(name, (kind, fields))| (name, Field { kind, fields }));
            Schema {
                fields: fields.collect(),
                undeclared,
            }
        })
    }

    fn nested(levels: usize) -> Value {
        (0..levels).fold(Value::Null, |inner, _| {
            Value::Object(Object::from([("a".to_owned(), inner)]))
        })
    }

    fn edited(fields: &Object, schema: &Schema, dot: Dot) -> Result<Vec<u8>, EditError> {
        let mut edit = Edit::open(None, dot)?;
        edit.set_object(fields, schema)?;
        Ok(edit.finish()?.expect("an object was set"))
    }

    proptest! {
        #[test]
        fn a_draft_is_what_an_edit_of_a_new_document_makes(
            fields in prop::collection::vec(("[a-e]{1,2}|_id", value()), 0..40),
            schema in schema(),
            (site, epoch, millis, counter) in (any::<u8>(), 1u32..900, 0u64..1 << 47, any::<u16>()),
        ) {
            let fields: Object = fields.into_iter().collect();
            let dot = Dot::new(Actor::new(SiteId([site; 16]), epoch), Stamp::new(millis, counter));
            let drafted = Draft::new(&fields, &schema).map(|draft| draft.under(dot));
            prop_assert_eq!(drafted, edited(&fields, &schema, dot));
        }
    }

    #[test]
    fn a_draft_nests_as_deep_as_a_document_and_no_deeper() {
        let dot = Dot::new(Actor::new(SiteId([7; 16]), 1), Stamp::new(5, 0));
        for undeclared in [Undeclared::Infer, Undeclared::Register] {
            let schema = Schema {
                fields: BTreeMap::new(),
                undeclared,
            };
            for levels in [MAX_DEPTH - 2, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1] {
                let fields = Object::from([("a".to_owned(), nested(levels))]);
                let drafted = Draft::new(&fields, &schema).map(|draft| draft.under(dot));
                assert_eq!(drafted, edited(&fields, &schema, dot));
            }
        }
    }
}

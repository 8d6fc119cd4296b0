//! Reading a stored document in place: one path is followed, nothing else is
//! decoded.
//!
//! The bytes were checked when they came in; damage since is an error here,
//! never a wrong answer or a panic.

use std::collections::BTreeMap;

use crate::bytes::{DecodeError, Reader};
use crate::field::{NodeView, Passed, pass, skip_removal, take_field};
use crate::head::take_head;
use crate::layout::{
    DELTA, HAS_REMOVALS, INTERNED, OFFSET_BYTES, ROOT_REMOVED, VERSION, VERSION_MASK, WIDE_MAP,
};
use crate::raw::{RawValue, Shape};
use crate::schema::{Field, Schema, Undeclared};
use crate::value::{Object, Value};
use crate::version::VersionVector;

/// Members that room is made for before they are read.
const OBJECT_ROOM: usize = 32;

/// A stored document.
#[derive(Debug, Clone, Copy)]
pub struct DocumentView<'a> {
    root: MapView<'a>,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy)]
pub enum FieldView<'a> {
    /// A register's value or an attachment's token, still encoded.
    Value(RawValue<'a>),
    /// A map, with what the schema declares inside.
    Map(MapView<'a>),
    /// A counter's present value.
    Counter(i128),
}

/// A map within a document, still encoded.
#[derive(Debug, Clone, Copy)]
pub struct MapView<'a> {
    present: bool,
    nulled: bool,
    count: usize,
    offsets: &'a [u8],
    fields: &'a [u8],
}

/// Declarations in force at some depth of a document.
#[derive(Debug, Clone, Copy)]
pub struct Lens<'s> {
    declared: Option<&'s BTreeMap<String, Field>>,
    undeclared: Undeclared,
}

impl<'s> Lens<'s> {
    /// The declarations at the root.
    #[must_use]
    pub const fn new(schema: &'s Schema) -> Self {
        Self {
            declared: Some(&schema.fields),
            undeclared: schema.undeclared,
        }
    }

    /// The declarations inside the field called `name`.
    #[must_use]
    pub fn inside(self, name: &str) -> Self {
        Self {
            declared: self.field(name).map(|field| &field.fields),
            undeclared: self.undeclared,
        }
    }

    fn field(self, name: &str) -> Option<&'s Field> {
        self.declared?.get(name)
    }
}

impl<'a> DocumentView<'a> {
    /// Opens the bytes of a document; costs no more than its head.
    ///
    /// # Errors
    /// The head is damaged, or the bytes are a delta.
    pub fn new(document: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(document);
        skip_head(&mut reader)?;
        Ok(Self {
            root: MapView::take(&mut reader)?,
        })
    }

    /// As [`DocumentView::new`], with the document's version vector, in one pass.
    ///
    /// # Errors
    /// As for [`DocumentView::new`].
    pub fn with_vector(document: &'a [u8]) -> Result<(Self, VersionVector), DecodeError> {
        let mut reader = Reader::new(document);
        let head = take_head(&mut reader, None)?;
        refuse_delta(&reader, head.flags)?;
        skip_tables(&mut reader, head.flags)?;
        let root = MapView::take(&mut reader)?;
        Ok((Self { root }, head.vector))
    }

    /// The document's fields.
    #[must_use]
    pub const fn root(self) -> MapView<'a> {
        self.root
    }

    /// Whether the document exists; a tombstone does not.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn is_visible(self) -> Result<bool, DecodeError> {
        self.root.is_visible()
    }

    /// What `path` leads to, as `schema` sees it; `None` for MISSING.
    ///
    /// A path ends early at a register that holds an object; the rest of it is
    /// followed inside that value.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn get(
        self,
        path: &[impl AsRef<str>],
        schema: &Schema,
    ) -> Result<Option<FieldView<'a>>, DecodeError> {
        let mut at = FieldView::Map(self.root);
        let mut lens = Lens::new(schema);
        for name in path {
            let Some(next) = at.member(name.as_ref(), lens)? else {
                return Ok(None);
            };
            at = next;
            lens = lens.inside(name.as_ref());
        }
        Ok(Some(at))
    }

    /// All fields that `schema` sees, without `_id`.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn to_object(self, schema: &Schema) -> Result<Object, DecodeError> {
        self.root.to_object(Lens::new(schema))
    }
}

impl<'a> FieldView<'a> {
    /// The member called `name` of a map, of an object in a register, or of an
    /// attachment token; `None` for MISSING.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn member(self, name: &str, lens: Lens<'_>) -> Result<Option<Self>, DecodeError> {
        match self {
            Self::Map(map) => map.get(name, lens),
            Self::Value(value) => Ok(match value.shape() {
                Shape::Object(members) => members.get(name).map(Self::Value),
                _ => None,
            }),
            Self::Counter(_) => Ok(None),
        }
    }

    /// The whole value, decoded, with `lens` for a map's fields.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn to_value(self, lens: Lens<'_>) -> Result<Value, DecodeError> {
        match self {
            Self::Value(value) => Ok(value.to_value()),
            Self::Counter(value) => Ok(Value::from_i128(value)),
            Self::Map(map) => map.to_value(lens),
        }
    }
}

impl<'a> MapView<'a> {
    pub(crate) fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let presence = reader.varint("presence")?;
        for _ in 0..presence >> 1 {
            reader.varint("commit")?;
        }
        let count = reader.count("fields")?;
        let table_bytes = if count >= WIDE_MAP {
            count.saturating_mul(OFFSET_BYTES)
        } else {
            0
        };
        Ok(Self {
            present: presence >> 1 > 0,
            nulled: presence & 1 == 1,
            count,
            offsets: reader.take(table_bytes, "offsets")?,
            fields: reader.rest(),
        })
    }

    /// Whether the map shows: someone addressed it, or something in it shows.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn is_visible(self) -> Result<bool, DecodeError> {
        if self.present {
            return Ok(true);
        }
        for field in self.nodes() {
            if field?.1.is_visible()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The field called `name`, as `lens` sees it; `None` for MISSING.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn get(self, name: &str, lens: Lens<'_>) -> Result<Option<FieldView<'a>>, DecodeError> {
        match self.find(name)? {
            Some(node) => node.seen_as(lens.field(name), lens.undeclared),
            None => Ok(None),
        }
    }

    /// The fields that `lens` sees, sorted by name.
    pub fn iter<'s>(
        self,
        lens: Lens<'s>,
    ) -> impl Iterator<Item = Result<(&'a str, FieldView<'a>), DecodeError>> + use<'a, 's> {
        self.nodes().filter_map(move |field| {
            let seen = field.and_then(|(name, node)| {
                let view = node.seen_as(lens.field(name), lens.undeclared)?;
                Ok(view.map(|view| (name, view)))
            });
            seen.transpose()
        })
    }

    /// All fields that `lens` sees.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn to_object(self, lens: Lens<'_>) -> Result<Object, DecodeError> {
        let mut object = Object::with_capacity(self.count.min(OBJECT_ROOM));
        for field in self.iter(lens) {
            let (name, view) = field?;
            object.insert(name.to_owned(), view.to_value(lens.inside(name))?);
        }
        Ok(object)
    }

    /// The map as an object, or null where a later removal left nothing of it.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn to_value(self, lens: Lens<'_>) -> Result<Value, DecodeError> {
        let object = self.to_object(lens)?;
        if object.is_empty() && self.nulled {
            return Ok(Value::Null);
        }
        Ok(Value::Object(object))
    }

    /// Passes over all fields, and tells which maps and attachments they hold, shown or not.
    pub(crate) fn pass(
        self,
        mut tell: impl FnMut(Passed<'a>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let mut reader = Reader::new(self.fields);
        for _ in 0..self.count {
            reader.blob("field name")?;
            pass(&mut reader, &mut tell)?;
        }
        Ok(())
    }

    /// All fields with every kind that they hold.
    fn nodes(self) -> impl Iterator<Item = Result<(&'a str, NodeView<'a>), DecodeError>> + use<'a> {
        let mut reader = Reader::new(self.fields);
        (0..self.count).map(move |_| take_field(&mut reader))
    }

    fn find(self, name: &str) -> Result<Option<NodeView<'a>>, DecodeError> {
        let mut reader = Reader::new(self.fields);
        if !self.offsets.is_empty() {
            return self.search(name);
        }
        for _ in 0..self.count {
            match reader.blob("field name")?.cmp(name.as_bytes()) {
                std::cmp::Ordering::Less => pass(&mut reader, &mut |_| Ok(()))?,
                std::cmp::Ordering::Equal => return NodeView::take(&mut reader).map(Some),
                std::cmp::Ordering::Greater => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Finds a field of a wide map by its table.
    fn search(self, name: &str) -> Result<Option<NodeView<'a>>, DecodeError> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = usize::midpoint(low, high);
            let mut reader = self.field_at(middle)?;
            match reader.text("field name")?.cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return NodeView::take(&mut reader).map(Some),
            }
        }
        Ok(None)
    }

    fn field_at(self, index: usize) -> Result<Reader<'a>, DecodeError> {
        let damaged = DecodeError::Malformed {
            what: "offset of a field",
            at: index,
        };
        let slot = self
            .offsets
            .chunks_exact(OFFSET_BYTES)
            .nth(index)
            .ok_or(damaged)?;
        let offset = slot
            .try_into()
            .map(u32::from_le_bytes)
            .map_err(|_| damaged)?;
        let field = self.fields.get(offset as usize..).ok_or(damaged)?;
        Ok(Reader::new(field))
    }
}

/// Passes over everything before the fields, taking nothing apart.
fn skip_head(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let first = reader.byte("header")?;
    let version = first & VERSION_MASK;
    if version != VERSION {
        return Err(DecodeError::UnknownVersion { version });
    }
    refuse_delta(reader, first)?;
    reader.varint("newest stamp")?;
    for _ in 0..reader.count("actors")? {
        reader.take(16, "site id")?;
        reader.varint("epoch")?;
        skip_stamp(reader)?;
    }
    skip_tables(reader, first)
}

fn refuse_delta(reader: &Reader<'_>, flags: u8) -> Result<(), DecodeError> {
    if flags & (DELTA | INTERNED) != 0 {
        return Err(reader.malformed("document: a delta stands in its place"));
    }
    Ok(())
}

/// Skips what stands between the version vector and the fields.
fn skip_tables(reader: &mut Reader<'_>, flags: u8) -> Result<(), DecodeError> {
    for _ in 0..reader.count("commits")? {
        reader.varint("commit")?;
        skip_stamp(reader)?;
    }
    if flags & HAS_REMOVALS != 0 {
        for _ in 0..reader.count("removal vectors")? {
            for _ in 0..reader.count("removal vector")? {
                reader.varint("actor of a removal")?;
                skip_stamp(reader)?;
            }
        }
    }
    if flags & ROOT_REMOVED != 0 {
        skip_removal(reader)?;
    }
    Ok(())
}

fn skip_stamp(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    if reader.varint("stamp")? & 1 == 1 {
        reader.varint("stamp counter")?;
    }
    Ok(())
}

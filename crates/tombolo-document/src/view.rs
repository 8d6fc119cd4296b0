//! Reading a stored document in place: one path is followed, nothing else is
//! decoded.
//!
//! The bytes were checked when they came in; damage since is an error here,
//! never a wrong answer or a panic.

use std::collections::BTreeMap;

use crate::bytes::{DecodeError, Reader, unzigzag};
use crate::layout::{
    COUNTER_BASES, COUNTER_FLOOR, COUNTER_RESTART, DELTA, HAS_REMOVALS, INTERNED, NODE_ORDER,
    NODE_REMOVALS, OFFSET_BYTES, ROOT_REMOVED, VERSION, VERSION_MASK, WIDE_MAP,
};
use crate::raw::RawValue;
use crate::schema::{Field, Kind, Schema, Undeclared};
use crate::value::{Object, Value};

/// The bytes of a null, for fields that a removal made null.
const NULL: RawValue<'static> = RawValue::trusted(&[0]);

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
                crate::raw::Shape::Object(members) => members.get(name).map(Self::Value),
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
    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
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
        let mut object = Object::new();
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
            let key = reader.text("field name")?;
            if key == name {
                return NodeView::take(&mut reader).map(Some);
            }
            if key > name {
                return Ok(None);
            }
            NodeView::take(&mut reader)?;
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

/// One field with every kind that it holds.
#[derive(Debug, Clone, Copy, Default)]
struct NodeView<'a> {
    register: Option<RawValue<'a>>,
    map: Option<MapView<'a>>,
    counter: Option<i128>,
    pn_counter: Option<i128>,
    attachment: Option<RawValue<'a>>,
    /// The kinds that show, the newest first, where there are several.
    order: &'a [u8],
}

impl<'a> NodeView<'a> {
    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let header = reader.byte("field header")?;
        let holds = |kind: Kind| header & (1 << kind as u8) != 0;
        let mut node = Self::default();
        if header & NODE_ORDER != 0 {
            let count = reader.count("order of kinds")?;
            node.order = reader.take(count, "order of kinds")?;
        }
        if holds(Kind::Register) {
            node.register = Some(take_leaf(reader)?);
        }
        if holds(Kind::Map) {
            let length = reader.count("length of a map")?;
            let content = reader.take(length, "map")?;
            node.map = Some(MapView::take(&mut Reader::new(content))?);
        }
        if holds(Kind::Counter) {
            node.counter = take_counter(reader)?;
        }
        if holds(Kind::PnCounter) {
            node.pn_counter = take_counter(reader)?;
        }
        if holds(Kind::Attachment) {
            node.attachment = Some(take_leaf(reader)?);
        }
        if header & NODE_REMOVALS != 0 {
            skip_node_removals(reader)?;
        }
        Ok(node)
    }

    fn is_visible(&self) -> Result<bool, DecodeError> {
        let leaves = self.register.is_some() || self.attachment.is_some();
        if leaves || self.counter.is_some() || self.pn_counter.is_some() {
            return Ok(true);
        }
        self.map.map_or(Ok(false), MapView::is_visible)
    }

    /// The kind that a statement reads: the declared one, or the newest of
    /// those that it may see.
    fn seen_as(
        &self,
        declared: Option<&Field>,
        undeclared: Undeclared,
    ) -> Result<Option<FieldView<'a>>, DecodeError> {
        match (declared, undeclared) {
            (Some(field), _) => self.kind(field.kind),
            (None, Undeclared::Register) => self.kind(Kind::Register),
            (None, Undeclared::RegisterOrMap) => self.newest(&[Kind::Register, Kind::Map]),
            (None, Undeclared::Infer) => self.newest(&Kind::ALL),
        }
    }

    fn newest(&self, among: &[Kind]) -> Result<Option<FieldView<'a>>, DecodeError> {
        for number in self.order {
            let kind = among.iter().find(|kind| **kind as u8 == *number);
            if let Some(kind) = kind {
                return self.kind(*kind);
            }
        }
        for kind in among {
            if let Some(view) = self.kind(*kind)? {
                return Ok(Some(view));
            }
        }
        Ok(None)
    }

    fn kind(&self, kind: Kind) -> Result<Option<FieldView<'a>>, DecodeError> {
        Ok(match kind {
            Kind::Register => self.register.map(FieldView::Value),
            Kind::Attachment => self.attachment.map(FieldView::Value),
            Kind::Counter => self.counter.map(FieldView::Counter),
            Kind::PnCounter => self.pn_counter.map(FieldView::Counter),
            Kind::Map => match self.map {
                Some(map) if map.is_visible()? => Some(FieldView::Map(map)),
                _ => None,
            },
        })
    }
}

fn take_field<'a>(reader: &mut Reader<'a>) -> Result<(&'a str, NodeView<'a>), DecodeError> {
    let name = reader.text("field name")?;
    Ok((name, NodeView::take(reader)?))
}

fn take_leaf<'a>(reader: &mut Reader<'a>) -> Result<RawValue<'a>, DecodeError> {
    let first = reader.varint("leaf")?;
    let mut more = first & 1 == 1;
    while more {
        more = reader.varint("leaf")? & 1 == 1;
    }
    match first & 2 {
        0 => RawValue::take(reader),
        _ => Ok(NULL),
    }
}

/// The counter's value; `None` if only removals are left of it.
fn take_counter(reader: &mut Reader<'_>) -> Result<Option<i128>, DecodeError> {
    let flags = reader.byte("counter")?;
    let restarted = flags & COUNTER_RESTART != 0;
    let mut value = 0;
    if restarted {
        reader.varint("commit")?;
        value = i128::from(unzigzag(reader.varint("restart")?));
    }
    let start = *reader;
    let parts = reader.count("counter parts")?;
    for _ in 0..parts {
        let (_, up, down) = take_part(reader)?;
        value += i128::from(up) - i128::from(down);
    }
    if flags & COUNTER_FLOOR != 0 {
        reader.varint("commit")?;
        reader.varint("commit")?;
    }
    if flags & COUNTER_BASES != 0 {
        value -= take_bases(reader, start)?;
    }
    Ok((restarted || parts > 0).then_some(value))
}

fn take_part(reader: &mut Reader<'_>) -> Result<(u64, u64, u64), DecodeError> {
    let incarnation = reader.varint("commit")?;
    reader.varint("commit")?;
    reader.varint("epoch of a counter part")?;
    Ok((
        incarnation,
        reader.varint("increments")?,
        reader.varint("decrements")?,
    ))
}

/// The sum that the bases take from the parts, which `parts` reads again.
/// Both lists are sorted by incarnation.
fn take_bases(reader: &mut Reader<'_>, mut parts: Reader<'_>) -> Result<i128, DecodeError> {
    let mut left = parts.count("counter parts")?;
    let mut part = (0, 0, 0);
    let mut begun = false;
    let mut sum = 0;
    for _ in 0..reader.count("counter bases")? {
        let incarnation = reader.varint("commit")?;
        reader.varint("commit")?;
        let up = reader.varint("removed increments")?;
        let down = reader.varint("removed decrements")?;
        while left > 0 && (!begun || part.0 < incarnation) {
            part = take_part(&mut parts)?;
            begun = true;
            left -= 1;
        }
        if begun && part.0 == incarnation {
            sum += i128::from(up.min(part.1)) - i128::from(down.min(part.2));
        }
    }
    Ok(sum)
}

fn skip_node_removals(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    for _ in 0..reader.count("removals")? {
        reader.byte("removed kinds")?;
        skip_removal(reader)?;
    }
    Ok(())
}

fn skip_removal(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    for _ in 0..reader.count("removing commits")? {
        reader.varint("commit")?;
    }
    reader.varint("removal vector")?;
    Ok(())
}

/// Passes over everything before the fields, taking nothing apart.
fn skip_head(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let first = reader.byte("header")?;
    let version = first & VERSION_MASK;
    if version != VERSION {
        return Err(DecodeError::UnknownVersion { version });
    }
    if first & (DELTA | INTERNED) != 0 {
        return Err(reader.malformed("document: a delta stands in its place"));
    }
    reader.varint("newest stamp")?;
    for _ in 0..reader.count("actors")? {
        reader.take(16, "site id")?;
        reader.varint("epoch")?;
        skip_stamp(reader)?;
    }
    for _ in 0..reader.count("commits")? {
        reader.varint("commit")?;
        skip_stamp(reader)?;
    }
    if first & HAS_REMOVALS != 0 {
        for _ in 0..reader.count("removal vectors")? {
            for _ in 0..reader.count("removal vector")? {
                reader.varint("actor of a removal")?;
                skip_stamp(reader)?;
            }
        }
    }
    if first & ROOT_REMOVED != 0 {
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

//! One field of a stored document, taken off its bytes with every kind it holds.

use crate::bytes::{DecodeError, Reader, unzigzag};
use crate::layout::{COUNTER_BASES, COUNTER_FLOOR, COUNTER_RESTART, NODE_ORDER, NODE_REMOVALS};
use crate::raw::RawValue;
use crate::schema::{Field, Kind, Undeclared};
use crate::view::{FieldView, MapView};

/// The bytes of a null, for fields that a removal made null.
const NULL: RawValue<'static> = RawValue::trusted(&[0]);

/// One field with every kind that it holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NodeView<'a> {
    register: Option<RawValue<'a>>,
    map: Option<MapView<'a>>,
    counter: Option<i128>,
    pn_counter: Option<i128>,
    attachment: Option<RawValue<'a>>,
    /// The kinds that show, the newest first, where there are several.
    order: &'a [u8],
}

impl<'a> NodeView<'a> {
    pub(crate) fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
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

    pub(crate) fn is_visible(&self) -> Result<bool, DecodeError> {
        let leaves = self.register.is_some() || self.attachment.is_some();
        if leaves || self.counter.is_some() || self.pn_counter.is_some() {
            return Ok(true);
        }
        self.map.map_or(Ok(false), MapView::is_visible)
    }

    /// The kind that a statement reads: the declared one, or the newest of
    /// those that it may see.
    pub(crate) fn seen_as(
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

/// What is found in a field that is passed over.
pub(crate) enum Passed<'a> {
    /// The content of a map.
    Map(&'a [u8]),
    /// The token of an attachment.
    Attachment(RawValue<'a>),
}

/// Passes over one field behind its name, and tells what it holds that may lead to attachments.
/// Most hold a register alone, and of that nothing but its length is read.
#[inline]
pub(crate) fn pass<'a>(
    reader: &mut Reader<'a>,
    tell: &mut impl FnMut(Passed<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let header = reader.byte("field header")?;
    let holds = |kind: Kind| header & (1 << kind as u8) != 0;
    if header & NODE_ORDER != 0 {
        reader.blob("order of kinds")?;
    }
    if holds(Kind::Register) {
        take_leaf(reader)?;
    }
    if holds(Kind::Map) {
        tell(Passed::Map(reader.blob("length of a map")?))?;
    }
    if holds(Kind::Counter) {
        take_counter(reader)?;
    }
    if holds(Kind::PnCounter) {
        take_counter(reader)?;
    }
    if holds(Kind::Attachment) {
        tell(Passed::Attachment(take_leaf(reader)?))?;
    }
    if header & NODE_REMOVALS != 0 {
        skip_node_removals(reader)?;
    }
    Ok(())
}

/// Reads one field with its name.
pub(crate) fn take_field<'a>(
    reader: &mut Reader<'a>,
) -> Result<(&'a str, NodeView<'a>), DecodeError> {
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

/// Passes over a removal.
pub(crate) fn skip_removal(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    for _ in 0..reader.count("removing commits")? {
        reader.varint("commit")?;
    }
    reader.varint("removal vector")?;
    Ok(())
}

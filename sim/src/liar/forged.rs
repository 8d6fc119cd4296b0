//! Documents that nobody wrote: under the names of those who are asked to take
//! them, of others, and of nobody; stamped in the past, the future and beyond.

use tombolo::{DocumentId, Object, Value};
use tombolo_document::{
    Actor, Dot, Draft, Edit, Kind, Schema, SiteId, Stamp, VersionVector, merge,
};

use super::Lore;
use crate::holdings::Place;
use crate::random::Random;
use crate::workload::COLLECTIONS;

/// A collection that nobody writes to.
const OTHER: &str = "secrets";

/// A document of some name, mostly one that exists.
pub(super) fn some_place(documents: u64, random: &mut Random) -> Place {
    let collection = if random.chance(30) {
        OTHER
    } else {
        random.pick(&COLLECTIONS)
    };
    let name = format!("d{}", random.within(0..documents + 1));
    let id = DocumentId::from_value(&Value::from(name.as_str()));
    (collection.to_owned(), id.expect("a text is an id"))
}

/// A state of a document, if chance comes to one that has a form at all.
pub(super) fn document(
    place: &Place,
    lore: &Lore,
    now_ms: u64,
    random: &mut Random,
) -> Option<Vec<u8>> {
    let known = lore.known.iter().find(|(known, _)| known == place);
    let known = known.map(|(_, document)| document.as_slice());
    let dot = dot(known, lore, now_ms, random);
    let fields = Object::from([
        ("color".to_owned(), Value::from("red")),
        ("n".to_owned(), Value::Int(random.within(0..6) as i64)),
        ("forged".to_owned(), Value::from("by a liar")),
    ]);
    let whole = Draft::new(&fields, &Schema::INFERRED).ok()?.under(dot);
    match (known, random.below(5)) {
        (Some(known), 0..3) => edited(known, dot, random).or(Some(whole)),
        // A vector that claims all that somebody ever wrote or will write.
        (Some(known), 3) => Some(merge::merge(Some(known), &whole).ok()?.document),
        (_, 4) => removed(&whole, dot),
        _ => Some(whole),
    }
}

/// Beyond what a document is said to be sent.
pub(super) fn base(document: &[u8], random: &mut Random) -> VersionVector {
    let vector = merge::version_vector(document);
    match vector {
        Ok(vector) if random.chance(150) => vector,
        _ => VersionVector::new(),
    }
}

/// Who wrote it, and when.
fn dot(known: Option<&[u8]>, lore: &Lore, now_ms: u64, random: &mut Random) -> Dot {
    let written = known.and_then(|known| merge::version_vector(known).ok());
    if let Some(written) = written
        && !written.is_empty()
        && random.chance(300)
    {
        // A commit that was made, with another content.
        let (actor, stamp) = *random.pick(written.entries());
        return Dot::new(actor, stamp);
    }
    let actor = match random.below(6) {
        0 => lore.hello.actor,
        1 => Actor::new(SiteId([random.next() as u8; 16]), 1),
        _ => *random.pick(&lore.actors),
    };
    let stamp = match random.below(8) {
        0 => Stamp::new(now_ms + 9_900, 0),
        1 => Stamp::new(now_ms + 20_000, u16::MAX),
        2 => Stamp::MAX,
        3 => Stamp::new(1, 0),
        4 => Stamp::new(now_ms.saturating_sub(5_000), 0),
        _ => Stamp::new(now_ms, random.next() as u16),
    };
    Dot::new(actor, stamp)
}

fn edited(known: &[u8], dot: Dot, random: &mut Random) -> Option<Vec<u8>> {
    let mut edit = Edit::open(Some(known), dot).ok()?;
    let schema = &Schema::INFERRED;
    match random.below(5) {
        0 => {
            edit.delete();
        }
        1 => edit
            .increment(&["hits"], Kind::Counter, i64::MAX / 2, schema)
            .ok()?,
        2 => edit
            .increment(&["views"], Kind::PnCounter, -9, schema)
            .ok()?,
        3 => edit.unset(&["color"], schema).ok()?,
        _ => edit.set(&["color"], &Value::from("forged"), schema).ok()?,
    }
    edit.finish().ok()?
}

fn removed(whole: &[u8], dot: Dot) -> Option<Vec<u8>> {
    let later = Dot::new(dot.actor, dot.stamp.next()?);
    let mut edit = Edit::open(Some(whole), later).ok()?;
    edit.delete();
    edit.finish().ok()?
}

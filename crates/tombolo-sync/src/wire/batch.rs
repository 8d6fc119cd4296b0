//! Batches: documents on their way, with tables for what repeats.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use bytes::Bytes;
use tombolo_document::bytes::{DecodeError, Reader, put_blob, put_text, put_varint};
use tombolo_document::{Actor, DocumentId, VersionVector, merge};

use super::WireError;
use super::frame::{Packed, Packer};
use super::message::{
    BATCH, put_actor, put_list, take_actor, take_blob, take_id, take_list, take_text,
};
use crate::limits::{
    BATCH_ITEMS_MAX, COLLECTION_BYTES_MAX, CURSOR_BYTES_MAX, ITEM_BYTES, TABLE_BYTES_MAX,
    TABLE_FRESH_FROM, TABLE_MAX,
};

/// What a message of a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// The last message of its batch, or of a supplement.
    pub end: bool,
    /// Part of a catch-up, which promises no transaction whole.
    pub catch_up: bool,
    /// What a Want asked for.
    pub supplement: bool,
    /// The tables begin anew with this message.
    pub fresh_tables: bool,
    /// Sent because the peer was behind: it is not answered in kind.
    pub again: bool,
}

const END: u8 = 1;
const CATCH_UP: u8 = 2;
const SUPPLEMENT: u8 = 4;
const FRESH_TABLES: u8 = 8;
const AGAIN: u8 = 16;

impl Flags {
    fn byte(self) -> u8 {
        [
            (self.end, END),
            (self.catch_up, CATCH_UP),
            (self.supplement, SUPPLEMENT),
            (self.fresh_tables, FRESH_TABLES),
            (self.again, AGAIN),
        ]
        .into_iter()
        .fold(0, |byte, (set, bit)| byte | if set { bit } else { 0 })
    }

    fn from_byte(byte: u8) -> Option<Self> {
        (byte < 2 * AGAIN).then_some(Self {
            end: byte & END != 0,
            catch_up: byte & CATCH_UP != 0,
            supplement: byte & SUPPLEMENT != 0,
            fresh_tables: byte & FRESH_TABLES != 0,
            again: byte & AGAIN != 0,
        })
    }
}

/// How a document is told without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// It matches.
    Offer = 1,
    /// It does not match, or not any more.
    Leave = 2,
    /// Its holder was not asked for it.
    Have = 3,
}

/// What is told of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A delta with interned actors.
    Put(Bytes),
    /// The digest of its canonical bytes.
    Told(Form, [u8; 16]),
}

/// One document of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its collection.
    pub collection: Arc<str>,
    /// Its id.
    pub id: DocumentId,
    /// What is told of it.
    pub payload: Payload,
}

/// One message of a batch as read, its names still numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchPart {
    /// Of the interests.
    pub generation: u64,
    /// Which batch.
    pub number: u64,
    /// What it is.
    pub flags: Flags,
    names: Vec<String>,
    actors: Vec<Actor>,
    items: Vec<(u32, DocumentId, Payload)>,
    /// The cursor that is reached with it; empty if none.
    pub cursor: Bytes,
}

impl BatchPart {
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        reader.byte("message kind")?;
        let generation = reader.varint("generation")?;
        let number = reader.varint("batch")?;
        let flags = Flags::from_byte(reader.byte("flags")?).ok_or(reader.malformed("flags"))?;
        let names = take_list(&mut reader, TABLE_MAX, |reader| {
            take_text(reader, COLLECTION_BYTES_MAX, "collection")
        })?;
        let actors = take_list(&mut reader, TABLE_MAX, take_actor)?;
        let items = take_list(&mut reader, BATCH_ITEMS_MAX, |reader| {
            take_item(reader, bytes)
        })?;
        let cursor = if flags.end {
            bytes.slice_ref(take_blob(&mut reader, CURSOR_BYTES_MAX, "cursor")?)
        } else {
            Bytes::new()
        };
        if !reader.is_empty() {
            return Err(reader.malformed("end of message").into());
        }
        Ok(Self {
            generation,
            number,
            flags,
            names,
            actors,
            items,
            cursor,
        })
    }
}

fn take_item(
    reader: &mut Reader<'_>,
    bytes: &Bytes,
) -> Result<(u32, DocumentId, Payload), DecodeError> {
    let head = reader.varint("item")?;
    let name = u32::try_from(head >> 2).map_err(|_| reader.malformed("name"))?;
    let id = take_id(reader)?;
    let form = match head & 3 {
        0 => {
            let document = bytes.slice_ref(reader.blob("document")?);
            return Ok((name, id, Payload::Put(document)));
        }
        1 => Form::Offer,
        2 => Form::Leave,
        _ => Form::Have,
    };
    Ok((name, id, Payload::Told(form, reader.array("digest")?)))
}

/// The receiver's tables.
#[derive(Debug, Default)]
pub struct BatchReader {
    names: Vec<Arc<str>>,
    name_bytes: usize,
    actors: Arc<Vec<Actor>>,
}

impl BatchReader {
    /// The items of a message with their names, and the table for their actors.
    ///
    /// # Errors
    /// A number that was never introduced, or a table that grows too large.
    pub fn read(
        &mut self,
        part: &mut BatchPart,
    ) -> Result<(Vec<Item>, Arc<Vec<Actor>>), WireError> {
        if part.flags.fresh_tables {
            *self = Self::default();
        }
        for name in part.names.drain(..) {
            self.name_bytes += name.len() + ITEM_BYTES;
            self.names.push(name.into());
        }
        if !part.actors.is_empty() {
            Arc::make_mut(&mut self.actors).append(&mut part.actors);
        }
        let entries = self.names.len().max(self.actors.len());
        if entries > TABLE_MAX || self.name_bytes > TABLE_BYTES_MAX {
            return Err(WireError::Protocol("a table of a batch is too large"));
        }
        let items = part.items.drain(..).map(|(name, id, payload)| {
            let name = self.names.get(name as usize);
            Ok(Item {
                collection: Arc::clone(name.ok_or(WireError::Protocol("an unknown name"))?),
                id,
                payload,
            })
        });
        let items = items.collect::<Result<_, WireError>>()?;
        Ok((items, Arc::clone(&self.actors)))
    }
}

/// What a sender numbered, in the order in which it did.
struct Table<T> {
    places: HashMap<T, usize>,
    order: Vec<T>,
    /// The place of the one that was asked for last: most items follow one of
    /// the same.
    last: usize,
    /// How many were introduced by a message.
    introduced: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            order: Vec::new(),
            last: 0,
            introduced: 0,
        }
    }
}

impl<T: Eq + Hash> Table<T> {
    /// The number of this one, which is its place.
    fn number<Q>(&mut self, of: &Q) -> u64
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = T> + ?Sized,
    {
        let last = self.order.get(self.last);
        if last.is_none_or(|last| last.borrow() != of) {
            self.last = match self.places.get(of) {
                Some(place) => *place,
                None => {
                    let next = self.order.len();
                    self.places.insert(of.to_owned(), next);
                    self.order.push(of.to_owned());
                    next
                }
            };
        }
        self.last as u64
    }

    /// Those that no message introduced yet.
    fn unintroduced(&self) -> &[T] {
        &self.order[self.introduced..]
    }
}

/// Writes the messages of batches, with the sender's tables.
pub struct BatchWriter {
    names: Table<String>,
    actors: Table<Actor>,
    fresh: bool,
    items: Vec<u8>,
    count: u64,
    /// The message being put together; kept, since large buffers cost more to
    /// get than to fill.
    message: Vec<u8>,
    packer: Packer,
}

impl Default for BatchWriter {
    fn default() -> Self {
        Self {
            names: Table::default(),
            actors: Table::default(),
            fresh: true,
            items: Vec::new(),
            count: 0,
            message: Vec::new(),
            packer: Packer::default(),
        }
    }
}

impl BatchWriter {
    /// How many bytes of items wait for [`BatchWriter::finish`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether no item waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds what a document holds beyond `base`; gives false, and adds nothing,
    /// if that is nothing.
    ///
    /// # Errors
    /// The stored document is damaged.
    pub fn put(
        &mut self,
        collection: &str,
        id: &[u8],
        document: &[u8],
        base: &VersionVector,
    ) -> Result<bool, DecodeError> {
        let actors = &mut self.actors;
        let delta = merge::delta_interned(document, base, &mut |actor| actors.number(actor))?;
        let Some(delta) = delta else { return Ok(false) };
        self.head(collection, id, 0);
        put_blob(&mut self.items, &delta);
        Ok(true)
    }

    /// Adds the digest of a document.
    pub fn tell(&mut self, collection: &str, id: &[u8], form: Form, digest: &[u8; 16]) {
        self.head(collection, id, form as u64);
        self.items.extend_from_slice(digest);
    }

    fn head(&mut self, collection: &str, id: &[u8], form: u64) {
        let number = self.names.number(collection);
        put_varint(&mut self.items, number << 2 | form);
        put_blob(&mut self.items, id);
        self.count += 1;
    }

    /// The message with the items so far. `cursor` is written if it is the last
    /// of its batch.
    pub fn finish(
        &mut self,
        (generation, number): (u64, u64),
        flags: Flags,
        cursor: &[u8],
    ) -> Packed {
        let mut out = std::mem::take(&mut self.message);
        out.clear();
        out.push(BATCH);
        put_varint(&mut out, generation);
        put_varint(&mut out, number);
        // A message without items may be thrown away.
        let fresh_tables = self.count > 0 && std::mem::take(&mut self.fresh);
        out.push(
            Flags {
                fresh_tables,
                ..flags
            }
            .byte(),
        );
        put_list(&mut out, self.names.unintroduced(), |out, name| {
            put_text(out, name)
        });
        put_list(&mut out, self.actors.unintroduced(), put_actor);
        put_varint(&mut out, self.count);
        out.append(&mut self.items);
        if flags.end {
            put_blob(&mut out, cursor);
        }
        self.count = 0;
        self.names.introduced = self.names.order.len();
        self.actors.introduced = self.actors.order.len();
        if self.names.introduced.max(self.actors.introduced) > TABLE_FRESH_FROM {
            self.names = Table::default();
            self.actors = Table::default();
            self.fresh = true;
        }
        let packed = self.packer.pack(&out);
        self.message = out;
        packed
    }
}

//! Frames as lines of text, for those who follow a run, and as what they name, for
//! the checkers.

use bytes::Bytes;
use tombolo_sync::wire::{Assembler, BatchReader, Message, Payload, WireError};

use crate::holdings::Place;

/// Understands what one end of a link says.
#[derive(Default)]
pub(crate) struct Listener {
    assembler: Assembler,
    tables: BatchReader,
}

/// A message, unpacked.
pub(crate) struct Overheard {
    /// The documents that a batch tells of in any form.
    pub(crate) places: Vec<Place>,
    pub(crate) message: Bytes,
}

impl Listener {
    /// The message that a frame completes.
    pub(crate) fn overhear(&mut self, frame: &Bytes) -> Result<Option<Overheard>, WireError> {
        let Some((_, message)) = self.assembler.take(frame)? else {
            return Ok(None);
        };
        let mut places = Vec::new();
        if let Message::Batch(mut part) = Message::decode(&message)? {
            let (items, _) = self.tables.read(&mut part)?;
            let named = items.into_iter();
            places.extend(named.map(|item| (item.collection.to_string(), item.id)));
        }
        Ok(Some(Overheard { places, message }))
    }

    /// What a frame says.
    pub(crate) fn hear(&mut self, frame: &Bytes) -> String {
        match self.understand(frame) {
            Ok(text) => text,
            Err(error) => format!("{} bytes: {error}", frame.len()),
        }
    }

    fn understand(&mut self, frame: &Bytes) -> Result<String, WireError> {
        let Some((_, bytes)) = self.assembler.take(frame)? else {
            return Ok("a part of a message".to_owned());
        };
        let mut part = match Message::decode(&bytes)? {
            Message::Batch(part) => part,
            Message::Hello(hello) => return Ok(format!("Hello, log {:02x?}", &hello.log.0[..2])),
            // A signature is another in each run.
            Message::Revocations { .. } => return Ok("Revocations".to_owned()),
            other => return Ok(format!("{other:?}")),
        };
        let (items, _) = self.tables.read(&mut part)?;
        let items = items.iter().map(|item| {
            let told = match &item.payload {
                Payload::Put(delta) => format!("put {} bytes", delta.len()),
                Payload::Told(form, digest) => format!("{form:?} {:02x?}", &digest[..2]),
            };
            format!("{} {:?} {told}", item.collection, item.id)
        });
        let items: Vec<String> = items.collect();
        let (generation, number, flags) = (part.generation, part.number, part.flags);
        let cursor = if part.cursor.is_empty() {
            ""
        } else {
            " with a cursor"
        };
        Ok(format!(
            "Batch {generation}/{number} {flags:?}{cursor} {items:?}"
        ))
    }
}

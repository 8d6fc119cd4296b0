//! Everything that one side can write is read by the other as it was meant.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod made;

use bytes::Bytes;
use made::{Told, flags, id, message, piece, told};
use proptest::prelude::*;
use tombolo_document::{Actor, DocumentId, Value, VersionVector, merge};
use tombolo_sync::limits::{
    ATTACHMENT_FRAGMENT_BYTES, COMPRESS_FROM_BYTES, FRAGMENT_BYTES, FRAME_BYTES_MAX,
    TABLE_FRESH_FROM,
};
use tombolo_sync::wire::{
    Assembler, BatchReader, BatchWriter, Channel, Flags, Form, Framer, Item, Message, Packed,
    Payload,
};

/// Frames of a message, checked for their size.
fn frames(framer: &mut Framer, channel: Channel, message: &Packed) -> Vec<Bytes> {
    let mut frames = Vec::new();
    framer.frames(channel, message, |frame| {
        assert!(frame.len() <= FRAME_BYTES_MAX);
        frames.push(frame);
    });
    frames
}

fn carry(assembler: &mut Assembler, frames: &[Bytes]) -> (Channel, Bytes) {
    let (last, before) = frames.split_last().unwrap();
    for frame in before {
        assert_eq!(assembler.take(frame).unwrap(), None);
    }
    assembler.take(last).unwrap().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_message_is_read_as_it_was_written(message in message()) {
        let bytes = Bytes::from(message.encode());
        prop_assert_eq!(Message::decode(&bytes).unwrap(), message);
    }

    #[test]
    fn a_piece_is_read_as_it_was_written(message in piece()) {
        let bytes = Bytes::from(message.encode());
        prop_assert_eq!(Message::decode(&bytes).unwrap(), message);
    }

    #[test]
    fn a_message_has_no_shorter_form(message in message(), cut in any::<prop::sample::Index>()) {
        let bytes = Bytes::from(message.encode());
        prop_assert!(Message::decode(&bytes.slice(..cut.index(bytes.len()))).is_err());
    }

    #[test]
    fn what_is_read_is_written_as_it_was(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let bytes = Bytes::from(bytes);
        if let Ok(message) = Message::decode(&bytes) {
            let again = Bytes::from(message.encode());
            if !matches!(message, Message::Batch(_)) {
                prop_assert_eq!(Message::decode(&again).unwrap(), message);
            }
        }
    }

    #[test]
    fn batches_are_read_as_they_were_written(
        batches in prop::collection::vec(
            (flags(), prop::collection::vec(("[a-c]", id(), told()), 0..6), any::<(u64, u64)>()),
            1..6,
        ),
    ) {
        let (mut writer, mut reader) = (BatchWriter::default(), BatchReader::default());
        let (mut framer, mut assembler) = (Framer::default(), Assembler::default());
        for (flags, documents, number) in batches {
            for (collection, id, told) in &documents {
                match told {
                    Told::Put(document) => {
                        let base = VersionVector::new();
                        prop_assert!(writer.put(collection, id.as_bytes(), document, &base).unwrap());
                    }
                    Told::Digest(form, digest) => {
                        writer.tell(collection, id.as_bytes(), *form, digest);
                    }
                }
            }
            let packed = writer.finish(number, flags, b"cursor");
            prop_assert!(writer.is_empty());
            let frames = frames(&mut framer, Channel::Documents, &packed);
            let (channel, bytes) = carry(&mut assembler, &frames);
            prop_assert_eq!(channel, Channel::Documents);
            let Message::Batch(mut part) = Message::decode(&bytes).unwrap() else {
                panic!("not a batch");
            };
            prop_assert_eq!((part.generation, part.number), number);
            let fresh_tables = part.flags.fresh_tables;
            prop_assert_eq!(part.flags, Flags { fresh_tables, ..flags });
            prop_assert_eq!(&part.cursor[..], if flags.end { &b"cursor"[..] } else { b"" });
            let (items, actors) = reader.read(&mut part).unwrap();
            prop_assert_eq!(items.len(), documents.len());
            for (item, (collection, id, told)) in items.iter().zip(&documents) {
                check_item(item, (collection, id, told), &actors)?;
            }
        }
    }

    #[test]
    fn messages_of_any_size_pass_the_frames(
        sizes in prop::collection::vec((0_usize..3 * FRAGMENT_BYTES, any::<bool>(), 0_usize..3), 1..4),
    ) {
        let (mut framer, mut assembler) = (Framer::default(), Assembler::default());
        for (size, repeats, channel) in sizes {
            let channel = [Channel::Control, Channel::Documents, Channel::Attachments][channel];
            let mut message = vec![7; size + 1];
            if !repeats {
                blake3::Hasher::new().finalize_xof().fill(&mut message);
            }
            let frames = frames(&mut framer, channel, &Packed::plain(message.clone()));
            let fragment_bytes = match channel {
                Channel::Attachments => ATTACHMENT_FRAGMENT_BYTES,
                _ => FRAGMENT_BYTES,
            };
            prop_assert_eq!(frames.len(), message.len().div_ceil(fragment_bytes));
            prop_assert_eq!(carry(&mut assembler, &frames), (channel, message.into()));
        }
    }

    #[test]
    fn frames_of_different_channels_may_mix(order in prop::collection::vec(any::<bool>(), 8..40)) {
        let (mut framer, mut assembler) = (Framer::default(), Assembler::default());
        let message = |byte: u8| vec![byte; 2 * FRAGMENT_BYTES + 1];
        let control = frames(&mut framer, Channel::Control, &Packed::plain(message(1)));
        let documents = frames(&mut framer, Channel::Documents, &Packed::plain(message(2)));
        let (mut control, mut documents) = (control.iter(), documents.iter());
        let mut whole = Vec::new();
        for first in order {
            let next = if first { control.next() } else { documents.next() };
            if let Some(frame) = next {
                whole.extend(assembler.take(frame).unwrap());
            }
        }
        for frame in control.chain(documents) {
            whole.extend(assembler.take(frame).unwrap());
        }
        whole.sort();
        prop_assert_eq!(whole, [
            (Channel::Control, message(1).into()),
            (Channel::Documents, Bytes::from(message(2))),
        ]);
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_harmless(
        kind in 0_u8..12,
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        bytes.insert(0, kind);
        if let Ok(Message::Batch(mut part)) = Message::decode(&bytes.into()) {
            let _ = BatchReader::default().read(&mut part);
        }
    }

    #[test]
    fn a_changed_batch_is_refused_or_harmless(
        documents in prop::collection::vec(("[a-c]", id(), told()), 1..6),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut writer = BatchWriter::default();
        for (collection, id, told) in &documents {
            if let Told::Put(document) = told {
                writer.put(collection, id.as_bytes(), document, &VersionVector::new()).unwrap();
            }
        }
        let packed = writer.finish((1, 1), Flags::default(), b"");
        let frames = frames(&mut Framer::default(), Channel::Documents, &packed);
        let mut bytes = frames.concat();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let Ok(Some((_, bytes))) = Assembler::default().take(&bytes.into()) else { return Ok(()) };
        let Ok(Message::Batch(mut part)) = Message::decode(&bytes) else { return Ok(()) };
        let Ok((items, actors)) = BatchReader::default().read(&mut part) else { return Ok(()) };
        for item in items {
            if let Payload::Put(delta) = item.payload {
                let _ = merge::merge_interned(None, &delta, &|number| resolve(&actors, number));
            }
        }
    }
}

fn resolve(actors: &[Actor], number: u64) -> Option<Actor> {
    actors.get(usize::try_from(number).ok()?).copied()
}

fn check_item(
    item: &Item,
    (collection, id, told): (&str, &DocumentId, &Told),
    actors: &[Actor],
) -> Result<(), TestCaseError> {
    prop_assert_eq!((&*item.collection, &item.id), (collection, id));
    match (&item.payload, told) {
        (Payload::Told(form, digest), Told::Digest(wanted, of)) => {
            prop_assert_eq!((form, digest), (wanted, of));
        }
        (Payload::Put(delta), Told::Put(document)) => {
            let merged = merge::merge_interned(None, delta, &|number| resolve(actors, number));
            prop_assert_eq!(&merged.unwrap().document, document);
        }
        other => panic!("another payload: {other:?}"),
    }
    Ok(())
}

#[test]
fn what_is_long_and_repeats_is_compressed_and_nothing_else() {
    let mut writer = BatchWriter::default();
    let id = DocumentId::from_value(&Value::Int(1)).unwrap();
    let mut finish = |items: usize| {
        for _ in 0..items {
            writer.tell("cars", id.as_bytes(), Form::Have, &[0; 16]);
        }
        writer.finish((1, 1), Flags::default(), b"")
    };
    let few = finish(2);
    let packed = frames(&mut Framer::default(), Channel::Documents, &few);
    assert_eq!(packed[0][0], Channel::Documents as u8);
    let many = finish(COMPRESS_FROM_BYTES);
    assert!(many.len() < COMPRESS_FROM_BYTES);
    let packed = frames(&mut Framer::default(), Channel::Documents, &many);
    assert_eq!(packed[0][0], Channel::Documents as u8 | 8);
    let (_, bytes) = carry(&mut Assembler::default(), &packed);
    assert!(matches!(Message::decode(&bytes), Ok(Message::Batch(_))));
}

/// The tables of both sides begin anew together, before the reader's are full.
#[test]
fn tables_begin_anew_and_names_stay_right() {
    let (mut writer, mut reader) = (BatchWriter::default(), BatchReader::default());
    let mut assembler = Assembler::default();
    let mut framer = Framer::default();
    let id = DocumentId::from_value(&Value::Int(1)).unwrap();
    let mut fresh = 0;
    for number in 0..40 {
        let names: Vec<String> = (0..TABLE_FRESH_FROM / 4)
            .map(|name| format!("{number}.{name}"))
            .collect();
        for name in &names {
            writer.tell(name, id.as_bytes(), Form::Have, &[0; 16]);
        }
        let packed = writer.finish((1, number), Flags::default(), b"");
        let frames = frames(&mut framer, Channel::Documents, &packed);
        let (_, bytes) = carry(&mut assembler, &frames);
        let Message::Batch(mut part) = Message::decode(&bytes).unwrap() else {
            panic!("not a batch");
        };
        fresh += u64::from(part.flags.fresh_tables);
        let (items, _) = reader.read(&mut part).unwrap();
        let read: Vec<&str> = items.iter().map(|item| &*item.collection).collect();
        assert_eq!(read, names);
    }
    assert_eq!(fresh, 8);
}

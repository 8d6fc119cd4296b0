//! Everything that one side can write is read by the other as it was meant.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use bytes::Bytes;
use proptest::prelude::*;
use tombolo_document::{
    Actor, DocumentId, Dot, Draft, Object, Schema, SiteId, Stamp, Value, VersionVector, merge,
};
use tombolo_sync::limits::{
    COMPRESS_FROM_BYTES, FRAGMENT_BYTES, FRAME_BYTES_MAX, TABLE_FRESH_FROM,
};
use tombolo_sync::view::LogId;
use tombolo_sync::wire::{
    Assembler, BatchReader, BatchWriter, Channel, Flags, Form, Framer, Hello, Item, Message,
    Packed, Payload, Refusal, Scope, Stated, Verdict,
};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        ".{0,8}".prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Object> {
    prop::collection::btree_map("[a-z]{1,4}", value(), 0..4)
        .prop_map(|members| members.into_iter().collect())
}

fn id() -> impl Strategy<Value = DocumentId> {
    let text = ".{1,12}".prop_map(|text| Value::String(text.as_str().to_owned()));
    let value = prop_oneof![text, any::<i64>().prop_map(Value::Int)];
    value.prop_filter_map("no id", |value| DocumentId::from_value(&value).ok())
}

fn actor() -> impl Strategy<Value = Actor> {
    (any::<[u8; 16]>(), 1..=u32::MAX).prop_map(|(site, epoch)| Actor::new(SiteId(site), epoch))
}

prop_compose! {
    fn hello()(
        versions in any::<(u64, u64)>(),
        texts in (".{0,20}", ".{0,20}", ".{0,20}", ".{0,20}"),
        log in any::<[u8; 16]>(),
        actor in actor(),
        now_ms in any::<u64>(),
        is_server in any::<bool>(),
        metadata in prop::collection::vec(any::<u8>(), 0..40),
    ) -> Message {
        let (database_id, device_name, os, version) = texts;
        Message::Hello(Box::new(Hello {
            versions, database_id, log: LogId(log), actor, now_ms, is_server, device_name, os,
            version, metadata,
        }))
    }
}

prop_compose! {
    fn interests()(
        (generation, holds_documents, may_continue) in any::<(u64, bool, bool)>(),
        cursor in prop::collection::vec(any::<u8>(), 0..40),
        stated in prop::collection::vec((".{0,20}", object()), 0..4),
    ) -> Message {
        let stated = stated.into_iter();
        let stated = stated.map(|(statement, arguments)| Stated { statement, arguments });
        Message::Interests {
            generation, holds_documents, may_continue, cursor: cursor.into(),
            stated: stated.collect(),
        }
    }
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Taken),
        ".{0,20}".prop_map(Verdict::NotPermitted),
        ".{0,20}".prop_map(Verdict::NotUnderstood),
    ]
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop::sample::select(&[Refusal::Permission, Refusal::Skew, Refusal::Size][..])
}

fn message() -> impl Strategy<Value = Message> {
    let scope = (any::<(u64, bool)>(), prop::collection::vec(verdict(), 0..4));
    let want = (
        any::<(u64, u64)>(),
        prop::collection::vec(any::<u32>(), 0..9),
    );
    let refused = prop::collection::vec((".{0,20}", id(), refusal()), 0..4);
    let documents = prop::collection::vec((".{0,20}", id()), 0..4);
    prop_oneof![
        hello(),
        interests(),
        scope.prop_map(|((generation, continued), verdicts)| Message::Scope {
            generation,
            scope: Scope {
                continued,
                verdicts
            },
        }),
        want.prop_map(|((generation, batch), places)| Message::Want {
            generation,
            batch,
            places
        }),
        (any::<(u64, u64)>(), refused).prop_map(|((generation, batch), refused)| Message::Ack {
            generation,
            batch,
            refused
        }),
        (any::<u64>(), documents).prop_map(|(generation, documents)| Message::Fetch {
            generation,
            documents
        }),
        any::<u64>().prop_map(|now_ms| Message::Ping { now_ms }),
        (any::<u8>(), ".{0,20}").prop_map(|(code, reason)| Message::Bye { code, reason }),
    ]
}

/// One document of a batch, before it is written.
#[derive(Debug, Clone)]
enum Told {
    Put(Vec<u8>),
    Digest(Form, [u8; 16]),
}

fn told() -> impl Strategy<Value = Told> {
    let document = (object(), actor(), 1_u64..1 << 40).prop_map(|(fields, actor, millis)| {
        let dot = Dot::new(actor, Stamp::new(millis, 0));
        let draft = Draft::new(&fields, &Schema::INFERRED);
        draft.map(|draft| Told::Put(draft.under(dot)))
    });
    let document = document.prop_filter_map("no document", Result::ok);
    let form = prop::sample::select(&[Form::Offer, Form::Leave, Form::Have][..]);
    let digest = (form, any::<[u8; 16]>()).prop_map(|(form, digest)| Told::Digest(form, digest));
    prop_oneof![document, digest]
}

fn flags() -> impl Strategy<Value = Flags> {
    any::<(bool, bool, bool, bool)>().prop_map(|(end, catch_up, supplement, again)| Flags {
        end,
        catch_up,
        supplement,
        again,
        fresh_tables: false,
    })
}

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
            prop_assert_eq!(frames.len(), message.len().div_ceil(FRAGMENT_BYTES));
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

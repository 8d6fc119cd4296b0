//! Messages and documents of every kind, made at random.

use proptest::prelude::*;
use tombolo_document::attachment::{ATTACHMENT_BYTES_MAX, AttachmentId};
use tombolo_document::{Actor, DocumentId, Dot, Draft, Object, Schema, SiteId, Stamp, Value};
use tombolo_sync::view::LogId;
use tombolo_sync::wire::{
    AttachmentMessage, Flags, Form, Hello, Lack, Message, Refusal, Scope, Stated, Verdict,
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

pub(crate) fn id() -> impl Strategy<Value = DocumentId> {
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

pub(crate) fn message() -> impl Strategy<Value = Message> {
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
        prop::collection::vec(any::<u8>(), 0..40)
            .prop_map(|list| Message::Revocations { list: list.into() }),
        attachment().prop_map(Message::Attachment),
    ]
}

fn attachment() -> impl Strategy<Value = AttachmentMessage> {
    let seek = (
        any::<(u64, bool)>(),
        ".{0,20}",
        id(),
        any::<[u8; 32]>(),
        0..=ATTACHMENT_BYTES_MAX,
    );
    let content = || prop::collection::vec(any::<u8>(), 0..40);
    let lack = prop::sample::select(&[Lack::Refused, Lack::NotHeld][..]);
    prop_oneof![
        seek.prop_map(
            |((request, has_manifest), collection, id, attachment, length)| {
                AttachmentMessage::Seek {
                    request,
                    has_manifest,
                    collection,
                    id,
                    attachment: AttachmentId::from_bytes(attachment),
                    length,
                }
            }
        ),
        (any::<u64>(), content()).prop_map(|(request, manifest)| AttachmentMessage::Holding {
            request,
            manifest: manifest.into(),
        }),
        (any::<u64>(), lack)
            .prop_map(|(request, lack)| AttachmentMessage::Lacking { request, lack }),
        (any::<(u64, u64)>(), 1..=64_u64).prop_map(|((request, first), count)| {
            AttachmentMessage::Pull {
                request,
                first,
                count,
            }
        }),
        any::<u64>().prop_map(|request| AttachmentMessage::Release { request }),
    ]
}

/// A piece, whose content goes to the end of its message.
pub(crate) fn piece() -> impl Strategy<Value = Message> {
    let content = prop::collection::vec(any::<u8>(), 0..40);
    (any::<(u64, u64)>(), content).prop_map(|((request, piece), content)| {
        Message::Attachment(AttachmentMessage::Piece {
            request,
            piece,
            content: content.into(),
        })
    })
}

/// One document of a batch, before it is written.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    Put(Vec<u8>),
    Digest(Form, [u8; 16]),
}

pub(crate) fn told() -> impl Strategy<Value = Told> {
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

pub(crate) fn flags() -> impl Strategy<Value = Flags> {
    any::<(bool, bool, bool, bool)>().prop_map(|(end, catch_up, supplement, again)| Flags {
        end,
        catch_up,
        supplement,
        again,
        fresh_tables: false,
    })
}

//! The limits of single fields, at, below and above.

use tombolo_document::bytes::{put_blob, put_text, put_varint};
use tombolo_document::{Object, Value, raw};
use tombolo_sync::limits::{
    BATCH_ITEMS_MAX, COLLECTION_BYTES_MAX, CURSOR_BYTES_MAX, FETCH_MAX, METADATA_BYTES_MAX,
    NAME_BYTES_MAX, REASON_BYTES_MAX, STATEMENT_BYTES_MAX, STATEMENTS_MAX,
};
use tombolo_sync::wire::{
    BatchReader, Channel, Hello, Message, Packed, Refusal, Scope, Stated, Verdict, WireError,
};

use super::scene::{END, Scene, stated};
use super::view::{MemoryView, id};

/// Whether a session goes on after this message.
fn is_taken(bytes: Vec<u8>) -> bool {
    let mut scene = Scene::met();
    scene.send(Channel::Control, &Packed::plain(bytes));
    if scene.closed.is_some() {
        assert!(matches!(scene.misbehaved(), WireError::Decode(_)));
    }
    scene.closed.is_none()
}

/// Checks that a message with so many of something is taken up to a limit.
fn up_to(max: usize, message: impl Fn(usize) -> Vec<u8>) {
    for (count, wanted) in [(0, true), (max - 1, true), (max, true), (max + 1, false)] {
        let bytes = message(count);
        // Who is met says who it is once, and by its own key.
        let is_hello = bytes.first() == Some(&1);
        let taken = if is_hello {
            Message::decode(&bytes.into()).is_ok()
        } else {
            is_taken(bytes)
        };
        assert_eq!(taken, wanted, "{count}");
    }
}

fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

fn interests(cursor: usize, stated: Vec<Stated>) -> Vec<u8> {
    let message = Message::Interests {
        generation: 1,
        holds_documents: false,
        may_continue: false,
        cursor: vec![0; cursor].into(),
        stated,
    };
    message.encode()
}

#[test]
fn a_cursor_has_so_many_bytes() {
    up_to(CURSOR_BYTES_MAX, |bytes| interests(bytes, Vec::new()));
}

#[test]
fn a_cursor_that_is_kept_has_so_many_bytes() {
    for (bytes, wanted) in [(CURSOR_BYTES_MAX, true), (CURSOR_BYTES_MAX + 1, false)] {
        let mut scene = Scene::met();
        let number = (scene.generation(), 0);
        let message = scene.writer.finish(number, END, &vec![0; bytes]);
        scene.send(Channel::Documents, &message);
        assert_eq!(scene.closed.is_none(), wanted, "{bytes}");
    }
}

#[test]
fn interests_have_so_many_statements() {
    let one = || stated(&["SELECT * FROM cars"]).remove(0);
    up_to(STATEMENTS_MAX, |count| {
        interests(0, (0..count).map(|_| one()).collect())
    });
}

#[test]
fn a_statement_has_so_many_bytes() {
    up_to(STATEMENT_BYTES_MAX, |bytes| {
        interests(0, stated(&[&text(bytes)]))
    });
}

#[test]
fn arguments_have_so_many_bytes() {
    let arguments = |bytes: usize| Object::from([("a".to_owned(), Value::String(text(bytes)))]);
    let mut frame = Vec::new();
    raw::append(&mut frame, &Value::Object(arguments(STATEMENT_BYTES_MAX)));
    let beside = frame.len() - STATEMENT_BYTES_MAX;
    up_to(STATEMENT_BYTES_MAX, |bytes| {
        let arguments = match bytes.checked_sub(beside) {
            Some(bytes) => arguments(bytes),
            None => Object::new(),
        };
        let statement = String::new();
        interests(
            0,
            vec![Stated {
                statement,
                arguments,
            }],
        )
    });
}

#[test]
fn hello_has_short_texts() {
    let hello = |change: &dyn Fn(&mut Hello)| {
        let mut hello = Scene::met().hello();
        change(&mut hello);
        Message::Hello(Box::new(hello))
    };
    up_to(METADATA_BYTES_MAX, |bytes| {
        hello(&|hello| hello.metadata = vec![0; bytes]).encode()
    });
    // A writer of ours shortens them, so a longer one is made by hand.
    up_to(NAME_BYTES_MAX, |bytes| {
        let (short, mut long) = (hello(&|_| {}).encode(), Vec::new());
        let (head, tail) = short.split_at(short.len() - 4);
        assert_eq!(tail, [0; 4]);
        long.extend_from_slice(head);
        put_text(&mut long, &text(bytes));
        long.extend_from_slice(&[0; 3]);
        long
    });
}

#[test]
fn our_own_texts_are_shortened_between_characters() {
    let mut hello = Scene::met().hello();
    hello.device_name = format!("x{}", "ü".repeat(NAME_BYTES_MAX));
    let bytes = Message::Hello(Box::new(hello)).encode();
    let Ok(Message::Hello(read)) = Message::decode(&bytes.into()) else {
        panic!("not taken");
    };
    assert_eq!(read.device_name.len(), NAME_BYTES_MAX - 1);
}

#[test]
fn a_reason_has_so_many_bytes() {
    for bytes in [REASON_BYTES_MAX, REASON_BYTES_MAX + 1] {
        let mut message = vec![9, 1];
        put_text(&mut message, &text(bytes));
        let read = Message::decode(&message.into());
        assert_eq!(read.is_ok(), bytes == REASON_BYTES_MAX);
    }
    up_to(REASON_BYTES_MAX, |bytes| {
        let mut message = vec![3, 1, 0, 1, 2];
        put_text(&mut message, &text(bytes));
        message
    });
}

/// A compressed message of 16 MiB once became eight million verdicts.
#[test]
fn a_scope_has_so_many_verdicts() {
    up_to(STATEMENTS_MAX, |count| {
        let scope = Scope {
            continued: false,
            verdicts: vec![Verdict::Taken; count],
        };
        let generation = 1;
        Message::Scope { generation, scope }.encode()
    });
}

#[test]
fn an_ack_names_so_many_documents_and_a_want_so_many_places() {
    // Of a generation that is not served, so that they are read and no more.
    let (generation, batch) = (9, 0);
    up_to(BATCH_ITEMS_MAX, |count| {
        let refused = vec![("cars".to_owned(), id("1"), Refusal::Size); count];
        Message::Ack {
            generation,
            batch,
            refused,
        }
        .encode()
    });
    up_to(BATCH_ITEMS_MAX, |count| {
        let places = vec![0; count];
        Message::Want {
            generation,
            batch,
            places,
        }
        .encode()
    });
}

#[test]
fn a_fetch_names_so_many_documents() {
    up_to(FETCH_MAX, |count| {
        let documents = vec![("cars".to_owned(), id("1")); count];
        let generation = 9;
        Message::Fetch {
            generation,
            documents,
        }
        .encode()
    });
}

#[test]
fn a_collection_in_an_answer_has_so_many_bytes() {
    up_to(COLLECTION_BYTES_MAX, |bytes| {
        let documents = vec![(text(bytes), id("1"))];
        let generation = 9;
        Message::Fetch {
            generation,
            documents,
        }
        .encode()
    });
}

#[test]
fn a_list_is_believed_only_as_far_as_its_bytes_go() {
    for kind in [2_u8, 3, 5, 6, 7] {
        let mut message = vec![kind, 1, 0];
        if kind == 2 {
            put_blob(&mut message, b"");
        }
        put_varint(&mut message, u64::MAX);
        assert!(!is_taken(message), "kind {kind}");
    }
}

#[test]
fn an_id_that_is_none_ends_the_session() {
    for bytes in [&[][..], &[255], &[0; 5_000]] {
        let mut message = vec![7, 9, 1];
        put_text(&mut message, "cars");
        put_blob(&mut message, bytes);
        assert!(!is_taken(message));
    }
}

#[test]
fn what_is_not_understood_is_told_and_wants_nothing() {
    let mut view = MemoryView::default();
    view.put("cars", "1", "red");
    let mut scene = Scene::met_over(view);
    let wanted = stated(&["SELECT", "DELETE FROM cars", "SELECT * FROM (cars"]);
    scene.say(&Message::Interests {
        generation: 1,
        holds_documents: false,
        may_continue: false,
        cursor: bytes::Bytes::new(),
        stated: wanted,
    });
    assert!(scene.closed.is_none());
    let scope = scene.heard.iter().find_map(|message| match message {
        Message::Scope { scope, .. } => Some(scope.clone()),
        _ => None,
    });
    let verdicts = scope.unwrap().verdicts;
    let is_cut = |verdict: &Verdict| matches!(verdict, Verdict::NotUnderstood(_));
    assert!(verdicts.len() == 3 && verdicts.iter().all(is_cut));
    for message in scene.heard {
        if let Message::Batch(mut part) = message {
            let (items, _) = BatchReader::default().read(&mut part).unwrap();
            assert!(items.is_empty());
        }
    }
}

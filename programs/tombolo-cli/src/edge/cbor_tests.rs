//! Bytes that a client may send instead of a value, and values that come back as they were.

use minicbor::Encoder;
use proptest::prelude::*;
use tombolo::{MAX_DEPTH, Value};

use super::{Problem, parse, write_value};

fn problem(bytes: &[u8]) -> (Problem, usize) {
    let error = parse(bytes).unwrap_err();
    (error.problem, error.at)
}

fn written(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_value(&mut Encoder::new(&mut bytes), value).unwrap();
    bytes
}

fn object(members: &[(&str, Value)]) -> Value {
    let members = members
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    Value::Object(tombolo::Object::from_unsorted(members.collect()).unwrap())
}

/// From appendix A of RFC 8949.
#[test]
fn items_are_the_values_of_json_and_binary() {
    for (bytes, value) in [
        (&b"\xf6"[..], Value::Null),
        (b"\xf5", Value::Bool(true)),
        (b"\x18\x64", Value::Int(100)),
        (b"\x38\x63", Value::Int(-100)),
        (
            b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
            Value::Uint(u64::MAX),
        ),
        (
            b"\x3b\x7f\xff\xff\xff\xff\xff\xff\xff",
            Value::Int(i64::MIN),
        ),
        (b"\xf9\x3e\x00", Value::Float(1.5)),
        (b"\xfa\x47\xc3\x50\x00", Value::Float(100_000.0)),
        (b"\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a", Value::Float(1.1)),
        (b"\x64IETF", Value::from("IETF")),
        (b"\x44\x01\x02\x03\x04", Value::Binary(vec![1, 2, 3, 4])),
        (
            b"\x82\x01\x80",
            Value::Array(vec![Value::Int(1), Value::Array(Vec::new())]),
        ),
        (
            b"\xa2\x61b\x02\x61a\x01",
            object(&[("a", Value::Int(1)), ("b", Value::Int(2))]),
        ),
    ] {
        assert_eq!(parse(bytes).as_ref(), Ok(&value), "{bytes:x?}");
        assert_eq!(parse(&written(&value)).as_ref(), Ok(&value));
    }
}

#[test]
fn t47_indefinite_lengths_end_at_their_break() {
    let one = Value::Int(1);
    for (bytes, value) in [
        (
            &b"\x9f\x01\x9f\xff\xff"[..],
            Value::Array(vec![one.clone(), Value::Array(Vec::new())]),
        ),
        (b"\xbf\x61a\x01\xff", object(&[("a", one)])),
        (b"\x7f\x62st\x60\x61r\xff", Value::from("str")),
        (b"\x5f\x41\x01\x41\x02\xff", Value::Binary(vec![1, 2])),
    ] {
        assert_eq!(parse(bytes).as_ref(), Ok(&value), "{bytes:x?}");
        assert_eq!(problem(&bytes[..bytes.len() - 1]).0, Problem::EndsEarly);
    }
    // A piece is definite and of the same kind; letters are not cut.
    assert_eq!(problem(b"\x7f\x7f\x61a\xff\xff").0, Problem::Malformed);
    assert_eq!(problem(b"\x7f\x41a\xff").0, Problem::Malformed);
    assert_eq!(problem(b"\x7f\x61\xc3\x61\xa4\xff").0, Problem::NotUtf8);
    // A break where a value has to be.
    assert_eq!(problem(b"\xff").0, Problem::Malformed);
    assert_eq!(problem(b"\xbf\x61a\xff").0, Problem::Malformed);
    assert_eq!(problem(b"\x81\xff").0, Problem::Malformed);
}

/// 2^40 of each kind, and 2^64 - 1: an allocation of that size would abort the test.
#[test]
fn t47_an_announced_length_is_not_believed() {
    for major in [0x40, 0x60, 0x80, 0xa0] {
        for length in [1_u64 << 40, u64::MAX] {
            let mut bytes = vec![major | 0x1b];
            bytes.extend_from_slice(&length.to_be_bytes());
            assert_eq!(problem(&bytes).0, Problem::EndsEarly, "{bytes:x?}");
            bytes.extend_from_slice(b"\x61a\x01");
            assert_eq!(problem(&bytes).0, Problem::EndsEarly, "{bytes:x?}");
        }
    }
}

#[test]
fn t47_nesting_has_a_limit() {
    let lists = |levels: usize| [vec![0x81; levels], vec![0xf6]].concat();
    assert!(parse(&lists(MAX_DEPTH)).is_ok());
    assert_eq!(
        problem(&lists(MAX_DEPTH + 1)),
        (Problem::TooDeep, MAX_DEPTH)
    );
    assert_eq!(problem(&vec![0x9f; 1 << 20]).0, Problem::TooDeep);
    assert_eq!(problem(&b"\xbf\x60".repeat(1 << 20)).0, Problem::TooDeep);
    // Tags nest too, and none is entered.
    assert_eq!(problem(&vec![0xc1; 1 << 20]), (Problem::Tagged, 0));
}

#[test]
fn t47_what_no_value_is_made_of_is_refused_by_name() {
    let twice = || Problem::Twice {
        name: "a".to_owned(),
    };
    for (bytes, expected, at) in [
        (&b""[..], Problem::EndsEarly, 0),
        (b"\x01\x02", Problem::MoreFollows, 1),
        (b"\x1c", Problem::Malformed, 0),
        (b"\x81\xfc", Problem::Malformed, 1),
        (b"\x62\xc3\x28", Problem::NotUtf8, 0),
        (b"\x82\x01\xc1\x00", Problem::Tagged, 2),
        (b"\xd9\xd9\xf7\x01", Problem::Tagged, 0),
        (b"\xc2\x41\x01", Problem::Tagged, 0),
        (b"\xf7", Problem::Simple, 0),
        (b"\xf8\xff", Problem::Simple, 0),
        (b"\xf9\x7e\x00", Problem::NotFinite, 0),
        (b"\xf9\x7c\x00", Problem::NotFinite, 0),
        (b"\xfa\xff\x80\x00\x00", Problem::NotFinite, 0),
        (
            b"\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00",
            Problem::NotFinite,
            0,
        ),
        (
            b"\x3b\x80\x00\x00\x00\x00\x00\x00\x00",
            Problem::TooSmall,
            0,
        ),
        (b"\xa1\x01\x02", Problem::KeyNotText, 1),
        (b"\xa1\x41a\x02", Problem::KeyNotText, 1),
        (b"\x81\xa2\x61a\x01\x61a\x02", twice(), 1),
        (b"\xa3\x61a\x01\x61b\x01\x7f\x61a\xff\x02", twice(), 0),
    ] {
        assert_eq!(problem(bytes), (expected, at), "{bytes:x?}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::from_u64),
        any::<f64>().prop_filter_map("finite", Value::from_f64),
        ".*".prop_map(Value::String),
        any::<Vec<u8>>().prop_map(Value::Binary),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(".{0,3}", inner, 0..6).prop_map(|members| {
                Value::Object(
                    tombolo::Object::from_unsorted(members.into_iter().collect()).unwrap(),
                )
            }),
        ]
    })
}

proptest! {
    #[test]
    fn t47_any_bytes_are_a_value_or_a_refusal_within_them(bytes: Vec<u8>) {
        match parse(&bytes) {
            Ok(value) => prop_assert_eq!(parse(&written(&value)), Ok(value)),
            Err(error) => prop_assert!(error.at <= bytes.len()),
        }
    }

    #[test]
    fn a_value_survives_and_no_part_of_its_bytes_is_one(value in values()) {
        let bytes = written(&value);
        prop_assert_eq!(parse(&bytes), Ok(value));
        for end in 0..bytes.len() {
            prop_assert_eq!(problem(&bytes[..end]).0, Problem::EndsEarly);
        }
    }

    #[test]
    fn t47_a_value_with_one_byte_changed_never_panics(value in values(), at: prop::sample::Index, byte: u8) {
        let mut bytes = written(&value);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Err(error) = parse(&bytes) {
            prop_assert!(error.at <= bytes.len());
        }
    }
}

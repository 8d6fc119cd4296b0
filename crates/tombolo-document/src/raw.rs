//! Values in their canonical bytes, read in place.
//!
//! `docs/formats/document.md` holds the layout. One value has one form; the
//! checks that hold for bytes from outside are in [`check`].

use crate::bytes::{
    DecodeError, Reader, put_length_before, put_text, put_varint, unzigzag, zigzag,
};
use crate::value::{MAX_DEPTH, Object, Value};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const UINT: u8 = 4;
const DOUBLE: u8 = 5;
const SINGLE: u8 = 6;
const STRING: u8 = 7;
const BINARY: u8 = 8;
const ARRAY: u8 = 9;
const OBJECT: u8 = 10;
/// Strings shorter than 64 bytes carry their length in the tag.
const SHORT_STRING: u8 = 0x40;
const SHORT_STRING_MAX: usize = 63;
/// Integers from 0 to 127 are their tag.
const SMALL_INT: u8 = 0x80;

/// One encoded value, borrowed. Made only from bytes that were checked when
/// they came in; should they be damaged since, the damaged part reads as null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawValue<'a>(&'a [u8]);

/// What an encoded value is, with containers still encoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape<'a> {
    /// JSON null.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer that fits 64 signed bits.
    Int(i64),
    /// An integer above `i64::MAX`.
    Uint(u64),
    /// A finite float.
    Float(f64),
    /// Text.
    String(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
    /// A list.
    Array(RawArray<'a>),
    /// Named values, sorted by name.
    Object(RawObject<'a>),
}

/// The items of an encoded array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawArray<'a>(&'a [u8]);

/// The members of an encoded object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawObject<'a>(&'a [u8]);

impl<'a> RawValue<'a> {
    /// Bytes that [`check`] accepted, or that this module wrote.
    pub(crate) const fn trusted(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Takes one value off the reader without looking inside containers.
    #[inline]
    pub(crate) fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = *reader;
        skip(reader)?;
        let length = reader.position() - start.position();
        Ok(Self(&start.rest()[..length]))
    }

    /// The encoded bytes.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// What it is; containers stay encoded.
    #[must_use]
    pub fn shape(self) -> Shape<'a> {
        read_shape(&mut Reader::new(self.0)).unwrap_or(Shape::Null)
    }

    /// The whole value, decoded.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self.shape() {
            Shape::Null => Value::Null,
            Shape::Bool(value) => Value::Bool(value),
            Shape::Int(value) => Value::Int(value),
            Shape::Uint(value) => Value::Uint(value),
            Shape::Float(value) => Value::Float(value),
            Shape::String(value) => Value::String(value.to_owned()),
            Shape::Binary(value) => Value::Binary(value.to_vec()),
            Shape::Array(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Shape::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|(name, member)| (name.to_owned(), member.to_value()))
                    .collect(),
            ),
        }
    }
}

impl<'a> RawArray<'a> {
    /// The items in order.
    pub fn iter(self) -> impl Iterator<Item = RawValue<'a>> {
        let mut reader = Reader::new(self.0);
        std::iter::from_fn(move || {
            if reader.is_empty() {
                return None;
            }
            RawValue::take(&mut reader).ok()
        })
    }

    /// The item at `index`, from zero.
    #[must_use]
    pub fn get(self, index: usize) -> Option<RawValue<'a>> {
        self.iter().nth(index)
    }
}

impl<'a> RawObject<'a> {
    /// The members, sorted by name.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, RawValue<'a>)> {
        let mut reader = Reader::new(self.0);
        std::iter::from_fn(move || {
            if reader.is_empty() {
                return None;
            }
            let name = reader.text("name").ok()?;
            Some((name, RawValue::take(&mut reader).ok()?))
        })
    }

    /// The member called `name`.
    #[must_use]
    pub fn get(self, name: &str) -> Option<RawValue<'a>> {
        let found = self.iter().find(|(member, _)| *member >= name)?;
        (found.0 == name).then_some(found.1)
    }
}

/// Bytes to set aside for a value, so that most are written without growing.
pub(crate) fn room_for(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 3,
        Value::Binary(bytes) => bytes.len() + 6,
        Value::Array(items) => 6 + items.iter().map(room_for).sum::<usize>(),
        Value::Object(members) => {
            let members = members.iter();
            6 + members
                .map(|(name, member)| name.len() + 2 + room_for(member))
                .sum::<usize>()
        }
        Value::Null | Value::Bool(_) => 1,
        Value::Int(_) | Value::Uint(_) | Value::Float(_) => 11,
    }
}

/// Appends the canonical bytes of a value.
pub fn append(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(false) => out.push(FALSE),
        Value::Bool(true) => out.push(TRUE),
        Value::Int(number @ 0..=127) => out.push(SMALL_INT | *number as u8),
        Value::Int(number) => {
            out.push(INT);
            put_varint(out, zigzag(*number));
        }
        Value::Uint(number) => {
            out.push(UINT);
            put_varint(out, *number);
        }
        Value::Float(number) => append_float(out, *number),
        Value::String(text) => append_string(out, text),
        Value::Binary(bytes) => {
            out.push(BINARY);
            put_varint(out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
        Value::Array(items) => {
            out.push(ARRAY);
            let start = out.len();
            for item in items {
                append(out, item);
            }
            put_length_before(out, start);
        }
        Value::Object(members) => append_object(out, members),
    }
}

fn append_object(out: &mut Vec<u8>, members: &Object) {
    out.push(OBJECT);
    let start = out.len();
    for (name, member) in members {
        put_text(out, name);
        append(out, member);
    }
    put_length_before(out, start);
}

fn append_float(out: &mut Vec<u8>, number: f64) {
    let single = number as f32;
    if f64::from(single) == number {
        out.push(SINGLE);
        out.extend_from_slice(&single.to_le_bytes());
    } else {
        out.push(DOUBLE);
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn append_string(out: &mut Vec<u8>, text: &str) {
    if text.len() <= SHORT_STRING_MAX {
        out.push(SHORT_STRING | text.len() as u8);
        out.extend_from_slice(text.as_bytes());
    } else {
        out.push(STRING);
        put_text(out, text);
    }
}

/// Reads one value from outside and checks it in full: canonical form, nesting,
/// text. `depth` is how deep it stands already.
///
/// # Errors
/// The first rule of the format that the bytes break.
pub fn check<'a>(reader: &mut Reader<'a>, depth: usize) -> Result<RawValue<'a>, DecodeError> {
    let start = *reader;
    check_inside(reader, depth)?;
    let length = reader.position() - start.position();
    Ok(RawValue(&start.rest()[..length]))
}

fn check_inside(reader: &mut Reader<'_>, depth: usize) -> Result<(), DecodeError> {
    if depth > MAX_DEPTH {
        return Err(DecodeError::TooDeep);
    }
    let shape = read_shape(reader)?;
    let canonical = match shape {
        Shape::Array(items) => {
            let mut inside = Reader::new(items.0);
            while !inside.is_empty() {
                check_inside(&mut inside, depth + 1)?;
            }
            true
        }
        Shape::Object(members) => return check_members(members, depth + 1),
        Shape::Float(number) => number.is_finite() && !(number == 0.0 && number.is_sign_negative()),
        Shape::Uint(number) => i64::try_from(number).is_err(),
        _ => true,
    };
    if canonical {
        Ok(())
    } else {
        Err(reader.malformed("number"))
    }
}

fn check_members(members: RawObject<'_>, depth: usize) -> Result<(), DecodeError> {
    let mut inside = Reader::new(members.0);
    let mut last: Option<&str> = None;
    while !inside.is_empty() {
        let name = inside.text("member name")?;
        if last.is_some_and(|last| last >= name) {
            return Err(inside.malformed("order of members"));
        }
        last = Some(name);
        check_inside(&mut inside, depth)?;
    }
    Ok(())
}

#[inline]
fn skip(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let tag = reader.byte("value")?;
    let length = match tag {
        SMALL_INT.. => 0,
        SHORT_STRING.. => usize::from(tag - SHORT_STRING),
        NULL | FALSE | TRUE => 0,
        INT | UINT => {
            reader.varint("number")?;
            0
        }
        DOUBLE => 8,
        SINGLE => 4,
        STRING | BINARY | ARRAY | OBJECT => reader.count("length of a value")?,
        _ => return Err(reader.malformed("tag of a value")),
    };
    reader.take(length, "value")?;
    Ok(())
}

fn read_shape<'a>(reader: &mut Reader<'a>) -> Result<Shape<'a>, DecodeError> {
    let tag = reader.byte("value")?;
    Ok(match tag {
        SMALL_INT.. => Shape::Int(i64::from(tag - SMALL_INT)),
        SHORT_STRING.. => Shape::String(short_string(reader, usize::from(tag - SHORT_STRING))?),
        NULL => Shape::Null,
        FALSE => Shape::Bool(false),
        TRUE => Shape::Bool(true),
        INT => match unzigzag(reader.varint("number")?) {
            0..=127 => return Err(reader.malformed("form of a small number")),
            number => Shape::Int(number),
        },
        UINT => Shape::Uint(reader.varint("number")?),
        DOUBLE => {
            let number = f64::from_le_bytes(reader.array("float")?);
            if f64::from(number as f32) == number {
                return Err(reader.malformed("form of a float"));
            }
            Shape::Float(number)
        }
        SINGLE => Shape::Float(f64::from(f32::from_le_bytes(reader.array("float")?))),
        STRING => {
            let text = reader.text("string")?;
            if text.len() <= SHORT_STRING_MAX {
                return Err(reader.malformed("form of a short string"));
            }
            Shape::String(text)
        }
        BINARY => Shape::Binary(counted(reader)?),
        ARRAY => Shape::Array(RawArray(counted(reader)?)),
        OBJECT => Shape::Object(RawObject(counted(reader)?)),
        _ => return Err(reader.malformed("tag of a value")),
    })
}

fn short_string<'a>(reader: &mut Reader<'a>, length: usize) -> Result<&'a str, DecodeError> {
    let bytes = reader.take(length, "string")?;
    std::str::from_utf8(bytes).map_err(|_| reader.malformed("text"))
}

fn counted<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let length = reader.count("length of a value")?;
    reader.take(length, "value")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::any_value;
    use proptest::prelude::*;

    fn encoded(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        append(&mut out, value);
        out
    }

    proptest! {
        #[test]
        fn values_survive_a_round_trip_and_pass_the_check(value in any_value()) {
            let bytes = encoded(&value);
            let mut reader = Reader::new(&bytes);
            let raw = check(&mut reader, 0).unwrap();
            prop_assert!(reader.is_empty());
            prop_assert_eq!(raw.to_value(), value);
        }

        #[test]
        fn accepted_bytes_are_the_canonical_ones(bytes in prop::collection::vec(any::<u8>(), 0..48)) {
            if let Ok(raw) = check(&mut Reader::new(&bytes), 0) {
                prop_assert_eq!(encoded(&raw.to_value()), raw.as_bytes());
            }
        }
    }

    #[test]
    fn members_and_items_are_found_in_place() {
        let value = crate::json::parse(br#"{"a":[1,{"b":"x"}],"c":2}"#).unwrap();
        let bytes = encoded(&value);
        let Shape::Object(object) = RawValue::trusted(&bytes).shape() else {
            panic!("an object")
        };
        let Some(Shape::Array(items)) = object.get("a").map(RawValue::shape) else {
            panic!("an array")
        };
        assert_eq!(items.get(0).map(RawValue::to_value), Some(Value::Int(1)));
        assert_eq!(items.get(2), None);
        assert_eq!(object.get("b"), None);
        assert_eq!(object.get("c").map(RawValue::to_value), Some(Value::Int(2)));
    }
}

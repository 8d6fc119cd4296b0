//! Values from CBOR (RFC 8949) and back: the values of JSON, and byte strings for binary ones.
//! An announced length reserves nothing, so what is read takes no more than what was sent is worth.

use std::convert::Infallible;

use minicbor::data::Type;
use minicbor::{Decoder, Encoder, decode, encode};
use tombolo::{MAX_DEPTH, Object, Value};

/// Bytes that are not one value.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{problem} at byte {at}")]
pub(crate) struct CborError {
    /// Where the item begins that does not fit, from 0.
    pub(crate) at: usize,
    pub(crate) problem: Problem,
}

/// What is wrong there.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("the body ends within an item")]
    EndsEarly,
    #[error("bytes follow after the value")]
    MoreFollows,
    #[error("no well-formed item")]
    Malformed,
    #[error("text that is not UTF-8")]
    NotUtf8,
    #[error("more than {MAX_DEPTH} nested levels")]
    TooDeep,
    #[error("a tag; send the value without it")]
    Tagged,
    #[error("undefined or another simple value; send null, true or false")]
    Simple,
    #[error("a float that is infinite or not a number")]
    NotFinite,
    #[error("an integer below -2^63; send a float")]
    TooSmall,
    #[error("a key that is not text")]
    KeyNotText,
    #[error("the key {name:?} twice in the map")]
    Twice { name: String },
}

/// Reads one value that fills `bytes`. Lengths may be indefinite, tags are refused.
///
/// # Errors
/// [`CborError`].
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, CborError> {
    let mut reader = Reader {
        input: Decoder::new(bytes),
    };
    let value = reader.value(0)?;
    let at = reader.input.position();
    if at < bytes.len() {
        return Err(Problem::MoreFollows.at(at));
    }
    Ok(value)
}

impl Problem {
    const fn at(self, at: usize) -> CborError {
        CborError { at, problem: self }
    }
}

struct Reader<'b> {
    input: Decoder<'b>,
}

impl<'b> Reader<'b> {
    fn value(&mut self, depth: usize) -> Result<Value, CborError> {
        let at = self.input.position();
        match self.next_type()? {
            Type::Null => self.take(Decoder::null).map(|()| Value::Null),
            Type::Bool => self.take(Decoder::bool).map(Value::Bool),
            Type::U8
            | Type::U16
            | Type::U32
            | Type::U64
            | Type::I8
            | Type::I16
            | Type::I32
            | Type::I64
            | Type::Int => self.integer(),
            Type::F16 => self.take(Decoder::f16).and_then(|f| float(f.into(), at)),
            Type::F32 => self.take(Decoder::f32).and_then(|f| float(f.into(), at)),
            Type::F64 => self.take(Decoder::f64).and_then(|f| float(f, at)),
            Type::String | Type::StringIndef => self.text().map(Value::String),
            Type::Bytes | Type::BytesIndef => self.bytes().map(Value::Binary),
            Type::Array | Type::ArrayIndef | Type::Map | Type::MapIndef if depth >= MAX_DEPTH => {
                Err(Problem::TooDeep.at(at))
            }
            Type::Array | Type::ArrayIndef => self.list(depth + 1),
            Type::Map | Type::MapIndef => self.map(depth + 1),
            Type::Tag => Err(Problem::Tagged.at(at)),
            Type::Undefined | Type::Simple => Err(Problem::Simple.at(at)),
            Type::Break | Type::Unknown(_) => Err(Problem::Malformed.at(at)),
        }
    }

    fn integer(&mut self) -> Result<Value, CborError> {
        let at = self.input.position();
        let number = i128::from(self.take(Decoder::int)?);
        match (i64::try_from(number), u64::try_from(number)) {
            (Ok(number), _) => Ok(Value::Int(number)),
            (_, Ok(number)) => Ok(Value::from_u64(number)),
            _ => Err(Problem::TooSmall.at(at)),
        }
    }

    fn text(&mut self) -> Result<String, CborError> {
        let at = self.input.position();
        let problem = |error: decode::Error| match wrong(&error) {
            Problem::Malformed if !error.is_type_mismatch() => Problem::NotUtf8.at(at),
            problem => problem.at(at),
        };
        let mut text = String::new();
        for piece in self.input.str_iter().map_err(problem)? {
            text.push_str(piece.map_err(problem)?);
        }
        Ok(text)
    }

    fn bytes(&mut self) -> Result<Vec<u8>, CborError> {
        let at = self.input.position();
        let problem = |error: decode::Error| wrong(&error).at(at);
        let mut bytes = Vec::new();
        for piece in self.input.bytes_iter().map_err(problem)? {
            bytes.extend_from_slice(piece.map_err(problem)?);
        }
        Ok(bytes)
    }

    fn list(&mut self, depth: usize) -> Result<Value, CborError> {
        let mut left = self.take(Decoder::array)?;
        let mut items = Vec::new();
        while self.has_more(&mut left)? {
            items.push(self.value(depth)?);
        }
        Ok(Value::Array(items))
    }

    fn map(&mut self, depth: usize) -> Result<Value, CborError> {
        let at = self.input.position();
        let mut left = self.take(Decoder::map)?;
        let mut members = Vec::new();
        while self.has_more(&mut left)? {
            let key_at = self.input.position();
            let name = match self.next_type()? {
                Type::String | Type::StringIndef => self.text()?,
                _ => return Err(Problem::KeyNotText.at(key_at)),
            };
            members.push((name, self.value(depth)?));
        }
        let members = Object::from_unsorted(members);
        let members = members.map_err(|name| Problem::Twice { name }.at(at))?;
        Ok(Value::Object(members))
    }

    /// Whether an item is left of `left` of them; of `None`, until the break, which is then taken.
    fn has_more(&mut self, left: &mut Option<u64>) -> Result<bool, CborError> {
        match left {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None => {
                let is_break = self.next_type()? == Type::Break;
                if is_break {
                    self.input.set_position(self.input.position() + 1);
                }
                Ok(!is_break)
            }
        }
    }

    fn next_type(&self) -> Result<Type, CborError> {
        let kind = self.input.datatype();
        kind.map_err(|error| wrong(&error).at(self.input.position()))
    }

    fn take<T>(
        &mut self,
        read: impl FnOnce(&mut Decoder<'b>) -> Result<T, decode::Error>,
    ) -> Result<T, CborError> {
        let at = self.input.position();
        read(&mut self.input).map_err(|error| wrong(&error).at(at))
    }
}

fn float(float: f64, at: usize) -> Result<Value, CborError> {
    Value::from_f64(float).ok_or(Problem::NotFinite.at(at))
}

fn wrong(error: &decode::Error) -> Problem {
    if error.is_end_of_input() {
        Problem::EndsEarly
    } else {
        Problem::Malformed
    }
}

/// What writing to memory gives: it cannot fail.
pub(crate) type Written = Result<(), encode::Error<Infallible>>;

/// Writes a value; its lengths are definite.
pub(crate) fn write_value(out: &mut Encoder<&mut Vec<u8>>, value: &Value) -> Written {
    match value {
        Value::Null => out.null()?,
        Value::Bool(value) => out.bool(*value)?,
        Value::Int(value) => out.i64(*value)?,
        Value::Uint(value) => out.u64(*value)?,
        Value::Float(value) => out.f64(*value)?,
        Value::String(value) => out.str(value)?,
        Value::Binary(value) => out.bytes(value)?,
        Value::Array(items) => return write_list(out, items),
        Value::Object(members) => {
            out.map(members.len() as u64)?;
            for (name, value) in members {
                write_value(out.str(name)?, value)?;
            }
            out
        }
    };
    Ok(())
}

/// Writes values as an array.
pub(crate) fn write_list(out: &mut Encoder<&mut Vec<u8>>, values: &[Value]) -> Written {
    out.array(values.len() as u64)?;
    values.iter().try_for_each(|value| write_value(out, value))
}

#[cfg(test)]
#[path = "cbor_tests.rs"]
mod tests;

//! JSON values as Tombolo keeps them, and the one order over all of them.
//!
//! A value never holds a NaN or an infinity, and an unsigned integer only when
//! it does not fit a signed one, so that equal values have one form.

use std::cmp::Ordering;

pub use crate::object::Object;

/// Deepest nesting of arrays and objects that is accepted anywhere.
pub const MAX_DEPTH: usize = 128;

/// A JSON value, with integers kept apart from floats and with binary.
///
/// Comparison by [`Value::compare`] is the cross-type order of DQL. `==` is
/// structural: `Int(2)` and `Float(2.0)` compare equal but are not `==`.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// JSON `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer that fits 64 signed bits.
    Int(i64),
    /// An integer above `i64::MAX`; smaller ones are always [`Value::Int`].
    Uint(u64),
    /// A finite 64-bit float.
    Float(f64),
    /// Text in UTF-8.
    String(String),
    /// Bytes; JSON has no form for them (printed as base64 text).
    Binary(Vec<u8>),
    /// A list.
    Array(Vec<Value>),
    /// A set of named values.
    Object(Object),
}

impl Value {
    /// The integer as a value in its one form.
    #[must_use]
    pub fn from_u64(number: u64) -> Self {
        i64::try_from(number).map_or(Self::Uint(number), Self::Int)
    }

    /// The integer as a value, or the nearest float where 64 bits do not hold it.
    #[must_use]
    pub fn from_i128(number: i128) -> Self {
        if let Ok(signed) = i64::try_from(number) {
            Self::Int(signed)
        } else if let Ok(unsigned) = u64::try_from(number) {
            Self::Uint(unsigned)
        } else {
            Self::Float(number as f64)
        }
    }

    /// The float as a value, or `None` for NaN and the infinities. Negative
    /// zero becomes zero.
    #[must_use]
    pub fn from_f64(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self::Float(number + 0.0))
    }

    /// The text of a string value.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The members of an object value.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Orders any two values: booleans (`false` first), numbers, binary,
    /// strings, arrays, objects, null.
    ///
    /// Integers and floats compare by their exact numeric value. Strings and
    /// binary compare by bytes, which for UTF-8 is code point order. Arrays
    /// compare element by element, objects key by key in key order (a key
    /// before its value); the shorter one first where one is a prefix.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(left), Self::Bool(right)) => left.cmp(right),
            (Self::String(left), Self::String(right)) => left.as_bytes().cmp(right.as_bytes()),
            (Self::Binary(left), Self::Binary(right)) => left.cmp(right),
            (Self::Array(left), Self::Array(right)) => compare_arrays(left, right),
            (Self::Object(left), Self::Object(right)) => compare_objects(left, right),
            _ => match (self.number(), other.number()) {
                (Some(left), Some(right)) => left.compare(right),
                _ => self.rank().cmp(&other.rank()),
            },
        }
    }

    /// The value as a number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<Number> {
        match *self {
            Self::Int(number) => Some(Number::Integer(i128::from(number))),
            Self::Uint(number) => Some(Number::Integer(i128::from(number))),
            Self::Float(number) => Some(Number::Float(number)),
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::Int(_) | Self::Uint(_) | Self::Float(_) => 1,
            Self::Binary(_) => 2,
            Self::String(_) => 3,
            Self::Array(_) => 4,
            Self::Object(_) => 5,
            Self::Null => 6,
        }
    }
}

/// A number apart from its storage form, for comparison and arithmetic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Any integer of 64 bits, signed or not.
    Integer(i128),
    /// A finite float.
    Float(f64),
}

impl Number {
    /// Orders two numbers by their exact value: no integer is rounded.
    #[must_use]
    pub fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => left.cmp(&right),
            (Self::Float(left), Self::Float(right)) => {
                left.partial_cmp(&right).unwrap_or(Ordering::Equal)
            }
            (Self::Integer(left), Self::Float(right)) => compare_exact(left, right),
            (Self::Float(left), Self::Integer(right)) => compare_exact(right, left).reverse(),
        }
    }
}

/// Beyond this every float is an integer larger than any 64-bit one.
const INTEGER_LIMIT: f64 = 36_893_488_147_419_103_232.0;

fn compare_exact(integer: i128, float: f64) -> Ordering {
    if float >= INTEGER_LIMIT {
        return Ordering::Less;
    }
    if float <= -INTEGER_LIMIT {
        return Ordering::Greater;
    }
    let floor = float.floor();
    match integer.cmp(&(floor as i128)) {
        Ordering::Equal if float > floor => Ordering::Less,
        order => order,
    }
}

fn compare_arrays(left: &[Value], right: &[Value]) -> Ordering {
    for (ours, theirs) in left.iter().zip(right) {
        let order = ours.compare(theirs);
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len())
}

fn compare_objects(left: &Object, right: &Object) -> Ordering {
    for ((our_key, ours), (their_key, theirs)) in left.iter().zip(right) {
        let order = our_key
            .as_bytes()
            .cmp(their_key.as_bytes())
            .then_with(|| ours.compare(theirs));
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len())
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::from_u64(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<Vec<Value>> for Value {
    fn from(value: Vec<Value>) -> Self {
        Self::Array(value)
    }
}

impl From<Object> for Value {
    fn from(value: Object) -> Self {
        Self::Object(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_floats_compare_by_exact_value() {
        let big = Value::Int(9_007_199_254_740_993);
        let near = Value::Float(9_007_199_254_740_992.0);
        assert_eq!(big.compare(&near), Ordering::Greater);
        assert_eq!(Value::Int(2).compare(&Value::Float(2.0)), Ordering::Equal);
        assert_eq!(Value::Int(-3).compare(&Value::Float(-2.5)), Ordering::Less);
        assert_eq!(
            Value::Int(-2).compare(&Value::Float(-2.5)),
            Ordering::Greater
        );
        assert_eq!(
            Value::Uint(u64::MAX).compare(&Value::Float(1e300)),
            Ordering::Less
        );
        assert_eq!(
            Value::Int(i64::MIN).compare(&Value::Float(-1e300)),
            Ordering::Greater
        );
    }

    #[test]
    fn kinds_follow_the_cross_type_order() {
        let ordered = [
            Value::Bool(false),
            Value::Bool(true),
            Value::Int(5),
            Value::Binary(vec![0]),
            Value::from("a"),
            Value::Array(vec![]),
            Value::Object(Object::new()),
            Value::Null,
        ];
        for pair in ordered.windows(2) {
            assert_eq!(pair[0].compare(&pair[1]), Ordering::Less, "{pair:?}");
        }
    }
}

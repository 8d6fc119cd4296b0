//! Generators for this crate's property tests.

use proptest::prelude::*;

use crate::value::Value;

/// Any value, numbers near the places where integers and floats meet included.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        (-3_i64..3).prop_map(Value::Int),
        any::<u64>().prop_map(Value::from_u64),
        ((1_i64 << 53) - 2..(1 << 53) + 3).prop_map(Value::Int),
        any::<i64>().prop_map(|integer| Value::Float(integer as f64)),
        (-3_i32..3).prop_map(|half| Value::Float(f64::from(half) / 2.0)),
        any::<f64>().prop_filter_map("finite", Value::from_f64),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number,
        "[a-c\u{0}é]{0,4}".prop_map(Value::String),
        prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..4).prop_map(Value::Binary),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec(("[a-c]{0,2}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

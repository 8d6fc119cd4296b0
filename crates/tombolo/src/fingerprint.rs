//! 128 bits that tell two values apart, so that a result can be compared with
//! the one before without being kept.
//!
//! Equal fingerprints of different values take more work to find than anybody
//! has; what is told apart is what `==` tells apart.

use tombolo_document::Value;

/// What stands for a value.
pub(crate) type Fingerprint = [u8; 16];

/// Hash domain of fingerprints, which never leave the process.
const DOMAIN: &str = "tombolo 2026-11 result fingerprint";

/// The fingerprint of one value.
pub(crate) fn of_value(value: &Value) -> Fingerprint {
    of_rows(std::slice::from_ref(value))
}

/// The fingerprint of rows in their order.
pub(crate) fn of_rows(rows: &[Value]) -> Fingerprint {
    let mut hasher = blake3::Hasher::new_derive_key(DOMAIN);
    let mut bytes = Vec::new();
    for row in rows {
        bytes.clear();
        append(&mut bytes, row);
        hasher.update(&bytes);
    }
    let mut fingerprint = [0; 16];
    hasher.finalize_xof().fill(&mut fingerprint);
    fingerprint
}

/// Appends bytes that no other value has and that begin no other value's bytes.
fn append(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(0),
        Value::Bool(value) => out.extend([1, u8::from(*value)]),
        Value::Int(number) => sized(out, 2, &number.to_le_bytes()),
        Value::Uint(number) => sized(out, 3, &number.to_le_bytes()),
        Value::Float(number) => sized(out, 4, &number.to_bits().to_le_bytes()),
        Value::String(text) => sized(out, 5, text.as_bytes()),
        Value::Binary(bytes) => sized(out, 6, bytes),
        Value::Array(items) => {
            sized(out, 7, &items.len().to_le_bytes());
            items.iter().for_each(|item| append(out, item));
        }
        Value::Object(members) => {
            sized(out, 8, &members.len().to_le_bytes());
            for (name, member) in members {
                sized(out, 5, name.as_bytes());
                append(out, member);
            }
        }
    }
}

fn sized(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    out.extend(bytes.len().to_le_bytes());
    out.extend(bytes);
}

#[cfg(test)]
mod tests {
    use tombolo_document::json;

    use super::*;

    #[test]
    fn what_differs_has_another_fingerprint() {
        let texts = [
            "null",
            "false",
            "true",
            "0",
            "1",
            "1.0",
            "18446744073709551615",
            r#""""#,
            r#""1""#,
            "[]",
            "[1]",
            "[1,2]",
            "[[1],2]",
            "[[1,2]]",
            "{}",
            r#"{"a":1}"#,
            r#"{"a":[1]}"#,
            r#"{"b":1}"#,
            r#"{"a":1,"b":1}"#,
            r#"{"a":{"b":1}}"#,
        ];
        let values: Vec<Value> = texts
            .iter()
            .map(|text| json::parse(text.as_bytes()).unwrap())
            .collect();
        for (at, left) in values.iter().enumerate() {
            for (beside, right) in values.iter().enumerate() {
                assert_eq!(of_value(left) == of_value(right), at == beside);
            }
        }
        assert_ne!(of_rows(&values[..2]), of_rows(&values[..3]));
        assert_ne!(of_rows(&[]), of_value(&Value::Null));
    }
}

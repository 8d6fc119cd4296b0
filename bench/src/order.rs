//! The document of every benchmark: an order of twelve fields and 418 bytes of JSON.
//! Its length does not depend on its number, so that sizes compare between rounds.

use serde_json::{Value, json};

/// Order number `number`, with its fields in the order of their names.
pub(crate) fn order(number: u64) -> Value {
    let number = number % 100_000_000;
    json!({
        "_id": format!("order-{number:08}"),
        "address": "12 Harbour Street, Port Ellen",
        "channel": "kiosk",
        "createdAt": "2026-01-01T00:00:00Z",
        "currency": "EUR",
        "customer": { "email": format!("c{number:08}@example.com"), "loyalty": 3, "name": format!("Customer {number:08}") },
        "lines": "SKU-991 x2, SKU-983 x1, SKU-977 x4",
        "notes": "Leave it at the side door, ring twice, and take the empty crates back to the depot with you, please; gate A1204",
        "status": "open",
        "total": 123.25,
    })
}

#[cfg(test)]
mod tests {
    use super::order;
    use serde_json::Value;

    fn leaves(value: &Value) -> usize {
        value
            .as_object()
            .map_or(1, |map| map.values().map(leaves).sum())
    }

    #[test]
    fn an_order_has_twelve_fields_and_418_bytes() {
        assert_eq!(leaves(&order(7)), 12);
        assert_eq!(order(7).to_string().len(), 418);
        assert_eq!(order(99_999_999).to_string().len(), 418);
    }
}

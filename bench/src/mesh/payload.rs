//! The documents that are replicated: orders of about 420 bytes of JSON, and the same with a field of random text.
//! A document follows from its number alone, so that both nodes can be held against it.

use std::str::FromStr;

use tombolo::{Object, Value, json};

use crate::error::BenchError;

/// Random characters of the second payload, out of 64.
const RANDOM_CHARACTERS: usize = 200;
const ALPHABET: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

/// What the documents look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Orders that repeat one another as records of one program do.
    Regular,
    /// The same with 200 random characters each.
    Random,
}

impl Payload {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::Random => "random",
        }
    }

    /// The JSON of document number `number`.
    pub(crate) fn json(self, number: u64) -> String {
        let mut text = order(number);
        if self == Self::Random {
            text.pop();
            text.push_str(",\"note\":\"");
            text.extend(random(number));
            text.push_str("\"}");
        }
        text
    }

    /// Document number `number`.
    pub(crate) fn document(self, number: u64) -> Object {
        match json::parse(self.json(number).as_bytes()) {
            Ok(Value::Object(fields)) => fields,
            other => unreachable!("an order is an object: {other:?}"),
        }
    }
}

impl FromStr for Payload {
    type Err = BenchError;

    fn from_str(text: &str) -> Result<Self, BenchError> {
        let known = [Self::Regular, Self::Random];
        let named = known.into_iter().find(|payload| payload.name() == text);
        named.ok_or(BenchError::Usage("payloads are regular and random"))
    }
}

/// The id of document number `number`; ids sort as numbers do.
pub(crate) fn id(number: u64) -> String {
    format!("order:{number:08}")
}

fn order(number: u64) -> String {
    let status = ["new", "open", "paid", "done"][(number % 4) as usize];
    let cents = number * 37 % 10_000;
    let (hour, minute, second) = (number / 3600 % 24, number / 60 % 60, number % 60);
    format!(
        r#"{{"_id":"{id}","storeId":"s{store}","status":"{status}","total":{euros}.{cents:02},"createdAt":"2023-11-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z","customer":{{"name":"Customer {number}","email":"c{number}@example.com","loyalty":{loyalty}}},"items":{{"a":{{"sku":"SKU-{a}","qty":{qa},"price":9.99}},"b":{{"sku":"SKU-{b}","qty":{qb},"price":4.5}},"c":{{"sku":"SKU-{c}","qty":1,"price":1.25}}}},"notes":"lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor {number}"}}"#,
        id = id(number),
        store = number % 100,
        euros = cents / 100,
        cents = cents % 100,
        day = number / 86_400 % 30 + 1,
        loyalty = number % 7,
        a = number % 997,
        qa = number % 5 + 1,
        b = number % 991,
        qb = number % 3 + 1,
        c = number % 983,
    )
}

/// One MiB that no compressor makes smaller, the same in every run.
pub(crate) fn noise(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut bytes = Vec::with_capacity(1 << 20);
    while bytes.len() < 1 << 20 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

/// Characters that no compressor can foresee, and that every run has alike.
fn random(number: u64) -> impl Iterator<Item = char> {
    let mut state = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (0..RANDOM_CHARACTERS).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(ALPHABET[(state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 58) as usize])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_the_size_that_the_peers_were_measured_with() {
        let bytes: usize = (0..1000)
            .map(|n| Payload::Regular.json(n * 100).len())
            .sum();
        assert!((400..440).contains(&(bytes / 1000)), "{}", bytes / 1000);
    }

    #[test]
    fn random_text_differs_between_documents_and_not_between_runs() {
        let (one, other) = (Payload::Random.json(1), Payload::Random.json(2));
        assert_eq!(one, Payload::Random.json(1));
        let note = |text: &str| text.split("\"note\":").nth(1).map(str::to_owned);
        assert_ne!(note(&one), note(&other));
        assert_eq!(note(&one).map(|note| note.len()), Some(203));
    }
}

//! API keys of HTTP clients: making one, its public hash, and checking one at request time.
//! A key is never stored, printed twice or logged; only its hash lives in the configuration.

mod hash;
mod kdf;
mod own;
mod ring;
mod slow;

pub(crate) use hash::{GeneratedKey, HashError, KeyHash};
pub(crate) use ring::{KeyRing, KeyVerdict, Looked};
pub(crate) use slow::SlowDoor;

/// Shortest key text that is looked at.
const KEY_CHARS_MIN: usize = 16;
/// Longest key text that is looked at.
const KEY_CHARS_MAX: usize = 128;

/// Whether the text could be a key at all; everything else is refused before any hashing.
pub(crate) fn looks_like_key(text: &str) -> bool {
    let is_base64 =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=');
    (KEY_CHARS_MIN..=KEY_CHARS_MAX).contains(&text.len()) && text.bytes().all(is_base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_does_not_look_like_a_key() {
        assert!(looks_like_key(&"a".repeat(KEY_CHARS_MIN)));
        assert!(!looks_like_key(&"a".repeat(KEY_CHARS_MIN - 1)));
        assert!(looks_like_key(&"a".repeat(KEY_CHARS_MAX)));
        assert!(!looks_like_key(&"a".repeat(KEY_CHARS_MAX + 1)));
        assert!(!looks_like_key("not a key at all!!"));
    }
}

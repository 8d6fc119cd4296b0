//! The keys that this program makes: recognized by their text, and by an id that stands in the salt of their hash.
//!
//! `tb1_`, the id, the secret and a checksum, each in base64url. What has another checksum or an id
//! that nobody configured is refused without any slow hashing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How such a key begins.
const PREFIX: &str = "tb1_";
/// How the salt of its hash begins.
const SALT_MARK: &[u8; 4] = b"tb1:";
const CHECKSUM_DOMAIN: &str = "tombolo 2026-11 checksum of an API key";

pub(super) const ID_BYTES: usize = 12;
pub(super) const SALT_BYTES: usize = SALT_MARK.len() + ID_BYTES;
const ID_CHARS: usize = 16;
const SECRET_CHARS: usize = 43;
const CHECKSUM_BYTES: usize = 6;
const CHECKSUM_CHARS: usize = 8;
const KEY_CHARS: usize = PREFIX.len() + ID_CHARS + SECRET_CHARS + CHECKSUM_CHARS;

/// Names a key without telling it.
pub(crate) type KeyId = [u8; ID_BYTES];

/// What the text of a key says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyText {
    /// Another program made it.
    Foreign,
    Own(KeyId),
    /// It begins like one of ours, and is none.
    Damaged,
}

/// The text of a new key.
pub(super) fn write(id: KeyId, secret: [u8; 32]) -> String {
    let mut key = format!(
        "{PREFIX}{}{}",
        URL_SAFE_NO_PAD.encode(id),
        URL_SAFE_NO_PAD.encode(secret)
    );
    let checksum = checksum(&key);
    key.push_str(&checksum);
    key
}

pub(super) fn read(key: &str) -> KeyText {
    let Some(rest) = key.strip_prefix(PREFIX) else {
        return KeyText::Foreign;
    };
    let told = key.get(..KEY_CHARS - CHECKSUM_CHARS);
    let is_whole =
        key.len() == KEY_CHARS && told.is_some_and(|told| key[told.len()..] == checksum(told));
    let id = rest.get(..ID_CHARS).filter(|_| is_whole);
    let id = id.and_then(|id| URL_SAFE_NO_PAD.decode(id).ok());
    match id.and_then(|id| KeyId::try_from(id).ok()) {
        Some(id) => KeyText::Own(id),
        None => KeyText::Damaged,
    }
}

/// The salt of the hash of a key with this id.
pub(super) fn salt(id: KeyId) -> [u8; SALT_BYTES] {
    let mut salt = [0; SALT_BYTES];
    salt[..SALT_MARK.len()].copy_from_slice(SALT_MARK);
    salt[SALT_MARK.len()..].copy_from_slice(&id);
    salt
}

/// The id of the key that a hash with this salt belongs to; `None`: another program made it.
pub(super) fn id_of(salt: &[u8]) -> Option<KeyId> {
    salt.strip_prefix(SALT_MARK)?.try_into().ok()
}

fn checksum(text: &str) -> String {
    let hash = blake3::derive_key(CHECKSUM_DOMAIN, text.as_bytes());
    URL_SAFE_NO_PAD.encode(&hash[..CHECKSUM_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_id_and_its_salt_the_same() {
        let key = write([7; ID_BYTES], [9; 32]);
        assert_eq!(key.len(), KEY_CHARS);
        assert_eq!(read(&key), KeyText::Own([7; ID_BYTES]));
        assert_eq!(id_of(&salt([7; ID_BYTES])), Some([7; ID_BYTES]));
        assert_eq!(id_of(&[5; 16]), None);
    }

    #[test]
    fn any_damage_is_seen() {
        let key = write([7; ID_BYTES], [9; 32]);
        for at in PREFIX.len()..key.len() {
            let other = if &key[at..=at] == "A" { "B" } else { "A" };
            let damaged = format!("{}{other}{}", &key[..at], &key[at + 1..]);
            assert_eq!(read(&damaged), KeyText::Damaged, "{at}");
        }
        for wrong in [PREFIX, &key[..key.len() - 1], &format!("{key}A")] {
            assert_eq!(read(wrong), KeyText::Damaged, "{wrong}");
        }
        assert_eq!(read("bm90IG91cnMgYXQgYWxs"), KeyText::Foreign);
    }
}

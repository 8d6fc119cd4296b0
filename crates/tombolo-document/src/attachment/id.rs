//! The name of an attachment: the hash of its content.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Characters of an id as text.
const TEXT_CHARS: usize = 43;

/// BLAKE3 of the whole content. Equal content has one id everywhere.
///
/// As text: 43 characters of base64 in its alphabet for URLs, without padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttachmentId([u8; 32]);

/// Text that is no attachment id. The caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an attachment id is 32 bytes in base64url without padding, 43 characters")]
pub struct AttachmentIdError;

impl AttachmentId {
    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The id of this content, which is held in memory.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(*blake3::hash(content).as_bytes())
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::str::FromStr for AttachmentId {
    type Err = AttachmentIdError;

    fn from_str(text: &str) -> Result<Self, AttachmentIdError> {
        let mut bytes = [0; 32];
        if text.len() != TEXT_CHARS {
            return Err(AttachmentIdError);
        }
        // The engine refuses bits behind the last byte, so that one id has one text.
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(32) => Ok(Self(bytes)),
            _ => Err(AttachmentIdError),
        }
    }
}

impl std::fmt::Display for AttachmentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl std::fmt::Debug for AttachmentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_survives_its_text(bytes: [u8; 32]) {
            let id = AttachmentId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().len(), TEXT_CHARS);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn text_is_an_id_only_if_the_id_has_that_text(text in "[A-Za-z0-9_=+/.-]{42,44}") {
            if let Ok(id) = text.parse::<AttachmentId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn t44_text_that_could_be_a_path_is_no_id() {
        let long = format!("../{}", "A".repeat(40));
        for text in [
            "",
            "..",
            "../../etc/passwd",
            "%2e%2e%2f",
            "a\0b",
            &long,
            "\\\\host\\x",
        ] {
            assert_eq!(
                text.parse::<AttachmentId>(),
                Err(AttachmentIdError),
                "{text:?}"
            );
        }
        let padded = format!("{}=", AttachmentId::of(b"x"));
        assert_eq!(padded.parse::<AttachmentId>(), Err(AttachmentIdError));
    }
}

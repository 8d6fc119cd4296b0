//! What a document says about an attachment: `{id, len, metadata}`.

use std::collections::BTreeMap;

use super::{ATTACHMENT_BYTES_MAX, AttachmentId, AttachmentIdError};
use crate::raw::RawValue;
use crate::value::{Object, Value};

/// Most entries of a token's metadata.
pub const METADATA_ENTRIES_MAX: usize = 64;
/// Most bytes of all names and texts of a token's metadata together.
pub const METADATA_BYTES_MAX: usize = 4096;

/// Names content, says how long it is, and carries what its writer said about it.
///
/// What it says of the length is a claim until the content was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentToken {
    /// The hash of the content.
    pub id: AttachmentId,
    /// Bytes of the content, at most [`ATTACHMENT_BYTES_MAX`].
    pub length: u64,
    /// What the writer said about it, such as a file name.
    pub metadata: BTreeMap<String, String>,
}

/// A value that is no attachment token. The fault of who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not an object.
    #[error("an attachment token is an object with id, len and metadata")]
    NotAnObject,
    /// The member `id`.
    #[error("id: {0}")]
    Id(#[from] AttachmentIdError),
    /// The member `len`.
    #[error("len: a whole number of bytes from 0 to {ATTACHMENT_BYTES_MAX} is wanted")]
    Length,
    /// The member `metadata` is not a map of texts.
    #[error("metadata: an object of strings is wanted")]
    Metadata,
    /// The member `metadata` is too large.
    #[error("metadata: {METADATA_ENTRIES_MAX} entries and {METADATA_BYTES_MAX} bytes are allowed")]
    TooMuchMetadata,
}

impl AttachmentToken {
    /// A token, once its parts are known to be within the limits.
    ///
    /// # Errors
    /// The length or the metadata are above their limits.
    pub fn new(
        id: AttachmentId,
        length: u64,
        metadata: BTreeMap<String, String>,
    ) -> Result<Self, TokenError> {
        if length > ATTACHMENT_BYTES_MAX {
            return Err(TokenError::Length);
        }
        check_metadata(&metadata)?;
        Ok(Self {
            id,
            length,
            metadata,
        })
    }

    /// The token that a value of a document or of an argument is. Members with
    /// other names are passed over.
    ///
    /// # Errors
    /// Which member is not as it must be.
    pub fn from_value(value: &Value) -> Result<Self, TokenError> {
        let members = value.as_object().ok_or(TokenError::NotAnObject)?;
        let id = members.get("id").and_then(Value::as_str).unwrap_or("");
        let Some(Value::Int(length)) = members.get("len") else {
            return Err(TokenError::Length);
        };
        let metadata = match members.get("metadata") {
            Some(metadata) => texts(metadata)?,
            None => BTreeMap::new(),
        };
        let length = u64::try_from(*length).map_err(|_| TokenError::Length)?;
        Self::new(id.parse()?, length, metadata)
    }

    /// The token that an encoded value of a document is.
    ///
    /// # Errors
    /// As for [`AttachmentToken::from_value`].
    pub fn from_raw(raw: RawValue<'_>) -> Result<Self, TokenError> {
        Self::from_value(&raw.to_value())
    }

    /// The value to be put into a document.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let metadata = self.metadata.iter();
        let metadata: Object = metadata
            .map(|(name, text)| (name.clone(), Value::from(text.as_str())))
            .collect();
        Value::Object(Object::from([
            ("id".to_owned(), Value::from(self.id.to_string())),
            ("len".to_owned(), Value::from_u64(self.length)),
            ("metadata".to_owned(), Value::Object(metadata)),
        ]))
    }
}

impl From<&AttachmentToken> for AttachmentId {
    fn from(token: &AttachmentToken) -> Self {
        token.id
    }
}

fn texts(metadata: &Value) -> Result<BTreeMap<String, String>, TokenError> {
    let members = metadata.as_object().ok_or(TokenError::Metadata)?;
    if members.len() > METADATA_ENTRIES_MAX {
        return Err(TokenError::TooMuchMetadata);
    }
    let texts = members.iter().map(|(name, text)| {
        let text = text.as_str().ok_or(TokenError::Metadata)?;
        Ok((name.clone(), text.to_owned()))
    });
    texts.collect()
}

fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<(), TokenError> {
    let entries = metadata.iter();
    let bytes: usize = entries.map(|(name, text)| name.len() + text.len()).sum();
    if metadata.len() > METADATA_ENTRIES_MAX || bytes > METADATA_BYTES_MAX {
        return Err(TokenError::TooMuchMetadata);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::parse;

    fn token(json: &str) -> Result<AttachmentToken, TokenError> {
        AttachmentToken::from_value(&parse(json.as_bytes()).unwrap())
    }

    fn with_length(length: &str) -> Result<AttachmentToken, TokenError> {
        let id = AttachmentId::of(b"content");
        token(&format!(r#"{{"id":"{id}","len":{length}}}"#))
    }

    proptest! {
        #[test]
        fn a_token_survives_its_value(
            bytes: [u8; 32],
            length in 0..=ATTACHMENT_BYTES_MAX,
            metadata in prop::collection::btree_map("[a-c]{0,3}", "[x-z]{0,9}", 0..5),
        ) {
            let id = AttachmentId::from_bytes(bytes);
            let token = AttachmentToken::new(id, length, metadata).unwrap();
            prop_assert_eq!(AttachmentToken::from_value(&token.to_value()), Ok(token));
        }
    }

    #[test]
    fn t45_a_length_that_no_content_has_is_refused() {
        let above = (ATTACHMENT_BYTES_MAX + 1).to_string();
        assert!(with_length("0").is_ok());
        assert!(with_length(&ATTACHMENT_BYTES_MAX.to_string()).is_ok());
        for length in [&above, "-1", "18446744073709551615", "1.5", "\"1\"", "null"] {
            assert_eq!(with_length(length), Err(TokenError::Length), "{length}");
        }
    }

    #[test]
    fn t45_what_is_no_token_is_refused_by_its_member() {
        let id = AttachmentId::of(b"content");
        assert_eq!(token("[1]"), Err(TokenError::NotAnObject));
        assert_eq!(token("null"), Err(TokenError::NotAnObject));
        for wrong in ["\"RUG\"", "7", "null", "[]", "\"../..\""] {
            let refused = token(&format!(r#"{{"id":{wrong},"len":1}}"#));
            assert_eq!(refused, Err(TokenError::Id(AttachmentIdError)), "{wrong}");
        }
        for wrong in ["[]", "1", "{\"a\":1}", "{\"a\":null}", "null"] {
            let refused = token(&format!(r#"{{"id":"{id}","len":1,"metadata":{wrong}}}"#));
            assert_eq!(refused, Err(TokenError::Metadata), "{wrong}");
        }
    }

    #[test]
    fn metadata_is_allowed_at_its_limits_and_refused_above() {
        let id = AttachmentId::of(b"content");
        let of_bytes = |bytes| BTreeMap::from([(String::new(), "x".repeat(bytes))]);
        let of_entries = |entries| -> BTreeMap<String, String> {
            (0..entries)
                .map(|at: usize| (at.to_string(), String::new()))
                .collect()
        };
        let refused = Err(TokenError::TooMuchMetadata);
        assert!(AttachmentToken::new(id, 1, of_bytes(METADATA_BYTES_MAX)).is_ok());
        assert_eq!(
            AttachmentToken::new(id, 1, of_bytes(METADATA_BYTES_MAX + 1)),
            refused
        );
        assert!(AttachmentToken::new(id, 1, of_entries(METADATA_ENTRIES_MAX)).is_ok());
        let above = of_entries(METADATA_ENTRIES_MAX + 1);
        assert_eq!(AttachmentToken::new(id, 1, above), refused);
    }
}

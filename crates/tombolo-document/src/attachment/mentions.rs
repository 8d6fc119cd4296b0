//! The tokens that a stored document holds, found in its bytes.

use super::{AttachmentId, AttachmentToken};
use crate::bytes::{DecodeError, Reader};
use crate::field::Passed;
use crate::value::MAX_DEPTH;
use crate::view::{DocumentView, MapView};

/// All tokens in the ATTACHMENT fields of a stored document, at any depth, in
/// the order of their fields; also those that a newer kind of the field hides.
///
/// Nothing but the tokens is decoded, and nothing at all is kept of a document
/// without one. What stands in such a field and is no token, because a peer
/// wrote it, is passed over. Arrays and objects in registers hold no tokens.
///
/// # Errors
/// The bytes are damaged, or a delta.
pub fn mentions(document: &[u8]) -> Result<Vec<AttachmentToken>, DecodeError> {
    let mut found = Vec::new();
    collect(DocumentView::new(document)?.root(), 0, &mut found)?;
    Ok(found)
}

/// The token by which a stored document refers to `id`, if it does. Of several
/// it is the one of the first field.
///
/// # Errors
/// The bytes are damaged, or a delta.
pub fn mentioned(
    document: &[u8],
    id: AttachmentId,
) -> Result<Option<AttachmentToken>, DecodeError> {
    let mentions = mentions(document)?;
    Ok(mentions.into_iter().find(|token| token.id == id))
}

fn collect(
    map: MapView<'_>,
    depth: usize,
    found: &mut Vec<AttachmentToken>,
) -> Result<(), DecodeError> {
    if depth > MAX_DEPTH {
        return Err(DecodeError::TooDeep);
    }
    map.pass(|held| match held {
        Passed::Map(content) => {
            let inside = MapView::take(&mut Reader::new(content))?;
            collect(inside, depth + 1, found)
        }
        Passed::Attachment(token) => {
            found.extend(AttachmentToken::from_raw(token).ok());
            Ok(())
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::actor::{Actor, Dot, SiteId};
    use crate::edit::Edit;
    use crate::json::parse;
    use crate::schema::{Field, Kind, Schema, Undeclared};
    use crate::stamp::Stamp;
    use crate::value::Value;
    use crate::whole::{from_delta, to_delta};

    fn dot(millis: u64) -> Dot {
        let actor = Actor::new(SiteId([7; 16]), Actor::FIRST_EPOCH);
        Dot::new(actor, Stamp::new(millis, 0))
    }

    /// `img` and `inside.img` declared as attachments.
    fn schema() -> Schema {
        let attachment = Field {
            kind: Kind::Attachment,
            fields: BTreeMap::new(),
        };
        let inside = Field {
            kind: Kind::Map,
            fields: BTreeMap::from([("img".to_owned(), attachment.clone())]),
        };
        Schema {
            fields: BTreeMap::from([
                ("img".to_owned(), attachment),
                ("inside".to_owned(), inside),
            ]),
            undeclared: Undeclared::Infer,
        }
    }

    fn token(content: &[u8]) -> AttachmentToken {
        let metadata = BTreeMap::from([("name".to_owned(), "x.txt".to_owned())]);
        let id = AttachmentId::of(content);
        AttachmentToken::new(id, content.len() as u64, metadata).unwrap()
    }

    fn written(document: Option<&[u8]>, at: u64, fields: Value, schema: &Schema) -> Vec<u8> {
        let mut edit = Edit::open(document, dot(at)).unwrap();
        edit.set_object(fields.as_object().unwrap(), schema)
            .unwrap();
        edit.finish().unwrap().unwrap()
    }

    fn with_two(first: &AttachmentToken, second: &AttachmentToken) -> Value {
        let mut fields = parse(br#"{"a":1,"m":{"z":[1,2]}}"#).unwrap();
        let Value::Object(members) = &mut fields else {
            panic!("an object")
        };
        members.insert("img".to_owned(), first.to_value());
        let inside = crate::value::Object::from([("img".to_owned(), second.to_value())]);
        members.insert("inside".to_owned(), Value::Object(inside));
        fields
    }

    #[test]
    fn tokens_are_found_at_any_depth() {
        let (first, second) = (token(b"first"), token(b"second"));
        let document = written(None, 1, with_two(&first, &second), &schema());
        assert_eq!(
            mentions(&document).unwrap(),
            [first.clone(), second.clone()]
        );
        assert_eq!(mentioned(&document, second.id), Ok(Some(second)));
        assert_eq!(mentioned(&document, AttachmentId::of(b"other")), Ok(None));
    }

    #[test]
    fn a_document_that_is_taken_without_a_tree_has_no_tokens() {
        let without = parse(br#"{"a":1,"m":{"z":[1,2]}}"#).unwrap();
        let with = with_two(&token(b"first"), &token(b"second"));
        for (fields, is_plain) in [(without, true), (with, false)] {
            let document = written(None, 1, fields, &schema());
            let delta = to_delta(&document, None).unwrap().unwrap();
            assert_eq!(from_delta(&delta, None).is_some(), is_plain);
        }
    }

    #[test]
    fn a_map_or_a_register_that_looks_like_a_token_is_none() {
        let (first, second) = (token(b"first"), token(b"second"));
        let fields = with_two(&first, &second);
        let maps = written(None, 1, fields.clone(), &Schema::INFERRED);
        assert_eq!(mentions(&maps).unwrap(), []);
        let strict = Schema {
            undeclared: Undeclared::Register,
            ..Schema::default()
        };
        let registers = written(None, 1, fields, &strict);
        assert_eq!(mentions(&registers).unwrap(), []);
    }

    #[test]
    fn a_token_behind_a_newer_kind_still_counts() {
        let (first, second) = (token(b"first"), token(b"second"));
        let document = written(None, 1, with_two(&first, &second), &schema());
        let hidden = parse(br#"{"img":5}"#).unwrap();
        let document = written(Some(&document), 2, hidden, &Schema::INFERRED);
        assert_eq!(mentions(&document).unwrap(), [first, second]);
    }

    #[test]
    fn t45_damaged_documents_are_an_error_and_never_a_panic() {
        let document = written(
            None,
            1,
            with_two(&token(b"first"), &token(b"second")),
            &schema(),
        );
        for end in 0..document.len() {
            // A cut may fall behind the last token that is reached, never panic.
            let _ = mentions(&document[..end]);
        }
        for at in 0..document.len() {
            let mut changed = document.clone();
            changed[at] ^= 0xFF;
            let _ = mentions(&changed);
        }
        assert!(mentions(&document[..document.len() - 1]).is_err());
    }
}

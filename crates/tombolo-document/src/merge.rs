//! Bringing two states of one document together.
//!
//! Merging is commutative, associative and idempotent. A field that both sides
//! hold keeps what neither side has seen replaced: a commit that one side lacks
//! although its vector covers it was overwritten there.

use crate::actor::{Actor, Dot};
use crate::bytes::{DecodeError, Reader};
use crate::decode::{self, Decoded, decode, decode_document};
use crate::delta::changes_since;
use crate::encode::{encode_delta, encode_document};
use crate::head::take_head;
use crate::normal::normalise;
use crate::tree::Tree;
use crate::union::unite;
use crate::version::{MAX_ACTORS, VersionVector};
use crate::whole;

/// Why bytes could not be merged. The local document is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// The local document's bytes are damaged: our fault or the disk's.
    #[error("the stored document is damaged")]
    Local(#[source] DecodeError),
    /// The bytes that came in break the format: the peer's fault.
    #[error("the peer sent a malformed document")]
    Remote(#[source] DecodeError),
    /// The delta extends a state that is not here: ask for the whole document.
    #[error("the delta extends a state that is not here: ask for the whole document")]
    BaseMissing,
    /// The united document would have too many actors; it accepts no new one.
    #[error("the document already has {max} actors and accepts no new one", max = MAX_ACTORS)]
    TooManyActors,
}

/// The outcome of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// Canonical bytes of the united document.
    pub document: Vec<u8>,
    /// Whether they differ from the local ones.
    pub changed: bool,
    /// Commits that came with two contents: a copied device or a liar. The
    /// greater bytes won.
    pub equivocations: Vec<Dot>,
}

/// Unites `incoming` (a document or a delta) with the local document.
///
/// The caller has held the newest stamp of `incoming` ([`version_vector`])
/// against its clock.
///
/// # Errors
/// [`MergeError`]; nothing is changed then.
pub fn merge(local: Option<&[u8]>, incoming: &[u8]) -> Result<Merged, MergeError> {
    merge_resolved(local, incoming, None)
}

/// As [`merge`], for a delta whose actors are numbers that `resolve` knows.
///
/// # Errors
/// [`MergeError`]; nothing is changed then.
pub fn merge_interned(
    local: Option<&[u8]>,
    incoming: &[u8],
    resolve: &dyn Fn(u64) -> Option<Actor>,
) -> Result<Merged, MergeError> {
    merge_resolved(local, incoming, Some(resolve))
}

/// What `document` holds beyond `base`, as bytes for [`merge`]; `None` if
/// `base` covers all of it.
///
/// # Errors
/// The document's bytes are damaged.
pub fn delta(document: &[u8], base: &VersionVector) -> Result<Option<Vec<u8>>, DecodeError> {
    if base.is_empty()
        && let Some(delta) = whole::to_delta(document, None)?
    {
        return Ok(Some(delta));
    }
    let found = changes_since(document, base)?;
    Ok(found.map(|(tree, base)| encode_delta(&tree, &base, None)))
}

/// As [`delta`], writing each actor as the number that `intern` gives it.
///
/// # Errors
/// The document's bytes are damaged.
pub fn delta_interned(
    document: &[u8],
    base: &VersionVector,
    intern: &mut dyn FnMut(&Actor) -> u64,
) -> Result<Option<Vec<u8>>, DecodeError> {
    if base.is_empty()
        && let Some(delta) = whole::to_delta(document, Some(&mut *intern))?
    {
        return Ok(Some(delta));
    }
    let found = changes_since(document, base)?;
    Ok(found.map(|(tree, base)| encode_delta(&tree, &base, Some(intern))))
}

/// The version vector at the head of a document or delta.
///
/// # Errors
/// The head is damaged.
pub fn version_vector(document: &[u8]) -> Result<VersionVector, DecodeError> {
    Ok(take_head(&mut Reader::new(document), None)?.vector)
}

/// As [`version_vector`], of a delta whose actors are numbers.
///
/// # Errors
/// The head is damaged, or names a number that `resolve` does not know.
pub fn version_vector_interned(
    delta: &[u8],
    resolve: &dyn Fn(u64) -> Option<Actor>,
) -> Result<VersionVector, DecodeError> {
    Ok(take_head(&mut Reader::new(delta), Some(resolve))?.vector)
}

/// Checks that bytes from outside are the canonical ones of some document.
///
/// [`merge`] needs no such check: it writes canonical bytes whatever came in.
///
/// # Errors
/// The first rule of the format that they break.
pub fn check_document(document: &[u8]) -> Result<(), DecodeError> {
    let mut tree = decode::whole(decode(document, None)?)?;
    normalise(&mut tree);
    if encode_document(&tree) == document {
        return Ok(());
    }
    Err(DecodeError::Malformed {
        what: "document: not in canonical form",
        at: 0,
    })
}

fn merge_resolved(
    local: Option<&[u8]>,
    incoming: &[u8],
    resolve: Option<&dyn Fn(u64) -> Option<Actor>>,
) -> Result<Merged, MergeError> {
    if local.is_none()
        && let Some(whole) = whole::from_delta(incoming, resolve)
    {
        return Ok(Merged {
            document: whole.into_document(),
            changed: true,
            equivocations: Vec::new(),
        });
    }
    let Decoded { tree: remote, base } = decode(incoming, resolve).map_err(MergeError::Remote)?;
    let mut tree = match local {
        Some(bytes) => decode_document(bytes).map_err(MergeError::Local)?,
        None => Tree::default(),
    };
    if base.is_some_and(|base| !tree.vector.dominates(&base)) {
        return Err(MergeError::BaseMissing);
    }
    let equivocations = unite(&mut tree, remote);
    if tree.vector.len() > MAX_ACTORS {
        return Err(MergeError::TooManyActors);
    }
    normalise(&mut tree);
    let document = encode_document(&tree);
    Ok(Merged {
        changed: local != Some(document.as_slice()),
        document,
        equivocations,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::SiteId;
    use crate::edit::Edit;
    use crate::object::Object;
    use crate::schema::Schema;
    use crate::stamp::Stamp;
    use crate::testing::any_value;
    use crate::value::Value;
    use crate::view::DocumentView;
    use crate::whole::Whole;
    use proptest::prelude::*;

    fn dot(site: u8, millis: u64) -> Dot {
        Dot::new(Actor::new(SiteId([site; 16]), 1), Stamp::new(millis, 3))
    }

    /// A document that was edited a few times by a few sites.
    fn document() -> impl Strategy<Value = Vec<u8>> {
        let fields = prop::collection::vec(("[a-e]{1,2}", any_value()), 0..40);
        let commits = prop::collection::vec((1_u8..4, fields), 1..4);
        commits.prop_map(|commits| {
            let mut held: Option<Vec<u8>> = None;
            for (at, (site, fields)) in commits.into_iter().enumerate() {
                let dot = dot(site, 1_000 + at as u64);
                let mut edit = Edit::open(held.as_deref(), dot).unwrap();
                let fields: Object = fields.into_iter().collect();
                edit.set_object(&fields, &Schema::INFERRED).unwrap();
                held = edit.finish().unwrap().or(held);
            }
            held.unwrap_or_default()
        })
    }

    fn number_of(actor: &Actor) -> u64 {
        u64::from(actor.site.0[0]) + 300
    }

    fn actor_of(number: u64) -> Option<Actor> {
        let site = u8::try_from(number.checked_sub(300)?).ok()?;
        Some(Actor::new(SiteId([site; 16]), 1))
    }

    /// The delta by way of a tree, as an older peer would write it.
    fn by_tree(document: &[u8]) -> Vec<u8> {
        let (tree, base) = changes_since(document, &VersionVector::new())
            .unwrap()
            .unwrap();
        encode_delta(&tree, &base, Some(&mut number_of))
    }

    #[test]
    fn a_new_document_needs_no_tree() {
        let mut edit = Edit::open(None, dot(1, 1_000)).unwrap();
        let inner = Object::from([("b".to_owned(), Value::from("c"))]);
        let fields = Object::from([("a".to_owned(), Value::Object(inner))]);
        edit.set_object(&fields, &Schema::INFERRED).unwrap();
        let document = edit.finish().unwrap().unwrap();
        let quick = whole::from_delta(&by_tree(&document), Some(&actor_of));
        assert_eq!(quick.map(Whole::into_document), Some(document));
    }

    proptest! {
        #[test]
        fn a_whole_document_travels_the_same_with_and_without_a_tree(document in document()) {
            prop_assume!(!document.is_empty());
            let nothing = VersionVector::new();
            let delta = delta_interned(&document, &nothing, &mut |actor| number_of(actor));
            let delta = delta.unwrap().unwrap();
            prop_assert_eq!(&delta, &by_tree(&document));
            // A field of two kinds needs the tree; a new document never does.
            let quick = whole::from_delta(&delta, Some(&actor_of));
            if let Some(quick) = quick {
                prop_assert_eq!(quick.vector(), &version_vector(&document).unwrap());
                prop_assert!(DocumentView::new(&document).unwrap().is_visible().unwrap());
                prop_assert_eq!(quick.document(), &document);
            }
            let merged = merge_interned(None, &delta, &actor_of).unwrap();
            prop_assert_eq!(merged.document, document);
        }

        #[test]
        fn broken_bytes_are_refused_with_and_without_a_tree(
            document in document(),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            prop_assume!(!document.is_empty());
            let mut delta = by_tree(&document);
            let place = place.index(delta.len());
            delta[place] = byte;
            let Some(quick) = whole::from_delta(&delta, Some(&actor_of)) else {
                return Ok(());
            };
            let Decoded { mut tree, base } = decode(&delta, Some(&actor_of)).unwrap();
            prop_assert!(base.is_none_or(|base| base.is_empty()));
            normalise(&mut tree);
            prop_assert_eq!(quick.document(), encode_document(&tree));
        }
    }
}

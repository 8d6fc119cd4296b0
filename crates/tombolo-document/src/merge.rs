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

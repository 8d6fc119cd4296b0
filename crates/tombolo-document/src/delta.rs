//! What one state holds beyond a version vector.

use std::sync::Arc;

use crate::bytes::{DecodeError, Reader};
use crate::decode::decode_document;
use crate::head::take_head;
use crate::tree::{CommitIndex, Leaf, MapNode, Node, Removal, Tree};
use crate::version::VersionVector;

/// The part of a document that `base` does not cover, and the base cut to the
/// actors of the document.
pub(crate) fn changes_since<'a>(
    document: &'a [u8],
    base: &VersionVector,
) -> Result<Option<(Tree<'a>, VersionVector)>, DecodeError> {
    let vector = take_head(&mut Reader::new(document), None)?.vector;
    if base.dominates(&vector) {
        return Ok(None);
    }
    let mut tree = decode_document(document)?;
    let shared = vector.meet(base);
    let fresh: Vec<bool> = tree.commits.iter().map(|dot| !shared.covers(dot)).collect();
    let is_fresh = |dot: CommitIndex| fresh[dot as usize];
    if tree
        .removal
        .as_ref()
        .is_some_and(|removal| !removal.dots.iter().copied().any(is_fresh))
    {
        tree.removal = None;
    }
    keep_fresh_map(&mut tree.root, &is_fresh);
    Ok(Some((tree, shared)))
}

fn keep_fresh_map(map: &mut MapNode<'_>, is_fresh: &impl Fn(CommitIndex) -> bool) {
    if !map.presence.iter().copied().any(is_fresh) {
        map.presence.clear();
        map.nulled = false;
    }
    for child in &mut map.children {
        keep_fresh_node(&mut child.node, is_fresh);
    }
    map.children.retain(|child| !child.node.is_empty());
}

fn keep_fresh_node(node: &mut Node<'_>, is_fresh: &impl Fn(CommitIndex) -> bool) {
    let stale = |leaf: &Leaf<'_>| !leaf.dots.iter().copied().any(is_fresh);
    if node.register.as_ref().is_some_and(stale) {
        node.register = None;
    }
    if node.attachment.as_deref().is_some_and(stale) {
        node.attachment = None;
    }
    for counter in [&mut node.counter, &mut node.pn_counter]
        .into_iter()
        .flatten()
    {
        counter.restart = counter.restart.filter(|(dot, _)| is_fresh(*dot));
        counter.parts.retain(|part| is_fresh(part.dot));
        counter.floor = counter.floor.filter(|floor| is_fresh(floor.dot));
        counter.bases.retain(|base| is_fresh(base.dot));
    }
    if let Some(removals) = &mut node.removals {
        for slot in removals.iter_mut() {
            let fresh = |removal: &Arc<Removal>| removal.dots.iter().copied().any(is_fresh);
            *slot = slot.take().filter(fresh);
        }
    }
    if let Some(map) = &mut node.map {
        keep_fresh_map(map, is_fresh);
    }
    node.prune();
}

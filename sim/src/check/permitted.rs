//! Nothing crosses a link that the certificates of its ends forbid. What comes into
//! a store, or is told to a peer in any form, is what the sender may write and the
//! receiver may read. Documents say of themselves which they are (see
//! `workload::mark`), so that their bytes are known wherever they turn up.
//!
//! A document that no liar may write is made of what honest nodes wrote, whatever
//! names, stamps and vectors a liar forges.

use crate::holdings::{Change, Place, Union, covers};
use crate::listening::Overheard;
use crate::node::Node;
use crate::violation::{Promise, Violation};
use crate::workload::marks;

/// Checks what came to a node from another.
pub(super) fn check_commit(
    (node, from): (usize, usize),
    changes: &[Change],
    nodes: &[Node],
) -> Result<(), Violation> {
    for change in changes {
        if !nodes[from].may_send(&nodes[node], &change.place) {
            let story = format!("node {node} took {:?} from node {from}", change.place);
            return Err(Violation::new(Promise::Permission, story));
        }
        let after = change.after.as_ref();
        let after = after.map_or(&[][..], |held| held.document.as_slice());
        if let Some(other) = marks(after).find(|mark| *mark != change.place) {
            let story = format!("node {node} holds {other:?} as {:?}", change.place);
            return Err(Violation::new(Promise::Permission, story));
        }
    }
    Ok(())
}

/// Checks what one node says to another.
pub(crate) fn check_said(
    (from, to): (usize, usize),
    overheard: &Overheard,
    nodes: &[Node],
) -> Result<(), Violation> {
    let is_forbidden = |place: &&Place| !nodes[from].may_send(&nodes[to], place);
    let named = overheard.places.iter().find(is_forbidden).cloned();
    let contained = || marks(&overheard.message).find(|place| is_forbidden(&place));
    if let Some(place) = named.or_else(contained) {
        let story = format!("node {from} sent {place:?} to node {to}");
        return Err(Violation::new(Promise::Permission, story));
    }
    Ok(())
}

/// Checks that what a node holds was written by honest ones.
pub(super) fn check_unaltered(
    node: usize,
    changes: &[Change],
    written: &Union,
    nodes: &[Node],
) -> Result<(), Violation> {
    let may_forge = |place: &Place| {
        let mut liars = nodes.iter().filter(|node| node.is_liar());
        liars.any(|liar| liar.may_write(place))
    };
    for change in changes.iter().filter(|change| !may_forge(&change.place)) {
        let Some(after) = &change.after else { continue };
        let is_honest = match written.0.get(&change.place) {
            Some(written) => covers(written, &after.document)?,
            None => false,
        };
        if !is_honest {
            let story = format!("node {node} holds of {:?} what nobody wrote", change.place);
            return Err(Violation::new(Promise::Permission, story));
        }
    }
    Ok(())
}

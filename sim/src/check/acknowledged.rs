//! Nothing that was acknowledged is lost: the union of what all nodes hold at the
//! end covers every state that was ever durable on any of them.
//!
//! Power cuts take nothing of it. Two things do, on purpose: an eviction gives up
//! what no other node holds, and so does going on from a backup. Where a clone does
//! not know what it is, nothing of this is promised.

use crate::holdings::{Place, Union, covers};
use crate::node::Node;
use crate::violation::{Promise, Violation};

/// Checks what all nodes hold together.
pub(super) fn check(
    acknowledged: &Union,
    nodes: &[Node],
    is_forged: impl Fn(&Place) -> bool,
) -> Result<(), Violation> {
    let mut held = Union::default();
    for node in nodes.iter().filter(|node| !node.is_liar()) {
        for (place, document) in &node.holdings.documents {
            if is_forged(place) {
                continue;
            }
            held.add(place, &document.document)?;
        }
    }
    for (place, document) in acknowledged.0.iter().filter(|(place, _)| !is_forged(place)) {
        let is_kept = match held.0.get(place) {
            Some(held) => covers(held, document)?,
            None => false,
        };
        if !is_kept {
            let story = format!("a part of {place:?} was acknowledged and is nowhere");
            return Err(Violation::new(Promise::Acknowledged, story));
        }
    }
    Ok(())
}

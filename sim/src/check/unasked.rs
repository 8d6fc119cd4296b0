//! Nothing arrives unasked. A document that was not here before comes only if it
//! is alive and matches what this node wants: interests that were replaced begin a
//! new generation, and what was sent for an older one is dropped, except a commit
//! that is under way then, or when the document is evicted. Of a collection that is not wanted nothing changes.
//!
//! A document that is here may change in any way while its collection is wanted:
//! it may have left the conditions, or match for the peer and not in the union.

use tombolo_sync::{Evaluation, Interests};

use crate::holdings::{Change, Place};
use crate::node::Node;
use crate::violation::{Promise, Violation};

/// Checks what a session brought to a node.
pub(super) fn check(
    at: usize,
    changes: &[Change],
    node: &Node,
    is_late: impl Fn(&Place) -> bool,
) -> Result<(), Violation> {
    let Some(evaluation) = evaluation(node) else {
        return Ok(());
    };
    for change in changes {
        let (collection, id) = &change.place;
        let Some(after) = &change.after else { continue };
        let is_asked = match &change.before {
            Some(_) => node.interests_now().any(|asked| asked.wants(collection)),
            None => {
                let name = (collection.as_str(), id);
                let asks = |asked: &Interests| asked.matches(name, &after.document, &evaluation);
                after.live && node.interests_now().any(asks)
            }
        };
        if !is_asked && !is_late(&change.place) {
            let story = format!("{:?} came to node {at}, which did not ask", change.place);
            return Err(Violation::new(Promise::Unasked, story));
        }
    }
    Ok(())
}

/// How a node decides what matches.
pub(super) fn evaluation(node: &Node) -> Option<Evaluation> {
    let running = node.running.as_ref()?;
    Some(Evaluation {
        parameters: running.database.parameters(),
        now_ms: node.clock.now().unix_ms,
    })
}

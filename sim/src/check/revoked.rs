//! Who is cut off stays so. A node that holds a list takes nothing from whom it
//! names and sends it nothing, never goes back to an older list, not even after a
//! power cut, and is told of the newest by its honest neighbours.

use tombolo_identity::Revocations;

use crate::link::Link;
use crate::node::Node;
use crate::violation::{Promise, Violation};

/// Checks a list that a node takes.
pub(crate) fn check_newer(
    at: usize,
    held: Option<&Revocations>,
    next: &Revocations,
) -> Result<(), Violation> {
    match held {
        Some(held) if held.version() >= next.version() => {
            let (held, next) = (held.version(), next.version());
            let story = format!("node {at} goes back from list {held} to list {next}");
            Err(Violation::new(Promise::Revocations, story))
        }
        _ => Ok(()),
    }
}

/// Checks that something may pass between a node and its peer at all.
pub(crate) fn check_pass(
    (at, peer): (usize, usize),
    nodes: &[Node],
    what: &str,
) -> Result<(), Violation> {
    if nodes[at].refuses(&nodes[peer]) {
        let story = format!("node {at} {what} node {peer}, which is cut off");
        return Err(Violation::new(Promise::Revocations, story));
    }
    Ok(())
}

/// Checks that neighbours hold the same list.
pub(super) fn check_end(nodes: &[Node], links: &[Link]) -> Result<(), Violation> {
    let version = |node: &usize| nodes[*node].revocations.as_ref().map(Revocations::version);
    for link in links.iter().filter(|link| link.is_wanted) {
        let [left, right] = &link.nodes;
        if version(left) != version(right) {
            let story = format!("nodes {left} and {right} hold different lists");
            return Err(Violation::new(Promise::Revocations, story));
        }
    }
    Ok(())
}

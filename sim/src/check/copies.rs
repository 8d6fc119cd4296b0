//! A disk that went back in time without knowing it is noticed: if a peer holds a
//! cursor beyond the backup from which a node went on, the node has taken a new log
//! id once the two have met again.
//!
//! What the node wrote after the backup and nobody else holds is lost with the
//! disk. A peer that itself went back forgets what it could have told.

use tombolo_store::{LogId, Sidecar};
use tombolo_sync::record::{CursorRecord, cursor_key};

use crate::link::Link;
use crate::node::Node;
use crate::violation::{Promise, Violation};

/// What is to be noticed.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    expected: Vec<Expected>,
}

#[derive(Debug)]
struct Expected {
    node: usize,
    /// The log that it must leave.
    log: LogId,
    /// The peer that knows better.
    peer: usize,
}

impl Copies {
    /// A node went back in time.
    pub(crate) fn restored(&mut self, at: usize, nodes: &[Node]) -> Result<(), Violation> {
        self.expected
            .retain(|expected| expected.peer != at && expected.node != at);
        let Some(running) = &nodes[at].running else {
            return Ok(());
        };
        let snapshot = running.database.snapshot();
        for peer in (0..nodes.len()).filter(|peer| *peer != at) {
            let known = commit_known_to(&nodes[peer], &nodes[at], snapshot.log_id())?;
            if known.is_some_and(|commit| commit > snapshot.last_commit()) {
                self.expected.push(Expected {
                    node: at,
                    log: snapshot.log_id(),
                    peer,
                });
            }
        }
        Ok(())
    }

    /// Checks nodes that are linked at the end.
    pub(super) fn check(&self, nodes: &[Node], links: &[Link]) -> Result<(), Violation> {
        for expected in &self.expected {
            let Expected { node, log, peer } = expected;
            let meet = |link: &Link| link.nodes.contains(node) && link.nodes.contains(peer);
            let still = nodes[*node].running.as_ref();
            let still = still.map(|running| running.database.snapshot().log_id());
            if still == Some(*log) && links.iter().any(meet) {
                let story = format!("node {node} went back and node {peer} did not notice");
                return Err(Violation::new(Promise::Copies, story));
            }
        }
        Ok(())
    }
}

/// The commit of a node's log that a peer's cursor names. Only its issuer may
/// look into a cursor, and this checker.
fn commit_known_to(peer: &Node, node: &Node, log: LogId) -> Result<Option<u64>, Violation> {
    let Some(running) = &peer.running else {
        return Ok(None);
    };
    let key = cursor_key(node.peer().peer_key());
    let found = running.database.snapshot().sidecar(Sidecar::Sessions, &key);
    let found = found.map_err(|error| Violation::store(&error))?;
    let Some(record) = found.and_then(|bytes| CursorRecord::decode(&bytes).ok()) else {
        return Ok(None);
    };
    let mut commit = 0;
    for (at, byte) in record.cursor.iter().skip(1).enumerate().take(9) {
        commit |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok((record.theirs.0 == log.0).then_some(commit))
}

//! A node hands on what it holds and nothing else: what a session brings is what
//! was there before, united with something that the peer held at some time.

use crate::holdings::{Change, Union, covers, unite};
use crate::violation::{Promise, Violation};

/// Checks what came to a node from another.
pub(super) fn check(
    (node, from): (usize, usize),
    changes: &[Change],
    ever: &[Union],
) -> Result<(), Violation> {
    for change in changes {
        let Some(after) = &change.after else { continue };
        let sent = ever[from].0.get(&change.place);
        let possible = match (&change.before, sent) {
            (Some(before), Some(sent)) => Some(unite(&before.document, sent)?),
            (_, Some(sent)) => Some(sent.clone()),
            (Some(before), None) => Some(before.document.clone()),
            (None, None) => None,
        };
        let is_possible = match possible {
            Some(possible) => covers(&possible, &after.document)?,
            None => false,
        };
        if !is_possible {
            let place = &change.place;
            let story = format!("node {node} got of {place:?} what node {from} never held");
            return Err(Violation::new(Promise::Relay, story));
        }
    }
    Ok(())
}

//! A node hands on what it holds and nothing else: what a session brings is what
//! was there before, united with something that the peer held at some time.

use std::collections::BTreeMap;

use crate::holdings::{Change, Place, Union, covers, unite};
use crate::violation::{Promise, Violation};

/// All that one node ever held.
#[derive(Debug, Clone, Default)]
pub(super) struct Ever {
    held: Union,
    /// What it held before it gave a document up, each life of the document apart:
    /// a node that gave its own writes up goes on under the same actor, and what
    /// it holds since then speaks of them as if they were there.
    given_up: BTreeMap<Place, Vec<Vec<u8>>>,
}

impl Ever {
    pub(super) fn add(&mut self, place: &Place, document: &[u8]) -> Result<(), Violation> {
        self.held.add(place, document)
    }

    pub(super) fn give_up(&mut self, place: &Place) {
        if let Some(held) = self.held.0.remove(place) {
            self.given_up.entry(place.clone()).or_default().push(held);
        }
    }

    /// One state for each life of the document, the present one first, and last
    /// what all of them are together.
    fn states(&self, place: &Place) -> Result<Vec<Vec<u8>>, Violation> {
        let given_up = self.given_up.get(place).into_iter().flatten();
        let mut states: Vec<Vec<u8>> = self.held.0.get(place).into_iter().cloned().collect();
        states.extend(given_up.cloned());
        if let Some((first, others)) = states.split_first()
            && !others.is_empty()
        {
            let mut all = first.clone();
            for other in others {
                all = unite(&all, other)?;
            }
            states.push(all);
        }
        Ok(states)
    }
}

/// Checks what came to a node from another.
pub(super) fn check(
    (node, from): (usize, usize),
    changes: &[Change],
    ever: &[Ever],
) -> Result<(), Violation> {
    for change in changes {
        let Some(after) = &change.after else { continue };
        let before = change.before.as_ref().map(|before| &before.document[..]);
        let mut is_possible = match before {
            Some(before) => covers(before, &after.document)?,
            None => false,
        };
        for sent in ever[from].states(&change.place)? {
            let possible = match before {
                Some(before) => unite(before, &sent)?,
                None => sent,
            };
            is_possible = is_possible || covers(&possible, &after.document)?;
        }
        if !is_possible {
            let place = &change.place;
            let story = format!("node {node} got of {place:?} what node {from} never held");
            return Err(Violation::new(Promise::Relay, story));
        }
    }
    Ok(())
}

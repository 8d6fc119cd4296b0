//! Documents of a peer that were refused: which, why, and when to ask again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tombolo_identity::Filter;

use crate::event::{Apply, Notice, Outcome, RefusedMap};
use crate::limits::{FETCH_MAX, REFUSED_MAX};
use crate::reading::Place;
use crate::record::Refused;
use crate::wire::Refusal;

/// What was refused of one peer, as its records say.
#[derive(Default)]
pub(super) struct RefusedDocuments {
    known: Arc<RefusedMap>,
    /// Those that the peer was asked for again and has not sent.
    asked: BTreeSet<Place>,
    /// Those of them of which nothing has come yet.
    unanswered: BTreeSet<Place>,
    has_forgotten: bool,
}

impl RefusedDocuments {
    /// What earlier sessions remember.
    pub(super) fn recalled(known: RefusedMap) -> Self {
        Self {
            known: Arc::new(known),
            ..Self::default()
        }
    }

    pub(super) fn known(&self) -> Arc<RefusedMap> {
        Arc::clone(&self.known)
    }

    /// Whether this is the first answer to a Fetch of that document: only the
    /// first is answered, or two sides would answer each other for ever.
    pub(super) fn was_fetched(&mut self, place: &Place) -> bool {
        self.unanswered.remove(place)
    }

    /// Whether more was refused than is remembered: then no cursor may be
    /// stored, so that the next interests begin at the beginning.
    pub(super) const fn has_forgotten(&self) -> bool {
        self.has_forgotten
    }

    /// What may be taken now, each once.
    pub(super) fn ask(&mut self, filter: &Filter, now_ms: u64) -> Vec<Place> {
        let may_go = |(place, refused): &(&Place, &Refused)| match refused.reason {
            Refusal::Permission => filter.accepts(&place.0, &place.1),
            Refusal::Skew => refused.again_from_ms <= now_ms,
            Refusal::Size => false,
        };
        let fresh = self.known.iter().filter(may_go).map(|(place, _)| place);
        let fresh = fresh.filter(|place| !self.asked.contains(*place));
        let places: Vec<Place> = fresh.take(FETCH_MAX).cloned().collect();
        self.asked.extend(places.iter().cloned());
        self.unanswered.extend(places.iter().cloned());
        places
    }

    /// When one may be asked for next, in unix milliseconds.
    pub(super) fn next_ms(&self) -> Option<u64> {
        let waits = |(place, refused): &(&Place, &Refused)| {
            refused.reason == Refusal::Skew && !self.asked.contains(*place)
        };
        let waiting = self.known.iter().filter(waits);
        waiting.map(|(_, refused)| refused.again_from_ms).min()
    }

    /// Learns what became of an apply; gives what the operator should know.
    pub(super) fn note(&mut self, apply: &Apply, outcomes: &[Outcome]) -> Vec<Notice> {
        let mut counts: BTreeMap<Refusal, usize> = BTreeMap::new();
        let mut equivocated = 0;
        for (arriving, outcome) in apply.documents.iter().zip(outcomes) {
            let place = || (arriving.collection.to_string(), arriving.id.clone());
            match outcome {
                Outcome::Refused(refused) => {
                    *counts.entry(refused.reason).or_default() += 1;
                    self.asked.remove(&place());
                    Arc::make_mut(&mut self.known).insert(place(), *refused);
                }
                Outcome::Merged {
                    equivocated: twice, ..
                } => {
                    equivocated += usize::from(*twice);
                    if !self.known.is_empty() {
                        Arc::make_mut(&mut self.known).remove(&place());
                    }
                }
            }
        }
        for place in &apply.settlement.denied {
            *counts.entry(Refusal::Permission).or_default() += 1;
            Arc::make_mut(&mut self.known).insert(place.clone(), Refused::NOT_PERMITTED);
        }
        if self.known.len() > REFUSED_MAX {
            // The records went with the cursor: see `Apply::records`.
            self.known = Arc::default();
            self.has_forgotten = true;
        }
        let refused = counts.into_iter();
        let refused = refused.map(|(reason, documents)| Notice::Refused { documents, reason });
        let documents = equivocated;
        let twice = (documents > 0).then_some(Notice::Equivocation { documents });
        refused.chain(twice).collect()
    }
}

//! One batch on its way into the store.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use tombolo_document::{Actor, DocumentId};
use tombolo_identity::Filter;

use crate::event::{Arriving, Content};
use crate::interest::Interests;
use crate::looking::Told;
use crate::reading::Place;
use crate::wire::{Flags, Form, Item, Payload, WireError};

/// A batch on its way into the store.
pub(super) struct Batch {
    pub(super) number: u64,
    pub(super) flags: Flags,
    pub(super) items: Vec<Waiting>,
    pub(super) denied: Vec<Place>,
    pub(super) cursor: Bytes,
    pub(super) bytes: usize,
    pub(super) stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Arriving,
    Whole,
    Looking,
    Supplementing,
    Ready,
}

pub(super) struct Waiting {
    collection: Arc<str>,
    id: DocumentId,
    told: Option<(Form, [u8; 16])>,
    pub(super) content: Option<Content>,
    /// Whether the peer was asked for it whole and has not answered.
    is_wanted: bool,
}

impl Batch {
    /// A batch of which nothing has arrived.
    pub(super) const fn new(number: u64, flags: Flags) -> Self {
        Self {
            number,
            flags,
            items: Vec::new(),
            denied: Vec::new(),
            cursor: Bytes::new(),
            bytes: 0,
            stage: Stage::Arriving,
        }
    }

    pub(super) fn extend(
        &mut self,
        items: Vec<Item>,
        actors: &Arc<Vec<Actor>>,
        (ours, filter): (&Interests, &Filter),
    ) {
        self.items.reserve(items.len());
        for item in items {
            let is_have = matches!(item.payload, Payload::Told(Form::Have, _));
            if !is_have && !ours.wants(&item.collection) {
                // Nobody asked for it.
                self.items.push(Waiting::nothing(item));
                continue;
            }
            if !filter.accepts(&item.collection, &item.id) {
                if matches!(item.payload, Payload::Put(_)) {
                    self.denied
                        .push((item.collection.to_string(), item.id.clone()));
                }
                // It keeps its place, since items are asked for by place.
                self.items.push(Waiting::nothing(item));
                continue;
            }
            self.items.push(match item.payload {
                Payload::Put(ref delta) => Waiting {
                    content: Some(Content::read(delta.clone(), actors)),
                    ..Waiting::nothing(item)
                },
                Payload::Told(form, digest) => Waiting {
                    told: Some((form, digest)),
                    ..Waiting::nothing(item)
                },
            });
        }
    }

    /// Takes these documents from a supplement, and no others: what was denied
    /// keeps its place among the items and must not come in that way.
    pub(super) fn expect(&mut self, places: &[u32]) {
        for place in places {
            if let Some(item) = self.items.get_mut(*place as usize) {
                item.is_wanted = true;
            }
        }
    }

    /// Puts the documents of a supplement where they were wanted.
    pub(super) fn fill(
        &mut self,
        items: Vec<Item>,
        actors: &Arc<Vec<Actor>>,
    ) -> Result<(), WireError> {
        let mut places = HashMap::with_capacity(items.len());
        let waiting = self.items.iter().enumerate();
        for (at, waiting) in waiting.filter(|(_, waiting)| waiting.is_wanted) {
            places.insert((Arc::clone(&waiting.collection), waiting.id.clone()), at);
        }
        for item in items {
            let at = places.remove(&(item.collection, item.id));
            match (at, item.payload) {
                (Some(at), Payload::Put(delta)) => {
                    self.items[at].is_wanted = false;
                    self.items[at].told = None;
                    self.items[at].content = Some(Content::read(delta, actors));
                }
                _ => return Err(WireError::Protocol("a supplement that nobody wanted")),
            }
        }
        Ok(())
    }

    pub(super) fn told(&self) -> Vec<Told> {
        let items = self.items.iter().enumerate();
        items
            .filter_map(|(at, item)| {
                let (form, digest) = item.told?;
                Some(Told {
                    place: at as u32,
                    collection: Arc::clone(&item.collection),
                    id: item.id.clone(),
                    form,
                    digest,
                })
            })
            .collect()
    }

    pub(super) fn documents(&self) -> impl Iterator<Item = Arriving> {
        self.items.iter().filter_map(|item| {
            Some(Arriving {
                collection: Arc::clone(&item.collection),
                id: item.id.clone(),
                content: item.content.clone()?,
            })
        })
    }
}

impl Waiting {
    fn nothing(item: Item) -> Self {
        Self {
            collection: item.collection,
            id: item.id,
            told: None,
            content: None,
            is_wanted: false,
        }
    }
}

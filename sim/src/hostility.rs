//! How liars come to links, and what is overheard of those who are honest.

use bytes::Bytes;
use std::sync::Arc;
use tombolo::replication::Host;
use tombolo_identity::{Permissions, VerifiedPeer};
use tombolo_store::StoreError;
use tombolo_sync::Local;
use tombolo_sync::view::LogId;
use tombolo_sync::wire::Hello;

use crate::agenda::End;
use crate::canary::Canary;
use crate::check::{permitted, revoked};
use crate::liar::{Honest, Liar, Lore};
use crate::seat::{Chair, Response};
use crate::violation::{Promise, Violation};
use crate::world::World;

impl World {
    /// What a session of a node with another goes by: its store, itself, and whom
    /// it takes the other for.
    pub(crate) fn ends_of(
        &self,
        at: usize,
        other: usize,
    ) -> Option<(Host, Arc<Local>, VerifiedPeer)> {
        let (node, other) = (&self.nodes[at], &self.nodes[other]);
        let running = node.running.as_ref()?;
        let knows_rules = !node.is_liar() && self.canary != Canary::SkipsFilter;
        let (mut local, mut peer) = (Arc::clone(&running.local), other.peer().clone());
        if let Some(papers) = other.papers.as_ref().filter(|_| !knows_rules) {
            peer = papers.unlimited.clone();
            Arc::make_mut(&mut local).permissions = Permissions::everything();
        }
        Some((running.host.clone(), local, peer))
    }

    /// Puts a liar at the end of a link.
    pub(crate) fn open_liar(
        &mut self,
        at: usize,
        honest: Honest,
    ) -> Result<(Chair, Response), StoreError> {
        let running = self.nodes.iter().filter_map(|node| node.running.as_ref());
        let actors = running.map(|running| running.host.standing().actor);
        let standing = honest.host.standing();
        let now = self.nodes[at].clock.now();
        let held = self.nodes[at].holdings.documents.iter();
        let lists = self.lists.iter();
        let lore = Lore {
            documents: self.profile.documents,
            actors: actors.collect(),
            known: held
                .map(|(place, held)| (place.clone(), held.document.clone()))
                .collect(),
            lists: lists
                .map(|list| Bytes::copy_from_slice(list.as_bytes()))
                .collect(),
            hello: Hello {
                versions: (1, 1),
                database_id: honest.local.database_id.clone(),
                log: LogId(standing.log.0),
                actor: standing.actor,
                now_ms: now.unix_ms,
                is_server: false,
                device_name: String::new(),
                os: String::new(),
                version: String::new(),
                metadata: Vec::new(),
            },
        };
        let random = self.chance.fork();
        let (liar, response) = Liar::open(honest, lore, random, now)?;
        if let Some(papers) = &mut self.nodes[at].papers {
            papers.has_forged |= liar.forges();
        }
        Ok((Chair::Liar(liar), response))
    }

    /// Checks what an honest node says.
    pub(crate) fn overhear(&mut self, end: End, frame: &Bytes) -> Result<(), Violation> {
        let [from, to] = [end.side, 1 - end.side].map(|side| self.links[end.link].nodes[side]);
        if self.nodes[from].papers.is_none() || self.nodes[from].is_liar() {
            return Ok(());
        }
        revoked::check_pass((from, to), &self.nodes, "says something to")?;
        let overheard = self.links[end.link].overhearers[end.side].overhear(frame);
        match overheard {
            Ok(None) => Ok(()),
            Ok(Some(overheard)) => permitted::check_said((from, to), &overheard, &self.nodes),
            Err(error) => {
                let story = format!("node {from} says what nobody understands: {error}");
                Err(Violation::new(Promise::Protocol, story))
            }
        }
    }
}

//! Lists of revocations in a world: signed by the service, given to one node,
//! told from session to session, kept on disks. What a list does to links is done
//! here as the driver of a real node and its mesh do it.

use bytes::Bytes;
use tombolo::replication::Host;
use tombolo_identity::{Adoption, Revocations, VerifiedPeer};
use tombolo_store::StoreError;
use tombolo_sync::Event;
use tombolo_sync::record::{REVOCATIONS_KEY, revocations};

use crate::agenda::End;
use crate::authority::{self, Naming};
use crate::check::{Cause, revoked};
use crate::violation::{Promise, Violation};
use crate::world::World;

impl World {
    /// The service signs another list, which cuts some liars off and lets others
    /// in again; one node gets it.
    pub(crate) fn revoke(&mut self, at: usize) -> Result<(), Violation> {
        if self.nodes[at].is_liar() || self.nodes[at].running.is_none() {
            return Ok(());
        }
        let liars = (0..self.nodes.len()).filter(|node| self.nodes[*node].is_liar());
        let mut cut: Vec<usize> = liars.collect();
        cut.retain(|_| self.script.chance(500));
        let naming = *self
            .script
            .pick(&[Naming::Key, Naming::User, Naming::Filter]);
        let named = cut.iter().map(|node| &self.nodes[*node]);
        let named: Vec<(&VerifiedPeer, usize)> =
            named.map(|node| (node.peer(), node.key)).collect();
        let list = authority::revoke(self.lists.last(), &named, naming);
        self.say(|| format!("node {at} gets a list that cuts off {cut:?}"));
        self.lists.push(list.clone());
        self.hold(at, list)
    }

    /// A session was offered a list.
    pub(crate) fn offered(&mut self, end: End, bytes: &Bytes) -> Result<(), Violation> {
        let [at, from] = [end.side, 1 - end.side].map(|side| self.links[end.link].nodes[side]);
        let Some(offered) = authority::read_list(bytes) else {
            if !self.nodes[from].is_liar() {
                let story = format!("node {from} told node {at} of a list that nobody signed");
                return Err(Violation::new(Promise::Revocations, story));
            }
            return self.gone(end);
        };
        let Some(held) = &self.nodes[at].revocations else {
            return self.hold(at, offered);
        };
        match held.clone().adopt(offered.clone()) {
            Ok(Adoption::Newer) => self.hold(at, offered),
            Ok(Adoption::Unchanged | Adoption::Conflict) => Ok(()),
            Err(_) => {
                let newer = list_event(held);
                self.tell(end, newer)
            }
        }
    }

    /// A node holds a list from now on.
    fn hold(&mut self, at: usize, list: Revocations) -> Result<(), Violation> {
        let node = &mut self.nodes[at];
        revoked::check_newer(at, node.revocations.as_ref(), &list)?;
        let Some(running) = &node.running else {
            return Ok(());
        };
        let kept = keep(&running.host, &list);
        node.revocations = Some(list);
        if let Err(error) = kept {
            return self.store_failed(at, &error);
        }
        self.observe(at, Cause::Own)?;
        for link in 0..self.links.len() {
            for side in [0, 1] {
                if self.links[link].nodes[side] != at {
                    continue;
                }
                let end = self.end(link, side);
                let other = self.links[link].nodes[1 - side];
                if self.nodes[at].refuses(&self.nodes[other]) {
                    self.gone(end)?;
                } else {
                    self.tell_list(end)?;
                    // Who was cut off may be let in again.
                    self.connect_soon(link);
                }
            }
        }
        Ok(())
    }

    /// Tells a session of the list that its node holds.
    pub(crate) fn tell_list(&mut self, end: End) -> Result<(), Violation> {
        let at = self.links[end.link].nodes[end.side];
        match &self.nodes[at].revocations {
            Some(held) => {
                let event = list_event(held);
                self.tell(end, event)
            }
            None => Ok(()),
        }
    }

    /// Whether one of two nodes does not let the other in.
    pub(crate) fn is_refused(&self, [left, right]: [usize; 2]) -> bool {
        let (left, right) = (&self.nodes[left], &self.nodes[right]);
        left.refuses(right) || right.refuses(left)
    }
}

fn list_event(list: &Revocations) -> Event {
    Event::Revocations(Bytes::copy_from_slice(list.as_bytes()))
}

fn keep(host: &Host, list: &Revocations) -> Result<(), StoreError> {
    let record = revocations(list.as_bytes());
    host.write_records(vec![(REVOCATIONS_KEY.to_vec(), Some(record))])
}

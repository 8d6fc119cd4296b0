//! Links that come up and go, and the frames on them.

use bytes::Bytes;
use tombolo::replication::{Outward, Seat};
use tombolo_store::StoreError;
use tombolo_sync::wire::Channel;
use tombolo_sync::{CloseReason, Event};

use crate::agenda::{End, Happening};
use crate::canary::Canary;
use crate::check::Cause;
use crate::check::memory::check_views;
use crate::liar::Honest;
use crate::seat::{Chair, Response};
use crate::slow_seat::SlowSeat;
use crate::violation::{Promise, Violation};
use crate::world::World;

/// How long nodes wait before they link up again, in microseconds.
const BACKOFF_US: std::ops::Range<u64> = 20_000..400_000;
/// After how long the end of a lossy link is cut, should it not have noticed.
const LOSS_NOTICED_US: u64 = 2_000_000;

/// How long a piece of a session's work takes.
pub(crate) const WORK_US: std::ops::Range<u64> = 0..15_000;

impl World {
    pub(crate) fn end(&self, link: usize, side: usize) -> End {
        let life = self.links[link].life;
        End { link, side, life }
    }

    /// The session at an end, if it still is of that life.
    pub(crate) fn chair(&mut self, end: End) -> Option<&mut Chair> {
        let link = &mut self.links[end.link];
        (link.life == end.life).then_some(link.chairs[end.side].as_mut())?
    }

    pub(crate) fn connect_at(&mut self, link: usize, us: u64) {
        if !self.links[link].is_connecting {
            self.links[link].is_connecting = true;
            self.agenda.at(us, Happening::Connect(link));
        }
    }

    pub(crate) fn connect_soon(&mut self, link: usize) {
        let pause = self.chance.within(BACKOFF_US);
        self.connect_at(link, self.time.us() + pause);
    }

    /// Brings a link up, if both nodes have power and nothing stands against it.
    pub(crate) fn connect(&mut self, at: usize) -> Result<(), Violation> {
        self.links[at].is_connecting = false;
        let link = &self.links[at];
        if !link.is_wanted || !link.is_down() || self.is_refused(link.nodes) {
            return Ok(());
        }
        let nodes = link.nodes;
        let has_power = |node: &usize| self.nodes[*node].running.is_some();
        if !nodes.iter().all(has_power) {
            self.connect_soon(at);
            return Ok(());
        }
        // A node has one link to each key, and the newer one stays.
        let older = self.links_alike(nodes);
        if !older.is_empty() {
            for link in older {
                self.cut(link)?;
            }
            self.connect_soon(at);
            return Ok(());
        }
        self.links[at].renew();
        self.tally.links += 1;
        self.say(|| format!("link {at} comes up between nodes {nodes:?}"));
        for side in [0, 1] {
            self.open(at, side)?;
        }
        Ok(())
    }

    /// The links that are up between one of two nodes and the other's key.
    fn links_alike(&self, [left, right]: [usize; 2]) -> Vec<usize> {
        let key = |node: usize| self.nodes[node].key;
        let is_alike = |link: &usize| {
            let [a, b] = self.links[*link].nodes;
            let meets = |one: usize, other: usize| {
                (a == one && key(b) == key(other)) || (b == one && key(a) == key(other))
            };
            !self.links[*link].is_down() && (meets(left, right) || meets(right, left))
        };
        (0..self.links.len()).filter(is_alike).collect()
    }

    fn open(&mut self, at: usize, side: usize) -> Result<(), Violation> {
        let nodes = self.links[at].nodes;
        let Some((host, local, peer)) = self.ends_of(nodes[side], nodes[1 - side]) else {
            return Ok(());
        };
        let node = &self.nodes[nodes[side]];
        let (interests, now) = (node.interests.clone(), node.clock.now());
        let opened = if node.is_liar() {
            let honest = Honest {
                host,
                local,
                peer,
                interests,
            };
            self.open_liar(nodes[side], honest)
        } else if self.profile.is_slow || matches!(self.canary, Canary::DropsDocuments(_)) {
            SlowSeat::open(host, (local, peer), interests, self.canary, now)
                .map(|(seat, response)| (Chair::Slow(Box::new(seat)), response))
        } else {
            Seat::open(host, local, peer, interests, now).map(|(seat, outward)| {
                let response = Response { outward, works: 0 };
                (Chair::Prompt(Box::new(seat)), response)
            })
        };
        let end = self.end(at, side);
        match opened {
            Ok((chair, response)) => {
                self.links[at].chairs[side] = Some(chair);
                self.handled(end, Ok(response))?;
                self.tell_list(end)
            }
            Err(error) => self.store_failed(nodes[side], &error),
        }
    }

    pub(crate) fn arrive(
        &mut self,
        end: End,
        channel: Channel,
        frame: Bytes,
    ) -> Result<(), Violation> {
        let link = &mut self.links[end.link];
        if link.life != end.life {
            return Ok(());
        }
        link.roads[end.side].under_way[channel as usize] -= 1;
        if link.is_cut {
            return Ok(());
        }
        self.tell(end, Event::Frame(frame))
    }

    pub(crate) fn wake(&mut self, end: End) -> Result<(), Violation> {
        self.tell(end, Event::Tick)
    }

    /// Lets a session's driver do a piece of its work.
    pub(crate) fn work(&mut self, end: End) -> Result<(), Violation> {
        let node = self.links[end.link].nodes[end.side];
        let now = self.nodes[node].clock.now();
        let lot = self.chance.next();
        let Some(chair) = self.chair(end) else {
            return Ok(());
        };
        let handled = chair.work(lot, now);
        self.handled(end, handled)
    }

    /// Tells a session what happened, and does what it asks.
    pub(crate) fn tell(&mut self, end: End, event: Event) -> Result<(), Violation> {
        let node = self.links[end.link].nodes[end.side];
        let now = self.nodes[node].clock.now();
        let Some(chair) = self.chair(end) else {
            return Ok(());
        };
        let handled = chair.handle(event, now);
        check_views(node, chair.views_kept())?;
        self.handled(end, handled)
    }

    pub(crate) fn handled(
        &mut self,
        end: End,
        handled: Result<Response, StoreError>,
    ) -> Result<(), Violation> {
        let node = self.links[end.link].nodes[end.side];
        let Response { outward, works } = match handled {
            Ok(response) => response,
            Err(error) => return self.store_failed(node, &error),
        };
        for _ in 0..works {
            let us = self.time.us() + self.chance.within(WORK_US);
            self.agenda.at(us, Happening::Work(end));
        }
        let from = self.links[end.link].nodes[1 - end.side];
        self.observe(node, Cause::Peer(from))?;
        self.perform(end, outward)
    }

    /// Does what a session wants of the world.
    fn perform(&mut self, end: End, outward: Vec<Outward>) -> Result<(), Violation> {
        for one in outward {
            match one {
                Outward::Send(channel, frame) => self.send(end, channel, frame)?,
                Outward::Wake(at) => {
                    let at = (at.as_micros() as u64).max(self.time.us());
                    self.agenda.at(at, Happening::Wake(end));
                }
                // No node of a run asks for attachments, and a liar gets no answer.
                Outward::Met(_) | Outward::Attachment(_) => {}
                Outward::Revocations(list) => {
                    self.offered(end, &list)?;
                    if self.chair(end).is_none() {
                        return Ok(());
                    }
                }
                Outward::Notice(notice) => {
                    let node = self.links[end.link].nodes[end.side];
                    self.say(|| format!("node {node} notices {notice:?}"));
                }
                Outward::Close(reason) => return self.closed(end, &reason),
            }
        }
        Ok(())
    }

    /// Puts a frame on its way.
    fn send(&mut self, end: End, channel: Channel, frame: Bytes) -> Result<(), Violation> {
        self.overhear(end, &frame)?;
        self.tally.frames += 1;
        let now = self.time.us();
        if channel != Channel::Control {
            self.checks.last_document_us = now;
        }
        if self.trace.is_on() {
            let text = self.links[end.link].listeners[end.side].hear(&frame);
            let [from, to] = [end.side, 1 - end.side].map(|side| self.links[end.link].nodes[side]);
            self.say(|| format!("{from} -> {to}: {text}"));
        }
        let side = 1 - end.side;
        let target = End { side, ..end };
        let arrives = now + self.chance.within(self.profile.delay_us.clone());
        let is_hit = !self.is_healed && self.chance.within(0..100_000) < self.profile.losses;
        let copies = if is_hit { self.hit(end) } else { Copies::One };
        let link = &mut self.links[end.link];
        let road = &mut link.roads[side];
        // What steers may overtake documents, and never the other way round.
        let before = road.last_us[..=channel as usize].iter();
        let mut at = before.fold(arrives, |at, last| at.max(*last));
        match copies {
            Copies::None => return Ok(()),
            // What is late is overtaken by the next.
            Copies::Late => at += 30_000,
            Copies::One | Copies::Two => road.last_us[channel as usize] = at,
        }
        let times = if copies == Copies::Two { 2 } else { 1 };
        for _ in 0..times {
            road.under_way[channel as usize] += 1;
            let happening = Happening::Frame(target, channel, frame.clone());
            self.agenda.at(at, happening);
        }
        let nodes = self.links[end.link].nodes;
        if !nodes.iter().any(|node| self.nodes[*node].is_liar()) {
            let road = &self.links[end.link].roads[side];
            self.checks.memory.sent(end.link, road);
        }
        Ok(())
    }

    fn hit(&mut self, end: End) -> Copies {
        let link = &mut self.links[end.link];
        link.is_lossy = true;
        // A real link would be reset; a session cannot know of a last frame that
        // never came.
        for side in [0, 1] {
            let gone = Happening::Gone(End { side, ..end });
            self.agenda.at(self.time.us() + LOSS_NOTICED_US, gone);
        }
        let copies = *self.chance.pick(&[Copies::None, Copies::Two, Copies::Late]);
        self.say(|| format!("a frame of link {} meets {copies:?}", end.link));
        copies
    }

    /// A session ended its link.
    fn closed(&mut self, end: End, reason: &CloseReason) -> Result<(), Violation> {
        let node = self.links[end.link].nodes[end.side];
        self.say(|| format!("node {node} closes link {}: {reason}", end.link));
        if let CloseReason::Store(error) = reason {
            let error: &(dyn std::error::Error + 'static) = &**error;
            if !self.nodes[node].is_faulty {
                return Err(Violation::store(error));
            }
            return self.crash(node);
        }
        let is_lossy = self.links[end.link].is_lossy;
        let is_excused = match reason {
            CloseReason::Bye { code, .. } => *code == 4 || *code == 7 || is_lossy,
            CloseReason::OwnActor => self.profile.hides_copies,
            _ => is_lossy,
        };
        let mut nodes = self.links[end.link].nodes.iter();
        let is_excused = is_excused || nodes.any(|node| self.nodes[*node].is_liar());
        if !is_excused {
            let story = format!("node {node} closed link {}: {reason}", end.link);
            return Err(Violation::new(Promise::Protocol, story));
        }
        // What was sent before still arrives.
        let other = End {
            side: 1 - end.side,
            ..end
        };
        let at = self.links[end.link].last_us(other.side).max(self.time.us());
        self.agenda.at(at, Happening::Gone(other));
        self.gone(end)
    }

    /// An end learns that its link is gone.
    pub(crate) fn gone(&mut self, end: End) -> Result<(), Violation> {
        if self.links[end.link].life != end.life {
            return Ok(());
        }
        let Some(chair) = self.links[end.link].chairs[end.side].take() else {
            return Ok(());
        };
        let other = End {
            side: 1 - end.side,
            ..end
        };
        if self.links[end.link].chairs[other.side].is_some() {
            let at = self.links[end.link].last_us(other.side).max(self.time.us());
            self.agenda.at(at, Happening::Gone(other));
        } else if self.links[end.link].is_wanted {
            self.connect_soon(end.link);
        }
        let node = self.links[end.link].nodes[end.side];
        match chair.end() {
            Ok(()) => self.observe(node, Cause::Own),
            Err(error) => self.store_failed(node, &error),
        }
    }

    /// Cuts a link: nothing arrives, and both ends learn of it.
    pub(crate) fn cut(&mut self, at: usize) -> Result<(), Violation> {
        self.links[at].is_cut = true;
        for side in [0, 1] {
            let end = self.end(at, side);
            let us = self.time.us() + self.chance.within(0..50_000);
            self.agenda.at(us, Happening::Gone(end));
        }
        Ok(())
    }

    pub(crate) fn say(&mut self, line: impl FnOnce() -> String) {
        self.trace.say(self.time.us(), line);
    }
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copies {
    None,
    One,
    Two,
    Late,
}

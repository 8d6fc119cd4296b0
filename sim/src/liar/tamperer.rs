//! A real session whose messages are changed, repeated, withheld and replayed on
//! their way out. It knows no rules: it asks for everything and sends everything
//! that it holds.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tombolo::replication::{Host, Outward, Seat};
use tombolo_identity::VerifiedPeer;
use tombolo_store::StoreError;
use tombolo_sync::view::LogId;
use tombolo_sync::wire::{Assembler, Channel, Framer, Hello, Message, Packed, Refusal};
use tombolo_sync::{Event, Interests, Local, Now};

use super::Lore;
use super::forged::some_place;
use crate::random::Random;
use crate::seat::Response;

/// Messages that are remembered to be said again.
const SAID_MAX: usize = 64;

/// What a session of an honest node is made of.
pub(crate) struct Honest {
    pub(crate) host: Host,
    pub(crate) local: Arc<Local>,
    pub(crate) peer: VerifiedPeer,
    pub(crate) interests: Arc<Interests>,
}

/// A session that is meddled with.
pub(crate) struct Tamperer {
    seat: Seat,
    lore: Lore,
    random: Random,
    /// Of a thousand messages, how many meet each kind of lie.
    rate: u64,
    hears_itself: Assembler,
    framer: Framer,
    said: VecDeque<(Channel, Bytes)>,
}

impl Tamperer {
    pub(super) fn open(
        honest: Honest,
        lore: Lore,
        mut random: Random,
        now: Now,
    ) -> Result<(Self, Response), StoreError> {
        let Honest {
            host,
            local,
            peer,
            interests,
        } = honest;
        let (seat, outward) = Seat::open(host, local, peer, interests, now)?;
        let rate = *random.pick(&[0, 3, 10, 40]);
        let mut tamperer = Self {
            seat,
            lore,
            random,
            rate,
            hears_itself: Assembler::default(),
            framer: Framer::default(),
            said: VecDeque::new(),
        };
        let response = tamperer.pass_on(outward);
        Ok((tamperer, response))
    }

    pub(super) fn handle(&mut self, event: Event, now: Now) -> Result<Response, StoreError> {
        let outward = self.seat.handle(event, now)?;
        Ok(self.pass_on(outward))
    }

    pub(super) fn end(self) -> Result<(), StoreError> {
        self.seat.end()
    }

    fn pass_on(&mut self, outward: Vec<Outward>) -> Response {
        let mut out = Vec::new();
        for one in outward {
            match one {
                Outward::Send(_, frame) => {
                    if let Ok(Some((channel, message))) = self.hears_itself.take(&frame) {
                        self.lie(channel, &message, &mut out);
                    }
                }
                Outward::Wake(_) | Outward::Close(_) => out.push(one),
                // Lists of revocations are withheld from everybody.
                Outward::Revocations(_)
                | Outward::Met(_)
                | Outward::Attachment(_)
                | Outward::Notice(_) => {}
            }
        }
        Response {
            outward: out,
            works: 0,
        }
    }

    fn lie(&mut self, channel: Channel, message: &Bytes, out: &mut Vec<Outward>) {
        let kinds = 6;
        let lot = self.random.within(0..1_000);
        let kind = if lot < kinds * self.rate {
            lot / self.rate
        } else {
            kinds
        };
        match kind {
            0 => return,
            1 => self.say(channel, message.clone(), out),
            2 => {
                let changed = self.changed(message);
                self.say(channel, changed, out);
                return;
            }
            3 if !self.said.is_empty() => {
                let at = self.random.below(self.said.len());
                let (channel, message) = self.said[at].clone();
                self.say(channel, message, out);
            }
            4 if !self.lore.lists.is_empty() => {
                let list = self.random.pick(&self.lore.lists).clone();
                let message = Message::Revocations { list }.encode();
                self.say(Channel::Control, message.into(), out);
            }
            5 => {
                let fetch = self.fetch();
                self.say(Channel::Control, fetch, out);
            }
            _ => {}
        }
        self.say(channel, message.clone(), out);
        if self.said.len() >= SAID_MAX {
            self.said.pop_front();
        }
        self.said.push_back((channel, message.clone()));
    }

    fn say(&mut self, channel: Channel, message: Bytes, out: &mut Vec<Outward>) {
        let message = Packed::plain(message.to_vec());
        self.framer.frames(channel, &message, |frame| {
            out.push(Outward::Send(channel, frame));
        });
    }

    /// Asks for documents of any name, as if they had been refused once.
    fn fetch(&mut self) -> Bytes {
        let documents = self.lore.documents;
        let count = self.random.within(1..8);
        let generation = self.random.within(0..4);
        let places = (0..count).map(|_| some_place(documents, &mut self.random));
        let fetch = Message::Fetch {
            generation,
            documents: places.collect(),
        };
        fetch.encode().into()
    }

    /// Says something else.
    fn changed(&mut self, message: &Bytes) -> Bytes {
        let random = &mut self.random;
        let changed = match Message::decode(message) {
            Ok(Message::Hello(mut hello)) => {
                change_hello(&mut hello, &self.lore, random);
                Message::Hello(hello)
            }
            Ok(Message::Interests {
                generation,
                mut holds_documents,
                mut may_continue,
                cursor,
                stated,
            }) => {
                let mut cursor = cursor.to_vec();
                match random.below(4) {
                    0 => holds_documents = !holds_documents,
                    1 => may_continue = !may_continue,
                    _ => change_cursor(&mut cursor, random),
                }
                Message::Interests {
                    generation: generation + random.within(0..2),
                    holds_documents,
                    may_continue,
                    cursor: cursor.into(),
                    stated,
                }
            }
            Ok(Message::Ack {
                generation, batch, ..
            }) => {
                let (collection, id) = some_place(self.lore.documents, random);
                Message::Ack {
                    generation,
                    batch: batch + random.within(0..3),
                    refused: vec![(collection, id, Refusal::Permission)],
                }
            }
            Ok(Message::Want {
                generation, batch, ..
            }) => Message::Want {
                generation,
                batch,
                places: (0..random.within(0..6) as u32).collect(),
            },
            Ok(Message::Scope {
                generation,
                mut scope,
            }) => {
                scope.continued = !scope.continued;
                Message::Scope { generation, scope }
            }
            _ => {
                let mut bytes = message.to_vec();
                let at = random.below(bytes.len());
                bytes[at] ^= random.next() as u8;
                return bytes.into();
            }
        };
        changed.encode().into()
    }
}

/// Says of itself what is not so.
fn change_hello(hello: &mut Hello, lore: &Lore, random: &mut Random) {
    match random.below(5) {
        0 => hello.log = LogId([random.next() as u8; 16]),
        1 => hello.now_ms = random.next() >> random.within(0..40),
        2 => hello.actor.epoch = random.next() as u32,
        3 => hello.actor = *random.pick(&lore.actors),
        _ => hello.is_server = !hello.is_server,
    }
}

/// Makes a cursor that its issuer did not make.
fn change_cursor(cursor: &mut Vec<u8>, random: &mut Random) {
    if cursor.is_empty() {
        cursor.resize(40, 1);
        return;
    }
    let at = random.below(cursor.len());
    cursor[at] ^= random.next() as u8;
}

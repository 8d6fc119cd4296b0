//! A peer without a session: it says Hello as it should, and then whatever it
//! likes, in frames that are mostly well formed.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tombolo::replication::Outward;
use tombolo_sync::view::LogId;
use tombolo_sync::wire::{
    Assembler, BatchReader, BatchWriter, Channel, Flags, Form, Framer, Message, Packed, Stated,
};
use tombolo_sync::{Event, Now};

use super::Lore;
use super::forged::{base, document, some_place};
use crate::holdings::Place;
use crate::random::Random;
use crate::seat::Response;

/// From one thing that it says to the next, in microseconds.
const PAUSE_US: std::ops::Range<u64> = 1_000..40_000;
/// Cursors and batches that it remembers.
const REMEMBERED_MAX: usize = 64;
/// Of a thousand things, how many are no message at all.
const NOISE: u64 = 4;

const END: Flags = Flags {
    end: true,
    catch_up: false,
    supplement: false,
    fresh_tables: false,
    again: false,
};

/// A peer that is driven by chance.
pub(crate) struct Forger {
    lore: Lore,
    random: Random,
    assembler: Assembler,
    reader: BatchReader,
    framer: Framer,
    writer: BatchWriter,
    /// The generation of the honest side's interests, and of its own.
    theirs: u64,
    own: u64,
    /// The next batch, and what stood in the last ones.
    batch: u64,
    sent: VecDeque<(u64, Vec<Place>)>,
    wanted: VecDeque<(u64, Vec<u32>)>,
    /// Batches that came, with how many documents, to be acknowledged.
    came: VecDeque<(u64, u64, usize)>,
    cursors: VecDeque<Bytes>,
    outward: Vec<Outward>,
}

impl Forger {
    pub(super) fn open(lore: Lore, random: Random, now: Now) -> (Self, Response) {
        let mut forger = Self {
            lore,
            random,
            assembler: Assembler::default(),
            reader: BatchReader::default(),
            framer: Framer::default(),
            writer: BatchWriter::default(),
            theirs: 0,
            own: 0,
            batch: 0,
            sent: VecDeque::new(),
            wanted: VecDeque::new(),
            came: VecDeque::new(),
            cursors: VecDeque::new(),
            outward: Vec::new(),
        };
        let hello = forger.lore.hello.clone();
        forger.say(&Message::Hello(Box::new(hello)));
        forger.state_interests();
        let response = forger.respond(now);
        (forger, response)
    }

    pub(super) fn handle(&mut self, event: Event, now: Now) -> Response {
        match event {
            Event::Frame(frame) => {
                self.hear(&frame);
                Response {
                    outward: std::mem::take(&mut self.outward),
                    works: 0,
                }
            }
            Event::Tick => {
                self.act(now.unix_ms);
                self.respond(now)
            }
            _ => Response::default(),
        }
    }

    fn respond(&mut self, now: Now) -> Response {
        let pause = Duration::from_micros(self.random.within(PAUSE_US));
        let mut outward = std::mem::take(&mut self.outward);
        outward.push(Outward::Wake(now.monotonic + pause));
        Response { outward, works: 0 }
    }

    /// Remembers what can be used against who said it.
    fn hear(&mut self, frame: &Bytes) {
        let Ok(Some((_, message))) = self.assembler.take(frame) else {
            return;
        };
        match Message::decode(&message) {
            Ok(Message::Interests { generation, .. }) => {
                self.theirs = generation;
                self.batch = 0;
                self.writer = BatchWriter::default();
                self.sent.clear();
            }
            Ok(Message::Batch(mut part)) => {
                let (generation, number, is_end) = (part.generation, part.number, part.flags.end);
                if !part.cursor.is_empty() {
                    remember(&mut self.cursors, part.cursor.clone());
                }
                let items = self.reader.read(&mut part);
                let count = items.map_or(0, |(items, _)| items.len());
                if is_end && !part.flags.supplement {
                    remember(&mut self.came, (generation, number, count));
                }
            }
            Ok(Message::Want { batch, places, .. }) => remember(&mut self.wanted, (batch, places)),
            _ => {}
        }
    }

    fn say(&mut self, message: &Message) {
        self.send(Channel::Control, &Packed::plain(message.encode()));
    }

    fn send(&mut self, channel: Channel, message: &Packed) {
        let is_noise = self.random.chance(NOISE);
        let lot = self.random.next();
        let outward = &mut self.outward;
        self.framer.frames(channel, message, |frame| {
            let mut frame = frame.to_vec();
            if is_noise {
                let at = (lot >> 8) as usize % frame.len();
                frame[at] ^= lot as u8;
            }
            outward.push(Outward::Send(channel, frame.into()));
        });
    }

    fn act(&mut self, now_ms: u64) {
        match self.random.below(100) {
            0..35 => self.send_batch(now_ms),
            35..50 => self.tell_batch(),
            50..60 => self.supplement(now_ms),
            60..80 => self.acknowledge(),
            80..84 => self.state_interests(),
            84..88 => self.want(),
            88..93 => self.fetch(),
            93..95 => self.greet(now_ms),
            95..98 => self.replay_list(),
            _ => self.say(&Message::Ping { now_ms }),
        }
    }

    /// Documents that nobody wrote.
    fn send_batch(&mut self, now_ms: u64) {
        let mut places = Vec::new();
        for _ in 0..self.random.within(1..5) {
            let place = some_place(self.lore.documents, &mut self.random);
            if self.put(&place, now_ms) {
                places.push(place);
            }
        }
        let flags = Flags {
            catch_up: self.random.chance(300),
            again: self.random.chance(200),
            ..END
        };
        self.finish(places, flags);
    }

    fn put(&mut self, place: &Place, now_ms: u64) -> bool {
        let forged = document(place, &self.lore, now_ms, &mut self.random);
        let Some(forged) = forged else { return false };
        let base = base(&forged, &mut self.random);
        let put = self
            .writer
            .put(&place.0, place.1.as_bytes(), &forged, &base);
        put.unwrap_or(false)
    }

    /// Digests of documents that it may not even have.
    fn tell_batch(&mut self) {
        let mut places = Vec::new();
        for _ in 0..self.random.within(1..5) {
            let place = some_place(self.lore.documents, &mut self.random);
            let form = *self.random.pick(&[Form::Offer, Form::Leave, Form::Have]);
            let digest = [self.random.next() as u8; 16];
            self.writer
                .tell(&place.0, place.1.as_bytes(), form, &digest);
            places.push(place);
        }
        let catch_up = self.random.chance(300);
        self.finish(places, Flags { catch_up, ..END });
    }

    fn finish(&mut self, places: Vec<Place>, flags: Flags) {
        let number = self.batch;
        self.batch += 1;
        let cursor = [self.random.next() as u8; 30];
        let message = self.writer.finish((self.theirs, number), flags, &cursor);
        self.send(Channel::Documents, &message);
        remember(&mut self.sent, (number, places));
    }

    /// What was asked for, or another document in its place.
    fn supplement(&mut self, now_ms: u64) {
        let Some((number, wanted)) = self.wanted.pop_front() else {
            return;
        };
        let sent = self.sent.iter().find(|(sent, _)| *sent == number);
        let Some((_, places)) = sent.cloned() else {
            return;
        };
        for at in wanted {
            let mut place = places.get(at as usize).cloned();
            if self.random.chance(100) {
                place = Some(some_place(self.lore.documents, &mut self.random));
            }
            if let Some(place) = place {
                self.put(&place, now_ms);
            }
        }
        let flags = Flags {
            supplement: true,
            ..END
        };
        let message = self.writer.finish((self.theirs, number), flags, &[]);
        self.send(Channel::Documents, &message);
    }

    fn acknowledge(&mut self) {
        let next = self.came.pop_front();
        if let Some((generation, batch, _)) = next.filter(|_| self.random.chance(950)) {
            self.say(&Message::Ack {
                generation,
                batch,
                refused: Vec::new(),
            });
        }
    }

    /// Everything, and from wherever it likes.
    fn state_interests(&mut self) {
        self.own += self.random.within(1..3);
        self.came.clear();
        let mut cursor = Bytes::new();
        if !self.cursors.is_empty() && self.random.chance(700) {
            let at = self.random.below(self.cursors.len());
            let mut bytes = self.cursors[at].to_vec();
            if self.random.chance(300) {
                let at = self.random.below(bytes.len());
                bytes[at] ^= 1;
            }
            cursor = bytes.into();
        }
        let collections = ["cars", "tasks", "secrets"];
        let stated = collections.map(|collection| Stated {
            statement: format!("SELECT * FROM {collection}"),
            arguments: tombolo::Object::new(),
        });
        let message = Message::Interests {
            generation: self.own,
            holds_documents: self.random.chance(500),
            may_continue: self.random.chance(700),
            cursor,
            stated: stated.to_vec(),
        };
        self.say(&message);
    }

    fn want(&mut self) {
        let Some(&(generation, batch, count)) = self.came.front() else {
            return;
        };
        let above = u32::from(self.random.chance(50));
        let message = Message::Want {
            generation,
            batch,
            places: (0..count as u32 + above).collect(),
        };
        self.say(&message);
    }

    fn fetch(&mut self) {
        let documents = self.lore.documents;
        let count = self.random.within(1..6);
        let places = (0..count).map(|_| some_place(documents, &mut self.random));
        let message = Message::Fetch {
            documents: places.collect(),
            generation: self.own,
        };
        self.say(&message);
    }

    /// Hello once more: the same, with another log, or as somebody else.
    fn greet(&mut self, now_ms: u64) {
        let mut hello = self.lore.hello.clone();
        hello.now_ms = now_ms;
        match self.random.below(8) {
            0..4 => {}
            4 => hello.log = LogId([self.random.next() as u8; 16]),
            5 => hello.actor.epoch = self.random.next() as u32,
            6 => hello.is_server = true,
            _ => hello.actor = *self.random.pick(&self.lore.actors),
        }
        self.say(&Message::Hello(Box::new(hello)));
    }

    /// A list that was signed once, or, seldom, one that never was.
    fn replay_list(&mut self) {
        let list = match self.lore.lists.is_empty() || self.random.chance(100) {
            true => Bytes::from_static(b"no list"),
            false => self.random.pick(&self.lore.lists).clone(),
        };
        self.say(&Message::Revocations { list });
    }
}

fn remember<T>(queue: &mut VecDeque<T>, one: T) {
    if queue.len() >= REMEMBERED_MAX {
        queue.pop_front();
    }
    queue.push_back(one);
}

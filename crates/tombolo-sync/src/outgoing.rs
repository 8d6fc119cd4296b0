//! The half of a session that sends: what the peer wants, from where on, what
//! is under way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tombolo_document::DocumentId;

use crate::event::{Action, CloseReason, Notice, WhichView};
use crate::interest::Interests;
use crate::limits::{AGAIN_MAX, WANTS_MAX, WINDOW_BATCHES, WINDOW_BYTES};
use crate::reading::{Begin, Found, Job, Place, Reached, Read, Reading, Sent, Terms};
use crate::session::Desk;
use crate::view::Position;
use crate::wire::{BatchWriter, Channel, Message, Scope, Verdict, WireError};

/// Commits without anything for the peer after which it is told how far this
/// side is, so that its cursor does not fall behind for ever.
const QUIET_COMMITS_MAX: u64 = 4_096;

/// The sending half.
#[derive(Default)]
pub(crate) struct Outgoing {
    /// Grows with everything that makes readings under way worthless.
    epoch: u64,
    serving: Option<Serving>,
    reading: Option<Errand>,
    /// Views that are kept, with how many need them.
    views: BTreeMap<u64, u32>,
    next_view: u64,
    /// The newest commit that the peer has, as far as it said.
    acknowledged: u64,
    /// The newest commit here.
    newest: u64,
    /// What the peer is behind with, while it wants nothing yet or anew.
    owed: Owed,
    /// The commit up to which what is here will be held against all that the
    /// peer tells from its beginning.
    compared: u64,
}

/// Documents that a peer is behind with. They outlast the generations of its
/// interests, since the batches that told of them do not come again.
#[derive(Default)]
struct Owed {
    places: Vec<Place>,
    /// Too many to be named: all, from the batch with this number on.
    all_from: Option<u64>,
}

/// What is being sent to a peer that stated interests.
struct Serving {
    terms: Arc<Terms>,
    verdicts: Vec<Verdict>,
    /// Absent while a reading has it.
    writer: Option<Box<BatchWriter>>,
    stage: Stage,
    next_batch: u64,
    flights: VecDeque<Flight>,
    wants: VecDeque<(u64, Vec<u32>)>,
    again: VecDeque<Place>,
    offer: bool,
    /// Whether to go back to the beginning when nothing is being read.
    restart: bool,
    /// The commit up to which the peer was told of everything and has answered.
    /// That it acknowledged more before is no answer: it keeps its cursor back
    /// until what it had to say to that was taken here.
    known: u64,
    /// The commit that the last batch with a cursor told of.
    told: u64,
    /// Up to this commit the tail tells only of what the catch-up passed over.
    caught_up: u64,
}

#[derive(Clone)]
enum Stage {
    Begin {
        cursor: Vec<u8>,
        may_continue: bool,
    },
    CatchUp {
        after: Option<(String, Vec<u8>)>,
        base: Option<Position>,
        view: Option<u64>,
    },
    Tail {
        after: u64,
        skip: usize,
        view: Option<u64>,
    },
    /// Waiting for a new log id.
    Copied,
}

const BEGINNING: Stage = Stage::CatchUp {
    after: None,
    base: None,
    view: None,
};

/// A batch without an answer.
struct Flight {
    number: u64,
    bytes: usize,
    view: u64,
    places: Vec<(Arc<str>, DocumentId)>,
    /// The commit that the peer has once it answers.
    commit: Option<u64>,
    again: bool,
    wants: u32,
}

/// What the reading under way is for.
enum Errand {
    Begin,
    Batch {
        number: u64,
        view: u64,
        /// What is sent again with it.
        again: Vec<Place>,
    },
    Supplement {
        number: u64,
        /// Places in the batch.
        wanted: Vec<u32>,
    },
}

impl Outgoing {
    /// The newest commit that the peer has.
    pub(crate) const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The commit up to which the peer was told of everything, or is about to be:
    /// what it sends may be older than its answer to that.
    pub(crate) fn told(&self) -> u64 {
        match (&self.serving, &self.reading) {
            (
                Some(Serving {
                    stage: Stage::Tail { after, .. },
                    ..
                }),
                None,
            ) => *after,
            (Some(_), _) => self.newest,
            (None, _) => self.acknowledged,
        }
    }

    /// The peer is asked to tell all from its beginning.
    pub(crate) fn compares_from_here(&mut self) {
        self.compared = self.newest;
    }

    pub(crate) fn remember_acknowledged(&mut self, commit: u64) {
        self.acknowledged = self.acknowledged.max(commit);
    }

    /// Whether everything that was to be sent again has been answered.
    pub(crate) fn has_answered(&self) -> bool {
        let is_reading =
            matches!(&self.reading, Some(Errand::Batch { again, .. }) if !again.is_empty());
        let is_sending = self.serving.as_ref().is_some_and(|serving| {
            !serving.again.is_empty() || serving.flights.iter().any(|flight| flight.again)
        });
        let owes = !self.owed.places.is_empty() || self.owed.all_from.is_some();
        !(is_reading || is_sending || owes)
    }

    /// Begins a generation of the peer's interests.
    pub(crate) fn serve(
        &mut self,
        (terms, verdicts): (Terms, Vec<Verdict>),
        cursor: Vec<u8>,
        (may_continue, offer): (bool, bool),
        desk: &mut Desk<'_>,
    ) {
        self.stop(desk);
        let owed = std::mem::take(&mut self.owed.places);
        let may_continue = may_continue && self.owed.all_from.is_none();
        self.serving = Some(Serving {
            terms: Arc::new(terms),
            verdicts,
            writer: None,
            stage: Stage::Begin {
                cursor,
                may_continue,
            },
            next_batch: 0,
            flights: VecDeque::new(),
            wants: VecDeque::new(),
            again: VecDeque::new(),
            offer,
            restart: false,
            known: 0,
            told: 0,
            caught_up: 0,
        });
        self.send_again(owed, desk);
        self.advance(desk);
    }

    /// Sends nothing more until the peer states its interests anew.
    pub(crate) fn stop(&mut self, desk: &mut Desk<'_>) {
        self.epoch += 1;
        let mut owed = match self.reading.take() {
            Some(Errand::Batch { again, .. }) => again,
            _ => Vec::new(),
        };
        if let Some(serving) = self.serving.take() {
            let flights = serving.flights.into_iter().filter(|flight| flight.again);
            let places = flights.flat_map(|flight| flight.places);
            owed.extend(places.map(|(name, id)| (name.to_string(), id)));
            owed.extend(serving.again);
        }
        self.owe(owed);
        // Batches are numbered anew in each generation.
        self.owed.all_from = self.owed.all_from.map(|_| 0);
        for view in std::mem::take(&mut self.views).into_keys() {
            desk.act(Action::Release(view));
        }
    }

    /// The terms of the peer's interests, to be made anew under other
    /// parameters or interests of this side.
    pub(crate) fn terms(&self) -> Option<Arc<Terms>> {
        Some(Arc::clone(&self.serving.as_ref()?.terms))
    }

    /// Takes over terms that change nothing for the peer.
    pub(crate) fn adopt(&mut self, terms: Terms) {
        if let Some(serving) = &mut self.serving {
            serving.terms = Arc::new(terms);
        }
    }

    /// Begins at the beginning, within the same generation.
    pub(crate) fn begin_again(&mut self, terms: Option<Terms>, desk: &mut Desk<'_>) {
        let Some(serving) = &mut self.serving else {
            return;
        };
        if let Some(terms) = terms {
            serving.terms = Arc::new(terms);
        }
        serving.restart = true;
        self.advance(desk);
    }

    /// Goes back to the beginning if that was asked for. Nothing is being read.
    fn restart(&mut self, desk: &mut Desk<'_>) {
        let Some(serving) = &mut self.serving else {
            return;
        };
        if !std::mem::take(&mut serving.restart)
            || matches!(serving.stage, Stage::Begin { .. } | Stage::Copied)
        {
            return;
        }
        serving.offer = true;
        let old = std::mem::replace(&mut serving.stage, BEGINNING);
        self.let_go(stage_view(&old), desk);
    }

    pub(crate) fn committed(&mut self, commit: u64, desk: &mut Desk<'_>) {
        self.newest = self.newest.max(commit);
        self.advance(desk);
    }

    /// Keeps what is to be sent again for the next interests of the peer.
    fn owe(&mut self, places: Vec<Place>) {
        self.owed.places.extend(places);
        if self.owed.places.len() > AGAIN_MAX {
            self.owed.places.clear();
            self.owed.all_from = Some(0);
        }
    }

    /// Sends documents as if they had changed now, because the peer is behind.
    pub(crate) fn send_again(&mut self, mut places: Vec<Place>, desk: &mut Desk<'_>) {
        let Some(serving) = &mut self.serving else {
            return self.owe(places);
        };
        places.retain(|place| serving.terms.theirs.wants(&place.0));
        self.line_up(places, desk);
    }

    /// Sends documents that the peer had refused and asks for. Of those that it
    /// does not want any more it is told what is here, since it never held that
    /// against what it has itself.
    pub(crate) fn fetched(&mut self, mut places: Vec<Place>, desk: &mut Desk<'_>) {
        let Some(serving) = &mut self.serving else {
            return;
        };
        let terms = &serving.terms;
        places.retain(|(name, _)| terms.theirs.wants(name) || terms.ours.wants(name));
        self.line_up(places, desk);
    }

    fn line_up(&mut self, places: Vec<Place>, desk: &mut Desk<'_>) {
        let Some(serving) = &mut self.serving else {
            return;
        };
        // A batch names a document once.
        let waiting: BTreeSet<&Place> = serving.again.iter().collect();
        let is_new = |place: &Place| !waiting.contains(place);
        let places: BTreeSet<Place> = places.into_iter().filter(is_new).collect();
        if serving.again.len() + places.len() > AGAIN_MAX {
            serving.again.clear();
            self.owed.all_from = Some(serving.next_batch);
            return self.begin_again(None, desk);
        }
        serving.again.extend(places);
        self.advance(desk);
    }

    pub(crate) fn want(
        &mut self,
        (generation, number): (u64, u64),
        places: Vec<u32>,
        desk: &mut Desk<'_>,
    ) -> Result<(), WireError> {
        let Some(serving) = self.serving_of(generation) else {
            return Ok(());
        };
        let flights = &mut serving.flights;
        let flight = flights.iter_mut().find(|flight| flight.number == number);
        let flight = flight.ok_or(WireError::Protocol("Want names no batch under way"))?;
        flight.wants += 1;
        if flight.wants > WANTS_MAX {
            return Err(WireError::Protocol("Want asks too often for one batch"));
        }
        if !places.is_sorted_by(|one, next| one < next) {
            return Err(WireError::Protocol(
                "Want names an item twice or out of order",
            ));
        }
        let known = |place: &u32| (*place as usize) < flight.places.len();
        if !places.iter().all(known) {
            return Err(WireError::Protocol("Want names an item that was not sent"));
        }
        serving.wants.push_back((number, places));
        self.advance(desk);
        Ok(())
    }

    pub(crate) fn acked(
        &mut self,
        (generation, number): (u64, u64),
        desk: &mut Desk<'_>,
    ) -> Result<(), WireError> {
        let Some(serving) = self.serving_of(generation) else {
            return Ok(());
        };
        let is_next = serving
            .flights
            .front()
            .is_some_and(|next| next.number == number);
        let flight = serving.flights.pop_front().filter(|_| is_next);
        let flight = flight.ok_or(WireError::Protocol("Ack names another batch than the next"))?;
        if let Some(commit) = flight.commit {
            serving.known = serving.known.max(commit);
            self.acknowledged = self.acknowledged.max(commit);
            // A commit is reached behind the whole catch-up.
            if self.owed.all_from.is_some_and(|from| number >= from) {
                self.owed.all_from = None;
            }
        }
        self.let_go(Some(flight.view), desk);
        self.advance(desk);
        Ok(())
    }

    fn serving_of(&mut self, generation: u64) -> Option<&mut Serving> {
        let serving = self.serving.as_mut()?;
        (serving.terms.generation == generation).then_some(serving)
    }

    /// Asks for the next reading, if there is something to read and room for
    /// what it brings.
    pub(crate) fn advance(&mut self, desk: &mut Desk<'_>) {
        if self.reading.is_some() {
            return;
        }
        self.restart(desk);
        let Some(serving) = &mut self.serving else {
            return;
        };
        if let Some((job, errand, view)) = serving.next_supplement() {
            return self.read(job, errand, view, desk);
        }
        if let Stage::Begin {
            cursor,
            may_continue,
        } = &serving.stage
        {
            let job = Job::Begin {
                cursor: cursor.clone(),
                may_continue: *may_continue,
            };
            return self.read(job, Errand::Begin, WhichView::Newest, desk);
        }
        let next = self.next_job();
        let (Some(serving), Some((job, kept, again))) = (&mut self.serving, next) else {
            return;
        };
        let number = serving.next_batch;
        serving.next_batch += 1;
        let (view, which) = match kept {
            Some(view) => (view, WhichView::Kept(view)),
            None => {
                self.next_view += 1;
                (self.next_view, WhichView::Keep(self.next_view))
            }
        };
        self.hold(view);
        let errand = Errand::Batch {
            number,
            view,
            again,
        };
        self.read(job, errand, which, desk);
    }

    /// What to read for the next batch, over which kept view, and what is sent
    /// again with it; none without room for what it brings.
    fn next_job(&mut self) -> Option<(Job, Option<u64>, Vec<Place>)> {
        let serving = self.serving.as_mut()?;
        let under_way: usize = serving.flights.iter().map(|flight| flight.bytes).sum();
        if serving.flights.len() >= WINDOW_BATCHES || under_way >= WINDOW_BYTES {
            return None;
        }
        let (job, kept) = match &serving.stage {
            Stage::Begin { .. } | Stage::Copied => return None,
            _ if serving.may_send_again() => {
                let again: Vec<Place> = serving.again.drain(..).collect();
                let places = again.clone();
                return Some((Job::Again { places }, stage_view(&serving.stage), again));
            }
            Stage::CatchUp { after, base, view } => {
                let job = Job::CatchUp {
                    after: after.clone(),
                    base: *base,
                    known: serving.known.max(self.compared),
                    offer: serving.offer,
                };
                (job, *view)
            }
            Stage::Tail { after, skip, view }
                if *after < self.newest || *skip > 0 || !serving.again.is_empty() =>
            {
                let job = Job::Tail {
                    after: *after,
                    skip: *skip,
                    caught_up: serving.caught_up,
                };
                (job, *view)
            }
            Stage::Tail { .. } => return None,
        };
        Some((job, kept, Vec::new()))
    }

    fn read(&mut self, job: Job, errand: Errand, view: WhichView, desk: &mut Desk<'_>) {
        let Some(serving) = &mut self.serving else {
            return;
        };
        let number = match errand {
            Errand::Begin => 0,
            Errand::Batch { number, .. } | Errand::Supplement { number, .. } => number,
        };
        let reading = Reading {
            epoch: self.epoch,
            number,
            terms: Arc::clone(&serving.terms),
            now_ms: desk.now.unix_ms,
            writer: serving.writer.take().unwrap_or_default(),
            job,
        };
        self.reading = Some(errand);
        desk.act(Action::Read(reading, view));
    }

    /// Takes what a reading found.
    pub(crate) fn have_read(&mut self, read: Read, desk: &mut Desk<'_>) -> Result<(), CloseReason> {
        if read.epoch != self.epoch {
            return Ok(());
        }
        let (Some(serving), Some(errand)) = (&mut self.serving, self.reading.take()) else {
            return Ok(());
        };
        serving.writer = Some(read.writer);
        let found = read
            .result
            .map_err(|error| CloseReason::Store(error.into()))?;
        match (errand, found) {
            (_, Found::Begin(begin)) => self.begin(begin, desk),
            (
                Errand::Batch {
                    number,
                    view,
                    mut again,
                },
                Found::Batch(sent),
            ) => {
                for place in again.drain(again.len().saturating_sub(sent.left)..).rev() {
                    serving.again.push_front(place);
                }
                self.fly((number, view), sent, desk);
            }
            (Errand::Supplement { number, mut wanted }, Found::Batch(sent)) => {
                wanted.drain(..wanted.len().saturating_sub(sent.left));
                if !wanted.is_empty() {
                    serving.wants.push_front((number, wanted));
                }
                send(sent, desk);
            }
            (Errand::Begin, Found::Batch(_)) => {}
        }
        self.advance(desk);
        Ok(())
    }

    fn begin(&mut self, begin: Begin, desk: &mut Desk<'_>) {
        let Some(serving) = &mut self.serving else {
            return;
        };
        let continued = !matches!(begin, Begin::AtTheBeginning { .. } | Begin::Copied);
        serving.stage = match begin {
            Begin::Copied => {
                desk.act(Action::Notice(Notice::Copied));
                desk.act(Action::RenewIdentity);
                serving.stage = Stage::Copied;
                return;
            }
            Begin::AtTheBeginning { known } => {
                serving.known = known;
                BEGINNING
            }
            Begin::CatchUp { after, base } => Stage::CatchUp {
                after: Some(after),
                base: Some(base),
                view: None,
            },
            Begin::Tail { after } => {
                serving.known = after;
                Stage::Tail {
                    after,
                    skip: 0,
                    view: None,
                }
            }
        };
        if matches!(serving.stage, Stage::CatchUp { .. }) && !serving.terms.theirs.is_empty() {
            desk.act(Action::Notice(Notice::CatchUp { sending: true }));
        }
        let scope = Scope {
            continued,
            verdicts: serving.verdicts.clone(),
        };
        let generation = serving.terms.generation;
        desk.say(&Message::Scope { generation, scope });
    }

    fn fly(&mut self, (number, view): (u64, u64), mut sent: Sent, desk: &mut Desk<'_>) {
        let Some(serving) = &mut self.serving else {
            return;
        };
        if sent.withheld > 0 {
            desk.act(Action::Notice(Notice::TooLarge {
                documents: sent.withheld,
            }));
        }
        let old_view = stage_view(&serving.stage);
        let again = sent.reached == Reached::Nowhere;
        let commit = serving.reach(&sent.reached, view);
        let new_view = stage_view(&serving.stage);
        // Held before anything is let go of, for it may be the same.
        if let Some(kept) = new_view.filter(|_| new_view != old_view) {
            *self.views.entry(kept).or_default() += 1;
        }
        let quiet = sent.places.is_empty()
            && (again || commit.is_some_and(|commit| commit < serving.told + QUIET_COMMITS_MAX))
            && serving.told > 0;
        if quiet {
            serving.next_batch = number;
            if let Some(commit) = commit.filter(|_| serving.flights.is_empty()) {
                serving.known = serving.known.max(commit);
                self.acknowledged = self.acknowledged.max(commit);
            }
            self.let_go(Some(view), desk);
        } else {
            serving.told = commit.unwrap_or(serving.told);
            serving.flights.push_back(Flight {
                number,
                bytes: sent.bytes,
                view,
                places: std::mem::take(&mut sent.places),
                commit,
                again,
                wants: 0,
            });
            send(sent, desk);
        }
        if new_view != old_view {
            self.let_go(old_view, desk);
        }
    }

    fn hold(&mut self, view: u64) {
        *self.views.entry(view).or_default() += 1;
    }

    fn let_go(&mut self, view: Option<u64>, desk: &mut Desk<'_>) {
        let Some(view) = view else { return };
        let Some(holders) = self.views.get_mut(&view) else {
            return;
        };
        *holders -= 1;
        if *holders == 0 {
            self.views.remove(&view);
            desk.act(Action::Release(view));
        }
    }
}

impl Serving {
    /// Whether what waits to be sent again may go now. It goes with the state
    /// that the peer is brought to and never ahead of it, for it may be a part of
    /// a transaction: a batch of the tail leaves its view for it, and so does one
    /// of a catch-up that is not the last.
    fn may_send_again(&self) -> bool {
        let is_level = match &self.stage {
            Stage::Tail { skip, view, .. } => *skip == 0 && view.is_some(),
            Stage::CatchUp { view, .. } => view.is_some(),
            Stage::Begin { .. } | Stage::Copied => false,
        };
        is_level && !self.again.is_empty()
    }

    /// The next items that the peer wants whole, of a batch under way.
    fn next_supplement(&mut self) -> Option<(Job, Errand, WhichView)> {
        while let Some((number, wanted)) = self.wants.pop_front() {
            let mut flights = self.flights.iter();
            let Some(flight) = flights.find(|flight| flight.number == number) else {
                continue;
            };
            let places = wanted.iter();
            let places = places.map(|place| {
                let (name, id) = &flight.places[*place as usize];
                (name.to_string(), id.clone())
            });
            let job = Job::Pick {
                places: places.collect(),
            };
            let view = WhichView::Kept(flight.view);
            return Some((job, Errand::Supplement { number, wanted }, view));
        }
        None
    }

    /// Goes on from where a batch over this view brings the peer; gives the
    /// commit that the peer has with it.
    fn reach(&mut self, reached: &Reached, view: u64) -> Option<u64> {
        match reached {
            Reached::Nowhere => {
                if let Stage::Tail { view, .. } = &mut self.stage
                    && self.again.is_empty()
                {
                    *view = None;
                }
                None
            }
            Reached::Document { after, base } => {
                self.stage = Stage::CatchUp {
                    after: Some(after.clone()),
                    base: Some(*base),
                    view: Some(view),
                };
                None
            }
            Reached::Caught { up, commit } => {
                self.caught_up = *up;
                self.stage = Stage::Tail {
                    after: *commit,
                    skip: 0,
                    view: None,
                };
                Some(*commit)
            }
            Reached::Commit { commit, skip } => {
                self.stage = Stage::Tail {
                    after: *commit,
                    skip: *skip,
                    view: (*skip > 0 || !self.again.is_empty()).then_some(view),
                };
                (*skip == 0).then_some(*commit)
            }
        }
    }
}

fn stage_view(stage: &Stage) -> Option<u64> {
    match stage {
        Stage::CatchUp { view, .. } | Stage::Tail { view, .. } => *view,
        Stage::Begin { .. } | Stage::Copied => None,
    }
}

fn send(sent: Sent, desk: &mut Desk<'_>) {
    for message in &sent.messages {
        desk.send(Channel::Documents, message);
    }
}

/// What a peer wants, less what it may not read, with a verdict for each
/// statement.
pub(crate) fn admit(
    stated: Vec<crate::wire::Stated>,
    filter: &tombolo_identity::Filter,
) -> (Interests, Vec<Verdict>) {
    let (mut interests, checked) = Interests::new(stated);
    let readable =
        |collection: &str| filter.reads_collection(collection) != tombolo_identity::Reach::Nothing;
    let verdicts = checked
        .into_iter()
        .zip(interests.targets())
        .map(|(checked, target)| match (checked, target) {
            (Err(error), _) => Verdict::NotUnderstood(error.to_string()),
            (Ok(()), Some(collection)) if !readable(collection) => Verdict::NotPermitted(format!(
                "your certificate does not let you read the collection {collection}"
            )),
            (Ok(()), _) => Verdict::Taken,
        })
        .collect();
    interests.retain(readable);
    (interests, verdicts)
}

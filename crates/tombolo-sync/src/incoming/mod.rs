//! The half of a session that receives: what this side wants, batches on their
//! way into the store, what was refused.

mod batch;
mod refused;

use std::collections::VecDeque;
use std::sync::Arc;

use tombolo_identity::{Filter, PeerPublicKey};

use self::batch::{Batch, Stage};
use self::refused::RefusedDocuments;
use crate::event::{Action, Applied, Apply, CloseReason, Notice, Outcome, Settlement};
use crate::interest::{Evaluation, Interests};
use crate::limits::{APPLY_BYTES_MAX, BATCH_BYTES_MAX, HELD_BYTES_MAX, ITEM_BYTES, WINDOW_BATCHES};
use crate::looking::{Looked, Looking};
use crate::outgoing::Outgoing;
use crate::recalling::{Memory, Recalled, Recalling};
use crate::record::{CursorRecord, cursor_key};
use crate::session::Desk;
use crate::view::LogId;
use crate::wire::{BatchPart, BatchReader, Message, Refusal, Scope, Verdict, WireError};

/// The receiving half.
pub(crate) struct Incoming {
    peer: PeerPublicKey,
    filter: Arc<Filter>,
    ours: Arc<Interests>,
    generation: u64,
    tables: BatchReader,
    /// The two logs, as of the statement of interests.
    logs: Option<Logs>,
    batches: VecDeque<Batch>,
    newest_batch: Option<u64>,
    held_bytes: usize,
    applying: Option<Applying>,
    /// When to try again, if the store was busy.
    pub(crate) busy_until: Option<std::time::Duration>,
    refused: RefusedDocuments,
    /// Whether no cursor is to be continued at the next statement of interests.
    from_the_beginning: bool,
    /// A cursor that may be stored once the peer has what it was behind with.
    withheld: Option<CursorRecord>,
    received_ms: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Logs {
    pub(crate) ours: LogId,
    pub(crate) theirs: LogId,
}

/// The batches at the front that are being applied.
struct Applying {
    generation: u64,
    /// How many documents are of each batch.
    counts: Vec<usize>,
    apply: Apply,
    /// The cursor that they reach, and whether it goes into the same commit.
    cursor: Option<CursorRecord>,
    with_cursor: bool,
}

impl Incoming {
    pub(crate) fn new(peer: PeerPublicKey, filter: Arc<Filter>, ours: Arc<Interests>) -> Self {
        Self {
            peer,
            filter,
            ours,
            generation: 0,
            tables: BatchReader::default(),
            logs: None,
            batches: VecDeque::new(),
            newest_batch: None,
            held_bytes: 0,
            applying: None,
            busy_until: None,
            refused: RefusedDocuments::default(),
            from_the_beginning: false,
            withheld: None,
            received_ms: 0,
        }
    }

    pub(crate) fn interests(&self) -> &Arc<Interests> {
        &self.ours
    }

    pub(crate) const fn received_ms(&self) -> u64 {
        self.received_ms
    }

    /// Wants something else, before anything was stated.
    pub(crate) fn replace_interests(&mut self, ours: Arc<Interests>) {
        self.ours = ours;
    }

    /// Begins anew: with other interests, or between other logs.
    pub(crate) fn restart(&mut self, ours: Option<Arc<Interests>>, desk: &mut Desk<'_>) {
        if let Some(ours) = ours {
            self.ours = ours;
        }
        self.generation += 1;
        self.logs = None;
        self.tables = BatchReader::default();
        self.batches.clear();
        self.newest_batch = None;
        self.held_bytes = 0;
        self.withheld = None;
        desk.act(Action::Recall(Recalling {
            peer: self.peer.clone(),
            ours: Arc::clone(&self.ours),
            generation: self.generation,
        }));
    }

    /// States the interests, now that it is known what came before.
    pub(crate) fn recalled(
        &mut self,
        recalled: Recalled,
        logs: Logs,
        outgoing: &mut Outgoing,
        desk: &mut Desk<'_>,
    ) -> Result<(), CloseReason> {
        if recalled.generation != self.generation {
            return Ok(());
        }
        let memory: Memory = recalled.result?;
        outgoing.remember_acknowledged(memory.acknowledged);
        self.refused = RefusedDocuments::recalled(memory.refused);
        self.logs = Some(logs);
        let held = memory.cursor.filter(|record| record.theirs == logs.theirs);
        if let Some(record) = &held {
            self.received_ms = self.received_ms.max(record.received_ms);
        }
        let may_continue = !std::mem::take(&mut self.from_the_beginning)
            && held.as_ref().is_some_and(|held| held.ours == logs.ours);
        if !may_continue {
            outgoing.compares_from_here();
        }
        desk.say(&Message::Interests {
            generation: self.generation,
            holds_documents: memory.holds_documents,
            may_continue,
            cursor: held.map(|held| held.cursor.into()).unwrap_or_default(),
            stated: self.ours.stated().to_vec(),
        });
        Ok(())
    }

    /// What the peer said of the interests.
    pub(crate) fn scoped(&mut self, generation: u64, scope: Scope, desk: &mut Desk<'_>) {
        if generation != self.generation {
            return;
        }
        if !scope.continued && !self.ours.is_empty() {
            desk.act(Action::Notice(Notice::CatchUp { sending: false }));
        }
        for (stated, verdict) in self.ours.stated().iter().zip(scope.verdicts) {
            if let Verdict::NotPermitted(reason) | Verdict::NotUnderstood(reason) = verdict {
                let statement = stated.statement.clone();
                desk.act(Action::Notice(Notice::StatementCut { statement, reason }));
            }
        }
        self.fetch(desk);
    }

    /// Asks again for what was refused and may be taken now.
    pub(crate) fn fetch(&mut self, desk: &mut Desk<'_>) {
        if self.logs.is_none() {
            return;
        }
        let documents = self.refused.ask(&self.filter, desk.now.unix_ms);
        if !documents.is_empty() {
            let generation = self.generation;
            desk.say(&Message::Fetch {
                generation,
                documents,
            });
        }
    }

    /// When a refused document may be asked for next, in unix milliseconds.
    pub(crate) fn next_fetch_ms(&self) -> Option<u64> {
        // Before the interests are stated nothing can be asked for.
        self.logs.and_then(|_| self.refused.next_ms())
    }

    /// Takes one message of a batch.
    pub(crate) fn take(
        &mut self,
        mut part: BatchPart,
        bytes: usize,
        desk: &mut Desk<'_>,
    ) -> Result<(), WireError> {
        if part.generation != self.generation || self.logs.is_none() {
            // An earlier generation is dropped; a later one was never stated.
            return if part.generation > self.generation {
                Err(WireError::Protocol("a batch of interests never stated"))
            } else {
                Ok(())
            };
        }
        let (items, actors) = self.tables.read(&mut part)?;
        let held = bytes + items.len() * ITEM_BYTES;
        if part.flags.supplement && self.held_bytes + held > BATCH_BYTES_MAX {
            // Small deltas of large documents that are not here: from the
            // beginning on they come a few at a time.
            self.from_the_beginning = true;
            self.restart(None, desk);
            return Ok(());
        }
        self.held_bytes += held;
        if self.held_bytes > HELD_BYTES_MAX {
            return Err(WireError::TooLarge {
                what: "everything that was sent ahead",
                max: HELD_BYTES_MAX,
            });
        }
        let batch = if part.flags.supplement {
            self.supplemented(part.number)?
        } else {
            self.arriving(&part)?
        };
        batch.bytes += held;
        if batch.bytes > BATCH_BYTES_MAX {
            return Err(WireError::TooLarge {
                what: "a batch",
                max: BATCH_BYTES_MAX,
            });
        }
        let (ours, filter) = (Arc::clone(&self.ours), Arc::clone(&self.filter));
        let Some(batch) = self.batch_mut(part.number) else {
            return Ok(());
        };
        if part.flags.supplement {
            batch.fill(items, &actors)?;
        } else {
            batch.extend(items, &actors, (&ours, &filter));
        }
        if part.flags.end {
            if !part.flags.supplement {
                batch.cursor = part.cursor;
            }
            batch.stage = if part.flags.supplement {
                Stage::Ready
            } else {
                Stage::Whole
            };
            self.received_ms = desk.now.unix_ms;
        }
        Ok(())
    }

    fn batch_mut(&mut self, number: u64) -> Option<&mut Batch> {
        let at = self
            .batches
            .binary_search_by_key(&number, |batch| batch.number);
        at.ok().map(|at| &mut self.batches[at])
    }

    fn supplemented(&mut self, number: u64) -> Result<&mut Batch, WireError> {
        self.batch_mut(number)
            .filter(|batch| batch.stage == Stage::Supplementing)
            .ok_or(WireError::Protocol("a supplement that nobody wanted"))
    }

    fn arriving(&mut self, part: &BatchPart) -> Result<&mut Batch, WireError> {
        let number = part.number;
        let goes_on = self
            .batches
            .back()
            .is_some_and(|last| last.number == number && last.stage == Stage::Arriving);
        if !goes_on {
            if self.newest_batch.is_some_and(|newest| newest >= number) {
                return Err(WireError::Protocol("batches out of order"));
            }
            if self.batches.len() >= WINDOW_BATCHES {
                return Err(WireError::Protocol("more batches than the window allows"));
            }
            self.newest_batch = Some(number);
            self.batches.push_back(Batch::new(number, part.flags));
        }
        let last = self.batches.back_mut();
        last.ok_or(WireError::Protocol("batches out of order"))
    }

    /// Moves every batch as far as it can go.
    pub(crate) fn advance(
        &mut self,
        evaluation: &Evaluation,
        outgoing: &Outgoing,
        desk: &mut Desk<'_>,
    ) {
        for at in 0..self.batches.len() {
            let batch = &mut self.batches[at];
            // What a batch of the tail is held against is the state after all
            // batches before it; documents of a catch-up come once each.
            let in_turn = batch.flags.catch_up || (at == 0 && self.applying.is_none());
            if batch.stage != Stage::Whole || !in_turn {
                continue;
            }
            let told = batch.told();
            if told.is_empty() {
                batch.stage = Stage::Ready;
                continue;
            }
            batch.stage = Stage::Looking;
            desk.act(Action::Look(Looking {
                batch: batch.number,
                generation: self.generation,
                told,
                ours: Arc::clone(&self.ours),
                evaluation: evaluation.clone(),
            }));
        }
        if self.busy_until.is_none() {
            self.apply(outgoing, desk);
        }
    }

    fn apply(&mut self, outgoing: &Outgoing, desk: &mut Desk<'_>) {
        let (Some(logs), None) = (self.logs, &self.applying) else {
            return;
        };
        let (mut count, mut bytes) = (0, 0);
        for batch in &self.batches {
            let fits = count == 0 || bytes + batch.bytes <= APPLY_BYTES_MAX;
            if batch.stage != Stage::Ready || !fits {
                break;
            }
            count += 1;
            bytes += batch.bytes;
        }
        if count == 0 {
            return;
        }
        let batches = || self.batches.iter().take(count);
        let cursor = batches().rev().find(|batch| !batch.cursor.is_empty());
        let cursor = cursor.map(|batch| CursorRecord {
            theirs: logs.theirs,
            ours: logs.ours,
            received_ms: self.received_ms,
            cursor: batch.cursor.to_vec(),
        });
        let with_cursor = outgoing.has_answered() && !self.refused.has_forgotten();
        let items = batches().map(|batch| batch.items.len()).sum();
        let mut documents = Vec::with_capacity(items);
        let mut counts = Vec::with_capacity(count);
        for batch in batches() {
            let before = documents.len();
            documents.extend(batch.documents());
            counts.push(documents.len() - before);
        }
        let apply = Apply {
            documents: documents.into(),
            log: logs.theirs,
            acknowledged: outgoing.told(),
            settlement: Settlement {
                peer: self.peer.clone(),
                cursor: cursor.clone().filter(|_| with_cursor),
                refused: self.refused.known(),
                denied: batches()
                    .flat_map(|batch| batch.denied.iter().cloned())
                    .collect(),
            },
        };
        desk.act(Action::Apply(apply.clone()));
        self.applying = Some(Applying {
            generation: self.generation,
            counts,
            apply,
            cursor,
            with_cursor,
        });
    }

    /// Takes what was found of what a batch told.
    pub(crate) fn looked(
        &mut self,
        looked: Looked,
        outgoing: &mut Outgoing,
        desk: &mut Desk<'_>,
    ) -> Result<(), CloseReason> {
        let wanted = looked.result?;
        if looked.generation != self.generation {
            return Ok(());
        }
        let generation = self.generation;
        let Some(batch) = self.batch_mut(looked.batch) else {
            return Ok(());
        };
        if wanted.places.is_empty() {
            batch.stage = Stage::Ready;
        } else {
            batch.stage = Stage::Supplementing;
            batch.expect(&wanted.places);
            desk.say(&Message::Want {
                generation,
                batch: batch.number,
                places: wanted.places,
            });
        }
        let is_again = batch.flags.again;
        let mut differing = wanted.differing;
        // What was refused was never held against what is here, so the answer to
        // a Fetch is.
        differing.retain(|place| !is_again || self.refused.was_fetched(place));
        outgoing.send_again(differing, desk);
        Ok(())
    }

    /// Takes what became of an apply.
    pub(crate) fn applied(
        &mut self,
        applied: Applied,
        outgoing: &mut Outgoing,
        desk: &mut Desk<'_>,
    ) -> Result<(), CloseReason> {
        let Some(applying) = self.applying.take() else {
            return Ok(());
        };
        let is_current = applying.generation == self.generation;
        match applied {
            Applied::Done(outcomes) => self.settle(applying, &outcomes, outgoing, desk),
            Applied::BaseMissing(missing) if is_current => {
                self.want_whole(&applying, &missing, desk);
            }
            Applied::Malformed(_, error) => return Err(WireError::Decode(error).into()),
            Applied::Busy => {
                self.busy_until = Some(desk.now.monotonic + crate::limits::BUSY_PAUSE);
            }
            Applied::Failed(error) => return Err(CloseReason::Store(error)),
            Applied::BaseMissing(_) => {}
        }
        Ok(())
    }

    fn settle(
        &mut self,
        applying: Applying,
        outcomes: &[Outcome],
        outgoing: &mut Outgoing,
        desk: &mut Desk<'_>,
    ) {
        self.note_refused(&applying, outcomes, desk);
        if applying.generation != self.generation {
            return;
        }
        let documents = &applying.apply.documents;
        let mut results = documents.iter().zip(outcomes);
        let mut behind = Vec::new();
        for (batch, count) in self
            .batches
            .drain(..applying.counts.len())
            .zip(&applying.counts)
        {
            self.held_bytes -= batch.bytes;
            let denied = batch.denied.iter();
            let mut refused: Vec<_> = denied
                .map(|(collection, id)| (collection.clone(), id.clone(), Refusal::Permission))
                .collect();
            for (arriving, outcome) in results.by_ref().take(*count) {
                let place = || (arriving.collection.to_string(), arriving.id.clone());
                match outcome {
                    Outcome::Refused(why) => {
                        let (collection, id) = place();
                        refused.push((collection, id, why.reason));
                    }
                    Outcome::Merged { behind: true, .. }
                        if !batch.flags.again || self.refused.was_fetched(&place()) =>
                    {
                        behind.push(place());
                    }
                    Outcome::Merged { .. } => {}
                }
            }
            desk.say(&Message::Ack {
                generation: self.generation,
                batch: batch.number,
                refused,
            });
        }
        let is_behind = !behind.is_empty();
        outgoing.send_again(behind, desk);
        if let Some(cursor) = applying.cursor {
            let stored = applying.with_cursor && !is_behind;
            self.withheld = (!stored && !self.refused.has_forgotten()).then_some(cursor);
        }
    }

    fn note_refused(&mut self, applying: &Applying, outcomes: &[Outcome], desk: &mut Desk<'_>) {
        for notice in self.refused.note(&applying.apply, outcomes) {
            desk.act(Action::Notice(notice));
        }
        if self.refused.has_forgotten() {
            self.withheld = None;
        }
    }

    /// Asks for documents whole, since their deltas extend states that are not
    /// here.
    fn want_whole(&mut self, applying: &Applying, missing: &[usize], desk: &mut Desk<'_>) {
        let generation = self.generation;
        let mut first = 0;
        for batch in self.batches.iter_mut().take(applying.counts.len()) {
            let with_delta: Vec<usize> = (0..batch.items.len())
                .filter(|at| batch.items[*at].content.is_some())
                .collect();
            let mut places = Vec::new();
            for at in missing.iter().filter_map(|at| at.checked_sub(first)) {
                if let Some(&item) = with_delta.get(at) {
                    batch.items[item].content = None;
                    places.push(item as u32);
                }
            }
            first += with_delta.len();
            if !places.is_empty() {
                batch.stage = Stage::Supplementing;
                batch.expect(&places);
                let batch = batch.number;
                desk.say(&Message::Want {
                    generation,
                    batch,
                    places,
                });
            }
        }
    }

    /// Stores a cursor that was withheld, once nothing holds it back.
    pub(crate) fn release_cursor(&mut self, outgoing: &Outgoing, desk: &mut Desk<'_>) {
        if self.applying.is_some() || !outgoing.has_answered() {
            return;
        }
        if let Some(record) = self.withheld.take() {
            let change = (cursor_key(&self.peer), Some(record.encode()));
            desk.act(Action::Remember(vec![change]));
        }
    }
}

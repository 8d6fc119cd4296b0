//! The flusher: it makes written rounds durable, one after another, and only then shows and
//! answers them. Meanwhile the writer runs the round that follows.
//!
//! It never writes a batch, and it never answers out of order: a round that changed nothing
//! waits too, for it may have read what the round before it wrote. After one failure it only
//! refuses.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender},
    },
    time::Duration,
};

use crate::{
    StoreError,
    engine::{Engine, EngineError},
    job::{Commit, Job},
    open_transaction::{CommitDone, OpenTransaction},
    snapshot::View,
    store::{OnCommit, Published, Timekeeper},
    writer::Opened,
};

/// Rounds that may wait for the flusher while it holds another; the writer waits for a place.
pub const ROUNDS_WAITING_MAX: usize = 1;

/// What the writer did with a round.
pub(crate) enum Fate {
    /// Nothing changed: it waits only for what it may have read.
    Unchanged,
    /// It is in the engine, to be flushed, shown and announced.
    Written {
        view: Arc<View>,
        commits: RangeInclusive<u64>,
    },
    /// It was not written, and no later one will be.
    Refused(StoreError),
}

/// Who waits for a round, with what it is told if the round becomes durable.
pub(crate) enum Answer {
    Job(Box<dyn Job>, Result<Option<Commit>, StoreError>),
    Open(Opened, OpenTransaction),
    Commit(CommitDone, Result<Commit, StoreError>),
}

/// Transactions that share a fate.
pub(crate) struct Round {
    pub(crate) fate: Fate,
    pub(crate) answers: Vec<Answer>,
}

/// How a flush ended; told to the writer, which writes no batch before it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    Durable { took: Duration },
    Failed,
}

pub(crate) struct Flusher {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) published: Arc<Published>,
    pub(crate) rounds: Receiver<Round>,
    pub(crate) flushed: SyncSender<Flushed>,
    pub(crate) time: Arc<dyn Timekeeper>,
    pub(crate) on_commit: OnCommit,
    pub(crate) stopped: bool,
}

impl Flusher {
    /// Serves the writer until it ends.
    pub(crate) fn run(mut self) {
        while let Ok(Round { fate, answers }) = self.rounds.recv() {
            let concluded = self.conclude(fate);
            for answer in answers {
                answer.give(&concluded);
            }
        }
    }

    fn conclude(&mut self, fate: Fate) -> Result<(), StoreError> {
        match fate {
            Fate::Written { view, commits } => self.make_durable(view, commits),
            Fate::Unchanged | Fate::Refused(_) if self.stopped => Err(EngineError::Stopped.into()),
            Fate::Unchanged => Ok(()),
            Fate::Refused(error) => {
                self.stopped = true;
                Err(error)
            }
        }
    }

    fn make_durable(
        &mut self,
        view: Arc<View>,
        commits: RangeInclusive<u64>,
    ) -> Result<(), StoreError> {
        let began = self.time.monotonic();
        let flushed = self.engine.flush();
        let took = self.time.monotonic().saturating_sub(began);
        self.stopped |= flushed.is_err();
        let told = match flushed {
            Ok(()) => Flushed::Durable { took },
            Err(_) => Flushed::Failed,
        };
        // There is a place, for the writer takes one before it writes again; or it has ended.
        let _ = self.flushed.try_send(told);
        flushed?;
        self.published.publish(view);
        if !commits.is_empty() {
            (self.on_commit)(commits);
        }
        Ok(())
    }
}

impl Answer {
    /// What was refused for a reason of its own stays refused for that reason. All else of a
    /// round that failed is refused with it, for it may rest on what was lost.
    fn give(self, concluded: &Result<(), StoreError>) {
        let concluded = concluded.clone();
        match self {
            Self::Job(job, Ok(kept)) => job.finish(concluded.map(|()| kept)),
            Self::Job(job, Err(own)) => job.finish(Err(own)),
            Self::Open(opened, owner) => opened(concluded.map(|()| owner)),
            Self::Commit(done, Ok(commit)) => done(concluded.map(|()| commit)),
            Self::Commit(done, Err(own)) => done(Err(own)),
        }
    }
}

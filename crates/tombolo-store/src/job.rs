//! Work that waits for the writer, with the way to answer it.

use tombolo_document::Dot;

use crate::{StoreError, transaction::Transaction};

/// What became of a transaction that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its local number. Numbers grow; that of a transaction that changed nothing is not in the
    /// change log, and may be given out again if the process dies before the next change.
    pub number: u64,
    /// The stamp and actor of everything that it wrote.
    pub dot: Dot,
    /// Whether anything changed. Without change there was no flush.
    pub changed: bool,
}

/// Why a write has no commit.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// The store failed or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work gave an error of its own; it was rolled back.
    #[error("the work of a write gave an error and was rolled back")]
    Work(E),
}

/// Called once with what became of a write.
pub(crate) type Done<T, E> = Box<dyn FnOnce(Result<(Commit, T), WriteError<E>>) + Send>;

/// One write in the queue, whatever its types.
pub(crate) trait Job: Send {
    /// Runs in a transaction and tells whether to keep it. May be called twice.
    fn run(&mut self, transaction: &mut Transaction<'_>) -> Verdict;

    /// Answers. `commit` is absent if the verdict was to undo.
    fn finish(self: Box<Self>, outcome: Result<Option<Commit>, StoreError>);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    Undo,
}

pub(crate) struct TypedJob<W, T, E> {
    pub(crate) work: W,
    pub(crate) result: Option<Result<T, E>>,
    pub(crate) done: Done<T, E>,
}

impl<W, T, E> Job for TypedJob<W, T, E>
where
    W: FnMut(&mut Transaction<'_>) -> Result<T, E> + Send,
    T: Send,
    E: Send,
{
    fn run(&mut self, transaction: &mut Transaction<'_>) -> Verdict {
        let result = (self.work)(transaction);
        let verdict = if result.is_ok() {
            Verdict::Keep
        } else {
            Verdict::Undo
        };
        self.result = Some(result);
        verdict
    }

    fn finish(self: Box<Self>, outcome: Result<Option<Commit>, StoreError>) {
        let Self { work, result, done } = *self;
        // What the work holds is freed by whoever shares it and waits.
        drop(work);
        let answer = match (outcome, result) {
            (Err(error), _) => Err(WriteError::Store(error)),
            (Ok(_), Some(Err(error))) => Err(WriteError::Work(error)),
            (Ok(Some(commit)), Some(Ok(value))) => Ok((commit, value)),
            // A kept transaction has a commit and a result: only a panic leaves neither.
            (Ok(_), _) => Err(WriteError::Store(StoreError::Panicked)),
        };
        done(answer);
    }
}

//! A batch that runs once, however often it is sent: its answer is kept in its commit.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tombolo_store::{AnswerKey, Commit, KeptAnswer, WriteError};

use super::batch::{Batch, BatchError, Work};
use crate::database::Database;
use crate::error::ExecuteError;
use crate::response::Response;

/// What makes a batch run once.
pub struct Once {
    /// What names it.
    pub key: AnswerKey,
    /// Makes the answer that is kept of what the statements gave. It runs on the writer's thread, within the
    /// transaction, and maybe twice.
    pub answer: AnswerOf,
}

/// Makes an answer of what statements gave.
pub type AnswerOf = Box<dyn Fn(&[Response]) -> Vec<u8> + Send>;

/// What became of a batch that runs once.
#[derive(Debug, Clone, PartialEq)]
pub enum Ran {
    /// It ran.
    Now {
        /// What its statements gave.
        responses: Vec<Response>,
        /// The answer that is kept from now on.
        answer: Vec<u8>,
    },
    /// It had run before, and nothing ran again.
    Before {
        /// The answer that was kept then.
        answer: Vec<u8>,
    },
}

impl fmt::Debug for Once {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Once");
        shown.field("key", &self.key).finish_non_exhaustive()
    }
}

impl Database {
    /// As [`Database::write_batch`], unless a batch under the same key was kept within the last
    /// [`tombolo_store::ANSWER_LIFETIME`]: then that one's answer is given. Two that come at once are run one after
    /// the other, so that the second is given the answer of the first.
    ///
    /// # Errors
    /// As for [`Database::write_batch`], and [`ExecuteError::OtherRequest`], [`ExecuteError::AnswerTooLarge`] or
    /// [`ExecuteError::AnswersFull`]; nothing of the batch is kept then.
    pub fn write_once(
        &self,
        batch: Batch,
        once: Once,
        time_left: Option<Duration>,
        done: impl FnOnce(Result<Ran, BatchError>) + Send + 'static,
    ) -> Result<(), BatchError> {
        let work = Work::begin(&self.engine, batch, time_left)?;
        let counting = Arc::clone(&self.engine);
        let run = move |transaction: &mut tombolo_store::Transaction<'_>| {
            let held = transaction.kept_answer(&once.key);
            match held.map_err(BatchError::whole)? {
                Some(KeptAnswer::Same(answer)) => return Ok((Ran::Before { answer }, 0)),
                Some(KeptAnswer::OfOther) => {
                    return Err(BatchError::whole(ExecuteError::OtherRequest));
                }
                None => {}
            }
            let kept = work.run(transaction)?;
            let withheld = kept.withheld;
            let responses = kept.responses(transaction.commit());
            let answer = (once.answer)(&responses);
            let noted = transaction.keep_answer(&once.key, &answer);
            noted.map_err(BatchError::whole)?;
            Ok((Ran::Now { responses, answer }, withheld))
        };
        let finish = move |result: Result<(Commit, (Ran, u64)), WriteError<BatchError>>| {
            let ran = match result {
                Ok((_, (ran, withheld))) => {
                    counting.rights().count(withheld);
                    Ok(ran)
                }
                Err(WriteError::Work(error)) => Err(error),
                Err(WriteError::Store(error)) => Err(BatchError::whole(error)),
            };
            // Whoever waits may close the database next: nothing here may hold it.
            drop(counting);
            done(ran);
        };
        self.store.write(run, finish).map_err(BatchError::whole)
    }
}

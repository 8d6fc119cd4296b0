//! Work on files for one link, one piece after another, beside its session: a
//! disk that takes its time holds up no frame.

use tokio::sync::mpsc;
use tombolo_sync::Event;

/// Pieces of work that may wait; a session asks for far fewer.
const JOBS_MAX: usize = 128;

type Job<W> = Box<dyn FnOnce(&mut W) -> Option<Event> + Send>;

/// A lane in which `W` is worked on. It ends, when it is dropped, after the work
/// that waits.
pub(super) struct Lane<W>(mpsc::Sender<Job<W>>);

/// More work waits than a session asks for.
#[derive(Debug)]
pub(crate) struct LaneFull;

impl<W: Send + 'static> Lane<W> {
    /// Opens a lane on the runtime of the caller.
    pub(super) fn open(work: W, answers: mpsc::Sender<Event>) -> Self {
        let (sender, jobs) = mpsc::channel(JOBS_MAX);
        tokio::spawn(run(work, jobs, answers));
        Self(sender)
    }

    pub(super) fn queue(
        &self,
        job: impl FnOnce(&mut W) -> Option<Event> + Send + 'static,
    ) -> Result<(), LaneFull> {
        self.0.try_send(Box::new(job)).map_err(|_| LaneFull)
    }
}

async fn run<W: Send + 'static>(
    mut work: W,
    mut jobs: mpsc::Receiver<Job<W>>,
    answers: mpsc::Sender<Event>,
) {
    while let Some(job) = jobs.recv().await {
        let done = tokio::task::spawn_blocking(move || {
            let event = job(&mut work);
            (work, event)
        });
        // A panic was told by the runtime, and what was worked on is dropped.
        let Ok((back, event)) = done.await else {
            return;
        };
        work = back;
        if let Some(event) = event {
            // Without a session there is nobody to be told, and the work goes on.
            let _ = answers.send(event).await;
        }
    }
}

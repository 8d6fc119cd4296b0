//! What a run ends with when a promise was broken.

/// Which promise; each has its own file, which states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// Nodes that are linked hold what they asked one another for.
    Convergence,
    /// What was acknowledged is held somewhere.
    Acknowledged,
    /// Documents come to those alone who asked for them.
    Unasked,
    /// Transactions arrive whole.
    Transactions,
    /// Nodes hand on what they hold, and nothing else.
    Relay,
    /// Nothing crosses a link that the certificates of its ends forbid.
    Permission,
    /// Who is cut off stays so.
    Revocations,
    /// Nothing that a peer says ends a program.
    Panic,
    /// Memory is bounded, and let go of.
    Memory,
    /// Copies and restored backups are noticed.
    Copies,
    /// Links fall silent when nothing changes.
    Quiet,
    /// Peers that keep the protocol never accuse one another.
    Protocol,
    /// A store or a statement failed although nothing was broken on purpose.
    Store,
}

/// A broken promise.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{promise:?}: {story}")]
pub struct Violation {
    /// Which promise.
    pub promise: Promise,
    /// What was found.
    pub story: String,
}

impl Violation {
    pub(crate) fn new(promise: Promise, story: impl Into<String>) -> Self {
        Self {
            promise,
            story: story.into(),
        }
    }

    /// A store failed with this.
    pub(crate) fn store(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut story = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            story = format!("{story}: {error}");
            cause = error.source();
        }
        Self::new(Promise::Store, story)
    }
}

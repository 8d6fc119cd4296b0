//! A bug on purpose, to show that the checkers see bugs: a receiver that
//! acknowledges documents which it drops, or nodes that know no rules.

/// Which bug a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Canary {
    /// None.
    #[default]
    Silent,
    /// Of every so many documents that arrive in one session, one is dropped
    /// and yet acknowledged.
    DropsDocuments(u64),
    /// Honest nodes look at no certificate: each session goes by rules that allow
    /// everything.
    SkipsFilter,
}

impl Canary {
    /// Whether the document with this number, from 1, is dropped.
    pub(crate) fn drops(self, number: u64) -> bool {
        match self {
            Self::Silent | Self::SkipsFilter => false,
            Self::DropsDocuments(every) => number.is_multiple_of(every),
        }
    }
}

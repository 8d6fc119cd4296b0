//! What is going to happen, in the order of simulated time and, at one moment,
//! of its making.

use std::collections::BTreeMap;

use bytes::Bytes;
use tombolo_sync::wire::Channel;

/// One end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) link: usize,
    /// 0 or 1.
    pub(crate) side: usize,
    /// Which life of the link: what belongs to an earlier one is void.
    pub(crate) life: u64,
}

/// Something that is going to happen.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A frame arrives.
    Frame(End, Channel, Bytes),
    /// A session wanted to be woken.
    Wake(End),
    /// A piece of a session's slow work is due.
    Work(End),
    /// One end learns that its link is gone.
    Gone(End),
    /// Two nodes try to link up.
    Connect(usize),
    /// A node's sessions are told of its commits.
    Announce(usize),
    /// A node that lost power comes back.
    Restart(usize),
    /// Somebody does something.
    Act,
    /// The checkers look.
    Pause,
    /// Faults end, and everything is linked and started.
    Heal,
}

/// The queue of happenings.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    entries: BTreeMap<(u64, u64), Happening>,
    made: u64,
}

impl Agenda {
    /// Enters something for a time in microseconds.
    pub(crate) fn at(&mut self, us: u64, happening: Happening) {
        self.made += 1;
        self.entries.insert((us, self.made), happening);
    }

    /// The next thing with its time.
    pub(crate) fn next(&mut self) -> Option<(u64, Happening)> {
        let ((us, _), happening) = self.entries.pop_first()?;
        Some((us, happening))
    }
}

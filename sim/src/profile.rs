//! What kind of world a seed makes: how many nodes, how they are linked, what
//! goes wrong and how often.

use std::ops::Range;

use crate::random::Random;

const MS: u64 = 1_000;
const SECOND: u64 = 1_000 * MS;

/// Who is linked to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Each with the next.
    Line,
    /// All with the first.
    Hub,
    /// All with all.
    Full,
    /// A line, and some more by chance.
    Web,
}

/// What nodes subscribe to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taste {
    /// Everything.
    Whole,
    /// By chance: whole collections, conditions, lists of ids, nothing.
    Mixed,
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// One statement that writes.
    Write,
    /// Several statements in one transaction.
    Transact,
    /// Money from one account to another.
    Transfer,
    /// Documents are forgotten on one node.
    Evict,
    /// A node wants something else.
    Subscribe,
    /// A link is cut.
    Cut,
    /// The links between two halves of the mesh are cut.
    Partition,
    /// A cut link may come up again.
    Mend,
    /// A node loses power and comes back.
    Crash,
    /// A node's disk fails at one of the next writes.
    BreakDisk,
    /// A node's clock jumps.
    SetClock,
    /// A node's disk is copied for later.
    BackUp,
    /// A node goes on from its backup.
    Restore,
    /// A node's disk is copied to a new node with the same key.
    Copy,
}

/// The kind of a world.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) nodes: usize,
    pub(crate) shape: Shape,
    pub(crate) taste: Taste,
    /// How long a frame is on its way, in microseconds.
    pub(crate) delay_us: Range<u64>,
    /// Of a hundred thousand frames, how many are lost, repeated or swapped.
    pub(crate) losses: u64,
    /// From one act to the next.
    pub(crate) pause_us: Range<u64>,
    /// When acts and faults end.
    pub(crate) active_us: u64,
    /// How many documents of each collection are written.
    pub(crate) documents: u64,
    /// How far clocks may be wrong, in milliseconds.
    pub(crate) skew_ms: i64,
    /// Whether the accounts of the transfers exist.
    pub(crate) has_accounts: bool,
    /// Whether the work of sessions takes time.
    pub(crate) is_slow: bool,
    /// What may be done, each with its weight.
    pub(crate) acts: &'static [(u64, Act)],
}

impl Profile {
    /// The kind of world that a seed makes.
    pub(crate) fn of(random: &mut Random) -> Self {
        let make = random.pick(&[pair]);
        make(random)
    }
}

/// Two nodes, faultless links.
fn pair(random: &mut Random) -> Profile {
    Profile {
        name: "pair",
        nodes: 2,
        shape: Shape::Line,
        taste: Taste::Mixed,
        delay_us: MS..20 * MS,
        losses: 0,
        pause_us: MS..random.within(2..400) * MS,
        active_us: 10 * SECOND,
        documents: 8,
        skew_ms: 20,
        has_accounts: false,
        is_slow: false,
        acts: &[
            (60, Act::Write),
            (20, Act::Transact),
            (5, Act::Subscribe),
            (3, Act::Cut),
            (6, Act::Mend),
        ],
    }
}

//! What kind of world a seed makes: how many nodes, how they are linked, what
//! goes wrong and how often.
//!
//! A directory that is copied or restored knows it when it is opened, and every
//! promise holds. A whole disk that is cloned or rolled back (`clones`, `rollbacks`)
//! does not: only peers notice, by their cursors. There it is promised that they do
//! and that all converge in quiet; what was written before the notice, by two under
//! one actor, may be lost.

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
    /// The service cuts liars off, or lets them in again.
    Revoke,
    /// A node's clock jumps.
    SetClock,
    /// What a node has is copied for later.
    BackUp,
    /// A node goes on from its backup.
    Restore,
    /// What a node has is copied to a new one.
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
    /// Whether copies are of whole disks, so that they do not know it.
    pub(crate) hides_copies: bool,
    /// Whether the work of sessions takes time.
    pub(crate) is_slow: bool,
    /// How many nodes lie; with any, all have certificates with rules.
    pub(crate) liars: usize,
    /// What may be done, each with its weight.
    pub(crate) acts: &'static [(u64, Act)],
}

type Maker = fn(Profile, &mut Random) -> Profile;

/// Every kind of world, by name.
pub(crate) const MAKERS: [(&str, Maker); 12] = [
    ("pair", pair),
    ("line", line),
    ("hub", hub),
    ("web", web),
    ("lossy", lossy),
    ("clocks", clocks),
    ("bank", bank),
    ("backups", backups),
    ("copies", copies),
    ("hostile", hostile),
    ("clones", clones),
    ("rollbacks", rollbacks),
];

/// So many of them are drawn by seeds. The rest is run by name alone, since less
/// is promised there.
const DRAWN: usize = 10;

impl Profile {
    /// The kind of world that a seed makes, or the one that was named.
    pub(crate) fn of(name: Option<&str>, random: &mut Random) -> Self {
        let (drawn, _) = *random.pick(&MAKERS[..DRAWN]);
        let name = name.unwrap_or(drawn);
        let named = MAKERS.iter().find(|(known, _)| *known == name);
        let (name, make) = named.unwrap_or(&MAKERS[0]);
        let plain = Self::plain(name, random);
        make(plain, random)
    }

    /// What most kinds have alike.
    fn plain(name: &'static str, random: &mut Random) -> Self {
        Self {
            name,
            nodes: 2,
            shape: Shape::Line,
            taste: Taste::Mixed,
            delay_us: MS..random.within(2..60) * MS,
            losses: 0,
            pause_us: MS..random.within(10..400) * MS,
            active_us: random.within(3..10) * SECOND,
            documents: random.within(2..10),
            skew_ms: 20,
            has_accounts: false,
            hides_copies: false,
            is_slow: random.chance(500),
            liars: 0,
            acts: &[
                (60, Act::Write),
                (20, Act::Transact),
                (5, Act::Subscribe),
                (5, Act::Cut),
                (9, Act::Mend),
            ],
        }
    }
}

/// Two nodes.
fn pair(plain: Profile, _: &mut Random) -> Profile {
    plain
}

/// Relays in a line, which hand on what they hold.
fn line(plain: Profile, random: &mut Random) -> Profile {
    Profile {
        nodes: random.within(3..6) as usize,
        taste: *random.pick(&[Taste::Whole, Taste::Mixed]),
        ..plain
    }
}

/// One in the middle that wants everything.
fn hub(plain: Profile, random: &mut Random) -> Profile {
    Profile {
        nodes: random.within(4..7) as usize,
        shape: Shape::Hub,
        acts: &[
            (60, Act::Write),
            (20, Act::Transact),
            (6, Act::Evict),
            (8, Act::Subscribe),
            (4, Act::Cut),
            (8, Act::Mend),
            (3, Act::Crash),
        ],
        ..plain
    }
}

/// Everything that may happen to honest nodes.
fn web(plain: Profile, random: &mut Random) -> Profile {
    Profile {
        nodes: random.within(3..6) as usize,
        shape: *random.pick(&[Shape::Web, Shape::Full]),
        acts: &[
            (60, Act::Write),
            (20, Act::Transact),
            (5, Act::Evict),
            (6, Act::Subscribe),
            (4, Act::Cut),
            (2, Act::Partition),
            (10, Act::Mend),
            (3, Act::Crash),
            (2, Act::BreakDisk),
        ],
        ..plain
    }
}

/// Links that lose, repeat and swap frames.
fn lossy(plain: Profile, random: &mut Random) -> Profile {
    Profile {
        nodes: random.within(2..5) as usize,
        shape: Shape::Full,
        losses: random.within(100..4_000),
        ..plain
    }
}

/// Money moves between accounts; none is made or lost, at any moment.
fn bank(plain: Profile, random: &mut Random) -> Profile {
    Profile {
        nodes: random.within(2..6) as usize,
        shape: *random.pick(&[Shape::Line, Shape::Hub, Shape::Full]),
        has_accounts: true,
        losses: *random.pick(&[0, 500]),
        acts: &[
            (60, Act::Transfer),
            (20, Act::Transact),
            (10, Act::Write),
            (4, Act::Cut),
            (8, Act::Mend),
            (3, Act::Crash),
            (2, Act::BreakDisk),
        ],
        ..plain
    }
}

/// Clocks that are further apart than peers believe.
fn clocks(plain: Profile, random: &mut Random) -> Profile {
    Profile {
        nodes: random.within(2..5) as usize,
        shape: *random.pick(&[Shape::Line, Shape::Full]),
        skew_ms: 30_000,
        acts: &[
            (60, Act::Write),
            (20, Act::Transact),
            (4, Act::Subscribe),
            (4, Act::SetClock),
            (3, Act::Cut),
            (6, Act::Mend),
            (1, Act::Crash),
        ],
        ..plain
    }
}

/// Nodes whose directory is put back from a backup.
fn backups(plain: Profile, random: &mut Random) -> Profile {
    Profile {
        nodes: random.within(2..5) as usize,
        shape: *random.pick(&[Shape::Line, Shape::Hub, Shape::Full]),
        taste: *random.pick(&[Taste::Whole, Taste::Mixed]),
        acts: &[
            (60, Act::Write),
            (15, Act::Transact),
            (8, Act::BackUp),
            (3, Act::Restore),
            (3, Act::Cut),
            (6, Act::Mend),
            (1, Act::Crash),
        ],
        ..plain
    }
}

/// Directories that are copied to other machines.
fn copies(plain: Profile, random: &mut Random) -> Profile {
    Profile {
        nodes: random.within(2..4) as usize,
        shape: Shape::Hub,
        taste: *random.pick(&[Taste::Whole, Taste::Mixed]),
        acts: &[
            (60, Act::Write),
            (15, Act::Transact),
            (2, Act::Copy),
            (3, Act::Cut),
            (6, Act::Mend),
            (1, Act::Crash),
        ],
        ..plain
    }
}

/// Devices with rules in their certificates, and some that lie.
fn hostile(plain: Profile, random: &mut Random) -> Profile {
    let liars = random.within(1..3) as usize;
    Profile {
        nodes: random.within(2..5) as usize + liars,
        liars,
        shape: *random.pick(&[Shape::Web, Shape::Full]),
        taste: *random.pick(&[Taste::Whole, Taste::Mixed]),
        documents: random.within(4..14),
        acts: &[
            (60, Act::Write),
            (20, Act::Transact),
            (5, Act::Subscribe),
            (4, Act::Cut),
            (10, Act::Mend),
            (2, Act::Crash),
            (3, Act::Revoke),
        ],
        ..plain
    }
}

/// Whole disks that are cloned, so that two nodes have one key.
fn clones(plain: Profile, random: &mut Random) -> Profile {
    Profile {
        hides_copies: true,
        ..copies(plain, random)
    }
}

/// Whole disks that are put back from a backup.
fn rollbacks(plain: Profile, random: &mut Random) -> Profile {
    Profile {
        hides_copies: true,
        ..backups(plain, random)
    }
}

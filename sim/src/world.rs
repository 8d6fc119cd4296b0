//! A world of nodes and links, and the loop that lets things happen in it, one
//! after another, in simulated time.

use tombolo_identity::Revocations;

use crate::Settings;
use crate::agenda::{Agenda, Happening};
use crate::canary::Canary;
use crate::check::Checks;
use crate::clock::{NodeClock, Time};
use crate::grant::Grant;
use crate::link::Link;
use crate::node::{Node, SKEW_LIMIT, interests};
use crate::papers::Papers;
use crate::profile::{Profile, Shape, Taste};
use crate::random::Random;
use crate::trace::Trace;
use crate::violation::{Promise, Violation};
use crate::workload;

/// How long a world is left alone after the last fault, beyond the time for
/// which clocks were ahead.
const SETTLE_US: u64 = 45_000_000;

/// Happenings of one run; those of an honest world are a hundred times fewer.
const HAPPENINGS_MAX: u64 = 1_000_000;

/// What a run did, for those who watch many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Frames that were sent.
    pub frames: u64,
    /// Commits that writes of nodes left.
    pub writes: u64,
    /// Commits that sessions left.
    pub applies: u64,
    /// Links that came up.
    pub links: u64,
}

/// A world.
pub(crate) struct World {
    pub(crate) profile: Profile,
    pub(crate) time: Time,
    pub(crate) agenda: Agenda,
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Vec<Link>,
    /// All lists of revocations, oldest first.
    pub(crate) lists: Vec<Revocations>,
    /// Decides what the network does.
    pub(crate) chance: Random,
    /// Decides what nodes do.
    pub(crate) script: Random,
    pub(crate) is_healed: bool,
    happenings: u64,
    pub(crate) canary: Canary,
    pub(crate) checks: Checks,
    pub(crate) trace: Trace,
    pub(crate) tally: Tally,
}

impl World {
    /// The world of a seed, before anything happened.
    pub(crate) fn new(seed: u64, settings: Settings, trace: Trace) -> Result<Self, Violation> {
        let mut random = Random::new(seed);
        let profile = Profile::of(settings.profile, &mut random);
        let mut world = Self {
            time: Time::default(),
            agenda: Agenda::default(),
            nodes: Vec::new(),
            links: Vec::new(),
            lists: Vec::new(),
            chance: random.fork(),
            script: random.fork(),
            is_healed: false,
            happenings: 0,
            canary: settings.canary,
            checks: Checks::new(profile.nodes),
            trace,
            tally: Tally::default(),
            profile,
        };
        world.make_nodes(&mut random)?;
        world.make_links(&mut random);
        Ok(world)
    }

    fn make_nodes(&mut self, random: &mut Random) -> Result<(), Violation> {
        for key in 0..self.profile.nodes {
            let skew = self.profile.skew_ms;
            let ahead_ms = random.within(0..2 * skew.unsigned_abs() + 1) as i64 - skew;
            let drift = random.within(0..200) as i64 - 100;
            let clock = NodeClock::new(self.time.clone(), ahead_ms, drift);
            let mut node = Node::new(key, clock, random.fork());
            node.papers = self.papers(key, random);
            let mut statements = match self.profile.taste {
                Taste::Whole => workload::everything(),
                Taste::Mixed => workload::subscriptions(self.profile.documents, random),
            };
            if key == 0 && self.profile.shape == Shape::Hub {
                statements = workload::everything();
            }
            if self.profile.has_accounts {
                statements.push(workload::accounts());
            }
            let name = self.profile.name;
            self.trace
                .say(0, || format!("{name}: node {key} wants {statements:?}"));
            node.interests = interests(&statements);
            node.start()?;
            self.nodes.push(node);
        }
        Ok(())
    }

    /// In a world with liars, who are its last nodes, what a node may.
    fn papers(&mut self, key: usize, random: &mut Random) -> Option<Papers> {
        let Profile {
            nodes,
            liars,
            documents,
            ..
        } = self.profile;
        if liars == 0 {
            return None;
        }
        let is_liar = key + liars >= nodes;
        let grant = match is_liar {
            true => Grant::of_liar(documents, random),
            false => Grant::of_honest(documents, random),
        };
        self.trace
            .say(0, || format!("node {key} may, lying {is_liar}: {grant:?}"));
        Some(Papers::new(key, grant, is_liar))
    }

    fn make_links(&mut self, random: &mut Random) {
        let nodes = self.profile.nodes;
        for right in 1..nodes {
            for left in 0..right {
                let is_linked = match self.profile.shape {
                    Shape::Line => right == left + 1,
                    Shape::Hub => left == 0,
                    Shape::Full => true,
                    Shape::Web => right == left + 1 || random.chance(300),
                };
                // What one liar gives another is their own affair.
                let are_liars = self.nodes[left].is_liar() && self.nodes[right].is_liar();
                if is_linked && !are_liars {
                    self.links.push(Link::new([left, right]));
                }
            }
        }
        for link in 0..self.links.len() {
            let at = random.within(0..200_000);
            self.connect_at(link, at);
        }
    }

    /// Lets everything happen, and checks what is left.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        self.found_accounts()?;
        self.agenda.at(self.profile.active_us, Happening::Heal);
        self.agenda.at(1_000, Happening::Act);
        let ahead_ms = self.profile.skew_ms.max(0) as u64;
        let refused_ms = ahead_ms.saturating_sub(SKEW_LIMIT.as_millis() as u64);
        let mut end = self.profile.active_us + SETTLE_US + 3 * refused_ms * 1_000;
        self.pass(end)?;
        self.check_end()?;
        // Of two copies each is linked in turn, until nothing is new to either.
        for turn in 1..2 * self.copies() {
            end += SETTLE_US;
            self.seat_copies(turn);
            self.pass(end)?;
            self.check_end()?;
        }
        Ok(())
    }

    /// Lets happen what happens until a time.
    fn pass(&mut self, end: u64) -> Result<(), Violation> {
        self.agenda.at(end, Happening::Pause);
        while let Some((at, happening)) = self.agenda.next() {
            self.time.set(at.max(self.time.us()));
            if matches!(happening, Happening::Pause) {
                break;
            }
            self.happenings += 1;
            if self.happenings > HAPPENINGS_MAX {
                let story = "the world never comes to rest";
                return Err(Violation::new(Promise::Quiet, story));
            }
            self.happen(happening)?;
        }
        Ok(())
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Violation> {
        match happening {
            Happening::Frame(end, channel, frame) => self.arrive(end, channel, frame),
            Happening::Wake(end) => self.wake(end),
            Happening::Work(end) => self.work(end),
            Happening::Gone(end) => self.gone(end),
            Happening::Connect(link) => self.connect(link),
            Happening::Announce(node) => self.announce(node),
            Happening::Restart(node) => self.restart(node),
            Happening::Act => self.act(),
            Happening::Pause => Ok(()),
            Happening::Heal => self.heal(),
        }
    }
}

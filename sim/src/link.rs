//! A link between two nodes: a session at each end, and frames on their way.

use crate::listening::Listener;
use crate::seat::Chair;

/// Channels that frames may be in.
pub(crate) const CHANNELS: usize = 3;

/// A link, up or down.
pub(crate) struct Link {
    /// The two nodes.
    pub(crate) nodes: [usize; 2],
    /// Whether the world lets the two reach one another.
    pub(crate) is_wanted: bool,
    /// Counts how often it came up.
    pub(crate) life: u64,
    /// The sessions, while their ends are up.
    pub(crate) chairs: [Option<Chair>; 2],
    /// What is on its way to each end.
    pub(crate) roads: [Road; 2],
    /// What each end said, for those who follow a run.
    pub(crate) listeners: [Listener; 2],
    /// What each end said, for the checkers.
    pub(crate) overhearers: [Listener; 2],
    /// Whether frames of this life were lost, repeated or swapped.
    pub(crate) is_lossy: bool,
    /// Whether the wire is cut, so that nothing arrives any more.
    pub(crate) is_cut: bool,
    /// Whether a try to come up is on the agenda.
    pub(crate) is_connecting: bool,
}

/// The frames on their way to one end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Road {
    /// When the last frame of each channel arrives, in microseconds.
    pub(crate) last_us: [u64; CHANNELS],
    /// How many frames of each channel are on their way.
    pub(crate) under_way: [usize; CHANNELS],
}

impl Link {
    pub(crate) fn new(nodes: [usize; 2]) -> Self {
        Self {
            nodes,
            is_wanted: true,
            life: 0,
            chairs: [None, None],
            roads: [Road::default(); 2],
            listeners: Default::default(),
            overhearers: Default::default(),
            is_lossy: false,
            is_cut: false,
            is_connecting: false,
        }
    }

    /// Whether neither end is up.
    pub(crate) fn is_down(&self) -> bool {
        self.chairs.iter().all(Option::is_none)
    }

    /// Begins another life.
    pub(crate) fn renew(&mut self) {
        self.life += 1;
        self.roads = [Road::default(); 2];
        self.listeners = Default::default();
        self.overhearers = Default::default();
        self.is_lossy = false;
        self.is_cut = false;
    }

    /// When the last frame to an end arrives.
    pub(crate) fn last_us(&self, side: usize) -> u64 {
        self.roads[side].last_us.into_iter().max().unwrap_or(0)
    }
}

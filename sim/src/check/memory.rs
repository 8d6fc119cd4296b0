//! Memory is bounded and let go of: a session has at most so many batches under
//! way as its window lets it, keeps a view for no more than those, and keeps none
//! when nothing is under way.

use tombolo_sync::limits::WINDOW_BATCHES;
use tombolo_sync::wire::Channel;

use crate::link::{Link, Road};
use crate::seat::Chair;
use crate::violation::{Promise, Violation};

/// Frames of documents that may be under way on one road: each batch of these
/// small worlds is one, and each may be followed by supplements.
const FRAMES_MAX: usize = 3 * WINDOW_BATCHES;
/// Views that a session may keep: one for each batch under way, and one to read.
const VIEWS_MAX: usize = WINDOW_BATCHES + 2;

/// The most that was seen.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    worst: Option<(usize, usize)>,
}

impl Memory {
    /// Looks at a road after a frame was put on it.
    pub(crate) fn sent(&mut self, link: usize, road: &Road) {
        let frames = road.under_way[Channel::Documents as usize];
        if frames > FRAMES_MAX && self.worst.is_none_or(|(_, most)| frames > most) {
            self.worst = Some((link, frames));
        }
    }

    /// Whether any road ever held too much.
    pub(super) fn check(&self) -> Result<(), Violation> {
        match self.worst {
            None => Ok(()),
            Some((link, frames)) => {
                let story = format!("{frames} frames were under way on link {link}");
                Err(Violation::new(Promise::Memory, story))
            }
        }
    }
}

/// Checks one session after it did something.
pub(crate) fn check_views(node: usize, views: usize) -> Result<(), Violation> {
    if views <= VIEWS_MAX {
        return Ok(());
    }
    let story = format!("a session of node {node} keeps {views} views");
    Err(Violation::new(Promise::Memory, story))
}

/// Checks that idle sessions keep nothing.
pub(super) fn check_end(links: &[Link]) -> Result<(), Violation> {
    for link in links {
        for (node, chair) in link.nodes.iter().zip(&link.chairs) {
            let views = chair.as_ref().map_or(0, Chair::views_kept);
            if views > 0 {
                let story = format!("an idle session of node {node} keeps {views} views");
                return Err(Violation::new(Promise::Memory, story));
            }
        }
    }
    Ok(())
}

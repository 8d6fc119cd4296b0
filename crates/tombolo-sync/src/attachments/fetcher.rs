//! Which attachments are wanted here, and which neighbour is asked for them
//! next: one at a time for each, all of them in turn, and again after a pause
//! that grows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tombolo_document::attachment::AttachmentId;

use super::event::{FetchEnd, Place};
use crate::limits::{
    FETCH_PAUSE, FETCHES_BY_ITSELF_MAX, FETCHES_MAX, FETCHES_ON_LINK_MAX, FETCHES_UNDER_WAY_MAX,
    PLACES_MAX,
};
use crate::wire::Lack;

/// Who wants an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Somebody asked for it, and waits until it is here or does not want it any
    /// more.
    Somebody,
    /// A document refers to it. It is given up when no neighbour gives it.
    Document,
}

/// No more can be wanted at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{max} attachments are waited for already")]
pub struct FetcherFull {
    /// The limit.
    pub max: usize,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Ask the neighbour on this link.
    Seek {
        /// The link.
        link: u64,
        /// For what.
        attachment: AttachmentId,
        /// By which document.
        place: Place,
    },
    /// No neighbour gives it and only a document wanted it: it is not wanted any
    /// more.
    GivenUp(AttachmentId),
}

/// Why an attachment is not here yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// For its turn, or for a neighbour that can be asked.
    ForNeighbour,
    /// It comes from the neighbour on this link.
    Coming(u64),
    /// Every neighbour was asked; this is what the last of them said.
    Lacking(FetchEnd),
}

/// The attachments that are wanted, and the neighbours.
#[derive(Debug, Default)]
pub struct Fetcher {
    wanted: BTreeMap<AttachmentId, Wanted>,
    /// How many are asked for on each link.
    links: BTreeMap<u64, usize>,
    /// Counts what was wanted, so that the oldest comes first.
    counted: u64,
}

#[derive(Debug)]
struct Wanted {
    number: u64,
    who: Who,
    places: Vec<Place>,
    /// The link on which it is asked for now, and by which document.
    asked: Option<(u64, Place)>,
    /// Links and places that did not give it in this round.
    tried: BTreeSet<(u64, Place)>,
    rounds: u32,
    again_at: Duration,
    last: Option<FetchEnd>,
}

impl Fetcher {
    /// An attachment is wanted, by this document among others.
    ///
    /// # Errors
    /// Too many are.
    pub fn want(
        &mut self,
        attachment: AttachmentId,
        place: Place,
        who: Who,
    ) -> Result<(), FetcherFull> {
        if let Some(wanted) = self.wanted.get_mut(&attachment) {
            if who == Who::Somebody {
                wanted.who = who;
            }
            if !wanted.places.contains(&place) {
                wanted.places.truncate(PLACES_MAX - 1);
                wanted.places.insert(0, place);
                wanted.again_at = Duration::ZERO;
            }
            return Ok(());
        }
        let max = match who {
            Who::Somebody => FETCHES_MAX,
            Who::Document => FETCHES_BY_ITSELF_MAX,
        };
        if self.count(who) >= max {
            return Err(FetcherFull { max });
        }
        self.counted += 1;
        let wanted = Wanted {
            number: self.counted,
            who,
            places: vec![place],
            asked: None,
            tried: BTreeSet::new(),
            rounds: 0,
            again_at: Duration::ZERO,
            last: None,
        };
        self.wanted.insert(attachment, wanted);
        Ok(())
    }

    /// Nobody wants it any more, or it is here. Gives the link on which asking is
    /// to be cancelled.
    pub fn forget(&mut self, attachment: AttachmentId) -> Option<u64> {
        let (link, _) = self.wanted.remove(&attachment)?.asked?;
        self.leave(link);
        Some(link)
    }

    /// Nobody asks for it any more, but documents do. Gives whether it was wanted.
    pub fn leave_to_document(&mut self, attachment: AttachmentId) -> bool {
        let wanted = self.wanted.get_mut(&attachment);
        wanted.map(|wanted| wanted.who = Who::Document).is_some()
    }

    /// Whether it is wanted.
    #[must_use]
    pub fn is_wanted(&self, attachment: AttachmentId) -> bool {
        self.wanted.contains_key(&attachment)
    }

    /// How many are wanted so.
    #[must_use]
    pub fn count(&self, who: Who) -> usize {
        let all = self.wanted.values();
        all.filter(|wanted| wanted.who == who).count()
    }

    /// What it waits for; `None` if it is not wanted.
    #[must_use]
    pub fn waiting(&self, attachment: AttachmentId) -> Option<Waiting> {
        let wanted = self.wanted.get(&attachment)?;
        Some(match (&wanted.asked, wanted.last) {
            (Some((link, _)), _) => Waiting::Coming(*link),
            (None, Some(end)) => Waiting::Lacking(end),
            (None, None) => Waiting::ForNeighbour,
        })
    }

    /// A neighbour can be asked.
    pub fn linked(&mut self, link: u64) {
        self.links.entry(link).or_insert(0);
        for wanted in self.wanted.values_mut() {
            wanted.again_at = Duration::ZERO;
        }
    }

    /// A link is gone, and what was asked for on it with it.
    pub fn unlinked(&mut self, link: u64) {
        self.links.remove(&link);
        for wanted in self.wanted.values_mut() {
            wanted.tried.retain(|(tried, _)| *tried != link);
            wanted.asked.take_if(|(asked, _)| *asked == link);
        }
    }

    /// Asking a neighbour is over. Nothing of this is wanted any more if it is
    /// complete.
    pub fn ended(&mut self, link: u64, attachment: AttachmentId, end: FetchEnd) {
        let Some(wanted) = self.wanted.get_mut(&attachment) else {
            return;
        };
        let Some((_, place)) = wanted.asked.take_if(|(asked, _)| *asked == link) else {
            return;
        };
        if end == FetchEnd::Complete {
            self.wanted.remove(&attachment);
        } else {
            let worse = |held: FetchEnd| held == FetchEnd::Lacking(Lack::NotHeld);
            // That somebody knows of it and lacks it tells more than a refusal.
            if !wanted.last.is_some_and(worse) || end == FetchEnd::Failed {
                wanted.last = Some(end);
            }
            wanted.tried.insert((link, place));
        }
        self.leave(link);
    }

    /// The next thing to be done, until there is nothing.
    pub fn next(&mut self, now: Duration) -> Option<Order> {
        let under_way: usize = self.links.values().sum();
        if self.links.is_empty() || under_way >= FETCHES_UNDER_WAY_MAX {
            return None;
        }
        let mut ready: Vec<_> = self.wanted.iter().collect();
        ready.retain(|(_, wanted)| wanted.asked.is_none() && wanted.again_at <= now);
        ready.sort_unstable_by_key(|(_, wanted)| wanted.number);
        let mut exhausted = None;
        let mut found = None;
        for (attachment, wanted) in ready {
            match wanted.next(&self.links) {
                Choice::Ask(link, place) => {
                    found = Some((*attachment, link, place));
                    break;
                }
                Choice::Wait => {}
                Choice::Exhausted => {
                    exhausted = Some(*attachment);
                    break;
                }
            }
        }
        if let Some((attachment, link, place)) = found {
            self.wanted.get_mut(&attachment)?.asked = Some((link, place.clone()));
            *self.links.get_mut(&link)? += 1;
            return Some(Order::Seek {
                link,
                attachment,
                place,
            });
        }
        let attachment = exhausted?;
        let wanted = self.wanted.get_mut(&attachment)?;
        if wanted.who == Who::Document {
            self.wanted.remove(&attachment);
            return Some(Order::GivenUp(attachment));
        }
        let (first, most) = FETCH_PAUSE;
        let doubled = first * 1_u32.checked_shl(wanted.rounds).unwrap_or(u32::MAX);
        wanted.again_at = now + doubled.min(most);
        wanted.rounds = (wanted.rounds + 1).min(16);
        wanted.tried.clear();
        self.next(now)
    }

    /// When [`Fetcher::next`] may have something that it has not now.
    #[must_use]
    pub fn alarm(&self) -> Option<Duration> {
        let waiting = self.wanted.values();
        let waiting = waiting.filter(|wanted| wanted.asked.is_none());
        let at = waiting.map(|wanted| wanted.again_at).min()?;
        (!self.links.is_empty() && at > Duration::ZERO).then_some(at)
    }

    fn leave(&mut self, link: u64) {
        if let Some(under_way) = self.links.get_mut(&link) {
            *under_way = under_way.saturating_sub(1);
        }
    }
}

enum Choice {
    Ask(u64, Place),
    /// A link that was not asked has no room now.
    Wait,
    Exhausted,
}

impl Wanted {
    fn next(&self, links: &BTreeMap<u64, usize>) -> Choice {
        let mut choice = Choice::Exhausted;
        // The link with the fewest comes first, so that neighbours share the work.
        let mut links: Vec<_> = links.iter().collect();
        links.sort_unstable_by_key(|(link, under_way)| (**under_way, **link));
        for (link, under_way) in links {
            let untried = |place: &&Place| !self.tried.contains(&(*link, (*place).clone()));
            let Some(place) = self.places.iter().find(untried) else {
                continue;
            };
            if *under_way < FETCHES_ON_LINK_MAX {
                return Choice::Ask(*link, place.clone());
            }
            choice = Choice::Wait;
        }
        choice
    }
}

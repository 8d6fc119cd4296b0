//! Attachments from other peers: what is wanted, where it comes from, and how
//! far it is. Rules are the machines' of `tombolo_sync::attachments`; this
//! carries out what they ask.

mod automatic;
mod desk;
mod fetch;
mod fetches;
mod lane;
mod serving;
mod storing;

pub use fetch::{AttachmentFetch, FetchError, FetchState, FetchWait};
pub use fetches::AttachmentTraffic;

pub(crate) use automatic::fetch_by_itself;
pub(crate) use desk::AttachmentDesk;
pub(crate) use fetches::{Fetches, LinkOrder};
pub(crate) use lane::LaneFull;

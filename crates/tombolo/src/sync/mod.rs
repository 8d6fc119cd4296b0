//! Synchronisation with other peers: what is subscribed to, and the service that
//! keeps links and drives a session over each.
//!
//! The only asynchronous code of the crate; it contains no rule of the product.

mod attachments;
mod board;
mod courier;
mod driver;
mod options;
mod service;
mod spreading;
mod subscriptions;
mod traffic;

pub use attachments::{AttachmentFetch, AttachmentTraffic, FetchError, FetchState, FetchWait};
pub use board::{PeerProgress, SyncStatus};
pub use options::{
    MAX_LINKS_DEFAULT, Membership, RETRY_INTERVAL_DEFAULT, SyncError, SyncOptions, WebSocketServer,
};
pub use service::WebSocketDoor;
pub use subscriptions::{SUBSCRIPTIONS_MAX, Subscription};
pub use traffic::SyncTraffic;

pub(crate) use attachments::Fetches;
pub(crate) use board::Board;
pub(crate) use service::SyncShell;
pub(crate) use subscriptions::Subscriptions;

//! JSON documents as mergeable replicated data: values, ids, clocks, version
//! vectors and the canonical encoding.
//!
//! Nothing here reads a clock, draws randomness, opens a file or starts a
//! thread: `now` and identities are arguments. `docs/formats/document.md` holds
//! the bytes that this crate reads and writes.

pub mod actor;
pub mod clock;
pub mod id;
pub mod json;
pub mod order;
pub mod schema;
pub mod stamp;
pub mod value;
pub mod version;

#[cfg(test)]
mod testing;

pub use actor::{Actor, Dot, SiteId};
pub use clock::{ClockError, HybridClock};
pub use id::{DocumentId, IdError};
pub use schema::{Field, Kind, Schema, Undeclared};
pub use stamp::Stamp;
pub use value::{Object, Value};
pub use version::{MAX_ACTORS, VersionVector};

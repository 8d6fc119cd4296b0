//! JSON documents as mergeable replicated data: values, ids, clocks, version
//! vectors and the canonical encoding.
//!
//! Nothing here reads a clock, draws randomness, opens a file or starts a
//! thread: `now` and identities are arguments. `docs/formats/document.md` holds
//! the bytes that this crate reads and writes.

pub mod actor;
pub mod attachment;
pub mod bytes;
pub mod clock;
mod decode;
mod delta;
mod draft;
pub mod edit;
mod encode;
mod field;
mod grave;
mod head;
pub mod id;
pub mod initial;
pub mod json;
mod layout;
mod marks;
pub mod merge;
mod normal;
mod object;
pub mod order;
mod pen;
pub mod raw;
pub mod schema;
pub mod stamp;
mod tree;
mod union;
pub mod value;
pub mod version;
pub mod view;
mod whole;

#[cfg(test)]
mod testing;

pub use actor::{Actor, Dot, SiteId};
pub use bytes::DecodeError;
pub use clock::{ClockError, HybridClock};
pub use draft::Draft;
pub use edit::{Edit, EditError};
pub use id::{DocumentId, IdError};
pub use merge::{MergeError, Merged};
pub use schema::{Field, Kind, Schema, Undeclared};
pub use stamp::Stamp;
pub use value::{Object, Value};
pub use version::{MAX_ACTORS, VersionVector};
pub use view::{DocumentView, FieldView, Lens, MapView};
pub use whole::Whole;

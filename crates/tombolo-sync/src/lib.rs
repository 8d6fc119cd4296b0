//! The session between two peers as a pure machine: what to send, what to take,
//! from where to go on.
//!
//! [`Session::handle`] takes what happened and gives what is to be done; whoever
//! drives it owns the link, the store and the clock. `docs/formats/wire.md`
//! holds the bytes and the rules.

pub mod attachments;
mod cursor;
mod event;
mod incoming;
mod interest;
pub mod limits;
mod looking;
mod outgoing;
mod reading;
mod recalling;
pub mod record;
mod session;
mod spreading;
pub mod view;
pub mod wire;

pub use event::{
    Action, Applied, Apply, Arriving, CloseReason, Content, Event, Notice, Outcome, RecordChange,
    Standing, WhichView,
};
pub use interest::{Evaluation, Interests};
pub use looking::{Looked, Looking};
pub use reading::{Read, Reading, digest};
pub use recalling::{Recalled, Recalling};
pub use session::{Local, Now, Session, Status};

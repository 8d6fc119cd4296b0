//! Where sessions meet the store: the only part that knows both.
//!
//! `StoreView` is what a session reads, `Host` what it does to the store. A
//! driver moves events and actions between them and a link; `Seat` is the one
//! that does everything at once, for simulators and tests.

mod applying;
mod host;
mod seat;
mod view;
mod views;

pub use host::Host;
pub use seat::{Outward, Seat};
pub use view::StoreView;
pub use views::Views;

//! The door to the disk: what every engine must do, what the faulty twin loses, and what the
//! default engine leaves on the disk at each moment of its life.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on must fail, also in its helpers"
)]

mod conformance;
mod directory_lock;
mod door;
mod faulty_twin;
mod recorder;
mod torn_journal;

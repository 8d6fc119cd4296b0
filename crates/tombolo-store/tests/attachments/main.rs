//! Attachments: what is kept, what a crash leaves, and what is refused.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on must fail, also in its helpers"
)]

mod bench;
mod collected;
mod content;
mod killed;
mod model;
mod partial;

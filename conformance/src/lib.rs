//! Runs the conformance cases against peers in memory.
//!
//! The cases are data: `dql/*.jsonl`, one case a line; `README.md` beside them
//! describes the fields. Nothing here knows a single case.

mod case;
mod expectation;
mod failure;
mod identity;
mod macros;
mod mesh;
mod peer;
mod world;

pub use case::Case;
pub use failure::Failure;
pub use peer::{Call, Peer};

/// Runs one case from an empty world.
///
/// # Errors
/// What differs from the expectation, or why the case could not be run.
pub fn run(case: &Case) -> Result<(), Failure> {
    let mut world = world::World::of(case);
    for step in &case.setup {
        world.step(step)?;
    }
    world.check(case)
}

//! A whole mesh on one thread from one seed: real databases and real sessions on
//! simulated disks, clocks and links.
//!
//! [`run`] makes a world, lets everything happen that its seed holds, and checks
//! the promises of `docs/formats/wire.md`. The same seed is the same run.

mod acts;
mod agenda;
mod backup;
mod check;
mod clock;
mod holdings;
mod identity;
mod link;
mod listening;
mod mesh;
mod node;
mod profile;
mod random;
mod seat;
mod trace;
mod violation;
mod workload;
mod world;

pub use trace::Trace;
pub use violation::{Promise, Violation};
pub use world::Tally;

/// A run that ended.
pub struct Ended {
    /// The kind of its world.
    pub profile: &'static str,
    /// What it did.
    pub tally: Tally,
    /// What it remembers.
    pub trace: Trace,
    /// What it broke, if anything.
    pub outcome: Result<(), Violation>,
}

/// Runs the world of a seed.
#[must_use]
pub fn run(seed: u64, trace: Trace) -> Ended {
    match world::World::new(seed, trace) {
        Ok(mut world) => {
            let outcome = world.run();
            Ended {
                profile: world.profile.name,
                tally: world.tally,
                trace: world.trace,
                outcome,
            }
        }
        Err(violation) => Ended {
            profile: "none",
            tally: Tally::default(),
            trace: Trace::off(),
            outcome: Err(violation),
        },
    }
}

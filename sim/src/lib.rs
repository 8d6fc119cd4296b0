//! A whole mesh on one thread from one seed: real databases and real sessions on
//! simulated disks, clocks and links.
//!
//! [`run`] makes a world, lets everything happen that its seed holds, and checks
//! the promises of `docs/formats/wire.md`. The same seed is the same run.

mod acts;
mod agenda;
mod authority;
mod backup;
mod canary;
mod check;
mod clock;
mod commits;
mod faults;
mod grant;
mod holdings;
mod hostility;
mod identity;
mod liar;
mod link;
mod listening;
mod mesh;
mod node;
mod papers;
mod profile;
mod random;
mod revoking;
pub mod search;
mod seat;
mod slow_seat;
mod trace;
mod violation;
mod workload;
mod world;

pub use canary::Canary;
pub use trace::Trace;
pub use violation::{Promise, Violation};
pub use world::Tally;

use std::panic::{AssertUnwindSafe, catch_unwind};

use world::World;

/// Which world is run, beside its seed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// The kind of world; by default the seed decides.
    pub profile: Option<&'static str>,
    /// A bug on purpose.
    pub canary: Canary,
}

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

/// The name of the kind of world that is written so, if there is one.
#[must_use]
pub fn profile_named(name: &str) -> Option<&'static str> {
    profile::MAKERS
        .iter()
        .map(|(known, _)| *known)
        .find(|known| *known == name)
}

/// Runs the world of a seed.
#[must_use]
pub fn run(seed: u64, settings: Settings, trace: Trace) -> Ended {
    match World::new(seed, settings, trace) {
        Ok(mut world) => {
            // A panic in a thread of a search would hide its seed.
            let outcome = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|_| {
                let story = "something panicked, as was told above";
                Err(Violation::new(Promise::Panic, story))
            });
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

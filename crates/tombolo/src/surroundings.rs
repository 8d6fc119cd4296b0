//! The only place where this crate reads a clock or draws randomness.

use std::cell::RefCell;
use std::time::{Duration, Instant, SystemTime};

use tombolo_store::Timekeeper;

/// Hash domain of generated ids.
const IDS_DOMAIN: &str = "tombolo 2026-11 generated ids";

/// The clocks of the machine.
#[derive(Debug)]
pub(crate) struct SystemTimekeeper {
    start: Instant,
}

impl SystemTimekeeper {
    #[expect(
        clippy::disallowed_methods,
        reason = "the driver reads the clock for all below it"
    )]
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Timekeeper for SystemTimekeeper {
    #[expect(
        clippy::disallowed_methods,
        reason = "the driver reads the clock for all below it"
    )]
    fn unix_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // Before 1970 the hybrid clock goes on from its high-water mark.
        since.map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// The operating system has no randomness to give.
#[derive(Debug, thiserror::Error)]
#[error("the operating system has no randomness to give")]
pub(crate) struct NoEntropy(#[source] getrandom::Error);

/// Draws 128 random bits.
pub(crate) fn random_16() -> Result<[u8; 16], NoEntropy> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(NoEntropy)?;
    Ok(bytes)
}

/// Random ids for one statement: one draw when the first is asked for,
/// stretched over the rest.
#[derive(Default)]
pub(crate) struct RandomIds {
    state: RefCell<Draw>,
}

#[derive(Default)]
enum Draw {
    #[default]
    Undrawn,
    Drawn(Box<blake3::OutputReader>),
    Failed(NoEntropy),
}

impl RandomIds {
    /// 16 bytes that were never given before; zeros if there is no randomness,
    /// which [`RandomIds::finish`] then tells.
    pub(crate) fn next(&self) -> [u8; 16] {
        let mut id = [0; 16];
        let mut state = self.state.borrow_mut();
        if let Draw::Undrawn = *state {
            *state = draw();
        }
        if let Draw::Drawn(stream) = &mut *state {
            stream.fill(&mut id);
        }
        id
    }

    /// Whether every id was random.
    pub(crate) fn finish(self) -> Result<(), NoEntropy> {
        match self.state.into_inner() {
            Draw::Failed(error) => Err(error),
            Draw::Undrawn | Draw::Drawn(_) => Ok(()),
        }
    }
}

fn draw() -> Draw {
    match random_16() {
        Ok(seed) => {
            let mut hasher = blake3::Hasher::new_derive_key(IDS_DOMAIN);
            hasher.update(&seed);
            Draw::Drawn(Box::new(hasher.finalize_xof()))
        }
        Err(error) => Draw::Failed(error),
    }
}

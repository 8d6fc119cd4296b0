//! What a database takes from the world around it: a disk, clocks, randomness
//! and a name. The only place where this crate reads a clock or draws
//! randomness, so that a simulator that brings its own repeats every run.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tombolo_document::SiteId;
use tombolo_store::Timekeeper;
use tombolo_store::attachments::Attachments;
use tombolo_store::engine::Engine;

use crate::peer_key::{PeerKey, PeerKeyError};

/// Hash domain of generated ids.
const IDS_DOMAIN: &str = "tombolo 2026-11 generated ids";
/// Hash domain of the pool behind the system's randomness.
const POOL_DOMAIN: &str = "tombolo 2026-11 entropy pool";

/// What a database takes from the world around it.
///
/// `Database::open` makes these for a program on a machine; simulators and
/// programs with a clock or a disk of their own hand them to
/// `Database::open_with`.
#[non_exhaustive]
pub struct Surroundings {
    /// Where the bytes live. Nobody else may write to it.
    pub engine: Arc<dyn Engine>,
    /// The clocks.
    pub time: Arc<dyn Timekeeper>,
    /// Gives 128 random bits a call; what it gives twice makes two ids equal.
    /// It must not wait for anything.
    pub entropy: Box<dyn FnMut() -> [u8; 16] + Send>,
    /// Under whose name the database writes. Two databases that meet in a mesh
    /// must never share one.
    pub site: SiteId,
    /// Where the content of attachments is; in memory unless it is given a place.
    pub attachments: Attachments,
    /// Who runs the observers, and what is due about the login.
    pub observers: ObserverDriver,
    /// What the device proves itself with; none unless it is given one.
    pub(crate) device: Option<Device>,
}

/// A device: its own key, and where its login is kept.
pub(crate) struct Device {
    pub(crate) key: PeerKey,
    /// `None`: nowhere.
    pub(crate) directory: Option<PathBuf>,
}

/// Who runs observers again after commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ObserverDriver {
    /// A thread of the database, woken by each commit.
    #[default]
    Thread,
    /// Whoever calls `Database::poll_observers`; there is no thread.
    Caller,
}

impl Surroundings {
    /// The surroundings that have no default.
    pub fn new(
        engine: Arc<dyn Engine>,
        time: Arc<dyn Timekeeper>,
        entropy: impl FnMut() -> [u8; 16] + Send + 'static,
        site: SiteId,
    ) -> Self {
        Self {
            engine,
            time,
            entropy: Box::new(entropy),
            site,
            attachments: Attachments::in_memory(),
            observers: ObserverDriver::default(),
            device: None,
        }
    }

    /// With the key of a device and its login in `directory`, made if they are
    /// absent, so that the database can log in and sync. The site is that of the
    /// device then. The directory belongs to one process at a time.
    ///
    /// # Errors
    /// The key cannot be read or written.
    pub fn on_device(mut self, database_id: &str, directory: &Path) -> Result<Self, PeerKeyError> {
        let key = PeerKey::load_or_create(directory)?;
        self.site = SiteId::derive(database_id, key.public());
        self.device = Some(Device {
            key,
            directory: Some(directory.to_owned()),
        });
        Ok(self)
    }
}

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

/// The operating system's randomness, stirred into a pool that goes on should
/// the system ever have none to give later.
///
/// # Errors
/// It has none to give now.
pub(crate) fn system_entropy() -> Result<impl FnMut() -> [u8; 16] + Send + 'static, getrandom::Error>
{
    let mut pool = [0; 32];
    getrandom::fill(&mut pool)?;
    Ok(move || {
        let mut fresh = [0; 32];
        // A failure leaves zeros: the pool alone then decides, as good as new.
        let _ = getrandom::fill(&mut fresh);
        let mut hasher = blake3::Hasher::new_derive_key(POOL_DOMAIN);
        hasher.update(&pool).update(&fresh);
        let mut stream = hasher.finalize_xof();
        let mut drawn = [0; 16];
        stream.fill(&mut pool);
        stream.fill(&mut drawn);
        drawn
    })
}

type Draw = Box<dyn FnMut() -> [u8; 16] + Send>;

/// The one source of randomness of a database, shared by all who draw from it.
#[derive(Clone)]
pub(crate) struct Entropy(Arc<Mutex<Draw>>);

impl Entropy {
    pub(crate) fn new(draw: Draw) -> Self {
        Self(Arc::new(Mutex::new(draw)))
    }

    /// 128 random bits.
    pub(crate) fn draw(&self) -> [u8; 16] {
        // A source that panicked may be asked again: it has no state of ours.
        (self.0.lock().unwrap_or_else(PoisonError::into_inner))()
    }
}

/// Random ids for one statement: one draw when the first is asked for,
/// stretched over the rest.
pub(crate) struct RandomIds<'e> {
    entropy: &'e Entropy,
    stream: RefCell<Option<Box<blake3::OutputReader>>>,
}

impl<'e> RandomIds<'e> {
    pub(crate) fn new(entropy: &'e Entropy) -> Self {
        Self {
            entropy,
            stream: RefCell::default(),
        }
    }

    /// 16 bytes that were never given before.
    pub(crate) fn next(&self) -> [u8; 16] {
        let mut stream = self.stream.borrow_mut();
        let stream = stream.get_or_insert_with(|| {
            let mut hasher = blake3::Hasher::new_derive_key(IDS_DOMAIN);
            hasher.update(&self.entropy.draw());
            Box::new(hasher.finalize_xof())
        });
        let mut id = [0; 16];
        stream.fill(&mut id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_randomness_never_repeats() {
        let mut draw = system_entropy().unwrap();
        let drawn: std::collections::BTreeSet<_> = (0..1000).map(|_| draw()).collect();
        assert_eq!(drawn.len(), 1000);
    }

    #[test]
    fn ids_of_one_statement_cost_one_draw_and_are_repeatable() {
        let ids = |seed: u8| {
            let drawn = Arc::new(Mutex::new(0));
            let counted = Arc::clone(&drawn);
            let entropy = Entropy::new(Box::new(move || {
                *counted.lock().unwrap() += 1;
                [seed; 16]
            }));
            let ids = RandomIds::new(&entropy);
            let ids = [ids.next(), ids.next(), ids.next()];
            assert_eq!(*drawn.lock().unwrap(), 1);
            ids
        };
        assert_eq!(ids(1), ids(1));
        assert_ne!(ids(1), ids(2));
        assert_ne!(ids(1)[0], ids(1)[1]);
    }
}

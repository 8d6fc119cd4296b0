//! Opening a database: in the world of a machine, or in one that the caller
//! brings.

use std::sync::Arc;

use tombolo_document::SiteId;
use tombolo_store::attachments::Attachments;
use tombolo_store::engine::{Engine, FjallEngine, FjallSettings, MemoryEngine};
use tombolo_store::{OpeningProgress, Store, StoreSettings};

use crate::commit_feed::CommitFeed;
use crate::database::{Database, Executor};
use crate::error::OpenError;
use crate::options::{Options, Storage};
use crate::peer_key::PeerKey;
use crate::place;
use crate::surroundings::{Device, Entropy, Surroundings, SystemTimekeeper, system_entropy};
use crate::sync::Board;

/// The directory of the content of attachments, within that of the database.
const ATTACHMENTS: &str = "attachments";

impl Database {
    /// Opens a database, or makes a new one.
    ///
    /// # Errors
    /// The directory is held by another process, holds another database or a
    /// newer format, is damaged, or cannot be written.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let (engine, key, is_here): (Arc<dyn Engine>, PeerKey, bool) = match &options.storage {
            Storage::Directory(directory) => {
                // The engine takes the lock under which the key may be made.
                let engine = FjallEngine::open(directory, &FjallSettings::default())?;
                let is_here = place::is_here(directory)?;
                // Two devices with one key would take each other for themselves.
                let key = if is_here {
                    PeerKey::load_or_create(directory)?
                } else {
                    PeerKey::create(directory)?
                };
                (Arc::new(engine), key, is_here)
            }
            Storage::Memory => (Arc::new(MemoryEngine::new()), PeerKey::ephemeral()?, true),
        };
        let site = SiteId::derive(&options.database_id, key.public());
        let entropy = system_entropy().map_err(|error| OpenError::Entropy(Box::new(error)))?;
        let time = Arc::new(SystemTimekeeper::new());
        let mut surroundings = Surroundings::new(engine, time, entropy, site);
        let directory = match &options.storage {
            Storage::Directory(directory) => Some(directory.clone()),
            Storage::Memory => None,
        };
        if let Some(directory) = &directory {
            surroundings.attachments = Attachments::open(&directory.join(ATTACHMENTS))?;
        }
        surroundings.device = Some(Device { key, directory });
        let database = Self::open_with(options, surroundings)?;
        if let (Storage::Directory(directory), false) = (&database.options.storage, is_here) {
            place::settle(directory, &database)?;
        }
        Ok(database)
    }

    /// Opens a database, or makes a new one, in surroundings that the caller
    /// brings: the way for simulators, and for programs with a clock or a disk
    /// of their own. `Options::storage` is not looked at.
    ///
    /// With the same surroundings, the same calls one after another give the
    /// same stamps, the same ids and the same bytes.
    ///
    /// # Errors
    /// The engine failed, or holds another database, a newer format or damage.
    pub fn open_with(options: Options, surroundings: Surroundings) -> Result<Self, OpenError> {
        let Surroundings {
            engine,
            time,
            entropy,
            site,
            attachments,
            observers,
            device,
        } = surroundings;
        let entropy = Entropy::new(entropy);
        let feed = Arc::new(CommitFeed::default());
        let drawn = entropy.clone();
        let mut settings =
            StoreSettings::new(&*options.database_id, site, Arc::clone(&time), move || {
                drawn.draw()
            });
        settings.transaction_limit = options.transaction_limit;
        settings.skew_limit_ms = u64::try_from(options.skew_limit.as_millis()).unwrap_or(u64::MAX);
        let announced = Arc::clone(&feed);
        settings.on_commit = Box::new(move |commits| announced.announce(&commits));
        settings.on_opening = Box::new(tell_opening);
        let store = Arc::new(Store::open(engine, settings)?);
        let board = Arc::new(Board::new(Arc::clone(&store)));
        let executor = Arc::new(Executor::new(time, entropy, board));
        let shelves = (store, attachments);
        Self::assemble((options, device), shelves, executor, feed, observers)
    }
}

/// Says why the opening takes so long.
fn tell_opening(progress: OpeningProgress) {
    let OpeningProgress {
        documents,
        damaged,
        is_over,
    } = progress;
    if damaged > 0 && is_over {
        tracing::warn!(target: "tombolo::store", damaged, "documents are damaged: attachments that they alone refer to may be removed; restore them from a backup or from a peer");
    }
    if documents > 0 {
        tracing::info!(target: "tombolo::store", documents, is_over, "reading all documents once, to know which attachments they refer to");
    }
}

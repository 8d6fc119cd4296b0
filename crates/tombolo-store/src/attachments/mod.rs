//! The content of attachments: bytes that documents refer to, kept in files of
//! their own and named by their hash.
//!
//! Content is written once, from its beginning or chunk by chunk, and is there
//! only when it is whole, verified and durable. It never passes the queue of
//! writes, and no engine sees it: docs/decisions/attachments.md says why. Paths
//! are made of hashes alone; no text from outside ever is part of one.

mod blob;
mod collect;
mod content;
mod error;
mod medium;
mod name;
mod partial;
mod reader;
mod settling;
mod writer;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tombolo_document::attachment::{AttachmentId, Manifest};

use medium::Medium;
use name::Name;

pub use collect::{Collected, GRACE_DEFAULT};
pub use content::AttachmentContent;
pub use error::AttachmentError;
pub use medium::MEMORY_BYTES_MAX;
pub use partial::{CHECKPOINT_CHUNKS, Partial};
pub use reader::AttachmentReader;
pub use writer::AttachmentWriter;

/// Names of new content that are kept for the next collection. With more, that
/// collection looks at everything that is held.
pub const FRESH_MAX: usize = 65_536;

/// The attachments of one database. Clones share them.
#[derive(Clone, Debug)]
pub struct Attachments(Arc<Shelf>);

#[derive(Debug)]
struct Shelf {
    medium: Medium,
    desk: Mutex<Desk>,
}

/// What the shelf knows besides its files.
#[derive(Debug, Default)]
struct Desk {
    /// The number of the next file of an upload.
    uploads: u64,
    /// Partial content that somebody writes.
    in_use: BTreeSet<AttachmentId>,
    /// Whole content that came since the last collection.
    fresh: BTreeSet<AttachmentId>,
    /// Whether more is held than a collection was told of: at first everything.
    all_looked_at: bool,
    /// When content was first found without a document that refers to it.
    idle_since: BTreeMap<AttachmentId, Duration>,
}

impl Attachments {
    /// The attachments in `directory`, which is made if it is absent and belongs
    /// to one process. Uploads that had not ended are removed; what was being
    /// fetched stays.
    ///
    /// # Errors
    /// The directory cannot be read or written.
    pub fn open(directory: &Path) -> Result<Self, AttachmentError> {
        Ok(Self::on(Medium::in_directory(directory)?))
    }

    /// Attachments that are lost with the process, at most [`MEMORY_BYTES_MAX`]
    /// of them.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::in_memory_of(MEMORY_BYTES_MAX)
    }

    /// As [`Attachments::in_memory`] with another limit: a disk that can be full.
    #[must_use]
    pub fn in_memory_of(bytes_max: u64) -> Self {
        Self::on(Medium::in_memory(bytes_max))
    }

    fn on(medium: Medium) -> Self {
        Self(Arc::new(Shelf {
            medium,
            desk: Mutex::default(),
        }))
    }

    /// Begins new content whose hash is not known yet.
    ///
    /// # Errors
    /// No file can be made.
    pub fn begin_write(&self) -> Result<AttachmentWriter, AttachmentError> {
        AttachmentWriter::begin(self)
    }

    /// Whole content; `None` if it is not held.
    ///
    /// # Errors
    /// The files cannot be read; [`AttachmentError::Damaged`] if the content is
    /// not what its name says.
    pub fn open_content(
        &self,
        id: AttachmentId,
    ) -> Result<Option<AttachmentReader>, AttachmentError> {
        AttachmentReader::open(self, id)
    }

    /// Whether whole content is held; looks no further than at its name.
    ///
    /// # Errors
    /// The files cannot be read.
    pub fn holds(&self, id: AttachmentId) -> Result<bool, AttachmentError> {
        let found = self.medium().find(Name::Content(id));
        Ok(found.map_err(AttachmentError::reading)?.is_some())
    }

    /// The manifest of content that is held.
    ///
    /// # Errors
    /// As for [`Attachments::open_content`].
    pub fn manifest(&self, id: AttachmentId) -> Result<Option<Manifest>, AttachmentError> {
        let content = self.open_content(id)?;
        Ok(content.map(AttachmentReader::into_manifest))
    }

    /// Content that comes chunk by chunk, and what is here of it from before.
    ///
    /// # Errors
    /// [`AttachmentError::InUse`] while somebody else has it; a length that no
    /// attachment has; the files cannot be read or written.
    pub fn partial(&self, id: AttachmentId, length: u64) -> Result<Partial, AttachmentError> {
        Partial::open(self, id, length)
    }

    /// Visits all whole content, in the order of the ids, with its length.
    /// What comes or goes meanwhile may be told or not.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self, visit: &mut dyn FnMut(AttachmentId, u64)) -> Result<(), AttachmentError> {
        let listed = self.medium().list_content(visit);
        listed.map_err(AttachmentError::reading)
    }

    /// Removes content, whole or in part, whatever refers to it; whoever reads
    /// it goes on reading. Content that is not held is no error.
    ///
    /// # Errors
    /// [`AttachmentError::InUse`] while it is being fetched; a file cannot be
    /// removed.
    pub fn remove(&self, id: AttachmentId) -> Result<(), AttachmentError> {
        let mut desk = self.desk();
        if desk.in_use.contains(&id) {
            return Err(AttachmentError::InUse { id });
        }
        self.remove_files(&mut desk, id)
    }

    fn remove_files(&self, desk: &mut Desk, id: AttachmentId) -> Result<(), AttachmentError> {
        desk.idle_since.remove(&id);
        desk.fresh.remove(&id);
        for name in Name::all_of(id) {
            let removed = self.medium().remove(name);
            removed.map_err(|error| AttachmentError::io("remove an attachment", error))?;
        }
        Ok(())
    }

    fn medium(&self) -> &Medium {
        &self.0.medium
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // What is in there is right after each single statement.
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts whole, durable content and its manifest under its name. What was
    /// there gives way: it may be damaged, and this was just verified.
    fn shelve(&self, source: Name, manifest: &Manifest) -> Result<(), AttachmentError> {
        let id = manifest.id();
        let failed = |error| AttachmentError::io("keep an attachment", error);
        let mut desk = self.desk();
        if manifest.as_bytes().is_empty() {
            self.medium().remove(Name::Manifest(id)).map_err(failed)?;
        } else {
            let staged = Name::StagedManifest(id);
            let file = self.medium().create(staged).map_err(failed)?;
            file.write_at(manifest.as_bytes(), 0)
                .and_then(|()| file.sync())
                .and_then(|()| self.medium().rename(staged, Name::Manifest(id)))
                .map_err(failed)?;
        }
        self.medium()
            .rename(source, Name::Content(id))
            .map_err(failed)?;
        // Its time without a document begins anew, whoever had it before.
        desk.idle_since.remove(&id);
        if desk.fresh.len() < FRESH_MAX {
            desk.fresh.insert(id);
        } else {
            desk.all_looked_at = false;
        }
        Ok(())
    }
}

//! Content that comes chunk by chunk, in any order, with pauses and restarts.
//!
//! A chunk counts when it was checked and written. Which chunks are durable is
//! noted after their bytes were synced, so that a power cut makes no note a lie;
//! what was written and not noted is found by hashing it again.

use std::sync::Arc;

use tombolo_document::attachment::{
    AttachmentId, CHUNK_BYTES, CheckedChunk, ChunkError, Manifest, ManifestError, chunk_count,
    chunk_length,
};

use super::{
    AttachmentError, Attachments,
    blob::Blob,
    medium::Access,
    name::Name,
    settling::{Settling, UnderWay, keep},
};

/// Chunks after which what was written is synced and noted, beside what comes next; then the
/// next of these waits for the one before.
pub const CHECKPOINT_CHUNKS: u64 = 64;

/// Bytes of the length before a stored manifest.
const LENGTH_BYTES: usize = 8;

/// Content that is being fetched. Only one at a time for each id. Dropping it keeps what came.
#[derive(Debug)]
pub struct Partial {
    attachments: Attachments,
    id: AttachmentId,
    length: u64,
    file: Arc<Blob>,
    manifest: Option<Manifest>,
    /// A bit for each chunk that is there.
    held: Vec<u8>,
    missing: u64,
    /// Chunks since the last checkpoint was begun.
    unsynced: u64,
    under_way: UnderWay,
}

impl Partial {
    pub(super) fn open(
        attachments: &Attachments,
        id: AttachmentId,
        length: u64,
    ) -> Result<Self, AttachmentError> {
        // Before anything is set aside for a length that was announced.
        match Manifest::verify(&[], id, length) {
            Err(error @ ManifestError::TooLong { .. }) => return Err(error.into()),
            Err(error @ ManifestError::WrongHash { .. }) => return Err(error.into()),
            Ok(_) | Err(ManifestError::WrongSize { .. }) => {}
        }
        if !attachments.desk().in_use.insert(id) {
            return Err(AttachmentError::InUse { id });
        }
        let opened = Self::resume(attachments, id, length);
        if opened.is_err() {
            attachments.desk().in_use.remove(&id);
        }
        opened
    }

    fn resume(
        attachments: &Attachments,
        id: AttachmentId,
        length: u64,
    ) -> Result<Self, AttachmentError> {
        let medium = attachments.medium();
        let manifest = stored_manifest(attachments, id, length)?;
        let kept = match &manifest {
            Some(_) => medium
                .find_for(Name::Part(id), Access::Write)
                .map_err(AttachmentError::reading)?,
            None => None,
        };
        let is_new = kept.is_none();
        let file = match kept {
            Some(file) => file,
            None => begin(attachments, id, manifest.is_some())?,
        };
        let count = chunk_count(length);
        let mut partial = Self {
            attachments: attachments.clone(),
            id,
            length,
            file: Arc::new(file),
            manifest,
            // At most 4 KiB: a bit for each MiB of the longest content.
            held: vec![0; count.div_ceil(8) as usize],
            missing: count,
            unsynced: 0,
            under_way: UnderWay::default(),
        };
        if !is_new {
            partial.recall()?;
        }
        Ok(partial)
    }

    /// Whose content it is.
    #[must_use]
    pub const fn id(&self) -> AttachmentId {
        self.id
    }

    /// Bytes that it will have.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The manifest, once it is known; at once for content of one chunk.
    #[must_use]
    pub const fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// Takes the manifest that a peer sent, and keeps it. A second one is passed over.
    ///
    /// # Errors
    /// [`AttachmentError::Manifest`] if it does not lead to the id, which is the peer's fault, or
    /// the fault of who wrote the length into the document; the file cannot be written.
    pub fn adopt_manifest(&mut self, bytes: &[u8]) -> Result<(), AttachmentError> {
        if self.manifest.is_some() {
            return Ok(());
        }
        let manifest = Manifest::verify(bytes, self.id, self.length)?;
        let stored = [&self.length.to_le_bytes()[..], bytes].concat();
        keep(&self.attachments, Name::PartManifest(self.id), &stored)?;
        self.manifest = Some(manifest);
        Ok(())
    }

    /// Takes a chunk. One that is there already is passed over.
    ///
    /// # Errors
    /// [`AttachmentError::Chunk`] if it is not what it was said to be, which is the peer's fault;
    /// [`AttachmentError::NoManifest`]; [`AttachmentError::NoRoom`] or another failure of the
    /// disk. What was there before stays.
    pub fn put_chunk(&mut self, index: u64, bytes: &[u8]) -> Result<(), AttachmentError> {
        let id = self.id;
        let manifest = self.manifest.as_ref();
        let manifest = manifest.ok_or(AttachmentError::NoManifest { id })?;
        self.put_checked(&manifest.check(index, bytes)?)
    }

    /// As [`Partial::put_chunk`], for a chunk that was checked before and is not hashed again.
    ///
    /// # Errors
    /// As for [`Partial::put_chunk`]; [`AttachmentError::Chunk`] if it is of another attachment.
    pub fn put_checked<P: AsRef<[u8]>>(
        &mut self,
        chunk: &CheckedChunk<P>,
    ) -> Result<(), AttachmentError> {
        let (id, index) = (self.id, chunk.index());
        if chunk.attachment() != id {
            return Err(ChunkError::WrongHash { index }.into());
        }
        if self.manifest.is_none() {
            return Err(AttachmentError::NoManifest { id });
        }
        let Some(wanted) = chunk_length(self.length, index) else {
            let count = chunk_count(self.length);
            return Err(ChunkError::OutOfRange { index, count }.into());
        };
        let found = chunk.length();
        if found != wanted {
            let wrong = ChunkError::WrongLength {
                index,
                found,
                wanted,
            };
            return Err(wrong.into());
        }
        if self.holds(index) {
            return Ok(());
        }
        let mut offset = index * CHUNK_BYTES as u64;
        for part in chunk.parts() {
            let written = self.file.write_at(part, offset);
            written.map_err(AttachmentError::writing)?;
            offset += part.len() as u64;
        }
        self.note(index);
        self.unsynced += 1;
        if self.unsynced >= CHECKPOINT_CHUNKS {
            self.begin_checkpoint()?;
        }
        Ok(())
    }

    /// Whether this chunk is there.
    #[must_use]
    pub fn holds(&self, index: u64) -> bool {
        let byte = usize::try_from(index / 8).ok();
        let byte = byte.and_then(|at| self.held.get(at));
        byte.is_some_and(|byte| byte & (1 << (index % 8)) != 0)
    }

    /// The chunks that are missing, the first ones first.
    pub fn missing(&self) -> impl Iterator<Item = u64> {
        (0..chunk_count(self.length)).filter(|index| !self.holds(*index))
    }

    /// How many chunks are missing.
    #[must_use]
    pub const fn missing_count(&self) -> u64 {
        self.missing
    }

    /// Makes durable what came, and notes it.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn checkpoint(&mut self) -> Result<(), AttachmentError> {
        self.under_way.wait()?;
        self.unsynced = 0;
        self.settling().run()
    }

    /// As [`Partial::checkpoint`], beside what comes next. A failure is told by the call after.
    fn begin_checkpoint(&mut self) -> Result<(), AttachmentError> {
        self.unsynced = 0;
        let settling = self.settling();
        self.under_way.begin(settling)
    }

    fn settling(&self) -> Settling {
        Settling {
            attachments: self.attachments.clone(),
            id: self.id,
            file: Arc::clone(&self.file),
            held: self.held.clone(),
        }
    }

    /// Makes whole content durable and keeps it as such.
    ///
    /// # Errors
    /// [`AttachmentError::Incomplete`]; the files cannot be written. What came stays.
    pub fn finish(mut self) -> Result<(AttachmentId, u64), AttachmentError> {
        let (id, chunks) = (self.id, self.missing);
        self.under_way.wait()?;
        let manifest = self.manifest.as_ref();
        let manifest = manifest.ok_or(AttachmentError::NoManifest { id })?;
        if chunks > 0 {
            return Err(AttachmentError::Incomplete { id, chunks });
        }
        self.file.sync().map_err(AttachmentError::writing)?;
        self.attachments.shelve(Name::Part(id), manifest)?;
        remove(
            &self.attachments,
            &[Name::PartChunks(id), Name::PartManifest(id)],
        )?;
        Ok((id, self.length))
    }

    /// Gives the content up and removes what came.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn discard(mut self) -> Result<(), AttachmentError> {
        let id = self.id;
        // Its note would come back; whether it failed does not matter any more.
        let _ = self.under_way.wait();
        let names = [Name::PartChunks(id), Name::PartManifest(id), Name::Part(id)];
        remove(&self.attachments, &names)
    }

    fn note(&mut self, index: u64) {
        self.held[(index / 8) as usize] |= 1 << (index % 8);
        self.missing -= 1;
    }

    /// Notes what is there from before: what was noted, and what proves itself.
    fn recall(&mut self) -> Result<(), AttachmentError> {
        let noted = self.read_notes()?;
        let there = self.file.length().map_err(AttachmentError::reading)?;
        let Some(manifest) = self.manifest.take() else {
            return Ok(());
        };
        let mut chunk = vec![0; CHUNK_BYTES.min(there as usize)];
        for index in 0..chunk_count(there.min(self.length)) {
            let is_noted = noted[(index / 8) as usize] & (1 << (index % 8)) != 0;
            let wanted = chunk_length(self.length, index).unwrap_or(0);
            if is_noted || self.proves_itself(&manifest, index, chunk.get_mut(..wanted))? {
                self.note(index);
            }
        }
        self.manifest = Some(manifest);
        Ok(())
    }

    fn proves_itself(
        &self,
        manifest: &Manifest,
        index: u64,
        chunk: Option<&mut [u8]>,
    ) -> Result<bool, AttachmentError> {
        let Some(chunk) = chunk else {
            return Ok(false);
        };
        let read = self.file.read_at(chunk, index * CHUNK_BYTES as u64);
        let read = read.map_err(AttachmentError::reading)?;
        Ok(manifest.check_chunk(index, &chunk[..read]).is_ok())
    }

    /// The notes of the last checkpoint; a bit for each chunk.
    fn read_notes(&self) -> Result<Vec<u8>, AttachmentError> {
        let mut noted = vec![0; self.held.len()];
        let opened = self.attachments.medium().find(Name::PartChunks(self.id));
        if let Some(file) = opened.map_err(AttachmentError::reading)? {
            file.read_at(&mut noted, 0)
                .map_err(AttachmentError::reading)?;
        }
        Ok(noted)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Nobody else begins before nothing is under way here.
        let _ = self.under_way.wait();
        self.attachments.desk().in_use.remove(&self.id);
    }
}

/// An empty file, before which no note of an older one is left: such a note would make what comes
/// next count as durable.
fn begin(
    attachments: &Attachments,
    id: AttachmentId,
    keep_manifest: bool,
) -> Result<Blob, AttachmentError> {
    if !keep_manifest {
        remove(attachments, &[Name::PartManifest(id)])?;
    }
    remove(attachments, &[Name::PartChunks(id)])?;
    let (medium, name) = (attachments.medium(), Name::Part(id));
    let made = medium.sync_names(name).and_then(|()| medium.create(name));
    made.map_err(AttachmentError::writing)
}

fn remove(attachments: &Attachments, names: &[Name]) -> Result<(), AttachmentError> {
    for name in names {
        let removed = attachments.medium().remove(*name);
        removed.map_err(AttachmentError::writing)?;
    }
    Ok(())
}

/// The manifest that was adopted before for this length, or the one that needs no bytes.
fn stored_manifest(
    attachments: &Attachments,
    id: AttachmentId,
    length: u64,
) -> Result<Option<Manifest>, AttachmentError> {
    let size = Manifest::size(length);
    if size == 0 {
        return Ok(Manifest::verify(&[], id, length).ok());
    }
    let opened = attachments.medium().find(Name::PartManifest(id));
    let Some(file) = opened.map_err(AttachmentError::reading)? else {
        return Ok(None);
    };
    let there = file.length().map_err(AttachmentError::reading)?;
    if there != size + LENGTH_BYTES as u64 {
        return Ok(None);
    }
    let mut bytes = vec![0; usize::try_from(there).unwrap_or(0)];
    file.read_at(&mut bytes, 0)
        .map_err(AttachmentError::reading)?;
    let Some((stored, manifest)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    if u64::from_le_bytes(*stored) != length {
        return Ok(None);
    }
    Ok(Manifest::verify(manifest, id, length).ok())
}

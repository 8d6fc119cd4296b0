//! Whole content, read in any order.

use std::sync::Arc;

use tombolo_document::attachment::{
    AttachmentId, CHUNK_BYTES, Manifest, ManifestBuilder, chunk_length,
};

use super::{AttachmentContent, AttachmentError, Attachments, blob::Blob, name::Name};

/// Whole content. It can be read to its end even if it is removed meanwhile. Clones share it.
#[derive(Clone, Debug)]
pub struct AttachmentReader {
    file: Arc<Blob>,
    manifest: Arc<Manifest>,
}

impl AttachmentReader {
    pub(super) fn open(
        attachments: &Attachments,
        id: AttachmentId,
    ) -> Result<Option<Self>, AttachmentError> {
        let opened = attachments.medium().find(Name::Content(id));
        let Some(file) = opened.map_err(AttachmentError::reading)? else {
            return Ok(None);
        };
        let length = file.length().map_err(AttachmentError::reading)?;
        let manifest = match stored_manifest(attachments, id, length)? {
            Some(manifest) => manifest,
            // It was lost or damaged; the content says it again.
            None => manifest_of(&file, id)?,
        };
        Ok(Some(Self {
            file: Arc::new(file),
            manifest: Arc::new(manifest),
        }))
    }

    /// The hash of the content.
    #[must_use]
    pub fn id(&self) -> AttachmentId {
        self.manifest.id()
    }

    /// Bytes of the content.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.manifest.length()
    }

    /// The content as a stream, from its beginning.
    #[must_use]
    pub fn content(&self) -> AttachmentContent {
        AttachmentContent::new(self.clone())
    }

    /// The hashes of its chunks.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn into_manifest(self) -> Manifest {
        Arc::unwrap_or_clone(self.manifest)
    }

    /// The chunk at `index`, read and checked: what a peer and a client are sent.
    ///
    /// # Errors
    /// [`AttachmentError::Damaged`]; there is no such chunk; the file cannot be read.
    pub fn chunk(&self, index: u64) -> Result<Vec<u8>, AttachmentError> {
        let length = chunk_length(self.length(), index).unwrap_or(0);
        let mut chunk = vec![0; length];
        let offset = index.saturating_mul(CHUNK_BYTES as u64);
        self.read_at(offset, &mut chunk)?;
        match self.manifest.check_chunk(index, &chunk) {
            Err(error) if length == 0 => Err(error.into()),
            Err(_) => Err(AttachmentError::Damaged { id: self.id() }),
            Ok(()) => Ok(chunk),
        }
    }

    /// Fills `buffer` from `offset` on and gives how many bytes there were: fewer than asked for
    /// only at the end. The bytes are as the disk gives them; [`AttachmentReader::chunk`] checks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, AttachmentError> {
        let read = self.file.read_at(buffer, offset);
        read.map_err(AttachmentError::reading)
    }
}

/// The manifest beside the content, if it is there and belongs to it.
fn stored_manifest(
    attachments: &Attachments,
    id: AttachmentId,
    length: u64,
) -> Result<Option<Manifest>, AttachmentError> {
    let wanted = Manifest::size(length);
    let mut bytes = Vec::new();
    if wanted > 0 {
        let opened = attachments.medium().find(Name::Manifest(id));
        let Some(file) = opened.map_err(AttachmentError::reading)? else {
            return Ok(None);
        };
        if file.length().map_err(AttachmentError::reading)? != wanted {
            return Ok(None);
        }
        // At most 1 MiB, and as many bytes as the file has.
        bytes.resize(usize::try_from(wanted).unwrap_or(0), 0);
        file.read_at(&mut bytes, 0)
            .map_err(AttachmentError::reading)?;
    }
    Ok(Manifest::verify(&bytes, id, length).ok())
}

/// The manifest of content, which is read as a whole.
fn manifest_of(file: &Blob, id: AttachmentId) -> Result<Manifest, AttachmentError> {
    let mut builder = ManifestBuilder::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let read = file
            .read_at(&mut buffer, builder.length())
            .map_err(AttachmentError::reading)?;
        if read == 0 {
            break;
        }
        builder.update(&buffer[..read])?;
    }
    let manifest = builder.finish();
    if manifest.id() != id {
        return Err(AttachmentError::Damaged { id });
    }
    Ok(manifest)
}

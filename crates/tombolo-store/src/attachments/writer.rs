//! New content, from its first byte to its last.

use tombolo_document::attachment::{AttachmentId, ManifestBuilder};

use super::{AttachmentError, Attachments, blob::Blob, name::Name};

/// Content that is being written. Dropping it before [`AttachmentWriter::finish`] removes it.
///
/// It holds no content in memory but what it is given.
#[derive(Debug)]
pub struct AttachmentWriter {
    attachments: Attachments,
    name: Name,
    /// None once a write failed or the content was kept.
    file: Option<Blob>,
    manifest: ManifestBuilder,
}

impl AttachmentWriter {
    pub(super) fn begin(attachments: &Attachments) -> Result<Self, AttachmentError> {
        let name = {
            let mut desk = attachments.desk();
            desk.uploads += 1;
            Name::Upload(desk.uploads)
        };
        let file = attachments.medium().create(name);
        Ok(Self {
            attachments: attachments.clone(),
            name,
            file: Some(file.map_err(AttachmentError::writing)?),
            manifest: ManifestBuilder::new(),
        })
    }

    /// Bytes that were written.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.manifest.length()
    }

    /// Writes the next bytes.
    ///
    /// # Errors
    /// The content became too long, [`AttachmentError::NoRoom`], or the disk failed. The file is
    /// removed then, and every later call gives [`AttachmentError::GivenUp`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), AttachmentError> {
        let offset = self.manifest.length();
        let file = self.file.as_ref().ok_or(AttachmentError::GivenUp)?;
        let written = self
            .manifest
            .update(bytes)
            .map_err(AttachmentError::from)
            .and_then(|()| {
                let written = file.write_at(bytes, offset);
                written.map_err(AttachmentError::writing)
            });
        if written.is_err() {
            self.give_up();
        }
        written
    }

    /// Makes the content durable and gives its id and length. Whoever is told of them may refer
    /// to the content: it is there after any crash.
    ///
    /// # Errors
    /// As for [`AttachmentWriter::write`]; nothing is kept.
    pub fn finish(mut self) -> Result<(AttachmentId, u64), AttachmentError> {
        let file = self.file.take().ok_or(AttachmentError::GivenUp)?;
        let manifest = std::mem::take(&mut self.manifest).finish();
        let kept = file
            .sync()
            .map_err(AttachmentError::writing)
            .and_then(|()| self.attachments.shelve(self.name, &manifest));
        if let Err(error) = kept {
            self.give_up();
            return Err(error);
        }
        Ok((manifest.id(), manifest.length()))
    }

    fn give_up(&mut self) {
        self.file = None;
        // What cannot be removed now is removed when the attachments are opened next.
        let _ = self.attachments.medium().remove(self.name);
    }
}

impl Drop for AttachmentWriter {
    fn drop(&mut self) {
        if self.file.is_some() {
            self.give_up();
        }
    }
}

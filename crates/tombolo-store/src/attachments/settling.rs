//! Making durable what came of a fetch, beside what comes next: a disk that takes
//! its time with one part holds up no other.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use tombolo_document::attachment::AttachmentId;

use super::{AttachmentError, Attachments, blob::Blob, medium::Access, name::Name};

/// What is to be made durable: all that was written to the file before.
pub(super) struct Settling {
    pub(super) attachments: Attachments,
    pub(super) id: AttachmentId,
    pub(super) file: Arc<Blob>,
    /// A bit for each chunk that was written.
    pub(super) held: Vec<u8>,
}

impl Settling {
    /// Syncs, and only then notes which chunks are there.
    pub(super) fn run(self) -> Result<(), AttachmentError> {
        self.file.sync().map_err(AttachmentError::writing)?;
        keep(&self.attachments, Name::PartChunks(self.id), &self.held)
    }
}

/// The one that is under way, if any. It is waited for when this is dropped.
#[derive(Debug, Default)]
pub(super) struct UnderWay(Option<JoinHandle<Result<(), AttachmentError>>>);

impl UnderWay {
    /// Begins one on a thread of its own, once the one before is over.
    pub(super) fn begin(&mut self, settling: Settling) -> Result<(), AttachmentError> {
        self.wait()?;
        if let Blob::Memory(_) = *settling.file {
            return settling.run();
        }
        let builder = thread::Builder::new().name("tombolo-settling".to_owned());
        let begun = builder.spawn(move || settling.run());
        self.0 = Some(begun.map_err(AttachmentError::writing)?);
        Ok(())
    }

    /// Waits for its end, and tells it once.
    pub(super) fn wait(&mut self) -> Result<(), AttachmentError> {
        let Some(begun) = self.0.take() else {
            return Ok(());
        };
        // It panics nowhere; if it did, nothing was noted.
        let ended = begun.join();
        ended.unwrap_or_else(|_| Err(AttachmentError::writing(std::io::ErrorKind::Other.into())))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // A note that comes after the file of another fetch was begun would be a lie. What failed
        // is hashed when the content is opened next.
        let _ = self.wait();
    }
}

/// Writes a small file durably. Bits of notes only ever come, so a file of them that is half the
/// old one is right; a manifest is verified whenever it is read.
pub(super) fn keep(
    attachments: &Attachments,
    name: Name,
    bytes: &[u8],
) -> Result<(), AttachmentError> {
    let medium = attachments.medium();
    let opened = medium
        .find_for(name, Access::Write)
        .and_then(|file| match file {
            Some(file) => Ok(file),
            None => medium.create(name),
        });
    let kept = opened.and_then(|file| {
        file.write_at(bytes, 0)?;
        file.sync()
    });
    kept.map_err(AttachmentError::writing)
}

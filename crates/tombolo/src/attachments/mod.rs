//! Attachments of a database: bytes beside the documents, of any size, that
//! documents refer to by a token.
//!
//! Content is kept first and referred to afterwards; what no document refers to
//! for an hour is removed. No content passes the queue of writes.

mod collector;

use std::collections::BTreeMap;
use std::io::Read;

use tombolo_document::attachment::{AttachmentId, AttachmentToken, CHUNK_BYTES, TokenError};
use tombolo_store::attachments::{AttachmentError, AttachmentReader, AttachmentWriter, Collected};

use crate::database::Database;

pub(crate) use collector::Collector;
pub use collector::{COLLECT_INTERVAL, CollectError};

/// Why new content was not kept. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewAttachmentError {
    /// The source of the bytes failed. The caller's fault.
    #[error("the source of the attachment cannot be read")]
    Source(#[source] std::io::Error),
    /// The metadata are too large. The caller's fault.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The content is too long, there is no room, or the disk failed.
    #[error(transparent)]
    Content(#[from] AttachmentError),
}

impl Database {
    /// Keeps all that `source` gives and returns the token for a document. The
    /// content is durable then, and in memory was one MiB of it at a time.
    ///
    /// Put the token into a field of kind ATTACHMENT within an hour; content
    /// without a document is removed after that.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use tombolo::{Database, Object, Options};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let database = Database::open(Options::memory("my-database"))?;
    /// let metadata = BTreeMap::from([("name".to_owned(), "note.txt".to_owned())]);
    /// let token = database.new_attachment(&b"buy milk"[..], metadata)?;
    /// let arguments = Object::from([("file".to_owned(), token.to_value())]);
    /// database.execute(
    ///     "INSERT INTO COLLECTION notes (file ATTACHMENT) DOCUMENTS ({'_id': '1', 'file': :file})",
    ///     arguments,
    /// )?;
    ///
    /// let found = database.execute(
    ///     "SELECT file.id AS id, file.len AS len FROM COLLECTION notes (file ATTACHMENT)",
    ///     Object::new(),
    /// )?;
    /// assert_eq!(found.items[0].as_object().unwrap()["len"], 8_i64.into());
    /// let content = database.attachment(&token)?.expect("it was just kept");
    /// assert_eq!(std::io::read_to_string(content.content())?, "buy milk");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NewAttachmentError`]; nothing is kept then.
    pub fn new_attachment(
        &self,
        mut source: impl Read,
        metadata: BTreeMap<String, String>,
    ) -> Result<AttachmentToken, NewAttachmentError> {
        // The metadata are judged before the content is read.
        let mut token = AttachmentToken::new(AttachmentId::of(&[]), 0, metadata)?;
        let mut writer = self.write_attachment()?;
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => writer.write(&buffer[..read])?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(NewAttachmentError::Source(error)),
            }
        }
        (token.id, token.length) = writer.finish()?;
        Ok(token)
    }

    /// Begins new content that is written piece by piece. Nothing is kept before
    /// [`AttachmentWriter::finish`].
    ///
    /// # Errors
    /// No file can be made.
    pub fn write_attachment(&self) -> Result<AttachmentWriter, AttachmentError> {
        self.attachments.begin_write()
    }

    /// The content of an attachment, by its token or its id; `None` if this
    /// device does not hold it. Who may have it is the caller's to decide.
    ///
    /// # Errors
    /// The files cannot be read, or are damaged.
    pub fn attachment(
        &self,
        attachment: impl Into<AttachmentId>,
    ) -> Result<Option<AttachmentReader>, AttachmentError> {
        self.attachments.open_content(attachment.into())
    }

    /// Removes content that no document refers to for an hour, as a thread of
    /// the database does every ten minutes where it has threads.
    ///
    /// # Errors
    /// The store or the files cannot be read.
    pub fn collect_attachments(&self) -> Result<Collected, CollectError> {
        self.collector.collect()
    }
}

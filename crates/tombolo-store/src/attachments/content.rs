//! The content of an attachment as a stream of bytes.

use std::io::{self, BufRead, Read};

use super::AttachmentReader;

/// Reads an attachment from its beginning, chunk by chunk; each was checked
/// before a byte of it is given. It holds one MiB at most.
#[derive(Debug)]
pub struct AttachmentContent {
    reader: AttachmentReader,
    next: u64,
    chunk: Vec<u8>,
    /// How much of the chunk was given.
    given: usize,
}

impl AttachmentContent {
    pub(super) const fn new(reader: AttachmentReader) -> Self {
        Self {
            reader,
            next: 0,
            chunk: Vec::new(),
            given: 0,
        }
    }
}

impl BufRead for AttachmentContent {
    /// Damage is an error of kind [`io::ErrorKind::InvalidData`].
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.given == self.chunk.len() && self.next < self.reader.manifest().chunk_count() {
            let chunk = self.reader.chunk(self.next);
            self.chunk =
                chunk.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            self.given = 0;
            self.next += 1;
        }
        Ok(&self.chunk[self.given..])
    }

    fn consume(&mut self, bytes: usize) {
        self.given = (self.given + bytes).min(self.chunk.len());
    }
}

impl Read for AttachmentContent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let there = self.fill_buf()?;
        let read = there.len().min(buffer.len());
        buffer[..read].copy_from_slice(&there[..read]);
        self.consume(read);
        Ok(read)
    }
}

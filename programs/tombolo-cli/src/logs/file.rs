//! Messages as JSON lines, handed to the thread that writes files. JSON escapes whatever a client put into them.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

use crate::rolling::LogQueue;

/// Longest line that is kept; the rest of a longer one is cut.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// The queue as tracing wants it.
#[derive(Debug)]
pub(super) struct Queue(pub(super) LogQueue);

/// One line on its way.
#[derive(Debug)]
pub(super) struct Line<'q> {
    queue: &'q LogQueue,
    bytes: Vec<u8>,
}

impl<'q> MakeWriter<'q> for Queue {
    type Writer = Line<'q>;

    fn make_writer(&'q self) -> Self::Writer {
        Line {
            queue: &self.0,
            bytes: Vec::new(),
        }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = LINE_BYTES_MAX.saturating_sub(self.bytes.len());
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.is_empty() {
            return;
        }
        if !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        self.queue.put(bytes);
    }
}

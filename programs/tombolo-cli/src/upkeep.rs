//! What whoever looks after the node may ask it for: whether it can do its work, its numbers, its logs.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tombolo_http::{Body, BodySender};

use crate::clock::unix_ms;
use crate::health::{Node, Readiness};
use crate::logs::archive::{self, Sources};
use crate::metrics::Metrics;
use crate::recorder::NodeRecorder;

/// Archives of logs that are made at once.
const ARCHIVES_MAX: usize = 1;
/// Chunks of an archive that wait for its reader.
const CHUNKS_MAX: usize = 4;
const CHUNK_BYTES: usize = 64 * 1024;

/// The answers of a node about itself.
#[derive(Debug)]
pub(crate) struct Upkeep {
    node: Node,
    metrics: Arc<Metrics>,
    logs: Sources,
    archives: Arc<Semaphore>,
}

/// An archive is being made for somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ArchiveBusy;

impl Upkeep {
    pub(crate) fn new(node: Node, logs: Sources) -> Self {
        Self {
            metrics: Arc::new(Metrics::new(node.clone())),
            node,
            logs,
            archives: Arc::new(Semaphore::new(ARCHIVES_MAX)),
        }
    }

    /// Who counts the requests of this node and writes them down.
    pub(crate) fn recorder(&self) -> NodeRecorder {
        NodeRecorder::new(self.node.audit(), Some(Arc::clone(&self.metrics)))
    }

    /// What is looked at.
    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    pub(crate) fn readiness(&self) -> Readiness {
        self.node.readiness()
    }

    /// # Errors
    /// As [`Metrics::render`].
    pub(crate) fn metrics(&self) -> Result<String, fmt::Error> {
        self.metrics.render()
    }

    /// Begins to make an archive of the logs, which is sent while it is made.
    ///
    /// # Errors
    /// [`ArchiveBusy`].
    pub(crate) fn archive(&self) -> Result<Body, ArchiveBusy> {
        let permit = Arc::clone(&self.archives).try_acquire_owned();
        let permit = permit.map_err(|_| ArchiveBusy)?;
        let (sender, body) = Body::channel(CHUNKS_MAX);
        let (sources, handle) = (self.logs.clone(), Handle::current());
        tokio::task::spawn_blocking(move || {
            let mut chunks = Chunks {
                sender: &sender,
                handle,
                waiting: Vec::with_capacity(CHUNK_BYTES),
            };
            let now_s = unix_ms() / 1000;
            let made = archive::write(&sources, now_s, &mut chunks).and_then(|()| chunks.send());
            if let Err(error) = made {
                tracing::warn!("the archive of the logs was not made: {error}");
                sender.fail();
            }
            drop(permit);
        });
        Ok(body)
    }
}

/// Bytes on their way to the reader, in chunks.
struct Chunks<'s> {
    sender: &'s BodySender,
    handle: Handle,
    waiting: Vec<u8>,
}

impl Chunks<'_> {
    /// Waits while the reader takes nothing.
    fn send(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.waiting, Vec::with_capacity(CHUNK_BYTES));
        let sent = self.handle.block_on(self.sender.send(Bytes::from(chunk)));
        sent.map_err(|gone| io::Error::new(io::ErrorKind::BrokenPipe, gone))
    }
}

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK_BYTES - self.waiting.len();
        let count = bytes.len().min(room);
        self.waiting.extend_from_slice(&bytes[..count]);
        if self.waiting.len() == CHUNK_BYTES {
            self.send()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! One file of an attachment, read and written at places; on a disk or in memory.

use std::{
    fs::File,
    io,
    sync::{Arc, PoisonError, RwLock},
};

use super::medium::Room;

/// An open file.
#[derive(Debug)]
pub(super) enum Blob {
    Disk(File),
    Memory(Arc<MemoryBlob>),
}

/// Bytes in memory that have taken their room.
#[derive(Debug)]
pub(super) struct MemoryBlob {
    bytes: RwLock<Vec<u8>>,
    room: Arc<Room>,
}

impl MemoryBlob {
    pub(super) fn new(room: Arc<Room>) -> Self {
        Self {
            bytes: RwLock::default(),
            room,
        }
    }

    fn write_at(&self, bytes: &[u8], offset: usize) -> io::Result<()> {
        let mut held = self.bytes.write().unwrap_or_else(PoisonError::into_inner);
        let end = offset.saturating_add(bytes.len());
        if end > held.len() {
            self.room.take((end - held.len()) as u64)?;
            held.resize(end, 0);
        }
        held[offset..end].copy_from_slice(bytes);
        Ok(())
    }
}

impl Drop for MemoryBlob {
    fn drop(&mut self) {
        let held = self.bytes.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.room.give_back(held.len() as u64);
    }
}

impl Blob {
    pub(super) fn length(&self) -> io::Result<u64> {
        match self {
            Self::Disk(file) => Ok(file.metadata()?.len()),
            Self::Memory(blob) => {
                let held = blob.bytes.read().unwrap_or_else(PoisonError::into_inner);
                Ok(held.len() as u64)
            }
        }
    }

    /// Fills `buffer` from `offset` on as far as there are bytes; gives how many.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let place = offset + filled as u64;
            match self.read_once(&mut buffer[filled..], place) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn read_once(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Disk(file) => disk::read_at(file, buffer, offset),
            Self::Memory(blob) => {
                let held = blob.bytes.read().unwrap_or_else(PoisonError::into_inner);
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let rest = held.get(from..).unwrap_or_default();
                let read = rest.len().min(buffer.len());
                buffer[..read].copy_from_slice(&rest[..read]);
                Ok(read)
            }
        }
    }

    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self {
            Self::Disk(file) => disk::write_all_at(file, bytes, offset),
            Self::Memory(blob) => {
                let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::StorageFull)?;
                blob.write_at(bytes, offset)
            }
        }
    }

    /// Makes the bytes durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        match self {
            Self::Disk(file) => file.sync_data(),
            Self::Memory(_) => Ok(()),
        }
    }
}

#[cfg(unix)]
mod disk {
    use std::{fs::File, io, os::unix::fs::FileExt};

    pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(buffer, offset)
    }

    pub(super) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }
}

#[cfg(windows)]
mod disk {
    use std::{fs::File, io, os::windows::fs::FileExt};

    pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.seek_read(buffer, offset)
    }

    pub(super) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = file.seek_write(bytes, offset)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[written..];
            offset += written as u64;
        }
        Ok(())
    }
}

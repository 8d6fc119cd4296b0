//! Where the files of attachments are: in a directory, or in memory.
//!
//! A rename is durable when it returns. What it moves must have been synced before.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tombolo_document::attachment::AttachmentId;

use super::{
    AttachmentError,
    blob::{Blob, MemoryBlob},
    name::{Name, PARTIAL, UPLOADS, id_of, prefix},
};

/// Bytes of all attachments of a database in memory.
pub const MEMORY_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

#[derive(Debug)]
pub(super) enum Medium {
    Directory(PathBuf),
    Memory(Memory),
}

#[derive(Debug)]
pub(super) struct Memory {
    files: Mutex<BTreeMap<Name, Arc<MemoryBlob>>>,
    room: Arc<Room>,
}

/// How many bytes are free in memory.
#[derive(Debug)]
pub(super) struct Room(Mutex<u64>);

impl Room {
    pub(super) fn take(&self, bytes: u64) -> io::Result<()> {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(bytes).ok_or(io::ErrorKind::StorageFull)?;
        Ok(())
    }

    pub(super) fn give_back(&self, bytes: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += bytes;
    }
}

impl Medium {
    /// Makes what is missing of the directories, and removes uploads that did not end.
    pub(super) fn in_directory(directory: &Path) -> Result<Self, AttachmentError> {
        let made = clear(&directory.join(UPLOADS))
            .and_then(|()| fs::create_dir_all(directory.join(PARTIAL)))
            .and_then(|()| fs::create_dir_all(directory.join(UPLOADS)))
            .and_then(|()| sync_directory(directory))
            .and_then(|()| directory.parent().map_or(Ok(()), sync_directory));
        made.map_err(|error| AttachmentError::io("make the directory of attachments", error))?;
        Ok(Self::Directory(directory.to_owned()))
    }

    pub(super) fn in_memory(bytes_max: u64) -> Self {
        Self::Memory(Memory {
            files: Mutex::default(),
            room: Arc::new(Room(Mutex::new(bytes_max))),
        })
    }

    /// A new file, empty; one of this name is emptied.
    pub(super) fn create(&self, name: Name) -> io::Result<Blob> {
        match self {
            Self::Directory(root) => {
                let mut options = OpenOptions::new();
                options.read(true).write(true).create(true).truncate(true);
                options.open(root.join(name.path())).map(Blob::Disk)
            }
            Self::Memory(memory) => {
                let blob = Arc::new(MemoryBlob::new(Arc::clone(&memory.room)));
                memory.files().insert(name, Arc::clone(&blob));
                Ok(Blob::Memory(blob))
            }
        }
    }

    /// A file; `None` if there is none of this name.
    pub(super) fn find_for(&self, name: Name, access: Access) -> io::Result<Option<Blob>> {
        match self {
            Self::Directory(root) => {
                let opened = OpenOptions::new()
                    .read(true)
                    .write(access == Access::Write)
                    .open(root.join(name.path()));
                absent_is_none(opened.map(Blob::Disk))
            }
            Self::Memory(memory) => Ok(memory.files().get(&name).cloned().map(Blob::Memory)),
        }
    }

    /// A file to be read; `None` if there is none of this name.
    pub(super) fn find(&self, name: Name) -> io::Result<Option<Blob>> {
        self.find_for(name, Access::Read)
    }

    /// Gives a file another name, durably; a file of that name is replaced.
    pub(super) fn rename(&self, from: Name, to: Name) -> io::Result<()> {
        match self {
            Self::Directory(root) => {
                let directory = root.join(to.directory());
                match fs::create_dir(&directory) {
                    Ok(()) => sync_directory(root)?,
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
                fs::rename(root.join(from.path()), root.join(to.path()))?;
                sync_directory(&directory)
            }
            Self::Memory(memory) => {
                let mut files = memory.files();
                let blob = files.remove(&from).ok_or(io::ErrorKind::NotFound)?;
                files.insert(to, blob);
                Ok(())
            }
        }
    }

    /// Makes durable which files there are beside `name`.
    pub(super) fn sync_names(&self, name: Name) -> io::Result<()> {
        match self {
            Self::Directory(root) => sync_directory(&root.join(name.directory())),
            Self::Memory(_) => Ok(()),
        }
    }

    /// Removes a file; none of this name is fine.
    pub(super) fn remove(&self, name: Name) -> io::Result<()> {
        match self {
            Self::Directory(root) => {
                absent_is_none(fs::remove_file(root.join(name.path())))?;
            }
            Self::Memory(memory) => {
                memory.files().remove(&name);
            }
        }
        Ok(())
    }

    /// Whole content, in the order of the ids.
    pub(super) fn list_content(&self, visit: &mut dyn FnMut(AttachmentId, u64)) -> io::Result<()> {
        match self {
            Self::Directory(root) => {
                for first in 0..=u8::MAX {
                    // A directory at a time, so that the list is short.
                    list_directory(&root.join(prefix(first)), visit)?;
                }
            }
            Self::Memory(memory) => {
                let files = memory.files().clone();
                for (name, blob) in files {
                    if let Name::Content(id) = name {
                        visit(id, Blob::Memory(blob).length()?);
                    }
                }
            }
        }
        Ok(())
    }

    /// What is held in part.
    pub(super) fn list_partial(&self) -> io::Result<Vec<AttachmentId>> {
        let mut found = Vec::new();
        match self {
            Self::Directory(root) => {
                list_directory(&root.join(PARTIAL), &mut |id, _| found.push(id))?;
            }
            Self::Memory(memory) => {
                let files = memory.files();
                found.extend(files.keys().filter_map(|name| match name {
                    Name::Part(id) => Some(*id),
                    _ => None,
                }));
            }
        }
        Ok(found)
    }
}

impl Memory {
    fn files(&self) -> std::sync::MutexGuard<'_, BTreeMap<Name, Arc<MemoryBlob>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn list_directory(directory: &Path, visit: &mut dyn FnMut(AttachmentId, u64)) -> io::Result<()> {
    let Some(entries) = absent_is_none(fs::read_dir(directory))? else {
        return Ok(());
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(id_of) else {
            continue;
        };
        // It may be removed meanwhile.
        if let Some(metadata) = absent_is_none(entry.metadata())? {
            found.push((id, metadata.len()));
        }
    }
    found.sort_unstable();
    for (id, length) in found {
        visit(id, length);
    }
    Ok(())
}

fn absent_is_none<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn clear(directory: &Path) -> io::Result<()> {
    absent_is_none(fs::remove_dir_all(directory)).map(|_| ())
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

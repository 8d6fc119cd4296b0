//! A disk as a power cut would leave it, rebuilt from recorded calls.
//!
//! Contents of a file are certain once the file was synced, names once their directory was.
//! Of the rest a disk keeps what it likes: `Survival` lists the ways that are tried.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{call::Call, workload::random};

const PAGE_BYTES: u64 = 4096;

/// Stands for a node in the name of a directory.
const DIRECTORY: usize = usize::MAX;

/// What becomes of the writes and names that no sync has covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survival {
    /// None is left.
    Dropped,
    /// All are left, as when only the process dies.
    Kept,
    /// Some first ones are left in each file, the last of them cut at any byte; some first names.
    Torn,
    /// Some pages of each file are left, whatever their order; some first names.
    Scattered,
}

impl Survival {
    pub(crate) const ALL: [Self; 4] = [Self::Dropped, Self::Kept, Self::Torn, Self::Scattered];
}

#[derive(Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Truncate { length: u64 },
}

/// A file without a name.
#[derive(Debug, Default)]
struct Node {
    /// Each with the index of the call that made it.
    changes: Vec<(usize, Change)>,
    length: u64,
    /// How many of `changes` a sync has covered.
    certain: usize,
}

#[derive(Debug)]
enum Naming {
    Link { path: PathBuf, node: usize },
    Unlink { path: PathBuf },
    Rename { source: PathBuf, target: PathBuf },
}

#[derive(Debug)]
struct NameChange {
    call: usize,
    certain: bool,
    naming: Naming,
}

#[derive(Debug)]
struct Opened {
    node: usize,
    position: u64,
    appends: bool,
}

#[derive(Debug)]
pub(crate) struct Disk {
    directory: PathBuf,
    nodes: Vec<Node>,
    names: Vec<NameChange>,
    current: BTreeMap<PathBuf, usize>,
    opened: HashMap<u32, Opened>,
}

impl Disk {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_path_buf(),
            nodes: Vec::new(),
            names: Vec::new(),
            current: BTreeMap::new(),
            opened: HashMap::new(),
        }
    }

    /// Whether files were renamed, removed and written out beside the journal.
    pub(crate) fn seen_whole_life(&self) -> bool {
        let any = |test: fn(&Naming) -> bool| self.names.iter().any(|change| test(&change.naming));
        any(|naming| matches!(naming, Naming::Unlink { .. }))
            && any(|naming| matches!(naming, Naming::Rename { .. }))
            && self.nodes.len() > 20
    }

    /// Carries out one recorded call.
    pub(crate) fn apply(&mut self, index: usize, call: &Call) {
        match call {
            Call::Open {
                path,
                descriptor,
                flags,
            } => self.open(index, path, *descriptor, flags),
            Call::Close { descriptor } => {
                self.opened.remove(descriptor);
            }
            Call::Seek {
                descriptor,
                position,
            } => {
                if let Some(opened) = self.opened.get_mut(descriptor) {
                    opened.position = *position;
                }
            }
            Call::Write {
                descriptor,
                offset,
                bytes,
            } => self.write(index, *descriptor, *offset, bytes),
            Call::Truncate { descriptor, length } => {
                if let Some(opened) = self.opened.get(descriptor) {
                    let node = &mut self.nodes[opened.node];
                    node.length = *length;
                    node.changes
                        .push((index, Change::Truncate { length: *length }));
                }
            }
            Call::Sync {
                path,
                descriptor,
                began,
            } => self.sync(path, *descriptor, *began),
            Call::Rename { source, target } => self.rename(index, source, target),
            Call::Unlink { path } => {
                if self.current.remove(path).is_some() {
                    self.name(index, Naming::Unlink { path: path.clone() });
                }
            }
            Call::MakeDirectory { path } if path.starts_with(&self.directory) => {
                self.link(index, path, DIRECTORY);
            }
            Call::MakeDirectory { .. } => {}
            Call::Acknowledged(_) => {}
            Call::Unknown { line, paths } => {
                let touches = paths.iter().any(|path| path.starts_with(&self.directory));
                assert!(!touches, "the recorder has no model of this call: {line}");
            }
        }
    }

    /// Writes into `target` what a power cut now would leave, with choices drawn from `seed`.
    pub(crate) fn rebuild(&self, target: &Path, survival: Survival, seed: u64) {
        let translate = |path: &Path| target.join(path.strip_prefix(&self.directory).unwrap());
        fs::create_dir_all(target).unwrap();
        // In order of path, so that a directory comes before what it holds.
        for (path, node) in self.surviving_names(survival, seed) {
            let path = translate(&path);
            // A name within a directory whose own name is lost is lost with it.
            match (path.parent().unwrap().is_dir(), node) {
                (false, _) => {}
                (true, DIRECTORY) => fs::create_dir(path).unwrap(),
                (true, node) => {
                    let file = File::create(path).unwrap();
                    self.nodes[node].restore(&file, survival, random(node, seed));
                }
            }
        }
    }

    fn surviving_names(&self, survival: Survival, seed: u64) -> BTreeMap<PathBuf, usize> {
        let uncertain = self.names.iter().filter(|change| !change.certain).count() as u64;
        let kept = match survival {
            Survival::Dropped => 0,
            Survival::Kept => uncertain,
            Survival::Torn | Survival::Scattered => random(0, seed) % (uncertain + 1),
        };
        let mut left = kept;
        let mut names = BTreeMap::new();
        for change in &self.names {
            if !change.certain {
                if left == 0 {
                    continue;
                }
                left -= 1;
            }
            match &change.naming {
                Naming::Link { path, node } => {
                    names.insert(path.clone(), *node);
                }
                Naming::Unlink { path } => {
                    names.remove(path);
                }
                Naming::Rename { source, target } => {
                    move_names(&mut names, source, target);
                }
            }
        }
        names
    }

    fn open(&mut self, index: usize, path: &Path, descriptor: u32, flags: &str) {
        self.opened.remove(&descriptor);
        if !path.starts_with(&self.directory) || flags.contains("O_DIRECTORY") {
            return;
        }
        let node = match self.current.get(path) {
            Some(&DIRECTORY) => return,
            Some(node) => *node,
            None if flags.contains("O_CREAT") => {
                self.nodes.push(Node::default());
                let node = self.nodes.len() - 1;
                self.link(index, path, node);
                node
            }
            None => return,
        };
        if flags.contains("O_TRUNC") && self.nodes[node].length > 0 {
            self.nodes[node].length = 0;
            self.nodes[node]
                .changes
                .push((index, Change::Truncate { length: 0 }));
        }
        let appends = flags.contains("O_APPEND");
        self.opened.insert(
            descriptor,
            Opened {
                node,
                position: 0,
                appends,
            },
        );
    }

    fn write(&mut self, index: usize, descriptor: u32, offset: Option<u64>, bytes: &[u8]) {
        let Some(opened) = self.opened.get_mut(&descriptor) else {
            return;
        };
        let node = &mut self.nodes[opened.node];
        let at = match offset {
            Some(offset) => offset,
            None if opened.appends => node.length,
            None => opened.position,
        };
        let end = at + bytes.len() as u64;
        if offset.is_none() {
            opened.position = end;
        }
        node.length = node.length.max(end);
        node.changes.push((
            index,
            Change::Write {
                offset: at,
                bytes: bytes.to_vec(),
            },
        ));
    }

    fn sync(&mut self, path: &Path, descriptor: u32, began: usize) {
        if let Some(opened) = self.opened.get(&descriptor) {
            let node = &mut self.nodes[opened.node];
            let covered = node
                .changes
                .iter()
                .take_while(|(call, _)| *call < began)
                .count();
            node.certain = node.certain.max(covered);
        } else {
            for change in self.names.iter_mut().filter(|change| change.call < began) {
                change.certain |= change.naming.directory() == Some(path);
            }
        }
    }

    fn rename(&mut self, index: usize, source: &Path, target: &Path) {
        if move_names(&mut self.current, source, target) {
            let (source, target) = (source.to_path_buf(), target.to_path_buf());
            self.name(index, Naming::Rename { source, target });
        }
    }

    fn link(&mut self, index: usize, path: &Path, node: usize) {
        self.current.insert(path.to_path_buf(), node);
        let path = path.to_path_buf();
        self.name(index, Naming::Link { path, node });
    }

    fn name(&mut self, call: usize, naming: Naming) {
        self.names.push(NameChange {
            call,
            certain: false,
            naming,
        });
    }
}

/// Renames a file, or a directory with all that it holds; false if there is no such name.
fn move_names(names: &mut BTreeMap<PathBuf, usize>, source: &Path, target: &Path) -> bool {
    let moved: Vec<PathBuf> = names
        .keys()
        .filter(|path| path.starts_with(source))
        .cloned()
        .collect();
    for path in &moved {
        let node = names.remove(path).unwrap();
        let rest = path.strip_prefix(source).unwrap();
        // Joining an empty path would add a slash.
        let path = if rest.as_os_str().is_empty() {
            target.to_path_buf()
        } else {
            target.join(rest)
        };
        names.insert(path, node);
    }
    !moved.is_empty()
}

impl Naming {
    fn directory(&self) -> Option<&Path> {
        match self {
            Self::Link { path, .. } | Self::Unlink { path } => path.parent(),
            Self::Rename { target, .. } => target.parent(),
        }
    }
}

impl Node {
    fn restore(&self, file: &File, survival: Survival, seed: u64) {
        let (certain, uncertain) = self.changes.split_at(self.certain);
        for (_, change) in certain {
            change.restore(file, |_| true);
        }
        let count = match survival {
            Survival::Dropped => 0,
            Survival::Kept | Survival::Scattered => uncertain.len(),
            Survival::Torn => usize::try_from(seed % (uncertain.len() as u64 + 1)).unwrap(),
        };
        for (_, change) in &uncertain[..count] {
            match survival {
                Survival::Scattered => {
                    change.restore(file, |page| random(0, seed ^ page).is_multiple_of(2))
                }
                _ => change.restore(file, |_| true),
            }
        }
        if let (Survival::Torn, Some((_, Change::Write { offset, bytes }))) =
            (survival, uncertain.get(count))
        {
            let cut = usize::try_from(random(1, seed) % (bytes.len() as u64 + 1)).unwrap();
            file.write_all_at(&bytes[..cut], *offset).unwrap();
        }
    }
}

impl Change {
    fn restore(&self, file: &File, keeps_page: impl Fn(u64) -> bool) {
        match self {
            Self::Truncate { length } => file.set_len(*length).unwrap(),
            Self::Write { offset, bytes } => {
                let (mut at, mut rest) = (*offset, bytes.as_slice());
                while !rest.is_empty() {
                    let page = at / PAGE_BYTES;
                    let room = usize::try_from((page + 1) * PAGE_BYTES - at).unwrap();
                    let (piece, later) = rest.split_at(room.min(rest.len()));
                    if keeps_page(page) {
                        file.write_all_at(piece, at).unwrap();
                    }
                    at += piece.len() as u64;
                    rest = later;
                }
            }
        }
    }
}

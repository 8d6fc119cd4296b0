//! Any sequence of acts does to the shelf what it does to a plain set.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use proptest::prelude::*;
use tempfile::TempDir;
use tombolo_document::attachment::{AttachmentId, CHUNK_BYTES};
use tombolo_store::attachments::{AttachmentError, Attachments};

use crate::bench::{chunk, content, keep, manifest_of, read};

const GRACE: Duration = Duration::from_secs(2);
const CONTENTS: usize = 5;

#[derive(Clone, Debug)]
enum Act {
    Upload(usize),
    /// An upload that ends half-way.
    GiveUp(usize),
    /// Content, and a chunk of it, if it has so many.
    Fetch(usize, u64),
    /// A chunk of another content.
    FetchWrong(usize),
    Finish(usize),
    Remove(usize),
    Mention(usize),
    Unmention(usize),
    Collect,
    Reopen,
}

fn any_act() -> impl Strategy<Value = Act> {
    let which = 0..CONTENTS;
    prop_oneof![
        1 => which.clone().prop_map(Act::Upload),
        1 => which.clone().prop_map(Act::GiveUp),
        3 => (which.clone(), 0..4_u64).prop_map(|(which, index)| Act::Fetch(which, index)),
        1 => which.clone().prop_map(Act::FetchWrong),
        2 => which.clone().prop_map(Act::Finish),
        1 => which.clone().prop_map(Act::Remove),
        1 => which.clone().prop_map(Act::Mention),
        1 => which.prop_map(Act::Unmention),
        3 => Just(Act::Collect),
        1 => Just(Act::Reopen),
    ]
}

fn contents() -> [Vec<u8>; CONTENTS] {
    let lengths = [0, 5, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES - 1];
    let mut seed = 0;
    lengths.map(|length| {
        seed += 1;
        content(seed, length)
    })
}

/// What must be there.
#[derive(Default)]
struct Model {
    held: BTreeSet<usize>,
    parts: BTreeMap<usize, BTreeSet<u64>>,
    mentioned: BTreeSet<usize>,
    suspects: BTreeSet<usize>,
    /// When something was first found without a document.
    idle_since: BTreeMap<usize, u64>,
    now: u64,
}

impl Model {
    fn collect(&mut self) {
        self.now += 1;
        for which in 0..CONTENTS {
            let is_there = self.held.contains(&which) || self.parts.contains_key(&which);
            if self.mentioned.contains(&which) || !is_there {
                self.idle_since.remove(&which);
                continue;
            }
            let since = *self.idle_since.entry(which).or_insert(self.now);
            if self.now - since >= GRACE.as_secs() {
                self.forget(which);
            }
        }
    }

    fn forget(&mut self, which: usize) {
        self.held.remove(&which);
        self.parts.remove(&which);
        self.idle_since.remove(&which);
    }
}

/// The shelf under test with what it is told.
struct Bench<'a> {
    attachments: Attachments,
    directory: Option<&'a Path>,
    contents: &'a [Vec<u8>; CONTENTS],
    model: Model,
}

impl Bench<'_> {
    fn act(&mut self, act: &Act) {
        match *act {
            Act::Upload(which) => {
                keep(&self.attachments, &self.contents[which]).unwrap();
                self.model.held.insert(which);
                self.model.idle_since.remove(&which);
            }
            Act::GiveUp(which) => {
                let mut writer = self.attachments.begin_write().unwrap();
                let half = self.contents[which].len() / 2;
                writer.write(&self.contents[which][..half]).unwrap();
            }
            Act::Fetch(which, index) => self.fetch(which, index),
            Act::FetchWrong(which) => {
                let (content, other) = (
                    &self.contents[which],
                    &self.contents[(which + 1) % CONTENTS],
                );
                let id = AttachmentId::of(content);
                let mut partial = self.attachments.partial(id, content.len() as u64).unwrap();
                assert!(partial.put_chunk(0, other).is_err());
                self.model.parts.entry(which).or_default();
            }
            Act::Finish(which) => self.finish(which),
            Act::Remove(which) => {
                let id = AttachmentId::of(&self.contents[which]);
                self.attachments.remove(id).unwrap();
                self.model.forget(which);
            }
            Act::Mention(which) => {
                self.model.mentioned.insert(which);
            }
            Act::Unmention(which) => {
                self.model.mentioned.remove(&which);
                self.model.suspects.insert(which);
            }
            Act::Collect => self.collect(),
            Act::Reopen => {
                if let Some(directory) = self.directory {
                    self.attachments = Attachments::open(directory).unwrap();
                    self.model.idle_since.clear();
                }
            }
        }
    }

    fn fetch(&mut self, which: usize, index: u64) {
        let content = &self.contents[which];
        let manifest = manifest_of(content);
        let mut partial = self
            .attachments
            .partial(manifest.id(), manifest.length())
            .unwrap();
        partial.adopt_manifest(manifest.as_bytes()).unwrap();
        let held = self.model.parts.entry(which).or_default();
        if index < manifest.chunk_count() {
            partial.put_chunk(index, chunk(content, index)).unwrap();
            held.insert(index);
        }
        let there: BTreeSet<u64> = (0..4).filter(|index| partial.holds(*index)).collect();
        assert_eq!(there, *held);
    }

    fn finish(&mut self, which: usize) {
        let manifest = manifest_of(&self.contents[which]);
        let mut partial = self
            .attachments
            .partial(manifest.id(), manifest.length())
            .unwrap();
        partial.adopt_manifest(manifest.as_bytes()).unwrap();
        let held = self.model.parts.entry(which).or_default().len() as u64;
        let is_whole = held == manifest.chunk_count();
        assert_eq!(partial.missing_count(), manifest.chunk_count() - held);
        assert_eq!(partial.finish().is_ok(), is_whole);
        if is_whole {
            self.model.parts.remove(&which);
            self.model.held.insert(which);
            self.model.idle_since.remove(&which);
        }
    }

    fn collect(&mut self) {
        let ids: Vec<_> = self
            .contents
            .iter()
            .map(|content| AttachmentId::of(content))
            .collect();
        let suspects = std::mem::take(&mut self.model.suspects);
        let suspects = suspects.iter().map(|which| ids[*which]).collect();
        self.model.collect();
        let mentioned = &self.model.mentioned;
        let now = Duration::from_secs(self.model.now);
        self.attachments
            .collect(now, GRACE, Some(suspects), &mut |id| {
                Ok::<_, AttachmentError>(mentioned.iter().any(|which| ids[*which] == id))
            })
            .unwrap();
    }

    fn check(&self) {
        for (which, content) in self.contents.iter().enumerate() {
            let found = read(&self.attachments, AttachmentId::of(content));
            let wanted = self.model.held.contains(&which).then_some(content);
            assert_eq!(found.as_ref(), wanted, "content {which}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_shelf_holds_what_a_set_would(acts in prop::collection::vec(any_act(), 1..24)) {
        let (directory, contents) = (TempDir::new().unwrap(), contents());
        let on_disk = Attachments::open(directory.path()).unwrap();
        for (attachments, directory) in [
            (on_disk, Some(directory.path())),
            (Attachments::in_memory(), None),
        ] {
            let model = Model::default();
            let mut bench = Bench { attachments, directory, contents: &contents, model };
            for act in &acts {
                bench.act(act);
                bench.check();
            }
        }
    }
}

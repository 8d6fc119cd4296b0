//! A process that is killed loses no chunk and no content that it has acknowledged.

use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;
use tombolo_document::attachment::{AttachmentId, CHUNK_BYTES};
use tombolo_store::attachments::Attachments;

use crate::bench::{chunk, content, files, keep, manifest_of, read};

const DIRECTORY: &str = "TOMBOLO_TEST_KILLED_ATTACHMENTS";

/// How often the process is killed.
const LIVES: usize = 4;

/// More chunks than there are between two checkpoints.
const CHUNKS: u64 = 70;

fn fetched() -> Vec<u8> {
    content(9, CHUNKS as usize * CHUNK_BYTES - 5)
}

fn uploaded(number: u64) -> Vec<u8> {
    content(number as u8, 200_000)
}

fn say(word: &str, number: u64) {
    println!("{word} {number}");
    std::io::stdout().flush().unwrap();
}

/// Not a rule: the body of the child process, empty without its variable.
#[test]
fn child_that_fetches_and_uploads_until_it_is_killed() {
    let Some(directory) = env::var_os(DIRECTORY) else {
        return;
    };
    let attachments = Attachments::open(Path::new(&directory)).unwrap();
    let content = fetched();
    let manifest = manifest_of(&content);
    let mut partial = attachments
        .partial(manifest.id(), manifest.length())
        .unwrap();
    partial.adopt_manifest(manifest.as_bytes()).unwrap();
    println!();
    let mut missing: Vec<u64> = partial.missing().collect();
    // From both ends, so that the file has holes.
    missing.sort_by_key(|index| index * 37 % CHUNKS);
    for index in missing {
        partial.put_chunk(index, chunk(&content, index)).unwrap();
        say("chunk", index);
        if index % 4 == 0 {
            keep(&attachments, &uploaded(index)).unwrap();
            say("kept", index);
        }
        let mut unfinished = attachments.begin_write().unwrap();
        unfinished.write(&[1; 1000]).unwrap();
        std::mem::forget(unfinished);
    }
}

/// Runs the child until it has acknowledged some more, kills it, and adds to what it said.
fn live_and_die(directory: &Path, acknowledgements: usize, said: &mut BTreeSet<(String, u64)>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "killed::child_that_fetches_and_uploads_until_it_is_killed",
            "--nocapture",
        ])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut heard = 0;
    for line in lines.by_ref() {
        let line = line.unwrap();
        let Some((word @ ("chunk" | "kept"), number)) = line.split_once(' ') else {
            continue;
        };
        let Ok(number) = number.parse() else {
            continue;
        };
        let is_new = said.insert((word.to_owned(), number));
        assert!(
            is_new || word == "kept",
            "chunk {number} was asked for again"
        );
        heard += 1;
        if heard == acknowledgements {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
}

#[test]
fn every_acknowledged_chunk_and_content_is_there_after_each_kill() {
    let directory = TempDir::new().unwrap();
    let (content, mut said) = (fetched(), BTreeSet::new());
    for life in 0..LIVES {
        live_and_die(directory.path(), 9 + 5 * life, &mut said);
        let attachments = Attachments::open(directory.path()).unwrap();
        let id = AttachmentId::of(&content);
        let partial = attachments.partial(id, content.len() as u64).unwrap();
        for (word, number) in &said {
            if word == "chunk" {
                assert!(partial.holds(*number), "chunk {number}");
            } else {
                let uploaded = uploaded(*number);
                let kept = read(&attachments, AttachmentId::of(&uploaded));
                assert_eq!(kept.as_ref(), Some(&uploaded), "content {number}");
            }
        }
        let left = files(&directory.path().join("uploads"));
        assert_eq!(left.len(), 0, "uploads that did not end");
    }
    // What is there makes the content, once the rest of it has come.
    let attachments = Attachments::open(directory.path()).unwrap();
    let id = AttachmentId::of(&content);
    let mut partial = attachments.partial(id, content.len() as u64).unwrap();
    for index in partial.missing().collect::<Vec<_>>() {
        partial.put_chunk(index, chunk(&content, index)).unwrap();
    }
    partial.finish().unwrap();
    assert_eq!(read(&attachments, id), Some(content));
}

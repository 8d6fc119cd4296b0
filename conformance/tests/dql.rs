//! Every DQL case passes, or is named in the ratchet file as not yet passing.
//! A named case that passes must be taken off the list, so the list only shrinks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tombolo_conformance::{Case, run};

/// How many cases there are; a lost file would otherwise go unnoticed.
const CASES: usize = 442;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dql")
}

fn cases() -> Vec<Case> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect();
    files.sort();
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().map(str::to_owned).collect::<Vec<_>>();
        lines
            .into_iter()
            .map(|line| Case::read(&line).unwrap())
            .collect::<Vec<_>>()
    };
    files.iter().flat_map(read).collect()
}

fn not_yet() -> BTreeSet<String> {
    let text = fs::read_to_string(directory().join("not-yet.txt")).unwrap();
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_case_passes_or_is_listed_as_not_yet() {
    let cases = cases();
    assert_eq!(cases.len(), CASES);
    let listed = not_yet();
    let mut failed = BTreeMap::new();
    let mut passed = BTreeSet::new();
    for case in &cases {
        match run(case) {
            Ok(()) => passed.insert(case.id.clone()),
            Err(failure) => failed
                .insert(case.id.clone(), failure.to_string())
                .is_none(),
        };
    }
    println!("{} of {} pass", passed.len(), cases.len());
    assert_eq!(
        passed.len() + failed.len(),
        cases.len(),
        "case ids are unique"
    );
    failed.retain(|id, _| !listed.contains(id));
    let lines: Vec<String> = failed
        .iter()
        .map(|(id, why)| format!("{id}: {why}"))
        .collect();
    assert!(
        lines.is_empty(),
        "these fail and are not listed:\n{}",
        lines.join("\n")
    );
    let stale: Vec<&String> = listed.iter().filter(|id| !failed_or(id, &passed)).collect();
    assert!(
        stale.is_empty(),
        "take these off not-yet.txt, they pass or do not exist: {stale:?}"
    );
}

/// Whether a listed case exists and does not pass.
fn failed_or(id: &str, passed: &BTreeSet<String>) -> bool {
    !passed.contains(id) && cases().iter().any(|case| case.id == id)
}

//! Every DQL case passes, or is named in the ratchet file as not yet passing.
//! A named case that passes must be taken off the list, so the list only shrinks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use tombolo_conformance::{Case, run};

/// How many cases there are; a lost file would otherwise go unnoticed.
const CASES: usize = 442;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dql")
}

fn cases() -> io::Result<Vec<Case>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory())? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            files.push(path);
        }
    }
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        for line in fs::read_to_string(file)?.lines() {
            cases.push(Case::read(line).map_err(io::Error::other)?);
        }
    }
    Ok(cases)
}

fn not_yet() -> io::Result<BTreeSet<String>> {
    let text = fs::read_to_string(directory().join("not-yet.txt"))?;
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    Ok(lines
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect())
}

#[test]
fn every_case_passes_or_is_listed_as_not_yet() {
    let cases = cases().unwrap();
    assert_eq!(cases.len(), CASES);
    let listed = not_yet().unwrap();
    let results: BTreeMap<&str, _> = cases
        .iter()
        .map(|case| (case.id.as_str(), run(case)))
        .collect();
    assert_eq!(results.len(), CASES, "case ids are unique");
    let passed = results.values().filter(|result| result.is_ok()).count();
    println!("{passed} of {CASES} pass");
    let broken: Vec<String> = results
        .iter()
        .filter(|(id, _)| !listed.contains(**id))
        .filter_map(|(id, result)| Some(format!("{id}: {}", result.as_ref().err()?)))
        .collect();
    assert!(
        broken.is_empty(),
        "these fail and are not listed:\n{}",
        broken.join("\n")
    );
    let fails = |id: &str| results.get(id).is_some_and(Result::is_err);
    let stale: Vec<&String> = listed.iter().filter(|id| !fails(id)).collect();
    assert!(
        stale.is_empty(),
        "take these off not-yet.txt, they pass or do not exist: {stale:?}"
    );
}

//! Rules for single lines: tabs, trailing space, unfinished work, and paths of one machine.
//! Data files are exempt from the layout rules, because a case may hold any text on purpose.

use crate::{Finding, SourceFile, Tree};

/// Endings of files that people write by hand; a name without a dot counts too.
const WRITTEN: &[&str] = &[
    "rs", "md", "toml", "yaml", "yml", "sh", "js", "ts", "css", "html",
];

/// Words that mark unfinished work. They are spelled in halves so that this file does not find itself.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("db", "g!("),
    concat!("(to ", "come)"),
];

/// Paths that exist on one machine only.
const LOCAL_PATHS: &[&str] = &[concat!("../", "shared"), concat!(".lib", "rary")];

/// Roots of absolute paths that exist on one machine only; they count at the start of a path, not inside one.
const LOCAL_ROOTS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
];

/// Checks every line of every text file.
pub fn check_lines(tree: &Tree) -> Vec<Finding> {
    tree.files.iter().flat_map(check_file).collect()
}

fn check_file(file: &SourceFile) -> Vec<Finding> {
    let written = is_written(&file.path);
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let mut report = |rule, message: String| {
            findings.push(Finding::new(&file.path, index + 1, rule, message))
        };
        if written && line.contains('\t') {
            report("tab", "indent with spaces".to_owned());
        }
        if written && line.ends_with([' ', '\r']) {
            report(
                "trailing",
                "remove the white space at the end of the line".to_owned(),
            );
        }
        for mark in UNFINISHED
            .iter()
            .filter(|mark| written && line.contains(*mark))
        {
            report(
                "unfinished",
                format!("`{mark}`: finish it, or open an issue and name its number in a sentence"),
            );
        }
        if names_local_path(line) {
            report("local", "this path exists on one machine only".to_owned());
        }
    }
    if written && !file.text.is_empty() && !file.text.ends_with('\n') {
        findings.push(Finding::new(
            &file.path,
            file.text.lines().count(),
            "trailing",
            "end the file with a line break",
        ));
    }
    findings
}

/// Whether the layout of the file is ours to choose: a data file of a test or a case is not.
fn is_written(path: &str) -> bool {
    let data = path
        .split('/')
        .any(|step| step == "tests" || step == "conformance");
    if data && !path.ends_with(".rs") && !path.ends_with(".md") && !path.ends_with("Cargo.toml") {
        return false;
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => WRITTEN.contains(&ending),
        _ => true,
    }
}

fn names_local_path(line: &str) -> bool {
    let rooted = |root: &&str| {
        line.match_indices(*root).any(|(start, _)| {
            let before = line[..start].chars().next_back();
            !before.is_some_and(|character| {
                character.is_alphanumeric() || "._-/~}".contains(character)
            })
        })
    };
    LOCAL_PATHS.iter().any(|path| line.contains(path)) || LOCAL_ROOTS.iter().any(rooted)
}

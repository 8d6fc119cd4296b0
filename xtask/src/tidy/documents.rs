//! Rules for Markdown: relative links resolve, and no heading stands empty.
//! Fenced blocks are not read, because a `#` in them is a comment of another language.

use std::path::{Component, Path};

use crate::{Finding, SourceFile, Tree};

/// Checks every Markdown file.
pub fn check_documents(tree: &Tree) -> Vec<Finding> {
    let documents = tree.files.iter().filter(|file| file.has_extension("md"));
    documents
        .flat_map(|file| {
            check_links(file, tree)
                .into_iter()
                .chain(check_headings(file))
        })
        .collect()
}

/// Numbered lines outside fenced blocks.
pub(super) fn prose_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((index + 1, line))
    })
}

fn check_links(file: &SourceFile, tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in prose_lines(&file.text) {
        let prose: String = line.split('`').step_by(2).collect();
        for target in link_targets(&prose).filter(|target| is_relative(target)) {
            let path = target.split('#').next().unwrap_or(target);
            let resolved = resolve(&file.path, path);
            if !resolved
                .as_ref()
                .is_some_and(|found| tree.paths.contains(found))
            {
                findings.push(Finding::new(
                    &file.path,
                    number,
                    "link",
                    format!("`{target}` leads nowhere"),
                ));
            }
        }
    }
    findings
}

/// The targets of `[text](target)` in one line whose code spans were taken out.
fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
}

fn is_relative(target: &str) -> bool {
    !target.is_empty()
        && !target.starts_with('#')
        && !target.contains("://")
        && !target.starts_with("mailto:")
}

/// Resolves a link against the directory of the document; `None` if it leaves the tree.
fn resolve(document: &str, link: &str) -> Option<String> {
    let mut path = Path::new(document)
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default();
    for component in Path::new(link).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir if path.pop() => {}
            _ => return None,
        }
    }
    Some(path.to_string_lossy().replace('\\', "/"))
}

fn check_headings(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    // The heading that still waits for its first line of text.
    let mut waiting: Option<(usize, usize)> = None;
    let mut report = |number| {
        findings.push(Finding::new(
            &file.path,
            number,
            "heading",
            "a heading without text below it",
        ))
    };
    for (number, line, fenced) in marked_lines(&file.text) {
        let level = if fenced { 0 } else { heading_level(line) };
        match (level, waiting) {
            (0, _) if !line.trim().is_empty() => waiting = None,
            (0, _) => {}
            (_, Some((open, above))) if level <= above => {
                report(open);
                waiting = Some((number, level));
            }
            _ => waiting = Some((number, level)),
        }
    }
    if let Some((open, _)) = waiting {
        report(open);
    }
    findings
}

/// Numbered lines, each with whether it belongs to a fenced block.
fn marked_lines(text: &str) -> impl Iterator<Item = (usize, &str, bool)> {
    let mut fenced = false;
    text.lines().enumerate().map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (index + 1, line, fenced || fence)
    })
}

fn heading_level(line: &str) -> usize {
    let level = line
        .chars()
        .take_while(|character| *character == '#')
        .count();
    if line[level..].starts_with(' ') {
        level
    } else {
        0
    }
}

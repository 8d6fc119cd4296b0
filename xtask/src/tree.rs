//! The files of the working tree as text, without build output and without what `.gitignore` names.
//! It asks no version control program, so a file counts before it is committed.
//! Files that are not UTF-8, such as golden bytes, are left out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::XtaskError;

/// Directories and entries nested deeper than this are an accident, not source.
const DEPTH_MAX: usize = 16;

/// Where the node of the README keeps its data.
const QUICKSTART_DATA: &str = "/examples/data";
/// Files of others, as they ship them; its README tells which.
const SWAGGER_UI: &str = "/programs/tombolo-cli/assets/swagger-ui";

/// Hidden entries at the root that belong to the project.
const HIDDEN: &[&str] = &[".cargo", ".ci", ".config", ".github", ".gitignore"];

/// One text file.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Path relative to the root, with forward slashes.
    pub path: String,
    /// The whole text.
    pub text: String,
}

impl SourceFile {
    /// Makes a file from its parts; tests use it for bad samples.
    pub fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Tells whether the file name ends with a dot and `extension`.
    pub fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }
}

/// All text files below one root, and the paths of every file and directory.
#[derive(Debug, Default)]
pub struct Tree {
    /// Text files in the order of their paths.
    pub files: Vec<SourceFile>,
    /// Every path that exists, directories and binary files included.
    pub paths: BTreeSet<String>,
}

impl Tree {
    /// Makes a tree from samples; tests use it to show that a rule can fail.
    pub fn from_files(files: Vec<SourceFile>) -> Self {
        let mut paths = BTreeSet::new();
        for file in &files {
            let mut path = Path::new(&file.path);
            paths.insert(file.path.clone());
            while let Some(parent) = path.parent() {
                paths.insert(slashes(parent));
                path = parent;
            }
        }
        Self { files, paths }
    }

    /// Reads the tree below `root`.
    pub fn read(root: &Path) -> Result<Self, XtaskError> {
        let ignored = Ignored::read(root)?;
        let mut tree = Self::default();
        tree.read_directory(root, Path::new(""), &ignored, 0)?;
        tree.files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(tree)
    }

    fn read_directory(
        &mut self,
        root: &Path,
        relative: &Path,
        ignored: &Ignored,
        depth: usize,
    ) -> Result<(), XtaskError> {
        if depth > DEPTH_MAX {
            return Ok(());
        }
        for path in entries(root, relative)? {
            let name = slashes(&path);
            if ignored.covers(&name) {
                continue;
            }
            self.paths.insert(name.clone());
            let full = root.join(&path);
            if full.is_dir() {
                self.read_directory(root, &path, ignored, depth + 1)?;
            } else if let Some(text) = read_text(&full)? {
                self.files.push(SourceFile { path: name, text });
            }
        }
        Ok(())
    }
}

fn entries(root: &Path, relative: &Path) -> Result<Vec<PathBuf>, XtaskError> {
    let directory = root.join(relative);
    let failed = |source| XtaskError::Read {
        path: directory.clone(),
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(&directory).map_err(failed)? {
        found.push(relative.join(entry.map_err(failed)?.file_name()));
    }
    found.sort();
    Ok(found)
}

/// Reads a file; `None` if it is not text, or vanished while the tree was walked.
fn read_text(path: &Path) -> Result<Option<String>, XtaskError> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8(bytes).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(XtaskError::Read {
            path: path.to_path_buf(),
            source,
        }),
    }
}

fn slashes(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

/// The three line forms of `.gitignore` that this project uses: `/path`, `*.ending` and `name`.
struct Ignored {
    lines: Vec<String>,
}

impl Ignored {
    fn read(root: &Path) -> Result<Self, XtaskError> {
        let text = read_text(&root.join(".gitignore"))?.unwrap_or_default();
        let mut lines: Vec<String> = text
            .lines()
            .map(|line| line.trim_end_matches('/').to_owned())
            .collect();
        lines.retain(|line| !line.is_empty() && !line.starts_with('#'));
        lines.extend(["/.git", QUICKSTART_DATA, SWAGGER_UI].map(str::to_owned));
        Ok(Self { lines })
    }

    fn covers(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let named = |line: &String| match (line.strip_prefix('/'), line.strip_prefix('*')) {
            (Some(anchored), _) => path == anchored,
            (None, Some(ending)) => name.ends_with(ending),
            (None, None) => name == line,
        };
        self.lines.iter().any(named) || is_hidden_scratch(path, name)
    }
}

/// Hidden entries at the root are ours only by name; a test that was killed leaves others.
fn is_hidden_scratch(path: &str, name: &str) -> bool {
    path == name && name.starts_with('.') && !HIDDEN.contains(&name)
}

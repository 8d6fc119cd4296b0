//! The logs of a node as one `.tar.gz`, made while it is sent: both logs, the newest files first, up to a bound.
//! What is secret was never written; what a damaged or foreign file could hold is struck out line by line.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::PathBuf;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::redact::Redacting;
use crate::config::Logging;
use crate::rolling::{ClosedFile, Series};

/// Bytes of logs, before compression, that one archive holds. What is older is left out, and the archive says so.
pub(crate) const ARCHIVE_BYTES_MAX: u64 = 256 * 1024 * 1024;
const MODE: u32 = 0o640;

/// Which logs a node has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources(Vec<Source>);

/// One log: the name of its folder in the archive, and its files.
#[derive(Debug, Clone)]
struct Source {
    folder: &'static str,
    directory: PathBuf,
    name: String,
}

impl Sources {
    /// The logs that a configuration keeps in these directories.
    pub(crate) fn of(
        logging: &Logging,
        (rotating, audit): (Option<PathBuf>, Option<PathBuf>),
    ) -> Self {
        let audit = audit.map(|directory| Source {
            folder: "audit",
            directory,
            name: crate::audit::NAME.to_owned(),
        });
        let rotating = logging.rotating.as_ref().zip(rotating);
        let rotating = rotating.map(|(logs, directory)| Source {
            folder: "messages",
            directory,
            name: logs.prefix.clone(),
        });
        Self(audit.into_iter().chain(rotating).collect())
    }
}

/// Writes the archive to `out`. `now_s` is when it is made, in seconds since 1970.
///
/// # Errors
/// A log cannot be read, or `out` takes no more.
pub(crate) fn write(sources: &Sources, now_s: u64, out: impl Write) -> io::Result<()> {
    let mut archive = Archive {
        tar: tar::Builder::new(GzEncoder::new(out, Compression::fast())),
        left: ARCHIVE_BYTES_MAX,
        now_s,
        notes: String::new(),
    };
    for source in &sources.0 {
        archive.add(source)?;
    }
    archive.finish()
}

struct Archive<W: Write> {
    tar: tar::Builder<GzEncoder<W>>,
    left: u64,
    now_s: u64,
    /// What the reader should know of the archive.
    notes: String,
}

impl<W: Write> Archive<W> {
    fn add(&mut self, source: &Source) -> io::Result<()> {
        let series = Series::at(&source.directory, &source.name);
        let current = ClosedFile {
            number: u64::MAX,
            path: series.current(),
            is_compressed: false,
        };
        let mut files = series.closed()?;
        files.push(current);
        for file in files.iter().rev() {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy();
            let name = name.strip_suffix(".gz").unwrap_or(&name).to_owned();
            let name = format!("{}/{name}", source.folder);
            if self.left == 0 {
                self.notes
                    .push_str(&format!("{name}: left out, the archive is full\n"));
                continue;
            }
            match File::open(&file.path) {
                Ok(found) => self.file(&name, (found, file.is_compressed))?,
                // It was removed or compressed since the list was made.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.notes.push_str(&format!("{name}: gone meanwhile\n"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A header needs the size first, so the file is read twice and never held. What is added meanwhile is left out.
    fn file(&mut self, name: &str, (mut file, is_compressed): (File, bool)) -> io::Result<()> {
        let first = Redacting::new(inflated(&file, is_compressed));
        let counted = io::copy(&mut first.take(self.left + 1), &mut io::sink());
        let size = match counted {
            Ok(size) => size,
            Err(error) => {
                self.notes
                    .push_str(&format!("{name}: left out, it is damaged: {error}\n"));
                return Ok(());
            }
        };
        if size > self.left {
            self.notes
                .push_str(&format!("{name}: cut, the archive is full\n"));
        }
        let size = size.min(self.left);
        self.left -= size;
        file.rewind()?;
        let second = Redacting::new(inflated(&file, is_compressed));
        self.append(name, size, second.take(size))
    }

    fn append(&mut self, name: &str, size: u64, content: impl Read) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(MODE);
        header.set_mtime(self.now_s);
        self.tar.append_data(&mut header, name, content)
    }

    fn finish(mut self) -> io::Result<()> {
        if !self.notes.is_empty() {
            let notes = std::mem::take(&mut self.notes);
            self.append("NOTES", notes.len() as u64, notes.as_bytes())?;
        }
        self.tar.into_inner()?.finish()?.flush()
    }
}

fn inflated(file: &File, is_compressed: bool) -> Box<dyn Read + '_> {
    match is_compressed {
        true => Box::new(MultiGzDecoder::new(BufReader::new(file))),
        false => Box::new(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(archive: &[u8]) -> Vec<(String, String)> {
        let mut tar = tar::Archive::new(MultiGzDecoder::new(archive));
        let entries = tar.entries().unwrap();
        entries
            .map(|entry| {
                let mut entry = entry.unwrap();
                let name = entry.path().unwrap().display().to_string();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                (name, text)
            })
            .collect()
    }

    #[test]
    fn an_archive_has_both_logs_the_newest_files_first_without_secrets() {
        let directory = tempfile::tempdir().unwrap();
        let source = |folder: &'static str, name: &str| Source {
            folder,
            directory: directory.path().join(folder),
            name: name.to_owned(),
        };
        let sources = Sources(vec![source("audit", "audit.jsonl"), source("app", "a.log")]);
        for Source {
            directory, name, ..
        } in &sources.0
        {
            let series = Series::open(directory, name).unwrap();
            std::fs::write(series.current(), "old\n").unwrap();
            series.close().unwrap();
            let mut keeper = crate::rolling::Keeper::new(series.clone());
            keeper.compress();
            drop(keeper);
            std::fs::write(series.current(), "new Bearer c2VjcmV0c2VjcmV0\n").unwrap();
        }
        let mut bytes = Vec::new();
        write(&sources, 7, &mut bytes).unwrap();
        let names = [
            "audit/audit.jsonl",
            "audit/audit.jsonl.000001",
            "app/a.log",
            "app/a.log.000001",
        ];
        let texts = ["new Bearer [redacted]\n", "old\n"];
        let expected = names.iter().zip(texts.iter().cycle());
        let expected: Vec<_> = expected
            .map(|(n, t)| ((*n).to_owned(), (*t).to_owned()))
            .collect();
        assert_eq!(unpacked(&bytes), expected);
    }

    #[test]
    fn a_log_that_is_not_there_and_one_that_is_damaged_are_told_of() {
        let directory = tempfile::tempdir().unwrap();
        let source = Source {
            folder: "app",
            directory: directory.path().to_owned(),
            name: "a.log".to_owned(),
        };
        std::fs::write(directory.path().join("a.log.000001.gz"), "no gzip").unwrap();
        let mut bytes = Vec::new();
        write(&Sources(vec![source]), 7, &mut bytes).unwrap();
        let found = unpacked(&bytes);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "NOTES");
        assert!(
            found[0].1.starts_with(
                "app/a.log: gone meanwhile\napp/a.log.000001: left out, it is damaged"
            ),
            "{found:?}"
        );
    }
}

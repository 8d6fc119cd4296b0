//! What becomes of closed files: they are compressed on a thread of their own, and the oldest are removed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::thread::JoinHandle;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{FILE_MODE, Series};

/// A file that is not written any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClosedFile {
    /// Counts from 1; newer files have greater ones.
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    pub(crate) is_compressed: bool,
}

impl ClosedFile {
    /// Its text, inflated as it is read.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(&self) -> io::Result<Box<dyn Read>> {
        let file = File::open(&self.path)?;
        Ok(match self.is_compressed {
            true => Box::new(MultiGzDecoder::new(BufReader::new(file))),
            false => Box::new(file),
        })
    }
}

/// Compresses closed files of one series. At most one thread at a time does, and what it left the next one does.
#[derive(Debug)]
pub(crate) struct Keeper {
    series: Series,
    work: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn new(series: Series) -> Self {
        Self { series, work: None }
    }

    /// Whether a file is being compressed at this moment; none may be removed meanwhile.
    pub(crate) fn is_busy(&self) -> bool {
        self.work.as_ref().is_some_and(|work| !work.is_finished())
    }

    /// Begins to compress what is closed and is not compressed yet.
    pub(crate) fn compress(&mut self) {
        if self.is_busy() {
            return;
        }
        let series = self.series.clone();
        let named = std::thread::Builder::new().name("log-compress".to_owned());
        let work = named.spawn(move || {
            if let Err(error) = compress_all(&series) {
                let directory = series.directory().display();
                tracing::warn!("cannot compress closed logs in {directory}: {error}");
            }
        });
        // Without a thread the files stay as they are, and the next turn tries again.
        self.work = work.ok();
    }

    /// Closed files beyond the newest `files_max`, the oldest first; none while files are compressed.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn surplus(&self, files_max: usize) -> io::Result<Vec<ClosedFile>> {
        if self.is_busy() {
            return Ok(Vec::new());
        }
        let mut closed = self.series.closed()?;
        closed.truncate(closed.len().saturating_sub(files_max));
        Ok(closed)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            // It has said in the log what went wrong.
            let _ = work.join();
        }
    }
}

fn compress_all(series: &Series) -> io::Result<()> {
    for file in series.closed()? {
        let plain = plain_path(&file);
        if file.is_compressed {
            // Left behind by an end between the rename and the removal.
            match std::fs::remove_file(plain) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => continue,
            }
        }
        let (whole, half) = (named(&plain, ".gz"), named(&plain, ".gz.part"));
        // One that was left behind half-done is written anew.
        let output = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(&half)?;
        let mut encoder = GzEncoder::new(output, Compression::default());
        io::copy(&mut File::open(&plain)?, &mut encoder)?;
        encoder.finish()?.sync_all()?;
        std::fs::rename(&half, &whole)?;
        series.sync_directory()?;
        std::fs::remove_file(&plain)?;
    }
    Ok(())
}

fn plain_path(file: &ClosedFile) -> PathBuf {
    match file.is_compressed {
        true => file.path.with_extension(""),
        false => file.path.clone(),
    }
}

fn named(path: &std::path::Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

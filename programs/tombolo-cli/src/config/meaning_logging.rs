//! What the section `logging` means: levels, where messages go, and how files of logs follow each other.

use super::meaning::Directory;

/// Where messages go and from which level.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Logging {
    /// Of the database (`ditto_sdk`), written to standard error as documented.
    pub(crate) database: Level,
    /// Of the server.
    pub(crate) server: Level,
    /// `None`: the server writes no log to the console.
    pub(crate) console: Option<Console>,
    /// `None`: no log is kept in files.
    pub(crate) rotating: Option<RotatingLogs>,
    /// `None`: nobody writes down who asked for what.
    pub(crate) audit: Option<AuditLogs>,
}

/// The documented levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warning,
    Info,
    Debug,
    Verbose,
}

/// The two streams of a console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Console {
    StandardOut,
    StandardError,
}

/// Messages of the program in files.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RotatingLogs {
    pub(crate) directory: Directory,
    /// Name of the file that is written; closed ones have a number behind it.
    pub(crate) prefix: String,
    pub(crate) rotation: Rotation,
}

/// Who asked for what, in a chain of records.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AuditLogs {
    pub(crate) directory: Directory,
    pub(crate) reads: AuditedReads,
    pub(crate) rotation: Rotation,
}

/// Which requests that change nothing are written down. All others always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuditedReads {
    All,
    /// One of many, and none while the queue is full.
    Sampled,
    Off,
}

/// When a file is closed, and what becomes of closed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rotation {
    pub(crate) frequency: Frequency,
    pub(crate) file_bytes_max: u64,
    /// `None`: closed files are never removed.
    pub(crate) files_max: Option<usize>,
    /// Whether closed files are compressed with gzip.
    pub(crate) compress: bool,
}

/// At which turn of the clock, in UTC, a file is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frequency {
    Minutely,
    Hourly,
    Daily,
    /// On Mondays.
    Weekly,
    Never,
}

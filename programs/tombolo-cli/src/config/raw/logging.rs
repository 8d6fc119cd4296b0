//! The section `logging` as it was typed.

use schemars::JsonSchema;
use serde::Deserialize;

use super::database::Directories;
use super::schema::{OneOr, Word, Words};
use super::{Placed, RawPath, Setting, WordOr};

/// Which messages go where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Logging")]
pub(crate) struct RawLogging {
    /// From which level the database tells what it does, on standard error.
    #[schemars(with = "Placed<Word<LogLevels>>", extend("default" = "warning"))]
    pub(crate) ditto_sdk: Placed<String>,
    /// What the server tells.
    pub(crate) edge_server: Placed<Setting<RawEdgeLogging>>,
}

/// What the server tells.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EdgeLogging")]
pub(crate) struct RawEdgeLogging {
    /// From which level.
    #[schemars(with = "Placed<Word<LogLevels>>", extend("default" = "warning"))]
    pub(crate) level: Placed<String>,
    /// To which stream of the console.
    #[schemars(with = "Placed<Setting<Word<Consoles>>>", extend("default" = "std_err"))]
    pub(crate) console_logs: Placed<Setting<String>>,
    /// Both kinds of messages in files, as JSON lines.
    pub(crate) rotating_logs: Placed<Setting<RawRotatingLogs>>,
    /// Who asked for what and how it ended, as a chain of hashed JSON lines: a directory, and what else is known of the log in it.
    #[schemars(with = "Placed<Setting<OneOr<Directories, RawAuditLogs>>>", example = serde_json::json!({ "path": "/var/log/tombolo/audit" }))]
    pub(crate) audit_logs: Placed<Setting<WordOr<RawAuditLogs>>>,
}

/// Messages in files.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RotatingLogs")]
pub(crate) struct RawRotatingLogs {
    /// Where the files lie.
    #[schemars(with = "Placed<OneOr<Directories, RawPath>>", example = serde_json::json!({ "path": "/var/log/tombolo/app" }))]
    pub(crate) directory: Placed<WordOr<RawPath>>,
    /// Name of the file that is written; closed ones have a number behind it. Up to 64 letters, digits, dashes, dots and underscores.
    #[schemars(extend("default" = "edge-server.log"), regex(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$"))]
    pub(crate) prefix: Placed<String>,
    /// When a file is closed and the next one begun.
    pub(crate) rotation: Placed<Setting<RawRotation>>,
    /// How many closed files are kept.
    #[schemars(extend("default" = 30), range(min = 1, max = 10_000))]
    pub(crate) max_files: Placed<u64>,
    /// Whether closed files are compressed with gzip.
    #[schemars(extend("default" = true))]
    pub(crate) compress: Placed<bool>,
}

/// The audit log: its directory by `path` or `from_env`, and more.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AuditLogs")]
pub(crate) struct RawAuditLogs {
    /// Absolute, or relative to this file.
    pub(crate) path: Placed<String>,
    /// The environment variable that holds the path.
    pub(crate) from_env: Placed<String>,
    /// Which requests that change nothing are written down: all, one in a hundred, or none. Writes, refusals and acts of the operator always are.
    #[schemars(with = "Placed<Setting<Word<AuditedReads>>>", extend("default" = "all"))]
    pub(crate) reads: Placed<Setting<String>>,
    /// When a file is closed and the next one begun.
    pub(crate) rotation: Placed<Setting<RawRotation>>,
    /// How many closed files are kept; without it, all are.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) max_files: Placed<u64>,
    /// Whether closed files are compressed with gzip.
    #[schemars(extend("default" = true))]
    pub(crate) compress: Placed<bool>,
}

/// When a file is closed and the next one begun.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rotation")]
pub(crate) struct RawRotation {
    /// At which turn of the clock, in UTC.
    #[schemars(with = "Placed<Word<Frequencies>>", extend("default" = "daily"))]
    pub(crate) frequency: Placed<String>,
    /// At which size, in MiB, whatever the clock says.
    #[schemars(extend("default" = 100), range(min = 1, max = 1024))]
    pub(crate) max_size_mb: Placed<u64>,
}

struct LogLevels;

impl Words for LogLevels {
    const WORDS: &'static [&'static str] = &["error", "warning", "info", "debug", "verbose"];
}

struct Consoles;

impl Words for Consoles {
    const WORDS: &'static [&'static str] = &["std_out", "std_err", "off"];
}

struct AuditedReads;

impl Words for AuditedReads {
    const WORDS: &'static [&'static str] = &["all", "sampled", "off"];
}

struct Frequencies;

impl Words for Frequencies {
    const WORDS: &'static [&'static str] = &["minutely", "hourly", "daily", "weekly", "never"];
}

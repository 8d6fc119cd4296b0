//! The section `logging` as it was typed.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::{Word, Words};
use super::{Anything, Placed, Setting};

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
    /// Not built yet; `false` and `null` are taken.
    pub(crate) rotating_logs: Placed<Anything>,
    /// Not built yet; `false` and `null` are taken.
    pub(crate) audit_logs: Placed<Anything>,
}

struct LogLevels;

impl Words for LogLevels {
    const WORDS: &'static [&'static str] = &["error", "warning", "info", "debug", "verbose"];
}

struct Consoles;

impl Words for Consoles {
    const WORDS: &'static [&'static str] = &["std_out", "std_err", "off"];
}

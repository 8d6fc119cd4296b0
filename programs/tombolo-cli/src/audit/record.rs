//! What is written down: requests, logins, acts of the operator and of the node itself.
//! A record never holds a value of a document, an argument, a key, a token, or the text of a statement.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;

use super::line::Position;

/// Collections that one record names.
pub(crate) const COLLECTIONS_MAX: usize = 16;
/// Statements of one request that its record names.
pub(crate) const STATEMENTS_MAX: usize = 64;
/// Longest text of a record, in characters; the rest is cut.
pub(crate) const TEXT_CHARS_MAX: usize = 256;

/// One record, without its number, its time and its hash.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum AuditRecord {
    /// A client asked for something.
    Request(RequestRecord),
    /// What the operator did, and what the node did by itself.
    Admin(AdminRecord),
    /// The first line of a file.
    File(FileRecord),
    /// The first line after an end that was not in good order.
    Resumed(ResumedRecord),
    /// Closed files were removed because there were too many.
    Removed(RemovedRecord),
    /// Requests that were refused because this log could not be written.
    Unwritten { requests: u64 },
    /// Refusals that were like those before them and have no record of their own.
    Repeated(RepeatedRecord),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct RequestRecord {
    pub(crate) request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<IpAddr>,
    /// `None`: nobody was identified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<String>,
    pub(crate) endpoint: &'static str,
    /// The kinds of its statements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) statements: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) collections: Vec<String>,
    /// Documents that were changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) documents: Option<u64>,
    /// Rows that were answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<u64>,
    pub(crate) result: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<&'static str>,
    pub(crate) duration_us: u64,
    /// Who logged in, or tried to.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) login: Option<LoginRecord>,
}

/// How a request ended, for whoever reads only this.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    #[default]
    Done,
    /// The client left or the time was over; what it asked for may have been done.
    GivenUp,
    /// The client was not let in, not allowed, or throttled.
    Refused,
    /// The request was wrong, or the node failed.
    Failed,
}

impl Outcome {
    /// What a status says.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            0..=399 => Self::Done,
            401 | 403 | 429 => Self::Refused,
            _ => Self::Failed,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct LoginRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// The public key of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) provider: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AdminRecord {
    pub(crate) act: AdminAct,
    pub(crate) result: Outcome,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) detail: Cow<'static, str>,
}

/// Acts that change what a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AdminAct {
    Start,
    Stop,
    ConfigReload,
    CertificateChange,
    Revocation,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct FileRecord {
    pub(crate) format: u32,
    /// Drawn at random when the chain began.
    pub(crate) chain: String,
    pub(crate) database: String,
    pub(crate) device: String,
    pub(crate) version: &'static str,
    /// The end of the file before; `None`: this is the first of the chain.
    pub(crate) previous: Option<Position>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ResumedRecord {
    /// Bytes before this line that are no lines.
    pub(crate) torn_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) torn_hash: Option<String>,
    /// What was found of the file with the head.
    pub(crate) head: HeadFound,
}

/// What a start found of the file with the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HeadFound {
    /// Not beyond the last line.
    Reached,
    /// Beyond the last line: records are missing between.
    Ahead,
    /// Nobody can say whether records are missing.
    Missing,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RemovedRecord {
    pub(crate) file: String,
    /// The last line of that file.
    pub(crate) end: Position,
}

/// So many more refusals of one kind; the time of the line is that of the last one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RepeatedRecord {
    /// One address of IPv4 or one /64 of IPv6; `None`: many that could not be counted apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    /// `None`: nobody was identified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<String>,
    pub(crate) endpoint: &'static str,
    pub(crate) result: Outcome,
    pub(crate) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<&'static str>,
    pub(crate) requests: u64,
    /// When the first of them came.
    pub(crate) since: String,
}

/// Text for a record: cut, and without letters that steer a terminal, because a client or an error may have made it.
pub(crate) fn bounded(text: &str) -> String {
    let shown = |letter: char| {
        if letter.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            letter
        }
    };
    text.chars().take(TEXT_CHARS_MAX).map(shown).collect()
}

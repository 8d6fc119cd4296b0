//! The section `logging`: levels, where messages go, and how files of logs follow each other.

use super::meaning::Directory;
use super::meaning_logging::{
    AuditLogs, AuditedReads, Console, Frequency, Level, Logging, RotatingLogs, Rotation,
};
use super::raw::{
    Placed, RawAuditLogs, RawEdgeLogging, RawLogging, RawRotatingLogs, RawRotation, Setting,
    Spanned, WordOr,
};
use super::resolve::Findings;
use super::resolve_directory;

const ROTATING: &str = "logging.edge_server.rotating_logs";
const AUDIT: &str = "logging.edge_server.audit_logs";

/// Default of `prefix`, as documented.
const PREFIX: &str = "edge-server.log";
const PREFIX_BYTES_MAX: usize = 64;
/// What the files of the audit log begin with.
const AUDIT_PREFIX: &str = "audit.";

/// Default of `rotation.max_size_mb`.
const FILE_MB: u64 = 100;
const FILE_MB_MAX: u64 = 1024;
const BYTES_PER_MB: u64 = 1024 * 1024;
/// Default of `rotating_logs.max_files`; files of the audit log are kept unless the operator says otherwise.
const FILES_MAX: usize = 30;
const FILES_MAX_MAX: u64 = 10_000;

pub(super) fn logging(raw: Placed<Setting<RawLogging>>, findings: &mut Findings<'_>) -> Logging {
    let mut logging = Logging {
        database: Level::Warning,
        server: Level::Warning,
        console: Some(Console::StandardError),
        rotating: None,
        audit: None,
    };
    let Some(Spanned { value: raw, .. }) = findings.section("logging", raw) else {
        return logging;
    };
    if let Some(level) = level("logging.ditto_sdk", raw.ditto_sdk, findings) {
        logging.database = level;
    }
    if let Some(raw) = findings.section("logging.edge_server", raw.edge_server) {
        edge_logging(raw.value, &mut logging, findings);
    }
    logging
}

fn edge_logging(raw: RawEdgeLogging, logging: &mut Logging, findings: &mut Findings<'_>) {
    if let Some(level) = level("logging.edge_server.level", raw.level, findings) {
        logging.server = level;
    }
    if let Some(raw) = raw.console_logs {
        logging.console = console(raw, findings);
    }
    let rotating = findings.section(ROTATING, raw.rotating_logs);
    logging.rotating = rotating.and_then(|raw| rotating_logs(raw, findings));
    let audit = findings.section(AUDIT, raw.audit_logs);
    logging.audit = audit.and_then(|raw| audit_logs(raw, findings));
}

fn console(raw: Spanned<Setting<String>>, findings: &mut Findings<'_>) -> Option<Console> {
    match &raw.value {
        Setting::Given(word) if word == "std_out" => Some(Console::StandardOut),
        Setting::Given(word) if word == "std_err" => Some(Console::StandardError),
        Setting::Given(word) if word == "off" => None,
        Setting::Bool(false) => None,
        _ => {
            let path = "logging.edge_server.console_logs";
            let remedy = "write std_out, std_err or off";
            findings.refuse(path, raw.referenced, "names no console", remedy);
            None
        }
    }
}

fn rotating_logs(
    raw: Spanned<RawRotatingLogs>,
    findings: &mut Findings<'_>,
) -> Option<RotatingLogs> {
    let place = raw.referenced;
    let RawRotatingLogs {
        directory,
        prefix,
        rotation: turns,
        max_files,
        compress,
    } = raw.value;
    let path = format!("{ROTATING}.directory");
    let directory = match directory {
        Some(raw) => resolve_directory::directory(&path, raw, findings),
        None => {
            let remedy = "add directory: { path: ./logs }";
            findings.refuse(path, place, "is missing", remedy);
            None
        }
    };
    let prefix = match prefix {
        Some(raw) => file_prefix(raw, findings),
        None => Some(PREFIX.to_owned()),
    };
    let rotation = rotation(ROTATING, (turns, max_files, compress), findings);
    Some(RotatingLogs {
        directory: directory?,
        prefix: prefix?,
        rotation: Rotation {
            files_max: rotation.files_max.or(Some(FILES_MAX)),
            ..rotation
        },
    })
}

fn audit_logs(
    raw: Spanned<WordOr<RawAuditLogs>>,
    findings: &mut Findings<'_>,
) -> Option<AuditLogs> {
    let place = raw.referenced;
    let raw = match raw.value {
        WordOr::Word(word) => {
            let directory = resolve_directory::by_word(AUDIT, &word, place, findings)?;
            let rotation = rotation(AUDIT, (None, None, None), findings);
            return Some(AuditLogs {
                directory,
                reads: AuditedReads::All,
                rotation,
            });
        }
        WordOr::Given(raw) => raw,
    };
    let RawAuditLogs {
        path,
        from_env,
        reads,
        rotation: turns,
        max_files,
        compress,
    } = raw;
    let directory: Option<Directory> =
        resolve_directory::by_keys(AUDIT, place, (path, from_env), findings);
    let reads = match reads {
        Some(raw) => audited_reads(raw, findings),
        None => Some(AuditedReads::All),
    };
    let rotation = rotation(AUDIT, (turns, max_files, compress), findings);
    Some(AuditLogs {
        directory: directory?,
        reads: reads?,
        rotation,
    })
}

fn audited_reads(
    raw: Spanned<Setting<String>>,
    findings: &mut Findings<'_>,
) -> Option<AuditedReads> {
    match &raw.value {
        Setting::Given(word) if word == "all" => Some(AuditedReads::All),
        Setting::Given(word) if word == "sampled" => Some(AuditedReads::Sampled),
        Setting::Given(word) if word == "off" => Some(AuditedReads::Off),
        Setting::Bool(false) => Some(AuditedReads::Off),
        _ => {
            let path = format!("{AUDIT}.reads");
            let remedy = "write all, sampled or off";
            findings.refuse(path, raw.referenced, "names no choice", remedy);
            None
        }
    }
}

/// A name that stays in its directory and apart from the audit log.
fn file_prefix(raw: Spanned<String>, findings: &mut Findings<'_>) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let name = raw.value;
    let fits = (1..=PREFIX_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_plain);
    if fits && !name.starts_with('.') && !name.starts_with(AUDIT_PREFIX) {
        return Some(name);
    }
    let path = format!("{ROTATING}.prefix");
    let remedy = format!(
        "use up to {PREFIX_BYTES_MAX} letters, digits, dashes, dots and underscores; begin neither with a dot nor with {AUDIT_PREFIX}"
    );
    findings.refuse(path, raw.referenced, "is not a name for a file", remedy);
    None
}

type RawTurns = (Placed<Setting<RawRotation>>, Placed<u64>, Placed<bool>);

fn rotation(
    path: &str,
    (raw, max_files, compress): RawTurns,
    findings: &mut Findings<'_>,
) -> Rotation {
    let mut rotation = Rotation {
        frequency: Frequency::Daily,
        file_bytes_max: FILE_MB * BYTES_PER_MB,
        files_max: None,
        compress: compress.is_none_or(|switch| switch.value),
    };
    if let Some(raw) = findings.section(&format!("{path}.rotation"), raw) {
        let RawRotation {
            frequency: turn,
            max_size_mb,
        } = raw.value;
        if let Some(turn) = turn {
            let path = format!("{path}.rotation.frequency");
            rotation.frequency = frequency(&path, turn, findings);
        }
        let path = format!("{path}.rotation.max_size_mb");
        if let Some(mb) = within(&path, max_size_mb, FILE_MB_MAX, findings) {
            rotation.file_bytes_max = mb * BYTES_PER_MB;
        }
    }
    let files = within(
        &format!("{path}.max_files"),
        max_files,
        FILES_MAX_MAX,
        findings,
    );
    rotation.files_max = files.and_then(|files| usize::try_from(files).ok());
    rotation
}

fn frequency(path: &str, raw: Spanned<String>, findings: &mut Findings<'_>) -> Frequency {
    match raw.value.as_str() {
        "minutely" => Frequency::Minutely,
        "hourly" => Frequency::Hourly,
        "daily" => Frequency::Daily,
        "weekly" => Frequency::Weekly,
        "never" => Frequency::Never,
        _ => {
            let remedy = "write minutely, hourly, daily, weekly or never";
            findings.refuse(path, raw.referenced, "names no frequency", remedy);
            Frequency::Never
        }
    }
}

/// A number from 1 to `max`.
fn within(path: &str, raw: Placed<u64>, max: u64, findings: &mut Findings<'_>) -> Option<u64> {
    let raw = raw?;
    if (1..=max).contains(&raw.value) {
        return Some(raw.value);
    }
    let what = format!("is {}", raw.value);
    let remedy = format!("write a number from 1 to {max}");
    findings.refuse(path, raw.referenced, what, remedy);
    None
}

fn level(path: &str, raw: Placed<String>, findings: &mut Findings<'_>) -> Option<Level> {
    let raw = raw?;
    let level = match raw.value.as_str() {
        "error" => Level::Error,
        "warning" => Level::Warning,
        "info" => Level::Info,
        "debug" => Level::Debug,
        "verbose" => Level::Verbose,
        _ => {
            let remedy = "write error, warning, info, debug or verbose";
            findings.refuse(path, raw.referenced, "names no log level", remedy);
            return None;
        }
    };
    Some(level)
}

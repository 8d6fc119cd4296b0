//! Where the program's messages go: to the console, to the journal, to rolling files. Started once, before anything
//! else can speak. Whoever logs never waits for a file.

pub(crate) mod archive;
mod console;
mod file;
mod redact;

use std::io::{self, IsTerminal, stderr, stdout};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{Console, Level, Logging};
use crate::rolling::RollingWriter;
use console::Style;

pub(crate) use console::plain;

/// Crates whose messages follow `logging.ditto_sdk`; everything else follows `logging.edge_server.level`.
const DATABASE_CRATES: [&str; 4] = [
    "tombolo",
    "tombolo_document",
    "tombolo_query",
    "tombolo_store",
];
/// The crate of the server, and the modules of the program that speak for it: the program and the database are both
/// called tombolo.
const SERVER_CRATES: [&str; 9] = [
    "tombolo_http",
    "tombolo::acme",
    "tombolo::audit",
    "tombolo::edge",
    "tombolo::identity",
    "tombolo::logs",
    "tombolo::rolling",
    "tombolo::run",
    "tombolo::serving",
];

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

/// Keeps the files of the log open; what waits is written when it is dropped.
#[derive(Debug)]
pub(crate) struct Logs {
    _files: Option<RollingWriter>,
}

/// Begins to log as configured, to files in `directory` if there is one. A second call in one process changes nothing
/// but opens its files.
///
/// # Errors
/// The files cannot be written.
pub(crate) fn start(logging: &Logging, directory: Option<&Path>) -> io::Result<Logs> {
    let files = match (&logging.rotating, directory) {
        (Some(rotating), Some(directory)) => Some(RollingWriter::start(
            directory,
            &rotating.prefix,
            rotating.rotation,
        )?),
        _ => None,
    };
    let mut layers: Vec<Boxed> = Vec::new();
    layers.push(
        fmt::layer()
            .event_format(style(&stderr()))
            .with_writer(stderr)
            .with_filter(database_filter(logging.database))
            .boxed(),
    );
    let server = server_filter(logging.server);
    match logging.console {
        None => {}
        Some(Console::StandardOut) => layers.push(
            fmt::layer()
                .event_format(style(&stdout()))
                .with_writer(stdout)
                .with_filter(server)
                .boxed(),
        ),
        Some(Console::StandardError) => layers.push(
            fmt::layer()
                .event_format(style(&stderr()))
                .with_writer(stderr)
                .with_filter(server)
                .boxed(),
        ),
    }
    if let Some(queue) = files.as_ref().and_then(RollingWriter::queue) {
        for filter in [
            database_filter(logging.database),
            server_filter(logging.server),
        ] {
            let queue = file::Queue(queue.clone());
            layers.push(
                fmt::layer()
                    .json()
                    .with_writer(queue)
                    .with_filter(filter)
                    .boxed(),
            );
        }
    }
    // A test that starts two nodes in one process keeps the first one's logs.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    Ok(Logs { _files: files })
}

// The name of a crate matches as a prefix, so each side switches the other off by name.
fn database_filter(level: Level) -> Targets {
    Targets::new()
        .with_targets(DATABASE_CRATES.map(|name| (name, filter(level))))
        .with_targets(SERVER_CRATES.map(|name| (name, LevelFilter::OFF)))
}

fn server_filter(level: Level) -> Targets {
    Targets::new()
        .with_default(LevelFilter::ERROR)
        .with_targets(SERVER_CRATES.map(|name| (name, filter(level))))
        .with_targets(DATABASE_CRATES.map(|name| (name, LevelFilter::OFF)))
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warning => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Verbose => LevelFilter::TRACE,
    }
}

/// How lines look on this stream.
fn style(stream: &(impl AsFd + IsTerminal)) -> Style {
    if is_journal(stream) {
        return Style::Journal;
    }
    match stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    {
        true => Style::Coloured,
        false => Style::Plain,
    }
}

/// Whether the stream leads to the journal, which knows the time and the level itself. The variable alone proves
/// nothing: children inherit it.
fn is_journal(stream: &impl AsFd) -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let file = stream.as_fd().try_clone_to_owned().map(std::fs::File::from);
    let found = file.and_then(|file| file.metadata());
    found.is_ok_and(|found| named == format!("{}:{}", found.dev(), found.ino()))
}

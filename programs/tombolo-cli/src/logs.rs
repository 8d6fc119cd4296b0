//! Where the program's messages go. Started once, before anything else can speak.

use std::io::{stderr, stdout};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{Console, Level, Logging};

/// Crates whose messages follow `logging.ditto_sdk`; everything else follows `logging.edge_server.level`.
const DATABASE_CRATES: [&str; 4] = [
    "tombolo",
    "tombolo_document",
    "tombolo_query",
    "tombolo_store",
];
/// The crate of the server, and the modules of the program that speak for it: the program and the database are both
/// called tombolo.
const SERVER_CRATES: [&str; 3] = ["tombolo_http", "tombolo::edge", "tombolo::identity"];

/// Begins to log as configured. A second call changes nothing.
pub(crate) fn start(logging: Logging) {
    // The name of a crate matches as a prefix, so each side switches the other off by name.
    let database = Targets::new()
        .with_targets(DATABASE_CRATES.map(|name| (name, filter(logging.database))))
        .with_targets(SERVER_CRATES.map(|name| (name, LevelFilter::OFF)));
    let server = Targets::new()
        .with_default(LevelFilter::ERROR)
        .with_targets(SERVER_CRATES.map(|name| (name, filter(logging.server))))
        .with_targets(DATABASE_CRATES.map(|name| (name, LevelFilter::OFF)));
    let has_colour = std::env::var_os("NO_COLOR").is_none();
    let database = fmt::layer()
        .with_writer(stderr)
        .with_ansi(has_colour)
        .with_filter(database);
    let layer = fmt::layer::<Registry>().with_ansi(has_colour);
    let server: Option<Box<dyn Layer<Registry> + Send + Sync>> =
        logging.console.map(|console| match console {
            Console::StandardOut => layer.with_writer(stdout).with_filter(server).boxed(),
            Console::StandardError => layer.with_writer(stderr).with_filter(server).boxed(),
        });
    // A test that starts two nodes in one process keeps the first one's logs.
    let _ = tracing_subscriber::registry()
        .with(server)
        .with(database)
        .try_init();
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

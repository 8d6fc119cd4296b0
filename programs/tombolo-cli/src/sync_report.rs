//! What sync did, for whoever reads the log: one line a minute, if anything changed since the last one.
//! Single events are told by the mesh and its sessions as they happen; this line has the sums.

use std::sync::Weak;
use std::time::Duration;

use tombolo::{Database, DialState, MeshStatus, SyncStatus};

/// The time between two looks.
const INTERVAL: Duration = Duration::from_secs(60);

/// Reports until the database is gone.
pub(crate) async fn run(database: Weak<Database>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    // The first tick comes at once, when there is nothing to tell yet.
    ticks.tick().await;
    let mut last = None;
    loop {
        ticks.tick().await;
        let Some(database) = database.upgrade() else {
            return;
        };
        let line = line(&database.sync_status());
        if let Some(text) = line.as_ref().filter(|_| line != last) {
            tracing::info!("{text}");
        }
        last = line;
    }
}

/// Tells the last sums before sync is stopped.
pub(crate) fn conclude(database: &Database) {
    if let Some(text) = line(&database.sync_status()) {
        tracing::info!("{text}");
    }
}

/// `None` while sync is off.
fn line(status: &SyncStatus) -> Option<String> {
    let SyncStatus {
        mesh,
        peers,
        withheld_documents,
        attachments,
        ..
    } = status;
    let MeshStatus {
        links,
        servers,
        dial_attempts,
        accepted,
        turned_away,
        failures,
        ..
    } = mesh.as_ref()?;
    let reached = servers
        .iter()
        .filter(|server| matches!(server.state, DialState::Linked(_)));
    let mut text = format!(
        "sync: {} links, {} of {} known servers reached, {} peers ever met, {dial_attempts} dials, {accepted} accepted, {turned_away} turned away",
        links.len(),
        reached.count(),
        servers.len(),
        peers.len(),
    );
    for (kind, count) in failures {
        text.push_str(&format!(", {count} failed by {kind}"));
    }
    if *withheld_documents > 0 {
        text.push_str(&format!(
            ", {withheld_documents} documents written here that will not sync"
        ));
    }
    if attachments.given_bytes + attachments.fetched_bytes > 0 {
        text.push_str(&format!(
            ", {} bytes of attachments given and {} fetched",
            attachments.given_bytes, attachments.fetched_bytes
        ));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use tombolo::{Options, SharedKey, SyncOptions};

    use super::*;

    #[test]
    fn a_line_counts_what_the_mesh_did_and_there_is_none_without_one() {
        let database = Database::open(Options::memory("db-1")).unwrap();
        assert_eq!(line(&database.sync_status()), None);
        let mut options = SyncOptions::new(SharedKey::generate().unwrap());
        // A name that never resolves and so is never reached.
        options.known_tcp_servers = vec!["nowhere.invalid:1".to_owned()];
        database.start_sync(options).unwrap();
        let line = line(&database.sync_status()).unwrap();
        assert!(
            line.starts_with("sync: 0 links, 0 of 1 known servers reached, 0 peers ever met, "),
            "{line}"
        );
    }
}

//! What is asked of the node at the moment of a scrape: nothing of it is counted twice or kept.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tombolo::{Database, DialState, FLUSH_BOUNDS_US, FlushTimes, MeshStatus, SyncTraffic};

use super::process::Process;
use crate::acme::Sums;
use crate::audit::AuditSums;
use crate::clock::unix_ms;
use crate::health::{Door, Node};

/// Asks the node.
#[derive(Debug)]
pub(super) struct NodeCollector(Node);

impl NodeCollector {
    pub(super) const fn new(node: Node) -> Self {
        Self(node)
    }
}

impl Collector for NodeCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut page = Page(encoder);
        if let Some(database) = self.0.database() {
            store(&mut page, &database)?;
            sync(&mut page, &database)?;
        }
        if let Some(found) = self.0.door() {
            door(&mut page, found)?;
        }
        if let Some(sums) = self.0.audit_sums() {
            audit(&mut page, &sums)?;
        }
        if let Some(expires_s) = self.0.certificate_expires_s() {
            page.gauge(
                "certificate_expiry_timestamp_seconds",
                "When the certificate of the HTTP server ends, in seconds since 1970",
                expires_s as f64,
            )?;
            page.gauge(
                "certificate_expires_in_seconds",
                "Time that the certificate of the HTTP server is still valid",
                expires_s as f64 - unix_ms() as f64 / 1000.0,
            )?;
        }
        if let Some(sums) = self.0.acme() {
            acme(&mut page, &sums)?;
        }
        if let Some(free) = self.0.disk_free_bytes() {
            let help = "Bytes that are free where the data lies";
            page.gauge("disk_free_bytes", help, free as f64)?;
        }
        process(&mut page)
    }
}

/// The page that is being written.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        let metric = ConstGauge::new(value);
        let encoder = self
            .0
            .encode_descriptor(name, help, None, metric.metric_type())?;
        metric.encode(encoder)
    }

    fn seconds(&mut self, name: &str, help: &str, micros: u64) -> Result<(), Error> {
        let metric = ConstCounter::new(micros as f64 / 1e6);
        let encoder = self
            .0
            .encode_descriptor(name, help, None, metric.metric_type())?;
        metric.encode(encoder)
    }

    fn flushes(&mut self, times: &FlushTimes) -> Result<(), Error> {
        let help = "How long flushes to the disk took";
        let name = "store_flush_duration_seconds";
        let kind = MetricType::Histogram;
        let mut encoder = self.0.encode_descriptor(name, help, None, kind)?;
        let bounds = FLUSH_BOUNDS_US.iter().map(|bound| *bound as f64 / 1e6);
        let bounds = bounds.chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(times.buckets).collect();
        let (sum, count) = (times.sum_us as f64 / 1e6, times.buckets.iter().sum());
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        let metric = ConstCounter::new(value);
        let encoder = self
            .0
            .encode_descriptor(name, help, None, metric.metric_type())?;
        metric.encode(encoder)
    }
}

fn store(page: &mut Page<'_>, database: &Database) -> Result<(), Error> {
    let status = database.store_status();
    let (stats, commit) = (status.engine, status.last_commit);
    let help = "Bytes of documents and indexes on the disk";
    page.gauge("store_size_bytes", help, stats.size_bytes as f64)?;
    let help = "Number of the newest commit, of this node and its peers together";
    page.gauge("store_last_commit", help, commit as f64)?;
    let help = "1 after a write failed: nothing is written until the node is started anew";
    page.gauge(
        "store_stopped",
        help,
        f64::from(u8::from(status.has_stopped)),
    )?;
    let help = "Documents of all collections, without those that were removed";
    page.gauge("store_documents", help, status.documents as f64)?;
    page.flushes(&status.flush_times)?;
    let help = "Transactions written since the start";
    page.counter("store_batches", help, stats.batches_written)?;
    let help = "Flushes to the disk since the start; several transactions share one";
    page.counter("store_flushes", help, stats.flushes)
}

fn sync(page: &mut Page<'_>, database: &Database) -> Result<(), Error> {
    let status = database.sync_status();
    let commit = database.store_status().last_commit;
    let Some(mesh) = status.mesh else {
        return Ok(());
    };
    let reached = mesh
        .servers
        .iter()
        .filter(|server| matches!(server.state, DialState::Linked(_)))
        .count();
    let connected = status.peers.iter().filter(|peer| peer.connected);
    let behind = connected
        .map(|peer| commit.saturating_sub(peer.acknowledged))
        .max();
    let gauges = [
        ("sync_links", "Links to peers that are up", mesh.links.len()),
        (
            "sync_servers",
            "Servers that the configuration names",
            mesh.servers.len(),
        ),
        (
            "sync_servers_linked",
            "Of these, how many are linked",
            reached,
        ),
        ("sync_peers", "Peers that were ever met", status.peers.len()),
    ];
    for (name, help, value) in gauges {
        page.gauge(name, help, value as f64)?;
    }
    let help = "Commits that the slowest linked peer has not acknowledged; it may not be interested in them";
    page.gauge(
        "sync_commits_unacknowledged",
        help,
        behind.unwrap_or(0) as f64,
    )?;
    handshakes(page, &mesh)?;
    traffic(page, &status.traffic)?;
    let help = "Documents written here that will not sync";
    page.counter("sync_withheld_documents", help, status.withheld_documents)?;
    let attachments = status.attachments;
    let help = "Bytes of attachments that were read for peers";
    page.counter(
        "sync_attachments_given_bytes",
        help,
        attachments.given_bytes,
    )?;
    let help = "Bytes of attachments that came from peers and were checked and stored";
    page.counter(
        "sync_attachments_fetched_bytes",
        help,
        attachments.fetched_bytes,
    )
}

fn traffic(page: &mut Page<'_>, traffic: &SyncTraffic) -> Result<(), Error> {
    let counters = [
        (
            "sync_sent_bytes",
            "Bytes of frames sent to peers",
            traffic.sent_bytes,
        ),
        (
            "sync_received_bytes",
            "Bytes of frames received of peers",
            traffic.received_bytes,
        ),
        (
            "sync_refused_frames",
            "Frames of peers that broke the rules; each ended its link",
            traffic.refused_frames,
        ),
    ];
    for (name, help, value) in counters {
        page.counter(name, help, value)?;
    }
    Ok(())
}

fn handshakes(page: &mut Page<'_>, mesh: &MeshStatus) -> Result<(), Error> {
    let failed = mesh.failures.values().sum();
    let counters = [
        (
            "sync_dials",
            "Times that a server was dialled",
            mesh.dial_attempts,
        ),
        ("sync_accepted", "Peers that connected", mesh.accepted),
        (
            "sync_turned_away",
            "Peers that were turned away because too many handshakes were half done",
            mesh.turned_away,
        ),
        (
            "sync_handshakes_failed",
            "Handshakes that failed, in both directions",
            failed,
        ),
    ];
    for (name, help, value) in counters {
        page.counter(name, help, value)?;
    }
    Ok(())
}

fn door(page: &mut Page<'_>, door: &Door) -> Result<(), Error> {
    let (connections, keys) = (&door.connections, door.slow_keys.sums());
    let help = "Connections of clients that are open";
    page.gauge("http_connections_open", help, connections.open() as f64)?;
    let help = "Unknown keys that are hashed slowly or wait for it";
    page.gauge("http_slow_keys_waiting", help, keys.waiting as f64)?;
    let counters = [
        (
            "http_connections",
            "Connections of clients that were let in",
            connections.accepted(),
        ),
        (
            "http_connections_refused",
            "Connections that were turned away because all were in use",
            connections.turned_away(),
        ),
        (
            "http_tls_handshakes_failed",
            "TLS handshakes of clients that failed or took too long",
            connections.handshakes_failed(),
        ),
        (
            "http_slow_keys",
            "Unknown keys that had their turn to be hashed slowly",
            keys.checked,
        ),
        (
            "http_slow_keys_refused",
            "Unknown keys that were answered 503 because too many waited",
            keys.refused,
        ),
    ];
    for (name, help, value) in counters {
        page.counter(name, help, value)?;
    }
    let help = "How long unknown keys waited for their turn, together";
    page.seconds("http_slow_keys_wait_seconds", help, keys.waited_us)
}

fn audit(page: &mut Page<'_>, sums: &AuditSums) -> Result<(), Error> {
    let help = "Records that have a place in the queue of the audit log";
    page.gauge("audit_queue", help, sums.queued as f64)?;
    let help = "1 while the audit log cannot be written, and requests are refused";
    page.gauge("audit_failing", help, f64::from(u8::from(sums.is_failing)))?;
    let help = "Records written to the audit log";
    page.counter("audit_records", help, sums.written)?;
    let help = "Requests that had no place in the audit log";
    page.counter("audit_refused", help, sums.refused)?;
    let help = "Refusals that were counted in the audit log instead of written one by one";
    page.counter("audit_counted", help, sums.counted)
}

fn acme(page: &mut Page<'_>, sums: &Sums) -> Result<(), Error> {
    let help = "Orders for a certificate that were begun at the ACME server";
    page.counter("acme_orders", help, sums.orders)?;
    let help = "Certificates that the ACME server gave";
    page.counter("acme_certificates", help, sums.certificates)?;
    let help = "Tries to get a certificate that failed";
    page.counter("acme_failures", help, sums.failures)?;
    let help = "1 after the last try to get a certificate failed";
    let is_failing = sums.failure.is_some();
    page.gauge("acme_failing", help, f64::from(u8::from(is_failing)))?;
    if let Some(next_s) = sums.next_try_unix_s {
        let help = "When a certificate is asked for next, in seconds since 1970";
        page.gauge("acme_next_try_timestamp_seconds", help, next_s as f64)?;
    }
    Ok(())
}

fn process(page: &mut Page<'_>) -> Result<(), Error> {
    let found = Process::read();
    let gauges = [
        (
            "process_resident_memory_bytes",
            "Resident memory",
            found.resident_bytes.map(|n| n as f64),
        ),
        (
            "process_open_fds",
            "Open file descriptors",
            found.open_files.map(|n| n as f64),
        ),
        (
            "process_threads",
            "Threads",
            found.threads.map(|n| n as f64),
        ),
        (
            "process_cpu_seconds",
            "User and system time",
            found.cpu_seconds,
        ),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            page.gauge(name, help, value)?;
        }
    }
    Ok(())
}

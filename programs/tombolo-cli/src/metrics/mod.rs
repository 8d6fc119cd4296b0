//! Numbers for whoever watches the node, as Prometheus reads them.
//! Labels are words of ours: endpoints, statuses, codes. Never a path, an id or a name that somebody else chose.

mod collect;
mod process;

use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::audit::Outcome;
use crate::edge::{Endpoint, Record};
use crate::health::Node;
use collect::NodeCollector;

/// What [`Metrics::render`] gives.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the buckets of durations, in seconds.
const DURATION_BOUNDS: [f64; 12] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0,
];

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Counters of requests, and how to ask the node for the rest.
pub(crate) struct Metrics {
    requests: Family<Labels<2>, Counter>,
    durations: Family<Labels<1>, Histogram>,
    auth_failures: Family<Labels<1>, Counter>,
    throttled: Counter,
    documents: Counter,
    rows: Counter,
    registry: Registry,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}

impl Metrics {
    pub(crate) fn new(node: Node) -> Self {
        let histogram = || Histogram::new(DURATION_BOUNDS);
        let mut metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(histogram),
            auth_failures: Family::default(),
            throttled: Counter::default(),
            documents: Counter::default(),
            rows: Counter::default(),
            registry: Registry::with_prefix("tombolo"),
        };
        let registry = &mut metrics.registry;
        let help = "HTTP requests by endpoint and status; 0 stands for requests that were given up";
        registry.register("http_requests", help, metrics.requests.clone());
        let help = "Time from the head of a request to its answer";
        registry.register(
            "http_request_duration_seconds",
            help,
            metrics.durations.clone(),
        );
        let help = "Requests that were not let in, by the code of the answer";
        registry.register("http_auth_failures", help, metrics.auth_failures.clone());
        let help = "Requests that were answered 429";
        registry.register("http_throttled", help, metrics.throttled.clone());
        let help = "Documents that requests wrote or removed";
        registry.register("http_documents_written", help, metrics.documents.clone());
        let help = "Rows that requests were answered";
        registry.register("http_rows", help, metrics.rows.clone());
        registry.register_collector(Box::new(NodeCollector::new(node)));
        metrics
    }

    /// Counts a request that is over.
    pub(crate) fn count(&self, record: &Record) {
        let endpoint = record.endpoint.map_or("none", Endpoint::name);
        let status = record.status.map_or(0, |status| status.as_u16());
        self.requests
            .get_or_create(&[("endpoint", endpoint), ("status", status_name(status))])
            .inc();
        self.durations
            .get_or_create(&[("endpoint", endpoint)])
            .observe(record.duration.as_secs_f64());
        if status == 429 {
            self.throttled.inc();
        } else if Outcome::of_status(status) == Outcome::Refused {
            // Codes are words of ours.
            let code = record.error.unwrap_or("login");
            self.auth_failures.get_or_create(&[("code", code)]).inc();
        }
        self.documents.inc_by(record.documents);
        self.rows.inc_by(record.rows);
    }

    /// Everything as text.
    ///
    /// # Errors
    /// A number has no form, which none lacks.
    pub(crate) fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// The statuses that the server answers; any other is counted with its class.
fn status_name(status: u16) -> &'static str {
    match status {
        0 => "0",
        101 => "101",
        200 => "200",
        204 => "204",
        206 => "206",
        304 => "304",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        408 => "408",
        409 => "409",
        412 => "412",
        413 => "413",
        415 => "415",
        416 => "416",
        422 => "422",
        429 => "429",
        431 => "431",
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        100..=199 => "1xx",
        201..=299 => "2xx",
        300..=399 => "3xx",
        402..=499 => "4xx",
        _ => "5xx",
    }
}

//! What becomes of the records of requests: the audit log gets those that belong there, the message log gets all.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::audit::{
    Audit, AuditRecord, COLLECTIONS_MAX, LoginRecord, Outcome, Refusal, RequestRecord,
    STATEMENTS_MAX, Told, Written, bounded,
};
use crate::edge::{Endpoint, LoginTold, Record, RecordPlace, Recorder};
use crate::metrics::Metrics;

/// Takes the records of a node.
#[derive(Debug)]
pub(crate) struct NodeRecorder {
    /// `None`: nobody keeps an audit log.
    audit: Option<Arc<Audit>>,
    /// `None`: nobody counts.
    metrics: Option<Arc<Metrics>>,
}

impl NodeRecorder {
    pub(crate) fn new(audit: Option<Arc<Audit>>, metrics: Option<Arc<Metrics>>) -> Self {
        Self { audit, metrics }
    }
}

impl Recorder for NodeRecorder {
    fn admit(&self) -> RecordPlace {
        match self.audit.as_ref().map(|audit| audit.admit()) {
            None => RecordPlace::NotNeeded,
            Some(Ok(admission)) => RecordPlace::Taken(Arc::new(admission)),
            Some(Err(_)) => RecordPlace::Full,
        }
    }

    fn needs_reads(&self) -> bool {
        self.audit.as_ref().is_some_and(|audit| audit.needs_reads())
    }

    fn record(&self, record: &mut Record) -> Option<Written> {
        tell(record);
        if let Some(metrics) = &self.metrics {
            metrics.count(record);
        }
        let audit = self.audit.as_ref()?;
        let RecordPlace::Taken(place) = std::mem::take(&mut record.place) else {
            return None;
        };
        let endpoint = record.endpoint.filter(|endpoint| endpoint.is_recorded())?;
        let must_be = is_act(record, endpoint);
        if !must_be && !audit.chooses_read() {
            return None;
        }
        let since = record.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        if let Some(refusal) = like_others(record, endpoint)
            && audit.tell_refusal(refusal, at_ms) == Told::Counted
        {
            return None;
        }
        let admission = Arc::into_inner(place)?;
        let audited = AuditRecord::Request(audited(record, endpoint));
        if must_be {
            return Some(admission.put(audited, at_ms));
        }
        admission.put_quietly(audited, at_ms);
        None
    }
}

/// Whether it changed something, was refused, or is a login: what is never left out.
fn is_act(record: &Record, endpoint: Endpoint) -> bool {
    let status = record.status.map_or(0, |status| status.as_u16());
    let changes = record
        .statements
        .iter()
        .any(|statement| statement.is_mutation());
    let is_act = matches!(endpoint, Endpoint::AttachmentsUpload | Endpoint::Logs);
    changes || is_act || record.login.is_some() || Outcome::of_status(status) == Outcome::Refused
}

/// The refusal of a request of which nothing is known but where it came from, or that came too often. What somebody known
/// was not allowed to do is never one, nor is a login that tells its user, nor anything that reached its statement.
fn like_others(record: &Record, endpoint: Endpoint) -> Option<Refusal<'_>> {
    let status = record.status?.as_u16();
    let login = record.login.as_ref();
    let is_throttled = status == 429;
    let is_known = record.identity.is_some() || login.is_some_and(|login| login.user.is_some());
    let is_like_others = Outcome::of_status(status) == Outcome::Refused
        && record.statements.is_empty()
        && (is_throttled || !is_known);
    is_like_others.then(|| Refusal {
        address: record.address,
        identity: record.identity.as_deref(),
        endpoint: endpoint.name(),
        status,
        code: code(record),
    })
}

/// Why it was refused, if it was.
fn code(record: &Record) -> Option<&'static str> {
    let login = record.login.as_ref();
    record.error.or_else(|| login.and_then(|login| login.code))
}

fn audited(record: &Record, endpoint: Endpoint) -> RequestRecord {
    let status = record.status.map(|status| status.as_u16());
    let mut collections = record.collections();
    collections.truncate(COLLECTIONS_MAX);
    for name in &mut collections {
        *name = bounded(name);
    }
    let is_run = !record.statements.is_empty();
    let login = record.login.as_ref();
    RequestRecord {
        request_id: record.request_id.to_string(),
        address: Some(record.address),
        identity: record.identity.as_deref().map(bounded),
        endpoint: endpoint.name(),
        statements: record
            .kinds()
            .take(STATEMENTS_MAX)
            .map(|kind| kind.name())
            .collect(),
        collections,
        documents: is_run.then_some(record.documents),
        rows: is_run.then_some(record.rows),
        result: status.map_or(Outcome::GivenUp, Outcome::of_status),
        status,
        code: code(record),
        duration_us: u64::try_from(record.duration.as_micros()).unwrap_or(u64::MAX),
        login: login.map(audited_login),
    }
}

fn audited_login(told: &LoginTold) -> LoginRecord {
    let text = |text: &Option<String>| text.as_deref().map(bounded);
    LoginRecord {
        user: text(&told.user),
        peer: text(&told.peer),
        provider: text(&told.provider),
    }
}

/// Writes a request to the log of the process, at its level debug.
fn tell(record: &Record) {
    if tracing::enabled!(tracing::Level::DEBUG) {
        tracing::debug!(
            request_id = %record.request_id,
            at = ?record.at,
            address = %record.address,
            endpoint = record.endpoint.map(Endpoint::name),
            identity = record.identity,
            statements = ?record.kinds().map(tombolo::StatementKind::name).collect::<Vec<_>>(),
            collections = ?record.collections(),
            documents = record.documents,
            rows = record.rows,
            status = record.status.map(|status| status.as_u16()),
            error = record.error,
            duration = ?record.duration,
            "request"
        );
    }
}

//! Each request is told once, however it ended.

use std::sync::Mutex;

use tokio::sync::Notify;

use super::*;
use crate::audit::Written;
use crate::edge::endpoint::Endpoint;
use crate::edge::record::{Record, RecordPlace};

#[derive(Debug, Default)]
pub(super) struct Remembering {
    records: Mutex<Vec<Record>>,
    told: Notify,
    is_full: bool,
    needs_reads: bool,
}

impl Recorder for Remembering {
    fn admit(&self) -> RecordPlace {
        if self.is_full {
            RecordPlace::Full
        } else {
            RecordPlace::NotNeeded
        }
    }

    fn needs_reads(&self) -> bool {
        self.needs_reads
    }

    fn record(&self, record: &mut Record) -> Option<Written> {
        self.records.lock().unwrap().push(record.clone());
        self.told.notify_one();
        None
    }
}

impl Remembering {
    pub(super) async fn next(&self) -> Record {
        self.told.notified().await;
        self.records.lock().unwrap().pop().unwrap()
    }
}

async fn remembered(recorder: Remembering, limits: Limits) -> (Running, Arc<Remembering>) {
    let recorder = Arc::new(recorder);
    let told = Arc::clone(&recorder);
    let node = start_recorded(ALL, Clients::Anyone, limits, recorder).await;
    (node, told)
}

#[tokio::test]
async fn a_statement_is_told_with_its_kind_and_its_counts() {
    let (node, told) = remembered(Remembering::default(), Limits::default()).await;
    node.post("/execute", r#"{"statement":"ECHO"}"#).await;
    let record = told.next().await;
    assert_eq!(record.endpoint, Some(Endpoint::Execute));
    assert_eq!(
        record.kinds().map(|kind| kind.name()).collect::<Vec<_>>(),
        ["select"]
    );
    assert_eq!(record.collections(), ["ECHO"]);
    assert_eq!((record.rows, record.documents), (1, 0));
    assert_eq!(record.status.map(|status| status.as_u16()), Some(200));
    assert!(record.address.is_loopback() && record.error.is_none());
}

#[tokio::test]
async fn a_refusal_is_told_with_its_code() {
    let (node, told) = remembered(Remembering::default(), Limits::default()).await;
    node.send("GET /nowhere HTTP/1.1", "").await;
    let record = told.next().await;
    assert_eq!(
        (record.endpoint, record.error),
        (None, Some("unknown_path"))
    );
    assert_eq!(record.status.map(|status| status.as_u16()), Some(404));
}

#[tokio::test]
async fn a_request_that_was_given_up_is_told_without_a_status() {
    let limits = Limits {
        request_timeout: Some(Duration::from_millis(1)),
        ..Limits::default()
    };
    let (node, told) = remembered(Remembering::default(), limits).await;
    node.post("/execute", r#"{"statement":"HANG"}"#).await;
    assert_eq!(told.next().await.status, None);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_written() {
    let full = Remembering {
        is_full: true,
        ..Remembering::default()
    };
    let (node, _) = remembered(full, Limits::default()).await;
    let answer = node.post("/execute", r#"{"statement":"WRITE"}"#).await;
    assert_answer(&answer, 503, "audit_full");
    let read = node.post("/execute", r#"{"statement":"ECHO"}"#).await;
    assert_answer(&read, 200, "select");
}

#[tokio::test]
async fn reads_and_refusals_are_not_answered_either_where_all_must_be_recorded() {
    for (needs_reads, status, code) in [(true, 503, "audit_full"), (false, 200, "select")] {
        let full = Remembering {
            is_full: true,
            needs_reads,
            ..Remembering::default()
        };
        let (node, _) = remembered(full, Limits::default()).await;
        let read = node.post("/execute", r#"{"statement":"ECHO"}"#).await;
        assert_answer(&read, status, code);
        let health = node.send("GET /health HTTP/1.1", "").await;
        assert_answer(&health, 200, "ok");
    }
    let full = Remembering {
        is_full: true,
        ..Remembering::default()
    };
    let clients = Clients::Known(Vec::new());
    let node = start_recorded(ALL, clients, Limits::default(), Arc::new(full)).await;
    let refused = node.post("/execute", r#"{"statement":"ECHO"}"#).await;
    assert_answer(&refused, 503, "audit_full");
}

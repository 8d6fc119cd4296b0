//! A flood of requests at a rate that is offered, whatever the answers are.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::client::{Duplex, Place, post, status};
use super::keys::Shape;
use super::wrong;
use crate::error::BenchError;
use crate::http::read_answer;
use crate::machine::Stopwatch;

/// Connections of an attacker; each sends when its turn is due, at the latest after the answer before.
const CONNECTIONS: u64 = 64;

/// What is sent, how often, and from how many addresses.
#[derive(Clone)]
pub(super) struct Flood {
    pub(super) path: &'static str,
    pub(super) shape: Shape,
    pub(super) body: Arc<str>,
    /// Requests a second.
    pub(super) rate: u32,
    pub(super) addresses: u8,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Told {
    pub(super) statuses: BTreeMap<u16, u64>,
    /// Connections that the node closed, and requests that got no answer.
    pub(super) broken: u64,
    pub(super) per_second: f64,
}

impl Flood {
    /// Sends for `duration`.
    pub(super) async fn run(self, place: Place, duration: Duration) -> Result<Told, BenchError> {
        let (flood, number) = (Arc::new(self), Arc::new(AtomicU64::new(0)));
        let (start, watch) = (now(), Stopwatch::start());
        let mut tasks = JoinSet::new();
        for at in 0..CONNECTIONS {
            let (flood, place) = (Arc::clone(&flood), place.clone());
            let number = Arc::clone(&number);
            tasks.spawn(async move { flood.send(place, (at, &number), start, duration).await });
        }
        let mut told = Told::default();
        while let Some(joined) = tasks.join_next().await {
            let part = joined.map_err(|error| wrong(&error))?;
            for (status, count) in part.statuses {
                *told.statuses.entry(status).or_default() += count;
            }
            told.broken += part.broken;
        }
        let answers: u64 = told.statuses.values().sum();
        told.per_second = answers as f64 / watch.elapsed().as_secs_f64();
        Ok(told)
    }

    async fn send(
        &self,
        place: Place,
        (at, number): (u64, &AtomicU64),
        start: Instant,
        duration: Duration,
    ) -> Told {
        let mut told = Told::default();
        let mut stream: Option<Box<dyn Duplex>> = None;
        let mut answer = Vec::new();
        let mut turn = at;
        loop {
            let due = Duration::from_secs_f64(turn as f64 / f64::from(self.rate));
            if due >= duration {
                return told;
            }
            sleep_until(start + due).await;
            turn += CONNECTIONS;
            let nth = number.fetch_add(1, Ordering::Relaxed);
            if stream.is_none() {
                stream = place.connect(self.source(nth)).await.ok();
            }
            let Some(open) = &mut stream else {
                told.broken += 1;
                continue;
            };
            let request = post(self.path, Some(&self.shape.text(nth)), &self.body);
            // A node that has answered may take no more of a body.
            let sent = open.write_all(&request).await;
            let is_answered = read_answer(open, &mut answer).await.is_ok();
            if is_answered {
                *told.statuses.entry(status(&answer)).or_default() += 1;
            } else {
                told.broken += 1;
            }
            if sent.is_err() || !is_answered || closes(&answer) {
                stream = None;
            }
        }
    }

    /// The address of the connection that is opened for request number `nth`.
    fn source(&self, nth: u64) -> Ipv4Addr {
        let host = u8::try_from(nth % u64::from(self.addresses)).unwrap_or(0);
        // 127.0.0.1 is the honest client's.
        Ipv4Addr::new(127, 0, 1, host.saturating_add(1))
    }
}

fn closes(answer: &[u8]) -> bool {
    let head = answer.split(|byte| *byte == b'\n');
    let mut fields = head.take_while(|line| *line != b"\r");
    fields.any(|line| line.eq_ignore_ascii_case(b"connection: close\r"))
}

fn now() -> Instant {
    Instant::now()
}

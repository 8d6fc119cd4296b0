//! Connections that are held and say next to nothing: half a TLS handshake, or a request at a byte every ten seconds.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::client::{Duplex, Place};
use super::wrong;
use crate::error::BenchError;
use crate::machine::Stopwatch;

/// Time between two bytes of a slow client.
const DRIP: Duration = Duration::from_secs(10);
/// Connections of one address; the system has not many more ports for it.
const PER_ADDRESS: usize = 2000;
/// A connection that the node has not closed by then is given up.
const PATIENCE: Duration = Duration::from_secs(90);

/// What is held open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// The first bytes of a TLS handshake and no more.
    Handshake,
    /// A request head, byte by byte.
    Head,
    /// A request whose body comes byte by byte, with a key that is right.
    Body,
}

/// What came of the connections.
#[derive(Default)]
pub(super) struct Told {
    /// How long each was open, in milliseconds, sorted.
    pub(super) open_ms: Vec<u32>,
    /// Connections that could not be opened, or were closed while they were opened.
    pub(super) refused: u64,
    /// Connections that the node did not close in time.
    pub(super) kept: u64,
}

impl Held {
    /// Opens `count` connections evenly within `ramp` and holds each until the node closes it.
    pub(super) async fn hold(
        self,
        place: Place,
        (count, ramp): (usize, Duration),
        request: &[u8],
    ) -> Result<Told, BenchError> {
        let start = now();
        let mut tasks = JoinSet::new();
        for at in 0..count {
            let (place, request) = (place.clone(), request.to_vec());
            tasks.spawn(async move {
                let due = ramp.mul_f64(at as f64 / count as f64);
                sleep_until(start + due).await;
                let source =
                    Ipv4Addr::new(127, 0, 2, u8::try_from(at / PER_ADDRESS).unwrap_or(0) + 1);
                self.hold_one(&place, source, &request).await
            });
        }
        let mut told = Told::default();
        while let Some(joined) = tasks.join_next().await {
            match joined.map_err(|error| wrong(&error))? {
                Outcome::Closed(after) => {
                    let ms = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
                    told.open_ms.push(ms);
                }
                Outcome::Refused => told.refused += 1,
                Outcome::Kept => told.kept += 1,
            }
        }
        told.open_ms.sort_unstable();
        Ok(told)
    }

    async fn hold_one(self, place: &Place, source: Ipv4Addr, request: &[u8]) -> Outcome {
        let watch = Stopwatch::start();
        let opened: std::io::Result<Box<dyn Duplex>> = match self {
            Self::Handshake => match place.connect_bare(source).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(error) => Err(error),
            },
            Self::Head | Self::Body => place.connect(source).await,
        };
        let Ok(mut stream) = opened else {
            return Outcome::Refused;
        };
        let (at_once, dripped) = match self {
            // A record of a handshake begins so.
            Self::Handshake => (&[0x16, 3, 1][..], &[][..]),
            Self::Head => request.split_at(1),
            Self::Body => {
                let head = request.windows(4).position(|bytes| bytes == b"\r\n\r\n");
                request.split_at(head.map_or(0, |at| at + 4))
            }
        };
        if stream.write_all(at_once).await.is_err() || stream.flush().await.is_err() {
            return Outcome::Refused;
        }
        let (mut reader, mut writer) = split(stream);
        let mut answer = Vec::new();
        let closed = async {
            // An answer such as 408 may come first; the end is what counts.
            while reader
                .read_buf(&mut answer)
                .await
                .is_ok_and(|count| count > 0)
            {}
        };
        let dripping = async {
            let mut next = now() + DRIP;
            for byte in dripped {
                sleep_until(next).await;
                next += DRIP;
                if writer.write_all(&[*byte]).await.is_err() || writer.flush().await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = closed => Outcome::Closed(watch.elapsed()),
            () = dripping => Outcome::Kept,
            () = sleep_until(now() + PATIENCE) => Outcome::Kept,
        }
    }
}

enum Outcome {
    Closed(Duration),
    Refused,
    Kept,
}

fn now() -> Instant {
    Instant::now()
}

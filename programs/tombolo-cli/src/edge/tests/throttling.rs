//! Throttling over requests, with a clock that stands.

use super::*;
use crate::config::{Strategy, Throttled};
use crate::edge::Endpoint;
use crate::edge::clock::{Clock, Moment};

#[derive(Debug)]
struct Standing;

impl Clock for Standing {
    fn now(&self) -> Moment {
        Moment {
            wall: std::time::UNIX_EPOCH,
            monotonic: Duration::from_secs(1),
        }
    }
}

async fn throttled(by: Throttled, requests_max: u32) -> Running {
    let strategy = Strategy {
        by,
        requests_max,
        window: Duration::from_secs(10),
    };
    let trusted = vec!["127.0.0.1".parse().unwrap()];
    let settings = Settings {
        throttle: Throttle::new(vec![strategy]),
        proxies: Proxies {
            trusted,
            header: ForwardedHeader::XForwardedFor,
        },
        clock: Arc::new(Standing),
        ..settings()
    };
    serve_with(settings, Limits::default(), Scripted).await
}

#[tokio::test]
async fn one_request_more_is_told_when_to_ask_again() {
    let node = throttled(Throttled::Address, 2).await;
    for path in ["/health", "/nowhere"] {
        node.send(&format!("GET {path} HTTP/1.1"), "").await;
    }
    let refused = node.send("GET /health HTTP/1.1", "").await;
    assert_answer(&refused, 429, "too_many_requests");
    // 9 seconds of this window, and half of the next until one of the two weighs less.
    assert_answer(&refused, 429, "retry-after: 14");
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_counted_apart() {
    let node = throttled(Throttled::Address, 1).await;
    let from = async |address: &str| {
        let head = format!("GET /health HTTP/1.1\r\nx-forwarded-for: {address}");
        node.send(&head, "").await
    };
    assert_answer(&from("1.1.1.1").await, 200, "ok");
    assert_answer(&from("2.2.2.2").await, 200, "ok");
    let spoofed = from("6.6.6.6, 1.1.1.1").await;
    assert_answer(&spoofed, 429, "too_many_requests");
}

#[tokio::test]
async fn a_route_has_a_limit_of_its_own() {
    let node = throttled(Throttled::Route(Endpoint::Presence), 1).await;
    let presence = async || node.send("GET /presence HTTP/1.1", "").await;
    assert_answer(&presence().await, 200, "remotePeers");
    assert_answer(&presence().await, 429, "retry-after");
    let health = node.send("GET /health HTTP/1.1", "").await;
    assert_answer(&health, 200, "ok");
}

//! Links that are up when a certificate runs out: within two seconds they are
//! not, on the clock of the day, whatever the link itself believes.

use std::time::Duration;

use tokio::time::Instant;
use tombolo_mesh::{CloseReason, LinkError, MeshStatus};

use crate::fleet::{ANN, BOB, Device, HOUR_MS, Login, Service, Side, linked};
use crate::node::{DATABASE, NOW_MS, next, soon, until};

const SHORT: Login<'_> = Login {
    valid_s: HOUR_MS / 1000,
    ..BOB
};

/// Why a link ends, which it must within two seconds of a clock that stands still
/// but for those who wait.
pub(crate) async fn ends(side: &Side) -> CloseReason {
    tokio::time::pause();
    let begin = Instant::now();
    let reason = soon(side.link.guard.closed()).await;
    assert!(
        begin.elapsed() <= Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
    tokio::time::resume();
    reason
}

#[tokio::test]
async fn a_link_ends_with_the_certificate_of_the_peer() {
    let service = Service::new();
    let long = service.credential(&Device::new(), ANN);
    let (server, client) = linked(long, service.credential(&Device::new(), SHORT)).await;
    server.set_clock(NOW_MS + HOUR_MS - 1);
    tokio::time::pause();
    let early = tokio::time::timeout(Duration::from_secs(3), server.link.guard.closed());
    assert!(early.await.is_err());
    tokio::time::resume();
    server.set_clock(NOW_MS + HOUR_MS);
    assert_eq!(ends(&server).await, CloseReason::Expired);
    let (_sender, mut receiver) = server.link.link.split();
    let ended = soon(receiver.receive()).await;
    assert!(matches!(
        ended,
        Err(LinkError::Closed(CloseReason::Expired))
    ));
    drop(client);
}

#[tokio::test]
async fn all_links_end_with_the_own_certificate_and_come_back_with_a_new_one() {
    let service = Service::new();
    let (long, device) = (service.credential(&Device::new(), ANN), Device::new());
    let (server, client) = linked(long, service.credential(&device, SHORT)).await;
    client.set_clock(NOW_MS + HOUR_MS);
    assert_eq!(ends(&client).await, CloseReason::OwnExpired);
    drop((server.link, client.link));
    // It does not even dial with it.
    let failed = |status: &MeshStatus| status.failures.contains_key("own_expired");
    until(&client.mesh, failed).await;
    assert_eq!(server.mesh.status().accepted, 1);
    let later = Login {
        at_ms: NOW_MS + HOUR_MS,
        ..BOB
    };
    let certificate = service.certificate(&device, later);
    let credential = client.mesh.credential();
    server
        .clock
        .0
        .store(NOW_MS + HOUR_MS, std::sync::atomic::Ordering::SeqCst);
    credential
        .renew(certificate, service.trust(DATABASE))
        .unwrap();
    let link = next(&server.mesh).await;
    assert_eq!(link.guard.peer_key(), device.pair.public());
}

/// A shared key has no service to ask: the link is made anew with a leaf that the
/// node makes itself.
#[tokio::test]
async fn a_link_of_a_shared_key_is_made_anew_when_its_leaf_runs_out() {
    let shared = tombolo_identity::SharedKey::generate().unwrap();
    let credential = || crate::node::credential(&shared, &crate::node::peer_key(), DATABASE);
    let (server, client) = linked(credential(), credential()).await;
    let later_ms = NOW_MS + 31 * crate::fleet::DAY_MS;
    client.set_clock(later_ms);
    server.set_clock(later_ms);
    assert_eq!(ends(&client).await, CloseReason::Expired);
    drop((server.link, client.link));
    let (accepted, _dialled) = tokio::join!(next(&server.mesh), next(&client.mesh));
    assert!(accepted.link.peer().expires_ms() > later_ms);
}

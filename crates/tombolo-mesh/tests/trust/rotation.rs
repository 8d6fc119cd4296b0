//! New authorities beside old ones, and certificates that are renewed under links
//! that are up.

use std::time::Duration;

use rustls::HandshakeKind;
use rustls::version::TLS13;
use tokio::time::timeout;
use tombolo_identity::{Trust, Whom};
use tombolo_mesh::{CloseReason, Credential, MeshStatus};

use crate::fleet::{ANN, BOB, CARS, Device, HOUR_MS, Login, Service, linked, start};
use crate::node::{DATABASE, NOW_MS, address, clock, next, soon, until};
use crate::stranger::{alert, client, dial, shown};

fn trust(services: &[&Service]) -> Trust {
    let authorities = services.iter().map(|one| one.authority.public().clone());
    Trust::of_authorities(&authorities.collect::<Vec<_>>(), DATABASE).unwrap()
}

fn credential(device: &Device, by: &Service, trusted: &[&Service]) -> Credential {
    let der = by.certificate(device, ANN);
    Credential::certified(der, &device.pkcs8, trust(trusted)).unwrap()
}

#[tokio::test]
async fn t09_old_and_new_authorities_overlap_until_the_old_one_is_taken_away() {
    let (old, new) = (Service::new(), Service::new());
    let devices = (Device::new(), Device::new());
    // The one has a certificate of the new authority, the other one of the old.
    let (server, client) = linked(
        credential(&devices.0, &new, &[&old, &new]),
        credential(&devices.1, &old, &[&old, &new]),
    )
    .await;
    let certificate = new.certificate(&devices.0, ANN);
    let renewed = server.mesh.credential().renew(certificate, trust(&[&new]));
    renewed.unwrap();
    assert_eq!(
        soon(server.link.guard.closed()).await,
        CloseReason::Untrusted
    );
    drop((server.link, client.link));
    let refused = |status: &MeshStatus| status.failures.contains_key("foreign_key");
    until(&server.mesh, refused).await;
    // With a certificate of the new one it is let in again, without a restart.
    let certificate = new.certificate(&devices.1, ANN);
    let renewed = client.mesh.credential().renew(certificate, trust(&[&new]));
    renewed.unwrap();
    let link = next(&server.mesh).await;
    assert_eq!(link.guard.peer_key(), devices.1.pair.public());
}

/// Whoever was let in gets nothing that spares it the next check.
#[tokio::test]
async fn t09_nothing_is_resumed_after_a_revocation() {
    let service = Service::new();
    let node = start(service.credential(&Device::new(), ANN), &[], &clock()).await;
    let device = Device::new();
    let leaf = service.certificate(&device, BOB);
    let config = client(&TLS13, Some(shown(&[leaf], &device.pkcs8)));
    for _ in 0..2 {
        let (byte, mut stream) = dial(address(&node), &config).await.unwrap();
        let (_, tls) = stream.get_mut();
        assert_eq!(byte, 1);
        assert_eq!(tls.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(tls.tls13_tickets_received(), 0);
        assert!(tls.early_data().is_none());
    }
    let list = service.revoke(None, vec![Whom::PeerKey(device.shown())], NOW_MS + 1);
    node.credential().adopt_revocations(&list).unwrap();
    let told = dial(address(&node), &config).await;
    assert_eq!(
        alert(told),
        Some(rustls::AlertDescription::CertificateRevoked)
    );
}

#[tokio::test]
async fn a_permission_that_shrinks_makes_the_link_anew() {
    let service = Service::new();
    let device = Device::new();
    let everything = service.credential(&Device::new(), ANN);
    let (server, client) = linked(everything, service.credential(&device, BOB)).await;
    assert!(client.link.guard.own_permissions().read.is_everything());
    let fewer = Login {
        permissions: CARS,
        at_ms: NOW_MS + 1,
        ..BOB
    };
    let certificate = service.certificate(&device, fewer);
    let credential = client.mesh.credential();
    credential
        .renew(certificate, service.trust(DATABASE))
        .unwrap();
    assert_eq!(soon(client.link.guard.closed()).await, CloseReason::Renewed);
    drop((client.link, server.link));
    let (accepted, dialled) = tokio::join!(next(&server.mesh), next(&client.mesh));
    let seen = accepted.link.peer().permissions();
    assert_eq!(seen, &credential.permissions());
    assert_eq!(seen, dialled.guard.own_permissions());
    assert!(!seen.read.is_everything());
}

#[tokio::test]
async fn a_certificate_with_the_same_rules_leaves_the_link_alone() {
    let service = Service::new();
    let device = Device::new();
    let long = Login {
        valid_s: 2 * ANN.valid_s,
        ..ANN
    };
    let everything = service.credential(&Device::new(), long);
    let (server, client) = linked(everything, service.credential(&device, BOB)).await;
    let later = Login {
        at_ms: NOW_MS + HOUR_MS,
        ..BOB
    };
    let certificate = service.certificate(&device, later);
    let credential = client.mesh.credential();
    let expires_ms = credential.expires_ms().unwrap();
    credential
        .renew(certificate, service.trust(DATABASE))
        .unwrap();
    assert_eq!(credential.expires_ms().unwrap(), expires_ms + HOUR_MS);
    tokio::time::pause();
    let closed = timeout(Duration::from_secs(5), client.link.guard.closed());
    assert!(closed.await.is_err());
    // When the old one has run out, the link is made with the new one.
    client.set_clock(expires_ms);
    assert_eq!(client.link.guard.closed().await, CloseReason::Renewed);
    drop(server);
}

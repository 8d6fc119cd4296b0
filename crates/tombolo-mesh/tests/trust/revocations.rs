//! T36: who is cut off is refused and put out, also by nodes that never met the
//! service, and no old list brings him back.

use bytes::Bytes;
use tombolo_identity::{AdoptError, Adoption, IdentityFilter, RevocationsError, Whom};
use tombolo_mesh::{CloseReason, Mesh, MeshStatus, RevocationsRefused};

use crate::fleet::{ANN, BOB, Device, HOUR_MS, Login, Service, linked, start};
use crate::live::ends;
use crate::node::{NOW_MS, address, clock, next, soon, until};

const CUT_MS: u64 = NOW_MS + 1;

fn user(name: &str) -> Whom {
    Whom::User(name.to_owned())
}

fn filter(text: &str) -> Whom {
    Whom::Filter(IdentityFilter::parse(text).unwrap())
}

async fn counts(mesh: &Mesh, kind: &str) -> MeshStatus {
    until(mesh, |status| status.failures.contains_key(kind)).await
}

#[tokio::test]
async fn t36_a_live_link_is_cut_within_two_seconds_by_each_kind_of_entry() {
    let service = Service::new();
    let device = Device::new();
    let entries = [
        user("bob"),
        Whom::PeerKey(device.shown()),
        filter("userID = 'bob' AND provider = 'p'"),
    ];
    for whom in entries {
        let (server, client) = linked(
            service.credential(&Device::new(), ANN),
            service.credential(&device, BOB),
        )
        .await;
        let carol = Login {
            user: "carol",
            ..ANN
        };
        let at = [address(&server.mesh)];
        let other = start(service.credential(&Device::new(), carol), &at, &clock()).await;
        let untouched = next(&server.mesh).await;
        let list = service.revoke(None, vec![whom], CUT_MS);
        let adopted = server.mesh.credential().adopt_revocations(&list);
        assert_eq!(adopted.unwrap(), Adoption::Newer);
        assert_eq!(ends(&server).await, CloseReason::Revoked);
        drop((server.link, client.link));
        // He comes again and is told; the others stay.
        let status = counts(&server.mesh, "revoked").await;
        assert_eq!(status.links.len(), 1);
        let reason = status.last_inbound_failure.unwrap().reason;
        assert!(reason.contains("was revoked, by"), "{reason}");
        let told = counts(&client.mesh, "refused_by_peer").await;
        let reason = told.servers[0].last_failure.clone().unwrap();
        assert!(
            reason.contains("this node's certificate was revoked"),
            "{reason}"
        );
        drop((untouched, other));
    }
}

#[tokio::test]
async fn t36_nobody_dials_one_who_is_cut_off() {
    let service = Service::new();
    let lost = start(service.credential(&Device::new(), BOB), &[], &clock()).await;
    let credential = service.credential(&Device::new(), ANN);
    let list = service.revoke(None, vec![user("bob")], CUT_MS);
    credential.adopt_revocations(&list).unwrap();
    let node = start(credential, &[address(&lost)], &clock()).await;
    let reason = counts(&node, "revoked").await.servers[0]
        .last_failure
        .clone();
    assert!(reason.unwrap().contains("by its user"));
    assert!(lost.status().links.is_empty());
}

/// A learned of it, B hears it from A over their link, and C, who never met the
/// service since, is refused by B.
#[tokio::test]
async fn t36_a_peer_learns_through_a_third_peer() {
    let service = Service::new();
    let (b, a) = linked(
        service.credential(&Device::new(), ANN),
        service.credential(&Device::new(), ANN),
    )
    .await;
    let at_b = [address(&b.mesh)];
    let c = start(service.credential(&Device::new(), BOB), &at_b, &clock()).await;
    let (from_c, at_c) = tokio::join!(next(&b.mesh), next(&c));
    let list = service.revoke(None, vec![user("bob")], CUT_MS);
    a.mesh.credential().adopt_revocations(&list).unwrap();

    let told = a.mesh.credential().revocations_told().unwrap();
    let (mut to_b, _from_b) = a.link.link.split();
    to_b.send(&[told]).await.unwrap();
    let (_to_a, mut from_a) = b.link.link.split();
    let heard = soon(from_a.receive()).await.unwrap().unwrap();
    let mut version = b.mesh.credential().revocation_changes();
    b.mesh.credential().adopt_revocations(&heard).unwrap();
    version.changed().await.unwrap();
    assert_eq!(*version.borrow_and_update(), CUT_MS);

    assert_eq!(soon(from_c.guard.closed()).await, CloseReason::Revoked);
    drop((from_c, at_c));
    counts(&b.mesh, "revoked").await;
    let told = counts(&c, "refused_by_peer").await;
    // It is told, and did not have to hear of the list for that.
    assert_eq!(told.failures.get("own_revoked"), None);
    assert_eq!(b.mesh.status().links.len(), 1);
}

#[tokio::test]
async fn t36_a_list_that_was_withheld_or_replayed_changes_nothing() {
    let service = Service::new();
    let before = service.revoke(None, vec![user("carol")], NOW_MS);
    let after = service.revoke(Some(&before), vec![user("bob")], CUT_MS);
    let node = start(service.credential(&Device::new(), ANN), &[], &clock()).await;
    let credential = node.credential();
    assert_eq!(
        credential.adopt_revocations(&before).unwrap(),
        Adoption::Newer
    );
    assert_eq!(
        credential.adopt_revocations(&after).unwrap(),
        Adoption::Newer
    );
    assert_eq!(
        credential.adopt_revocations(&after).unwrap(),
        Adoption::Unchanged
    );
    let replayed = credential.adopt_revocations(&before).unwrap_err();
    let rollback = AdoptError::Rollback {
        held: CUT_MS,
        offered: NOW_MS,
    };
    assert!(matches!(replayed, RevocationsRefused::Older(error) if error == rollback));
    assert_eq!(credential.revocations_told(), Some(Bytes::from(after)));
    let bob = start(
        service.credential(&Device::new(), BOB),
        &[address(&node)],
        &clock(),
    )
    .await;
    counts(&bob, "refused_by_peer").await;
    // Who is not in the newer list any more is let in again.
    let carol = Login {
        user: "carol",
        ..ANN
    };
    let carol = start(
        service.credential(&Device::new(), carol),
        &[address(&node)],
        &clock(),
    )
    .await;
    assert_eq!(next(&node).await.guard.peer_key(), carol.peer_key());
}

/// Nobody but an authority cuts anybody off, or brings anybody back.
#[tokio::test]
async fn t36_a_list_of_another_authority_or_an_altered_one_is_refused() {
    let (service, foreign) = (Service::new(), Service::new());
    let credential = service.credential(&Device::new(), ANN);
    let forged = foreign.revoke(None, vec![user("ann")], CUT_MS);
    let mut altered = service.revoke(None, vec![user("bob")], CUT_MS);
    *altered.last_mut().unwrap() ^= 1;
    for list in [&forged, &altered, &altered[..40].to_vec(), &Vec::new()] {
        let refused = credential.adopt_revocations(list).unwrap_err();
        assert!(matches!(
            refused,
            RevocationsRefused::Unreadable(
                RevocationsError::Foreign | RevocationsError::Malformed { .. }
            )
        ));
    }
    assert!(credential.revocations().is_none());
    assert!(credential.revocations_told().is_none());
}

#[tokio::test]
async fn t36_who_logs_in_again_comes_back() {
    let service = Service::new();
    let device = Device::new();
    let (server, client) = linked(
        service.credential(&Device::new(), ANN),
        service.credential(&device, BOB),
    )
    .await;
    let list = service.revoke(None, vec![user("bob")], CUT_MS);
    for side in [&server, &client] {
        side.mesh.credential().adopt_revocations(&list).unwrap();
    }
    // Both know: the one puts the other out, which knows why.
    assert_eq!(ends(&server).await, CloseReason::Revoked);
    assert_eq!(ends(&client).await, CloseReason::OwnRevoked);
    drop((server.link, client.link));
    let status = counts(&client.mesh, "own_revoked").await;
    let reason = status.servers[0].last_failure.clone().unwrap();
    assert!(reason.contains("log in again"), "{reason}");
    assert_eq!(server.mesh.status().accepted, 1);
    let again = Login {
        at_ms: NOW_MS + HOUR_MS / 2,
        ..BOB
    };
    let certificate = service.certificate(&device, again);
    let trust = service.trust(crate::node::DATABASE);
    client.mesh.credential().renew(certificate, trust).unwrap();
    assert_eq!(
        next(&server.mesh).await.guard.peer_key(),
        device.pair.public()
    );
}

/// A list of conditions that name everybody cannot be made.
#[test]
fn t36_a_filter_that_names_everybody_is_none() {
    for text in ["true", "1 = 1", "NOT false"] {
        assert!(IdentityFilter::parse(text).is_err(), "{text}");
    }
}

//! Whole meshes over loopback: who gets a link, which of two links stays, what
//! an operator is told, and that everything ends when it is told to.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod node;
mod websocket;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tombolo_identity::SharedKey;
use tombolo_mesh::{
    CloseReason, DialState, FRAME_BYTES_MAX, LinkError, Mesh, MeshConfig, MeshError, MeshStatus,
    Transport,
};

use node::{
    DATABASE, NOW_MS, address, clock, config, credential, linked, next, peer_key, reserved_port,
    soon, start, until,
};

#[tokio::test]
async fn frames_cross_a_link_in_both_directions() {
    let shared = SharedKey::generate().unwrap();
    let ((server, accepted), (client, dialled)) = linked(&shared).await;
    assert!(dialled.dialled && !accepted.dialled);
    assert_eq!(dialled.link.peer().peer_key(), server.peer_key());
    assert_eq!(accepted.link.peer().peer_key(), client.peer_key());
    assert_eq!(accepted.guard.peer_key(), client.peer_key());
    assert_eq!(dialled.link.transport(), Transport::AccessPoint);
    assert!(
        dialled
            .link
            .remote_address()
            .contains(&address(&server).to_string())
    );

    let (mut to_server, mut from_server) = dialled.link.split();
    let (mut to_client, mut from_client) = accepted.link.split();
    let large = Bytes::from(vec![7; FRAME_BYTES_MAX]);
    let frames = [Bytes::from_static(b"question"), large];
    let asking = async {
        to_server.send(&frames).await.unwrap();
        to_server.finish().await.unwrap();
        from_server.receive().await.unwrap()
    };
    let answering = async {
        let mut heard = Vec::new();
        while let Some(frame) = from_client.receive().await.unwrap() {
            heard.push(frame);
        }
        to_client
            .send(&[Bytes::from_static(b"answer")])
            .await
            .unwrap();
        heard
    };
    let (answer, heard) = soon(async { tokio::join!(asking, answering) }).await;
    assert!(heard == frames);
    assert_eq!(answer, Some(Bytes::from_static(b"answer")));
}

#[tokio::test]
async fn two_nodes_that_dial_each_other_keep_the_link_of_the_smaller_key() {
    let shared = SharedKey::generate().unwrap();
    let (one_key, other_key) = (peer_key(), peer_key());
    let port = reserved_port();
    let other = start(&shared, &other_key, config(&[port])).await;
    let listening = MeshConfig {
        listen: vec![port],
        ..config(&[address(&other)])
    };
    let one = start(&shared, &one_key, listening).await;

    let one_is_smaller = one.peer_key() < other.peer_key();
    let take_all = |mesh: Arc<Mesh>| {
        tokio::spawn(async move {
            while let Some(link) = mesh.next_link().await {
                tokio::spawn(async move {
                    link.guard.closed().await;
                });
            }
        })
    };
    let (one, other) = (Arc::new(one), Arc::new(other));
    let takers = [take_all(Arc::clone(&one)), take_all(Arc::clone(&other))];
    let settled = |status: &MeshStatus, dialled: bool| {
        let known = matches!(status.servers[0].state, DialState::Linked(_));
        known && status.links.len() == 1 && status.links[0].dialled == dialled
    };
    until(&one, |status| settled(status, one_is_smaller)).await;
    until(&other, |status| settled(status, !one_is_smaller)).await;
    soon(async { tokio::join!(one.stop(), other.stop()) }).await;
    for taker in takers {
        soon(taker).await.unwrap();
    }
}

#[tokio::test]
async fn a_device_that_returns_replaces_its_older_link() {
    let shared = SharedKey::generate().unwrap();
    let server = start(&shared, &peer_key(), config(&[])).await;
    let key = peer_key();
    let dials = || start(&shared, &key, config(&[address(&server)]));
    let first = dials().await;
    let older = next(&server).await;
    let older_there = next(&first).await;
    let _second = dials().await;
    let newer = next(&server).await;
    assert_eq!(soon(older.guard.closed()).await, CloseReason::Replaced);
    let (_, mut receiver) = older.link.split();
    let ended = soon(receiver.receive()).await;
    assert!(matches!(
        ended,
        Err(LinkError::Closed(CloseReason::Replaced))
    ));
    drop((receiver, older.guard));
    // The older device sees the end of its link, the newer link is up.
    let (_, mut receiver) = older_there.link.split();
    assert!(matches!(
        soon(receiver.receive()).await,
        Ok(None) | Err(LinkError::Io(_))
    ));
    assert_eq!(server.status().links.len(), 1);
    assert!(newer.link.peer().peer_key() == &server.status().links[0].peer_key);
}

#[tokio::test]
async fn a_server_that_comes_back_is_linked_again() {
    let shared = SharedKey::generate().unwrap();
    let port = reserved_port();
    let listening = MeshConfig {
        listen: vec![port],
        ..MeshConfig::default()
    };
    let server = start(&shared, &peer_key(), listening.clone()).await;
    let client = start(&shared, &peer_key(), config(&[port])).await;
    let (accepted, dialled) = tokio::join!(next(&server), next(&client));
    drop(accepted);
    server.stop().await;
    drop(server);
    let (_, mut receiver) = dialled.link.split();
    assert!(!matches!(soon(receiver.receive()).await, Ok(Some(_))));
    drop((receiver, dialled.guard));
    let failed = |status: &MeshStatus| {
        status
            .failures
            .get("connect")
            .is_some_and(|count| *count > 1)
    };
    let status = until(&client, failed).await;
    let reason = status.servers[0].last_failure.as_ref().unwrap();
    assert!(reason.starts_with("no connection"), "{reason}");

    let server = start(&shared, &peer_key(), listening).await;
    let (accepted, dialled) = tokio::join!(next(&server), next(&client));
    assert_eq!(dialled.link.peer().peer_key(), server.peer_key());
    assert_eq!(accepted.link.peer().peer_key(), client.peer_key());
    let linked = |status: &MeshStatus| matches!(status.servers[0].state, DialState::Linked(_));
    assert_eq!(until(&client, linked).await.servers[0].last_failure, None);
}

#[tokio::test]
async fn both_operators_learn_why_two_meshes_do_not_meet() {
    let (shared, foreign) = (
        SharedKey::generate().unwrap(),
        SharedKey::generate().unwrap(),
    );
    let server = start(&shared, &peer_key(), config(&[])).await;
    let servers = config(&[address(&server)]);
    let stranger = start(&foreign, &peer_key(), servers.clone()).await;
    let status = until(&stranger, |status| {
        status.failures.contains_key("foreign_key")
    })
    .await;
    let reason = status.servers[0].last_failure.as_ref().unwrap();
    assert!(
        reason.contains("signed by another key than those this node trusts"),
        "{reason}"
    );
    let told = |status: &MeshStatus| status.last_inbound_failure.is_some();
    let reason = until(&server, told)
        .await
        .last_inbound_failure
        .unwrap()
        .reason;
    assert!(reason.contains("it has another shared key"), "{reason}");
    stranger.stop().await;

    let elsewhere = credential(&shared, &peer_key(), "elsewhere");
    let elsewhere = Mesh::start(servers, elsewhere, clock()).await.unwrap();
    let other = |status: &MeshStatus| status.failures.contains_key("wrong_database");
    let status = until(&elsewhere, other).await;
    let reason = status.servers[0].last_failure.as_ref().unwrap();
    assert!(
        reason.contains("db") && reason.contains("elsewhere"),
        "{reason}"
    );
    elsewhere.stop().await;
    assert!(server.status().links.is_empty());
}

#[tokio::test]
async fn a_node_that_dials_itself_gives_up() {
    let shared = SharedKey::generate().unwrap();
    let key = peer_key();
    let server = start(&shared, &key, config(&[])).await;
    let same = start(&shared, &key, config(&[address(&server)])).await;
    let status = until(&same, |status| {
        status.servers[0].state == DialState::GivenUp
    })
    .await;
    assert_eq!(status.servers[0].attempts, 1);
    assert!(status.links.is_empty());
    assert_eq!(status.failures["myself"], 1);
}

#[tokio::test]
async fn a_full_node_says_so() {
    let shared = SharedKey::generate().unwrap();
    let one_link = MeshConfig {
        max_links: 1,
        ..config(&[])
    };
    let server = start(&shared, &peer_key(), one_link).await;
    let first = start(&shared, &peer_key(), config(&[address(&server)])).await;
    let held = next(&server).await;
    let second = start(&shared, &peer_key(), config(&[address(&server)])).await;
    let status = until(&second, |status| status.failures.contains_key("peer_full")).await;
    assert!(status.links.is_empty());
    until(&server, |status| status.failures.contains_key("full")).await;
    // A place that becomes free is taken by the one that waits for it.
    first.stop().await;
    drop(held);
    let link = next(&server).await;
    assert_eq!(link.link.peer().peer_key(), second.peer_key());
}

#[tokio::test]
async fn half_done_handshakes_of_one_address_are_bounded() {
    let shared = SharedKey::generate().unwrap();
    let server = start(&shared, &peer_key(), config(&[])).await;
    let mut waiting = Vec::new();
    for _ in 0..16 {
        waiting.push(TcpStream::connect(address(&server)).await.unwrap());
    }
    until(&server, |status| status.accepted == 16).await;
    let mut one_more = TcpStream::connect(address(&server)).await.unwrap();
    assert_eq!(soon(one_more.read(&mut [0; 1])).await.unwrap(), 0);
    assert_eq!(server.status().turned_away, 1);
    // Those who go make room.
    waiting.clear();
    let ended = |status: &MeshStatus| status.failures.get("ended") == Some(&16);
    until(&server, ended).await;
    let client = start(&shared, &peer_key(), config(&[address(&server)])).await;
    let (accepted, _dialled) = tokio::join!(next(&server), next(&client));
    assert_eq!(accepted.link.peer().peer_key(), client.peer_key());
}

#[tokio::test]
async fn a_stop_ends_links_listeners_and_dialers() {
    let shared = SharedKey::generate().unwrap();
    let ((server, accepted), (client, dialled)) = linked(&shared).await;
    let user = tokio::spawn(async move {
        let reason = dialled.guard.closed().await;
        let (_, mut receiver) = dialled.link.split();
        let ended = receiver.receive().await;
        (reason, ended.is_err())
    });
    soon(client.stop()).await;
    assert_eq!(soon(user).await.unwrap(), (CloseReason::Stopped, true));
    assert!(soon(client.next_link()).await.is_none());
    assert_eq!(client.status().servers[0].state, DialState::Stopped);
    assert!(TcpStream::connect(address(&client)).await.is_err());
    let (_, mut receiver) = accepted.link.split();
    assert!(!matches!(soon(receiver.receive()).await, Ok(Some(_))));
    drop((receiver, accepted.guard));
    soon(server.stop()).await;
}

#[tokio::test]
async fn links_that_nobody_took_end_with_the_mesh() {
    let shared = SharedKey::generate().unwrap();
    let server = start(&shared, &peer_key(), config(&[])).await;
    let client = start(&shared, &peer_key(), config(&[address(&server)])).await;
    until(&server, |status| status.links.len() == 1).await;
    soon(async { tokio::join!(client.stop(), server.stop()) }).await;
    assert!(server.status().links.is_empty());
}

#[tokio::test]
async fn a_leaf_is_renewed_while_the_mesh_runs() {
    let shared = SharedKey::generate().unwrap();
    let (here, there) = (clock(), clock());
    let server = Mesh::start(
        config(&[]),
        credential(&shared, &peer_key(), DATABASE),
        here.clone(),
    );
    let server = server.await.unwrap();
    let dials = config(&[address(&server)]);
    let client = Mesh::start(
        dials,
        credential(&shared, &peer_key(), DATABASE),
        there.clone(),
    );
    let client = client.await.unwrap();
    let (accepted, dialled) = tokio::join!(next(&server), next(&client));
    // Much later, when the first leaves are long over, a new link comes up.
    let later_ms = NOW_MS + 400 * 24 * 3600 * 1000;
    here.0.store(later_ms, Ordering::SeqCst);
    there.0.store(later_ms, Ordering::SeqCst);
    drop((accepted, dialled));
    let (accepted, dialled) = tokio::join!(next(&server), next(&client));
    assert!(accepted.link.peer().expires_ms() > later_ms);
    assert!(dialled.link.peer().expires_ms() > later_ms);
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused() {
    let shared = SharedKey::generate().unwrap();
    for server in ["", "host", "host:", ":4040", "host:65536", "host:http"] {
        let config = MeshConfig {
            known_tcp_servers: vec![server.to_owned()],
            ..MeshConfig::default()
        };
        let credential = credential(&shared, &peer_key(), DATABASE);
        let refused = Mesh::start(config, credential, clock()).await.err();
        assert!(
            matches!(refused, Some(MeshError::Server { .. })),
            "{server}"
        );
    }
    let taken = start(&shared, &peer_key(), config(&[])).await;
    let config = MeshConfig {
        listen: vec![address(&taken)],
        ..MeshConfig::default()
    };
    let credential = credential(&shared, &peer_key(), DATABASE);
    let refused = Mesh::start(config, credential, clock()).await.err();
    let text = refused.unwrap().to_string();
    assert!(text.contains(&address(&taken).to_string()), "{text}");
}

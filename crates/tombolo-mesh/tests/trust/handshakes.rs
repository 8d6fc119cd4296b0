//! Strangers at the door, by the numbers of the adversarial tests. Each is
//! refused before a byte of a document could be said, and the operator is told.

use std::net::SocketAddr;

use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, Issuer, KeyPair};
use rustls::AlertDescription;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tombolo_mesh::{Mesh, MeshConfig, MeshStatus};

use crate::fleet::{ANN, DAY_MS, Device, Fleet, Login, Service, start};
use crate::node::{NOW_MS, address, clock, config, until};
use crate::stranger::{alert, client, dial, say, server, shown};
use crate::tls::{ClientHello, downgraded_server_hello};

/// Why the last peer was not let in, after `kind` was counted.
async fn reason(mesh: &Mesh, kind: &str) -> String {
    let counted = |status: &MeshStatus| status.failures.contains_key(kind);
    let status = until(mesh, counted).await;
    assert!(status.links.is_empty());
    status.last_inbound_failure.unwrap().reason
}

/// A node of the fleet meets somebody who dials with this chain.
async fn refused(
    fleet: &Fleet,
    chain: &[Vec<u8>],
    pkcs8: &[u8],
    kind: &str,
) -> (String, Option<AlertDescription>) {
    let node = fleet.node().await;
    let told = dial(address(&node), &client(&TLS13, Some(shown(chain, pkcs8)))).await;
    (reason(&node, kind).await, alert(told))
}

#[tokio::test]
async fn t01_an_expired_leaf_is_refused_and_clocks_are_named() {
    for fleet in Fleet::both() {
        let device = Device::new();
        let month_ago = Login {
            at_ms: NOW_MS - 31 * DAY_MS,
            ..ANN
        };
        let leaf = fleet.leaf(&device, month_ago);
        let (reason, alert) = refused(&fleet, &[leaf], &device.pkcs8, "expired").await;
        assert!(
            reason.contains("expired") && reason.contains("clocks"),
            "{reason}"
        );
        assert_eq!(alert, Some(AlertDescription::CertificateExpired));
    }
}

#[tokio::test]
async fn t01b_a_leaf_of_tomorrow_is_refused_and_clocks_are_named() {
    for fleet in Fleet::both() {
        let device = Device::new();
        let tomorrow = Login {
            at_ms: NOW_MS + DAY_MS,
            ..ANN
        };
        let leaf = fleet.leaf(&device, tomorrow);
        let (reason, alert) = refused(&fleet, &[leaf], &device.pkcs8, "not_yet_valid").await;
        assert!(
            reason.contains("another 23 h") && reason.contains("clocks"),
            "{reason}"
        );
        assert_eq!(alert, Some(AlertDescription::CertificateExpired));
    }
}

/// The same on the side whose certificate it is: it does not even dial.
#[tokio::test]
async fn t01_a_node_knows_when_its_own_certificate_or_clock_is_wrong() {
    let service = Service::new();
    let cases = [
        (
            NOW_MS - 3 * DAY_MS,
            "own_expired",
            "expired 2 days ago: log in again",
        ),
        (
            NOW_MS + DAY_MS,
            "own_not_yet_valid",
            "clock of this device is behind",
        ),
    ];
    let server = start(service.credential(&Device::new(), ANN), &[], &clock()).await;
    for (at_ms, kind, text) in cases {
        let credential = service.credential(&Device::new(), Login { at_ms, ..ANN });
        let node = start(credential, &[address(&server)], &clock()).await;
        let failed = |status: &MeshStatus| status.failures.contains_key(kind);
        let status = until(&node, failed).await;
        let reason = status.servers[0].last_failure.clone().unwrap();
        assert!(reason.contains(text), "{reason}");
        // Nor does it accept: whoever comes sees the end, and no certificate.
        let other = start(
            service.credential(&Device::new(), ANN),
            &[address(&node)],
            &clock(),
        )
        .await;
        let ended = |status: &MeshStatus| status.servers[0].last_failure.is_some();
        assert!(until(&other, ended).await.links.is_empty());
        assert!(node.status().failures[kind] > 1);
    }
    assert_eq!(server.status().accepted, 0);
}

#[tokio::test]
async fn t02_leaves_of_strangers_are_of_an_unknown_issuer() {
    for (fleet, foreign) in Fleet::both().iter().zip(Fleet::both()) {
        let device = Device::new();
        let foreign_leaf = foreign.leaf(&device, ANN);
        let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(device.pkcs8.as_slice())).unwrap();
        let self_signed = CertificateParams::default().self_signed(&key).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap();
        for leaf in [foreign_leaf, self_signed.der().to_vec(), ca.der().to_vec()] {
            let (reason, alert) = refused(fleet, &[leaf], &device.pkcs8, "foreign_key").await;
            assert!(reason.contains("signed by another key"), "{reason}");
            assert_eq!(alert, Some(AlertDescription::UnknownCA));
        }
    }
}

/// A certificate by the authority's own key that may sign others is no device's.
#[tokio::test]
async fn t02_a_ca_certificate_is_no_leaf() {
    let service = Service::new();
    let (device, signer) = (Device::new(), signer(&service));
    let leaf = forge(&device, &signer, |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let fleet = Fleet::Certified(Box::new(service));
    let (reason, alert) = refused(&fleet, &[leaf], &device.pkcs8, "certificate").await;
    assert!(reason.contains("CA certificate"), "{reason}");
    assert_eq!(alert, Some(AlertDescription::UnsupportedCertificate));
}

#[tokio::test]
async fn t03_a_leaf_of_another_database_is_refused_before_any_byte() {
    for fleet in Fleet::both() {
        let device = Device::new();
        let elsewhere = Login {
            database: "elsewhere",
            ..ANN
        };
        let leaf = fleet.leaf(&device, elsewhere);
        let (reason, alert) = refused(&fleet, &[leaf], &device.pkcs8, "wrong_database").await;
        assert!(
            reason.contains("elsewhere") && reason.contains("db_id"),
            "{reason}"
        );
        assert_eq!(alert, Some(AlertDescription::AccessDenied));
    }
}

fn signer(service: &Service) -> KeyPair {
    let pkcs8 = service.authority.to_pkcs8();
    KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8.as_slice())).unwrap()
}

fn forge(
    device: &Device,
    signer: &KeyPair,
    change: impl FnOnce(&mut CertificateParams),
) -> Vec<u8> {
    let mut params = CertificateParams::default();
    change(&mut params);
    let issuer = Issuer::new(CertificateParams::default(), signer);
    let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(device.pkcs8.as_slice())).unwrap();
    params.signed_by(&key, &issuer).unwrap().der().to_vec()
}

/// No path is built, so a chain is refused by its length, whatever stands in it:
/// name constraints, depth, loops.
#[tokio::test]
async fn t04_chains_are_refused_however_long() {
    for fleet in Fleet::both() {
        let device = Device::new();
        let leaf = fleet.leaf(&device, ANN);
        for (length, kind) in [(2, "certificate"), (10, "certificate"), (1000, "not_tls")] {
            let chain = vec![leaf.clone(); length];
            let node = fleet.node().await;
            let config = client(&TLS13, Some(shown(&chain, &device.pkcs8)));
            let told = dial(address(&node), &config).await;
            assert!(told.is_err());
            let reason = reason(&node, kind).await;
            assert!(length > 10 || reason.contains("none may"), "{reason}");
        }
    }
}

/// The leaf is good by an intermediate that the authority signed, which counts
/// for nothing.
#[tokio::test]
async fn t04_an_intermediate_signs_nothing() {
    let service = Service::new();
    let (device, between) = (Device::new(), Device::new());
    let root = signer(&service);
    let intermediate = forge(&between, &root, |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("*".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    });
    let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(between.pkcs8.as_slice())).unwrap();
    let leaf = forge(&device, &key, |_| {});
    let fleet = Fleet::Certified(Box::new(service));
    let chain = [leaf.clone(), intermediate];
    let (reason, _) = refused(&fleet, &chain, &device.pkcs8, "certificate").await;
    assert!(reason.contains("none may"), "{reason}");
    let (_, alert) = refused(&fleet, &[leaf], &device.pkcs8, "foreign_key").await;
    assert_eq!(alert, Some(AlertDescription::UnknownCA));
}

#[tokio::test]
async fn t04_an_unknown_critical_extension_is_refused() {
    let service = Service::new();
    let device = Device::new();
    let leaf = forge(&device, &signer(&service), |params| {
        let mut unknown = CustomExtension::from_oid_content(&[2, 25, 9, 9], vec![5, 0]);
        unknown.set_criticality(true);
        params.custom_extensions = vec![unknown];
    });
    let fleet = Fleet::Certified(Box::new(service));
    let (reason, alert) = refused(&fleet, &[leaf], &device.pkcs8, "certificate").await;
    assert!(reason.contains("2.25.9.9"), "{reason}");
    assert_eq!(alert, Some(AlertDescription::BadCertificate));
}

/// Every address that a node listens on asks for a certificate.
#[tokio::test]
async fn t05_nobody_comes_in_without_a_certificate() {
    for fleet in Fleet::both() {
        let twice = MeshConfig {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0)); 2],
            ..config(&[])
        };
        let credential = fleet.credential(&Device::new(), ANN);
        let node = Mesh::start(twice, credential, clock()).await.unwrap();
        assert_eq!(node.local_addresses().len(), 2);
        for address in node.local_addresses() {
            let told = dial(*address, &client(&TLS13, None)).await;
            assert_eq!(alert(told), Some(AlertDescription::CertificateRequired));
        }
        // A frame, and a request of HTTP, without any TLS.
        let plain: [&[u8]; 2] = [b"\x00\x00\x00\x05hello", b"GET /execute HTTP/1.1\r\n\r\n"];
        for (bytes, address) in plain.iter().zip(node.local_addresses()) {
            assert!(!say(*address, bytes).await.contains(&b'H'));
        }
        let counted = |status: &MeshStatus| {
            let count = |kind| status.failures.get(kind).copied().unwrap_or(0);
            count("no_certificate") == 2 && count("not_tls") == 2
        };
        let status = until(&node, counted).await;
        assert!(status.links.is_empty());
    }
}

#[tokio::test]
async fn t06_older_versions_and_suites_are_refused() {
    let (tls10, tls11, tls12, tls13) = (0x301, 0x302, 0x303, 0x304);
    // TLS_NULL_WITH_NULL_NULL, TLS_RSA_WITH_NULL_SHA256,
    // TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256.
    let (null, null_sha, of_tls12, of_tls13) = (0x0000, 0x003b, 0xc02b, 0x1301);
    let cases = [
        (tls10, vec![of_tls12], vec![]),
        (tls11, vec![of_tls12], vec![]),
        (tls12, vec![of_tls12], vec![]),
        (tls12, vec![of_tls13], vec![tls11, tls12]),
        (tls12, vec![null, null_sha], vec![tls13]),
        (tls12, vec![of_tls12], vec![tls13]),
    ];
    for fleet in Fleet::both() {
        let node = fleet.node().await;
        for (legacy, suites, versions) in cases.clone() {
            let hello = ClientHello {
                legacy,
                suites,
                versions,
            };
            let heard = say(address(&node), &hello.record()).await;
            // An alert, fatal, and nothing else: no ServerHello.
            assert!(matches!(heard[..], [21, 3, _, 0, 2, 2, _]), "{heard:?}");
        }
        let device = Device::new();
        let leaf = fleet.leaf(&device, ANN);
        let good = client(&TLS12, Some(shown(&[leaf], &device.pkcs8)));
        let told = dial(address(&node), &good).await;
        assert_eq!(alert(told), Some(AlertDescription::ProtocolVersion));
        let counted = |status: &MeshStatus| status.failures.values().sum::<u64>() == 7;
        let status = until(&node, counted).await;
        assert_eq!(
            status.failures.get("old_tls"),
            Some(&5),
            "{:?}",
            status.failures
        );
        assert!(status.links.is_empty());
    }
}

/// A server that says TLS 1.2, one that was talked down to it, and one that has
/// a good leaf but speaks 1.2 alone.
#[tokio::test]
async fn t06_a_server_that_was_talked_down_is_refused() {
    for fleet in Fleet::both() {
        let device = Device::new();
        let leaf = fleet.leaf(&device, ANN);
        let old = server(&TLS12, shown(&[leaf], &device.pkcs8));
        for is_raw in [true, false] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let at = listener.local_addr().unwrap();
            let old = TlsAcceptor::from(std::sync::Arc::clone(&old));
            let answering = tokio::spawn(async move {
                loop {
                    let (mut tcp, _) = listener.accept().await.unwrap();
                    if is_raw {
                        let mut hello = [0; 5];
                        tcp.read_exact(&mut hello).await.unwrap();
                        tcp.write_all(&downgraded_server_hello()).await.unwrap();
                        let mut rest = Vec::new();
                        let _ = tcp.read_to_end(&mut rest).await;
                    } else {
                        assert!(old.accept(tcp).await.is_err());
                    }
                }
            });
            let node = start(fleet.credential(&Device::new(), ANN), &[at], &clock()).await;
            let failed = |status: &MeshStatus| status.servers[0].last_failure.is_some();
            let status = until(&node, failed).await;
            let reason = status.servers[0].last_failure.clone().unwrap();
            assert!(status.links.is_empty());
            assert_eq!(status.failures.get("old_tls"), Some(&1), "{reason}");
            answering.abort();
        }
    }
}

/// Somebody shows the leaf of another, whose key he does not have.
#[tokio::test]
async fn t07_a_key_that_is_claimed_and_not_proven_is_refused() {
    for fleet in Fleet::both() {
        let (victim, thief) = (Device::new(), Device::new());
        let stolen = fleet.leaf(&victim, ANN);
        let (reason, alert) = refused(&fleet, &[stolen], &thief.pkcs8, "tls").await;
        assert!(reason.contains("TLS failed"), "{reason}");
        assert_eq!(alert, Some(AlertDescription::DecryptError));
    }
}

/// Both sides of one link agree on who is there, by what was proven.
#[tokio::test]
async fn t07_the_key_that_is_proven_is_the_one_that_is_told() {
    for fleet in Fleet::both() {
        let device = Device::new();
        let node = fleet.node().await;
        let dials = fleet.credential(&device, ANN);
        let dialling = start(dials, &[address(&node)], &clock()).await;
        let link = crate::node::next(&node).await;
        assert_eq!(link.link.peer().peer_key(), device.pair.public());
        assert_eq!(dialling.peer_key(), device.pair.public());
        assert_eq!(link.guard.peer_key(), device.pair.public());
    }
}

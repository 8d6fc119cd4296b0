//! What moves while a handshake is under way: the link is judged again before it
//! is let in, since nobody else looks at it between the two.

use tombolo_identity::Whom;

use super::*;
use crate::testing::{Clock, Fleet, NOW_MS, peer_key, public};

/// A node, and a link that it is about to let in: everything of the handshake
/// was good.
struct Door {
    fleet: Fleet,
    mesh: Mesh,
    peer: PeerPublicKey,
    basis: Arc<Basis>,
}

impl Door {
    async fn new() -> Self {
        let fleet = Fleet::new();
        let clock = Clock::at(NOW_MS);
        let mesh = Mesh::start(MeshConfig::default(), fleet.credential(), clock);
        let mesh = mesh.await.unwrap();
        let pkcs8 = peer_key();
        let certificate = fleet.certificate(&pkcs8, crate::testing::DATABASE, NOW_MS);
        let standing = mesh.credential().standing(NOW_MS).unwrap();
        let none: &[&[u8]] = &[];
        let basis = Arc::new(Basis {
            peer: standing.examine(&certificate, none, NOW_MS).unwrap(),
            certificate,
            leaf: standing.leaf,
            serial: standing.serial,
        });
        let peer = public(&pkcs8);
        Self {
            fleet,
            mesh,
            peer,
            basis,
        }
    }

    fn admit(&self) -> Result<LinkGuard, HandshakeError> {
        self.mesh.hub.admit(&self.basis, false, "")
    }

    fn kind(&self) -> &'static str {
        let refused = self.admit().err().unwrap().kind();
        assert!(self.mesh.status().links.is_empty());
        refused
    }
}

#[tokio::test]
async fn a_peer_that_is_cut_off_during_its_handshake_is_not_let_in() {
    let door = Door::new().await;
    drop(door.admit().unwrap());
    let whom = Whom::PeerKey(door.peer.to_string());
    let list = door.fleet.list_of(whom, NOW_MS + 1);
    door.mesh.credential().adopt_revocations(&list).unwrap();
    assert_eq!(door.kind(), "revoked");
}

#[tokio::test]
async fn a_list_that_names_others_keeps_nobody_out() {
    let door = Door::new().await;
    let list = door.fleet.list(NOW_MS + 1);
    door.mesh.credential().adopt_revocations(&list).unwrap();
    assert!(door.admit().is_ok());
}

#[tokio::test]
async fn authorities_that_change_during_a_handshake_count() {
    let door = Door::new().await;
    let later = Fleet::new();
    let der = later.certificate(&door.fleet.pkcs8, crate::testing::DATABASE, NOW_MS);
    let renewed = door
        .mesh
        .credential()
        .renew(der, later.trust(crate::testing::DATABASE));
    renewed.unwrap();
    assert_eq!(door.kind(), "foreign_key");
}

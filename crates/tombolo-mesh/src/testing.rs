//! Nodes for the tests of this crate: keys, a clock that a test sets, and peers
//! that do not play by the rules.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rustls::crypto::aws_lc_rs::sign::any_ecdsa_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tombolo_identity::{
    Authority, ChallengeKey, Granted, PeerKeyPair, PeerPublicKey, Revocation, SharedKey, Trust,
    VerifiedPeer, Whom, verify_leaf,
};

use crate::credential::{Credential, Surroundings};
use crate::handshake::Handshaker;
use crate::standing::Basis;

/// The time of every test that does not move it.
pub(crate) const NOW_MS: u64 = 1_795_000_000_000;
pub(crate) const DATABASE: &str = "db";

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub(crate) struct Clock(pub(crate) AtomicU64);

impl Clock {
    pub(crate) fn at(now_ms: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(now_ms)))
    }
}

impl Surroundings for Clock {
    fn unix_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn random(&self) -> u64 {
        u64::MAX / 2
    }
}

/// A P-256 key in PKCS#8 DER.
pub(crate) fn peer_key() -> Vec<u8> {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    key.to_pkcs8v1().unwrap().as_ref().to_vec()
}

/// A second holder of the same shared key.
pub(crate) fn copy(shared: &SharedKey) -> SharedKey {
    SharedKey::parse(&shared.to_base64()).unwrap()
}

pub(crate) fn handshaker(shared: &SharedKey, peer_key: &[u8]) -> Handshaker {
    let credential = Credential::new(copy(shared), peer_key, DATABASE).unwrap();
    Handshaker::new(Arc::new(credential), Clock::at(NOW_MS))
}

/// The public half of a key.
pub(crate) fn public(pkcs8: &[u8]) -> PeerPublicKey {
    let credential = Credential::new(SharedKey::generate().unwrap(), pkcs8, DATABASE).unwrap();
    credential.peer_key().clone()
}

/// A peer as if a handshake had proven it.
pub(crate) fn verified() -> VerifiedPeer {
    let shared = SharedKey::generate().unwrap();
    let credential = Credential::new(copy(&shared), &peer_key(), DATABASE).unwrap();
    let leaf = shared
        .issue(credential.peer_key(), DATABASE, NOW_MS)
        .unwrap();
    let none: &[&[u8]] = &[];
    let trust = Trust::new(shared.public().clone(), DATABASE).unwrap();
    verify_leaf(&trust, &leaf.der, none, NOW_MS).unwrap()
}

/// What a link to the holder of a key is made with.
pub(crate) fn basis(peer: &PeerPublicKey) -> Arc<Basis> {
    let shared = SharedKey::generate().unwrap();
    let leaf = shared.issue(peer, DATABASE, NOW_MS).unwrap();
    let own = Credential::new(copy(&shared), &peer_key(), DATABASE).unwrap();
    let standing = own.standing(NOW_MS).unwrap();
    let none: &[&[u8]] = &[];
    Arc::new(Basis {
        peer: standing.examine(&leaf.der, none, NOW_MS).unwrap(),
        certificate: leaf.der,
        leaf: standing.leaf,
        serial: standing.serial,
    })
}

/// What a peer that breaks rules shows: any chain, with any key.
pub(crate) fn certified(chain: &[Vec<u8>], pkcs8: &[u8]) -> Arc<CertifiedKey> {
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8));
    let chain = chain.iter().cloned().map(CertificateDer::from).collect();
    Arc::new(CertifiedKey::new(chain, any_ecdsa_type(&der).unwrap()))
}

/// Both ends of a connection over loopback: dialled, accepted.
pub(crate) async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (dialled, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    (dialled.unwrap(), accepted.unwrap().0)
}

/// A service, and a device that logs in.
pub(crate) struct Fleet {
    pub(crate) authority: Authority,
    challenges: ChallengeKey,
    pub(crate) pkcs8: Vec<u8>,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        Self {
            authority: Authority::generate().unwrap(),
            challenges: ChallengeKey::new(&[1; 32]),
            pkcs8: peer_key(),
        }
    }

    pub(crate) fn trust(&self, database: &str) -> Trust {
        Trust::of_authorities(&[self.authority.public().clone()], database).unwrap()
    }

    pub(crate) fn certificate(&self, pkcs8: &[u8], database: &str, at_ms: u64) -> Vec<u8> {
        let device = PeerKeyPair::from_pkcs8(pkcs8).unwrap();
        let challenge = self.challenges.challenge(database, [2; 16], at_ms);
        let signed = challenge.unwrap().sign(&device).unwrap();
        let proven = self.challenges.prove(signed, database, at_ms).unwrap();
        let granted = Granted::playground(proven.peer_key());
        let issued = self.authority.issue(proven.grant(granted), at_ms);
        issued.unwrap().der().to_vec()
    }

    pub(crate) fn credential(&self) -> Credential {
        let der = self.certificate(&self.pkcs8, DATABASE, NOW_MS);
        Credential::certified(der, &self.pkcs8, self.trust(DATABASE)).unwrap()
    }

    /// A list that names the user bob.
    pub(crate) fn list(&self, at_ms: u64) -> Vec<u8> {
        self.list_of(Whom::User("bob".to_owned()), at_ms)
    }

    pub(crate) fn list_of(&self, whom: Whom, at_ms: u64) -> Vec<u8> {
        let entry = Revocation {
            whom,
            issued_before_ms: at_ms,
        };
        let list = self.authority.revoke(DATABASE, None, vec![entry], at_ms);
        list.unwrap().as_bytes().to_vec()
    }
}

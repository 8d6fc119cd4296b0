//! Who a peer is: a key that its name makes, and the leaf by which others know
//! it. The names alone decide which of two peers wins a tie.

use std::sync::LazyLock;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use tombolo::{PeerPublicKey, SharedKey, SiteId};
use tombolo_identity::{Trust, VerifiedPeer, verify_leaf};

use crate::failure::Failure;

/// The database that all peers of a case belong to.
pub(crate) const DATABASE: &str = "conformance";
/// When leaves are issued, in unix milliseconds. They outlive every case.
const ISSUED_MS: u64 = 1_800_000_000_000;

/// One mesh for all cases; nothing that a case sees depends on its key.
static MESH: LazyLock<Option<SharedKey>> = LazyLock::new(|| SharedKey::generate().ok());

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::Machine(error.to_string())
}

/// The public half of the key that `name` makes.
pub(crate) fn key(name: &str) -> Result<PeerPublicKey, Failure> {
    let mut secret = [0; 32];
    // Half of the bits are zero, so that it is below the order of the curve.
    secret[16..].copy_from_slice(&SiteId::derive(DATABASE, name.as_bytes()).0);
    let secret = PrivateKey::from_private_key(&ECDH_P256, &secret).map_err(broken)?;
    let public = secret.compute_public_key().map_err(broken)?;
    PeerPublicKey::parse(public.as_ref()).map_err(broken)
}

/// A peer as another one sees it that has checked its leaf.
pub(crate) fn proven(name: &str) -> Result<VerifiedPeer, Failure> {
    let mesh = MESH.as_ref();
    let mesh = mesh.ok_or_else(|| broken("the system has no randomness"))?;
    let leaf = mesh.issue(&key(name)?, DATABASE, ISSUED_MS);
    let leaf = leaf.map_err(broken)?;
    let trust = Trust::new(mesh.public().clone(), DATABASE).map_err(broken)?;
    verify_leaf(&trust, &leaf.der, &[[0; 0]; 0], ISSUED_MS).map_err(broken)
}

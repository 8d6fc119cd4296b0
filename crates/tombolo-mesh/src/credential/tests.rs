//! Leaves of both kinds over time, and lists of revocations that only grow newer.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use tombolo_identity::{LEAF_BACKDATE_MS, LEAF_VALID_MS};

use super::*;

const NOW_MS: u64 = 1_795_000_000_000;

fn credential() -> Credential {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let pkcs8 = key.to_pkcs8v1().unwrap();
    Credential::new(SharedKey::generate().unwrap(), pkcs8.as_ref(), "db").unwrap()
}

#[test]
fn a_leaf_is_made_anew_at_half_of_its_time() {
    let credential = credential();
    let issued_ms = |now_ms| credential.standing(now_ms).unwrap().leaf.issued_ms();
    let half_ms = LEAF_VALID_MS / 2;
    assert_eq!(issued_ms(NOW_MS), NOW_MS);
    assert_eq!(issued_ms(NOW_MS + half_ms - 1), NOW_MS);
    assert_eq!(issued_ms(NOW_MS + half_ms), NOW_MS + half_ms);
}

#[test]
fn a_clock_that_is_set_back_gets_a_leaf_of_its_time() {
    let credential = credential();
    let issued_ms = |now_ms| credential.standing(now_ms).unwrap().leaf.issued_ms();
    assert_eq!(issued_ms(NOW_MS), NOW_MS);
    assert_eq!(issued_ms(NOW_MS - LEAF_BACKDATE_MS / 2), NOW_MS);
    let before_ms = NOW_MS - LEAF_BACKDATE_MS / 2 - 1;
    assert_eq!(issued_ms(before_ms), before_ms);
}

#[test]
fn a_peer_key_that_is_none_is_refused() {
    let refused = Credential::new(SharedKey::generate().unwrap(), b"no key", "db");
    assert!(matches!(refused, Err(CredentialError::PeerKey)));
}

//! Leaves of both kinds over time, and lists of revocations that only grow newer.

use tombolo_identity::{
    LEAF_BACKDATE_MS, LEAF_VALID_MS, PLAYGROUND_EXPIRATION_S, Revocation, Whom,
};

use super::*;
use crate::testing::{DATABASE, Fleet, NOW_MS, peer_key, public};

fn credential() -> Credential {
    Credential::new(SharedKey::generate().unwrap(), &peer_key(), DATABASE).unwrap()
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

#[test]
fn a_certificate_is_shown_within_its_time_alone() {
    let credential = Fleet::new().credential();
    let own = |now_ms| credential.standing(now_ms).unwrap().check_own(now_ms);
    let end_ms = credential.expires_ms().unwrap();
    assert_eq!(end_ms, NOW_MS + PLAYGROUND_EXPIRATION_S * 1000);
    assert!(own(NOW_MS - LEAF_BACKDATE_MS).is_ok() && own(end_ms - 1).is_ok());
    let late = own(end_ms + 3).unwrap_err();
    assert!(matches!(late, HandshakeError::OwnExpired { ago_ms: 3 }));
    let early = own(NOW_MS - LEAF_BACKDATE_MS - 3).unwrap_err();
    assert!(matches!(
        early,
        HandshakeError::OwnNotYetValid { wait_ms: 3 }
    ));
    assert!(early.to_string().contains("clock of this device is behind"));
}

#[test]
fn a_certificate_that_is_not_this_devices_own_is_refused() {
    let fleet = Fleet::new();
    let certified = |der, trust| Credential::certified(der, &fleet.pkcs8, trust).err();
    let others = fleet.certificate(&peer_key(), DATABASE, NOW_MS);
    let refused = certified(others, fleet.trust(DATABASE));
    assert!(matches!(
        refused,
        Some(CredentialError::OtherPeerKey { .. })
    ));
    let elsewhere = fleet.certificate(&fleet.pkcs8, "elsewhere", NOW_MS);
    let refused = certified(elsewhere, fleet.trust(DATABASE));
    let Some(CredentialError::Certificate(VerifyError::WrongDatabase { .. })) = refused else {
        panic!("{refused:?}");
    };
    let foreign = Fleet::new().certificate(&fleet.pkcs8, DATABASE, NOW_MS);
    let refused = certified(foreign, fleet.trust(DATABASE));
    let Some(CredentialError::Certificate(VerifyError::ForeignKey)) = refused else {
        panic!("{refused:?}");
    };
    let shared = SharedKey::generate().unwrap();
    let trust = fleet
        .trust(DATABASE)
        .with_shared_key(shared.public().clone());
    let own = shared
        .issue(&public(&fleet.pkcs8), DATABASE, NOW_MS)
        .unwrap();
    let refused = certified(own.der, trust.unwrap());
    assert!(matches!(refused, Some(CredentialError::SelfSigned)));
}

#[test]
fn a_renewal_that_is_refused_changes_nothing() {
    let fleet = Fleet::new();
    let credential = fleet.credential();
    let (serial, renewals) = (credential.state().serial, credential.renewals());
    let others = fleet.certificate(&peer_key(), DATABASE, NOW_MS);
    let refused = credential.renew(others, fleet.trust(DATABASE));
    assert!(matches!(refused, Err(CredentialError::OtherPeerKey { .. })));
    let elsewhere = fleet.certificate(&fleet.pkcs8, "elsewhere", NOW_MS);
    let refused = credential.renew(elsewhere, fleet.trust("elsewhere"));
    assert!(matches!(
        refused,
        Err(CredentialError::OtherDatabase { .. })
    ));
    assert_eq!(credential.state().serial, serial);
    assert!(!renewals.has_changed().unwrap());

    let shared = Credential::new(SharedKey::generate().unwrap(), &fleet.pkcs8, DATABASE);
    let der = fleet.certificate(&fleet.pkcs8, DATABASE, NOW_MS);
    let refused = shared.unwrap().renew(der, fleet.trust(DATABASE));
    assert!(matches!(refused, Err(CredentialError::HasSharedKey)));
}

#[test]
fn a_shared_key_signs_no_lists_and_reads_none() {
    let credential = credential();
    let refused = credential.adopt_revocations(&Fleet::new().list(NOW_MS));
    assert!(matches!(refused, Err(RevocationsRefused::NoAuthority)));
    assert!(credential.expires_ms().is_none());
    assert_eq!(credential.permissions(), Permissions::everything());
}

/// Others could not check it, and would take this node for a liar.
#[test]
fn a_list_of_an_authority_that_is_gone_holds_and_is_not_told() {
    let (fleet, mut later) = (Fleet::new(), Fleet::new());
    later.pkcs8.clone_from(&fleet.pkcs8);
    let credential = fleet.credential();
    let mut versions = credential.revocation_changes();
    let list = fleet.list(NOW_MS);
    assert_eq!(
        credential.adopt_revocations(&list).unwrap(),
        Adoption::Newer
    );
    assert_eq!(*versions.borrow_and_update(), NOW_MS);
    assert!(credential.revocations_told().is_some());
    let der = later.certificate(&fleet.pkcs8, DATABASE, NOW_MS);
    credential.renew(der, later.trust(DATABASE)).unwrap();
    assert!(credential.revocations_told().is_none());
    assert_eq!(credential.revocations().unwrap().version(), NOW_MS);
    // Nor is it adopted anew, and an older one of the new authority is refused.
    let refused = credential.adopt_revocations(&later.list(NOW_MS - 1));
    assert!(matches!(refused, Err(RevocationsRefused::Older(_))));
    let newer = later.list(NOW_MS + 1);
    credential.adopt_revocations(&newer).unwrap();
    assert_eq!(credential.revocations_told().unwrap(), newer);
}

/// What an authority never signs: both nodes end up with the same of the two.
#[test]
fn of_two_lists_of_one_version_every_node_holds_the_same() {
    let fleet = Fleet::new();
    let one = fleet.list(NOW_MS);
    let entry = Revocation {
        whom: Whom::User("carol".to_owned()),
        issued_before_ms: NOW_MS,
    };
    let other = fleet.authority.revoke(DATABASE, None, vec![entry], NOW_MS);
    let other = other.unwrap().as_bytes().to_vec();
    let held = [[&one, &other], [&other, &one]].map(|lists| {
        let credential = fleet.credential();
        assert_eq!(
            credential.adopt_revocations(lists[0]).unwrap(),
            Adoption::Newer
        );
        let serial = credential.state().serial;
        assert_eq!(
            credential.adopt_revocations(lists[1]).unwrap(),
            Adoption::Conflict
        );
        let told = credential.revocations_told().unwrap();
        assert_eq!(credential.state().serial > serial, told == *lists[1]);
        told
    });
    assert_eq!(held[0], held[1]);
}

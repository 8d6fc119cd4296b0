//! Certificates of an authority: what they carry, their time, rotation, and the
//! two roles of keys.

mod service;

use proptest::prelude::*;
use tombolo_document::{DocumentId, Value};
use tombolo_identity::{
    AUTHORITIES_MAX, Authority, Filter, IssueError, LEAF_BACKDATE_MS, LEAF_BYTES_MAX, Permissions,
    PrivateKeyError, SharedKey, Trust, TrustError, VerifyError, verify_leaf,
};

use service::{DATABASE, NONE, NOW_MS, Service, answer, device, granted};

#[test]
fn t01_t03_a_certificate_has_its_time_and_its_database() {
    let service = Service::new();
    let certificate = service.certificate(&device(), &answer());
    let at = |now_ms| verify_leaf(&service.trust(), certificate.der(), NONE, now_ms).map(drop);
    assert_eq!(at(NOW_MS - LEAF_BACKDATE_MS), Ok(()));
    let early = VerifyError::NotYetValid { wait_ms: 1 };
    assert_eq!(at(NOW_MS - LEAF_BACKDATE_MS - 1), Err(early));
    let expired = VerifyError::Expired { ago_ms: 0 };
    assert_eq!(at(certificate.expires_ms()), Err(expired));
    let other = Trust::of_authorities(&[service.authority.public().clone()], "other").unwrap();
    let refused = verify_leaf(&other, certificate.der(), NONE, NOW_MS).unwrap_err();
    assert!(matches!(refused, VerifyError::WrongDatabase { .. }));
}

#[test]
fn t09_authorities_overlap_and_are_removed() {
    let (old, new) = (Service::new(), Service::new());
    let (before, after) = (
        old.certificate(&device(), &answer()),
        new.certificate(&device(), &answer()),
    );
    let keys = |services: &[&Service]| {
        let keys = services
            .iter()
            .map(|service| service.authority.public().clone());
        Trust::of_authorities(&keys.collect::<Vec<_>>(), DATABASE).unwrap()
    };
    let good = |trust: &Trust, der: &[u8]| verify_leaf(trust, der, NONE, NOW_MS).map(drop);
    for der in [before.der(), after.der()] {
        assert_eq!(good(&keys(&[&old, &new]), der), Ok(()));
    }
    assert_eq!(
        good(&keys(&[&new]), before.der()),
        Err(VerifyError::ForeignKey)
    );
    assert_eq!(
        good(&keys(&[&old]), after.der()),
        Err(VerifyError::ForeignKey)
    );
}

#[test]
fn a_shared_key_beside_an_authority_signs_its_own_leaves_alone() {
    let (service, shared) = (Service::new(), SharedKey::generate().unwrap());
    let certificate = service.certificate(&device(), &answer());
    let leaf = shared.issue(device().public(), DATABASE, NOW_MS).unwrap();
    let both = service
        .trust()
        .with_shared_key(shared.public().clone())
        .unwrap();
    let peer = verify_leaf(&both, &leaf.der, NONE, NOW_MS).unwrap();
    assert_eq!(peer.permissions(), &Permissions::everything());
    assert!(peer.identity().is_none());
    assert_eq!(peer.issued_ms(), NOW_MS);
    let peer = verify_leaf(&both, certificate.der(), NONE, NOW_MS).unwrap();
    assert_eq!(peer.user_id(), Some("ada"));
    // A key in the wrong role signs nothing that counts.
    let as_shared = Trust::new(service.authority.public().clone(), DATABASE).unwrap();
    let refused = verify_leaf(&as_shared, certificate.der(), NONE, NOW_MS).unwrap_err();
    assert!(
        matches!(refused, VerifyError::Malformed { .. }),
        "{refused}"
    );
    let as_authority = Trust::of_authorities(&[shared.public().clone()], DATABASE).unwrap();
    let refused = verify_leaf(&as_authority, &leaf.der, NONE, NOW_MS).unwrap_err();
    assert!(
        matches!(refused, VerifyError::Malformed { .. }),
        "{refused}"
    );
    let same = as_authority.with_shared_key(shared.public().clone());
    assert_eq!(same.unwrap_err(), TrustError::SameKey);
}

#[test]
fn authorities_are_bounded() {
    let key = || Authority::generate().unwrap().public().clone();
    let mut keys: Vec<_> = (0..AUTHORITIES_MAX).map(|_| key()).collect();
    keys.push(keys[0].clone());
    assert!(Trust::of_authorities(&keys, DATABASE).is_ok());
    keys.push(key());
    let count = AUTHORITIES_MAX + 1;
    let refused = Trust::of_authorities(&keys, DATABASE).unwrap_err();
    assert_eq!(refused, TrustError::TooMany { count });
    let none = Trust::of_authorities(&[], DATABASE).unwrap_err();
    assert_eq!(none, TrustError::NoAuthority);
}

#[test]
fn an_authority_is_kept_as_pkcs8_and_is_never_shown() {
    let authority = Authority::generate().unwrap();
    let pkcs8 = authority.to_pkcs8();
    let again = Authority::from_pkcs8(&pkcs8).unwrap();
    assert_eq!(again.public(), authority.public());
    assert!(format!("{authority:?}").contains("redacted"));
    assert!(format!("{:?}", device()).contains("redacted"));
    let spki = authority.public().to_spki_der();
    for (bytes, found) in [
        (spki.as_slice(), "a public key"),
        (b"-----BEGIN", "PEM"),
        (b"", "something else"),
    ] {
        let refused = Authority::from_pkcs8(bytes).unwrap_err();
        assert_eq!(refused, PrivateKeyError::OtherForm { found });
    }
}

#[test]
fn permissions_that_compress_fit_and_others_are_refused_when_they_are_issued() {
    let (service, device) = (Service::new(), device());
    let issue = |rule: &dyn Fn(usize) -> String, count: usize| {
        let mut answer = answer();
        let rules: Vec<String> = (0..count).map(rule).collect();
        service::set_rules(&mut answer, "cars", &rules);
        let data = service.prove(&device).grant(granted(&answer));
        service.authority.issue(data, NOW_MS)
    };
    let alike = |number: usize| format!("_id.place = 'a place with a long name {number:04}'");
    let certificate = issue(&alike, 256).unwrap();
    assert!(certificate.der().len() < LEAF_BYTES_MAX / 2);
    let peer = verify_leaf(&service.trust(), certificate.der(), NONE, NOW_MS).unwrap();
    let queries = peer.permissions().read.queries().unwrap();
    assert_eq!(queries["cars"].len(), 256);
    let random = |number: usize| {
        let noise = (0..48).map(|part| service::noise(number as u64, part));
        format!("_id = '{}'", noise.collect::<String>())
    };
    assert_eq!(issue(&random, 100).unwrap_err(), IssueError::TooLarge);
}

fn rules() -> impl Strategy<Value = Vec<String>> {
    let rule = prop_oneof![
        Just("true".to_owned()),
        "_id = '[a-z\u{e9}]{0,9}'",
        "_id\\.[a-z]{1,5}x LIKE '[a-z%_]{0,9}'",
        "_id IN \\('[a-z]', [0-9]{1,9}\\)",
    ];
    prop::collection::vec(rule, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn permissions_come_out_of_a_certificate_as_they_went_in(
        read in prop::collection::btree_map("[a-z]{1,4}", rules(), 0..4),
        everything in any::<bool>(),
        id in "[a-z]{0,3}",
    ) {
        let service = Service::new();
        let mut answer = answer();
        service::set_permissions(&mut answer, &read, everything);
        let data = service.prove(&device()).grant(granted(&answer));
        let before = data.identity().clone();
        let certificate = service.authority.issue(data, NOW_MS).unwrap();
        let peer = verify_leaf(&service.trust(), certificate.der(), NONE, NOW_MS).unwrap();
        prop_assert_eq!(peer.identity(), Some(&before));
        let id = DocumentId::from_value(&Value::from(id.as_str())).unwrap();
        let nothing = Filter::between(&Permissions::nothing(), peer.permissions());
        for collection in read.keys() {
            prop_assert!(!nothing.may_send(collection, &id));
            prop_assert!(!nothing.accepts(collection, &id));
            let filter = peer.filter(&Permissions::everything());
            let allowed = before.permissions().read.allows(collection, &id);
            prop_assert_eq!(filter.may_send(collection, &id), allowed);
        }
    }

    #[test]
    fn an_altered_certificate_is_refused(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let service = Service::new();
        let mut der = service.certificate(&device(), &answer()).der().to_vec();
        let at = at.index(der.len());
        der[at] ^= 1 << bit;
        prop_assert!(verify_leaf(&service.trust(), &der, NONE, NOW_MS).is_err());
    }
}

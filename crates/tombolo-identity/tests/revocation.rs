//! Lists of revocations: whom they cut off, whom they let back in, and lists
//! that nobody should believe.

mod service;

use proptest::prelude::*;
use tombolo_document::{Object, Value};
use tombolo_identity::{
    AdoptError, Adoption, IdentityFilter, REVOCATION_FILTERS_MAX, REVOCATIONS_MAX, Revocation,
    Revocations, RevocationsError, RevokeError, RevokedBy, SharedKey, Trust, Whom, verify_leaf,
};

use service::{DATABASE, NONE, NOW_MS, Service, answer, device};

const HOUR_MS: u64 = 3600 * 1000;

fn user(name: &str, issued_before_ms: u64) -> Revocation {
    Revocation {
        whom: Whom::User(name.to_owned()),
        issued_before_ms,
    }
}

fn filter(text: &str, issued_before_ms: u64) -> Revocation {
    let filter = IdentityFilter::parse(text).expect("the fixture is a filter");
    Revocation {
        whom: Whom::Filter(filter),
        issued_before_ms,
    }
}

fn list(service: &Service, entries: Vec<Revocation>) -> Revocations {
    let list = service.authority.revoke(DATABASE, None, entries, NOW_MS);
    list.expect("the fixture is a list")
}

fn named(user: &str) -> Object {
    let mut answer = answer();
    answer.insert("userID".to_owned(), Value::from(user));
    answer
}

#[test]
fn t36_a_user_is_cut_off_and_comes_back_with_a_later_certificate() {
    let service = Service::new();
    let list = list(&service, vec![user("ada", NOW_MS + 1)]);
    let early = service.peer(&answer(), NOW_MS);
    let later = service.peer(&answer(), NOW_MS + 1);
    let other = service.peer(&named("bob"), NOW_MS);
    assert_eq!(list.is_revoked(&early), Some(RevokedBy::User));
    assert_eq!(list.is_revoked(&later), None);
    assert_eq!(list.is_revoked(&other), None);
}

#[test]
fn a_device_is_cut_off_without_its_user() {
    let service = Service::new();
    let (lost, kept) = (
        service.peer(&answer(), NOW_MS),
        service.peer(&answer(), NOW_MS),
    );
    let whom = Whom::PeerKey(lost.peer_key().to_string());
    let issued_before_ms = NOW_MS + HOUR_MS;
    let entry = Revocation {
        whom,
        issued_before_ms,
    };
    let list = list(&service, vec![entry]);
    assert_eq!(list.is_revoked(&lost), Some(RevokedBy::PeerKey));
    assert_eq!(list.is_revoked(&kept), None);
}

#[test]
fn the_latest_cut_of_two_entries_counts() {
    let service = Service::new();
    let list = list(&service, vec![user("ada", NOW_MS + 9), user("ada", 3)]);
    assert!(
        list.is_revoked(&service.peer(&answer(), NOW_MS + 8))
            .is_some()
    );
}

#[test]
fn a_filter_cuts_off_by_any_field_of_an_identity() {
    let service = Service::new();
    let peer = service.peer(&answer(), NOW_MS);
    for (text, cut) in [
        ("metadata.role = 'pilot'", true),
        ("metadata.role = 'cook'", false),
        ("metadata.absent = 'x'", false),
        ("userID LIKE 'a%'", true),
        ("provider = 'p' AND userID != 'ada'", false),
        ("issuedMs < 0", false),
        ("peerKey LIKE 'pk:%'", true),
        // What cannot be evaluated cuts off.
        ("repeat(userID, 1000000) = 'x'", true),
    ] {
        let list = list(&service, vec![filter(text, NOW_MS + 1)]);
        let by = cut.then(|| RevokedBy::Filter(text.to_owned()));
        assert_eq!(list.is_revoked(&peer), by, "{text}");
        let past = self::list(&service, vec![filter(text, NOW_MS)]);
        assert_eq!(past.is_revoked(&peer), None, "{text}");
    }
}

#[test]
fn t36_a_filter_that_names_everybody_or_looks_elsewhere_is_refused() {
    for text in [
        "true",
        "1 = 1",
        "",
        "role = 'x'",
        "_id = 'x'",
        "userID = :user",
        "clock() > userID",
        "userID =",
    ] {
        assert!(IdentityFilter::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_peer_of_a_shared_key_is_cut_off_by_its_key_alone() {
    let (service, shared) = (Service::new(), SharedKey::generate().unwrap());
    let key = device();
    let leaf = shared.issue(key.public(), DATABASE, NOW_MS).unwrap();
    let trust = Trust::new(shared.public().clone(), DATABASE).unwrap();
    let peer = verify_leaf(&trust, &leaf.der, NONE, NOW_MS).unwrap();
    let whom = Whom::PeerKey(key.public().to_string());
    let entry = Revocation {
        whom,
        issued_before_ms: NOW_MS + 1,
    };
    assert!(list(&service, vec![entry]).is_revoked(&peer).is_some());
    let all = vec![filter("userID LIKE '%'", u64::MAX), user("ada", u64::MAX)];
    assert_eq!(list(&service, all).is_revoked(&peer), None);
}

#[test]
fn a_list_arrives_as_it_was_signed() {
    let service = Service::new();
    let entries = vec![
        user("ada", 7),
        filter("metadata.role = 'pilot'", u64::MAX),
        Revocation {
            whom: Whom::PeerKey(device().public().to_string()),
            issued_before_ms: 0,
        },
    ];
    let sent = list(&service, entries.clone());
    let read = Revocations::decode(sent.as_bytes(), &service.trust()).unwrap();
    assert_eq!(read.entries(), entries);
    assert_eq!(read.version(), sent.version());
    assert_eq!(read.issued_ms(), NOW_MS);
    assert_eq!(read.database_id(), DATABASE);
    assert_eq!(read.as_bytes(), sent.as_bytes());
}

#[test]
fn a_list_of_a_stranger_or_of_the_shared_key_or_of_another_database_is_refused() {
    let (service, stranger) = (Service::new(), Service::new());
    let foreign = list(&stranger, vec![user("ada", 7)]);
    let refused = Revocations::decode(foreign.as_bytes(), &service.trust()).unwrap_err();
    assert!(matches!(refused, RevocationsError::Foreign));
    let own = list(&service, vec![user("ada", 7)]);
    let as_shared = Trust::new(service.authority.public().clone(), DATABASE).unwrap();
    let refused = Revocations::decode(own.as_bytes(), &as_shared).unwrap_err();
    assert!(matches!(refused, RevocationsError::Foreign));
    let other = Trust::of_authorities(&[service.authority.public().clone()], "other").unwrap();
    let refused = Revocations::decode(own.as_bytes(), &other).unwrap_err();
    assert!(matches!(refused, RevocationsError::WrongDatabase));
}

#[test]
fn t36_an_older_list_never_replaces_a_newer_one() {
    let service = Service::new();
    let next = |previous: Option<&Revocations>, entries, now_ms| {
        service
            .authority
            .revoke(DATABASE, previous, entries, now_ms)
            .unwrap()
    };
    let first = next(None, vec![user("ada", u64::MAX)], NOW_MS);
    // Even by a clock that was set back.
    let second = next(Some(&first), Vec::new(), NOW_MS - HOUR_MS);
    assert_eq!(second.version(), first.version() + 1);
    let mut held = first.clone();
    let ada = service.peer(&answer(), NOW_MS);
    assert!(held.is_revoked(&ada).is_some());
    assert_eq!(held.adopt(first.clone()), Ok(Adoption::Unchanged));
    assert_eq!(held.adopt(second.clone()), Ok(Adoption::Newer));
    assert_eq!(held.is_revoked(&ada), None, "it was undone");
    let (held_version, offered) = (second.version(), first.version());
    let rollback = AdoptError::Rollback {
        held: held_version,
        offered,
    };
    assert_eq!(held.adopt(first), Err(rollback));
    assert_eq!(held.version(), second.version());
    let other = service
        .authority
        .revoke("other", None, Vec::new(), u64::MAX)
        .unwrap();
    assert_eq!(held.adopt(other), Err(AdoptError::WrongDatabase));
}

#[test]
fn a_service_that_lost_its_lists_signs_newer_ones() {
    let service = Service::new();
    let before = list(&service, vec![user("ada", 1)]);
    let after = service
        .authority
        .revoke(DATABASE, None, Vec::new(), NOW_MS + 1)
        .unwrap();
    assert!(after.version() > before.version());
}

#[test]
fn two_lists_of_one_version_end_as_the_same_one_everywhere() {
    let service = Service::new();
    let (one, other) = (
        list(&service, vec![user("ada", 1)]),
        list(&service, vec![user("bob", 1)]),
    );
    let (mut here, mut there) = (one.clone(), other.clone());
    assert_eq!(here.adopt(other), Ok(Adoption::Conflict));
    assert_eq!(there.adopt(one), Ok(Adoption::Conflict));
    assert_eq!(here.as_bytes(), there.as_bytes());
}

#[test]
fn lists_are_bounded() {
    let service = Service::new();
    let sign = |entries| service.authority.revoke(DATABASE, None, entries, NOW_MS);
    let users = |count: usize| {
        (0..count)
            .map(|number| user(&number.to_string(), 1))
            .collect()
    };
    assert!(sign(users(REVOCATIONS_MAX)).is_ok());
    assert!(matches!(
        sign(users(REVOCATIONS_MAX + 1)),
        Err(RevokeError::Field(_))
    ));
    let filters = |count| vec![filter("userID = 'x'", 1); count];
    assert!(sign(filters(REVOCATION_FILTERS_MAX)).is_ok());
    assert!(matches!(
        sign(filters(REVOCATION_FILTERS_MAX + 1)),
        Err(RevokeError::Field(_))
    ));
    for bad in ["", "a\nb", &"x".repeat(257)] {
        assert!(matches!(
            sign(vec![user(bad, 1)]),
            Err(RevokeError::Field(_))
        ));
    }
    let shown = device().public().to_string();
    for bad in ["", "pk:", &shown[1..], &format!("{shown}A")] {
        let whom = Whom::PeerKey(bad.to_owned());
        let entry = Revocation {
            whom,
            issued_before_ms: 1,
        };
        assert!(
            matches!(sign(vec![entry]), Err(RevokeError::Field(_))),
            "{bad}"
        );
    }
    let long = vec![0; 1024 * 1024 + 1];
    let refused = Revocations::decode(&long, &service.trust()).unwrap_err();
    assert!(matches!(refused, RevocationsError::TooLarge { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_altered_list_is_refused(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let service = Service::new();
        let mut bytes = list(&service, vec![user("ada", 7)]).as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Revocations::decode(&bytes, &service.trust()).is_err());
    }

    #[test]
    fn no_bytes_and_no_text_make_a_decoder_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        text in ".{0,200}",
    ) {
        let service = Service::new();
        prop_assert!(Revocations::decode(&bytes, &service.trust()).is_err());
        let _ = IdentityFilter::parse(&text);
    }
}

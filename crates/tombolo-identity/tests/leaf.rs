//! Leaves that are accepted, and every way to be refused.

use proptest::prelude::*;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    SanType,
};
use tombolo_identity::{
    IssueError, LEAF_BACKDATE_MS, LEAF_BYTES_MAX, LEAF_VALID_MS, PeerPublicKey, Permissions,
    SharedKey, Trust, VerifiedPeer, VerifyError, verify_leaf,
};
use x509_parser::time::ASN1Time;

const NOW_MS: u64 = 1_795_000_000_000;
const DATABASE: &str = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
const NONE: &[&[u8]] = &[];

/// One mesh, and the means to make leaves that no program of ours makes.
struct Mesh {
    shared: SharedKey,
    signer: KeyPair,
}

impl Mesh {
    fn new() -> Self {
        let signer = KeyPair::generate().expect("the fixture is good");
        let text =
            base64::Engine::encode(&base64::prelude::BASE64_STANDARD, signer.serialized_der());
        let shared = SharedKey::parse(&text).expect("the fixture is good");
        Self { shared, signer }
    }

    fn trust(&self) -> Trust {
        Trust::new(self.shared.public().clone(), DATABASE).expect("the fixture is good")
    }

    fn verify(&self, leaf: &[u8]) -> Result<VerifiedPeer, VerifyError> {
        verify_leaf(&self.trust(), leaf, NONE, NOW_MS)
    }

    fn refusal(&self, leaf: &[u8]) -> VerifyError {
        self.verify(leaf).expect_err("the leaf should be refused")
    }

    /// A leaf that differs from a good one as `change` says.
    fn forge(&self, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        self.forge_for(&KeyPair::generate().expect("the fixture is good"), change)
    }

    fn forge_for(&self, key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = good();
        change(&mut params);
        let issuer = Issuer::new(CertificateParams::default(), &self.signer);
        params
            .signed_by(key, &issuer)
            .expect("the fixture is good")
            .der()
            .to_vec()
    }
}

fn good() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date(NOW_MS - LEAF_BACKDATE_MS).to_datetime();
    params.not_after = date(NOW_MS + LEAF_VALID_MS).to_datetime();
    params.subject_alt_names = vec![uri(&format!("tombolo://database/{DATABASE}"))];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

fn date(unix_ms: u64) -> ASN1Time {
    ASN1Time::from_timestamp(i64::try_from(unix_ms / 1000).expect("the fixture is good"))
        .expect("the fixture is good")
}

fn uri(text: &str) -> SanType {
    SanType::URI(Ia5String::try_from(text).expect("the fixture is good"))
}

fn peer_key() -> PeerPublicKey {
    let key = SharedKey::generate().expect("the fixture is good");
    PeerPublicKey::parse(key.public().as_bytes()).expect("the fixture is good")
}

#[test]
fn an_issued_leaf_is_accepted_for_all_of_its_time() {
    let (mesh, key) = (Mesh::new(), peer_key());
    let leaf = mesh.shared.issue(&key, DATABASE, NOW_MS + 999).unwrap();
    assert_eq!(leaf.expires_ms, NOW_MS + LEAF_VALID_MS);
    let at = |now_ms| verify_leaf(&mesh.trust(), &leaf.der, NONE, now_ms);
    for now_ms in [NOW_MS - LEAF_BACKDATE_MS, NOW_MS, leaf.expires_ms - 1] {
        let peer = at(now_ms).unwrap();
        assert_eq!(peer.peer_key(), &key);
        assert_eq!(peer.database_id(), DATABASE);
        assert_eq!(peer.permissions(), &Permissions::everything());
        assert_eq!(peer.expires_ms(), leaf.expires_ms);
    }
    let expired = VerifyError::Expired { ago_ms: 0 };
    assert_eq!(at(leaf.expires_ms).unwrap_err(), expired);
    let early = VerifyError::NotYetValid { wait_ms: 1 };
    assert_eq!(at(NOW_MS - LEAF_BACKDATE_MS - 1).unwrap_err(), early);
}

#[test]
fn errors_of_time_tell_how_much() {
    let day_ms = 24 * 3600 * 1000;
    let expired = VerifyError::Expired { ago_ms: 3 * day_ms };
    assert!(expired.to_string().contains("expired 3 days ago"));
    let early = VerifyError::NotYetValid { wait_ms: 200_000 };
    assert!(
        early
            .to_string()
            .contains("another 3 min: one of the two clocks")
    );
}

#[test]
fn half_of_the_time_is_when_the_next_leaf_is_due() {
    let leaf = Mesh::new()
        .shared
        .issue(&peer_key(), DATABASE, NOW_MS)
        .unwrap();
    assert_eq!(leaf.renew_ms(), NOW_MS + LEAF_VALID_MS / 2);
}

#[test]
fn two_leaves_of_one_device_have_two_serial_numbers() {
    let (mesh, key) = (Mesh::new(), peer_key());
    let serial = |now_ms| {
        let leaf = mesh.shared.issue(&key, DATABASE, now_ms).unwrap();
        let (_, leaf) = x509_parser::parse_x509_certificate(&leaf.der).unwrap();
        leaf.raw_serial().to_vec()
    };
    assert_eq!(serial(NOW_MS).len(), 16);
    assert_ne!(serial(NOW_MS), serial(NOW_MS + 1));
}

#[test]
fn no_leaf_is_made_for_an_impossible_database_or_clock() {
    let (mesh, key) = (Mesh::new(), peer_key());
    let issue = |database: &str, now_ms| mesh.shared.issue(&key, database, now_ms);
    assert!(matches!(issue("", NOW_MS), Err(IssueError::DatabaseId(_))));
    assert!(matches!(
        issue(&"x".repeat(129), NOW_MS),
        Err(IssueError::DatabaseId(_))
    ));
    assert!(issue(&"x".repeat(128), NOW_MS).is_ok());
    for now_ms in [0, LEAF_BACKDATE_MS - 1, 253_370_678_400_001, u64::MAX] {
        assert_eq!(
            issue("db", now_ms).unwrap_err(),
            IssueError::Clock { now_ms }
        );
    }
    assert!(issue("db", LEAF_BACKDATE_MS).is_ok());
    assert!(issue("db", 253_370_678_400_000).is_ok());
}

#[test]
fn the_forged_leaf_is_good_when_nothing_is_changed() {
    let mesh = Mesh::new();
    assert!(mesh.verify(&mesh.forge(|_| {})).is_ok());
}

#[test]
fn a_leaf_of_another_key_is_refused() {
    let (mesh, other) = (Mesh::new(), Mesh::new());
    assert_eq!(mesh.refusal(&other.forge(|_| {})), VerifyError::ForeignKey);
    // Even if it is expired and of another database: nothing of it is believed.
    let strange = other.forge(|params| {
        params.not_after = params.not_before;
        params.subject_alt_names = Vec::new();
    });
    assert_eq!(mesh.refusal(&strange), VerifyError::ForeignKey);
    let own = KeyPair::generate().unwrap();
    let self_signed = good().self_signed(&own).unwrap();
    assert_eq!(mesh.refusal(self_signed.der()), VerifyError::ForeignKey);
}

#[test]
fn a_leaf_of_another_kind_of_authority_is_refused() {
    let (mesh, peer) = (Mesh::new(), KeyPair::generate().unwrap());
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let authority = KeyPair::generate_for(algorithm).unwrap();
        let issuer = Issuer::new(CertificateParams::default(), authority);
        let leaf = good().signed_by(&peer, &issuer).unwrap();
        assert_eq!(mesh.refusal(leaf.der()), VerifyError::ForeignKey);
    }
}

#[test]
fn a_leaf_of_another_database_is_refused_with_both_names() {
    let mesh = Mesh::new();
    let leaf = mesh.shared.issue(&peer_key(), "other", NOW_MS).unwrap();
    let text = mesh.refusal(&leaf.der).to_string();
    assert!(text.contains("tombolo://database/other"), "{text}");
    assert!(text.contains(DATABASE), "{text}");
}

#[test]
fn the_peers_name_of_its_database_is_escaped_and_cut() {
    let mesh = Mesh::new();
    let name = format!("tombolo://database/{}\r\n\u{1b}[31m", "x".repeat(500));
    let long = mesh.forge(|params| params.subject_alt_names = vec![uri(&name)]);
    let VerifyError::WrongDatabase { theirs, .. } = mesh.refusal(&long) else {
        panic!("refused for another reason");
    };
    assert_eq!(theirs.as_str().len(), 83);
    let name = "tombolo://database/\r\n\u{1b}[31m";
    let control = mesh.forge(|params| params.subject_alt_names = vec![uri(name)]);
    let text = mesh.refusal(&control).to_string();
    assert!(!text.contains(char::is_control), "{text:?}");
}

#[test]
fn a_leaf_names_exactly_one_database() {
    let mesh = Mesh::new();
    let ours = || uri(&format!("tombolo://database/{DATABASE}"));
    let dns = || SanType::DnsName(Ia5String::try_from("localhost").unwrap());
    for names in [
        vec![],
        vec![dns()],
        vec![ours(), ours()],
        vec![ours(), dns()],
        vec![uri("tombolo://other/x")],
        vec![uri("TOMBOLO://DATABASE/x")],
    ] {
        let leaf = mesh.forge(|params| params.subject_alt_names = names);
        assert!(matches!(mesh.refusal(&leaf), VerifyError::Malformed { .. }));
    }
}

#[test]
fn a_ca_certificate_is_no_leaf() {
    let mesh = Mesh::new();
    let ca = mesh.forge(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(mesh.refusal(&ca), VerifyError::CaCertificate);
    for usage in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        let ca = mesh.forge(|params| params.key_usages.push(usage));
        assert_eq!(mesh.refusal(&ca), VerifyError::CaCertificate);
    }
}

#[test]
fn a_leaf_serves_both_sides_or_none() {
    let mesh = Mesh::new();
    let client = vec![ExtendedKeyUsagePurpose::ClientAuth];
    for usages in [vec![], client] {
        let leaf = mesh.forge(|params| params.extended_key_usages = usages);
        assert_eq!(mesh.refusal(&leaf), VerifyError::WrongUsage);
    }
    let leaf = mesh.forge(|params| params.key_usages = Vec::new());
    assert_eq!(mesh.refusal(&leaf), VerifyError::WrongUsage);
}

#[test]
fn what_must_be_understood_is_refused_if_it_is_not() {
    let mesh = Mesh::new();
    let extended = |critical: bool| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1], vec![5, 0]);
        extension.set_criticality(critical);
        mesh.forge(|params| params.custom_extensions = vec![extension])
    };
    assert!(mesh.verify(&extended(false)).is_ok());
    let VerifyError::UnknownCriticalExtension { oid } = mesh.refusal(&extended(true)) else {
        panic!("refused for another reason");
    };
    assert_eq!(oid.as_str(), "1.3.6.1.4.1");
}

#[test]
fn name_constraints_have_no_place_in_a_leaf() {
    let mesh = Mesh::new();
    let leaf = mesh.forge(|params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("*.example".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    });
    let refused = mesh.refusal(&leaf);
    assert!(matches!(
        refused,
        VerifyError::UnknownCriticalExtension { .. }
    ));
}

#[test]
fn extensions_are_bounded_and_single() {
    let mesh = Mesh::new();
    let leaf = |oids: Vec<u64>| {
        let extension = |last| CustomExtension::from_oid_content(&[1, 3, 6, last], vec![5, 0]);
        mesh.forge(|params| params.custom_extensions = oids.into_iter().map(extension).collect())
    };
    assert!(mesh.verify(&leaf((1..=10).collect())).is_ok());
    let many = VerifyError::Malformed {
        what: "it has too many extensions",
    };
    assert_eq!(mesh.refusal(&leaf((1..=40).collect())), many);
    let twice = VerifyError::Malformed {
        what: "it has an extension twice",
    };
    assert_eq!(mesh.refusal(&leaf(vec![7, 7])), twice);
}

#[test]
fn a_device_key_of_another_kind_is_refused() {
    let mesh = Mesh::new();
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let leaf = mesh.forge_for(&key, |_| {});
        assert_eq!(mesh.refusal(&leaf), VerifyError::WrongKeyType);
    }
}

#[test]
fn no_certificate_comes_with_a_leaf() {
    let mesh = Mesh::new();
    let leaf = mesh.forge(|_| {});
    for certificates in [1, 1000] {
        let others = vec![leaf.as_slice(); certificates];
        let refused = verify_leaf(&mesh.trust(), &leaf, &others, NOW_MS).unwrap_err();
        assert_eq!(refused, VerifyError::ChainTooLong { certificates });
    }
}

#[test]
fn a_leaf_is_refused_unread_above_its_limit() {
    let mesh = Mesh::new();
    let bytes = LEAF_BYTES_MAX + 1;
    assert_eq!(
        mesh.refusal(&vec![0x30; bytes]),
        VerifyError::TooLarge { bytes }
    );
    let at_limit = mesh.refusal(&vec![0x30; LEAF_BYTES_MAX]);
    assert!(matches!(at_limit, VerifyError::Malformed { .. }));
}

#[test]
fn a_cut_or_longer_leaf_is_malformed() {
    let mesh = Mesh::new();
    let leaf = mesh.forge(|_| {});
    for length in 0..leaf.len() {
        let refused = mesh.refusal(&leaf[..length]);
        assert!(
            matches!(refused, VerifyError::Malformed { .. }),
            "{length}: {refused}"
        );
    }
    let longer = VerifyError::Malformed {
        what: "bytes follow it",
    };
    assert_eq!(mesh.refusal(&[&leaf[..], &[0]].concat()), longer);
}

#[test]
fn no_single_changed_bit_is_accepted() {
    let mesh = Mesh::new();
    let leaf = mesh.forge(|_| {});
    for position in 0..leaf.len() {
        for bit in 0..8 {
            let mut changed = leaf.clone();
            changed[position] ^= 1 << bit;
            assert!(mesh.verify(&changed).is_err(), "byte {position}, bit {bit}");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mesh = Mesh::new();
        prop_assert!(mesh.verify(&bytes).is_err());
    }
}

//! The road of a login: challenge, proof, grant, certificate, verified peer,
//! and each way to leave it.

mod service;

use proptest::prelude::*;
use tombolo_document::{DocumentId, Value};
use tombolo_identity::{
    AnswerError, Authority, CHALLENGE_VALID_MS, Challenge, ChallengeKey, Granted,
    PLAYGROUND_EXPIRATION_S, PeerKeyPair, Permissions, ProofError, ProviderAnswer, SignedChallenge,
    verify_leaf,
};

use service::{DATABASE, NONE, NOW_MS, Service, answer, device, granted};

fn proof(service: &Service, text: &str) -> Result<(), ProofError> {
    let signed = SignedChallenge::from_text(text)?;
    service.challenges.prove(signed, DATABASE, NOW_MS).map(drop)
}

fn is_malformed(result: &Result<(), ProofError>) -> bool {
    matches!(result, Err(ProofError::Malformed { .. }))
}

#[test]
fn whoever_answers_a_challenge_gets_a_certificate_that_peers_accept() {
    let (service, device) = (Service::new(), device());
    let data = service.prove(&device).grant(granted(&answer()));
    let certificate = service.authority.issue(data, NOW_MS + 7).unwrap();
    assert_eq!(certificate.issued_ms(), NOW_MS + 7);
    assert_eq!(certificate.expires_ms(), NOW_MS + 28_800_000);
    assert_eq!(certificate.refresh_ms(0), NOW_MS + 7 + 14_399_996);
    assert_eq!(certificate.client_info(), &Value::from("welcome"));
    let peer = verify_leaf(&service.trust(), certificate.der(), NONE, NOW_MS).unwrap();
    assert_eq!(peer.peer_key(), device.public());
    assert_eq!(peer.database_id(), DATABASE);
    assert_eq!(peer.user_id(), Some("ada"));
    assert_eq!(peer.issued_ms(), NOW_MS + 7);
    assert_eq!(peer.expires_ms(), certificate.expires_ms());
    let identity = peer.identity().unwrap();
    assert_eq!(identity.provider(), "p");
    assert_eq!(identity.metadata().get("role"), Some(&Value::from("pilot")));
    assert!(!identity.may_query_remotely());
    let id = |text: &str| DocumentId::from_value(&Value::from(text)).unwrap();
    let filter = peer.filter(&Permissions::everything());
    assert!(filter.may_send("cars", &id("ada-1")));
    assert!(!filter.may_send("cars", &id("bob-1")));
    assert!(!filter.accepts("cars", &id("bob-1")));
    assert!(filter.accepts("notes", &id("bob-1")));
}

#[test]
fn the_playground_grants_everything_to_a_user_that_is_the_device() {
    let (service, device) = (Service::new(), device());
    let data = service
        .prove(&device)
        .grant(Granted::playground(device.public()));
    assert_eq!(data.expiration_s(), PLAYGROUND_EXPIRATION_S);
    let certificate = service.authority.issue(data, NOW_MS).unwrap();
    let peer = verify_leaf(&service.trust(), certificate.der(), NONE, NOW_MS).unwrap();
    assert_eq!(peer.permissions(), &Permissions::everything());
    assert_eq!(peer.user_id(), Some(device.public().to_string().as_str()));
    assert!(peer.identity().unwrap().may_query_remotely());
}

#[test]
fn t10_a_challenge_is_good_for_two_minutes_and_never_before_it_was_made() {
    let (service, device) = (Service::new(), device());
    let prove = |now_ms| {
        let signed = service.challenge(1).sign(&device).unwrap();
        service.challenges.prove(signed, DATABASE, now_ms).map(drop)
    };
    assert_eq!(prove(NOW_MS), Ok(()));
    assert_eq!(prove(NOW_MS + CHALLENGE_VALID_MS - 1), Ok(()));
    let expired = |ago_ms| Err(ProofError::Expired { ago_ms });
    assert_eq!(prove(NOW_MS + CHALLENGE_VALID_MS), expired(0));
    assert_eq!(prove(NOW_MS + CHALLENGE_VALID_MS + 1000), expired(1000));
    assert_eq!(
        prove(NOW_MS - 1),
        Err(ProofError::FromAhead { ahead_ms: 1 })
    );
}

#[test]
fn t12_a_challenge_of_another_database_or_service_is_refused() {
    let (service, device) = (Service::new(), device());
    let foreign = service
        .challenges
        .challenge("other", [1; 16], NOW_MS)
        .unwrap();
    let signed = foreign.sign(&device).unwrap();
    let refused = service
        .challenges
        .prove(signed, DATABASE, NOW_MS)
        .unwrap_err();
    assert_eq!(refused, ProofError::ForeignDatabase);
    let elsewhere = ChallengeKey::new(&[9; 32]);
    let challenge = elsewhere.challenge(DATABASE, [1; 16], NOW_MS).unwrap();
    let signed = challenge.sign(&device).unwrap();
    let refused = service
        .challenges
        .prove(signed, DATABASE, NOW_MS)
        .unwrap_err();
    assert_eq!(refused, ProofError::Altered);
}

#[test]
fn t12_a_login_with_a_repeated_key_is_refused() {
    let text = "{\"authenticated\":false,\"authenticated\":true}";
    let refused = ProviderAnswer::parse(text.as_bytes(), "p").unwrap_err();
    assert!(matches!(refused, AnswerError::Json { .. }), "{refused}");
}

#[test]
fn a_nonce_is_told_so_that_a_challenge_is_used_once() {
    let (service, device) = (Service::new(), device());
    let prove = |seed| {
        let signed = service.challenge(seed).sign(&device).unwrap();
        service.challenges.prove(signed, DATABASE, NOW_MS).unwrap()
    };
    let (one, again, other) = (prove(1), prove(1), prove(2));
    assert_eq!(one.nonce(), again.nonce());
    assert_ne!(one.nonce(), other.nonce());
    assert_eq!(one.challenge_expires_ms(), NOW_MS + CHALLENGE_VALID_MS);
}

#[test]
fn t13_a_signature_that_is_not_of_the_claimed_key_is_refused() {
    let service = Service::new();
    let text = |device: &PeerKeyPair| {
        let signed = service.challenge(1).sign(device).unwrap();
        signed.to_text()
    };
    let (one, other) = (device(), device());
    let (own, foreign) = (service::bytes(&text(&one)), service::bytes(&text(&other)));
    let check = |bytes: &[u8]| proof(&service, &service::text(bytes));
    assert_eq!(check(&own), Ok(()));
    let swapped = [&own[..1], &foreign[1..66], &own[66..]].concat();
    assert_eq!(check(&swapped), Err(ProofError::WrongKey));
    // The signature begins behind version, key, length and challenge.
    let begin = 68 + usize::from(own[66]) * 256 + usize::from(own[67]);
    assert_eq!(check(&own[..begin]), Err(ProofError::WrongKey));
    assert_eq!(check(&own[..own.len() - 1]), Err(ProofError::WrongKey));
    let raw = [&own[..begin], &[7; 64]].concat();
    assert_eq!(check(&raw), Err(ProofError::WrongKey));
    let long = [&own[..begin], &[7; 73]].concat();
    assert!(is_malformed(&check(&long)));
    let mut other_challenge = own.clone();
    other_challenge[70] ^= 1;
    assert_eq!(check(&other_challenge), Err(ProofError::Altered));
}

#[test]
fn what_is_no_signed_challenge_is_malformed() {
    let (service, device) = (Service::new(), device());
    let good = service::bytes(&service.challenge(1).sign(&device).unwrap().to_text());
    for end in [0, 1, 65, 66, 67, 68, 100] {
        let cut = proof(&service, &service::text(&good[..end]));
        assert!(is_malformed(&cut), "{end}: {cut:?}");
    }
    let mut version = good.clone();
    version[0] = 2;
    assert!(is_malformed(&proof(&service, &service::text(&version))));
    for text in ["", "=", "ä", "AA AA", &"A".repeat(1025)] {
        assert!(is_malformed(&proof(&service, text)), "{text}");
        assert!(Challenge::from_text(text).is_err(), "{text}");
    }
}

#[test]
fn a_challenge_that_is_tiny_is_refused_even_if_it_is_signed() {
    let service = Service::new();
    let challenge = Challenge::from_text("AAAA").unwrap();
    let signed = challenge.sign(&device()).unwrap();
    let refused = service.challenges.prove(signed, DATABASE, NOW_MS).map(drop);
    assert!(is_malformed(&refused));
}

#[test]
fn a_refusal_of_the_provider_carries_what_the_client_is_told() {
    let text = "{\"authenticate\":false,\"clientInfo\":{\"why\":\"locked\"},\"userID\":7}";
    let answer = ProviderAnswer::parse(text.as_bytes(), "p").unwrap();
    let ProviderAnswer::Refused { client_info } = answer else {
        panic!("it is refused");
    };
    let why = client_info.as_object().and_then(|info| info.get("why"));
    assert_eq!(why, Some(&Value::from("locked")));
}

#[test]
fn an_error_for_the_operator_repeats_no_value_and_the_client_hears_nothing() {
    let text = "{\"authenticated\":\"s3cret\",\"clientInfo\":\"s3cret\",\"token\":\"s3cret\"}";
    let refused = ProviderAnswer::parse(text.as_bytes(), "p").unwrap_err();
    assert!(!refused.to_string().contains("s3cret"), "{refused}");
    assert!(!refused.client_text().contains("authenticated"));
    let split = "{\"a\\nb\u{1b}[31m\":1,\"a\\nb\u{1b}[31m\":2}";
    let refused = ProviderAnswer::parse(split.as_bytes(), "p").unwrap_err();
    assert!(!refused.to_string().contains(['\n', '\u{1b}']), "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_text_or_bytes_make_a_decoder_panic(text in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Challenge::from_text(&text);
        let _ = SignedChallenge::from_text(&text);
        let _ = SignedChallenge::from_text(&service::text(&[&[1], bytes.as_slice()].concat()));
        let _ = ProviderAnswer::parse(&bytes, "p");
        let _ = ProviderAnswer::parse(text.as_bytes(), "p");
        let _ = Authority::from_pkcs8(&bytes);
        let _ = PeerKeyPair::from_pkcs8(&bytes);
        let mut answer = answer();
        service::set_rules(&mut answer, &text, std::slice::from_ref(&text));
        let _ = ProviderAnswer::from_object(&answer, &text);
    }
}

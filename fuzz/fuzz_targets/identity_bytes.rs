//! Arbitrary bytes as what proves who somebody is, and as whom a list cuts off: refused, or kept as they are.
//! Nobody gets in and nobody is cut off: no signature in them is anybody's.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tombolo_identity::{
    Authority, AuthorityKey, Challenge, ChallengeKey, IdentityFilter, PeerKeyPair, PeerPublicKey,
    Revocations, RuleSyntax, Rules, SharedKey, SignedChallenge, Trust, check_database_id,
    verify_leaf, verify_webhook,
};

const DATABASE: &str = "db";
const NOW_MS: u64 = 1_800_000_000_000;

static TRUST: LazyLock<Trust> = LazyLock::new(|| {
    let authority = Authority::generate().expect("a key");
    let shared = SharedKey::generate().expect("a key");
    let trust = Trust::of_authorities(&[authority.public().clone()], DATABASE);
    let trust = trust.expect("one authority");
    trust
        .with_shared_key(shared.public().clone())
        .expect("another key")
});
static CHALLENGES: LazyLock<ChallengeKey> = LazyLock::new(|| ChallengeKey::new(&[1; 32]));

fn text_of_a_key(text: &str) {
    if let Ok(key) = SharedKey::parse(text) {
        let again = SharedKey::parse(&key.to_base64()).expect("what was read can be written");
        assert_eq!(again.public(), key.public());
    }
}

fn text_of_a_challenge(text: &str) {
    if let Ok(challenge) = Challenge::from_text(text) {
        let again = Challenge::from_text(&challenge.to_text());
        assert_eq!(again.as_ref(), Ok(&challenge));
    }
    if let Ok(signed) = SignedChallenge::from_text(text) {
        let again = SignedChallenge::from_text(&signed.to_text());
        assert_eq!(again.as_ref(), Ok(&signed));
        assert!(CHALLENGES.prove(signed, DATABASE, NOW_MS).is_err());
    }
}

/// Rules outlive their certificate as the text that they were parsed from.
fn text_of_a_rule(text: &str) {
    let queries = BTreeMap::from([("cars".to_owned(), vec![text.to_owned()])]);
    for syntax in [RuleSyntax::Dql, RuleSyntax::Legacy, RuleSyntax::Either] {
        let Ok(rules) = Rules::parse_as(&queries, syntax) else {
            continue;
        };
        let kept = rules.queries().expect("a rule is not everything");
        let again = Rules::parse(&kept).expect("what was read can be written");
        assert_eq!(again, rules);
    }
    if let Ok(filter) = IdentityFilter::parse(text) {
        assert_eq!(IdentityFilter::parse(filter.text()).ok(), Some(filter));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((what, bytes)) = bytes.split_first() else {
        return;
    };
    let none: [&[u8]; 0] = [];
    match what % 8 {
        0 => assert!(verify_leaf(&TRUST, bytes, &none, NOW_MS).is_err()),
        1 => assert!(Revocations::decode(bytes, &TRUST).is_err()),
        2 => {
            let _ = PeerPublicKey::parse(bytes);
            let _ = AuthorityKey::parse(bytes);
        }
        3 => {
            let _ = PeerKeyPair::from_pkcs8(bytes);
            let _ = Authority::from_pkcs8(bytes);
        }
        other => {
            let Ok(text) = std::str::from_utf8(bytes) else {
                return;
            };
            match other {
                4 => text_of_a_key(text),
                5 => text_of_a_challenge(text),
                6 => text_of_a_rule(text),
                _ => {
                    let _ = check_database_id(text);
                    assert!(verify_webhook(&[], text, b"", NOW_MS / 1_000).is_err());
                }
            }
        }
    }
});

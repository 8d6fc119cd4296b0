//! An identity service of a test: its keys, an answer of its provider, and the
//! road of a login without a network.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::panic, reason = "a broken fixture stops the run")]

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tombolo_document::{Object, Value, json};
use tombolo_identity::{
    Authority, Certificate, Challenge, ChallengeKey, Granted, PeerKeyPair, ProvenPeerKey,
    ProviderAnswer, Trust, VerifiedPeer, verify_leaf,
};

pub(crate) const NOW_MS: u64 = 1_795_000_000_000;
pub(crate) const DATABASE: &str = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
pub(crate) const NONE: &[&[u8]] = &[];

pub(crate) struct Service {
    pub(crate) authority: Authority,
    pub(crate) challenges: ChallengeKey,
}

impl Service {
    pub(crate) fn new() -> Self {
        Self {
            authority: Authority::generate().expect("a key"),
            challenges: ChallengeKey::new(&[7; 32]),
        }
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::of_authorities(&[self.authority.public().clone()], DATABASE).expect("trust")
    }

    pub(crate) fn challenge(&self, seed: u8) -> Challenge {
        let challenge = self.challenges.challenge(DATABASE, [seed; 16], NOW_MS);
        let text = challenge.expect("a challenge").to_text();
        Challenge::from_text(&text).expect("what was sent arrives")
    }

    pub(crate) fn prove(&self, device: &PeerKeyPair) -> ProvenPeerKey {
        let signed = self.challenge(1).sign(device).expect("a signature");
        let proven = self.challenges.prove(signed, DATABASE, NOW_MS);
        proven.expect("the device holds its key")
    }

    pub(crate) fn certificate(&self, device: &PeerKeyPair, answer: &Object) -> Certificate {
        let data = self.prove(device).grant(granted(answer));
        self.authority.issue(data, NOW_MS).expect("a certificate")
    }

    pub(crate) fn peer(&self, answer: &Object, now_ms: u64) -> VerifiedPeer {
        let data = self.prove(&device()).grant(granted(answer));
        let certificate = self.authority.issue(data, now_ms).expect("a certificate");
        verify_leaf(&self.trust(), certificate.der(), NONE, now_ms).expect("a good leaf")
    }
}

/// A device with a new key.
pub(crate) fn device() -> PeerKeyPair {
    let key = Authority::generate().expect("a key");
    PeerKeyPair::from_pkcs8(&key.to_pkcs8()).expect("a key")
}

pub(crate) fn answer() -> Object {
    let text = r#"{
        "authenticated": true, "userID": "ada", "expirationSeconds": 28800,
        "clientInfo": "welcome", "identityServiceMetadata": {"role": "pilot"},
        "permissions": {
            "read": {"everything": false, "queriesByCollection": {"cars": ["startsWith(_id, 'ada')"]}},
            "write": {"everything": false, "queriesByCollection": {"notes": ["true"]}}
        }
    }"#;
    match json::parse(text.as_bytes()) {
        Ok(Value::Object(answer)) => answer,
        other => panic!("the fixture is an object: {other:?}"),
    }
}

pub(crate) fn granted(answer: &Object) -> Granted {
    match ProviderAnswer::from_object(answer, "p") {
        Ok(ProviderAnswer::Granted(granted)) => *granted,
        other => panic!("the fixture is granted: {other:?}"),
    }
}

/// Replaces the rules for reading by these of one collection, and lets every
/// one be heard that writes.
pub(crate) fn set_rules(answer: &mut Object, collection: &str, rules: &[String]) {
    let rules = BTreeMap::from([(collection.to_owned(), rules.to_vec())]);
    set_permissions(answer, &rules, true);
}

pub(crate) fn set_permissions(
    answer: &mut Object,
    read: &BTreeMap<String, Vec<String>>,
    write_everything: bool,
) {
    let queries = read.iter().map(|(name, rules)| {
        let rules = rules.iter().map(|rule| Value::from(rule.as_str()));
        (name.clone(), Value::Array(rules.collect()))
    });
    let side = |everything, queries| {
        Value::Object(Object::from([
            ("everything".to_owned(), Value::Bool(everything)),
            ("queriesByCollection".to_owned(), Value::Object(queries)),
        ]))
    };
    let permissions = Object::from([
        ("read".to_owned(), side(false, queries.collect())),
        (
            "write".to_owned(),
            side(write_everything, Object::default()),
        ),
    ]);
    answer.insert("permissions".to_owned(), Value::Object(permissions));
}

pub(crate) fn bytes(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Eight characters that no compressor shortens, the same ones each time.
pub(crate) fn noise(seed: u64, part: u64) -> String {
    let key = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        &[seed.to_be_bytes(), part.to_be_bytes()].concat(),
    );
    text(&key.as_ref()[..6])
}

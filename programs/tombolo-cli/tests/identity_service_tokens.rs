//! The provider `jwt`: tokens of an OpenID provider, checked in place against its keys in a file and at a URL.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod support;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SigningKey};
use serde_json::{Value, json};

use support::identity::{Hook, Service, device};

/// A provider that signs with ES256.
struct Issuer {
    pair: KeyPair,
    name: &'static str,
}

impl Issuer {
    fn new(name: &'static str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self { pair, name }
    }

    fn jwks(&self) -> String {
        let (x, y) = self.pair.der_bytes()[1..].split_at(32);
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let key =
            json!({"kty": "EC", "crv": "P-256", "kid": self.name, "x": encode(x), "y": encode(y)});
        json!({ "keys": [key] }).to_string()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let der = SigningKey::sign(&self.pair, signed.as_bytes()).unwrap();
        let (first, rest) = number(&der[2..]);
        let (second, _) = number(rest);
        format!(
            "{signed}.{}",
            BASE64_URL_SAFE_NO_PAD.encode([first, second].concat())
        )
    }

    fn token(&self, claims: &Value) -> String {
        self.sign(&json!({"alg": "ES256", "kid": self.name}), claims)
    }
}

/// A number of a DER signature in 32 bytes, and what follows it.
fn number(der: &[u8]) -> (Vec<u8>, &[u8]) {
    let (number, rest) = der[2..].split_at(usize::from(der[1]));
    let number = number.strip_prefix(&[0]).unwrap_or(number);
    (
        vec![0; 32 - number.len()]
            .into_iter()
            .chain(number.iter().copied())
            .collect(),
        rest,
    )
}

/// Good for the next hundred years, so that no test needs a clock.
const EXP: u64 = 4_900_000_000;

fn claims() -> Value {
    json!({
        "iss": "https://id.example", "aud": "tombolo", "sub": "ada", "exp": EXP,
        "tombolo": {
            "read": {"everything": true, "queriesByCollection": {}},
            "write": {"everything": false, "queriesByCollection": {}}
        }
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn service(issuer: &Issuer) -> Service {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("jwks.json"), issuer.jwks()).unwrap();
    let provider = "{ corp: { jwt: { jwks_file: jwks.json, issuer: \"https://id.example\", audience: tombolo, permissions_claim: tombolo, session_seconds: 600 } } }";
    Service::start_in(home, provider, "", ("dev_mode", "dev_mode"))
}

#[test]
fn a_token_lets_a_user_in_without_a_webhook() {
    let issuer = Issuer::new("k");
    let service = service(&issuer);
    let reply = service.login(&device(), "corp", &issuer.token(&claims()));
    assert_eq!(reply.granted().user_id, "ada");
    // A grant that cannot be used is the provider's fault, and the client learns nothing of it.
    let bad = with("tombolo", json!({"read": {}}));
    let reply = service.login(&device(), "corp", &issuer.token(&bad));
    assert_eq!(reply.status, 502);
    assert!(
        service.log().contains("permissions.read.everything"),
        "{}",
        service.log()
    );
}

#[test]
fn t14_a_token_without_a_signature_that_counts_is_refused() {
    let issuer = Issuer::new("k");
    let service = service(&issuer);
    let refused = |token: &str| {
        let reply = service.login(&device(), "corp", token);
        assert_eq!(
            (reply.status, reply.refused().code.as_str()),
            (401, "login_refused"),
            "{token}"
        );
    };
    for named in ["none", "None", "NONE", "HS256", "ES512", "es256"] {
        let token = issuer.sign(&json!({"alg": named, "kid": "k"}), &claims());
        refused(&token);
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        refused(&format!("{unsigned}."));
    }
    refused(&issuer.sign(&json!({"kid": "k"}), &claims()));
    refused(&Issuer::new("k").token(&claims()));
    refused(&Issuer::new("other").token(&claims()));
    refused("a.b.c");
    refused("");
    assert!(
        service.log().contains("signed by another key"),
        "{}",
        service.log()
    );
}

#[test]
fn t16_a_token_without_a_whole_number_as_its_end_is_refused() {
    let issuer = Issuer::new("k");
    let service = service(&issuer);
    let float: Value = serde_json::from_str("4900000000.0").unwrap();
    let bad = [
        ("exp", Value::Null),
        ("exp", json!("9999999999")),
        ("exp", float),
        ("exp", json!(-1)),
        ("exp", json!(9_223_372_036_854_775_808_u64)),
        ("exp", json!([EXP])),
        ("exp", json!(1)),
        ("nbf", json!(EXP - 1)),
        ("iss", json!("https://id.example.evil")),
        ("aud", json!("other")),
        ("sub", json!(7)),
    ];
    for (name, value) in bad {
        let token = issuer.token(&with(name, value));
        let reply = service.login(&device(), "corp", &token);
        assert_eq!(reply.status, 401, "{name}: {}", reply.text());
        assert!(!service.log().contains(&token));
    }
}

#[test]
fn keys_at_a_url_are_asked_for_when_they_are_needed_and_seldom() {
    let (first, second) = (Issuer::new("first"), Issuer::new("second"));
    let hook = Hook::start();
    let provider = format!(
        "{{ corp: {{ jwt: {{ jwks_url: \"{}\", allow_private_network: true, issuer: \"https://id.example\", audience: tombolo, permissions_claim: tombolo }} }} }}",
        hook.url
    );
    let service = Service::start(&provider);
    let login = |issuer: &Issuer| service.login(&device(), "corp", &issuer.token(&claims()));
    hook.answer_with("500 Internal Server Error", "", "");
    assert_eq!(login(&first).status, 502);
    assert_eq!(login(&first).status, 502);
    assert_eq!(
        hook.calls().len(),
        1,
        "one question a minute while nobody answers"
    );
    drop(service);
    hook.answer(first.jwks());
    let service = Service::start(&provider);
    let login = |issuer: &Issuer| service.login(&device(), "corp", &issuer.token(&claims()));
    for _ in 0..3 {
        assert_eq!(login(&first).status, 200);
    }
    assert_eq!(hook.calls().len(), 2);
    // A key that is not known is no reason to ask again within the minute.
    for _ in 0..3 {
        assert_eq!(login(&second).status, 401);
    }
    assert_eq!(hook.calls().len(), 2);
}

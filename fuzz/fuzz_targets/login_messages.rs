//! Arbitrary bytes as what an identity service reads and what a device reads from it: refused, or kept as they are.
//! Nobody gets in: no signature in them is anybody's.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tombolo_identity::{
    Authority, Grants, IssuedToken, KeySet, LoginRefusal, LoginReply, LoginRequest,
    ProviderAnswer, TokenRules, Trust, check_provider_token, parse_challenge, render_jwks,
};

static TRUST: LazyLock<Trust> = LazyLock::new(|| {
    let authority = Authority::generate().expect("a key");
    Trust::of_authorities(&[authority.public().clone()], "db").expect("one authority")
});
static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    KeySet::parse(render_jwks(TRUST.authorities()).as_bytes()).expect("a key set of ours")
});
static RULES: LazyLock<TokenRules> = LazyLock::new(|| TokenRules {
    issuer: "i".to_owned(),
    audience: "a".to_owned(),
    user_claim: "sub".to_owned(),
    grants: Grants::Claim("p".to_owned()),
    metadata_claim: None,
    session_s: None,
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = LoginRequest::parse(bytes) {
        let again = LoginRequest::parse(&request.render()).expect("what was read can be written");
        assert_eq!(again.database_id, request.database_id);
        assert_eq!(again.provider, request.provider);
        assert_eq!(again.token, request.token);
        assert_eq!(again.challenge, request.challenge);
    }
    if let Ok(reply) = LoginReply::parse(bytes) {
        let again = LoginReply::parse(&reply.render()).expect("what was read can be written");
        assert_eq!(again, reply);
    }
    let _ = LoginRefusal::parse(bytes);
    let _ = parse_challenge(bytes);
    let _ = ProviderAnswer::parse(bytes, "p");
    let _ = KeySet::parse(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(IssuedToken::verify(&TRUST, text, 0).is_err());
        assert!(check_provider_token(text, "p", &KEYS, &RULES, 0).is_err());
    }
});

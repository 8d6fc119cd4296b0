//! Every message of a login with each of its bytes lost, doubled or changed: it is refused or means something else,
//! and nobody gets in by it.

mod service;

use tombolo_document::Value;
use tombolo_identity::{
    Grants, IssuedToken, KeySet, LoginRefusal, LoginReply, LoginRequest, TokenRules,
    check_provider_token, parse_challenge, render_challenge, render_jwks,
};
use zeroize::Zeroizing;

use service::{DATABASE, NOW_MS, Service, answer, device};

/// The message as it arrives after one accident at one place, for each place.
fn damaged(message: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..message.len()).flat_map(move |at| {
        let (before, after) = message.split_at(at);
        let changed = |byte: u8| [before, &[byte], &after[1..]].concat();
        [
            before.to_vec(),
            [before, &after[1..]].concat(),
            [before, &after[..1], after].concat(),
            changed(after[0] ^ 1),
            changed(b'"'),
            changed(0xff),
        ]
    })
}

#[test]
fn a_damaged_request_proves_nothing_that_was_not_signed() {
    let (service, device) = (Service::new(), device());
    let signed = service.challenge(1).sign(&device).unwrap();
    let request = LoginRequest {
        database_id: DATABASE.to_owned(),
        provider: "p".to_owned(),
        token: Zeroizing::new("t\u{e9}\n".to_owned()),
        challenge: signed.clone(),
    };
    let mut altered = 0;
    for body in damaged(&request.render()) {
        let Ok(read) = LoginRequest::parse(&body) else {
            continue;
        };
        if read.challenge == signed {
            continue;
        }
        altered += 1;
        let proven = service.challenges.prove(read.challenge, DATABASE, NOW_MS);
        assert!(proven.is_err());
    }
    assert!(altered > 100, "{altered}");
}

#[test]
fn a_damaged_token_is_refused() {
    let service = Service::new();
    let certificate = service.certificate(&device(), &answer());
    let token = service.authority.issue_token(&certificate).unwrap();
    let keys =
        KeySet::parse(render_jwks(&[service.authority.public().clone()]).as_bytes()).unwrap();
    let rules = TokenRules {
        issuer: "i".to_owned(),
        audience: "a".to_owned(),
        user_claim: "sub".to_owned(),
        grants: Grants::Claim("p".to_owned()),
        metadata_claim: None,
        session_s: None,
    };
    for text in damaged(token.as_bytes()).filter_map(|bytes| String::from_utf8(bytes).ok()) {
        assert!(IssuedToken::verify(&service.trust(), &text, NOW_MS).is_err());
        assert!(check_provider_token(&text, "p", &keys, &rules, NOW_MS).is_err());
    }
}

#[test]
fn damaged_replies_and_key_sets_are_read_or_refused() {
    let service = Service::new();
    let authorities = vec![service.authority.public().clone()];
    let reply = LoginReply {
        certificate: vec![7; 40],
        authorities: authorities.clone(),
        expires_ms: NOW_MS,
        user_id: "ada".to_owned(),
        token: "t".to_owned(),
        client_info: Value::Bool(true),
        revocations: Some(vec![9; 40]),
    };
    for body in damaged(&reply.render()) {
        if let Ok(read) = LoginReply::parse(&body) {
            assert_eq!(LoginReply::parse(&read.render()).unwrap(), read);
        }
    }
    let refusal = LoginRefusal {
        code: "c".to_owned(),
        message: "m".to_owned(),
        client_info: Value::Null,
    };
    for body in damaged(&refusal.render()) {
        if let Ok(read) = LoginRefusal::parse(&body) {
            assert_eq!(LoginRefusal::parse(&read.render()).unwrap(), read);
        }
    }
    let challenge = service.challenge(1);
    for body in damaged(&render_challenge(&challenge)) {
        let read = parse_challenge(&body);
        assert!(read.is_err() || render_challenge(&read.unwrap()).len() <= body.len());
    }
    let set = render_jwks(&authorities);
    assert!(damaged(set.as_bytes()).any(|set| KeySet::parse(&set).is_ok()));
}

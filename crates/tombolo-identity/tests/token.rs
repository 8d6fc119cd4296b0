//! The token that comes with a certificate: bound to it, to the database and to
//! the key that signed, and refused in every other form.

mod service;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tombolo_document::{Object, Value, json};
use tombolo_identity::{
    Authority, Certificate, ISSUED_TOKEN_BYTES_MAX, IssuedToken, TokenError, Trust, VerifiedPeer,
    key_id, render_jwks, verify_leaf,
};

use service::{DATABASE, NONE, NOW_MS, Service, answer, device};

const EXPIRES_MS: u64 = NOW_MS + 28_800_000;

fn issued(service: &Service, answer: &Object) -> (Certificate, String) {
    let certificate = service.certificate(&device(), answer);
    let token = service
        .authority
        .issue_token(&certificate)
        .expect("a token");
    (certificate, token)
}

fn peer(service: &Service, certificate: &Certificate) -> VerifiedPeer {
    verify_leaf(&service.trust(), certificate.der(), NONE, NOW_MS).expect("a good leaf")
}

fn verify(service: &Service, token: &str) -> Result<IssuedToken, TokenError> {
    IssuedToken::verify(&service.trust(), token, NOW_MS)
}

/// The token with another header or other claims, and its old signature.
fn with_part(token: &str, part: usize, text: &str) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts[part] = BASE64_URL_SAFE_NO_PAD.encode(text);
    parts.join(".")
}

#[test]
fn t19_the_hash_in_a_token_binds_it_to_the_permissions_of_its_certificate() {
    let service = Service::new();
    let (certificate, token) = issued(&service, &answer());
    let token = verify(&service, &token).unwrap();
    assert_eq!(token.user_id(), "ada");
    assert_eq!(token.expires_s(), certificate.expires_ms() / 1000);
    assert!(token.belongs_to(&peer(&service, &certificate)));
    // The same user at the same time, with other permissions, or on another device.
    let mut wider = answer();
    let everything = json::parse(br#"{"read":{"everything":true,"queriesByCollection":{}},"write":{"everything":true,"queriesByCollection":{}}}"#);
    wider.insert("permissions".to_owned(), everything.unwrap());
    for other in [&wider, &answer()] {
        let (other, _) = issued(&service, other);
        assert!(!token.belongs_to(&peer(&service, &other)));
    }
}

#[test]
fn the_claims_are_those_of_the_format_and_fit_their_bound() {
    let service = Service::new();
    let (certificate, token) = issued(&service, &answer());
    assert!(token.len() <= ISSUED_TOKEN_BYTES_MAX);
    let part = |index: usize| {
        let part = token.split('.').nth(index).unwrap();
        String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let kid = key_id(service.authority.public());
    assert_eq!(
        part(0),
        format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"JWT"}}"#)
    );
    let Value::Object(claims) = json::parse(part(1).as_bytes()).unwrap() else {
        panic!("claims are an object");
    };
    let names: Vec<&String> = claims.keys().collect();
    assert_eq!(
        names,
        [
            "databaseID",
            "exp",
            "iat",
            "identityHash",
            "peerKey",
            "provider",
            "sub"
        ]
    );
    assert_eq!(claims.get("databaseID"), Some(&Value::from(DATABASE)));
    let shown = certificate.peer_key().to_string();
    assert_eq!(claims.get("peerKey"), Some(&Value::from(shown.as_str())));
    assert_eq!(claims.get("iat"), Some(&Value::from_u64(NOW_MS / 1000)));
    assert_eq!(claims.get("exp"), Some(&Value::from_u64(EXPIRES_MS / 1000)));
}

#[test]
fn t18_a_token_of_one_database_or_authority_is_refused_by_another() {
    let service = Service::new();
    let (_, token) = issued(&service, &answer());
    let keys = [service.authority.public().clone()];
    let elsewhere = Trust::of_authorities(&keys, "another").unwrap();
    let refused = IssuedToken::verify(&elsewhere, &token, NOW_MS).unwrap_err();
    assert!(matches!(refused, TokenError::ForeignDatabase), "{refused}");
    let refused = verify(&Service::new(), &token).unwrap_err();
    assert!(
        matches!(refused, TokenError::UnknownKey { .. }),
        "{refused}"
    );
    // A key that claims the name of the right one.
    let foreign = Service::new();
    let (_, forged) = issued(&foreign, &answer());
    let kid = key_id(service.authority.public());
    let forged = with_part(&forged, 0, &format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#));
    let refused = verify(&service, &forged).unwrap_err();
    assert!(matches!(refused, TokenError::Signature), "{refused}");
}

#[test]
fn t14_no_algorithm_but_the_signed_one_counts() {
    let service = Service::new();
    let (_, token) = issued(&service, &answer());
    let kid = key_id(service.authority.public());
    for named in [
        "none", "None", "NONE", "HS256", "HS512", "es256", "ES384", "RS256", "",
    ] {
        let forged = with_part(&token, 0, &format!(r#"{{"alg":"{named}","kid":"{kid}"}}"#));
        let refused = verify(&service, &forged).unwrap_err();
        assert!(
            matches!(refused, TokenError::Algorithm { .. }),
            "{named}: {refused}"
        );
        let (unsigned, _) = forged.rsplit_once('.').unwrap();
        assert!(verify(&service, &format!("{unsigned}.")).is_err());
    }
    let absent = with_part(&token, 0, &format!(r#"{{"kid":"{kid}"}}"#));
    let refused = verify(&service, &absent).unwrap_err();
    assert!(matches!(refused, TokenError::Claim(_)), "{refused}");
    let twice = with_part(
        &token,
        0,
        &format!(r#"{{"alg":"none","alg":"ES256","kid":"{kid}"}}"#),
    );
    assert!(matches!(
        verify(&service, &twice),
        Err(TokenError::Malformed { .. })
    ));
    let extended = format!(r#"{{"alg":"ES256","kid":"{kid}","crit":["exp"],"exp":1}}"#);
    let extended = with_part(&token, 0, &extended);
    assert!(matches!(
        verify(&service, &extended),
        Err(TokenError::Malformed { .. })
    ));
}

#[test]
fn an_altered_or_cut_token_is_refused() {
    let service = Service::new();
    let (_, token) = issued(&service, &answer());
    let other = r#"{"sub":"root"}"#;
    let altered = with_part(&token, 1, other);
    assert!(matches!(
        verify(&service, &altered),
        Err(TokenError::Signature)
    ));
    for end in 0..token.len() {
        assert!(verify(&service, &token[..end]).is_err());
    }
    let longer = [token.clone(), format!("{token}A"), format!("{token}.")];
    assert!(verify(&service, &longer[0]).is_ok());
    assert!(
        longer[1..]
            .iter()
            .all(|token| verify(&service, token).is_err())
    );
}

#[test]
fn a_token_ends_with_its_certificate() {
    let service = Service::new();
    let (_, token) = issued(&service, &answer());
    let at = |now_ms| IssuedToken::verify(&service.trust(), &token, now_ms).map(drop);
    assert!(at(EXPIRES_MS - 1).is_ok());
    assert!(matches!(
        at(EXPIRES_MS),
        Err(TokenError::Expired { ago_s: 0 })
    ));
    assert!(at(NOW_MS - 60_000).is_ok());
    let early = at(NOW_MS - 62_000);
    assert!(
        matches!(early, Err(TokenError::NotYetValid { wait_s: 62 })),
        "{early:?}"
    );
}

#[test]
fn the_key_set_names_every_authority() {
    let keys = [(); 2].map(|()| Authority::generate().unwrap().public().clone());
    let set = json::parse(render_jwks(&keys).as_bytes()).unwrap();
    let Some(Value::Array(shown)) = set.as_object().and_then(|set| set.get("keys")) else {
        panic!("a key set has keys");
    };
    assert_eq!(shown.len(), 2);
    for (key, shown) in keys.iter().zip(shown) {
        let shown = shown.as_object().unwrap();
        assert_eq!(shown.get("kid"), Some(&Value::from(key_id(key).as_str())));
        assert_eq!(shown.get("alg"), Some(&Value::from("ES256")));
        assert_eq!(shown.get("use"), Some(&Value::from("sig")));
    }
}

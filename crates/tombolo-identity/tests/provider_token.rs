//! Tokens of an OpenID provider, signed here by keys of each kind, and each way
//! in which one is refused.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken fixture stops the run"
)]

mod signer;

use tombolo_document::{Value, json};
use tombolo_identity::{
    Grants, KeySet, KeySetError, ProviderAnswer, ProviderTokenError, TokenError, TokenRules,
    check_provider_token,
};

use signer::{Signer, set};

const NOW_MS: u64 = 1_795_000_000_000;
const NOW_S: u64 = NOW_MS / 1000;

fn rules() -> TokenRules {
    TokenRules {
        issuer: "https://id.example".to_owned(),
        audience: "tombolo".to_owned(),
        user_claim: "sub".to_owned(),
        grants: Grants::Claim("tombolo".to_owned()),
        metadata_claim: None,
        session_s: None,
    }
}

const PERMISSIONS: &str = r#"{"read":{"everything":true,"queriesByCollection":{}},"write":{"everything":false,"queriesByCollection":{"cars":["_id == 'a'"]}}}"#;

/// Claims that are good but for what replaces or joins them; `-` removes.
fn claims(changes: &[(&str, &str)]) -> String {
    let text = format!(
        r#"{{"iss":"https://id.example","aud":"tombolo","sub":"ada","exp":{},"tombolo":{PERMISSIONS}}}"#,
        NOW_S + 3600
    );
    let Value::Object(mut claims) = json::parse(text.as_bytes()).unwrap() else {
        panic!("claims are an object");
    };
    for (name, value) in changes {
        match *value {
            "-" => drop(claims.remove(name)),
            value => {
                drop(claims.insert((*name).to_owned(), json::parse(value.as_bytes()).unwrap()))
            }
        }
    }
    json::print(&Value::Object(claims))
}

fn check(signer: &Signer, token: &str) -> Result<ProviderAnswer, ProviderTokenError> {
    check_provider_token(token, "corp", &signer.keys(), &rules(), NOW_MS)
}

fn refused(signer: &Signer, changes: &[(&str, &str)]) -> TokenError {
    match check(signer, &signer.token(&claims(changes))) {
        Err(ProviderTokenError::Token(error)) => error,
        other => panic!("{changes:?} gave {other:?}"),
    }
}

#[test]
fn each_kind_of_key_lets_a_user_in() {
    for signer in Signer::all() {
        let granted = match check(&signer, &signer.token(&claims(&[]))) {
            Ok(ProviderAnswer::Granted(granted)) => granted,
            other => panic!("{}: {other:?}", signer.algorithm()),
        };
        assert_eq!(granted.identity().user_id(), "ada");
        assert_eq!(granted.identity().provider(), "corp");
        assert_eq!(granted.expiration_s(), 3600);
        assert!(granted.identity().permissions().read.is_everything());
        assert!(!granted.identity().permissions().write.is_everything());
    }
}

#[test]
fn permissions_may_stand_in_the_configuration_and_metadata_in_a_claim() {
    let signer = Signer::p256();
    let Value::Object(permissions) = json::parse(PERMISSIONS.as_bytes()).unwrap() else {
        panic!("permissions are an object");
    };
    let fixed = TokenRules {
        user_claim: "email".to_owned(),
        grants: Grants::Fixed(permissions),
        metadata_claim: Some("badge".to_owned()),
        session_s: Some(60),
        ..rules()
    };
    let changes = [
        ("tombolo", "-"),
        ("email", r#""ada@x""#),
        ("badge", r#"{"role":"pilot"}"#),
    ];
    let token = signer.token(&claims(&changes));
    let answer = check_provider_token(&token, "corp", &signer.keys(), &fixed, NOW_MS);
    let Ok(ProviderAnswer::Granted(granted)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(granted.identity().user_id(), "ada@x");
    assert_eq!(granted.expiration_s(), 60);
    let role = granted.identity().metadata().get("role");
    assert_eq!(role, Some(&Value::from("pilot")));
}

#[test]
fn t14_algorithms_without_a_public_key_are_refused() {
    let signer = Signer::p256();
    for named in [
        "none", "None", "NONE", "HS256", "ES384", "es256", "PS256", "",
    ] {
        let token = signer.sign(&format!(r#"{{"alg":"{named}","kid":"k"}}"#), &claims(&[]));
        let refused = check(&signer, &token).unwrap_err();
        assert!(
            refused.to_string().contains("is not one of"),
            "{named}: {refused}"
        );
    }
    for header in [
        r#"{"kid":"k"}"#,
        r#"{"alg":null,"kid":"k"}"#,
        r#"{"alg":["ES256"],"kid":"k"}"#,
        "[]",
        "",
    ] {
        assert!(
            check(&signer, &signer.sign(header, &claims(&[]))).is_err(),
            "{header}"
        );
    }
    // The public key as the secret of a code, the classic confusion of kinds.
    let token = signer.sign(r#"{"alg":"RS256","kid":"k"}"#, &claims(&[]));
    let refused = check(&signer, &token).unwrap_err();
    assert!(refused.to_string().contains("names the key k"), "{refused}");
}

#[test]
fn t16_only_whole_seconds_that_are_ahead_are_an_end() {
    let signer = Signer::p256();
    let bad = [
        "-",
        "null",
        r#""9999999999""#,
        "9999999999.5",
        "1e10",
        "-1",
        "0",
        "9223372036854775808",
        "18446744073709551615",
        "253402300800",
        "[9999999999]",
        "{}",
        "true",
    ];
    for exp in bad {
        let refused = refused(&signer, &[("exp", exp)]);
        assert!(
            refused.to_string().starts_with("the token's claim exp: "),
            "{exp}: {refused}"
        );
    }
    let at = |offset: i64| (NOW_S as i64 + offset).to_string();
    let expired = refused(&signer, &[("exp", &at(0))]);
    assert!(matches!(expired, TokenError::Expired { ago_s: 0 }));
    for name in ["nbf", "iat"] {
        let early = refused(&signer, &[(name, &at(61))]);
        assert!(
            matches!(early, TokenError::NotYetValid { wait_s: 61 }),
            "{name}"
        );
        assert!(check(&signer, &signer.token(&claims(&[(name, &at(60))]))).is_ok());
        for bad in [r#""1""#, "1.5", "-1", "[]"] {
            let refused = refused(&signer, &[(name, bad)]);
            assert!(
                matches!(refused, TokenError::Claim(_)),
                "{name} {bad}: {refused}"
            );
        }
    }
}

#[test]
fn issuer_and_audience_must_be_the_configured_ones() {
    let signer = Signer::p256();
    for iss in [
        r#""https://id.example/""#,
        r#""HTTPS://id.example""#,
        r#""""#,
    ] {
        assert!(matches!(
            refused(&signer, &[("iss", iss)]),
            TokenError::ForeignIssuer
        ));
    }
    for aud in [r#""other""#, r#"["a","b"]"#, "[]"] {
        assert!(matches!(
            refused(&signer, &[("aud", aud)]),
            TokenError::ForeignAudience
        ));
    }
    for (name, bad) in [
        ("iss", "-"),
        ("iss", "1"),
        ("aud", "-"),
        ("aud", r#"["tombolo",1]"#),
    ] {
        let refused = refused(&signer, &[(name, bad)]);
        assert!(
            matches!(refused, TokenError::Claim(_)),
            "{name} {bad}: {refused}"
        );
    }
    assert!(
        check(
            &signer,
            &signer.token(&claims(&[("aud", r#"["a","tombolo"]"#)]))
        )
        .is_ok()
    );
}

#[test]
fn a_grant_that_is_malformed_is_the_providers_fault() {
    let signer = Signer::p256();
    assert!(matches!(
        refused(&signer, &[("tombolo", "-")]),
        TokenError::Claim(_)
    ));
    assert!(matches!(
        refused(&signer, &[("sub", "7")]),
        TokenError::Claim(_)
    ));
    let bad = r#"{"read":{"everything":true,"queriesByCollection":{}}}"#;
    let answer = check(&signer, &signer.token(&claims(&[("tombolo", bad)])));
    let Err(ProviderTokenError::Answer(error)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(error.field(), Some("permissions.write"));
}

#[test]
fn keys_are_found_by_name_and_never_guessed() {
    let (first, second) = (Signer::p256(), Signer::p256());
    let both = set(&[first.jwk("a"), second.jwk("b")]).unwrap();
    let judge = |keys: &KeySet, header: &str| {
        let token = second.sign(header, &claims(&[]));
        check_provider_token(&token, "corp", keys, &rules(), NOW_MS).map(drop)
    };
    assert!(judge(&both, r#"{"alg":"ES256","kid":"b"}"#).is_ok());
    let wrong = judge(&both, r#"{"alg":"ES256","kid":"a"}"#).unwrap_err();
    assert!(matches!(
        wrong,
        ProviderTokenError::Token(TokenError::Signature)
    ));
    for unknown in [r#"{"alg":"ES256","kid":"c"}"#, r#"{"alg":"ES256"}"#] {
        let refused = judge(&both, unknown).unwrap_err();
        let unknown = matches!(
            refused,
            ProviderTokenError::Token(TokenError::UnknownKey { .. })
        );
        assert!(unknown, "{refused}");
    }
    let alone = set(&[second.jwk("b")]).unwrap();
    assert!(judge(&alone, r#"{"alg":"ES256"}"#).is_ok());
    let twice = set(&[first.jwk("b"), second.jwk("b")]).unwrap();
    assert!(judge(&twice, r#"{"alg":"ES256","kid":"b"}"#).is_err());
}

#[test]
fn a_key_set_is_bounded_and_public() {
    let key = Signer::p256().jwk("k");
    let several = |count: usize| set(&vec![key.clone(); count]).map(drop);
    assert!(several(64).is_ok());
    assert!(several(65).is_err());
    assert!(matches!(
        KeySet::parse(&vec![b' '; 256 * 1024 + 1]),
        Err(KeySetError::TooLarge { .. })
    ));
    for useless in [
        r#"{"kty":"oct","kid":"k"}"#,
        r#"{"kty":"EC","crv":"P-384","x":"AA","y":"AA"}"#,
        &key.replace(r#""use":"sig""#, r#""use":"enc""#),
        &key.replace(r#""use":"sig""#, r#""alg":"ES384""#),
    ] {
        assert!(
            matches!(set(&[useless.to_owned()]), Err(KeySetError::NoKey)),
            "{useless}"
        );
    }
    for wrong in [
        r#"{"kty":"oct","k":"AA"}"#.to_owned(),
        key.replace(r#""use":"sig""#, r#""d":"AA""#),
        key.replace(r#""kty":"EC""#, r#""kty":7"#),
        key.replace(r#""x":""#, r#""x":"A"#),
        r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#.to_owned(),
        "7".to_owned(),
    ] {
        assert!(
            matches!(
                set(std::slice::from_ref(&wrong)),
                Err(KeySetError::Field(_))
            ),
            "{wrong}"
        );
    }
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
    }
}

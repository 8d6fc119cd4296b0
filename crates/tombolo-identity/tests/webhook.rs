//! Calls to a webhook: the documented body, and signatures that a receiver
//! believes or does not.

use proptest::prelude::*;
use tombolo_identity::{
    SIGNATURE_WINDOW_S, SIGNATURES_MAX, SignatureError, WebhookSecret, WebhookSecretError,
    sign_webhook, tokens_match, verify_webhook, webhook_body,
};

const NOW_S: u64 = 1_795_000_000;
const BODY: &[u8] = b"{\"token\":\"t\"}";

fn secret(seed: u8) -> WebhookSecret {
    let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, [seed; 128]);
    WebhookSecret::from_base64(&text).expect("the fixture is a secret")
}

fn check(secrets: &[WebhookSecret], header: &str) -> Result<(), SignatureError> {
    verify_webhook(secrets, header, BODY, NOW_S)
}

fn is_malformed(header: &str) -> bool {
    matches!(
        check(&[secret(1)], header),
        Err(SignatureError::Malformed { .. })
    )
}

#[test]
fn the_body_has_the_documented_members() {
    let body = webhook_body("db", "my provider", "a \"token\"\n");
    let text = r#"{"appID":"db","databaseID":"db","provider":"my provider","token":"a \"token\"\n","version":"1"}"#;
    assert_eq!(std::str::from_utf8(&body).unwrap(), text);
}

/// Computed by another program: HMAC-SHA256 with a key of 128 bytes 01.
#[test]
fn t22_a_header_is_time_and_code_as_documented() {
    let header = sign_webhook(&[secret(1)], BODY, NOW_S);
    let golden = "t=1795000000,v1=3bce5199421fb82df6bbf4416cdb6c1b64ecceb9458fcab9f139860582cfadd5";
    assert_eq!(header, golden);
    assert_eq!(check(&[secret(1)], &header), Ok(()));
}

#[test]
fn t22_secrets_overlap_on_both_sides() {
    let both = sign_webhook(&[secret(1), secret(2)], BODY, NOW_S);
    for known in [1, 2] {
        assert_eq!(check(&[secret(known)], &both), Ok(()));
    }
    let new = sign_webhook(&[secret(2)], BODY, NOW_S);
    assert_eq!(check(&[secret(1), secret(2)], &new), Ok(()));
    assert_eq!(check(&[secret(1)], &new), Err(SignatureError::Foreign));
    assert_eq!(check(&[], &new), Err(SignatureError::Foreign));
}

#[test]
fn t22_a_call_is_good_for_five_minutes_both_ways() {
    let at = |signed_s| check(&[secret(1)], &sign_webhook(&[secret(1)], BODY, signed_s));
    assert_eq!(at(NOW_S - SIGNATURE_WINDOW_S), Ok(()));
    assert_eq!(at(NOW_S + SIGNATURE_WINDOW_S), Ok(()));
    let old = SignatureError::TooOld { ago_s: 301 };
    assert_eq!(at(NOW_S - SIGNATURE_WINDOW_S - 1), Err(old));
    let early = SignatureError::TooEarly { ahead_s: 301 };
    assert_eq!(at(NOW_S + SIGNATURE_WINDOW_S + 1), Err(early));
}

#[test]
fn t22_another_body_or_time_is_refused() {
    let header = sign_webhook(&[secret(1)], BODY, NOW_S);
    let altered = verify_webhook(&[secret(1)], &header, b"{}", NOW_S);
    assert_eq!(altered, Err(SignatureError::Foreign));
    let later = header.replace("t=1795000000", "t=1795000001");
    assert_eq!(check(&[secret(1)], &later), Err(SignatureError::Foreign));
    let written = header.replace("t=1795000000", "t=01795000000");
    assert_eq!(check(&[secret(1)], &written), Err(SignatureError::Foreign));
}

#[test]
fn t22_headers_of_another_form_are_refused() {
    let code = "0".repeat(64);
    for header in [
        String::new(),
        "t=1795000000".to_owned(),
        format!("v1={code}"),
        format!("t=,v1={code}"),
        format!("t=-1,v1={code}"),
        format!("t=+1795000000,v1={code}"),
        format!("t=99999999999999999999,v1={code}"),
        format!("t=1795000000,t=1795000000,v1={code}"),
        format!("t=1795000000,v1={}", &code[1..]),
        format!("t=1795000000,v1={code}0"),
        format!("t=1795000000,v1={}", "g".repeat(64)),
        format!("t=1795000000,v1={}", "é".repeat(32)),
        format!("t=1795000000,v1={code},loose"),
        format!("t=1795000000,x={},v1={code}", "y".repeat(1024)),
    ] {
        assert!(is_malformed(&header), "{header}");
    }
    let codes = |count: usize| format!("t=1795000000{}", format!(",v1={code}").repeat(count));
    assert_eq!(
        check(&[secret(1)], &codes(SIGNATURES_MAX)),
        Err(SignatureError::Foreign)
    );
    assert!(is_malformed(&codes(SIGNATURES_MAX + 1)));
}

#[test]
fn t22_a_secret_is_the_decoded_text() {
    let short = WebhookSecret::from_base64("c2hvcnQ=").unwrap_err();
    assert_eq!(short, WebhookSecretError::Length { bytes: 5 });
    let refused = WebhookSecret::from_base64("not base64!").unwrap_err();
    assert_eq!(refused, WebhookSecretError::NotBase64);
    assert!(format!("{:?}", secret(1)).contains("redacted"));
}

#[test]
fn tokens_match_when_they_are_the_same() {
    assert!(tokens_match("token", "token"));
    for given in ["", "toke", "token ", "Token", "tokens"] {
        assert!(!tokens_match("token", given), "{given}");
    }
}

proptest! {
    #[test]
    fn no_header_makes_the_reader_panic(header in ".{0,200}", tail in "[t1v=,0-9a-fé]{0,200}") {
        let _ = check(&[secret(1)], &header);
        let _ = check(&[secret(1)], &format!("t=1795000000,{tail}"));
    }
}

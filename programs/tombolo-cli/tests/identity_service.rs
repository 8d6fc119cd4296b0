//! The identity service as its users meet it: a real node, devices that log in, and what is refused them.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod support;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use tombolo_identity::{IssuedToken, PLAYGROUND_EXPIRATION_S, SignedChallenge, Trust, key_id};

use support::identity::{DATABASE, PLAYGROUND, Service, body, device, peer, say};

#[test]
fn the_playground_lets_its_token_in_and_warns_where_it_should() {
    let service = Service::start(&format!("{{ {PLAYGROUND} }}"));
    let device = device();
    let reply = service.login(&device, "__playgroundProvider", "s3cr3t-shared");
    let peer = peer(&reply);
    assert!(peer.permissions().write.is_everything());
    assert_eq!(peer.user_id(), Some(device.public().to_string().as_str()));
    let lasts_ms = peer.expires_ms() / 1000 - peer.issued_ms() / 1000;
    assert_eq!(lasts_ms, PLAYGROUND_EXPIRATION_S);
    let wrong = service.login(&device, "__playgroundProvider", "s3cr3t-share");
    assert_eq!(wrong.status, 401);
    assert!(!service.log().contains("WARNING"), "{}", service.log());
    assert!(!service.log().contains("s3cr3t"), "{}", service.log());
}

#[test]
fn outside_of_development_the_playground_is_warned_of() {
    let home = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(home.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(
        home.path().join("key.pem"),
        made.signing_key.serialize_pem(),
    )
    .unwrap();
    let tls = "{ cert: cert.pem, key: key.pem }";
    let providers = format!("{{ {PLAYGROUND} }}");
    let service = Service::start_in(home, &providers, "", (tls, "dev_mode"));
    let log = service.log();
    assert!(
        log.contains("WARNING: __playgroundProvider lets whoever has its token"),
        "{log}"
    );
}

#[test]
fn the_routes_are_those_of_the_contract() {
    let service = Service::start(&format!("{{ {PLAYGROUND} }}"));
    let granted = service
        .login(&device(), "__playgroundProvider", "s3cr3t-shared")
        .granted();
    let authority = &granted.authorities[0];
    let ca = service.get("/_ditto/auth/ca");
    assert!(
        ca.head.contains("content-type: application/x-pem-file"),
        "{}",
        ca.head
    );
    let encoded: String = ca
        .text()
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    assert_eq!(
        BASE64_STANDARD.decode(encoded).unwrap(),
        authority.to_spki_der()
    );
    let jwks = service.get("/_ditto/auth/jwks");
    assert!(jwks.text().contains(&key_id(authority)), "{}", jwks.text());
    assert_eq!(service.get("/_ditto/auth/revocations").status, 404);
    assert_eq!(service.get("/_ditto/auth/cert").status, 404);
    let again = service.challenge();
    assert_ne!(again, service.challenge());
    let challenge = service.get("/_ditto/auth/challenge");
    assert!(
        challenge.head.contains("cache-control: no-store"),
        "{}",
        challenge.head
    );
    for (method, path) in [
        ("POST", "challenge"),
        ("GET", "login"),
        ("PUT", "login"),
        ("DELETE", "ca"),
        ("POST", "jwks"),
        ("POST", "revocations"),
    ] {
        let request = format!(
            "{method} /_ditto/auth/{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        let answer = say(&service, &request);
        support::assert_status(&answer, 405);
        assert!(answer.contains("content-type: text/plain"), "{answer}");
        assert!(answer.ends_with("HTTP method not allowed"), "{answer}");
    }
}

#[test]
fn without_the_section_nothing_is_served() {
    let node = support::Node::start(&support::plain(""));
    support::assert_status(&node.send(&support::get("/_ditto/auth/challenge")), 404);
}

#[test]
fn t12_a_login_for_another_database_or_with_a_repeated_key_is_refused() {
    let service = Service::start(&format!("{{ {PLAYGROUND} }}"));
    let device = device();
    let good = || {
        let signed = service.challenge().sign(&device).unwrap();
        String::from_utf8(body(signed, "__playgroundProvider", "s3cr3t-shared")).unwrap()
    };
    let elsewhere = good().replace(DATABASE, "another");
    let refused = service.post(elsewhere.as_bytes());
    assert_eq!(
        (refused.status, refused.refused().code.as_str()),
        (401, "challenge_refused")
    );
    let twice = good().replacen('{', &format!(r#"{{"databaseID":"{DATABASE}","#), 1);
    let refused = service.post(twice.as_bytes());
    assert_eq!(
        (refused.status, refused.refused().code.as_str()),
        (400, "malformed")
    );
    let legacy = good().replace("databaseID", "appID");
    assert_eq!(service.post(legacy.as_bytes()).status, 200);
    let contradicting = good().replacen('{', r#"{"appID":"another","#, 1);
    assert_eq!(service.post(contradicting.as_bytes()).status, 400);
    let unknown = good().replacen('{', r#"{"admin":true,"#, 1);
    let refused = service.post(unknown.as_bytes());
    assert_eq!(refused.status, 400);
    assert!(
        refused.refused().message.starts_with("admin: "),
        "{}",
        refused.text()
    );
    // A challenge of another service for the same database.
    let other = Service::start(&format!("{{ {PLAYGROUND} }}"));
    let signed = other.challenge().sign(&device).unwrap();
    let foreign = body(signed, "__playgroundProvider", "s3cr3t-shared");
    assert_eq!(service.post(&foreign).status, 401);
    let too_long = vec![b' '; 64 * 1024 + 1];
    assert_eq!(service.post(&too_long).status, 413);
}

/// A signed challenge with other bytes in it, by the layout of docs/formats/identity.md.
fn altered(signed: &SignedChallenge, change: impl FnOnce(&mut Vec<u8>)) -> Option<SignedChallenge> {
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(signed.to_text()).unwrap();
    change(&mut bytes);
    SignedChallenge::from_text(&BASE64_URL_SAFE_NO_PAD.encode(bytes)).ok()
}

#[test]
fn t13_a_challenge_that_the_device_did_not_sign_is_refused() {
    let service = Service::start(&format!("{{ {PLAYGROUND} }}"));
    let (device, thief) = (device(), device());
    let refused = |signed: SignedChallenge| {
        let reply = service.post(&body(signed, "__playgroundProvider", "s3cr3t-shared"));
        (reply.status, reply.refused().code)
    };
    let wanted = || (401, "challenge_refused".to_owned());
    let signed = || service.challenge().sign(&device).unwrap();
    // Another key claims the signature.
    let claimed = altered(&signed(), |bytes| {
        bytes[1..66].copy_from_slice(thief.public().as_bytes())
    });
    assert_eq!(refused(claimed.unwrap()), wanted());
    // The signature is over other bytes: those of another challenge.
    let other = BASE64_URL_SAFE_NO_PAD.decode(signed().to_text()).unwrap();
    let length = 68 + usize::from(u16::from_be_bytes([other[66], other[67]]));
    let moved = altered(&signed(), |bytes| {
        bytes.truncate(length);
        bytes.extend_from_slice(&other[length..]);
    });
    assert_eq!(refused(moved.unwrap()), wanted());
    // No signature, two plain numbers instead of DER, and one bit.
    assert_eq!(
        refused(altered(&signed(), |bytes| bytes.truncate(length)).unwrap()),
        wanted()
    );
    let plain = altered(&signed(), |bytes| {
        bytes.truncate(length);
        bytes.extend_from_slice(&[7; 64]);
    });
    assert_eq!(refused(plain.unwrap()), wanted());
    let bit = altered(&signed(), |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(refused(bit.unwrap()), wanted());
    // The challenge itself: another code, another time.
    let coded = altered(&signed(), |bytes| bytes[length - 1] ^= 1);
    assert_eq!(refused(coded.unwrap()), wanted());
    let later = altered(&signed(), |bytes| bytes[68 + 17 + 8] ^= 1);
    assert_eq!(refused(later.unwrap()), wanted());
    // One that counts, and the same again.
    let once = signed();
    let reply = service.post(&body(once.clone(), "__playgroundProvider", "s3cr3t-shared"));
    assert_eq!(reply.status, 200);
    assert_eq!(refused(once), wanted());
}

#[test]
fn t18_a_token_opens_no_other_door() {
    let key = String::from_utf8(support::tombolo(&["api-key", "generate"]).stdout).unwrap();
    let hash = key
        .lines()
        .find_map(|line| line.strip_prefix("Secure Public Hash: "))
        .unwrap();
    let auth = format!(
        "{{ identities: {{ a: {{ credential: {{ api_key: \"{hash}\" }}, permissions: [all] }} }}, permission_sets: {{ all: {{ permissions: full }} }} }}"
    );
    let service = Service::start_with(&format!("{{ {PLAYGROUND} }}"), "", "dev_mode", &auth);
    let granted = service
        .login(&device(), "__playgroundProvider", "s3cr3t-shared")
        .granted();
    let statement = r#"{"statement":"SELECT * FROM cars"}"#;
    let answer = say(
        &service,
        &format!(
            "POST /execute HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
             authorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{statement}",
            granted.token,
            statement.len()
        ),
    );
    support::assert_status(&answer, 401);
    let elsewhere = Trust::of_authorities(&granted.authorities, "another").unwrap();
    assert!(IssuedToken::verify(&elsewhere, &granted.token, granted.expires_ms - 1000).is_err());
    assert!(!service.log().contains(&granted.token));
}

#[test]
fn t07_a_peer_key_in_a_header_is_ignored() {
    let key = String::from_utf8(support::tombolo(&["api-key", "generate"]).stdout).unwrap();
    let hash = key
        .lines()
        .find_map(|line| line.strip_prefix("Secure Public Hash: "))
        .unwrap();
    let auth = format!(
        "{{ identities: {{ a: {{ credential: {{ api_key: \"{hash}\" }}, permissions: [all] }} }}, permission_sets: {{ all: {{ permissions: full }} }} }}"
    );
    let service = Service::start_with(&format!("{{ {PLAYGROUND} }}"), "", "dev_mode", &auth);
    let (device, victim) = (device(), device());
    let claimed = format!("X-DITTO-PEERPUBKEY: {}\r\n", victim.public());
    let post = |path: &str, content: &[u8]| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{claimed}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            content.len()
        );
        service.ask(&[head.as_bytes(), content].concat())
    };
    let signed = service.challenge().sign(&device).unwrap();
    let login = body(signed, "__playgroundProvider", "s3cr3t-shared");
    let reply = post("/_ditto/auth/login", &login);
    // The certificate is for the key that signed.
    assert_eq!(peer(&reply).peer_key(), device.public());
    assert_ne!(device.public(), victim.public());
    let statement = br#"{"statement":"SELECT * FROM cars"}"#;
    assert_eq!(post("/execute", statement).status, 401);
}

//! The identity service as its users meet it: a real node, devices that log in, webhooks that answer well and badly.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod support;

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use tombolo::{Value, json};
use tombolo_identity::{
    Authority, IssuedToken, PLAYGROUND_EXPIRATION_S, PeerKeyPair, SignedChallenge, Trust,
    VerifiedPeer, WebhookSecret, key_id, verify_leaf, verify_webhook,
};

use support::identity::{DATABASE, Hook, Reply, Service, body, device, say};
use support::peer::until;

const PLAYGROUND: &str = "__playgroundProvider: { playground: { shared_token: s3cr3t-shared } }";

const GOOD: &str = r#"{
    "authenticated": true, "userID": "ada", "expirationSeconds": 3600, "clientInfo": {"greeting": "hello"},
    "identityServiceMetadata": {"role": "pilot"},
    "permissions": {
        "read": {"everything": true, "queriesByCollection": {}},
        "write": {"everything": false, "queriesByCollection": {"cars": ["_id.owner == 'ada'"]}}
    }
}"#;

fn with_hook(hook: &Hook) -> Service {
    Service::start(&format!(
        "{{ {PLAYGROUND}, my-auth: {} }}",
        hook.provider("")
    ))
}

fn now_ms() -> u64 {
    let elapsed = std::fs::metadata("/proc/self/stat")
        .unwrap()
        .modified()
        .unwrap();
    let elapsed = elapsed.duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(elapsed.as_millis()).unwrap()
}

/// What a peer finds out about whoever shows the certificate.
fn peer(reply: &Reply) -> VerifiedPeer {
    let granted = reply.granted();
    let trust = Trust::of_authorities(&granted.authorities, DATABASE).unwrap();
    let none: [&[u8]; 0] = [];
    let middle_ms = granted.expires_ms - 1000;
    verify_leaf(&trust, &granted.certificate, &none, middle_ms).unwrap()
}

#[test]
fn a_webhook_lets_a_user_in_with_what_it_grants() {
    let hook = Hook::start();
    hook.answer(GOOD);
    let service = with_hook(&hook);
    let device = device();
    let reply = service.login(&device, "my-auth", "s3cr3t-token");
    let granted = reply.granted();
    assert_eq!(granted.user_id, "ada");
    let Value::Object(info) = &granted.client_info else {
        panic!("{:?}", granted.client_info);
    };
    assert_eq!(info.get("greeting"), Some(&Value::from("hello")));
    assert_eq!(granted.revocations, None);
    let peer = peer(&reply);
    assert_eq!(peer.peer_key(), device.public());
    assert_eq!(peer.user_id(), Some("ada"));
    assert!(peer.permissions().read.is_everything());
    assert!(!peer.permissions().write.is_everything());
    assert_eq!(peer.expires_ms(), granted.expires_ms);
    let calls = hook.calls();
    let [call] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    let told = json::parse(&call.body).unwrap();
    let expected = format!(
        r#"{{"appID":"{DATABASE}","databaseID":"{DATABASE}","provider":"my-auth","token":"s3cr3t-token","version":"1"}}"#
    );
    assert_eq!(told, json::parse(expected.as_bytes()).unwrap());
    assert_eq!(call.header("ditto-signature"), None);
    assert!(!service.log().contains("s3cr3t"), "{}", service.log());
}

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
    assert!(IssuedToken::verify(&elsewhere, &granted.token, now_ms()).is_err());
    assert!(!service.log().contains(&granted.token));
}

#[test]
fn t19_the_token_is_bound_to_the_certificate_it_came_with() {
    let hook = Hook::start();
    hook.answer(GOOD);
    let service = with_hook(&hook);
    let device = device();
    let first = service.login(&device, "my-auth", "t");
    hook.answer(GOOD.replace("_id.owner == 'ada'", "true"));
    let second = service.login(&device, "my-auth", "t");
    let verified = |reply: &Reply| {
        let granted = reply.granted();
        let trust = Trust::of_authorities(&granted.authorities, DATABASE).unwrap();
        IssuedToken::verify(&trust, &granted.token, granted.expires_ms - 1000).unwrap()
    };
    assert!(verified(&first).belongs_to(&peer(&first)));
    assert!(verified(&second).belongs_to(&peer(&second)));
    assert!(!verified(&first).belongs_to(&peer(&second)));
}

#[test]
fn t22_a_call_is_signed_with_every_secret_that_overlaps() {
    let hook = Hook::start();
    hook.answer(GOOD);
    let secrets = [[1; 128], [2; 128]].map(|bytes| BASE64_STANDARD.encode(bytes));
    let more = format!(
        ", signing_secrets: [\"{}\", \"{}\"]",
        secrets[0], secrets[1]
    );
    let service = Service::start(&format!("{{ my-auth: {} }}", hook.provider(&more)));
    assert_eq!(service.login(&device(), "my-auth", "s3cr3t").status, 200);
    let calls = hook.calls();
    let header = calls[0].header("ditto-signature").unwrap();
    let signed_s = header
        .trim_start_matches("t=")
        .split(',')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    for secret in &secrets {
        let alone = [WebhookSecret::from_base64(secret).unwrap()];
        assert_eq!(
            verify_webhook(&alone, header, &calls[0].body, signed_s),
            Ok(())
        );
        assert!(verify_webhook(&alone, header, b"{}", signed_s).is_err());
        assert!(verify_webhook(&alone, header, &calls[0].body, signed_s + 301).is_err());
    }
    let other = [WebhookSecret::from_base64(&BASE64_STANDARD.encode([3; 128])).unwrap()];
    assert!(verify_webhook(&other, header, &calls[0].body, signed_s).is_err());
}

#[test]
fn t24_many_tries_are_turned_away_before_the_webhook_and_learn_nothing() {
    let hook = Hook::start();
    hook.answer(r#"{"authenticated": false}"#);
    let limits = "{ logins_per_minute_per_address: 20, logins_per_minute_per_user: 5 }";
    let providers = format!("{{ {PLAYGROUND}, my-auth: {} }}", hook.provider(""));
    let service = Service::start_with(&providers, limits, "dev_mode", "dev_mode");
    let device = device();
    // Whoever does not exist is told the same as whoever is refused.
    let told: BTreeSet<String> = [
        ("my-auth", "a"),
        ("__playgroundProvider", "a"),
        ("nobody", "a"),
    ]
    .map(|(provider, token)| {
        let reply = service.login(&device, provider, token);
        assert_eq!(reply.status, 401);
        reply.text().to_owned()
    })
    .into();
    assert_eq!(told.len(), 1, "{told:?}");
    // One token five times in all, then no call more.
    for _ in 0..4 {
        assert_eq!(service.login(&device, "my-auth", "a").status, 401);
    }
    let often = service.login(&device, "my-auth", "a");
    assert_eq!(often.status, 429);
    assert!(often.head.contains("retry-after: "), "{}", often.head);
    assert_eq!(hook.calls().len(), 5);
    // Random tokens, until the address has used what it may: 20 in all.
    let statuses = (0..100).map(|number| {
        service
            .login(&device, "my-auth", &format!("random-{number}"))
            .status
    });
    let statuses: Vec<u16> = statuses.collect();
    assert!(
        statuses.iter().all(|status| [401, 429].contains(status)),
        "{statuses:?}"
    );
    let passed = statuses.iter().filter(|status| **status == 401).count();
    // A minute may have a few seconds of this test in it, at one login in three.
    assert!((12..40).contains(&passed), "{statuses:?}");
    assert_eq!(hook.calls().len(), 5 + passed);
}

#[test]
fn a_refusal_hands_on_what_the_provider_wants_the_client_to_know() {
    let hook = Hook::start();
    let service = with_hook(&hook);
    let refused = r#"{"authenticate": false, "clientInfo": {"reason": "banned"}}"#;
    for status in ["200 OK", "401 Unauthorized", "403 Forbidden"] {
        hook.answer_with(status, "", refused);
        let reply = service.login(&device(), "my-auth", "t");
        assert_eq!(reply.status, 401, "{status}");
        assert!(
            reply.text().contains(r#""clientInfo":{"reason":"banned"}"#),
            "{}",
            reply.text()
        );
    }
    // A grant with a status of refusal is none.
    hook.answer_with("401 Unauthorized", "", GOOD);
    assert_eq!(service.login(&device(), "my-auth", "t").status, 401);
}

#[test]
fn a_webhook_that_fails_is_named_to_the_operator_alone() {
    let hook = Hook::start();
    let more = ", timeout_ms: 300";
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}/", silent.local_addr().unwrap());
    let port = hook.url.rsplit_once(':').unwrap().1;
    let providers = format!(
        "{{ my-auth: {}, silent: {{ webhook: {{ url: \"{silent_url}\", allow_private_network: true{more} }} }}, inside: {{ webhook: {{ url: \"https://localhost:{port}\" }} }} }}",
        hook.provider(more)
    );
    let service = Service::start(&providers);
    let mut reasons = Vec::new();
    let mut try_one = |provider: &str, wanted: u16, reason: &'static str| {
        let reply = service.login(&device(), provider, "s3cr3t-token");
        assert_eq!(reply.status, wanted, "{reason}: {}", reply.text());
        reasons.push(reason);
        reply.refused().message
    };
    hook.answer_with("302 Found", &format!("location: {}\r\n", hook.url), "");
    let told = try_one("my-auth", 502, "redirects are not followed");
    hook.answer_with("500 Internal Server Error", "", "s3cr3t-trace");
    assert_eq!(told, try_one("my-auth", 502, "it answered 500"));
    hook.answer(vec![b'x'; 256 * 1024 + 1]);
    assert_eq!(told, try_one("my-auth", 502, "more than 262144 bytes"));
    hook.answer_with("200 OK", "", "s3cr3t-garbage");
    assert_eq!(told, try_one("my-auth", 502, "is no JSON"));
    assert_eq!(
        told,
        try_one("inside", 502, "no address outside of private networks")
    );
    try_one("silent", 504, "no answer within 300 ms");
    let calls = hook.calls().len();
    assert_eq!(calls, 4, "a call is never made twice");
    let log = service.log();
    for reason in reasons {
        assert!(log.contains(reason), "{reason} in\n{log}");
    }
    assert!(!log.contains("s3cr3t"), "{log}");
}

#[test]
fn verbs_change_a_running_service() {
    let service = Service::start(&format!("{{ {PLAYGROUND} }}"));
    let device = device();
    let login = || {
        service
            .login(&device, "__playgroundProvider", "s3cr3t-shared")
            .granted()
    };
    let first = login();
    let said = |arguments: &[&str]| {
        let output = service.verb(arguments);
        assert!(output.status.success(), "{}", support::text(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(said(&["revocations"]).contains("nobody was cut off yet"));
    let user = device.public().to_string();
    said(&["revoke", "--user", &user]);
    said(&[
        "revoke",
        "--filter",
        "metadata.role = 'guest'",
        "--issued-before",
        "7",
    ]);
    let list = said(&["revocations"]);
    assert!(
        list.contains(&format!("--user {user:?}")) && list.contains("guest"),
        "{list}"
    );
    until(
        || login().revocations.is_some_and(|list| list.len() > 100),
        || "a login with the list".to_owned(),
    );
    let trust = Trust::of_authorities(&first.authorities, DATABASE).unwrap();
    let told = || {
        let bytes = service.get("/_ditto/auth/revocations").body;
        tombolo_identity::Revocations::decode(&bytes, &trust).unwrap()
    };
    until(|| told().entries().len() == 2, || "both entries".to_owned());
    let none: [&[u8]; 0] = [];
    let judge = |certificate: &[u8], expires_ms: u64| {
        let peer = verify_leaf(&trust, certificate, &none, expires_ms - 1000).unwrap();
        told().is_revoked(&peer)
    };
    assert!(judge(&first.certificate, first.expires_ms).is_some());
    // Whoever may log in again is good again.
    let again = login();
    assert_eq!(judge(&again.certificate, again.expires_ms), None);
    said(&["unrevoke", "--user", &user]);
    until(|| told().entries().len() == 1, || "one entry".to_owned());
    assert!(
        !service
            .verb(&["unrevoke", "--user", &user])
            .status
            .success()
    );
    for wrong in [
        &["revoke"][..],
        &["revoke", "--user", "a", "--peer", "b"],
        &["revoke", "--peer", "not a key"],
        &["revoke", "--filter", "true"],
        &["revoke", "--filter", "password = 1"],
    ] {
        assert!(!service.verb(wrong).status.success(), "{wrong:?}");
    }
}

#[test]
fn t09_keys_rotate_with_overlap_while_the_service_runs() {
    let service = Service::start(&format!("{{ {PLAYGROUND} }}"));
    let login = || service.login(&device(), "__playgroundProvider", "s3cr3t-shared");
    let old = key_id(&login().granted().authorities[0]);
    let run = |arguments: &[&str]| {
        let output = service.verb(arguments);
        assert!(output.status.success(), "{}", support::text(&output.stderr));
    };
    run(&["rotate"]);
    until(
        || login().granted().authorities.len() == 2,
        || "two keys".to_owned(),
    );
    let authorities = login().granted().authorities;
    assert_eq!(key_id(&authorities[0]), old);
    let new = key_id(&authorities[1]);
    run(&["rotate", "--promote", &new]);
    until(
        || key_id(&login().granted().authorities[0]) == new,
        || "the new key signs".to_owned(),
    );
    // A device that trusted both before meets a certificate of the new one.
    let trust = Trust::of_authorities(&authorities, DATABASE).unwrap();
    let granted = login().granted();
    let none: [&[u8]; 0] = [];
    let judged = verify_leaf(
        &trust,
        &granted.certificate,
        &none,
        granted.expires_ms - 1000,
    );
    assert!(judged.is_ok(), "{judged:?}");
    assert!(!service.verb(&["rotate", "--retire", &new]).status.success());
    run(&["rotate", "--retire", &old]);
    until(
        || login().granted().authorities.len() == 1,
        || "one key".to_owned(),
    );
    let file = service.home().join("imported.der");
    std::fs::write(&file, Authority::generate().unwrap().to_pkcs8().as_slice()).unwrap();
    run(&["ca", "--import", file.to_str().unwrap()]);
    until(
        || login().granted().authorities.len() == 2,
        || "the imported key".to_owned(),
    );
}

#[test]
fn t58_two_services_share_no_secret_and_keep_their_files_to_themselves() {
    let [one, two] = [(); 2].map(|()| Service::start(&format!("{{ {PLAYGROUND} }}")));
    assert_ne!(
        one.get("/_ditto/auth/jwks").text(),
        two.get("/_ditto/auth/jwks").text()
    );
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(one.home().join("ca")).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_device_key_is_bound_even_if_two_devices_have_one_user() {
    let hook = Hook::start();
    hook.answer(GOOD);
    let service = with_hook(&hook);
    let devices: [PeerKeyPair; 2] = [device(), device()];
    let peers = devices
        .each_ref()
        .map(|device| peer(&service.login(device, "my-auth", "t")));
    assert_eq!(peers[0].user_id(), peers[1].user_id());
    assert_ne!(peers[0].peer_key(), peers[1].peer_key());
}

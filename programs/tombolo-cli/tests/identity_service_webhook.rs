//! Webhooks that let users in, refuse them, or fail; and those who try again and again.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod support;

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tombolo::{Value, json};
use tombolo_identity::{IssuedToken, PeerKeyPair, Trust, WebhookSecret, verify_webhook};

use support::identity::{
    DATABASE, GOOD, Hook, PLAYGROUND, Reply, Service, device, peer, with_hook,
};

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
    // Twelve are left of the twenty, and whatever time this takes adds one for each three seconds.
    assert!((12..100).contains(&passed), "{statuses:?}");
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
        hook.provider("")
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

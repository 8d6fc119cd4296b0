//! The certificate of the HTTPS port from a real ACME server: asked for, proven, kept, renewed, and what is told when
//! it does not come. `.ci/acme` installs the server and runs these.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

#[path = "acme/pebble.rs"]
mod pebble;
mod support;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pebble::{HMAC_KEY, Habits, KEY_ID, Pebble, open};
use rustls::ClientConfig;
use serde_json::Value;
use support::{DATABASE, Node, get, text, tombolo};

const DOMAIN: &str = "edge.example.com";
const LASTING: Habits = Habits {
    validity_s: 90 * 24 * 3600,
    knows_its_clients: false,
};

fn config(pebble: &Pebble, acme: &str) -> String {
    format!(
        "{DATABASE}http_server:\n  listen_addr: \"{}\"\n  http_api: true\n  enable_healthcheck: true\n  tls_config: {{ acme: {{ {acme} }} }}\nauth: dev_mode\nmetrics: {{ public: true }}\nlogging: {{ edge_server: {{ audit_logs: {{ path: audit }} }} }}\n",
        pebble.node_address()
    )
}

/// Asks over HTTPS; the error is that of the handshake.
fn ask(address: &str, client: &Arc<ClientConfig>, path: &str) -> std::io::Result<String> {
    let mut stream = open(address, DOMAIN, client);
    stream.write_all(get(path).as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The directory of the only ACME server that the node in `home` knows.
fn kept(home: &Path) -> PathBuf {
    let mut found = std::fs::read_dir(home.join("data/acme")).unwrap();
    let directory = found.next().unwrap().unwrap().path();
    assert!(found.next().is_none());
    directory
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn check_tls(home: &Path) -> (bool, String) {
    let file = home.join("config.yaml");
    let output = tombolo(&["config", "check-tls", "-c", file.to_str().unwrap()]);
    (output.status.success(), text(&output.stdout).to_owned())
}

/// The production checklist.
fn doctor(home: &Path) -> String {
    let file = home.join("config.yaml");
    let output = tombolo(&["doctor", "--production", "-c", file.to_str().unwrap()]);
    text(&output.stdout).to_owned()
}

#[test]
#[ignore = "needs pebble: .ci/acme"]
fn a_certificate_is_proven_kept_and_asked_for_anew_only_for_other_names() {
    let mut pebble = Pebble::new(Habits {
        knows_its_clients: true,
        ..LASTING
    });
    pebble.start(None);
    let known = format!("external_account_binding: {{ key_id: {KEY_ID}, hmac_key: {HMAC_KEY} }}");
    let acme = format!("{}, {known}", pebble.acme(DOMAIN));
    let mut node = Node::start(&config(&pebble, &acme));
    node.wait_for("certificate: for edge.example.com is in use, it ends in 89 days");
    let client = pebble.client();
    let answer = ask(&node.address, &client, "/health").unwrap();
    assert!(answer.ends_with(r#"{"status":"ok"}"#), "{answer}");
    let ready = ask(&node.address, &client, "/health/ready").unwrap();
    assert!(
        ready.contains("certificate: ok: ends in 89 days"),
        "{ready}"
    );
    let directory = kept(node.directory());
    for private in [directory.parent().unwrap(), &directory] {
        assert_eq!(mode(private), 0o700, "{}", private.display());
    }
    for name in ["account.json", "certificate.pem", "tries.json"] {
        assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
    }
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 3);
    assert_eq!(pebble.orders(), 1);
    // Nobody is told again what was proven.
    let mut question = ClientConfig::clone(&client);
    question.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    assert!(ask(&node.address, &Arc::new(question), "/health").is_err());

    let home = node.stop();
    let (is_sound, told) = check_tls(home.path());
    assert!(is_sound, "{told}");
    assert!(told.contains("it is for edge.example.com"), "{told}");
    assert!(doctor(home.path()).contains(" 89 days, and the node renews it by itself"));
    let mut node = Node::start_in(home, &config(&pebble, &acme));
    ask(&node.address, &client, "/health").unwrap();
    assert_eq!(pebble.orders(), 1, "a restart asks for nothing");

    let more = format!(
        "{}, {known}",
        pebble.acme("edge.example.com, two.example.com")
    );
    let file = node.directory().join("config.yaml");
    std::fs::write(file, config(&pebble, &more)).unwrap();
    node.signal("-HUP");
    let told = node.wait_for("certificate: for ");
    for name in [DOMAIN, "two.example.com"] {
        assert!(told.contains(name), "{told}");
    }
    assert_eq!(pebble.orders(), 2);
    let home = node.stop();
    assert!(audited(home.path()) >= 2, "both certificates are audited");
}

/// How many changes of the certificate the audit log tells.
fn audited(home: &Path) -> usize {
    let files = std::fs::read_dir(home.join("audit")).unwrap();
    let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap_or_default());
    texts
        .map(|text| text.matches("certificate_change").count())
        .sum()
}

#[test]
#[ignore = "needs pebble: .ci/acme"]
fn no_request_fails_while_the_certificate_is_renewed_and_ready_tells_when_it_is_not() {
    let mut pebble = Pebble::new(Habits {
        validity_s: 24,
        ..LASTING
    });
    pebble.start(None);
    let mut node = Node::start(&config(&pebble, &pebble.acme(DOMAIN)));
    node.wait_for("certificate: for edge.example.com is in use");
    let client = pebble.client();
    let is_over = AtomicBool::new(false);
    let requests = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut requests = 0;
            while !is_over.load(Ordering::Relaxed) {
                let answer = ask(&node.address.clone(), &client, "/health").unwrap();
                assert!(answer.ends_with(r#"{"status":"ok"}"#), "{answer}");
                requests += 1;
            }
            requests
        });
        pebble_renews(&pebble);
        is_over.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });
    assert!(requests > 100, "{requests}");
    node.wait_for("certificate: for edge.example.com is in use");
    assert_eq!(pebble.orders(), 2);
    let metrics = ask(&node.address, &client, "/metrics").unwrap();
    assert!(
        metrics.contains("tombolo_acme_certificates_total 2"),
        "{metrics}"
    );
    assert!(metrics.contains("tombolo_acme_failing 0"), "{metrics}");

    pebble.stop();
    let told = node.wait_for_part("acme: the certificate was not renewed: ");
    assert!(told.contains("cannot be asked"), "{told}");
    let ready = ask(&node.address, &client, "/health/ready").unwrap();
    assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
    assert!(
        ready.contains("certificate: warning: ends in 0 days and 0 hours; not renewed: "),
        "{ready}"
    );
    let metrics = ask(&node.address, &client, "/metrics").unwrap();
    assert!(metrics.contains("tombolo_acme_failing 1"), "{metrics}");
}

/// Returns when the second certificate was made.
fn pebble_renews(pebble: &Pebble) {
    while pebble.log().matches("Issued certificate serial ").count() < 2 {
        std::thread::yield_now();
    }
}

#[test]
#[ignore = "needs pebble: .ci/acme"]
fn a_node_whose_acme_server_is_away_runs_says_why_and_comes_good() {
    let mut pebble = Pebble::new(LASTING);
    let mut node = Node::start(&config(&pebble, &pebble.acme(DOMAIN)));
    let told = node.wait_for_part("acme: there is no certificate yet");
    assert!(told.contains("cannot be asked"), "{told}");
    assert!(told.contains("; the next try is at "), "{told}");
    let stranger = pebble::trusting(any_certificate());
    assert!(ask(&node.address, &stranger, "/health").is_err());
    pebble.start(None);
    node.wait_for("certificate: for edge.example.com is in use");
    let ready = ask(&node.address, &pebble.client(), "/health/ready").unwrap();
    assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
    assert!(ready.contains("certificate: ok: "), "{ready}");

    // One that was set up anew knows nobody.
    let account = kept(node.directory()).join("account.json");
    let before = std::fs::read(&account).unwrap();
    pebble.stop();
    pebble.start(None);
    let file = node.directory().join("config.yaml");
    std::fs::write(file, config(&pebble, &pebble.acme("other.example.com"))).unwrap();
    node.signal("-HUP");
    node.wait_for("certificate: for other.example.com is in use");
    assert_ne!(std::fs::read(&account).unwrap(), before);
}

fn any_certificate() -> rustls::pki_types::CertificateDer<'static> {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![DOMAIN.to_owned()]).unwrap();
    params.self_signed(&key).unwrap().der().clone()
}

#[test]
#[ignore = "needs pebble: .ci/acme"]
fn a_name_that_leads_elsewhere_is_told_by_name_and_not_asked_for_again_soon() {
    let mut pebble = Pebble::new(LASTING);
    pebble.start(Some("127.0.0.9"));
    let mut node = Node::start(&config(&pebble, &pebble.acme(DOMAIN)));
    let told = node.wait_for_part("acme: there is no certificate yet");
    assert!(
        told.contains("does not believe that this node holds edge.example.com: "),
        "{told}"
    );
    let directory = kept(node.directory());
    let home = node.stop();
    let tries = std::fs::read_to_string(directory.join("tries.json")).unwrap();
    let tries: Value = serde_json::from_str(&tries).unwrap();
    assert_eq!(tries["orders_unix_s"].as_array().unwrap().len(), 1);
    assert!(!directory.join("certificate.pem").exists());
    assert!(
        doctor(home.path())
            .contains("MISSING TLS/HTTPS                 there is no certificate yet: ")
    );
    let (is_sound, told) = check_tls(home.path());
    assert!(!is_sound, "{told}");
    assert!(
        told.contains("FAULT certificate  none yet: the last try, at "),
        "{told}"
    );
    assert!(told.contains("edge.example.com"), "{told}");
    // Starting again and again asks no more often than the server allows.
    let mut home = home;
    for orders in 2..=5 {
        let mut node = Node::start_in(home, &config(&pebble, &pebble.acme(DOMAIN)));
        let told = node.wait_for_part("acme: there is no certificate yet");
        assert_eq!(told.contains("within an hour"), orders > 4, "{told}");
        assert_eq!(pebble.orders(), orders.min(4));
        home = node.stop();
    }
}

//! The real program: started from a file, spoken to over sockets, ended by signals.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod support;

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::{Node, assert_status, get, http_server, plain, talk, text, tombolo};

#[test]
fn health_is_served_and_other_paths_are_not_found() {
    let node = Node::start(&plain(""));
    let answer = node.send(&get("/health"));
    assert_status(&answer, 200);
    assert!(answer.ends_with(r#"{"status":"ok"}"#), "{answer}");
    let answer = node.send(&get("/nowhere"));
    assert_status(&answer, 404);
    assert!(answer.contains(r#""queryType":"unknown""#), "{answer}");
}

#[test]
fn health_is_not_found_unless_it_is_turned_on() {
    let node =
        Node::start(&plain("").replace("enable_healthcheck: true", "enable_healthcheck: false"));
    assert_status(&node.send(&get("/health")), 404);
}

#[test]
fn the_start_says_where_it_listens_and_what_is_off() {
    let node = Node::start(&plain(""));
    let said = node.said.join("\n");
    assert!(said.contains("node edge of database db-1"), "{said}");
    assert!(
        said.contains("mesh: off (database.auth is omitted"),
        "{said}"
    );
    assert!(!node.address.ends_with(":0"), "{said}");
}

#[test]
fn signals_end_the_node_with_success_and_close_idle_connections() {
    for name in ["-TERM", "-INT"] {
        let mut node = Node::start(&plain(""));
        let mut idle = node.connect();
        idle.write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
        let mut first = [0; 1];
        idle.read_exact(&mut first).unwrap();
        node.signal(name);
        node.wait_for("stopped");
        assert_eq!(node.exit_code(), Some(0), "{name}");
        let mut rest = String::new();
        idle.read_to_string(&mut rest).unwrap();
        assert!(rest.ends_with(r#"{"status":"ok"}"#), "{rest}");
    }
}

#[test]
fn the_configured_limits_are_kept() {
    let node = Node::start(&plain("  max_connections: 1\n  request_timeout_ms: 1\n"));
    let mut held = node.connect();
    held.write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
    let mut first = [0; 1];
    held.read_exact(&mut first).unwrap();
    let refused = node.send(&get("/health"));
    assert_status(&refused, 503);
    assert!(
        refused.contains(r#""code":"too_many_connections""#),
        "{refused}"
    );
}

#[test]
fn an_oversized_head_is_refused_in_the_documented_shape() {
    let node = Node::start(&plain(""));
    let long = "x".repeat(16 * 1024);
    let request = format!("GET /health HTTP/1.1\r\nx: {long}\r\nconnection: close\r\n\r\n");
    let answer = node.send(&request);
    assert_status(&answer, 431);
    assert!(
        answer.contains(r#""queryType":"unknown","items":[]"#),
        "{answer}"
    );
}

fn write_certificate(directory: &Path) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    std::fs::create_dir(directory.join("certs")).unwrap();
    std::fs::write(directory.join("certs/cert.pem"), certificate.pem()).unwrap();
    std::fs::write(directory.join("certs/key.pem"), key.serialize_pem()).unwrap();
    certificate.der().clone()
}

const CERTIFICATE: &str =
    "  tls_config: { cert: ./certs/cert.pem, key: ./certs/key.pem }\nauth: dev_mode\n";

#[test]
fn https_is_served_with_a_certificate_beside_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let trusted = write_certificate(directory.path());
    let node = Node::start_in(directory, &http_server(CERTIFICATE));
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let answer = talk(StreamOwned::new(session, node.connect()), &get("/health"));
    assert_status(&answer, 200);
}

#[test]
fn a_key_of_another_certificate_keeps_the_node_from_starting() {
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_certificate(directory.path());
    write_certificate(other.path());
    let key = directory.path().join("certs/key.pem");
    std::fs::copy(other.path().join("certs/key.pem"), key).unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, http_server(CERTIFICATE)).unwrap();
    for verb in [vec!["run", "-c"], vec!["config", "validate", "-c"]] {
        let arguments = [verb, vec![file.to_str().unwrap()]].concat();
        let output = tombolo(&arguments);
        assert_eq!(output.status.code(), Some(1));
        let error = text(&output.stderr);
        assert!(
            error.contains("does not belong to the certificate"),
            "{error}"
        );
    }
}

#[test]
fn development_modes_reach_other_machines_only_when_the_operator_insists() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, plain("").replace("127.0.0.1", "0.0.0.0")).unwrap();
    let file = file.to_str().unwrap();
    let refused = tombolo(&["config", "validate", "-c", file]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("--allow-insecure-listen"));
    let allowed = tombolo(&["config", "validate", "--allow-insecure-listen", "-c", file]);
    assert_eq!(allowed.status.code(), Some(0), "{}", text(&allowed.stderr));
}

#[test]
fn a_port_in_use_is_named() {
    let node = Node::start(&plain(""));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, plain("").replace("127.0.0.1:0", &node.address)).unwrap();
    let output = tombolo(&["run", "-c", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(
        error.contains(&node.address) && error.contains("choose a free port"),
        "{error}"
    );
}

#[test]
fn a_generated_key_is_valid_for_its_hash_alone() {
    let made = tombolo(&["api-key", "generate"]);
    let lines: Vec<&str> = text(&made.stdout).lines().collect();
    let key = lines[0].strip_prefix("Generated Private Key: ").unwrap();
    let hash = lines[1].strip_prefix("Secure Public Hash: ").unwrap();
    assert_eq!(lines.len(), 2);
    assert!(key.starts_with("tb1_"), "{key}");
    let alias = tombolo(&["credential", "generate-api-key"]);
    assert!(text(&alias.stdout).starts_with("Generated Private Key: tb1_"));
    let validate = |key: &str| tombolo(&["api-key", "validate", "--key", key, "--hash", hash]);
    let valid = validate(key);
    assert_eq!(
        (text(&valid.stdout), valid.status.code()),
        ("Key is valid\n", Some(0))
    );
    let first = if key.starts_with('A') { 'B' } else { 'A' };
    for other in [format!("{first}{}", &key[1..]), "short".to_owned()] {
        let invalid = validate(&other);
        assert_eq!(
            (text(&invalid.stdout), invalid.status.code()),
            ("Key is not valid\n", Some(1))
        );
    }
}

#[test]
fn a_malformed_hash_is_told_from_a_wrong_key() {
    let output = tombolo(&[
        "api-key",
        "validate",
        "--key",
        "AAAAAAAAAAAAAAAAAAAAAAAA",
        "--hash",
        "x",
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("--hash is not"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn each_verb_explains_itself_with_an_example() {
    let verbs: [&[&str]; 8] = [
        &["run"],
        &["config"],
        &["config", "validate"],
        &["api-key"],
        &["api-key", "generate"],
        &["api-key", "validate"],
        &["shared-key"],
        &["shared-key", "generate"],
    ];
    for verb in verbs {
        let output = tombolo(&[verb, &["--help"]].concat());
        let help = text(&output.stdout);
        assert!(help.contains("Example:\n  tombolo "), "{verb:?}: {help}");
    }
    let version = tombolo(&["--version"]);
    let expected = format!("tombolo {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&version.stdout), expected);
}

//! For each line of the checklist, a configuration that passes and changes to it that do not.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

use super::State::{Good, Missing, Unseen};
use super::*;
use crate::config::{self, InsecureListen};

/// The first of June 2026; the certificates end with that year.
const NOW_S: i64 = 1_780_272_000;
const DAY_S: i64 = 24 * 60 * 60;

/// Nothing of it is missing. ADA, BOB, FOREIGN and CHEAP stand for hashes.
const SOUND: &str = "
database:
  db_id: 12345678-1234-4123-1234-123456789012
  device_name: edge
  persistence_dir: { path: data }
  auth: { server: { access_token: { from_file: token }, auth_url: 'https://hub.example', provider: my-auth } }
http_server:
  listen_addr: '127.0.0.1:8443'
  tls_config: { cert: signed.pem, key: key.pem }
  http_api: { execute: { enabled: true, max_body_size_mb: 2 }, attachments_upload: { enabled: true, max_body_size_mb: 50 } }
  enable_healthcheck: true
  throttling: { strategies: [{ strategy: ip_address, max_requests: 1000, window_secs: 60 }] }
  request_timeout_ms: 30000
auth:
  identities:
    ada: { credential: { api_key: 'ADA' }, permissions: [reader] }
    bob: { credential: { api_key: 'BOB' }, permissions: [reader] }
  permission_sets:
    reader: { permissions: { level: read_only, expires: '2027-01-01T00:00:00Z' } }
    all: { permissions: full }
    all_of_a_year: { permissions: { level: full, expires: '2027-01-01T00:00:00Z' } }
logging: { edge_server: { audit_logs: { path: audit } } }
";

const SERVER: &str = "server: { access_token: { from_file: token }, auth_url: 'https://hub.example', provider: my-auth }";
const TLS: &str = "{ cert: signed.pem, key: key.pem }";
const ADA: &str = "ada: { credential: { api_key: 'ADA' }, permissions: [reader] }";
const BOB: &str = "    bob: { credential: { api_key: 'BOB' }, permissions: [reader] }\n";
const LOGGING: &str = "logging: { edge_server: { audit_logs: { path: audit } } }";

/// The line, how it is found, and what is replaced by what for it.
type Case = (&'static str, State, &'static [(&'static str, &'static str)]);

const CASES: &[Case] = &[
    ("TLS/HTTPS", Missing, &[(TLS, "dev_mode")]),
    ("TLS/HTTPS", Missing, &[("signed.pem", "own.pem")]),
    (
        "database authentication",
        Missing,
        &[("my-auth", "__playgroundProvider")],
    ),
    (
        "database authentication",
        Unseen,
        &[(
            SERVER,
            "small_peer_only: { key_b64: { from_file: mesh.key } }",
        )],
    ),
    ("strong credentials", Missing, &[("'ADA'", "'CHEAP'")]),
    ("strong credentials", Unseen, &[("'ADA'", "'FOREIGN'")]),
    (
        "secure credential storage",
        Missing,
        &[("{ from_file: token }", "a-token-itself")],
    ),
    (
        "secure credential storage",
        Missing,
        &[("from_file: token", "from_file: open-token")],
    ),
    (
        "firewall rules",
        Missing,
        &[("127.0.0.1:8443", "192.0.2.7:8443"), (TLS, "dev_mode")],
    ),
    (
        "firewall rules",
        Unseen,
        &[("127.0.0.1:8443", "192.0.2.7:8443")],
    ),
    (
        "monitoring",
        Missing,
        &[("enable_healthcheck: true", "enable_healthcheck: false")],
    ),
    (
        "rate limiting",
        Missing,
        &[(
            "strategies: [{ strategy: ip_address, max_requests: 1000, window_secs: 60 }]",
            "strategies: []",
        )],
    ),
    ("separate keys", Unseen, &[(BOB, "")]),
    (
        "key rotation",
        Unseen,
        &[(
            "level: read_only, expires: '2027-01-01T00:00:00Z'",
            "level: read_only",
        )],
    ),
    (
        "least privilege",
        Unseen,
        &[(
            ADA,
            "ada: { credential: { api_key: 'ADA' }, permissions: [reader, all] }",
        )],
    ),
    (
        "least privilege",
        Unseen,
        &[(
            ADA,
            "ada: { credential: { api_key: 'ADA' }, permissions: [all_of_a_year] }",
        )],
    ),
    (
        "least privilege",
        Missing,
        &[("permissions: [reader] }", "permissions: [all] }")],
    ),
    ("audit logs", Missing, &[(LOGGING, "")]),
    (
        "network isolation",
        Unseen,
        &[("127.0.0.1:8443", "0.0.0.0:8443")],
    ),
    (
        "network isolation",
        Unseen,
        &[("127.0.0.1:8443", "[::]:8443")],
    ),
    (
        "request limits",
        Missing,
        &[("request_timeout_ms: 30000", "request_timeout_ms: 0")],
    ),
    (
        "request limits",
        Unseen,
        &[("max_body_size_mb: 2 ", "max_body_size_mb: 3 ")],
    ),
    (
        "request limits",
        Unseen,
        &[("max_body_size_mb: 50", "max_body_size_mb: 51")],
    ),
];

/// A directory with all files that the configurations name.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2027, 1, 1);
        let authority = KeyPair::generate().unwrap();
        let mut authority_params = CertificateParams::new(Vec::new()).unwrap();
        authority_params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "an authority");
        let issuer = Issuer::new(authority_params, authority);
        let signed = params.signed_by(&key, &issuer).unwrap();
        let own = params.self_signed(&key).unwrap();
        place.write("signed.pem", &signed.pem(), 0o644);
        place.write("own.pem", &own.pem(), 0o644);
        place.write("key.pem", &key.serialize_pem(), 0o600);
        place.write("token", "a-token", 0o600);
        place.write("open-token", "a-token", 0o644);
        place.write("mesh.key", &shared_key(), 0o600);
        place
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn judge(&self, changes: &[(&str, &str)], now_s: i64) -> [Item; LINES] {
        let mut text = SOUND.to_owned();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        for (name, hash) in [
            ("ADA", hash(16, b"tb1:ada_________")),
            ("BOB", hash(16, b"tb1:bob_________")),
            ("FOREIGN", hash(16, b"another_program_")),
            ("CHEAP", hash(10, b"another_program_")),
        ] {
            text = text.replace(&format!("'{name}'"), &format!("'{hash}'"));
        }
        self.write("config.yaml", &text, 0o600);
        let path = self.0.path().join("config.yaml");
        judge_file(&path, now_s)
    }
}

fn judge_file(path: &Path, now_s: i64) -> [Item; LINES] {
    let config = config::load(path, InsecureListen::Allowed);
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let checked = config::check_files(config, path, now_s);
    let checked = checked.unwrap_or_else(|error| panic!("{error}"));
    judge(&Facts::of(&checked, u64::try_from(now_s).unwrap() * 1000))
}

/// Nobody knows its key, and nobody hashed one for it.
fn hash(log_n: u8, salt: &[u8; 16]) -> String {
    let (salt, output) = (
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode([7; 32]),
    );
    STANDARD.encode(format!("scrypt$ln={log_n},r=8,p=1${salt}${output}"))
}

fn shared_key() -> String {
    let key = KeyPair::generate().unwrap();
    STANDARD.encode(key.serialize_der())
}

fn line<'i>(items: &'i [Item], name: &str) -> &'i Item {
    items.iter().find(|item| item.name == name).unwrap()
}

#[test]
fn each_line_is_in_order_or_told_with_what_to_do() {
    let place = Place::new();
    let sound = place.judge(&[], NOW_S);
    for Item { name, state, text } in &sound {
        let expected = match *name {
            "software updates" => Unseen,
            _ => Good,
        };
        assert_eq!(*state, expected, "{name}: {text}");
    }
    for (name, expected, changes) in CASES {
        let items = place.judge(changes, NOW_S);
        let Item { state, text, .. } = line(&items, name);
        assert_eq!(state, expected, "{name} with {changes:?}: {text}");
        assert!(!text.contains("a-token-itself"), "{text}");
    }
}

#[test]
fn dev_mode_lacks_everything_that_is_about_keys() {
    let place = Place::new();
    let from = SOUND.find("auth:\n  identities").unwrap();
    let to = SOUND.find(LOGGING).unwrap();
    let items = place.judge(&[(&SOUND[from..to], "auth: dev_mode\n")], NOW_S);
    for name in [
        "HTTP API authentication",
        "strong credentials",
        "separate keys",
        "key rotation",
        "least privilege",
    ] {
        assert_eq!(line(&items, name).state, Missing, "{name}");
    }
}

#[test]
fn a_certificate_counts_until_two_weeks_before_its_end() {
    let place = Place::new();
    let end_s = 1_798_761_600; // of 2026
    for (days_left, expected) in [(14, Good), (13, Missing)] {
        let items = place.judge(&[], end_s - days_left * DAY_S);
        assert_eq!(line(&items, "TLS/HTTPS").state, expected, "{days_left}");
    }
}

#[test]
fn a_node_without_http_needs_nothing_of_it() {
    let place = Place::new();
    let from = SOUND.find("http_server:").unwrap();
    let to = SOUND.find(LOGGING).unwrap();
    let items = place.judge(&[(&SOUND[from..to], "")], NOW_S);
    assert!(items.iter().all(|item| item.state != Missing), "{items:?}");
}

#[test]
fn a_long_list_is_cut_and_its_rest_counted() {
    let names: Vec<String> = (0..=NAMES_MAX).map(|number| number.to_string()).collect();
    assert_eq!(listed(&names[..NAMES_MAX]), "0, 1, 2, 3, 4, 5, 6, 7");
    assert_eq!(listed(&names), "0, 1, 2, 3, 4, 5, 6, 7 and 1 more");
}

//! Secrets that a node holds and meets never leave it in a log, a number, an archive or an error, at any level;
//! and no two installs share one.

#![allow(
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed, and one story is told in one piece"
)]

mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use support::identity::{PLAYGROUND, Service, device};
use support::{Node, get, plain, text, tombolo};

const TOKEN: &str = "s3cr3t-shared";
const WRONG_TOKEN: &str = "gu3ss3d-t0ken";
const WRONG_KEY: &str = "Z3Vlc3NlZC1rZXktZ3Vlc3NlZC1rZXktZ3Vlc3M";
const VALUE: &str = "v4lue-of-a-document";

/// Every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn api_key() -> (String, String) {
    let output = tombolo(&["api-key", "generate"]);
    let mut lines = text(&output.stdout)
        .lines()
        .map(|line| line.split(": ").nth(1).unwrap().to_owned());
    (lines.next().unwrap(), lines.next().unwrap())
}

fn execute(key: &str, statement: &str) -> String {
    let body = format!("{{\"statement\":{statement:?}}}");
    format!(
        "POST /execute HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nuser-agent: a\u{9b}31mred\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A key in the forms in which it could be told.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        secret.to_vec(),
        hex.into_bytes(),
        BASE64_STANDARD.encode(secret).into_bytes(),
        BASE64_URL_SAFE_NO_PAD.encode(secret).into_bytes(),
    ]
}

#[test]
fn t55_no_seeded_secret_is_in_a_log_a_number_an_archive_or_an_error() {
    let (key, hash) = api_key();
    let auth = format!(
        "{{ identities: {{ ada: {{ credential: {{ api_key: \"{hash}\" }}, permissions: [all] }} }}, permission_sets: {{ all: {{ permissions: full }} }} }}\nmetrics: true"
    );
    let service = Service::start_with(&format!("{{ {PLAYGROUND} }}"), "", "dev_mode", &auth);
    let mut told = Vec::new();
    let granted = service.login(&device(), "__playgroundProvider", TOKEN);
    assert_eq!(granted.status, 200, "{}", granted.text());
    let login = granted.granted();
    for (provider, token) in [
        ("__playgroundProvider", WRONG_TOKEN),
        ("nobody\r\nERROR forged\u{1b}[2J", WRONG_TOKEN),
    ] {
        told.extend(service.login(&device(), provider, token).body);
    }
    told.extend(
        service
            .post(format!("{{\"token\":\"{WRONG_TOKEN}").as_bytes())
            .body,
    );
    for (key, statement) in [
        (
            key.as_str(),
            format!("INSERT INTO tasks DOCUMENTS ({{'_id':'{VALUE}','a':'{VALUE}'}})"),
        ),
        (key.as_str(), "SELECT nonsense FROM".to_owned()),
        (WRONG_KEY, "SELECT * FROM tasks".to_owned()),
    ] {
        let reply = service.ask(execute(key, &statement).as_bytes());
        if reply.status != 200 {
            told.extend(reply.head.into_bytes());
            told.extend(reply.body);
        }
    }
    let keyed = |path: &str| {
        let request = get(path).replace(
            "\r\n\r\n",
            &format!("\r\nauthorization: Bearer {key}\r\n\r\n"),
        );
        service.ask(request.as_bytes())
    };
    let metrics = keyed("/metrics");
    assert_eq!(metrics.status, 200);
    told.extend(metrics.body);
    let archive = keyed("/logs");
    assert_eq!(archive.status, 200);
    let start = archive
        .body
        .windows(2)
        .position(|two| two == [0x1f, 0x8b])
        .unwrap();
    // Chunks of the transfer stand between the bytes, so only the files themselves are looked at below.
    assert!(start < 16);
    let home = service.home().to_owned();
    assert!(service.verb(&["revoke", "--user", "ada"]).status.success());

    let mut secrets: Vec<Vec<u8>> = [TOKEN, WRONG_TOKEN, WRONG_KEY, VALUE, &key, &login.token]
        .map(|secret| secret.as_bytes().to_vec())
        .to_vec();
    let ca = files(&home.join("ca"));
    let data = files(&home.join("data"));
    let mut keys = 0;
    for path in ca.iter().chain(&data) {
        let name = path.file_name().unwrap().to_string_lossy();
        let bytes = std::fs::read(path).unwrap();
        let is_key = name == "peer.key" || name.ends_with(".pem");
        if is_key && (32..4096).contains(&bytes.len()) {
            secrets.extend(forms(&bytes));
            keys += 1;
        }
    }
    assert!(
        keys >= 2,
        "the keys of the authority and of the device: {ca:?} {data:?}"
    );

    let mut haystacks = vec![
        ("answers".to_owned(), told),
        ("console".to_owned(), service.log().into_bytes()),
    ];
    for path in files(&home.join("logs"))
        .into_iter()
        .chain(files(&home.join("audit")))
    {
        haystacks.push((path.display().to_string(), std::fs::read(&path).unwrap()));
    }
    assert!(haystacks.len() >= 5, "both logs and the head");
    for (name, haystack) in &haystacks {
        for secret in &secrets {
            let found = haystack.windows(secret.len()).any(|part| part == secret);
            assert!(!found, "{name} tells {:?}", String::from_utf8_lossy(secret));
        }
    }
    // What was tried is told, and nobody forged a line or steered a terminal.
    let console = service.log();
    assert!(
        !console.contains("\nERROR forged") && !console.contains('\u{1b}'),
        "{console}"
    );
    let audit = std::fs::read_to_string(home.join("audit/audit.jsonl")).unwrap();
    for part in [
        r#""endpoint":"login","#,
        r#""code":"login_refused""#,
        r#""code":"unknown_key""#,
        r#""identity":"ada","endpoint":"execute","statements":["insert"]"#,
        r#""identity":"ada","endpoint":"logs""#,
        r#""provider":"__playgroundProvider""#,
    ] {
        assert!(audit.contains(part), "{part} in {audit}");
    }
    assert!(!audit.contains('\u{1b}') && !audit.contains("\nERROR"));
    let verified = tombolo(&["audit", "verify", home.join("audit").to_str().unwrap()]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}

/// The files of the archive of the logs, with their names.
fn archive(node: &Node, key: &str) -> Vec<(String, Vec<u8>)> {
    // An answer of HTTP/1.0 has no chunks between its bytes.
    let request = get("/logs").replace("HTTP/1.1", "HTTP/1.0").replace(
        "\r\n\r\n",
        &format!("\r\nauthorization: Bearer {key}\r\n\r\n"),
    );
    let mut stream = node.connect();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let body = &answer[head.unwrap() + 4..];
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(body));
    let entries = tar.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = format!("archive: {}", entry.path().unwrap().display());
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (name, bytes)
    });
    entries.collect()
}

#[test]
fn t55_neither_a_mesh_key_nor_a_reload_nor_the_archive_of_the_logs_tells_a_secret() {
    let mesh_key = text(&tombolo(&["shared-key", "generate"]).stdout)
        .trim()
        .to_owned();
    let ((key, hash), (other_key, other_hash)) = (api_key(), api_key());
    let config = |mesh_key: &str, hash: &str| {
        format!(
            "database:\n  db_id: db-1\n  device_name: edge\n  persistence_dir: {{ path: data }}\n  auth: {{ small_peer_only: {{ key_b64: \"{mesh_key}\" }} }}\n  transport_config: {{ connect_config: {{ known_tcp_servers: [\"127.0.0.1:9\"] }} }}\n\
             http_server: {{ listen_addr: \"127.0.0.1:0\", tls_config: dev_mode, http_api: true }}\n\
             auth: {{ identities: {{ ada: {{ credential: {{ api_key: \"{hash}\" }}, permissions: [all] }} }}, permission_sets: {{ all: {{ permissions: full }} }} }}\n\
             logging: {{ ditto_sdk: verbose, edge_server: {{ level: verbose, audit_logs: {{ path: audit }}, rotating_logs: {{ directory: {{ path: logs }} }} }} }}\n"
        )
    };
    let mut node = Node::start(&config(&mesh_key, &hash));
    let file = node.directory().join("config.yaml");
    let ask = |node: &Node, key: &str| {
        let statement =
            format!("INSERT INTO tasks DOCUMENTS ({{'_id':'{VALUE}'}}) ON ID CONFLICT DO UPDATE");
        node.send(&execute(key, &statement))
    };
    let mut told = ask(&node, &key);
    assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
    told.clear();
    told.push_str(&ask(&node, WRONG_KEY));
    // What an operator gets wrong: a key that lost a letter, and a private key where its hash belongs.
    let damaged = mesh_key.replacen('M', "N", 1);
    assert_ne!(damaged, mesh_key);
    for wrong in [config(&damaged, &hash), config(&mesh_key, &key)] {
        std::fs::write(&file, wrong).unwrap();
        node.signal("-HUP");
        node.wait_for_part("the configuration was not taken");
    }
    std::fs::write(&file, config(&mesh_key, &other_hash)).unwrap();
    node.signal("-HUP");
    node.wait_for("auth: 1 identities are in use");
    told.push_str(&ask(&node, &key));
    let mut haystacks = archive(&node, &other_key);
    assert!(haystacks.len() >= 2, "both logs");
    let raw = BASE64_STANDARD.decode(&mesh_key).ok();
    let (directory, said) = node.stop_and_tell();
    for path in files(&directory.path().join("logs"))
        .into_iter()
        .chain(files(&directory.path().join("audit")))
    {
        haystacks.push((path.display().to_string(), std::fs::read(&path).unwrap()));
    }
    haystacks.push(("answers".to_owned(), told.into_bytes()));
    haystacks.push(("console".to_owned(), said.into_bytes()));
    let texts = [&mesh_key, &damaged, &key, &other_key];
    let mut secrets: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).to_vec();
    // A part of a key is one too.
    secrets.extend(texts.map(|text| text.as_bytes()[8..32].to_vec()));
    secrets.extend([VALUE.as_bytes().to_vec(), WRONG_KEY.as_bytes().to_vec()]);
    secrets.extend(raw.iter().flat_map(|raw| forms(raw)));
    for (name, haystack) in &haystacks {
        for secret in &secrets {
            let found = haystack.windows(secret.len()).any(|part| part == secret);
            assert!(!found, "{name} tells {:?}", String::from_utf8_lossy(secret));
        }
    }
    let of_archive = |part: &str| {
        let mut files = haystacks
            .iter()
            .filter(|(name, _)| name.starts_with("archive"));
        files.any(|(_, bytes)| String::from_utf8_lossy(bytes).contains(part))
    };
    // The reloads are in it, so that what was looked through is what was meant.
    assert!(
        of_archive("the configuration was not taken") && of_archive(r#""act":"config_reload""#)
    );
}

#[test]
fn t58_two_fresh_installs_share_no_secret_and_their_keys_are_their_owners_alone() {
    let mut secrets: Vec<BTreeSet<Vec<u8>>> = Vec::new();
    for _ in 0..2 {
        let service = Service::start(&format!("{{ {PLAYGROUND} }}"));
        let mut own = BTreeSet::new();
        for directory in ["ca", "data"] {
            for path in files(&service.home().join(directory)) {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                let bytes = std::fs::read(&path).unwrap();
                let is_key = name == "peer.key" || name.ends_with(".pem");
                if is_key && (32..4096).contains(&bytes.len()) {
                    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
                    assert_eq!(mode, 0o600, "{}", path.display());
                    own.insert(bytes);
                }
            }
        }
        assert!(own.len() >= 2);
        secrets.push(own);
    }
    assert!(secrets[0].is_disjoint(&secrets[1]));
    let (first, second) = (api_key(), api_key());
    assert!(first.0 != second.0 && first.1 != second.1);
    let shared = || tombolo(&["shared-key", "generate"]).stdout;
    assert_ne!(shared(), shared());
    // Two chains of audit logs are two chains.
    let chain = || {
        let node = Node::start(&plain(
            "logging: { edge_server: { audit_logs: { path: audit } } }\n",
        ));
        let directory = node.stop();
        let mut text = String::new();
        let mut file = std::fs::File::open(directory.path().join("audit/audit.jsonl")).unwrap();
        file.read_to_string(&mut text).unwrap();
        text.split("\"chain\":\"").nth(1).unwrap()[..16].to_owned()
    };
    assert_ne!(chain(), chain());
}

#[test]
fn t58_nothing_that_is_shipped_has_a_credential_that_works() {
    // The examples name no key of anybody, and no file that is shipped holds a private key.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for directory in ["examples", "packaging"] {
        for path in files(&root.join(directory)) {
            let Ok(text) = std::fs::read_to_string(&path) else {
                continue;
            };
            let shown = path.display();
            assert!(!text.contains("PRIVATE KEY-----"), "{shown}");
            let is_key =
                |rest: &str| rest.chars().take_while(char::is_ascii_alphanumeric).count() >= 20;
            assert!(!text.split("tb1_").skip(1).any(is_key), "{shown}");
        }
    }
    let (key, hash) = api_key();
    let output = tombolo(&["api-key", "validate", "--key", &key, "--hash", &hash]);
    assert!(output.status.success());
    let output = tombolo(&["api-key", "validate", "--key", WRONG_KEY, "--hash", &hash]);
    assert!(!output.status.success());
}

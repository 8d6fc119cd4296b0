//! The verbs under `tombolo config` that print something: what they print, and that a node takes it.

#![allow(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use support::{Node, text, tombolo};

const OLDER: &str = r#"
resources:
  db: { resource_type: DittoDatabase, db_id: db-1, device_name: edge, persistence_dir: { path: data } }
  http:
    resource_type: HttpServer
    listen_addr: "127.0.0.1:0"
    auth: null
    databases: { shop: { db_id: db-1, http_api: true } }
"#;

fn printed(arguments: &[&str]) -> String {
    let output = tombolo(arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

#[test]
fn the_schema_is_the_same_in_both_languages() {
    let json: Value = serde_json::from_str(&printed(&["config", "schema", "json"])).unwrap();
    let yaml: Value = serde_saphyr::from_str(&printed(&["config", "schema", "yaml"])).unwrap();
    assert_eq!(json, yaml);
    assert_eq!(json["title"], "Tombolo configuration");
}

#[test]
fn the_api_is_described_without_a_configuration_and_for_one() {
    let all: Value = serde_json::from_str(&printed(&["config", "open-api"])).unwrap();
    assert_eq!(all["openapi"], "3.1.0");
    assert!(all["paths"].get("/execute").is_some());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("edge.yaml");
    let output = directory.path().join("api.json");
    let config = "database: { db_id: db-1, device_name: edge }\n\
        http_server: { listen_addr: \"0.0.0.0:1\", tls_config: dev_mode, http_api: { presence: true } }\n\
        auth: dev_mode\n";
    std::fs::write(&file, config).unwrap();
    let (file, output) = (file.to_str().unwrap(), output.to_str().unwrap());
    let said = printed(&["config", "open-api", "--config", file, "--output", output]);
    assert_eq!(said, "");
    let some: Value = serde_json::from_str(&std::fs::read_to_string(output).unwrap()).unwrap();
    let paths: Vec<&String> = some["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/_ditto/sync", "/presence"]);
    assert_eq!(some["paths"]["/presence"]["get"].get("security"), None);
}

#[test]
fn an_older_file_is_printed_in_the_newest_form_and_a_new_file_is_for_its_owner() {
    let directory = tempfile::tempdir().unwrap();
    let older = directory.path().join("old.yaml");
    let newer = directory.path().join("new.yaml");
    std::fs::write(&older, OLDER).unwrap();
    let (older, new) = (older.to_str().unwrap(), newer.to_str().unwrap());
    let shown = printed(&["config", "migrate", "-c", older]);
    assert_eq!(
        printed(&["config", "migrate", "-c", older, "--output", new]),
        ""
    );
    assert_eq!(std::fs::read_to_string(&newer).unwrap(), shown);
    let mode = std::fs::metadata(&newer).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = tombolo(&["config", "migrate", "-c", older, "--output", new]);
    assert!(!again.status.success(), "an existing file was touched");
    // What was printed is of the newest form.
    let valid = tombolo(&["config", "validate", "-c", new]);
    assert!(valid.status.success(), "{}", text(&valid.stderr));
    assert!(!text(&valid.stderr).contains("older form"));
    let not_older = tombolo(&["config", "migrate", "-c", new]);
    assert!(!not_older.status.success());
    assert!(text(&not_older.stderr).contains("is not of an older form"));
}

#[test]
fn validate_takes_an_older_file_with_a_note_and_names_what_is_wrong_in_the_newest_form() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("old.yaml");
    std::fs::write(&file, OLDER).unwrap();
    let validate = |file: &Path| {
        let output = tombolo(&["config", "validate", "-c", file.to_str().unwrap()]);
        (output.status.success(), text(&output.stderr).to_owned())
    };
    let (is_valid, said) = validate(&file);
    assert!(is_valid, "{said}");
    assert!(
        said.contains("print the newest with: tombolo config migrate -c "),
        "{said}"
    );
    std::fs::write(
        &file,
        OLDER.replace("device_name: edge", "device_name: \"\""),
    )
    .unwrap();
    let (is_valid, said) = validate(&file);
    assert!(!is_valid);
    assert!(said.contains("database.device_name: is empty"), "{said}");
    assert!(
        said.contains("--> what is printed by: tombolo config migrate -c "),
        "{said}"
    );
}

#[test]
fn a_node_of_an_older_file_serves_with_and_without_its_base_path() {
    let node = Node::start(OLDER);
    let get = |path: &str| {
        node.send(&format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        ))
    };
    for path in ["/shop", "/shop/health", "/health", "/shop/presence"] {
        let answer = get(path);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    }
    for path in [
        "/shopping/health",
        "/shop/",
        "/shop/shop/health",
        "/other/health",
    ] {
        let answer = get(path);
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
    let body = r#"{"statement":"INSERT INTO c DOCUMENTS ({'_id':'a'})"}"#;
    let answer = node.send(&format!(
        "POST /shop/execute?x=1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

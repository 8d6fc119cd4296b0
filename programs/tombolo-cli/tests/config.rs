//! Configurations as cases: each file under `config` says in its first lines what `config validate` must say.
//! `# valid` expects exit 0, otherwise 1; `# say:` must appear, `# hide:` must not, in what is printed.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use tombolo::SharedKey;

fn cases() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let entries = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.collect();
    cases.sort();
    cases
}

fn validate(file: &Path) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tombolo"))
        .args(["config", "validate", "-c"])
        .arg(file)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code() == Some(0),
        String::from_utf8(text).unwrap(),
    )
}

fn complaint(file: &Path) -> Option<String> {
    let source = std::fs::read_to_string(file).unwrap();
    let header = source.lines().take_while(|line| line.starts_with('#'));
    let (is_valid, printed) = validate(file);
    let mut complaints = Vec::new();
    let mut expects_valid = false;
    for line in header {
        if line == "# valid" {
            expects_valid = true;
        } else if let Some(text) = line.strip_prefix("# say: ") {
            complaints.extend((!printed.contains(text)).then(|| format!("does not say: {text}")));
        } else if let Some(text) = line.strip_prefix("# hide: ") {
            complaints.extend(printed.contains(text).then(|| format!("says: {text}")));
        } else {
            complaints.push(format!("unknown header: {line}"));
        }
    }
    if is_valid != expects_valid {
        complaints.push(format!("valid: {is_valid}"));
    }
    let summary = complaints.join("\n  ");
    (!complaints.is_empty())
        .then(|| format!("{}\n  {summary}\nprinted:\n{printed}", file.display()))
}

#[test]
fn every_case_is_judged_as_its_header_says() {
    let complaints: Vec<String> = cases().iter().filter_map(|file| complaint(file)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn problems_are_printed_in_the_order_of_the_file_with_carets() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/problems_in_file_order.yaml");
    let (_, printed) = validate(&file);
    let positions =
        ["device_name", "max_connections", "grpc_server"].map(|key| printed.find(key).unwrap());
    assert!(positions.is_sorted(), "{printed}");
    assert_eq!(printed.matches("  --> ").count(), 3, "{printed}");
    assert_eq!(printed.matches("^\n").count(), 3, "{printed}");
}

#[test]
fn the_shipped_examples_are_valid_but_for_what_an_operator_must_fill_in() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let (is_valid, printed) = validate(&examples.join("quickstart.yaml"));
    assert!(is_valid, "{printed}");
    // The certificate is the operator's own, so its absence is the one thing these lack.
    for name in ["production.yaml", "identity-service.yaml"] {
        let (is_valid, printed) = validate(&examples.join(name));
        assert!(!is_valid, "{printed}");
        assert_eq!(printed.matches("error: ").count(), 1, "{printed}");
        assert!(
            printed.contains("http_server.tls_config: cannot read"),
            "{printed}"
        );
    }
}

#[test]
fn the_two_nodes_need_nothing_but_a_key() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/two-nodes");
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("mesh.key");
    for name in ["north.yaml", "south.yaml"] {
        // Elsewhere, because whoever took the tour has a key beside the originals.
        let file = directory.path().join(name);
        std::fs::copy(examples.join(name), &file).unwrap();
        let (is_valid, printed) = validate(&file);
        assert!(!is_valid, "{printed}");
        assert!(printed.contains("key_b64: cannot read"), "{printed}");
        let made = SharedKey::generate().unwrap();
        std::fs::write(&key, made.to_base64().as_bytes()).unwrap();
        let (is_valid, printed) = validate(&file);
        assert!(is_valid, "{printed}");
        assert!(!printed.contains("mesh: off"), "{printed}");
        std::fs::remove_file(&key).unwrap();
    }
}

#[test]
fn a_missing_an_oversized_and_a_binary_file_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    assert!(validate(&file).1.contains("cannot read the configuration"));
    std::fs::write(&file, [0xff, 0xfe]).unwrap();
    assert!(validate(&file).1.contains("is not UTF-8 text"));
    std::fs::write(&file, "#".repeat(256 * 1024)).unwrap();
    assert!(validate(&file).1.contains("the configuration is empty"));
    std::fs::write(&file, "#".repeat(256 * 1024 + 1)).unwrap();
    assert!(validate(&file).1.contains("at most 262144 are read"));
}

//! The key that the nodes of a mesh share: how it is made, kept and found.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use support::{text, tombolo};
use tombolo::SharedKey;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn generate(path: &Path) -> Output {
    tombolo(&["shared-key", "generate", "--output", path.to_str().unwrap()])
}

#[test]
fn a_key_is_one_line_that_a_mesh_takes_and_no_two_are_alike() {
    let [one, other] = [(), ()].map(|()| tombolo(&["shared-key", "generate"]));
    for made in [&one, &other] {
        assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
        assert_eq!(text(&made.stdout).lines().count(), 1);
        assert!(SharedKey::parse(text(&made.stdout)).is_ok());
    }
    assert_ne!(one.stdout, other.stdout);
}

#[test]
fn a_key_file_is_for_its_owner_alone_and_the_key_is_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mesh.key");
    let made = generate(&path);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    assert_eq!(mode(&path), 0o600);
    let key = std::fs::read_to_string(&path).unwrap();
    assert!(SharedKey::parse(&key).is_ok());
    assert!(!text(&made.stdout).contains(key.trim()));
    assert!(!text(&made.stderr).contains(key.trim()));
}

#[test]
fn an_existing_file_is_never_touched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mesh.key");
    std::fs::write(&path, "precious").unwrap();
    let made = generate(&path);
    assert_eq!(made.status.code(), Some(1));
    assert!(
        text(&made.stderr).contains("exists and was not touched"),
        "{}",
        text(&made.stderr)
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    let made = generate(&directory.path().join("no/such/directory.key"));
    assert_eq!(made.status.code(), Some(1));
    assert!(text(&made.stderr).contains("cannot write"));
}

/// A configuration whose key stands where `source` says.
fn validate(directory: &Path, source: &str, variable: Option<&str>) -> (bool, String) {
    let file = directory.join("config.yaml");
    let config = format!(
        "database:\n  db_id: db-1\n  device_name: edge\n  auth: {{ small_peer_only: {{ key_b64: {source} }} }}\n  \
         transport_config: {{ connect_config: {{ known_tcp_servers: [\"a:1\"] }} }}\n"
    );
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tombolo"));
    command.args(["config", "validate", "-c"]).arg(&file);
    if let Some(value) = variable {
        command.env("MESH_KEY", value);
    }
    let output = command.output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), text(&printed).to_owned())
}

#[test]
fn a_key_is_found_in_the_configuration_in_a_file_and_in_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mesh.key");
    generate(&path);
    let key = std::fs::read_to_string(&path).unwrap();
    let typed = format!("\"{}\"", key.trim());
    for (source, variable) in [
        (typed.as_str(), None),
        ("{ path: mesh.key }", None),
        ("{ from_file: mesh.key }", None),
        ("{ from_env: MESH_KEY }", Some(key.as_str())),
        ("\"${MESH_KEY}\"", Some(key.as_str())),
    ] {
        let (is_valid, printed) = validate(directory.path(), source, variable);
        assert!(is_valid, "{source}: {printed}");
        assert!(!printed.contains("mesh: off"), "{source}: {printed}");
        assert!(!printed.contains(key.trim()), "{source}: {printed}");
    }
}

#[test]
fn a_damaged_key_is_refused_and_not_repeated_wherever_it_stands() {
    let directory = tempfile::tempdir().unwrap();
    let made = tombolo(&["shared-key", "generate"]);
    let damaged = text(&made.stdout).trim().replacen('M', "N", 1);
    std::fs::write(directory.path().join("mesh.key"), &damaged).unwrap();
    let typed = format!("\"{damaged}\"");
    for (source, variable) in [
        (typed.as_str(), None),
        ("{ path: mesh.key }", None),
        ("{ from_env: MESH_KEY }", Some(damaged.as_str())),
    ] {
        let (is_valid, printed) = validate(directory.path(), source, variable);
        assert!(!is_valid, "{source}: {printed}");
        assert!(printed.contains("the shared key"), "{source}: {printed}");
        assert!(!printed.contains(&damaged[8..24]), "{source}: {printed}");
    }
}

#[test]
fn a_key_file_that_others_can_read_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mesh.key");
    generate(&path);
    let told = |directory: &Path| validate(directory, "{ path: mesh.key }", None).1;
    assert!(!told(directory.path()).contains("chmod 600"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(
        told(directory.path())
            .contains("can read the secret of database.auth.small_peer_only.key_b64")
    );
}

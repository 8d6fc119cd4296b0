//! The configurations of the documented security guide, run with real certificates, and each of its
//! curl lines. Replaced are hashes, tokens, `auth_url`, file paths and the port; nothing else.

#![allow(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod support;

use std::path::Path;
use std::process::Command;

use support::{Node, text, tombolo};

/// Where nobody listens: a node starts without its identity service.
const NOBODY: &str = "https://127.0.0.1:1";

struct Started {
    node: Node,
    /// Of `BASE64_HASH_FROM_CLI` and of `DIFFERENT_BASE64_HASH`.
    keys: [String; 2],
}

fn generate() -> (String, String) {
    let output = tombolo(&["api-key", "generate"]);
    let printed = text(&output.stdout);
    let line = |name: &str| {
        let line = printed.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    };
    (line("Generated Private Key:"), line("Secure Public Hash:"))
}

fn certificate(directory: &Path) {
    let names = vec!["localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::create_dir_all(directory).unwrap();
    std::fs::write(directory.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

fn start(name: &str, more: &str) -> Started {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../conformance/config/security-guide")
        .join(name);
    let source = std::fs::read_to_string(source).unwrap();
    let home = tempfile::tempdir().unwrap();
    certificate(home.path());
    certificate(&home.path().join("ssl"));
    let (one, other) = (generate(), generate());
    let directory = home.path().display();
    let mut config = source
        .replace("DIFFERENT_BASE64_HASH", &other.1)
        .replace("BASE64_HASH_FROM_CLI", &one.1)
        .replace("YOUR_CLOUD_TOKEN", "a-token")
        .replace("YOUR_TOKEN", "a-token")
        .replace("https://your-app.cloud.dittolive.app", NOBODY)
        .replace(":8443\"", ":0\"")
        .replace(":443\"", ":0\"");
    for (theirs, ours) in [
        (
            "/etc/letsencrypt/live/your-domain.com/fullchain.pem",
            "cert.pem",
        ),
        (
            "/etc/letsencrypt/live/your-domain.com/privkey.pem",
            "key.pem",
        ),
        ("/etc/ssl/certs/edge-server.crt", "cert.pem"),
        ("/etc/ssl/private/edge-server.key", "key.pem"),
        ("/var/lib/edge-server/data", "data"),
        ("/var/log/edge-server/audit", "audit"),
        ("/var/log/edge-server/app", "app"),
    ] {
        config = config.replace(theirs, &format!("{directory}/{ours}"));
    }
    if !config.contains("persistence_dir") {
        // The guide's file keeps its data beside the executable, which tests share.
        config = config.replace(
            "  device_name:",
            &format!("  persistence_dir: {{ path: \"{directory}/data\" }}\n  device_name:"),
        );
    }
    let node = Node::start_in(home, &format!("{config}{more}"));
    Started {
        node,
        keys: [one.0, other.0],
    }
}

impl Started {
    fn url(&self, path: &str) -> String {
        let (_, port) = self.node.address.rsplit_once(':').unwrap();
        format!("https://localhost:{port}{path}")
    }

    /// The status that curl got.
    fn curl(&self, arguments: &[&str], path: &str) -> String {
        let output = Command::new("curl")
            .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}"])
            .args(arguments)
            .arg(self.url(path))
            .current_dir(self.node.directory())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).to_owned()
    }

    fn execute(&self, key: Option<&str>) -> String {
        let bearer = key.map(|key| format!("authorization: Bearer {key}"));
        let header = bearer.iter().flat_map(|bearer| ["-H", bearer]);
        let mut arguments = vec![
            "--cacert",
            "cert.pem",
            "-H",
            "content-type: application/json",
        ];
        arguments.extend(header);
        arguments.extend(["-d", r#"{"statement":"SELECT * FROM c"}"#]);
        self.curl(&arguments, "/execute")
    }

    /// Both ways of the guide to ask, and that a client without a root trusts nobody.
    fn both_curl_lines(&self, status: &str) {
        assert_eq!(self.curl(&["-k"], "/health"), status);
        let stranger = Command::new("curl")
            .args(["-sS", &self.url("/health")])
            .output();
        assert!(
            !stranger.unwrap().status.success(),
            "an unknown root was trusted"
        );
    }
}

/// Its health check is off, as the guide has it, so curl is told that nothing is there; and on, with one line more.
#[test]
fn a_server_with_self_signed_certificates_answers_both_curl_lines() {
    for name in ["1-lets-encrypt.yaml", "2-self-signed.yaml"] {
        for (more, status) in [("", "404"), ("  enable_healthcheck: true\n", "200")] {
            let started = start(name, more);
            started.both_curl_lines(status);
            assert_eq!(started.curl(&["--cacert", "cert.pem"], "/health"), status);
        }
    }
}

#[test]
fn certificates_are_found_relative_to_the_file() {
    let started = start("4-relative-paths.yaml", "  enable_healthcheck: true\n");
    started.both_curl_lines("200");
    assert_eq!(
        started.curl(&["--cacert", "ssl/cert.pem"], "/health"),
        "200"
    );
}

#[test]
fn the_basic_configuration_asks_for_keys_and_starts_without_its_identity_service() {
    let started = start("3-basic-https.yaml", "");
    started.both_curl_lines("200");
    assert_eq!(started.curl(&["--cacert", "cert.pem"], "/health"), "200");
    assert_eq!(started.execute(None), "401");
    assert_eq!(started.execute(Some(&started.keys[1])), "401");
    assert_eq!(started.execute(Some(&started.keys[0])), "200");
}

#[test]
fn the_complete_configuration_runs_as_it_stands() {
    let started = start("5-complete.yaml", "");
    started.both_curl_lines("200");
    assert_eq!(started.execute(None), "401");
    assert_eq!(started.execute(Some(&started.keys[0])), "200");
    // `permissions: data` reads and writes documents and nothing else.
    assert_eq!(started.execute(Some(&started.keys[1])), "200");
    for directory in ["data", "audit", "app"] {
        let found = started.node.directory().join(directory).read_dir();
        assert!(found.unwrap().next().is_some(), "{directory} is empty");
    }
}

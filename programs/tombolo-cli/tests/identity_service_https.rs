//! What the service asks over HTTPS: with a private root that it was given, and never without one that it trusts.
//! The server that is asked is another identity service, because that is the HTTPS server at hand.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod support;

use support::identity::{PLAYGROUND, Service, device};

/// Names a key that no set has; the claims are never reached.
const TOKEN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6Im5vYm9keSJ9.e30.AAAA";

fn provider(port: &str, ca_file: &str) -> String {
    format!(
        "{{ corp: {{ jwt: {{ jwks_url: \"https://localhost:{port}/_ditto/auth/jwks\", allow_private_network: true{ca_file}, \
         issuer: i, audience: a, permissions_claim: p }} }} }}"
    )
}

#[test]
fn a_server_is_believed_by_the_root_that_was_given_and_by_no_other() {
    let home = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    std::fs::write(home.path().join("cert.pem"), &certificate).unwrap();
    std::fs::write(home.path().join("key.pem"), key).unwrap();
    let tls = "{ cert: cert.pem, key: key.pem }";
    let playground = format!("{{ {PLAYGROUND} }}");
    let asked = Service::start_in(home, &playground, "", (tls, "dev_mode"));
    let (_, port) = asked.address.rsplit_once(':').unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    for (root, status, reason) in [
        (
            Some(&certificate),
            401,
            "names the key nobody, which is not in the key set",
        ),
        (
            Some(&other.cert.pem()),
            502,
            "the key set of a provider cannot be read",
        ),
        (None, 502, "the key set of a provider cannot be read"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let ca_file = root.map_or("", |_| ", ca_file: roots.pem");
        if let Some(root) = root {
            std::fs::write(home.path().join("roots.pem"), root).unwrap();
        }
        let modes = ("dev_mode", "dev_mode");
        let service = Service::start_in(home, &provider(port, ca_file), "", modes);
        let reply = service.login(&device(), "corp", TOKEN);
        let log = service.log();
        assert_eq!(reply.status, status, "{log}");
        assert!(log.contains(reason), "{reason} in\n{log}");
        assert!(status == 401 || log.contains("certificate"), "{log}");
    }
}

#[test]
fn a_file_without_roots_stops_the_node() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("roots.pem"), "not a root").unwrap();
    let config = home.path().join("config.yaml");
    let providers = provider("1", ", ca_file: roots.pem");
    let yaml = format!(
        "database: {{ db_id: d, device_name: n, persistence_dir: {{ path: data }} }}\n\
         http_server: {{ listen_addr: \"127.0.0.1:0\", tls_config: dev_mode, http_api: true }}\n\
         auth: dev_mode\nidentity_service: {{ ca: {{ path: ca }}, providers: {providers} }}\n"
    );
    std::fs::write(&config, yaml).unwrap();
    let output = support::tombolo(&["run", "-c", config.to_str().unwrap()]);
    let said = support::text(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("identity_service.providers.corp: ca_file: it holds no certificate"),
        "{said}"
    );
}

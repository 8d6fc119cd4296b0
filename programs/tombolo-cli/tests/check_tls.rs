//! `tombolo config check-tls` with real files and a real port: each case of the guide has its own words and remedy.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod support;

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use support::{http_server, text, tombolo};
use tempfile::TempDir;

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: fn(&mut CertificateParams)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(home.path().join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(home.path().join("key.pem"), key.serialize_pem()).unwrap();
        let files = Self(home);
        files.configure("localhost:0", "{ cert: cert.pem, key: key.pem }");
        files
    }

    fn configure(&self, address: &str, tls: &str) {
        let config = http_server(&format!("  tls_config: {tls}\nauth: dev_mode\n"));
        let config = config.replace("127.0.0.1:0", address);
        std::fs::write(self.path("config.yaml"), config).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Checks, and asserts success or failure and what is said.
    fn says(&self, more: &[&str], is_sound: bool, said: &[&str]) {
        let path = self.path("config.yaml");
        let path: &Path = &path;
        let start = ["config", "check-tls", "--allow-insecure-listen", "-c"];
        let arguments = [&start[..], &[path.to_str().unwrap()], more].concat();
        let output = tombolo(&arguments);
        let printed = text(&output.stdout);
        for part in said {
            assert!(printed.contains(part), "{part}\nin:\n{printed}");
        }
        assert_eq!(output.status.success(), is_sound, "{printed}");
    }
}

#[test]
fn a_good_pair_is_sound_and_a_self_signed_one_is_noted() {
    let files = Files::new();
    let said = ["belong together", "ECDSA P-256", "self-signed", "is free"];
    files.says(&[], true, &said);
    files.says(&["--name", "localhost"], true, &["it is for localhost"]);
}

#[test]
fn a_name_that_clients_type_must_be_in_the_certificate() {
    let files = Files::new();
    let said = [
        "FAULT name",
        "it is not for edge.example.org, only for: localhost",
    ];
    files.says(&["--name", "edge.example.org"], false, &said);
    files.configure("127.0.0.1:0", "{ cert: cert.pem, key: key.pem }");
    files.says(&[], false, &["it is not for 127.0.0.1"]);
    files.configure("0.0.0.0:0", "{ cert: cert.pem, key: key.pem }");
    files.says(&[], true, &["it is for localhost; to compare"]);
}

#[test]
fn files_that_cannot_be_used_are_told_with_a_remedy() {
    let files = Files::new();
    files.configure("localhost:0", "{ cert: nowhere.pem, key: key.pem }");
    files.says(&[], false, &["nowhere.pem", "no such file: write the path"]);
    files.configure("localhost:0", "{ cert: key.pem, key: key.pem }");
    let not_pem = ["holds no certificate in PEM form", "PEM is text between"];
    files.says(&[], false, &not_pem);
    let other = Files::new();
    std::fs::copy(other.path("key.pem"), files.path("key.pem")).unwrap();
    files.configure("localhost:0", "{ cert: cert.pem, key: key.pem }");
    files.says(&[], false, &["does not belong to", "openssl x509 -in CERT"]);
}

#[test]
fn a_certificate_out_of_its_time_is_told_with_a_remedy() {
    let expired = Files::with(|params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    expired.says(&[], false, &["expired at", "= help: renew it"]);
    let early = Files::with(|params| params.not_before = date_time_ymd(4000, 1, 1));
    early.says(&[], false, &["is not valid before", "date -u"]);
}

#[test]
fn a_port_that_is_taken_and_an_address_of_elsewhere_are_told_with_a_remedy() {
    let files = Files::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    files.configure(&address, "{ cert: cert.pem, key: key.pem }");
    let taken = ["FAULT port", &address, "ss -ltnp"];
    files.says(&["--name", "localhost"], false, &taken);
    // An address that documents use and no machine has.
    files.configure("192.0.2.1:8443", "{ cert: cert.pem, key: key.pem }");
    files.says(&["--name", "localhost"], false, &["has no such address"]);
}

#[test]
fn plain_http_is_no_https() {
    let files = Files::new();
    files.configure("localhost:0", "dev_mode");
    files.says(&[], false, &["it is dev_mode: plain HTTP"]);
}

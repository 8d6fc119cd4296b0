//! What an operator does beside a running identity service: keys that rotate, and who is cut off.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod support;

use tombolo_identity::{Authority, Trust, key_id, verify_leaf};

use support::identity::{DATABASE, PLAYGROUND, Service, device};
use support::peer::until;

#[test]
fn verbs_change_a_running_service() {
    let service = Service::start(&format!("{{ {PLAYGROUND} }}"));
    let device = device();
    let login = || {
        service
            .login(&device, "__playgroundProvider", "s3cr3t-shared")
            .granted()
    };
    let first = login();
    let said = |arguments: &[&str]| {
        let output = service.verb(arguments);
        assert!(output.status.success(), "{}", support::text(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(said(&["revocations"]).contains("nobody was cut off yet"));
    let user = device.public().to_string();
    said(&["revoke", "--user", &user]);
    said(&[
        "revoke",
        "--filter",
        "metadata.role = 'guest'",
        "--issued-before",
        "7",
    ]);
    let list = said(&["revocations"]);
    assert!(
        list.contains(&format!("--user {user:?}")) && list.contains("guest"),
        "{list}"
    );
    until(
        || login().revocations.is_some_and(|list| list.len() > 100),
        || "a login with the list".to_owned(),
    );
    let trust = Trust::of_authorities(&first.authorities, DATABASE).unwrap();
    let told = || {
        let bytes = service.get("/_ditto/auth/revocations").body;
        tombolo_identity::Revocations::decode(&bytes, &trust).unwrap()
    };
    until(|| told().entries().len() == 2, || "both entries".to_owned());
    let none: [&[u8]; 0] = [];
    let judge = |certificate: &[u8], expires_ms: u64| {
        let peer = verify_leaf(&trust, certificate, &none, expires_ms - 1000).unwrap();
        told().is_revoked(&peer)
    };
    assert!(judge(&first.certificate, first.expires_ms).is_some());
    // Whoever may log in again is good again.
    let again = login();
    assert_eq!(judge(&again.certificate, again.expires_ms), None);
    said(&["unrevoke", "--user", &user]);
    until(|| told().entries().len() == 1, || "one entry".to_owned());
    assert!(
        !service
            .verb(&["unrevoke", "--user", &user])
            .status
            .success()
    );
}

#[test]
fn t09_keys_rotate_with_overlap_while_the_service_runs() {
    let service = Service::start(&format!("{{ {PLAYGROUND} }}"));
    let login = || service.login(&device(), "__playgroundProvider", "s3cr3t-shared");
    let old = key_id(&login().granted().authorities[0]);
    let run = |arguments: &[&str]| {
        let output = service.verb(arguments);
        assert!(output.status.success(), "{}", support::text(&output.stderr));
    };
    run(&["rotate"]);
    until(
        || login().granted().authorities.len() == 2,
        || "two keys".to_owned(),
    );
    let authorities = login().granted().authorities;
    assert_eq!(key_id(&authorities[0]), old);
    let new = key_id(&authorities[1]);
    run(&["rotate", "--promote", &new]);
    until(
        || key_id(&login().granted().authorities[0]) == new,
        || "the new key signs".to_owned(),
    );
    // A device that trusted both before meets a certificate of the new one.
    let trust = Trust::of_authorities(&authorities, DATABASE).unwrap();
    let granted = login().granted();
    let none: [&[u8]; 0] = [];
    let judged = verify_leaf(
        &trust,
        &granted.certificate,
        &none,
        granted.expires_ms - 1000,
    );
    assert!(judged.is_ok(), "{judged:?}");
    assert!(!service.verb(&["rotate", "--retire", &new]).status.success());
    run(&["rotate", "--retire", &old]);
    until(
        || login().granted().authorities.len() == 1,
        || "one key".to_owned(),
    );
    let file = service.home().join("imported.der");
    std::fs::write(&file, Authority::generate().unwrap().to_pkcs8().as_slice()).unwrap();
    run(&["ca", "--import", file.to_str().unwrap()]);
    until(
        || login().granted().authorities.len() == 2,
        || "the imported key".to_owned(),
    );
}

#[test]
fn t58_two_services_share_no_secret_and_keep_their_files_to_themselves() {
    let [one, two] = [(); 2].map(|()| Service::start(&format!("{{ {PLAYGROUND} }}")));
    assert_ne!(
        one.get("/_ditto/auth/jwks").text(),
        two.get("/_ditto/auth/jwks").text()
    );
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(one.home().join("ca")).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_revocation_that_names_nobody_or_everybody_is_refused() {
    let service = Service::start(&format!("{{ {PLAYGROUND} }}"));
    for wrong in [
        &["revoke"][..],
        &["revoke", "--user", "a", "--peer", "b"],
        &["revoke", "--peer", "not a key"],
        &["revoke", "--filter", "true"],
        &["revoke", "--filter", "password = 1"],
    ] {
        assert!(!service.verb(wrong).status.success(), "{wrong:?}");
    }
    assert!(!service.home().join("ca/revocations").exists());
}

#[test]
fn names_that_begin_with_a_dash_are_names() {
    let service = Service::start(&format!("{{ {PLAYGROUND} }}"));
    let said = |arguments: &[&str]| {
        let output = service.verb(arguments);
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    // One key in sixty-four has such a name.
    let unknown = "there is no key -abc";
    assert!(said(&["rotate", "--promote", "-abc"]).contains(unknown));
    assert!(said(&["rotate", "--retire", "-abc"]).contains(unknown));
    assert!(said(&["revoke", "--user", "-abc"]).starts_with("revoked in version "));
    assert!(said(&["unrevoke", "--user", "-abc"]).starts_with("no longer revoked"));
}

//! What an operator may paste as a shared key, and what is said of the rest.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair,
};
use base64::prelude::{BASE64_STANDARD, Engine};
use tombolo_identity::{SharedKey, SharedKeyError};

/// Made by the documented line of openssl, for this test alone.
const BY_OPENSSL: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgx7W2kOEwfjfUyHqRAZnrB/erFHjg4H2iWR9/vQBmYQehRANCAAQ8ataQAhc5qB6iNWC7H2UVD63M0K0vr+tnaeZj0U2UrCLnGmu/KVVz5yIBRluohkFKn8ibhwsvIVTvnCYoveMZ";

fn refusal(text: &str) -> SharedKeyError {
    SharedKey::parse(text).expect_err("the text should be refused")
}

fn refusal_of(der: &[u8]) -> SharedKeyError {
    refusal(&BASE64_STANDARD.encode(der))
}

#[test]
fn a_key_survives_its_text() {
    let made = SharedKey::generate().unwrap();
    let read = SharedKey::parse(&made.to_base64()).unwrap();
    assert_eq!(read.public(), made.public());
    assert_eq!(read.to_base64(), made.to_base64());
}

#[test]
fn a_key_by_openssl_is_accepted_and_kept_as_it_is() {
    let key = SharedKey::parse(&format!("  {BY_OPENSSL}\n")).unwrap();
    assert_eq!(key.to_base64().as_str(), BY_OPENSSL);
    let unpadded = SharedKey::parse(BY_OPENSSL.trim_end_matches('=')).unwrap();
    assert_eq!(unpadded.public(), key.public());
}

#[test]
fn no_output_shows_the_key() {
    let key = SharedKey::parse(BY_OPENSSL).unwrap();
    assert_eq!(format!("{key:?}"), "SharedKey(redacted)");
    let mut changed = BY_OPENSSL.to_owned();
    changed.replace_range(60..61, "!");
    let error = refusal(&changed);
    assert_eq!(error, SharedKeyError::NotBase64 { position: 61 });
    for start in (0..BY_OPENSSL.len() - 8).step_by(4) {
        let piece = &BY_OPENSSL[start..start + 8];
        assert!(!format!("{error} {error:?}").contains(piece));
    }
}

#[test]
fn mistakes_with_the_text_are_told_apart() {
    let lines = format!("{}\n{}", &BY_OPENSSL[..64], &BY_OPENSSL[64..]);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n");
    assert_eq!(refusal(" \n"), SharedKeyError::Empty);
    assert_eq!(refusal(&pem), SharedKeyError::Pem);
    assert_eq!(refusal(&BASE64_STANDARD.encode(&pem)), SharedKeyError::Pem);
    assert_eq!(refusal(&lines), SharedKeyError::ManyLines);
    assert_eq!(refusal(&BY_OPENSSL[..61]), SharedKeyError::Cut);
    let bytes = 16 * 1024 + 1;
    assert_eq!(
        refusal(&"A".repeat(bytes)),
        SharedKeyError::TooLong { bytes }
    );
}

#[test]
fn other_keys_are_named() {
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
    let other = refusal_of(p384.to_pkcs8v1().unwrap().as_ref());
    assert_eq!(other, SharedKeyError::OtherCurve { curve: "P-384" });

    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let algorithm = "Ed25519";
    let other = refusal_of(ed25519.to_pkcs8v1().unwrap().as_ref());
    assert_eq!(other, SharedKeyError::OtherAlgorithm { algorithm });

    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let sec1 = p256.private_key().as_der().unwrap();
    assert_eq!(refusal_of(sec1.as_ref()), SharedKeyError::Sec1);
    let public = p256.public_key().as_der().unwrap();
    assert_eq!(refusal_of(public.as_ref()), SharedKeyError::PublicKey);
}

#[test]
fn an_encrypted_key_is_named() {
    // The outline of what openssl writes: an algorithm and encrypted bytes.
    let der = [
        &[0x30, 0x0b, 0x30, 0x03, 0x06, 0x01, 0x2a, 0x04, 0x04][..],
        &[7; 4],
    ]
    .concat();
    assert_eq!(refusal_of(&der), SharedKeyError::Encrypted);
}

#[test]
fn bytes_that_are_no_key_are_refused() {
    let der = BASE64_STANDARD.decode(BY_OPENSSL).unwrap();
    for wrong in [
        &der[..100],
        b"\x30\x00",
        b"text",
        &[&der[..], b"x"].concat(),
    ] {
        assert_eq!(refusal_of(wrong), SharedKeyError::NotPkcs8);
    }
    let mut changed = der;
    let last = changed.len() - 1;
    changed[last] ^= 1;
    assert_eq!(refusal_of(&changed), SharedKeyError::Damaged);
}

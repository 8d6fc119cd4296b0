//! A little DER: the outline of a file that should be a private key, read far
//! enough to tell an operator what the file is instead, and the one encoding
//! that a signed certificate has.

/// The tags that private keys are made of.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const BITS: u8 = 0x03;
const OID: u8 = 0x06;

const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// ECDSA with SHA-256, as an algorithm identifier.
const ECDSA_SHA256: &[u8] = &[
    SEQUENCE, 10, OID, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
];

/// Other curves that people have, by object identifier.
const CURVES: &[(&[u8], &str)] = &[
    (&[0x2b, 0x81, 0x04, 0x00, 0x22], "P-384"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x23], "P-521"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x0a], "secp256k1"),
];

/// Other kinds of keys that people have, by object identifier.
const ALGORITHMS: &[(&[u8], &str)] = &[
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01],
        "RSA",
    ),
    (&[0x2b, 0x65, 0x70], "Ed25519"),
    (&[0x2b, 0x65, 0x6e], "X25519"),
];

/// What a DER file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outline {
    /// PKCS#8, unencrypted, elliptic curve P-256.
    P256Pkcs8,
    /// PKCS#8 with a password.
    Encrypted,
    /// The older form without the PKCS#8 wrapping.
    Sec1,
    /// A public key.
    PublicKey,
    /// PKCS#8 of an elliptic curve key on another curve.
    OtherCurve(&'static str),
    /// PKCS#8 of another kind of key.
    OtherAlgorithm(&'static str),
    /// Nothing of the sort.
    Unknown,
}

impl Outline {
    pub(crate) fn of(der: &[u8]) -> Self {
        Self::read(der).unwrap_or(Self::Unknown)
    }

    fn read(der: &[u8]) -> Option<Self> {
        let (body, trailing) = expect(SEQUENCE, der)?;
        if !trailing.is_empty() {
            return None;
        }
        let (first, value, rest) = element(body)?;
        let (second, inner, _) = element(rest)?;
        match (first, second) {
            (SEQUENCE, OCTETS) => Some(Self::Encrypted),
            (SEQUENCE, BITS) => Some(Self::PublicKey),
            (INTEGER, OCTETS) if value == [1] => Some(Self::Sec1),
            (INTEGER, SEQUENCE) => Self::algorithm(inner),
            _ => None,
        }
    }

    fn algorithm(identifier: &[u8]) -> Option<Self> {
        let (oid, rest) = expect(OID, identifier)?;
        if oid != EC_PUBLIC_KEY {
            return Some(Self::OtherAlgorithm(name_of(oid, ALGORITHMS)));
        }
        match expect(OID, rest) {
            Some((P256, _)) => Some(Self::P256Pkcs8),
            Some((curve, _)) => Some(Self::OtherCurve(name_of(curve, CURVES))),
            None => Some(Self::OtherCurve("of explicit parameters")),
        }
    }
}

/// The certificate around what was signed, which leaves a decoder no choice.
pub(crate) fn certificate(signed: &[u8], signature: &[u8]) -> Vec<u8> {
    let signature = [&[0], signature].concat();
    let body = [signed, ECDSA_SHA256, &encode(BITS, &signature)].concat();
    encode(SEQUENCE, &body)
}

fn encode(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    let mut encoded = vec![tag];
    match &length[zeros..] {
        [] => encoded.push(0),
        [short @ 0..0x80] => encoded.push(*short),
        long => {
            encoded.push(0x80 | long.len() as u8);
            encoded.extend_from_slice(long);
        }
    }
    encoded.extend_from_slice(value);
    encoded
}

fn name_of(oid: &[u8], names: &[(&[u8], &'static str)]) -> &'static str {
    let known = names.iter().find(|(known, _)| *known == oid);
    known.map_or("of unknown name", |(_, name)| name)
}

fn expect(wanted: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (tag, value, rest) = element(der)?;
    (tag == wanted).then_some((value, rest))
}

/// Tag, value and what follows; `None` if the bytes end before the value does.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, short], mut rest) = der.split_first_chunk()?;
    let mut length = usize::from(short);
    if short >= 0x80 {
        let count = usize::from(short & 0x7f);
        if !(1..=2).contains(&count) || rest.len() < count {
            return None;
        }
        let (bytes, after) = rest.split_at(count);
        length = bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        rest = after;
    }
    let (value, after) = rest.split_at_checked(length)?;
    Some((tag, value, after))
}

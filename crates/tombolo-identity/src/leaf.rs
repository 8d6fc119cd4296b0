//! Making a leaf: the certificate around a device's own peer key, which the
//! device signs for itself with the shared key, or an authority for it. Neither
//! ever makes a peer key.

use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
    SignatureAlgorithm, SigningKey,
};
use x509_parser::time::ASN1Time;

use crate::database::{self, DatabaseIdError, check_database_id};
use crate::key::PeerPublicKey;
use crate::refresh;
use crate::secret::SharedKey;
use crate::signing::SigningPair;
use crate::verify::LEAF_BYTES_MAX;

/// How long before its making a leaf is valid, so that peers whose clocks are a
/// little behind accept it: one hour.
pub const LEAF_BACKDATE_MS: u64 = 60 * 60 * 1000;
/// How long after its making a leaf is valid: 30 days.
pub const LEAF_VALID_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// The extension that holds an identity: an arc below the one of UUIDs.
const IDENTITY_ARCS: &[u64] = &[2, 25, 12_725_513_984_974_840_403];
/// The same as it stands in a certificate.
pub(crate) const IDENTITY_OID: &[u8] = &[
    0x69, 0x81, 0xb0, 0xcd, 0x86, 0xf1, 0xbf, 0x95, 0xc3, 0xc4, 0x53,
];

/// 9998-12-31: certificates have four digits for the year.
const NOW_MS_MAX: u64 = 253_370_678_400_000;
/// 9999-12-31, the last day of a certificate.
const END_S_MAX: u64 = 253_402_214_400;
/// Hash domain of serial numbers.
const SERIAL_DOMAIN: &str = "tombolo 2026-11 leaf serial number";

/// Why no leaf was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The database id cannot stand in a certificate. The operator's fault.
    #[error(transparent)]
    DatabaseId(#[from] DatabaseIdError),
    /// The clock is not of this age. The operator's fault.
    #[error(
        "the clock says {now_ms} ms after 1970, for which no certificate can be made: set this machine's clock"
    )]
    Clock {
        /// What the clock says, in unix milliseconds.
        now_ms: u64,
    },
    /// The certificate would be too large. The fault of whoever wrote the rules.
    #[error(
        "the permissions and metadata make a certificate that is too large: write fewer or shorter rules, for example one LIKE instead of a list of ids"
    )]
    TooLarge,
    /// The cryptographic library failed. Our fault.
    #[error("the certificate could not be encoded or signed")]
    Encoding,
}

/// A leaf and the times around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedLeaf {
    /// The certificate in DER form; the chain is this alone.
    pub der: Vec<u8>,
    /// When it was made, in unix milliseconds.
    pub issued_ms: u64,
    /// When it ends, in unix milliseconds, on a whole second.
    pub expires_ms: u64,
}

impl IssuedLeaf {
    /// When half of its time is over and the next one is due, in unix milliseconds.
    #[must_use]
    pub fn renew_ms(&self) -> u64 {
        refresh::refresh_ms(self.issued_ms, self.expires_ms, 0)
    }
}

impl SharedKey {
    /// Signs a leaf for the device that holds `peer_key`, bound to the database
    /// and valid from an hour before `now_ms` (unix milliseconds) for 30 days
    /// after it.
    ///
    /// # Errors
    /// The database id or the clock is impossible, or the library failed.
    pub fn issue(
        &self,
        peer_key: &PeerPublicKey,
        database_id: &str,
        now_ms: u64,
    ) -> Result<IssuedLeaf, IssueError> {
        let expires_ms = now_ms.saturating_add(LEAF_VALID_MS);
        let blank = Blank {
            peer_key,
            database_id,
            issuer: "Tombolo shared key",
            identity: None,
        };
        blank.sign(self.pair(), now_ms, expires_ms)
    }
}

/// A leaf before it has a time and a signature.
pub(crate) struct Blank<'b> {
    pub(crate) peer_key: &'b PeerPublicKey,
    pub(crate) database_id: &'b str,
    /// A name for people; who checks a leaf asks for the key alone.
    pub(crate) issuer: &'static str,
    pub(crate) identity: Option<Vec<u8>>,
}

impl Blank<'_> {
    pub(crate) fn sign(
        self,
        pair: &SigningPair,
        now_ms: u64,
        expires_ms: u64,
    ) -> Result<IssuedLeaf, IssueError> {
        check_database_id(self.database_id)?;
        let clock = LEAF_BACKDATE_MS..=NOW_MS_MAX;
        if !clock.contains(&now_ms) || expires_ms / 1000 > END_S_MAX {
            return Err(IssueError::Clock { now_ms });
        }
        let mut params = params(self.peer_key, self.database_id)?;
        params.serial_number = Some(serial(self.peer_key, self.database_id, now_ms));
        params.not_before = date((now_ms - LEAF_BACKDATE_MS) / 1000)?.to_datetime();
        params.not_after = date(expires_ms / 1000)?.to_datetime();
        if let Some(identity) = self.identity {
            let mut extension = CustomExtension::from_oid_content(IDENTITY_ARCS, identity);
            extension.set_criticality(true);
            params.custom_extensions.push(extension);
        }
        let issuer = Issuer::new(issuer(self.issuer), Signer(pair));
        let leaf = params
            .signed_by(&Subject(self.peer_key), &issuer)
            .map_err(|_| IssueError::Encoding)?;
        if leaf.der().len() > LEAF_BYTES_MAX {
            return Err(IssueError::TooLarge);
        }
        Ok(IssuedLeaf {
            der: leaf.der().to_vec(),
            issued_ms: now_ms,
            expires_ms: expires_ms / 1000 * 1000,
        })
    }
}

fn params(peer_key: &PeerPublicKey, database_id: &str) -> Result<CertificateParams, IssueError> {
    let name = Ia5String::try_from(database::uri(database_id)).map_err(|_| IssueError::Encoding)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let shown = peer_key.to_string();
    params.distinguished_name.push(DnType::CommonName, shown);
    params.subject_alt_names = vec![SanType::URI(name)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    Ok(params)
}

fn issuer(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// 16 bytes, positive and not zero, a different one for each leaf.
fn serial(peer_key: &PeerPublicKey, database_id: &str, now_ms: u64) -> SerialNumber {
    let mut hasher = blake3::Hasher::new_derive_key(SERIAL_DOMAIN);
    hasher.update(peer_key.as_bytes());
    hasher.update(&now_ms.to_le_bytes());
    hasher.update(database_id.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    bytes[0] = bytes[0] & 0x3f | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn date(unix_s: u64) -> Result<ASN1Time, IssueError> {
    let unix_s = i64::try_from(unix_s).map_err(|_| IssueError::Encoding)?;
    ASN1Time::from_timestamp(unix_s).map_err(|_| IssueError::Encoding)
}

/// The peer key as the subject of a certificate.
struct Subject<'k>(&'k PeerPublicKey);

impl PublicKeyData for Subject<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// A private key as the signer of a certificate.
struct Signer<'k>(&'k SigningPair);

impl PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.point()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(message).ok_or(rcgen::Error::RemoteKeyError)
    }
}

//! Checking a leaf: one certificate, one hop, one profile. No path is built, so
//! nothing that a path can be abused for (name constraints, depth, loops) exists.
//!
//! The signature is checked before anything that it signs is believed.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ECDSA_WITH_SHA256,
};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use crate::database::{self, URI_PREFIX};
use crate::der;
use crate::filter::Filter;
use crate::identity::Identity;
use crate::key::PeerPublicKey;
use crate::leaf::{IDENTITY_OID, LEAF_BACKDATE_MS};
use crate::quoted::{Quoted, Span};
use crate::rules::Permissions;
use crate::trust::{Issuer, Trust};

/// A larger leaf is refused unread.
pub const LEAF_BYTES_MAX: usize = 16 * 1024;
/// A leaf with more extensions is refused.
const EXTENSIONS_MAX: usize = 16;

/// Why a leaf is refused. The peer's fault, or that of whoever set it up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Another key signed it: class UnknownIssuer.
    #[error(
        "the certificate was signed by another key than those this node trusts: give all nodes of a mesh the same shared key, or log in to the identity service that the others use"
    )]
    ForeignKey,
    /// It is for another database.
    #[error(
        "the certificate is for {theirs} and this node is of the database {ours:?}: give both nodes the same db_id"
    )]
    WrongDatabase {
        /// Ours.
        ours: String,
        /// Theirs, as a name in their certificate: escaped and cut.
        theirs: Quoted,
    },
    /// Its time is over.
    #[error("the certificate expired {} ago: the peer has to renew it, or one of the two clocks is wrong", Span(*.ago_ms))]
    Expired {
        /// For how long, in milliseconds.
        ago_ms: u64,
    },
    /// Its time has not come.
    #[error("the certificate is not valid for another {}: one of the two clocks is wrong", Span(*.wait_ms))]
    NotYetValid {
        /// For how long, in milliseconds.
        wait_ms: u64,
    },
    /// It may sign others, so it is nobody's own.
    #[error("the certificate is a CA certificate and no device's own")]
    CaCertificate,
    /// Certificates came with it, and none may.
    #[error(
        "{certificates} more certificates came with the peer's own and none may: it is signed directly"
    )]
    ChainTooLong {
        /// How many besides the first.
        certificates: usize,
    },
    /// Too many bytes.
    #[error("the certificate has {bytes} bytes and {LEAF_BYTES_MAX} are allowed")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// It is no certificate, or one that no Tombolo makes.
    #[error("the certificate is malformed: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// Something in it must be understood and is not.
    #[error(
        "the certificate has the critical extension {oid}, which this version does not know: update this node"
    )]
    UnknownCriticalExtension {
        /// Which, cut if it is long.
        oid: Quoted,
    },
    /// The device's key is not P-256.
    #[error("the certificate is for a key of another kind than P-256")]
    WrongKeyType,
    /// It may not be used between peers.
    #[error("the certificate is not for both sides of a TLS connection")]
    WrongUsage,
}

/// A peer whose leaf was checked. Only [`verify_leaf`] makes one.
#[derive(Debug, Clone)]
pub struct VerifiedPeer {
    peer_key: PeerPublicKey,
    database_id: String,
    permissions: Permissions,
    identity: Option<Identity>,
    issued_ms: u64,
    expires_ms: u64,
}

impl VerifiedPeer {
    /// Who it is. TLS proves that the peer holds the private half.
    #[must_use]
    pub fn peer_key(&self) -> &PeerPublicKey {
        &self.peer_key
    }

    /// Of which database.
    #[must_use]
    pub fn database_id(&self) -> &str {
        &self.database_id
    }

    /// What it may read and write; everything, where a shared key is the authority.
    #[must_use]
    pub fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    /// What the identity service says of it; `None` where a shared key is the
    /// authority.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Whom the identity service recognized, if there is one.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.identity().map(Identity::user_id)
    }

    /// What may cross a link between this node, which has the permissions
    /// `local`, and the peer.
    #[must_use]
    pub fn filter(&self, local: &Permissions) -> Filter {
        Filter::between(local, &self.permissions)
    }

    /// When its certificate was made, in unix milliseconds.
    #[must_use]
    pub fn issued_ms(&self) -> u64 {
        self.issued_ms
    }

    /// When it stops being verified, in unix milliseconds.
    #[must_use]
    pub fn expires_ms(&self) -> u64 {
        self.expires_ms
    }
}

/// Checks the certificates that a peer sent, its own first, at `now_ms` (unix
/// milliseconds). That it holds the key is for TLS to check.
///
/// # Errors
/// [`VerifyError`], one variant for each way to be refused.
pub fn verify_leaf(
    trust: &Trust,
    end_entity: &[u8],
    intermediates: &[impl AsRef<[u8]>],
    now_ms: u64,
) -> Result<VerifiedPeer, VerifyError> {
    let (peer, _) = examine(trust, end_entity, intermediates.len(), Some(now_ms))?;
    Ok(peer)
}

/// The same, with the time of the leaf. Only a node's own leaf is read without
/// `now_ms`: what it says is needed before and after its time as well.
pub(crate) fn examine(
    trust: &Trust,
    end_entity: &[u8],
    others: usize,
    now_ms: Option<u64>,
) -> Result<(VerifiedPeer, Times), VerifyError> {
    check_size(end_entity, others)?;
    let leaf = parse(end_entity)?;
    let issuer = check_signature(trust, &leaf)?;
    check_encoding(end_entity, &leaf)?;
    let found = check_extensions(leaf.extensions())?;
    let peer_key = key(&leaf)?;
    check_database(trust, &found.names)?;
    let times = times_of(&leaf);
    now_ms.map_or(Ok(()), |now_ms| times.check(now_ms))?;
    let (identity, issued_ms) = match issuer {
        Issuer::SharedKey => (None, check_no_identity(&found, &times)?),
        Issuer::Authority => read_identity(&found, &times)?,
    };
    let permissions = identity.as_ref().map(Identity::permissions);
    let peer = VerifiedPeer {
        peer_key,
        database_id: trust.database_id().to_owned(),
        permissions: permissions.cloned().unwrap_or(Permissions::everything()),
        identity,
        issued_ms,
        expires_ms: times.end_ms,
    };
    Ok((peer, times))
}

fn check_size(end_entity: &[u8], certificates: usize) -> Result<(), VerifyError> {
    if certificates > 0 {
        return Err(VerifyError::ChainTooLong { certificates });
    }
    if end_entity.len() > LEAF_BYTES_MAX {
        let bytes = end_entity.len();
        return Err(VerifyError::TooLarge { bytes });
    }
    Ok(())
}

fn malformed(what: &'static str) -> VerifyError {
    VerifyError::Malformed { what }
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, VerifyError> {
    match X509Certificate::from_der(der) {
        Ok(([], leaf)) if leaf.version() == X509Version::V3 => Ok(leaf),
        Ok(([], _)) => Err(malformed("it is not of X.509 version 3")),
        Ok(_) => Err(malformed("bytes follow it")),
        Err(_) => Err(malformed("it is not X.509 in DER form")),
    }
}

fn check_signature(trust: &Trust, leaf: &X509Certificate<'_>) -> Result<Issuer, VerifyError> {
    let outer = &leaf.signature_algorithm;
    if *outer != leaf.signature {
        return Err(malformed("it names two signature algorithms"));
    }
    let signature = &leaf.signature_value;
    if outer.algorithm != OID_SIG_ECDSA_WITH_SHA256 || signature.unused_bits != 0 {
        return Err(VerifyError::ForeignKey);
    }
    let issuer = trust.issuer_of(leaf.tbs_certificate.as_ref(), &signature.data);
    issuer.ok_or(VerifyError::ForeignKey)
}

/// The parser forgives a little; one leaf has one encoding here.
fn check_encoding(der: &[u8], leaf: &X509Certificate<'_>) -> Result<(), VerifyError> {
    let plain = der::certificate(leaf.tbs_certificate.as_ref(), &leaf.signature_value.data);
    let same = plain == der;
    same.then_some(())
        .ok_or(malformed("it is not in the one form that DER allows"))
}

/// What the extensions of a leaf say.
struct Found<'l> {
    names: Vec<&'l GeneralName<'l>>,
    /// The content of the extension for identities.
    identity: Option<&'l [u8]>,
}

/// Checks what the leaf may be used for, and gives the rest.
fn check_extensions<'l>(extensions: &'l [X509Extension<'_>]) -> Result<Found<'l>, VerifyError> {
    if extensions.len() > EXTENSIONS_MAX {
        return Err(malformed("it has too many extensions"));
    }
    let (mut names, mut identity) = (Vec::new(), None);
    let (mut signs, mut used_by_both) = (false, false);
    for (position, extension) in extensions.iter().enumerate() {
        let before = &extensions[..position];
        if before.iter().any(|other| other.oid == extension.oid) {
            return Err(malformed("it has an extension twice"));
        }
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(basic) if basic.ca => {
                return Err(VerifyError::CaCertificate);
            }
            ParsedExtension::BasicConstraints(_) => {}
            ParsedExtension::KeyUsage(usage) if usage.key_cert_sign() || usage.crl_sign() => {
                return Err(VerifyError::CaCertificate);
            }
            ParsedExtension::KeyUsage(usage) => signs = usage.digital_signature(),
            ParsedExtension::ExtendedKeyUsage(usage) => {
                used_by_both = usage.client_auth && usage.server_auth;
            }
            ParsedExtension::SubjectAlternativeName(found) => {
                names = found.general_names.iter().collect();
            }
            ParsedExtension::ParseError { .. } => {
                return Err(malformed("an extension cannot be decoded"));
            }
            _ if extension.oid.as_bytes() == IDENTITY_OID => identity = Some(extension.value),
            _ if extension.critical => {
                let oid = Quoted::new(&extension.oid.to_string());
                return Err(VerifyError::UnknownCriticalExtension { oid });
            }
            _ => {}
        }
    }
    if signs && used_by_both {
        Ok(Found { names, identity })
    } else {
        Err(VerifyError::WrongUsage)
    }
}

fn key(leaf: &X509Certificate<'_>) -> Result<PeerPublicKey, VerifyError> {
    let spki = leaf.public_key();
    let curve = spki.algorithm.parameters.as_ref();
    let curve = curve.and_then(|parameters| parameters.as_oid().ok());
    let p256 = spki.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
        && curve.is_some_and(|curve| curve == OID_EC_P256);
    if !p256 {
        return Err(VerifyError::WrongKeyType);
    }
    PeerPublicKey::parse(&spki.subject_public_key.data)
        .map_err(|_| malformed("its key is not an uncompressed point of P-256"))
}

fn check_database(trust: &Trust, names: &[&GeneralName<'_>]) -> Result<(), VerifyError> {
    let [GeneralName::URI(theirs)] = names else {
        return Err(malformed("it does not name one database"));
    };
    if !theirs.starts_with(URI_PREFIX) {
        return Err(malformed("its name is not that of a database"));
    }
    if *theirs == database::uri(trust.database_id()) {
        return Ok(());
    }
    Err(VerifyError::WrongDatabase {
        ours: trust.database_id().to_owned(),
        theirs: Quoted::new(theirs),
    })
}

/// A leaf's time in unix milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) begin_ms: u64,
    pub(crate) end_ms: u64,
}

impl Times {
    pub(crate) const fn check(self, now_ms: u64) -> Result<(), VerifyError> {
        if now_ms < self.begin_ms {
            let wait_ms = self.begin_ms - now_ms;
            return Err(VerifyError::NotYetValid { wait_ms });
        }
        if now_ms >= self.end_ms {
            let ago_ms = now_ms - self.end_ms;
            return Err(VerifyError::Expired { ago_ms });
        }
        Ok(())
    }
}

fn times_of(leaf: &X509Certificate<'_>) -> Times {
    let validity = leaf.validity();
    Times {
        begin_ms: unix_ms(validity.not_before.timestamp()),
        end_ms: unix_ms(validity.not_after.timestamp()),
    }
}

/// A shared key grants everything, so a leaf of its that says otherwise is
/// nothing that a program of ours made. Gives when the leaf was made.
fn check_no_identity(found: &Found<'_>, times: &Times) -> Result<u64, VerifyError> {
    match found.identity {
        None => Ok(times.begin_ms.saturating_add(LEAF_BACKDATE_MS)),
        Some(_) => Err(malformed("it has permissions and is of a shared key")),
    }
}

/// An authority's leaf allows what stands in it, so it must stand there.
fn read_identity(found: &Found<'_>, times: &Times) -> Result<(Option<Identity>, u64), VerifyError> {
    let packed = found.identity.ok_or(malformed("it has no permissions"))?;
    let (identity, issued_ms) =
        Identity::decode(packed).ok_or(malformed("its permissions cannot be read"))?;
    if !(times.begin_ms..=times.end_ms).contains(&issued_ms) {
        return Err(malformed("it was made outside of its time"));
    }
    Ok((Some(identity), issued_ms))
}

/// Before 1970 there was nothing.
fn unix_ms(unix_s: i64) -> u64 {
    u64::try_from(unix_s).unwrap_or(0).saturating_mul(1000)
}

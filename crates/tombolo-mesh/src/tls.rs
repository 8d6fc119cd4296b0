//! TLS between peers: version 1.3 alone, both sides proven by `verify_leaf`,
//! nothing resumed (a resumed handshake would skip the check), one key exchange
//! that a quantum computer does not break where the peer has it too.

use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error,
    PeerIncompatible, PeerMisbehaved, ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use tombolo_identity::{VerifiedPeer, VerifyError};

use crate::standing::{Refused, Standing};

/// The protocol that both sides agree on inside TLS.
pub(crate) const ALPN: &[u8] = b"tombolo/1";
/// The one kind of signature that peer keys make.
const SCHEME: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;

/// The cryptography of every link.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: vec![
            aws_lc_rs::kx_group::X25519MLKEM768,
            aws_lc_rs::kx_group::X25519,
            aws_lc_rs::kx_group::SECP256R1,
        ],
        ..aws_lc_rs::default_provider()
    })
}

/// Checks the peer of one handshake and remembers the answer.
#[derive(Debug)]
pub(crate) struct Witness {
    standing: Standing,
    provider: Arc<CryptoProvider>,
    now_ms: u64,
    verdict: OnceLock<Result<VerifiedPeer, Refused>>,
}

impl Witness {
    pub(crate) fn new(standing: Standing, provider: Arc<CryptoProvider>, now_ms: u64) -> Arc<Self> {
        Arc::new(Self {
            standing,
            provider,
            now_ms,
            verdict: OnceLock::new(),
        })
    }

    /// What was found, if the peer showed a certificate.
    pub(crate) fn verdict(&self) -> Option<&Result<VerifiedPeer, Refused>> {
        self.verdict.get()
    }

    /// What the peer was judged by, and what it is shown.
    pub(crate) const fn standing(&self) -> &Standing {
        &self.standing
    }

    fn examine(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), Error> {
        let verdict = self
            .standing
            .examine(end_entity, intermediates, self.now_ms);
        let answer = verdict.as_ref().map(drop).map_err(alert);
        let _ = self.verdict.set(verdict);
        answer
    }

    /// Checks that the peer holds the key of the leaf that was examined.
    fn check_signature(
        &self,
        message: &[u8],
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(Ok(peer)) = self.verdict() else {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        };
        if signature.scheme != SCHEME {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        let key = SubjectPublicKeyInfoDer::from(peer.peer_key().to_spki_der());
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
    }
}

/// What the refused peer is told: the class of its mistake.
fn alert(refused: &Refused) -> Error {
    let Refused::Certificate(error) = refused else {
        return CertificateError::Revoked.into();
    };
    Error::InvalidCertificate(match error {
        VerifyError::ForeignKey => CertificateError::UnknownIssuer,
        VerifyError::WrongDatabase { .. } => CertificateError::ApplicationVerificationFailure,
        VerifyError::Expired { .. } => CertificateError::Expired,
        VerifyError::NotYetValid { .. } => CertificateError::NotValidYet,
        VerifyError::CaCertificate | VerifyError::WrongKeyType | VerifyError::WrongUsage => {
            CertificateError::InvalidPurpose
        }
        VerifyError::UnknownCriticalExtension { .. } => {
            CertificateError::UnhandledCriticalExtension
        }
        VerifyError::ChainTooLong { .. }
        | VerifyError::TooLarge { .. }
        | VerifyError::Malformed { .. } => CertificateError::BadEncoding,
    })
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.examine(end_entity, intermediates)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        _: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SCHEME]
    }
}

impl ClientCertVerifier for Witness {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.examine(end_entity, intermediates)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        _: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SCHEME]
    }
}

/// The configuration of one accepted handshake.
pub(crate) fn server_config(witness: &Arc<Witness>) -> Result<ServerConfig, Error> {
    let key = Arc::clone(&witness.standing.leaf.key);
    let verifier = Arc::<Witness>::clone(witness);
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&witness.provider))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// The configuration of one dialled handshake.
pub(crate) fn client_config(witness: &Arc<Witness>) -> Result<ClientConfig, Error> {
    let key = Arc::clone(&witness.standing.leaf.key);
    let verifier = Arc::<Witness>::clone(witness);
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&witness.provider))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    Ok(config)
}
